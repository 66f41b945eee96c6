// A grader as the editor begins with it: JSON, or YAML where a text of it has several lines, such as python's source.

// What YAML takes for a line break or for nothing, or what JSON escapes in another way: such texts stay in JSON.
const ODD = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const PLAIN_KEY = /^[A-Za-z_]\w*$/;
const RESERVED = /^(?:y|n|yes|no|on|off|true|false|null)$/i; // no texts in YAML

const valuesOf = (value) => (value !== null && typeof value === "object" ? Object.entries(value).flatMap(([key, one]) => [key, ...valuesOf(one)]) : [value]);
const isBlock = (value) => typeof value === "string" && /\n./.test(value) && !/[ \t]\n*$/.test(value);

const blockOf = (text, indent) => {
  const lines = text.split("\n");
  const chomping = !text.endsWith("\n") ? "-" : text.endsWith("\n\n") ? "+" : "";
  const end = text.endsWith("\n") ? lines.slice(0, -1) : lines;
  return [`|${/^\s/.test(text) ? 2 : ""}${chomping}`, ...end.map((line) => (line ? indent + line : ""))];
};

// The lines of a value; the first one goes on behind the key or the dash before it.
const linesOf = (value, indent) => {
  if (isBlock(value)) return blockOf(value, indent);
  if (value === null || typeof value !== "object" || !Object.keys(value).length) return [JSON.stringify(value)];
  const entries = Array.isArray(value) ? value.map((one) => ["-", one]) : Object.entries(value).map(([key, one]) => [`${PLAIN_KEY.test(key) && !RESERVED.test(key) ? key : JSON.stringify(key)}:`, one]);
  return ["", ...entries.flatMap(([head, one]) => {
    const [first, ...rest] = linesOf(one, `${indent}  `);
    return [indent + head + (first && ` ${first}`), ...rest];
  })];
};

export const textOf = (grader) => {
  const all = valuesOf(grader);
  const isExact = all.every((one) => (typeof one === "number" ? /^-?\d+(\.\d+)?$/.test(String(one)) : typeof one !== "string" || !ODD.test(one)));
  if (!isExact || !all.some(isBlock)) return `${JSON.stringify(grader, null, 2)}\n`;
  return `${linesOf(grader, "").slice(1).join("\n")}\n`;
};
