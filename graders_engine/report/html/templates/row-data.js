
// The address of a row on this page: "line-19", or "line-19-5" for the row "19#5".
const addressOf = (name) => `line-${name.replace(/ ?#/, "-")}`;

// The rows on the page as objects; `RowData` in row_data.py says what each value of a row is.
const readRows = (data) => {
  const rows = data.rows.map((values, at) => {
    const [name, kind, reward, served, parts, ms, flags, item, sample, cut, prompt, answers] = values;
    return {
      at, name, kind, reward, served, parts, ms, flags, sample, cut, prompt, answers,
      id: addressOf(name),
      item: data.items[item] ?? "",
      promptId: data.prompts[prompt] ?? "",
      // The reward, or what is served in place of one.
      value: kind === "scored" ? reward : (served ?? null),
      status: ["scored", "invalid", "failed"].includes(kind) ? kind : `invalid (${kind})`,
      flagTexts: Object.entries(flags).flat().join("\n"),
    };
  });
  return rows;
};

// The texts of a row that a search looks at, with the name that an excerpt has for them.
const textsOf = (row) => [
  ["", row.sample],
  ["item", row.item],
  ["flags", row.flagTexts],
  ["row", `${row.name} ${row.promptId}`],
];

const matches = (row, expressions) => {
  const texts = textsOf(row);
  return expressions.every((word) => texts.some(([, text]) => word.test(text)));
};

const EXCERPT_CHARS = 140;

// The start of the sample, or the part of the text with most of the words of a search: why the row was found.
const excerptOf = (row, expressions) => {
  let [name, text, start, most] = ["", row.sample, 0, 0];
  for (const [foundIn, whole] of textsOf(row)) {
    const found = expressions.map((word) => whole.search(word)).filter((at) => at >= 0);
    if (found.length <= most) continue;
    most = found.length;
    [name, text] = [foundIn, whole];
    const first = Math.min(...found);
    start = first > EXCERPT_CHARS / 2 ? Math.floor(first - EXCERPT_CHARS / 4) : 0;
  }
  const part = text.slice(start, start + EXCERPT_CHARS).replace(/\s+/g, " ");
  return (
    (name ? `${name}: ` : "") + (start ? "…" : "") + part +
    (start + EXCERPT_CHARS < text.length ? "…" : "")
  );
};

// Whether a row passes the filters: {status, flag, from, to, words}; an empty one lets every row pass.
const passes = (row, { status, flag, from, to, words }) =>
  (status === "" ||
    row.kind === status ||
    (status === "invalid" && row.kind !== "scored" && row.kind !== "failed")) &&
  (flag === "" || (flag === "-" ? row.flagTexts === "" : Object.hasOwn(row.flags, flag))) &&
  ((Number.isNaN(from) && Number.isNaN(to)) ||
    (row.value !== null && !(row.value < from) && !(row.value > to))) &&
  matches(row, words);
