// Elements, and numbers as the report writes them. Texts become text nodes: nothing is ever read as markup.

const HTML = new Set(
  ("a abbr article aside b bdi br button caption code dd del details dialog div dl dt em fieldset figcaption figure " +
    "footer form h1 h2 h3 h4 header hr i input ins kbd label legend li main mark nav ol optgroup option output p pre " +
    "progress s section select small span strong sub summary sup table tbody td textarea tfoot th thead tr u ul wbr")
    .split(" "),
);
const SVG = new Set("svg g path rect line circle ellipse polyline polygon text tspan title desc".split(" "));
const ATTRIBUTES = new Set(
  ("class id title href rel dir lang role tabindex type name value placeholder for scope colspan rowspan hidden " +
    "disabled checked selected open autocomplete autocapitalize spellcheck min max step rows cols wrap maxlength " +
    "readonly multiple label inputmode enterkeyhint list size start viewBox x y x1 x2 y1 y2 width height d points " +
    "cx cy r rx ry dx dy transform fill-opacity text-anchor preserveAspectRatio focusable " +
    "accesskey reversed draggable popover").split(" "),
);
const SPACE = "http://www.w3.org/2000/svg";

const isAllowed = (name) => ATTRIBUTES.has(name) || /^(aria|data)-[a-z0-9-]+$/.test(name);
// Links stay on this server's pages: no text of a row can make one that leads elsewhere.
const isLink = (value) => /^(\/view\/|\/reports\/[\w-]+$|\?|#)/.test(value);

const setAttribute = (element, name, value) => {
  if (value === null || value === undefined || value === false) return;
  if (!isAllowed(name)) throw new TypeError(`No attribute '${name}' is allowed here.`);
  if (name === "href" && !isLink(String(value))) throw new TypeError("Links lead to pages of this server only.");
  element.setAttribute(name, value === true ? "" : String(value));
};

const append = (element, children) => {
  for (const child of children.flat(Infinity))
    if (child !== null && child !== undefined && child !== false && child !== "") element.append(child);
  return element;
};

// An element. `attributes` may hold `on`: {event: listener}. Children: texts, numbers, nodes, lists of them, null.
export const h = (name, attributes = {}, ...children) => {
  const isSvg = SVG.has(name);
  if (!isSvg && !HTML.has(name)) throw new TypeError(`No element '${name}' is allowed here.`);
  const made = isSvg ? document.createElementNS(SPACE, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {}))
    if (key === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else setAttribute(made, key, value);
  return append(made, children);
};

// What the server sends as a tree, [name, {attribute: value}, [children]] or a text, as nodes. What is not
// allowed is left out, and its children stay.
export const fromTree = (tree, inSvg = false) => {
  if (!Array.isArray(tree)) return document.createTextNode(visible(String(tree ?? "")));
  const [name, attributes, children] = tree;
  const isSvg = name === "svg" || (inSvg && (name === "a" || SVG.has(name)));
  const within = isSvg;
  const nodes = (children ?? []).map((child) => fromTree(child, within));
  if (!isSvg && !HTML.has(name)) return append(document.createDocumentFragment(), nodes);
  const made = isSvg ? document.createElementNS(SPACE, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {}))
    if (isAllowed(key) && (key !== "href" || isLink(String(value)))) setAttribute(made, key, value);
  append(made, nodes);
  // A picture hides what is in it from those who listen; one with links is a group of them.
  if (name === "svg" && made.querySelector("a")) made.setAttribute("role", "group");
  return made;
};

export const replace = (element, ...children) => append((element.replaceChildren(), element), children);

// --- numbers, see formatting.py

// Half way between two numbers, the even last digit is written, as Python does; JavaScript alone takes the larger one.
// `longer` has one digit more, and no further one is lost.
const toEven = (nearest, longer) => {
  const shorter = longer.replace(/\.?\d$/, "");
  return longer.endsWith("5") && /[02468]$/.test(shorter) ? shorter : nearest;
};

// With so many decimals.
export const fixed = (value, places) => {
  const nearest = value.toFixed(places);
  // What has a further decimal and no more is a multiple of this power of two.
  return Number.isInteger(value * 2 ** (places + 1)) ? toEven(nearest, value.toFixed(places + 1)) : nearest;
};

// With so many significant digits, without zeros at the end.
const significant = (value, digits) => {
  const [nearest, exponent] = value.toExponential(digits - 1).split("e");
  const [longer, power] = value.toExponential(digits).split("e");
  // Only whole numbers can be half way: fractions that small have more digits.
  const isExact = Number.isInteger(value) && BigInt(value) % 10n ** BigInt(Math.max(0, power - digits)) === 0n;
  const found = isExact && exponent === power ? toEven(nearest, longer) : nearest;
  if (exponent >= -4 && exponent < digits) return String(Number(`${found}e${exponent}`));
  return `${found.replace(/\.?0+$/, "")}e${exponent.replace(/^([+-])(\d)$/, "$10$2")}`;
};

// A number with up to four decimals; a very small or very large one with three significant digits.
export const number = (value) => {
  if (value === null || value === undefined) return "-";
  const size = Math.abs(value);
  if (size < 1e6 && Number.isInteger(value)) return String(value + 0);
  return size >= 1e-3 && size < 1e6 ? fixed(value, 4).replace(/\.?0+$/, "") : significant(value, 3);
};

// A mean has all four decimals; a very large one has seven significant digits.
export const mean = (value) => {
  if (value === null || value === undefined) return "-";
  return Math.abs(value) < 1e7 ? unsigned(fixed(value, 4)) : significant(value, 7);
};

// No sign before a zero.
const unsigned = (text) => (Number(text) === 0 ? text.replace("-", "") : text);

// A difference with its sign.
export const signed = (value, places = 4) => `${value > 0 ? "+" : ""}${unsigned(fixed(value, places))}`;

// What a row without a reward is in the mean. `counted`: of it; null where it is in none.
export const inMean = (counted) => (counted === null || counted === undefined ? "in no mean" : `counts as ${number(counted)}`);

// The reward of a row that is scored: what is served of another one is none.
export const ownReward = ({ status, reward }) => (status === "scored" ? reward : null);

export const count = (value) => (value === null || value === undefined ? "-" : value.toLocaleString("en"));

export const percent = (share) => `${fixed(100 * share, 1)} %`;

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

export const seconds = (value) => {
  if (value === null || value === undefined) return "-";
  const [unit, size, places] = value >= 0.99995 ? ["s", 1, 2] : value >= 0.99995e-3 ? ["ms", 1e3, 1] : ["µs", 1e6, 1];
  return `${fixed(size * value, places).replace(/\B(?=(\d{3})+\.)/g, ",")} ${unit}`;
};

export const bytes = (value) => {
  const units = ["B", "kB", "MB", "GB"];
  let at = 0;
  for (; value >= 1000 && at < 3; at++) value /= 1000;
  return `${fixed(value, at && value < 10 ? 1 : 0)} ${units[at]}`;
};

// How many decimals of a column are seen; null where its numbers are of other forms, such as 1e-05.
export const placesOf = (values) => Math.max(0, ...values.map((value) => decimalsOf(number(value)) ?? 0));
const decimalsOf = (text) => {
  const found = /^-?\d+(?:\.(\d+))?$/.exec(text);
  return found ? (found[1] ?? "").length : null;
};

// A number for a column of so many places: the points stand below each other, see base.css.
export const aligned = (value, places, attributes = {}) => {
  const text = number(value);
  const own = decimalsOf(text) ?? places;
  const pad = own < places ? `${own ? "more" : "point"}-${places - own}` : "";
  return h("span", { ...attributes, class: `${pad} ${attributes.class ?? ""}`.trim() || null }, text);
};

// The class of a reward's tint: full marks are quiet, and what is missing shows, darker the less there is.
export const tint = (value) => {
  if (value === null || value === undefined) return "none";
  if (value >= 1) return "full";
  return `m${Math.min(5, Math.max(1, Math.ceil(5 * (1 - value))))}`;
};

// --- texts: no character may hide, or change the direction of others

const HIDDEN =
  // eslint-disable-next-line no-control-regex
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u2028\u2029\ufffe\uffff\u{e0000}-\u{e0fff}]|\p{Cs}/gu;
const NAMES = {
  0x00: "NUL", 0x07: "BEL", 0x08: "BS", 0x0d: "CR", 0x1b: "ESC", 0x7f: "DEL", 0x85: "NEL", 0xad: "SHY", 0x61c: "ALM",
  0x200b: "ZWSP", 0x200e: "LRM", 0x200f: "RLM", 0x202a: "LRE", 0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO",
  0x202e: "RLO", 0x2028: "LS", 0x2029: "PS", 0x2060: "WJ", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI",
  0xfeff: "BOM",
};
const nameOf = (character) => {
  const code = character.codePointAt(0);
  return NAMES[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
};

// The text with each hidden character as its name in angle brackets, for places that hold texts only.
export const visible = (text) =>
  text.replaceAll("\r\n", "\n").replace(HIDDEN, (character) => `⟨${nameOf(character)}⟩`);

// The same as nodes, the names set off from the text.
export const shown = (text) => {
  const whole = text.replaceAll("\r\n", "\n");
  const nodes = [];
  let end = 0;
  for (const match of whole.matchAll(HIDDEN)) {
    nodes.push(whole.slice(end, match.index), h("span", { class: "hidden" }, nameOf(match[0])));
    end = match.index + match[0].length;
  }
  return [...nodes, whole.slice(end)];
};

// The words of a search as expressions: words, words in quotes as one, /an expression/ alone.
export const wordsOf = (search) => {
  const whole = /^\/(.+)\/$/.exec(search.trim());
  if (whole) return [whole[1]];
  return [...search.matchAll(/"([^"]+)"|(\S+)/g)].map(([, quoted, word]) =>
    (quoted ?? word).replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"),
  );
};

// One expression that finds all words of a search; null without any.
export const expressionOf = (search) => {
  const words = wordsOf(search);
  if (!words.length) return null;
  try {
    return new RegExp(words.join("|"), "giu");
  } catch {
    return null; // the server says what is wrong with it
  }
};

const MOST_MARKS = 2000;

// The text as nodes, with what a search found marked.
export const marked = (text, expression) => {
  if (!expression) return shown(text);
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(expression)) {
    if (!match[0]) continue;
    nodes.push(shown(text.slice(end, match.index)), h("mark", {}, shown(match[0])));
    end = match.index + match[0].length;
    if (nodes.length >= 2 * MOST_MARKS) break;
  }
  return [nodes, shown(text.slice(end))].flat(2);
};

// Saves a text or a blob as a file.
export const save = (content, name) => {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content]));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
};
