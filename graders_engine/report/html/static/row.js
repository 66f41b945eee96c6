// One row whole, in the drawer, on its own page, and in a comparison.

import { count, h, inMean, number, ownReward, plural, replace, save, seconds, shown, tint, visible } from "./dom.js";
import { chat, contentOf, folded, textBox } from "./texts.js";
import { differences, sideBySide } from "./words.js";

const MOST_OPEN = 40; // a longer source is folded

const part = (heading, name, ...content) => h("section", { class: `block ${name}` }, h("h3", {}, heading), content);

const facts = (row, like) => {
  const value = ownReward(row);
  const exactly = value !== null && Number(number(value)) !== value ? `exactly ${value}` : null;
  return h("div", { class: "facts" },
    h("p", { class: "mean", title: exactly }, number(value)),
    h("p", { class: "quiet" }, h("span", { class: `dot ${row.status}` }), " ", row.status,
      row.status !== "scored" && `, ${inMean(row.served)}`,
      row.blame && `, because of the ${row.blame}`,
      row.seconds !== null && row.seconds !== undefined && ` · ${seconds(row.seconds)}`),
    like && h("a", { class: "like small", href: like.href, title: "Filter by it (f)" }, shown(like.text)));
};

const strip = (row, open) => {
  if (!row.siblings || row.siblings.length < 2) return null;
  return h("nav", { class: "samples", "aria-label": "Samples of this prompt" },
    row.siblings.map((one) =>
      h("a", { href: open(one.row), class: `sample ${one.status} ${tint(ownReward(one))}`, "aria-current": one.row === row.row ? "true" : null, "data-sample": one.row,
        title: `${one.row}: ${one.status}${one.status === "scored" ? "" : `, ${inMean(one.reward)}`}` },
      h("span", {}, `#${one.row.split("#")[1] ?? one.row}`), h("b", {}, number(ownReward(one))), one.status !== "scored" && h("span", { class: `dot ${one.status}`, title: one.status }))),
    row.siblings_note && h("span", { class: "quiet small" }, row.siblings_note));
};

const flagsOf = (row, words) => {
  const names = Object.keys(row.flags ?? {});
  if (!names.length) return null;
  return part(names.length > 1 ? "Flags" : "Flag", "flags",
    names.map((name) => h("div", { class: "flag" }, h("code", {}, shown(name)), row.flags[name] && h("pre", { dir: "auto" }, contentOf(String(row.flags[name]), { words })))));
};

// What is compared is an output with its reference; the messages to a judge are not compared with each other.
const isPair = (sides) => sides.length === 2 && sides[0].label === "input" && sides[1].label === "reference";

// Two rendered sides: one line where they are equal, the words that differ marked where not.
const sides = (shownSides, words) => {
  const [left, right] = shownSides;
  const line = (label, ...content) => [h("dt", {}, shown(label)), h("dd", { dir: "auto" }, content)];
  const isBoth = isPair(shownSides) && left.rendered !== null && right.rendered !== null;
  if (isBoth && left.rendered === right.rendered) return line("both", rendered(left, words));
  if (!isBoth) return shownSides.map((side) => line(side.label, rendered(side, words)));
  const pieces = differences(left.rendered, right.rendered);
  const half = (kind) => pieces.filter((one) => one.kind === "same" || one.kind === kind).map((one) =>
    one.kind === "same" ? shown(one.text) : h("span", { class: kind }, shown(one.text)));
  return [line(left.label, half("left"), rest(left)), line(right.label, half("right"), rest(right))];
};
const rest = (side) => side.rendered !== null && side.chars > side.rendered.length && h("span", { class: "quiet small" }, ` … ${plural(side.chars, "character")} in all`);
const rendered = (side, words) => {
  if (side.rendered === null) return h("span", { class: "missing-text" }, shown(side.problem || "nothing"));
  if (side.rendered === "") return h("span", { class: "quiet" }, "(empty)");
  return [contentOf(side.rendered, { words }), rest(side), side.problem && h("span", { class: "missing-text" }, " ", shown(side.problem))];
};

const isEqual = ({ shown: both }) => !isPair(both) || both[0].rendered === both[1].rendered;

const partOf = (one, words) => {
  const sources = one.shown.filter(({ source }) => source);
  const value = (answer) => (typeof answer === "number" ? number(answer) : visible(String(answer)));
  return h("div", { class: `part ${isEqual(one) && one.reward !== null && one.reward >= 1 ? "equal" : ""}` },
    h("div", { class: "key" }, h("bdi", {}, shown(one.key || one.type)), h("span", { class: "small quiet" }, [one.key && one.type.replace(/_/g, " "), one.how].filter(Boolean).join(", "))),
    h("div", { class: "value" }, h("span", { class: `cell ${tint(one.reward)}`, title: one.reward === null ? "no value" : String(one.reward) }, number(one.reward))),
    h("div", { class: "what" },
      one.shown.length > 0 && h("dl", {}, sides(one.shown, words)),
      one.code && h("details", { class: "fold", open: one.code.split("\n").length <= MOST_OPEN }, h("summary", {}, "Source"), h("pre", { class: "text", tabindex: 0, role: "group", "aria-label": "Source", dir: "ltr" }, shown(one.code))),
      one.labels?.length > 0 && h("p", { class: "small quiet" }, "labels: ", shown(one.labels.join(", "))),
      one.answers?.length > 0 && h("p", { class: "small quiet" }, one.answers.length > 1 ? "answers: " : "answer: ", one.answers.map(value).join(", ")),
      one.clamped !== null && one.clamped !== undefined && h("p", { class: "small quiet" }, `The judge's number, ${number(one.clamped)}, is outside the range: the end of the range counts.`),
      one.printed && h("div", {}, h("p", { class: "small quiet" }, "printed"), h("pre", { class: "text", dir: "auto" }, shown(one.printed))),
      sources.length > 0 && h("dl", { class: "sources" }, sources.map((side) => [h("dt", {}, shown(side.label), " from"), h("dd", {}, h("code", {}, shown(side.source)))]))));
};

const formulaOf = (formula, hasGaps) =>
  formula && h("pre", { class: "formula", tabindex: 0, role: "group", "aria-label": "Formula" },
    h("span", { class: "quiet" }, shown(formula.source)), "\n",
    formula.filled && ["= ", shown(formula.filled), "\n"],
    formula.problem ? h("span", { class: "missing-text" }, shown(formula.problem)) : ["= ", h("b", {}, number(formula.value))],
    hasGaps && h("span", { class: "quiet" }, "\nA part without a value counts as 0."));

const partsOf = (row, { words, ask }) => {
  const isMixed = row.parts.some(isQuiet) && !row.parts.every(isQuiet);
  const toggle = h("button", { type: "button", class: "small differing-toggle", "aria-pressed": "false", title: "Only what differs (x)", hidden: !isMixed }, "Only what differs");
  const hasSources = row.parts.some((one) => one.shown.some(({ source }) => source));
  const sources = h("button", { type: "button", class: "small", "aria-pressed": "false", title: "The templates that the texts come from", hidden: !hasSources }, "Templates");
  const section = h("section", { class: "block how" },
    h("div", { class: "heading" }, h("h3", {}, "How the reward comes about"), toggle, sources),
    row.graded === "recorded" && row.why_recorded && h("p", { class: "small quiet note", dir: "auto" }, shown(row.why_recorded)),
    h("div", { class: "parts" }, row.parts.map((one) => partOf(one, words))),
    formulaOf(row.formula, row.parts.some((one) => one.reward === null)), differing(row),
    ask && row.graded === "recorded" && h("p", {}, h("button", { type: "button", on: { click: ask } }, "Grade again"), h("span", { class: "small quiet" }, " runs its python, and asks its judges, which may cost.")));
  for (const [button, name] of [[toggle, "only-differing"], [sources, "with-sources"]])
    button.addEventListener("click", () => button.setAttribute("aria-pressed", String(section.classList.toggle(name))));
  return row.parts.length || row.formula ? section : null;
};
const isQuiet = (one) => isEqual(one) && one.reward !== null && one.reward >= 1;

// What is recorded, beside what grading again gives.
const differing = (row) => {
  if (!row.differs || !row.again) return null;
  const keys = Object.keys({ ...row.sub_rewards, ...row.again.sub_rewards });
  const line = (name, before, after) => h("tr", {}, h("th", { scope: "row" }, shown(name)), h("td", { class: "number" }, before), h("td", { class: "number" }, after));
  return h("div", { class: "warning again" }, h("p", {}, "Grading again gives something else than is recorded."),
    h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, h("span", { class: "unseen" }, "What")), h("th", { class: "number", scope: "col" }, "recorded"), h("th", { class: "number", scope: "col" }, "again"))),
      h("tbody", {}, line("reward", number(row.reward), number(row.again.reward)),
        row.status !== row.again.status && line("status", row.status, row.again.status),
        keys.filter((key) => row.sub_rewards?.[key] !== row.again.sub_rewards?.[key]).map((key) => line(key, number(row.sub_rewards?.[key]), number(row.again.sub_rewards?.[key]))))));
};

const textsOf = (row, { words, whole }) => {
  const saver = (name) => whole && (() => whole(name));
  const item = (row.item ?? []).map((one) => [
    one.name !== "" && h("h4", { class: "small quiet" }, shown(one.name)),
    textBox(one.name || "Item", one.text, { kind: one.kind, chars: one.chars, words, whole: saver(`item.${one.name}`), plain: one.kind === "text" }),
  ]);
  const { sample } = row;
  const content = sample && (sample.kind === "chat" ? chat(sample.messages, words) : textBox("Sample", sample.text, { kind: sample.kind, chars: sample.chars, words, whole: saver("sample"), plain: sample.kind === "text" }));
  return h("div", { class: "texts" },
    item.length > 0 && part("Item", "item", h("div", { class: "box" }, item)),
    sample && part("Sample", "output", h("div", { class: "box" }, content),
      sample.raw && (sample.kind !== "text" || sample.raw !== sample.text) && folded("Raw", h("pre", { class: "text", tabindex: 0, role: "group", "aria-label": "Raw sample", dir: "auto" }, contentOf(sample.raw, { words })))));
};

const judgesOf = (row, words) =>
  row.judges?.length > 0 &&
  part("Judges", "judges", row.judges.map((judge) =>
    h("details", { class: "judge" },
      h("summary", {}, h("b", {}, shown(judge.model ?? "judge")), h("span", { class: "quiet small" }, judge.tokens !== null && judge.tokens !== undefined && ` · ${tokensOf(judge.tokens)}`, judge.problem && " · ", shown(judge.problem ?? ""))),
      chat([...judge.messages, ...(judge.reply ? [{ role: "reply", text: judge.reply }] : [])], words))));
const tokensOf = (tokens) => (typeof tokens === "number" ? plural(tokens, "token") : Object.entries(tokens).map(([name, value]) => `${count(value)} ${name.replace(/_/g, " ")}`).join(", "));

// The sample beside another one of the prompt; other(name) gives that row.
const besideOf = (row, other) => {
  const others = (row.siblings ?? []).filter((one) => one.row !== row.row);
  if (!other || !others.length || !row.sample) return null;
  const place = h("div", {});
  const select = h("select", { "aria-label": "Compare with another sample", on: { change: async () => {
    const name = select.value;
    replace(place);
    if (!name) return;
    const found = await other(name);
    if (!found?.sample || select.value !== name) return;
    replace(place, sideBySide(row.sample.text, found.sample.text, { names: [row.row, found.row], whole: [row.sample.chars, found.sample.chars] }));
  } } }, h("option", { value: "" }, "no other sample"), others.map((one) => h("option", { value: one.row }, `${one.row}, ${one.status === "scored" ? number(one.reward) : one.status}`)));
  return part("Beside", "beside", h("p", {}, select), place);
};

// The row as a node. open(name): the address of another row. words: the search whose words are marked.
// whole(part): saves a whole text. other(name): another row. ask(): grades again what may cost.
export const rowView = (row, { open, words = "", whole = null, other = null, ask = null, like = null } = {}) =>
  h("div", { class: "row-view" },
    h("div", { class: "lead" }, facts(row, like), strip(row, open)),
    row.data_problem && h("p", { class: "warning small", dir: "auto" }, shown(row.data_problem)),
    flagsOf(row, words), partsOf(row, { words, ask }), textsOf(row, { words, whole }), judgesOf(row, words), besideOf(row, other));

export const saveText = async (api, path, name, signal) => save(await api.blob(path, { signal }), name);
