// An editor for graders: a textarea over a coloured copy of its text. Typing, undo and selection are the browser's.
import { h, replace } from "./dom.js";
import { offersAt } from "./offers.js";

const INDENT = "  ";
// A longer text is not coloured: that would be slower than typing.
const MOST_COLOURED = 100000;
const JSON_PIECES = /(?<text>"(?:[^"\\\n]|\\.)*"?)(?<key>\s*:)?|(?<value>\b(?:true|false|null)\b|-?\b\d[\d.eE+-]*)/g;
const YAML_PIECES =
  /(?<comment>(?:^|(?<=\s))#[^\n]*)|(?<key>^[ \t]*(?:- +)*(?:"[^"\n]*"|'[^'\n]*'|[^\s:#"'{[&*!|>-][^:#\n]*?))(?=\s*:(?:\s|$))|(?<text>"(?:[^"\\]|\\.)*"?|'[^'\n]*'?)|(?<value>(?<=:\s+|-\s+)(?:true|false|null|-?\d[\d.eE+-]*)(?=\s*(?:$|#)))/gm;
const TEMPLATE = /\{\{[^{}\n]*\}\}/g;

// Whether a text is JSON rather than YAML, by its first sign.
export const isJson = (text) => /^\s*["[{]/.test(text);

// [start, end, class] of what is coloured.
const coloured = (text) => {
  const found = [];
  const isInJson = isJson(text);
  for (const match of text.matchAll(isInJson ? JSON_PIECES : YAML_PIECES)) {
    const { comment, key, text: quoted, value } = match.groups;
    const kind = comment ? "comment" : isInJson ? (quoted ? (key ? "name" : "text") : "value") : key ? "name" : value ? "value" : "text";
    const piece = isInJson ? (quoted ?? value) : (comment ?? key ?? quoted ?? value);
    const start = match.index + (kind === "name" && !isInJson ? key.length - key.trimStart().length : 0);
    const end = match.index + piece.length;
    let from = start;
    if (kind === "text")
      for (const template of piece.matchAll(TEMPLATE)) {
        found.push([from, match.index + template.index, kind]);
        from = match.index + template.index + template[0].length;
        found.push([match.index + template.index, from, "template"]);
      }
    found.push([from, end, kind]);
  }
  return found;
};

// The offset of a line and a column, both from 1; columns count characters, not halves of pairs.
const offsetOf = (text, line, column) => {
  let start = 0;
  for (let at = 1; at < line; at++) {
    const end = text.indexOf("\n", start);
    if (end < 0) break;
    start = end + 1;
  }
  const end = text.indexOf("\n", start);
  const characters = [...text.slice(start, end < 0 ? text.length : end)];
  return start + characters.slice(0, column - 1).join("").length;
};

// Pieces of the text between all ends of colours and mistakes.
const painted = (text, colours, wrong) => {
  const ends = new Set([0, text.length]);
  for (const [start, end] of [...colours, ...wrong]) ends.add(start).add(end);
  const sorted = [...ends].sort((one, other) => one - other);
  const nodes = [];
  let at = 0;
  for (let i = 0; i + 1 < sorted.length; i++) {
    const [start, end] = [sorted[i], sorted[i + 1]];
    while (at < colours.length && colours[at][1] <= start) at++;
    const colour = at < colours.length && colours[at][0] <= start ? colours[at][2] : "";
    const isWrong = wrong.some(([from, to]) => from <= start && end <= to);
    const kind = [colour, isWrong ? "wrong" : ""].filter(Boolean).join(" ");
    nodes.push(kind ? h("span", { class: kind }, text.slice(start, end)) : text.slice(start, end));
  }
  return nodes;
};

// `onInput(text)` is called after each change. `schema` is a grader's JSON Schema, `paths` what templates may name.
export const makeEditor = ({ text, label, onInput, schema = null, paths = [], isReadOnly = false }) => {
  const area = h("textarea", {
    "aria-label": label, readonly: isReadOnly, spellcheck: "false", autocomplete: "off", autocapitalize: "off", wrap: "off",
    "aria-describedby": "editor-keys",
  });
  const copy = h("pre", { class: "copy", "aria-hidden": "true" });
  const numbers = h("pre", { class: "numbers", "aria-hidden": "true" });
  const list = h("ul", { class: "offers", role: "listbox", id: "offers", "aria-label": "What may stand here", hidden: true });
  const keys = h("p", { class: "unseen", id: "editor-keys" },
    "Tab indents; press Escape and then Tab to leave the editor. Control and the space bar offer what may stand here.");
  const node = h("div", { class: "editor" }, numbers, h("div", { class: "text" }, copy, area, list), keys);
  area.value = text;

  let mistakes = [];
  let offered = null; // {start, end, words, chosen}
  let dismissed = null; // where the word begins whose offers were closed with Escape
  let leaves = false; // whether the next Tab leaves the editor

  const inStep = () => {
    copy.scrollTop = numbers.scrollTop = area.scrollTop;
    copy.scrollLeft = area.scrollLeft;
  };
  const paint = () => {
    const value = area.value;
    const wrong = mistakes.map(({ line, column, length }) => {
      const start = offsetOf(value, line, column);
      return [start, Math.min(value.length, start + Math.max(1, length))];
    });
    // A last line without characters has a height only if something stands on it.
    replace(copy, value.length > MOST_COLOURED ? value : painted(value, coloured(value), wrong), "\n ");
    const lines = value.split("\n").length;
    const marked = new Set(mistakes.map(({ line }) => line));
    replace(numbers, Array.from({ length: lines }, (_, at) =>
      marked.has(at + 1) ? [h("span", { class: "wrong" }, at + 1), "\n"] : `${at + 1}\n`), " ");
    inStep();
  };

  // As if it had been typed, so that undo takes it back.
  const insert = (inserted, start = area.selectionStart, end = area.selectionEnd) => {
    area.setSelectionRange(start, end);
    const isDone = inserted
      ? document.execCommand("insertText", false, inserted)
      : start === end || document.execCommand("delete");
    if (isDone) return;
    area.setRangeText(inserted, start, end, "end");
    changed();
  };

  const changed = () => {
    mistakes = [];
    paint();
    onInput(area.value);
    offer(false);
  };

  const lineStart = (at) => area.value.lastIndexOf("\n", at - 1) + 1;

  const indent = (isBack) => {
    const [start, end] = [area.selectionStart, area.selectionEnd];
    const from = lineStart(start);
    const block = area.value.slice(from, end);
    if (!isBack && start === end) return insert(" ".repeat(2 - ((start - from) % 2)));
    const moved = isBack ? block.replace(/^ {1,2}/gm, "") : block.replace(/^(?=.)/gm, INDENT);
    if (moved === block) return;
    insert(moved, from, end);
    const first = moved.split("\n")[0].length - block.split("\n")[0].length;
    area.setSelectionRange(start === end ? Math.max(from, start + first) : from, from + moved.length);
    if (start === end) area.setSelectionRange(Math.max(from, start + first), Math.max(from, start + first));
  };

  const breakLine = () => {
    const [start, end] = [area.selectionStart, area.selectionEnd];
    const before = area.value.slice(lineStart(start), start);
    const margin = /^[ \t]*(?:- )?/.exec(before)[0].replace("-", " ");
    const opens = /[{[]\s*$/.test(before);
    const goesIn = opens || (!isJson(area.value) && /:\s*[|>]?\s*$/.test(before));
    const closes = opens && /^\s*[}\]]/.test(area.value.slice(end));
    insert(`\n${margin}${goesIn ? INDENT : ""}${closes ? `\n${margin}` : ""}`);
    if (closes) area.setSelectionRange(area.selectionStart - margin.length - 1, area.selectionStart - margin.length - 1);
  };

  // --- offers

  const close = () => {
    offered = null;
    list.hidden = true;
    area.removeAttribute("aria-activedescendant");
  };
  const offer = (isAsked) => {
    const at = area.selectionStart;
    const found = schema && at === area.selectionEnd ? offersAt(area.value, at, schema, paths) : null;
    if (found?.start !== dismissed || isAsked) dismissed = null;
    if (dismissed !== null) return close();
    const typed = found ? area.value.slice(found.start, at) : "";
    const words = (found?.words ?? []).filter(({ word }) => word.toLowerCase().startsWith(typed.toLowerCase()));
    const isNew = words.length > 1 || (words.length === 1 && words[0].word !== typed);
    if (!isNew || (!isAsked && !typed && !found.always)) return close();
    offered = { ...found, words, chosen: 0 };
    drawOffers();
    place();
  };
  const drawOffers = () => {
    replace(list, offered.words.map(({ word, about }, at) =>
      h("li", {
        role: "option", id: `offer-${at}`, "aria-selected": String(at === offered.chosen),
        on: { mousedown: (event) => (event.preventDefault(), take(at)) },
      }, h("b", {}, word), about ? h("span", { class: "quiet" }, about) : null)));
    list.hidden = false;
    area.setAttribute("aria-activedescendant", `offer-${offered.chosen}`);
    list.children[offered.chosen]?.scrollIntoView({ block: "nearest" });
  };
  // Below the caret, or above it near the end: a copy of the line up to there has its width.
  const place = () => {
    const from = lineStart(offered.start);
    const probe = h("span", { class: "probe" }, area.value.slice(from, offered.start));
    copy.append(probe);
    const { width } = probe.getBoundingClientRect();
    probe.remove();
    const height = parseFloat(getComputedStyle(area).lineHeight);
    const padding = parseFloat(getComputedStyle(area).paddingTop);
    const top = padding + height * area.value.slice(0, from).split("\n").length - area.scrollTop;
    const isLow = top + list.offsetHeight > area.clientHeight && top > list.offsetHeight + height;
    list.style.top = `${isLow ? top - height - list.offsetHeight : top}px`;
    list.style.left = `${Math.max(0, Math.min(width - area.scrollLeft, area.clientWidth - list.offsetWidth - 8))}px`;
  };
  const take = (at) => {
    const { start, end, words } = offered;
    close();
    insert(words[at].inserted ?? words[at].word, start, end);
    const back = words[at].back ?? 0;
    if (back) area.setSelectionRange(area.selectionStart - back, area.selectionStart - back);
    close();
  };

  area.addEventListener("input", changed);
  area.addEventListener("scroll", () => (inStep(), offered && close()));
  area.addEventListener("blur", close);
  area.addEventListener("click", close);
  area.addEventListener("keydown", (event) => {
    if (event.isComposing || isReadOnly) return;
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const does = (work) => (event.preventDefault(), event.stopPropagation(), work());
    if (event.key === " " && event.ctrlKey) return does(() => offer(true));
    if (offered && isPlain) {
      const count = offered.words.length;
      if (event.key === "ArrowDown" || event.key === "ArrowUp")
        return does(() => {
          offered.chosen = (offered.chosen + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
          drawOffers();
        });
      if (event.key === "Enter" || event.key === "Tab") return does(() => take(offered.chosen));
      if (event.key === "Escape") return does(() => ((dismissed = offered.start), close()));
    }
    if (event.key === "Escape") leaves = true;
    else if (event.key === "Tab" && isPlain && !leaves) does(() => indent(event.shiftKey));
    else if (event.key === "Enter" && isPlain && !event.shiftKey) does(breakLine);
    else if (!["Shift", "Tab"].includes(event.key)) leaves = false;
    if (/^(?:Arrow(?:Left|Right)|Home|End|Page)/.test(event.key)) close();
  });

  paint();
  return {
    node,
    get value() {
      return area.value;
    },
    set value(value) {
      area.focus();
      insert(value, 0, area.value.length);
      area.setSelectionRange(0, 0);
      area.scrollTop = 0;
      close();
    },
    set mistakes(found) {
      mistakes = found;
      paint();
    },
    set paths(found) {
      paths = found;
      const isInTemplate = /\{\{[^{}\n]*$/.test(area.value.slice(0, area.selectionStart));
      if (document.activeElement === area && isInTemplate) offer(false); // it was typed before they came
    },
    // Puts the caret where a mistake is, and selects it.
    goTo({ line, column, length }) {
      const start = offsetOf(area.value, line, column);
      area.focus();
      area.setSelectionRange(start, Math.min(area.value.length, start + length));
      const height = parseFloat(getComputedStyle(area).lineHeight);
      area.scrollTop = Math.max(0, (line - 1) * height - area.clientHeight / 2);
    },
  };
};
