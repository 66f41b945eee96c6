// Finds the page for the address, draws the bar on top, and starts the page's module.

import { ApiError, makeApi, takeKey } from "./api.js";
import { h, replace, shown, visible } from "./dom.js";
import { makeKeys } from "./keys.js";
import { compareHref, remember, remembered, runHref } from "./state.js";

// [path, module, name of the page, its styles]; groups: run, row; of a job's page: job.
const PAGES = [
  [/^\/view\/?$/, "./runs.js", "Runs", ["lists"]],
  [/^\/view\/runs\/([^/]+)$/, "./overview.js", "Overview", ["report"]],
  [/^\/view\/runs\/([^/]+)\/rows$/, "./rows.js", "Rows", ["rows"]],
  [/^\/view\/runs\/([^/]+)\/rows\/([^/]+)$/, "./rowpage.js", "Row", ["rows"]],
  [/^\/view\/runs\/([^/]+)\/prompts$/, "./prompts.js", "Prompts", ["lists"]],
  [/^\/view\/runs\/([^/]+)\/playground$/, "./play.js", "Playground", ["rows", "play"]],
  [/^\/view\/jobs\/(?<job>[^/]+)$/, "./job.js", "Job", ["report", "job"]],
  [/^\/view\/compare$/, "./compare.js", "Compare", ["report", "rows", "compare"]],
  [/^\/view\/preflight$/, "./preflight.js", "Preflight", ["report", "preflight"]],
  [/^\/view\/preflight\/row$/, "./preflightrow.js", "Row of a file", ["rows", "preflight"]],
  [/^\/view\/playground$/, "./play.js", "Playground", ["rows", "play"]],
];

// Each page has its own styles: none of another page's are loaded.
const addStyles = (names) =>
  Promise.all(names.map((name) => {
    const href = `/view/static/${name}.css`;
    if (document.head.querySelector(`link[href="${href}"]`)) return null;
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = href;
    return new Promise((done) => {
      link.addEventListener("load", done);
      link.addEventListener("error", done); // a page without its colours is still a page
      document.head.append(link);
    });
  }));

const find = (url) => {
  for (const [path, module, name, styles] of PAGES) {
    const found = path.exec(url.pathname);
    if (!found) continue;
    const job = found.groups?.job ? decodeURIComponent(found.groups.job) : null;
    const [run = null, row = null] = job ? [] : found.slice(1).map((text) => decodeURIComponent(text));
    const query = new URLSearchParams(url.search);
    return { module, name, styles, job, run: run ?? query.get("b") ?? query.get("a"), row, query, path: url.pathname };
  }
  return null;
};

const root = document.querySelector("#page");
const bar = document.querySelector("#bar");
const notice = document.querySelector("#notice");
const keys = makeKeys();
const api = makeApi((isGone) => {
  notice.hidden = !isGone;
  replace(notice, isGone ? "The server does not answer. Trying again …" : "");
});

let at = null; // the page that is open: what `find` gave, its controller, and its listener

const shortName = (run) => run.replace(/^\d+:/, "").split("/").at(-1).replace(/(\.results)?\.jsonl$/, "");

const drawBar = ({ run, name }) => {
  const link = (href, text, isCurrent = false) =>
    h("a", { href, "aria-current": isCurrent ? "page" : null }, text);
  const hasPrompts = run && remembered(`prompts-${run}`, null); // null: not known yet
  const pages = run
    ? [
        link(runHref(run), "Overview", name === "Overview"),
        link(runHref(run, "rows"), "Rows", name === "Rows"),
        hasPrompts === null && name !== "Prompts"
          ? h("span", { class: "off", "aria-disabled": "true", title: "Whether prompts have several samples is being read" }, "Prompts")
          : (hasPrompts || name === "Prompts") && link(runHref(run, "prompts"), "Prompts", name === "Prompts"),
        link(compareHref(null, run), "Compare", name === "Compare"),
        link(runHref(run, "playground"), "Playground", name === "Playground"),
      ]
    : [link("/view/playground", "Playground", name === "Playground")];
  const choose = h(
    "button", { type: "button", class: "chooser", title: run ? `${visible(run)}: choose another run (Ctrl-K)` : "Choose a run (Ctrl-K)", on: { click: chooseRun } },
    run ? h("b", {}, shown(shortName(run))) : "choose a run", h("kbd", {}, "Ctrl K"),
  );
  replace(
    bar,
    h("a", { class: "skip", href: "#page" }, "To the content"),
    h("a", { class: "mark", href: "/view/" }, mark(), h("b", {}, "Graders")),
    h("span", { class: "where" }, h("a", { href: "/view/", "aria-current": name === "Runs" ? "page" : null }, "runs"),
      h("span", { "aria-hidden": "true" }, " / "), choose),
    h("nav", { "aria-label": "Pages" }, pages),
    h("button", { type: "button", class: "help", "aria-label": "Keys", title: "Keys (?)", on: { click: keys.list } }, "?"),
  );
};

const mark = () =>
  h("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" },
    h("rect", { x: 1, y: 8, width: 3.4, height: 7 }),
    h("rect", { x: 6.3, y: 1, width: 3.4, height: 14 }),
    h("rect", { x: 11.6, y: 11, width: 3.4, height: 4 }));

const chooseRun = async () => (await import("./chooser.js")).chooseRun(at, api);
keys.add([{ key: "Ctrl-k", label: "choose a run", run: () => void chooseRun() }]);

// Says what went wrong in place of the page.
const fail = (error, isIn) => {
  if (isIn.signal.aborted || error?.name === "AbortError") return;
  if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return askForKey();
  replace(
    root,
    h("section", { class: "empty", role: "alert" }, h("h1", {}, "This page cannot be opened"),
      h("p", { dir: "auto" }, shown(String(error?.message ?? error))),
      h("p", {}, h("a", { href: "/view/" }, "All runs"))),
  );
  if (!(error instanceof ApiError)) throw error;
};

const askForKey = () => {
  const input = h("input", { id: "key", name: "key", autocomplete: "off", spellcheck: "false", placeholder: "http://127.0.0.1:8470/view/#key=…" });
  const open = (event) => {
    event.preventDefault();
    const key = input.value.trim().split("key=").at(-1);
    if (!key) return;
    location.hash = `key=${key}`;
  };
  replace(
    root,
    h("section", { class: "empty" }, h("h1", {}, "Open the address that the terminal printed"),
      h("p", {}, "It ends in a key, without which this page gives no data. ", h("code", {}, "graders view"), " prints it when it starts."),
      h("form", { on: { submit: open } }, h("label", { for: "key" }, "Or paste that address here"), h("div", { class: "line" }, input, h("button", {}, "Open")))),
  );
};

const start = async () => {
  takeKey();
  const found = find(new URL(location.href));
  const controller = new AbortController();
  at?.controller.abort();
  at = { ...found, controller, listener: null };
  const mine = at;
  drawBar(found ?? { run: null, name: "" });
  if (!found) {
    document.title = "No such page";
    return void replace(root, h("section", { class: "empty", role: "alert" }, h("h1", {}, "No such page"),
      h("p", {}, "Nothing is at the address ", h("code", { dir: "auto" }, shown(location.pathname)), "."), h("p", {}, h("a", { href: "/view/" }, "All runs"))));
  }
  document.title = [found.row, found.name, found.run && shortName(found.run)].filter(Boolean).join(" · ") || "Graders";
  const context = {
    ...found, api, keys, go, replace: (url) => move(url, true), signal: controller.signal,
    // Called with {path, query, row} when the address changes within this page; without it the page starts again.
    watch: (listener) => (mine.listener = listener),
    title: (text) => (document.title = text),
    hasPrompts(value) {
      if (remembered(`prompts-${found.run}`, null) === value) return;
      remember(`prompts-${found.run}`, value);
      drawBar(found);
    },
    fail: (error) => fail(error, controller),
  };
  try {
    const [page] = await Promise.all([import(found.module), addStyles(found.styles)]);
    if (controller.signal.aborted) return;
    replace(root);
    if (found.run && remembered(`prompts-${found.run}`, null) === null) void askForPrompts(context);
    await page.start(root, context);
  } catch (error) {
    fail(error, controller);
  }
};

// Whether a run has prompts with several samples, for pages that do not say it.
const askForPrompts = async ({ run, signal, hasPrompts }) => {
  try {
    hasPrompts((await api.get(`runs/${encodeURIComponent(run)}/grader`, { signal })).grouped);
  } catch (error) {
    if (!(error instanceof ApiError) && error?.name !== "AbortError") throw error; // the page says what is wrong
  }
};

// The address has changed: the page itself follows it, or another one starts.
const follow = async () => {
  const found = find(new URL(location.href));
  if (!at?.listener || found?.module !== at.module || found.run !== at.run) return start();
  Object.assign(at, found);
  try {
    await at.listener(found);
  } catch (error) {
    fail(error, at.controller);
  }
};

const move = (url, instead) => {
  const next = find(new URL(url, location.href));
  if (!next || next.module !== at.module || next.run !== at.run) return void location.assign(url);
  history[instead ? "replaceState" : "pushState"](null, "", url);
  return follow();
};
const go = (url) => move(url, false);

// Links within a page change the address only; all others, and those for a new tab, are the browser's.
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (link.getAttribute("href").startsWith("#") || !at?.listener) return;
  const next = find(new URL(link.href));
  if (!next || next.module !== at.module || next.run !== at.run) return;
  event.preventDefault();
  void go(link.href);
});
// A place within the page that is open is the browser's to go to.
const isOpen = ({ path, query }) => path === at?.path && String(query) === String(at.query);
addEventListener("popstate", () => {
  const found = find(new URL(location.href));
  if (!found || !isOpen(found)) void follow();
});
addEventListener("hashchange", () => location.hash.includes("key=") && void start());

void start();
