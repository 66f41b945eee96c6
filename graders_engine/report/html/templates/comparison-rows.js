// The rows that changed: each opens in a drawer, by links such as `#68#2`, with both samples by words.

import { h } from "./dom.js";
import { makeDrawer } from "./drawer.js";
import { makeKeys } from "./keys.js";
import { pairView } from "./pair.js";
import { namedRow, recordedRow, rowsOf } from "./recorded.js";

const BECAME = { scored: "newly_valid", invalid: "newly_invalid", failed: "newly_failed" };

const changeOf = (a, b) => {
  if (a.status !== b.status) return BECAME[b.status];
  if (a.reward === b.reward) return "same";
  return b.reward > a.reward ? "better" : "worse";
};

// The pairs in the order of the lists, with what `drawer.js` asks of a row.
const pairsOf = ({ a, b }) => {
  const [before, after] = [rowsOf(a), rowsOf(b)];
  return before.map((row, at) => ({
    row: row.row, id: row.id, a: recordedRow(a, row), b: recordedRow(b, after[at]), change: changeOf(row, after[at]),
    previous: before[at - 1]?.row ?? null, next: before[at + 1]?.row ?? null, position: at, of: before.length,
  }));
};

const start = (data) => {
  const pairs = new Map(pairsOf(data).map((pair) => [pair.row, pair]));
  const open = (name) => `#${name}`;
  const links = new Map();
  const go = (address) => {
    history.replaceState(null, "", address);
    void drawer.show(namedRow());
  };
  const close = () => {
    const link = links.get(namedRow());
    go(link ? `#${link.closest("section").id}` : "#");
    link?.focus();
  };
  const drawer = makeDrawer({
    context: { signal: new AbortController().signal }, current: () => ({ query: new URLSearchParams() }), open, close,
    follow: (name) => go(open(name)),
    rows: {
      async get(name) {
        if (!pairs.has(name)) throw new Error(`Row ${name} is not in this file.`);
        return pairs.get(name);
      },
      view: (pair) => pairView(pair),
    },
  });
  for (const name of document.querySelectorAll("[data-pair]")) {
    const link = h("a", { href: open(name.dataset.pair) }, ...name.childNodes);
    if (!links.has(name.dataset.pair)) links.set(name.dataset.pair, link);
    name.append(link);
  }
  document.body.append(drawer.element);
  makeKeys().add([
    { key: "j", also: ["ArrowDown"], label: "next row", run: () => (namedRow() ? drawer.step(1) : false) },
    { key: "k", also: ["ArrowUp"], label: "previous row", run: () => (namedRow() ? drawer.step(-1) : false) },
    { key: "Escape", label: "close the row", run: () => (namedRow() ? close() : false) },
    { key: "c", label: "copy the link", run: () => drawer.copy() },
  ]);
  addEventListener("hashchange", () => void drawer.show(namedRow()));
  void drawer.show(namedRow());
};

start(JSON.parse(document.querySelector("#row-data").textContent));
