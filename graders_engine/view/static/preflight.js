// A report of preflight: its sections; the places of each finding lead to their rows.

import { fromTree, h, replace, shown } from "./dom.js";

const reading = h("div", { class: "empty" }, h("h1", {}, "Reading the report"));

export const start = async (root, context) => {
  const { api, query, signal } = context;
  const waiting = setTimeout(() => replace(root, reading), 300); // the files that it is of are compared with it
  const found = await api.get(`preflight?${new URLSearchParams({ report: query.get("report") ?? "" })}`, { signal })
    .finally(() => clearTimeout(waiting));
  context.title(`${found.report.split("/").at(-1)} · preflight`);
  replace(root, h("div", { class: "overview preflight" },
    h("nav", { class: "contents", "aria-label": "Sections" },
      h("ul", {}, found.sections.map(({ id, heading }) => h("li", {}, h("a", { href: `#${id}` }, heading))))),
    h("div", { class: "report" },
      h("div", { class: "overview-top" }, h("div", {}, h("h1", { dir: "auto" }, shown(found.grader ?? "Preflight")),
        h("p", { class: "quiet", dir: "auto" }, "preflight · ", shown(found.report)))),
      found.notes.map((note) => h("p", { class: "warning", dir: "auto" }, shown(note))),
      found.sections.map(({ id, heading, tree }) => h("section", { id }, h("h2", {}, heading), fromTree(tree))))));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
};
