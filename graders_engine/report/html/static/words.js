// What two texts differ in, by words; long texts by lines, and of very long ones the first difference only.
import { h, plural, shown } from "./dom.js";

const MOST_WORDS = 1500;
const MOST_LINES = 20000;
// So many words or lines may be removed and added together. Texts that differ in more have little in common.
const MOST_CHANGES = 3000;
// A word, blanks, a sign; of scripts without blanks, each character.
const PIECE =
  /\s+|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]|[\p{L}\p{M}\p{N}_]+|[^\s\p{L}\p{M}\p{N}_]/gu;
const LINE = /[^\n]*\n|[^\n]+/g;

const countOf = (text, expression) => text.match(expression)?.length ?? 0;

// How two texts are compared: by "words", by "lines", or up to their "first" difference.
const mannerOf = (left, right) => {
  const size = Math.max(countOf(left, LINE), countOf(right, LINE));
  if (size > MOST_LINES) return "first";
  const isLong = [left, right].some((text) => countOf(text, /\S+/g) > MOST_WORDS || text.length > 100000);
  return isLong ? "lines" : "words";
};

// The indexes of a longest common subsequence, as [in the left one, in the right one, length] each (Myers 1986,
// An O(ND) difference algorithm); null if more is to be removed and added than the bound.
const commonOf = (left, right) => {
  const [n, m] = [left.length, right.length];
  const reach = Math.min(n + m, MOST_CHANGES);
  const ends = new Int32Array(2 * reach + 3);
  const trace = [];
  for (let d = 0; d <= reach; d++) {
    trace.push(ends.slice(reach + 1 - d - 1, reach + 1 + d + 2));
    for (let k = -d; k <= d; k += 2) {
      const at = reach + 1 + k;
      let x = k === -d || (k !== d && ends[at - 1] < ends[at + 1]) ? ends[at + 1] : ends[at - 1] + 1;
      while (x < n && x - k < m && left[x] === right[x - k]) x++;
      ends[at] = x;
      if (x >= n && x - k >= m) return back(trace, n, m);
    }
  }
  return null;
};

const back = (trace, n, m) => {
  const blocks = [];
  let [x, y] = [n, m];
  for (let d = trace.length - 1; d >= 0; d--) {
    const k = x - y;
    const before = (diagonal) => trace[d][diagonal + d + 1];
    const isDown = k === -d || (k !== d && before(k - 1) < before(k + 1));
    const [fromX, fromK] = isDown ? [before(k + 1), k + 1] : [before(k - 1), k - 1];
    const start = d === 0 ? 0 : isDown ? fromX : fromX + 1;
    if (x > start) blocks.push([start, start - k, x - start]);
    [x, y] = d === 0 ? [0, 0] : [fromX, fromX - fromK];
  }
  return blocks.reverse();
};

// Pieces of two lists of words or lines; those between two changes that are but blanks count as changed.
const compared = (left, right) => {
  const numbers = new Map();
  const numbered = (texts) =>
    Int32Array.from(texts, (text) => {
      if (!numbers.has(text)) numbers.set(text, numbers.size);
      return numbers.get(text);
    });
  const most = Math.min(left.length, right.length);
  let head = 0;
  while (head < most && left[head] === right[head]) head++;
  let tail = 0;
  while (tail < most - head && left[left.length - 1 - tail] === right[right.length - 1 - tail]) tail++;
  const middle = [left.slice(head, left.length - tail), right.slice(head, right.length - tail)];
  const blocks = (commonOf(...middle.map(numbered)) ?? []).filter(([start, other, size]) => {
    const ends = start === 0 || other === 0 || start + size === middle[0].length || other + size === middle[1].length;
    return ends || middle[0].slice(start, start + size).some((piece) => piece.trim());
  });
  const pieces = [];
  const add = (kind, texts) => {
    const text = texts.join("");
    if (!text) return;
    if (pieces.at(-1)?.kind === kind) pieces.at(-1).text += text;
    else pieces.push({ kind, text });
  };
  add("same", left.slice(0, head));
  let [x, y] = [0, 0];
  for (const [start, other, size] of [...blocks, [middle[0].length, middle[1].length, 0]]) {
    add("left", middle[0].slice(x, start));
    add("right", middle[1].slice(y, other));
    add("same", middle[0].slice(start, start + size));
    [x, y] = [start + size, other + size];
  }
  add("same", left.slice(left.length - tail));
  return pieces;
};

// Texts that are too long to be compared whole: what they begin with in common, and the rest of each.
const firstDifference = (left, right) => {
  const most = Math.min(left.length, right.length);
  let at = 0;
  while (at < most && left[at] === right[at]) at++;
  at = left === right ? at : left.lastIndexOf("\n", at - 1) + 1;
  const pieces = [
    { kind: "same", text: left.slice(0, at) },
    { kind: "left", text: left.slice(at) },
    { kind: "right", text: right.slice(at) },
  ];
  return pieces.filter(({ text }) => text);
};

const differ = (left, right, manner) => {
  if (manner === "first") return firstDifference(left, right);
  const expression = manner === "lines" ? LINE : PIECE;
  return compared(left.match(expression) ?? [], right.match(expression) ?? []);
};

// The pieces of two whole texts in their order: {kind: "same", "left" or "right", text}.
export const differences = (left, right) => differ(left, right, mannerOf(left, right));

const MANNERS = {
  words: "",
  lines: "These texts are long: they are compared by lines.",
  first: `These texts have more than ${MOST_LINES.toLocaleString("en")} lines: the first difference is marked, and all behind it.`,
};

const half = (pieces, kind, tag) =>
  pieces
    .filter((piece) => piece.kind !== (kind === "left" ? "right" : "left"))
    .map((piece) => (piece.kind === "same" ? shown(piece.text) : h(tag, { class: kind }, shown(piece.text))));

// Two texts beside each other with what differs marked; one where they are equal.
// `names`: of both. `whole`: how many characters each has where only its beginning is here; null for a whole text.
export const sideBySide = (left, right, { names = ["A", "B"], whole = [null, null] } = {}) => {
  const cut = [left, right].map((text, at) => whole[at] !== null && whole[at] !== undefined && whole[at] > text.length);
  const figure = (name, at, content) =>
    h(
      "figure",
      {},
      h("figcaption", {}, name, cut[at] ? `, the first ${plural([left, right][at].length, "character")} of ${plural(whole[at], "character")}` : ""),
      h("pre", { tabindex: 0, dir: "auto", "aria-label": name }, content, cut[at] ? "…" : ""),
    );
  const note = (text) => (text ? h("p", { class: "quiet" }, text) : null);
  if (left === right && !cut[0] && !cut[1])
    return h("div", { class: "sides one" }, figure(`The same in ${names[0]} and ${names[1]}`, 0, shown(left)));
  const manner = mannerOf(left, right);
  const pieces = differ(left, right, manner);
  return h(
    "div",
    { class: "sides" },
    note(cut[0] || cut[1] ? "Only what stands here is compared, not the rest of the texts." : ""),
    note(MANNERS[manner]),
    figure(names[0], 0, half(pieces, "left", "del")),
    figure(names[1], 1, half(pieces, "right", "ins")),
  );
};
