// All runs below the opened folders: a table, newest first; two that are ticked are compared.

import { count, h, mean, number, percent, plural, replace, shown } from "./dom.js";
import { sparkline } from "./histogram.js";
import { compareHref, runHref } from "./state.js";

const AGAIN_MS = 2000;
const FILLING_MS = 700;

const when = (text) => {
  if (!text) return "";
  const time = new Date(text);
  const ago = (Date.now() - time) / 60000;
  if (ago >= 0 && ago < 1) return "just now";
  if (ago >= 0 && ago < 60) return `${Math.floor(ago)} min ago`;
  if (ago >= 0 && ago < 24 * 60) return `${Math.floor(ago / 60)} h ago`;
  return time.toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
};

const stateOf = (run) => {
  if (run.state === "broken") return h("span", { class: "problem small", dir: "auto" }, shown(run.problem));
  if (run.state === "unread") return h("span", { class: "quiet small" }, "being read …");
  if (run.state === "complete") return null;
  const label = run.state === "running" ? "running" : "unfinished";
  return h("span", { class: "progress small" }, label, run.of > 0 && run.rows !== null && [
    h("progress", { max: run.of, value: run.rows, "aria-label": `${label}: ${percent(run.rows / run.of)}` }), percent(run.rows / run.of)]);
};

const interval = (estimate) => (estimate?.low === null || estimate?.low === undefined ? "" : `${mean(estimate.low)} to ${mean(estimate.high)}`);

export const start = async (root, context) => {
  const { api, signal } = context;
  const ticked = new Set();
  let data = null;
  let words = "";

  const body = h("tbody", { role: "rowgroup" });
  const table = h("table", { class: "runs", role: "table", "aria-label": "Runs" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      h("th", { role: "columnheader", scope: "col" }, h("span", { class: "unseen" }, "Compare")),
      ["Run", "Grader"].map((name) => h("th", { role: "columnheader", scope: "col" }, name)),
      h("th", { role: "columnheader", scope: "col", class: "number" }, "Rows"),
      h("th", { role: "columnheader", scope: "col", class: "number", title: "Mean as served" }, "Mean"),
      h("th", { role: "columnheader", scope: "col" }, "Rewards"),
      h("th", { role: "columnheader", scope: "col", class: "number" }, "Invalid"),
      ["Model", "When"].map((name) => h("th", { role: "columnheader", scope: "col" }, name)))),
    body);
  const filter = h("input", { type: "search", "aria-label": "Find a run", placeholder: "Find a run", autocomplete: "off", spellcheck: "false",
    on: { input: () => ((words = filter.value.toLowerCase()), draw()) } });
  const compare = h("button", { type: "button", class: "main", disabled: true, on: { click: () => location.assign(compareHref(...data.runs.map(({ run }) => run).filter((run) => ticked.has(run)).reverse())) } }, "Compare");
  const hint = h("span", { class: "quiet small" });
  const others = h("section", { class: "others" });
  const folders = h("p", { class: "quiet", dir: "auto" });
  const page = h("div", { class: "runs-page" },
    h("div", { class: "runs-top" }, h("div", {}, h("h1", {}, "Runs"), folders), h("div", { class: "line" }, filter, hint, compare)),
    table, others);
  const nothing = h("section", { class: "empty" });

  const line = (run) => {
    const box = h("input", { type: "checkbox", "aria-label": `Compare ${run.run}`, checked: ticked.has(run.run), disabled: run.state === "broken", "data-run": run.run,
      on: { change: () => (box.checked ? ticked.add(run.run) : ticked.delete(run.run), drawTicked()) } });
    const cell = (label, className, ...content) => h("td", { role: "cell", class: className, "data-label": label }, content);
    const shareInvalid = run.rows ? run.invalid / run.rows : null;
    // A click anywhere on the line is one on its link.
    const openRun = (event) => !event.target.closest("a, .tick") && !String(getSelection()) && event.currentTarget.querySelector("th a")?.click();
    return h("tr", { role: "row", class: run.state, on: { click: openRun } },
      cell("", "tick", box),
      h("th", { role: "rowheader", scope: "row" },
        run.state === "broken" ? h("b", { dir: "auto" }, shown(run.run)) : h("a", { href: runHref(run.run), dir: "auto" }, shown(run.run)),
        run.kind !== "score" && h("span", { class: "kind small quiet" }, ` ${run.kind}`), stateOf(run)),
      cell("Grader", "grader", run.grader && [h("bdi", {}, shown(run.grader.name ?? "")), h("span", { class: "quiet small" }, ` ${run.grader.type.replace(/_/g, " ")}`)]),
      cell("Rows", "number", count(run.rows)),
      cell("Mean", "number mean-cell", run.mean ? [h("b", {}, mean(run.mean.value)), h("span", { class: "quiet small" }, interval(run.mean))] : "-"),
      cell("Rewards", "bars", run.bars && sparkline(run.bars)),
      cell("Invalid", `number ${shareInvalid > 0.05 ? "much" : ""}`, shareInvalid === null ? "-" : percent(shareInvalid),
        run.failed > 0 && h("span", { class: "quiet small" }, plural(run.failed, "failed", "failed"))),
      cell("Model", "model", shown(run.model ?? "")),
      cell("When", "when", h("span", { title: run.when ?? "" }, when(run.when))));
  };

  const drawTicked = () => {
    compare.disabled = ticked.size !== 2;
    hint.textContent = ticked.size === 2 ? "" : ticked.size ? "Tick one more to compare" : "";
  };

  const draw = () => {
    const found = data.runs.filter((run) => `${run.run} ${run.grader?.name ?? ""} ${run.model ?? ""}`.toLowerCase().includes(words));
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.run ?? document.activeElement.getAttribute("href") : null;
    replace(body, found.map(line), found.length === 0 && h("tr", { role: "row" }, h("td", { role: "cell", colspan: 9, class: "quiet" }, "No such run")));
    if (focused) [...body.querySelectorAll("a, input")].find((one) => (one.dataset.run ?? one.getAttribute("href")) === focused)?.focus();
    folders.textContent = data.folders.join(", ");
    const files = data.others ?? [];
    others.hidden = !files.length;
    replace(others, h("h2", {}, "Other files"), h("p", { class: "quiet small" }, "Data sets open in the playground, where a grader is tried on them."),
      h("ul", {}, files.map((file) => h("li", {}, file.kind === "data" ? h("a", { href: `/view/playground?${new URLSearchParams({ data: file.path })}`, dir: "auto" }, shown(file.path)) : h("bdi", {}, shown(file.path)),
        h("span", { class: "quiet small" }, file.kind === "data" ? " data set" : ` ${file.kind}`)))));
    drawTicked();
  };

  const drawNothing = () => {
    const files = data.others ?? [];
    replace(nothing, h("h1", {}, "There are no runs here yet"),
      h("p", {}, "Looked for results of ", h("code", {}, "graders score"), " in ", h("bdi", {}, data.folders.join(", ")), ". This makes some:"),
      h("pre", { class: "formula", tabindex: 0, role: "group", "aria-label": "Command" }, `graders score grader.json --data ${files.find(({ kind }) => kind === "data")?.path ?? "rows.jsonl"} --out results.jsonl`),
      files.length > 0 && h("p", {}, "Or try a grader on ", files.filter(({ kind }) => kind === "data").slice(0, 5).map((file, at) => [at > 0 && ", ", h("a", { href: `/view/playground?${new URLSearchParams({ data: file.path })}` }, shown(file.path))]), "."));
  };

  for (;;) {
    data = await api.get("runs", { signal });
    const isEmpty = data.runs.length === 0;
    if (isEmpty) drawNothing();
    else draw();
    const now = isEmpty ? nothing : page;
    if (!now.isConnected) replace(root, now);
    const isFilling = data.runs.some(({ state }) => state === "unread");
    const isRunning = data.runs.some(({ state }) => state === "running");
    await new Promise((done) => setTimeout(done, isFilling ? FILLING_MS : isRunning || isEmpty ? AGAIN_MS : 3 * AGAIN_MS));
    while (document.hidden && !signal.aborted) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    if (signal.aborted) return;
  }
};
