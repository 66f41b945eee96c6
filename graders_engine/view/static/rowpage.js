// The page of one row.

import { h, replace } from "./dom.js";
import { makeRowPane } from "./drawer.js";
import { changed, filtersOf, runHref, withQuery } from "./state.js";

export const start = async (root, context) => {
  const { keys, run, signal } = context;
  let { query, row } = context;
  const open = (name) => withQuery(runHref(run, "rows", name), filtersOf(query));
  const toTable = () => withQuery(runHref(run, "rows"), changed(filtersOf(query), { row }));
  const back = h("a", { class: "button", href: toTable(), title: "In the table (Esc)" }, "In the table");
  const pane = makeRowPane({
    context, runPath: `runs/${encodeURIComponent(run)}/rows`, query: () => query, open, level: "h1",
    follow: (name) => context.replace(open(name)), buttons: [back],
  });
  replace(root, h("div", { class: "row-page" }, pane.bar, pane.body));
  keys.add([
    { key: "j", also: ["ArrowDown"], label: "next row", run: (event) => (event.key === "j" ? pane.step(1) : false) },
    { key: "k", also: ["ArrowUp"], label: "previous row", run: (event) => (event.key === "k" ? pane.step(-1) : false) },
    { key: "[", label: "previous sample of the prompt", run: () => pane.sample(-1) },
    { key: "]", label: "next sample of the prompt", run: () => pane.sample(1) },
    { key: "Escape", label: "to the row in the table", run: () => location.assign(toTable()) },
    { key: "c", label: "copy the link", run: () => pane.copy() },
    { key: "x", label: "only what differs", run: () => pane.onlyDiffering() },
  ], signal);
  context.watch(async (found) => {
    ({ query, row } = found);
    back.setAttribute("href", toTable());
    await pane.show(row);
  });
  await pane.show(row, { focus: true });
};
