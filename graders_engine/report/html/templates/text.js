"use strict";

// An element with these properties and children; texts become text nodes, so nothing is read as markup.
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// A number as the rest of the report writes it, see `format_number` in formatting.py.
const formatNumber = (value) => {
  const size = Math.abs(value);
  if (size < 1e6 && Number.isInteger(value)) return String(value);
  if (size >= 1e-3 && size < 1e6) return value.toFixed(4).replace(/0+$/, "");
  if (size >= 1e-4 && size < 1) return String(Number(value.toPrecision(3)));
  return value.toExponential(2).replace(/\.?0+e/, "e").replace(/e([+-])(\d)$/, "e$10$2");
};

const formatCount = (count) => count.toLocaleString("en");

// The words of a search, and words in quotes as one, each as an expression that finds it in any case.
const expressionsOf = (words) =>
  [...words.matchAll(/"([^"]+)"|\S+/g)].map(
    ([word, quoted]) => new RegExp((quoted ?? word).replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "iu"),
  );

const MAX_MARKS = 2000;

// The text as nodes, with each match of an expression marked.
const marked = (text, expressions) => {
  if (!expressions.length) return [text];
  const any = new RegExp(expressions.map(({ source }) => source).join("|"), "giu");
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(any)) {
    nodes.push(text.slice(end, match.index), element("mark", { textContent: match[0] }));
    end = match.index + match[0].length;
    if (nodes.length >= 2 * MAX_MARKS) break;
  }
  return [...nodes, text.slice(end)];
};
