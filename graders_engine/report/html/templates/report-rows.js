// The rows that this file holds: searched, filtered, sorted, and each opened in a drawer. What holds is in the address:
// `#68#2` opens a row, `#?status=invalid&row=68%232` does so among those of a filter.

import { count, fromTree, h, visible, wordsOf } from "./dom.js";
import { likeAt, makeDrawer } from "./drawer.js";
import { makeKeys } from "./keys.js";
import { namedRow, recordedRow, rowsOf } from "./recorded.js";
import { changed, readRange, withQuery, writeRange } from "./state.js";
import { drawTable } from "./table.js";

const BATCH = 50;
const EXCERPT_CHARS = 140;
// What the sections mark, and what of an address selects, opens or sorts those rows.
const MARKS = { row: "row", flag: "flag", status: "status", blame: "blame", reward: "reward", sub: "sort" };

const addressOf = (query) => {
  const names = [...query.keys()];
  if (!names.length) return "#?";
  return names.length === 1 && names[0] === "row" ? `#${query.get("row")}` : withQuery("#", query);
};

// What the address of the page asks for; null where it names a section.
const asked = () => {
  const row = namedRow();
  if (row) return new URLSearchParams({ row });
  return location.hash.startsWith("#?") ? new URLSearchParams(location.hash.replace(/^#\?+/, "")) : null;
};

// The texts of a row that a search looks at, with the name that an excerpt has for them.
const textsOf = (row) => [
  ["sample", row.sample],
  ["item", row.item],
  ["flags", Object.entries(row.details).flat().join("\n")],
  ["row", `${row.row} ${row.id}`],
];

const matches = (row, words) => {
  const texts = textsOf(row);
  return words.every((word) => texts.some(([, text]) => word.test(text)));
};

// The start of the sample, or the part of the text with most of the words of a search: why the row was found.
const excerptOf = (row, words) => {
  let [from, whole, start, most] = ["sample", row.sample, 0, 0];
  for (const [name, text] of textsOf(row)) {
    const found = words.map((word) => text.search(word)).filter((at) => at >= 0);
    if (found.length <= most) continue;
    [from, whole, most] = [name, text, found.length];
    const first = Math.min(...found);
    start = first > EXCERPT_CHARS / 2 ? Math.floor(first - EXCERPT_CHARS / 4) : 0;
  }
  const text = whole.slice(start, start + EXCERPT_CHARS).replace(/\s+/g, " ");
  const marks = words.flatMap(({ source }) =>
    [...text.matchAll(new RegExp(source, "giu"))].map((match) => [match.index, match.index + match[0].length]));
  return { text, marks: marks.sort(([a], [b]) => a - b), in: from, before: start > 0, after: start + EXCERPT_CHARS < whole.length };
};

const isWithin = (value, range) =>
  !range || (value !== null && !(range.low !== null && value < range.low) &&
    !(range.high !== null && (range.below ? value >= range.high : value > range.high)));

const expressionsOf = (search) => {
  try {
    return wordsOf(search).map((word) => new RegExp(word, "iu"));
  } catch {
    return [/(?!)/u]; // no expression finds nothing
  }
};

// The rows that pass what holds, in its order; rows without the value that they are sorted by come last.
const selected = (rows, keys, query, words) => {
  const [status, blame, flag, range] = [query.get("status"), query.get("blame"), query.get("flag"), readRange(query.get("reward"))];
  const found = rows.filter((row) =>
    (!status || row.status === status) && (!blame || row.blame === blame) &&
    (!flag || (flag === "-" ? !row.flags.length : row.flags.includes(flag))) && isWithin(row.reward, range) && matches(row, words));
  const [, falls, name] = /^(-?)(.*)$/s.exec(query.get("sort") ?? "row");
  const part = name.startsWith("sub.") ? keys.indexOf(name.slice(4)) : -1;
  const value = (row) => (part >= 0 ? row.sub_rewards[part] : name === "reward" || name === "seconds" ? row[name] : row.at);
  return found.sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === null || right === null) return (left === null) - (right === null) || a.at - b.at;
    return (falls ? right - left : left - right) || a.at - b.at;
  });
};

const placeOf = (row, among) => {
  const at = among.indexOf(row);
  return { previous: among[at - 1]?.row ?? null, next: among[at + 1]?.row ?? null, position: at, of: among.length };
};

const makeRows = (data, section) => {
  const rows = rowsOf(data);
  const byName = new Map(rows.map((row) => [row.row, row]));
  const ofPrompt = Map.groupBy(rows, ({ prompt }) => prompt);
  const find = (selector) => section.querySelector(selector);
  const [holder, counted, more] = [find("#rows"), find("output"), find(".more")];
  const fields = Object.fromEntries(["words", "status", "flag", "from", "to"].map((name) => [name, find(`[name=${name}]`)]));
  const hidden = new Set(["length", ...(data.timed ? [] : ["seconds"]), ...(rows.some(({ id }) => id) ? [] : ["id"])]);
  let query = new URLSearchParams();
  let [among, limit, opened, opener] = [rows, BATCH, null, null];

  // The first sample stands for a row that is named by its line alone.
  const named = (name) => byName.get(name) ?? byName.get(`${name}#1`) ?? null;
  const address = (name) => addressOf(changed(query, { row: name }));
  const instead = (next) => {
    history.replaceState(null, "", addressOf(next));
    return follow();
  };
  const close = () => {
    const row = opened;
    void instead(changed(query, { row: null }));
    if (opener?.isConnected && opener !== document.body) opener.focus();
    else holder.querySelector(`tr[data-row="${CSS.escape(row ?? "")}"] a`)?.focus();
  };
  const source = {
    async get(name) {
      const row = named(name);
      if (!row) throw new Error(`Row ${name} is not in this file.${data.viewed ? ` ${data.viewed} shows it.` : ""}`);
      const siblings = ofPrompt.get(row.prompt).map((one) => ({ row: one.row, reward: one.reward, status: one.status }));
      return { ...recordedRow(data, row), ...placeOf(row, among.includes(row) ? among : rows), siblings, siblings_note: data.whole ? "" : "those in this file" };
    },
    of: (row) => ({ like: likeAt("#", changed(query, { row: null }), row) }),
  };
  const drawer = makeDrawer({
    context: { path: "#", signal: new AbortController().signal }, current: () => ({ query }), rows: source, open: address,
    follow: (name) => instead(changed(query, { row: name })), close,
  });

  const drawRows = () => {
    const words = expressionsOf(query.get("q") ?? "");
    among = selected(rows, data.keys, query, words);
    const drawn = among.slice(0, limit).map((row) => ({ ...row, excerpt: excerptOf(row, words) }));
    drawTable(holder, { path: "#?", query, data: { keys: data.keys, rows: drawn, page: 1 }, open: opened, hidden, linkTo: ({ row }) => address(row) });
    counted.textContent = `${count(among.length)} of the ${count(rows.length)} ${data.unit} in this file`;
    more.hidden = drawn.length === among.length;
    more.textContent = `Show ${Math.min(BATCH, among.length - drawn.length)} more`;
  };
  more.addEventListener("click", () => {
    limit += BATCH;
    drawRows();
    holder.querySelectorAll("a.open")[limit - BATCH]?.focus();
  });

  const drawFields = () => {
    const range = readRange(query.get("reward"));
    const values = { words: query.get("q"), status: query.get("blame") ?? query.get("status"), flag: query.get("flag"), from: range?.low, to: range?.high };
    for (const [name, field] of Object.entries(fields)) if (field !== document.activeElement) field.value = values[name] ?? "";
  };

  const search = () => {
    const kind = fields.status.value;
    const isStatus = ["scored", "invalid", "failed"].includes(kind);
    const [low, high] = [fields.from, fields.to].map(({ value }) => (value === "" ? null : Number(value)));
    const before = readRange(query.get("reward"));
    void instead(changed(query, {
      q: fields.words.value.trim(), status: isStatus ? kind : null, blame: isStatus ? null : kind, flag: fields.flag.value,
      reward: writeRange({ low, high, below: Boolean(before?.below && before.high === high) }), row: null,
    }));
  };
  for (const field of Object.values(fields)) field.addEventListener("input", search);
  find(".clear").addEventListener("click", () => void instead(new URLSearchParams()));

  // What the address asks for; a section's closes the open row.
  async function follow() {
    const next = asked() ?? changed(query, { row: null });
    const isOther = String(changed(next, { row: null })) !== String(changed(query, { row: null }));
    query = next;
    if (asked()) history.replaceState(null, "", addressOf(query));
    if (!opened) opener = document.activeElement;
    opened = query.get("row") && (named(query.get("row"))?.row ?? query.get("row"));
    if (isOther) limit = BATCH;
    drawFields();
    drawRows();
    if (isOther && !section.contains(document.activeElement)) section.scrollIntoView();
    await drawer.show(opened);
  }
  addEventListener("hashchange", () => void follow());

  const step = (by) => (opened ? drawer.step(by) : false);
  makeKeys().add([
    { key: "j", also: ["ArrowDown"], label: "next row", run: () => step(1) },
    { key: "k", also: ["ArrowUp"], label: "previous row", run: () => step(-1) },
    { key: "[", label: "previous sample of the prompt", run: () => drawer.sample(-1) },
    { key: "]", label: "next sample of the prompt", run: () => drawer.sample(1) },
    { key: "Escape", label: "close the row", run: () => (opened ? close() : false) },
    { key: "/", label: "search", run: () => (fields.words.focus(), fields.words.select()) },
    { key: "c", label: "copy the link", run: () => drawer.copy() },
    { key: "x", label: "only what differs", run: () => drawer.onlyDiffering() },
  ]);
  holder.addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr");
    if (row && !event.target.closest("a") && !String(getSelection())) row.querySelector("a.open").click();
  });

  listFlags(rows, fields.flag, data.whole ? "" : " in this file");
  linkSections(named);
  document.body.append(drawer.element);
  find(".needs-script").hidden = false;
  void follow();
};

const listFlags = (rows, select, where) => {
  const counts = new Map();
  for (const { flags } of rows) for (const flag of flags) counts.set(flag, (counts.get(flag) ?? 0) + 1);
  for (const [flag, times] of [...counts].sort(([, left], [, right]) => right - left))
    select.append(h("option", { value: flag }, visible(`${flag} (${count(times)}${where})`)));
  if (counts.size) select.append(h("option", { value: "-" }, "none"));
  select.parentNode.hidden = !counts.size;
};

// What other sections name becomes a link to those rows.
const linkSections = (named) => {
  for (const [mark, name] of Object.entries(MARKS))
    for (const element of document.querySelectorAll(`main [data-${mark}]`)) {
      const value = (mark === "sub" ? "sub." : "") + element.dataset[mark];
      if (element.closest("#rows") || (mark === "row" && !named(value))) continue;
      const isShape = element instanceof SVGElement;
      const link = fromTree(["a", { href: addressOf(new URLSearchParams({ [name]: value })) }, []], isShape);
      if (isShape) {
        element.closest("svg").setAttribute("role", "group"); // a picture hides what is in it from those who listen
        element.replaceWith(link);
        link.append(element);
      } else {
        link.append(...element.childNodes);
        element.append(link);
      }
    }
};

const section = document.querySelector("#table");
if (section) makeRows(JSON.parse(document.querySelector("#row-data").textContent), section);
