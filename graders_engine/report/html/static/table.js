// The table of rows; on a narrow screen its rows are cards.

import { aligned, count, fixed, h, inMean, number, ownReward, placesOf, replace, seconds, shown, tint } from "./dom.js";
import { changed, remember, remembered, runHref, withQuery, filtersOf } from "./state.js";

// More sub-rewards than this are a strip of squares.
export const MOST_COLUMNS = 8;

// The excerpt with what the search found marked; marks are [start, end] in its text.
export const excerptNodes = (excerpt) => {
  if (!excerpt) return [];
  const nodes = [];
  let end = 0;
  for (const [from, to] of excerpt.marks) {
    if (from < end) continue;
    nodes.push(shown(excerpt.text.slice(end, from)), h("mark", {}, shown(excerpt.text.slice(from, to))));
    end = to;
  }
  nodes.push(shown(excerpt.text.slice(end)));
  return [
    excerpt.in !== "sample" && h("span", { class: "found-in" }, excerpt.in, " "),
    excerpt.before && "… ", nodes, excerpt.after && " …",
  ];
};

export const rowName = (name) => {
  const at = name.indexOf("#");
  return at < 0 ? name : [name.slice(0, at), h("span", { class: "quiet" }, name.slice(at))];
};

export const squares = (keys, values) =>
  h("span", { class: "squares", role: "img", "aria-label": keys.map((key, at) => `${key} ${number(values[at])}`).join(", ") },
    values.map((value, at) => h("i", { class: tint(value), title: `${keys[at]} ${number(value)}` })));

// What stands in place of "scored": the flag that says why, or the status.
export const statusOf = (row) => {
  if (row.status === "scored") return row.flags.length ? ["scored", `, ${brief(row.flags[0])}`] : ["scored"];
  const flag = row.flags[0];
  return row.status === "failed" ? ["failed"] : [flag ? brief(flag) : row.status, `, ${inMean(row.reward)}`];
};
const brief = (flag) => flag.replace(/_error$/, "").replace(/_/g, " ");

const status = (row) =>
  h("span", { class: "status", title: [row.status, row.status !== "scored" && inMean(row.reward), row.blame && `because of the ${row.blame}`, ...row.flags].filter(Boolean).join(", ") },
    h("span", { class: `dot ${row.status}` }), h("span", {}, shown(statusOf(row).join(""))),
    row.flags.length > 1 && h("span", { class: "quiet" }, ` +${row.flags.length - 1}`));

// All columns of a run: {name, label, sort, hideable}.
export const columnsOf = (keys) => [
  { name: "row", label: "Row", title: "Its line in the data set, and which of the line's samples it is", sort: "row", first: "row" },
  { name: "reward", label: "Reward", sort: "reward", first: "-reward", number: true },
  ...(keys.length > MOST_COLUMNS
    ? [{ name: "squares", label: "Parts", hideable: true }]
    : keys.map((key) => ({ name: `sub.${key}`, label: key, sort: `sub.${key}`, first: `-sub.${key}`, number: true, hideable: true, key }))),
  { name: "status", label: "Status", hideable: true },
  { name: "id", label: "Id", hideable: true },
  { name: "excerpt", label: "Sample", hideable: true },
  { name: "length", label: "Length", title: "Characters of the sample's text", sort: "length", first: "-length", number: true, hideable: true },
  { name: "seconds", label: "ms", title: "Milliseconds that the grading of the row took", sort: "seconds", first: "-seconds", number: true, hideable: true },
];

const hiddenOf = (run) => new Set(remembered(`hidden-${run}`, []));

export const columnBoxes = (run, keys, redraw) => {
  const hidden = hiddenOf(run);
  return columnsOf(keys).filter(({ hideable }) => hideable).map(({ name, label }) => {
    const box = h("input", { type: "checkbox", checked: !hidden.has(name), on: { change: () => {
      const now = hiddenOf(run);
      if (box.checked) now.delete(name);
      else now.add(name);
      remember(`hidden-${run}`, [...now]);
      redraw();
    } } });
    return h("label", { class: "check" }, box, h("bdi", {}, shown(label)));
  });
};

// The address of the same list with another order: the first click sorts as the column is mostly read, the next
// the other way round, the third as in the data.
const sortedBy = (query, column) => {
  const now = query.get("sort");
  const other = column.first.startsWith("-") ? column.first.slice(1) : `-${column.first}`;
  const next = now === column.first ? other : now === other ? null : column.first;
  return changed(query, { sort: column.sort === "row" && next === "row" ? null : next, page: null, row: null });
};

const orderOf = (query, column) => {
  const now = query.get("sort") ?? "row";
  if (now === column.sort) return "ascending";
  return now === `-${column.sort}` ? "descending" : null;
};

const cellOf = (column, row, keys, linkTo, places) => {
  switch (column.name) {
    case "row":
      return h("th", { scope: "row", role: "rowheader", class: "row" }, h("a", { href: linkTo(row), class: "open" }, rowName(row.row)));
    case "reward":
      return h("td", { role: "cell", class: "number reward" }, aligned(ownReward(row), places, { class: row.status === "scored" ? "" : "none" }));
    case "squares":
      return h("td", { role: "cell", class: "strip" }, squares(keys, row.sub_rewards));
    case "status":
      return h("td", { role: "cell", class: "status" }, status(row));
    case "id":
      return h("td", { role: "cell", class: "id", dir: "auto", title: row.id }, shown(row.id));
    case "excerpt":
      return h("td", { role: "cell", class: "excerpt", dir: "auto" }, h("span", {}, excerptNodes(row.excerpt)));
    case "length":
      return h("td", { role: "cell", class: "number length" }, count(row.length));
    case "seconds":
      return h("td", { role: "cell", class: "number time", title: seconds(row.seconds) }, row.seconds === null ? "-" : fixed(1000 * row.seconds, 2));
    default: {
      const value = row.sub_rewards[keys.indexOf(column.key)];
      return h("td", { role: "cell", class: "number sub" }, aligned(value, places, { class: `cell ${tint(value)}` }));
    }
  }
};

// Draws the table of a page. context: {run, path, query, data}; open: the row in the drawer, or null; hidden: names of
// columns; linkTo(row): its address.
export const drawTable = (place, { run, path, query, data, open, hidden = hiddenOf(run), linkTo = (row) => withQuery(path, changed(query, { row: row.row, page: data.page > 1 ? data.page : null })) }) => {
  const columns = columnsOf(data.keys).filter(({ name }) => !hidden.has(name));
  const valuesOf = ({ name, key }) =>
    name === "reward" ? data.rows.map(ownReward) : key ? data.rows.map((row) => row.sub_rewards[data.keys.indexOf(key)]) : [];
  const places = columns.map((column) => placesOf(valuesOf(column)));
  const head = (column) => {
    const order = column.sort && orderOf(query, column);
    const label = h("bdi", {}, shown(column.label));
    return h("th", { scope: "col", role: "columnheader", class: `${column.number ? "number " : ""}${column.name.split(".")[0]}`, "aria-sort": order, title: column.title ?? column.label },
      column.sort ? h("a", { href: withQuery(path, sortedBy(query, column)), "data-key": `sort-${column.name}` }, label, order && h("span", { "aria-hidden": "true" }, order === "ascending" ? " ↑" : " ↓")) : label);
  };
  const key = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  replace(
    place,
    h("table", { role: "table", class: "rows", "aria-label": "Rows" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(head))),
      h("tbody", { role: "rowgroup" }, data.rows.map((row) => {
        const made = h("tr", { role: "row", "data-row": row.row, "data-status": row.status, "aria-current": row.row === open ? "true" : null },
          columns.map((column, at) => cellOf(column, row, data.keys, linkTo, places[at])));
        const strip = data.keys.length && data.keys.length <= MOST_COLUMNS;
        if (strip) made.append(h("td", { role: "cell", class: "card-strip" }, squares(data.keys, row.sub_rewards)));
        return made;
      }))),
  );
  if (key) place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
};

// The order as a select, for where the heads of the columns are not seen.
export const sortSelect = (apply) => {
  const select = h("select", { class: "sort", "aria-label": "Order", on: { change: () => apply(select.value) } });
  return {
    element: select,
    draw(query, keys) {
      const choices = columnsOf(keys).filter(({ sort }) => sort).flatMap(({ sort, label }) => [[sort, `${label} ↑`], [`-${sort}`, `${label} ↓`]]);
      replace(select, choices.map(([value, label]) => h("option", { value }, shown(label))));
      select.value = query.get("sort") ?? "row";
    },
  };
};

// The page of the row itself, with the filters that lead to it.
export const rowHref = (run, row, query) => withQuery(runHref(run, "rows", row), filtersOf(query));
