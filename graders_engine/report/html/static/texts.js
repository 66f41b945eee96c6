// Texts of a row: as they are, JSON with line breaks, chats by role.

import { count, expressionOf, h, marked } from "./dom.js";

const MOST_PRETTY = 200000;
const MOST_DEPTH = 200; // deeper, the blanks would be most of the text
const TOKEN = /"(?:[^"\\]|\\.)*"?|[{}[\]:,]|[^\s{}[\]:,"]+/gs;

const isJson = (text) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

const isTooDeep = (text) => {
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
    if (depth > MOST_DEPTH) return true;
  }
  return false;
};

// JSON with line breaks, as nodes. Its tokens stay as they are: 1.0 does not become 1.
const pretty = (text, mark) => {
  const tokens = text.match(TOKEN) ?? [];
  const nodes = [];
  let run = "";
  let depth = 0;
  const flush = () => run && (nodes.push(...mark(run)), (run = ""));
  const line = () => (run += `\n${"  ".repeat(Math.max(0, depth))}`);
  tokens.forEach((token, at) => {
    if (token === "}" || token === "]") {
      depth -= 1;
      if (!/^[{[]$/.test(tokens[at - 1] ?? "")) line();
    }
    if (token[0] === '"' && tokens[at + 1] === ":") {
      flush();
      nodes.push(h("span", { class: "name" }, mark(token)));
    } else run += token === ":" ? ": " : token;
    if (token === "{" || token === "[") {
      depth += 1;
      if (!/^[}\]]$/.test(tokens[at + 1] ?? "")) line();
    } else if (token === ",") line();
  });
  flush();
  return nodes;
};

// The nodes of a text; JSON with line breaks where it is JSON, or the beginning of it.
export const contentOf = (text, { kind = "text", chars = null, words = "" } = {}) => {
  const expression = expressionOf(words ?? "");
  const mark = (piece) => marked(piece, expression);
  const isCut = chars !== null && chars > text.length;
  const isPretty = kind === "json" && text.length <= MOST_PRETTY && (isCut || isJson(text)) && !isTooDeep(text);
  return isPretty ? pretty(text, mark) : mark(text);
};

// A text in a box; `whole()` saves all of one that was cut.
export const textBox = (label, text, { kind, chars = null, words, whole = null, plain = false } = {}) => {
  const isCut = chars !== null && chars > text.length;
  return [
    h(plain ? "div" : "pre", { class: plain ? "text plain" : "text", tabindex: plain ? null : 0, role: plain ? null : "group", "aria-label": plain ? null : label, dir: "auto" },
      text === "" ? h("span", { class: "quiet" }, "(empty)") : contentOf(text, { kind, chars, words }), isCut && " …"),
    isCut && h("p", { class: "cut small quiet" }, `The first ${count([...text].length)} of ${count(chars)} characters. `,
      whole && h("button", { type: "button", class: "link", on: { click: whole } }, "Save the whole text")),
  ];
};

export const folded = (summary, ...content) => h("details", { class: "fold" }, h("summary", {}, summary), content);

const toolCalls = (calls, words) =>
  (calls ?? []).map((call) =>
    h("div", { class: "call" }, h("code", {}, marked(call.name ?? "", null)), h("pre", { class: "text", dir: "auto" }, contentOf(call.arguments ?? "", { kind: "json", words }))));

// The messages of a chat, each by its role; what a model thought is folded.
export const chat = (messages, words) =>
  h("div", { class: "chat" },
    messages.map((message) =>
      h("div", { class: "message" },
        h("p", { class: "role small quiet" }, marked(message.role ?? "", null)),
        message.reasoning && folded("Reasoning", h("div", { class: "text plain", dir: "auto" }, contentOf(message.reasoning, { words }))),
        message.text && h("div", { class: "text plain", dir: "auto" }, contentOf(message.text, { words })),
        toolCalls(message.tool_calls, words))));
