// Rows as a results file has them, from the data in this file.

// The row that the address names, as in `#68#2`; null if it names none.
export const namedRow = () => /^#(\d+(?:(?:#|%23)\d+)?)$/.exec(location.hash)?.[1].replace("%23", "#") ?? null;

// The rows as objects; `RowData` in row_data.py says what each value of a row is.
export const rowsOf = (data) =>
  data.rows.map((values, at) => {
    const [row, kind, reward, served, parts, seconds, flags, item, sample, chars, prompt, answers] = values;
    const status = ["scored", "failed"].includes(kind) ? kind : "invalid";
    const blame = { scored: null, invalid: null, failed: "infrastructure" }[kind];
    return {
      at, row, status, blame: blame === undefined ? kind : blame, seconds, sample, chars, prompt, answers, details: flags,
      reward: status === "scored" ? reward : served,
      sub_rewards: data.keys.map((_, part) => parts[part] ?? null),
      flags: Object.keys(flags),
      id: data.prompts[prompt] ?? "",
      item: data.items[item] ?? "",
    };
  });

// The formula with the sub-rewards in place of their keys, as `explain_formula` has it.
const formulaOf = (formula, row, keys) => {
  if (!formula || row.sub_rewards.every((value) => value === null)) return null;
  const literal = (value) => (value < 0 ? `(${value})` : value);
  const filled = formula.map((piece, at) => (at % 2 ? literal(row.sub_rewards[keys.indexOf(piece)] ?? 0) : piece));
  const problem = row.status === "scored" ? "" : "no reward: see the flags";
  return { source: formula.join(""), filled: filled.join(""), value: row.reward, problem };
};

// A row as `row.js` takes it: what is recorded; nothing is graded again here.
export const recordedRow = (data, row) => {
  const answers = (key) => (Object.hasOwn(row.answers, key) ? row.answers[key] : []);
  const [itemChars, sampleChars] = row.chars;
  const parts = data.keys.map((key, part) => ({ key, type: data.types[part] ?? "", reward: row.sub_rewards[part], shown: [], answers: answers(key) }));
  if (!parts.length) parts.push({ key: "", type: data.types[0] ?? "", reward: row.status === "scored" ? row.reward : null, shown: [], answers: answers("") });
  return {
    ...row, served: row.reward, flags: row.details, siblings: [], parts, formula: formulaOf(data.formula, row, data.keys), graded: "recorded",
    item: [{ name: "", kind: "text", text: row.item, chars: itemChars || null }],
    sample: { kind: /^\s*[{[]/.test(row.sample) ? "json" : "text", text: row.sample, chars: sampleChars || null, raw: null },
    ...(data.whyNoTexts ? { item: [], sample: null } : {}), data_problem: data.whyNoTexts,
  };
};
