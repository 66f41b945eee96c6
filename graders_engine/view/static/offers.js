// What may stand at a place in a grader's text: keys and values that its JSON Schema allows, paths of templates.

// The objects and lists that are open at a place in JSON: [{isList, keys, key, start}], and whether a string is open.
const jsonAt = (text, at) => {
  const open = [];
  let key = null;
  const pieces = /"(?:[^"\\\n]|\\.)*("|(?=\n)|$)|[{}[\],:]/g;
  for (const match of text.slice(0, at).matchAll(pieces)) {
    const [piece, closing] = match;
    const top = open.at(-1);
    if (piece[0] === '"') {
      if (!closing && match.index + piece.length === at) return { open, string: match.index, isKey: isKeyPlace(top) };
      if (isKeyPlace(top)) key = unquoted(piece);
    } else if (piece === "{" || piece === "[") {
      open.push({ isList: piece === "[", start: match.index, step: top ? (top.isList ? "[]" : top.key) : null, key: null, at: 0 });
    } else if (piece === "}" || piece === "]") open.pop();
    else if (piece === ":" && top) [top.key, top.hasColon] = [key, true];
    else if (piece === "," && top) [top.key, top.hasColon] = [null, false];
  }
  return { open, string: null, isKey: isKeyPlace(open.at(-1)) };
};
const isKeyPlace = (top) => Boolean(top && !top.isList && !top.hasColon);
const unquoted = (piece) => {
  try {
    return JSON.parse(piece);
  } catch {
    return piece.slice(1);
  }
};

// The keys of the object that begins at a place, with the texts that are their values; also of one that is not closed.
const keysFrom = (text, start) => {
  const found = {};
  let depth = 0;
  let key = null;
  for (const match of text.slice(start).matchAll(/"(?:[^"\\\n]|\\.)*"?|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    const [piece] = match;
    if (piece === "{" || piece === "[") depth++;
    else if (piece === "}" || piece === "]") {
      if (!--depth) break;
    } else if (depth !== 1) continue;
    else if (piece === ",") key = null;
    else if (piece === ":") continue;
    else if (key === null) found[(key = unquoted(piece.startsWith('"') ? piece : `"${piece}"`))] = null;
    else found[key] = piece.startsWith('"') ? unquoted(piece) : piece;
  }
  return found;
};

// The same for YAML: the blocks around a line, by indentation.
const yamlAt = (text, at) => {
  const start = text.lastIndexOf("\n", at - 1) + 1;
  const lines = text.slice(0, start).split("\n").slice(0, -1);
  const now = text.slice(start, at);
  let margin = /^[ ]*(?:- +)?/.exec(now)[0].length;
  const own = margin;
  const steps = [];
  for (let i = lines.length - 1; i >= 0 && margin > 0; i--) {
    const found = /^([ ]*(?:- +)?)("?)([^\s:#"][^:#"]*)\2\s*:(.*)$/.exec(lines[i]);
    if (!found || found[1].length >= margin) continue;
    if (/-/.test(lines[i].slice(0, margin)) || /^\s*- /.test(now)) steps.unshift("[]");
    steps.unshift(found[3].trim());
    margin = found[1].length;
  }
  const all = text.split("\n");
  const here = lines.length;
  const keys = {};
  for (const direction of [-1, 1])
    for (let i = here + direction; i >= 0 && i < all.length; i += direction) {
      const indent = /^[ ]*(?:- +)?/.exec(all[i])[0].length;
      if (!all[i].trim()) continue;
      if (indent < own) break;
      const found = indent === own && /^[ ]*(?:- +)?"?([^\s:#"]+)"?\s*:\s*"?([^"#]*?)"?\s*$/.exec(all[i]);
      if (found) keys[found[1]] = found[2];
      if (direction < 0 && /^[ ]*- /.test(all[i]) && indent === own) break;
    }
  const pair = /^[ ]*(?:- +)?"?([^\s:#"]+)"?\s*:\s+(.*)$/.exec(now);
  return { steps, keys, key: pair?.[1] ?? null, typed: pair ? pair[2] : now.trimStart().replace(/^- +/, "") };
};

// --- the schema

const resolve = (schema, part) => (part?.$ref ? schema.$defs[part.$ref.split("/").at(-1)] : part);
const choicesOf = (schema, part) => {
  const whole = resolve(schema, part);
  const inner = whole?.oneOf ?? whole?.anyOf;
  return inner ? inner.flatMap((one) => choicesOf(schema, one)) : whole ? [whole] : [];
};
const typeOf = (choice) => choice.properties?.type?.const ?? choice.properties?.type?.enum?.[0];

// The schemas that the value after these steps may have. `types`: the `type` of each object on the way, if it has one.
const after = (schema, steps, types) => {
  let choices = choicesOf(schema, schema);
  steps.forEach((step, at) => {
    choices = narrowed(choices, types[at]).flatMap((choice) => {
      const next = step === "[]" ? choice.items : (choice.properties?.[step] ?? choice.additionalProperties);
      return next ? choicesOf(schema, next) : [];
    });
  });
  return choices;
};
const narrowed = (choices, type) => {
  const fitting = choices.filter((choice) => type && typeOf(choice) === type);
  return fitting.length ? fitting : choices;
};

// What the values of a key say too shortly.
const ABOUT = {
  operation: { eq: "equal", ne: "not equal", like: "contains the reference", ilike: "contains it in any case" },
};

const aboutOf = (property) => property?.description ?? "";
const keyWords = (schema, choices, keys) => {
  const objects = narrowed(choices.filter(({ properties }) => properties), keys.type);
  const found = new Map();
  for (const { properties, required = [] } of objects)
    for (const [name, property] of Object.entries(properties))
      if (!(name in keys) && name !== "id" && name !== "sampling_parameters" && !found.has(name))
        found.set(name, { word: name, about: aboutOf(property) || (required.includes(name) ? "needed" : ""), property, isNeeded: required.includes(name) });
  return [...found.values()].sort((one, other) => other.isNeeded - one.isNeeded);
};
const valueWords = (schema, choices, key, keys) => {
  const found = new Map();
  const objects = key === "type" ? choices : narrowed(choices, keys.type);
  for (const { properties } of objects)
    for (const choice of properties?.[key] ? choicesOf(schema, properties[key]) : [])
      for (const word of choice.enum ?? (choice.const === undefined ? [] : [choice.const])) found.set(word, { word: String(word), about: ABOUT[key]?.[word] ?? "" });
  return [...found.values()];
};

const FUNCTIONS = ["min", "max", "abs", "floor", "ceil", "exp", "sqrt", "log"];

// What may stand at `at`: {start, end, words: [{word, about, inserted, back}], always}; null for nothing.
export const offersAt = (text, at, schema, paths) => {
  const template = /\{\{\s*([\w.[\]]*)$/.exec(text.slice(Math.max(0, at - 200), at));
  if (template) {
    const rest = /^[\w.[\]]*/.exec(text.slice(at))[0].length;
    const closes = /^\s*\}\}/.test(text.slice(at + rest)) ? "" : "}}";
    const words = paths.map((word) => ({ word, about: "", inserted: word + closes }));
    return { start: at - template[1].length, end: at + rest, words, always: true };
  }
  return /^\s*["[{]/.test(text) ? inJson(text, at, schema) : inYaml(text, at, schema);
};

const ofFormula = (text, at, keys) => {
  const typed = /[A-Za-z_]\w*$/.exec(text.slice(0, at))?.[0] ?? "";
  const words = [
    ...keys.map((word) => ({ word, about: "a grader" })),
    ...FUNCTIONS.map((word) => ({ word, about: "a function", inserted: `${word}()`, back: 1 })),
  ];
  return { start: at - typed.length, end: at, words, always: false };
};

const inJson = (text, at, schema) => {
  const { open, string, isKey } = jsonAt(text, at);
  const top = open.at(-1);
  if (!top || (string === null && text[at - 1] === '"')) return null;
  const keys = open.map(({ start, isList }) => (isList ? {} : keysFrom(text, start)));
  const choices = after(schema, open.slice(1).map(({ step }) => step), keys.map(({ type }) => type));
  const own = keys.at(-1);
  if (!isKey && top.key === "calculate_output" && string !== null)
    return ofFormula(text, at, partsOf(text, open[0]?.start ?? 0));
  const start = string ?? at - /[\w.]*$/.exec(text.slice(0, at))[0].length;
  const quoted = /^[^"\n,}\]]*"/.exec(text.slice(at));
  const end = string !== null && quoted ? at + quoted[0].length : at;
  const wrap = (word) => JSON.stringify(word);
  if (isKey) {
    const colon = /^\s*:/.test(text.slice(end)) ? "" : ": ";
    const words = keyWords(schema, choices, own).map(({ word, about, property }) => {
      const value = colon ? openingOf(schema, property) : "";
      return { word: wrap(word), about, inserted: wrap(word) + colon + value, back: value.length > 1 ? 1 : 0 };
    });
    return { start, end, words: unquotedWords(words, string === null), always: string !== null };
  }
  if (top.isList || !top.hasColon) return null;
  const words = valueWords(schema, choices, top.key, own).map(({ word, about }) => ({ word: wrap(word), about }));
  return words.length ? { start, end, words: unquotedWords(words, string === null), always: true } : null;
};
// Without a quote before the caret, words are looked up by their letters, and inserted with quotes.
const unquotedWords = (words, isBare) =>
  isBare ? words.map((one) => ({ ...one, word: one.word.slice(1, -1), inserted: one.inserted ?? one.word })) : words;
const openingOf = (schema, property) => {
  const [choice] = choicesOf(schema, property);
  return { string: '""', object: "{}", array: "[]" }[choice?.type] ?? (choice?.enum || choice?.const ? '""' : "");
};
const partsOf = (text, start) => {
  const at = text.slice(start).search(/"graders"\s*:\s*\{/);
  return at < 0 ? [] : Object.keys(keysFrom(text, text.indexOf("{", start + at + 9)));
};

const inYaml = (text, at, schema) => {
  const { steps, keys, key, typed } = yamlAt(text, at);
  const types = steps.map((step, index) => (index === 0 ? rootType(text) : null));
  const choices = after(schema, steps, steps.length ? types : [keys.type]);
  if (key === "calculate_output") {
    const parts = [...text.matchAll(/^ {2}"?([^\s:#"]+)"?\s*:\s*$/gm)].map(([, name]) => name);
    return ofFormula(text, at, parts);
  }
  const start = at - typed.length;
  if (key) {
    const words = valueWords(schema, choices, key, keys);
    return words.length ? { start, end: at, words, always: true } : null;
  }
  if (/[:#]/.test(typed)) return null;
  const words = keyWords(schema, choices, keys).map(({ word, about }) => ({ word, about, inserted: `${word}: ` }));
  return { start, end: at, words, always: false };
};
const rootType = (text) => /^type:\s*"?(\w+)/m.exec(text)?.[1];
