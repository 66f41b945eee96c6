// The sections of the report; every bar, flag, sub-reward and row of them leads to the rows with that filter.

import { bytes, fromTree, h, replace, shown } from "./dom.js";
import { runHref } from "./state.js";

// A link within what opens and closes cannot be reached by all: it goes to the head of what is opened.
const linked = (node) => {
  for (const link of node.querySelectorAll("summary a[href]")) {
    const inside = link.closest("details").querySelector(".inside");
    link.replaceWith(link.textContent);
    inside?.prepend(h("p", {}, h("a", { href: link.getAttribute("href") }, `Open row ${link.textContent}`)));
  }
  return node;
};

// Up to so many bytes of texts are read for their lengths unasked.
const SMALL_BYTES = 64 << 20;
const LENGTH = { id: "length", heading: "Reward by length" };

// Whether rewards follow the length of the samples; the texts of a large data set are read when that is asked for.
const lengthSection = (data, { api, run, query, signal }) => {
  const place = h("div", { class: "by-length" });
  const read = async () => (await import("./lengths.js")).drawLengths(place, { api, run, query, signal });
  const { bytes: size } = data.data;
  if (size === null || size === undefined) replace(place, h("p", { class: "quiet" }, "The lengths are not known without the data set."));
  else if (size <= SMALL_BYTES) void read();
  else replace(place, h("p", {}, h("button", { type: "button", on: { click: () => void read() } }, "Read the lengths"), h("span", { class: "quiet small" }, ` of all samples: ${bytes(size)} are read once`)));
  return place;
};

export const start = async (root, context) => {
  const { api, run, signal } = context;
  const reading = h("div", { class: "empty" });
  const waiting = setTimeout(() => replace(root, reading), 200);
  const data = await api.get(`runs/${encodeURIComponent(run)}`, {
    signal,
    onReading: ({ done, of }) => replace(reading, h("h1", {}, "Reading the results"), h("progress", { max: of, value: done, "aria-label": "Read" }), h("p", { class: "quiet" }, `${of ? Math.floor((100 * done) / of) : 0} %; once only, until they change.`)),
  }).finally(() => clearTimeout(waiting)); // else it would take the place of what says why it failed
  context.hasPrompts(data.grouped);
  const sections = data.sections.filter(({ tree }) => tree);
  replace(
    root,
    h("div", { class: "overview" },
      h("nav", { class: "contents", "aria-label": "Sections" },
        h("ul", {}, [...sections, LENGTH].map(({ id, heading }) => h("li", {}, h("a", { href: `#${id}` }, heading))))),
      h("div", { class: "report" },
        h("div", { class: "overview-top" }, h("h1", { dir: "auto" }, shown(run)),
          h("p", {}, h("a", { class: "button main", href: runHref(run, "rows") }, "All rows"))),
        data.run.problem && h("p", { class: "warning", dir: "auto" }, shown(data.run.problem)),
        data.data?.problem && h("p", { class: "warning", dir: "auto" }, shown(data.data.problem)),
        data.grader_problem && h("p", { class: "warning", dir: "auto" }, shown(data.grader_problem)),
        sections.map(({ id, heading, tree }) => h("section", { id }, h("h2", {}, heading), linked(fromTree(tree)))),
        h("section", { id: LENGTH.id }, h("h2", {}, LENGTH.heading), lengthSection(data, context)))),
  );
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
};
