// All runs below the opened folders: a table, newest first; two that are ticked are compared.

import { count, h, mean, number, percent, plural, replace, shown } from "./dom.js";
import { sparkline } from "./histogram.js";
import { drawJobs } from "./jobs.js";
import { progress, sentence, when } from "./listed.js";
import { compareHref, preflightHref, runHref } from "./state.js";

const AGAIN_MS = 2000;
const FILLING_MS = 700;

const OPENED = new Set(["complete", "running", "unfinished", "torn", "undescribed", "unread"]); // those with results
const hasResults = (run) => OPENED.has(run.state);
const GOING = new Set(["queued", "in_progress"]);

// What a store says of a run of an eval.
const statusOf = ({ status, counts, of, reason, notes }) => [
  status === "in_progress" ? progress("in progress", counts?.total ?? null, of)
    : status !== "completed" && h("span", { class: "quiet small status" }, shown(status.replace(/_/g, " "))),
  reason && sentence(reason, "problem"), notes.map((note) => sentence(note))];

const stateOf = (run) => [
  run.eval && statusOf(run.eval),
  run.state === "unread" && h("span", { class: "quiet small" }, " being read …"),
  !run.eval && ["running", "unfinished"].includes(run.state) && progress(run.state, run.rows, run.of),
  run.problem && sentence(run.problem, run.state === "undescribed" ? "quiet" : "problem")];

const nameOf = (run) => (run.eval ? run.eval.name || run.eval.id : run.run);

// A file's name as an argument of a command.
const inShell = (name) => (/^[\w./@%+=:,][\w./@%+=:,-]*$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`);

// A run of an eval leads to its report where the server has it, else to its rows; others to their overview.
const linkOf = (run) => {
  const name = shown(nameOf(run));
  const href = run.eval?.report ?? (hasResults(run) ? runHref(run.run, run.eval ? "rows" : "") : null);
  return [
    href ? h("a", { href, dir: "auto", title: run.eval ? run.run : null }, name) : h("b", { dir: "auto", title: run.eval ? run.run : null }, name),
    run.eval && h("span", { class: "small quiet eval" }, " ", h("bdi", {}, shown(run.eval.eval)), run.eval.eval && " · ", "eval",
      run.eval.report && hasResults(run) && [" · ", h("a", { href: runHref(run.run, "rows"), "aria-label": `Rows of ${nameOf(run)}` }, "rows")])];
};

const graderOf = (run) => {
  const criteria = run.eval?.criteria;
  if (run.eval) return criteria === null || criteria === undefined ? null : plural(criteria, "criterion", "criteria");
  return run.grader && [h("bdi", {}, shown(run.grader.name ?? "")), h("span", { class: "quiet small" }, ` ${run.grader.type.replace(/_/g, " ")}`)];
};

const passed = ({ counts, pass_rate: rate }) => {
  if (!counts || !counts.total) return null;
  const graded = counts.passed + counts.failed;
  return [h("b", {}, rate === null ? "-" : percent(rate)),
    graded > 0 && h("span", { class: "quiet small" }, `${count(counts.passed)} of ${count(graded)}`),
    counts.errored > 0 && h("span", { class: "quiet small" }, `${count(counts.errored)} errored`)];
};

const interval = (estimate) => (estimate?.low === null || estimate?.low === undefined ? "" : `${mean(estimate.low)} to ${mean(estimate.high)}`);

const SEVERITIES = ["error", "warning", "info"];

// The reports of `graders preflight`: what was asked about, and what was found.
const drawReports = (section, reports) => {
  section.hidden = !reports.length;
  const heads = ["Report", "Grader", "Data", "Verdict", "Findings", "When"];
  const cell = (label, ...content) => h("td", { role: "cell", "data-label": label }, content);
  const line = (one) => h("tr", { role: "row" },
    h("th", { role: "rowheader", scope: "row" },
      one.problem ? h("b", { dir: "auto" }, shown(one.report)) : h("a", { href: preflightHref(one.report), dir: "auto" }, shown(one.report)),
      one.problem && sentence(one.problem, "problem")),
    cell("Grader", one.grader && h("bdi", {}, shown(one.grader))),
    cell("Data", one.data.length > 0 && h("bdi", {}, shown(one.data.join(", "))), one.rows !== null && h("span", { class: "quiet small" }, ` ${plural(one.rows, "row")}`)),
    cell("Verdict", one.verdict && h("span", { class: `verdict ${one.verdict}` }, one.verdict)),
    cell("Findings", one.findings && (SEVERITIES.filter((name) => one.findings[name]).map((name) => (name === "info" ? `${count(one.findings.info)} info` : plural(one.findings[name], name))).join(", ") || "none")),
    h("td", { role: "cell", class: "when", "data-label": "When" }, h("span", { title: one.when ?? "" }, when(one.when))));
  replace(section, h("h2", {}, "Preflight"), h("table", { class: "runs", role: "table", "aria-label": "Reports of preflight" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((name) => h("th", { role: "columnheader", scope: "col" }, name)))),
    h("tbody", { role: "rowgroup" }, reports.map(line))));
};

export const start = async (root, context) => {
  const { api, signal } = context;
  const ticked = new Set();
  let data = null;
  let words = "";

  const body = h("tbody", { role: "rowgroup" });
  const passing = h("th", { role: "columnheader", scope: "col", class: "number", title: "Items that passed, of those that could be graded" }, "Passed");
  const modelHead = h("th", { role: "columnheader", scope: "col" }, "Model");
  const table = h("table", { class: "runs", role: "table", "aria-label": "Runs" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      h("th", { role: "columnheader", scope: "col" }, h("span", { class: "unseen" }, "Compare")),
      ["Run", "Grader"].map((name) => h("th", { role: "columnheader", scope: "col" }, name)),
      h("th", { role: "columnheader", scope: "col", class: "number" }, "Rows"),
      h("th", { role: "columnheader", scope: "col", class: "number", title: "Mean reward over the rows that count in it" }, "Mean", h("span", { class: "small" }, "95 % interval")),
      passing,
      h("th", { role: "columnheader", scope: "col" }, "Rewards"),
      h("th", { role: "columnheader", scope: "col", class: "number" }, "Invalid"),
      modelHead, h("th", { role: "columnheader", scope: "col" }, "When"))),
    body);
  const filter = h("input", { type: "search", "aria-label": "Find a run", placeholder: "Find a run", autocomplete: "off", spellcheck: "false",
    on: { input: () => ((words = filter.value.toLowerCase()), draw()) } });
  const compare = h("button", { type: "button", class: "main", disabled: true, on: { click: () => location.assign(compareHref(...data.runs.map(({ run }) => run).filter((run) => ticked.has(run)).reverse())) } }, "Compare");
  const hint = h("span", { class: "quiet small" });
  const others = h("section", { class: "others" });
  const jobs = h("section", { class: "reports" });
  const preflight = h("section", { class: "reports" });
  const more = h("p", { class: "quiet small", hidden: true }, "There is more here than this list has: open a folder further down.");
  const folders = h("p", { class: "quiet", dir: "auto" });
  const page = h("div", { class: "runs-page" },
    h("div", { class: "runs-top" }, h("div", {}, h("h1", {}, "Runs"), folders), h("div", { class: "line" }, filter, hint, compare)),
    table, more, jobs, preflight, others);
  const nothing = h("section", { class: "empty" });

  const line = (run) => {
    const box = h("input", { type: "checkbox", "aria-label": `Compare ${run.run}`, checked: ticked.has(run.run), disabled: !hasResults(run), "data-run": run.run,
      on: { change: () => (box.checked ? ticked.add(run.run) : ticked.delete(run.run), drawTicked()) } });
    const cell = (label, className, ...content) => h("td", { role: "cell", class: className, "data-label": label }, content);
    const shareInvalid = run.rows ? run.invalid / run.rows : null;
    // A click anywhere on the line is one on its link.
    const openRun = (event) => !event.target.closest("a, .tick") && !String(getSelection()) && event.currentTarget.querySelector("th a")?.click();
    return h("tr", { role: "row", "data-state": run.state, on: { click: openRun } },
      cell("", "tick", box),
      h("th", { role: "rowheader", scope: "row" }, linkOf(run), stateOf(run)),
      cell("Grader", "grader", graderOf(run)),
      cell("Rows", "number", hasResults(run) && count(run.rows)),
      cell("Mean, 95 % interval", "number mean-cell", run.mean ? [h("b", {}, mean(run.mean.value)), h("span", { class: "quiet small" }, interval(run.mean))] : hasResults(run) && "-"),
      !passing.hidden && cell("Passed", "number mean-cell", run.eval && passed(run.eval)),
      cell("Rewards", "bars", run.bars && sparkline(run.bars)),
      cell("Invalid", "number", shareInvalid === null ? hasResults(run) && "-" : h("span", { class: shareInvalid > 0.05 ? "much" : null }, percent(shareInvalid)),
        run.failed > 0 && h("span", { class: "much small", title: "Of an outage: in no mean" }, `${count(run.failed)} failed, ${percent(run.failed / run.rows)}`)),
      !modelHead.hidden && cell("Model", "model", shown(run.model ?? "")),
      cell("When", "when", h("span", { title: run.when ?? "" }, when(run.when))));
  };

  const drawTicked = () => {
    compare.disabled = ticked.size !== 2;
    hint.textContent = ticked.size === 2 ? "" : ticked.size ? "Tick one more to compare" : "";
  };

  const draw = () => {
    const found = data.runs.filter((run) => `${run.run} ${run.name} ${run.grader?.name ?? ""} ${run.model ?? ""} ${run.eval?.status ?? ""}`.toLowerCase().includes(words));
    passing.hidden = !data.runs.some((run) => run.eval);
    modelHead.hidden = !data.runs.some((run) => run.model);
    more.hidden = !data.more;
    const focused = body.contains(document.activeElement) ? document.activeElement.dataset.run ?? document.activeElement.getAttribute("href") : null;
    replace(body, found.map(line), found.length === 0 && h("tr", { role: "row" }, h("td", { role: "cell", colspan: 10, class: "quiet" }, "No such run")));
    if (focused) [...body.querySelectorAll("a, input")].find((one) => (one.dataset.run ?? one.getAttribute("href")) === focused)?.focus();
    folders.textContent = data.folders.join(", ");
    drawJobs(jobs, data.jobs, data.more_jobs);
    drawReports(preflight, data.preflight ?? []);
    const files = data.others ?? [];
    others.hidden = !files.length;
    replace(others, h("h2", {}, "Other files"), h("p", { class: "quiet small" }, "Data sets open in the playground, where a grader is tried on them."),
      h("ul", {}, files.map((file) => h("li", {}, file.kind === "data" ? h("a", { href: `/view/playground?${new URLSearchParams({ data: file.path })}`, dir: "auto" }, shown(file.path)) : h("bdi", {}, shown(file.path)),
        h("span", { class: "quiet small" }, file.kind === "data" ? " data set" : ` ${file.kind}`)))));
    drawTicked();
  };

  const drawNothing = () => {
    const files = data.others ?? [];
    const sets = files.filter(({ kind }) => kind === "data");
    const named = (kind, otherwise) => inShell(files.find((file) => file.kind === kind)?.path ?? otherwise);
    replace(nothing, h("h1", {}, "There are no runs here yet"),
      h("p", {}, "Looked for results of ", h("code", {}, "graders score"), " in ", h("bdi", {}, data.folders.join(", ")), ". This makes some:"),
      h("pre", { class: "formula", tabindex: 0, role: "group", "aria-label": "Command" }, `graders score ${named("grader", "grader.json")} --data ${named("data", "rows.jsonl")} --out results.jsonl`),
      sets.length > 0 && h("p", {}, "Or try a grader on ", sets.slice(0, 5).map((file, at) => [at > 0 && ", ", h("a", { href: `/view/playground?${new URLSearchParams({ data: file.path })}` }, shown(file.path))]), "."));
  };

  for (;;) {
    data = await api.get("runs", { signal });
    table.hidden = data.runs.length === 0;
    const isEmpty = table.hidden && !data.jobs.length && !data.preflight?.length;
    if (isEmpty) drawNothing();
    else draw();
    const now = isEmpty ? nothing : page;
    if (!now.isConnected) replace(root, now);
    const isFilling = data.runs.some(({ state }) => state === "unread");
    const isRunning = data.runs.some((run) => run.state === "running" || GOING.has(run.eval?.status)) || data.jobs.some((job) => job.is_going);
    await new Promise((done) => setTimeout(done, isFilling ? FILLING_MS : isRunning || isEmpty ? AGAIN_MS : 3 * AGAIN_MS));
    while (document.hidden && !signal.aborted) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    if (signal.aborted) return;
  }
};
