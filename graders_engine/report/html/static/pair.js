// One row of two runs beside each other: rewards, samples by words, parts, formulas, flags, items.

import { aligned, count, h, inMean, number, ownReward, plural, replace, shown, tint } from "./dom.js";
import { runHref } from "./state.js";
import { contentOf, textBox } from "./texts.js";
import { differences, sideBySide } from "./words.js";

const MOST_WHOLE = 4000000;

// What may become of a row, in words.
export const NAMES = {
  better: "better", worse: "worse", newly_invalid: "newly invalid", newly_failed: "newly without an answer",
  newly_valid: "newly valid", same: "same",
};

// A change with its sign.
export const moved = (value) => [value > 0 ? "+" : "", aligned(value)];

const block = (heading, kind, ...content) => h("section", { class: `block ${kind}` }, h("h3", {}, heading), content);

// The pair as a node. server: {api, signal, runs: {a, b}, their ids}, or null where there is none to ask.
export const pairView = ({ a, b, change }, server = null) => {
  const problems = [...new Set([a.data_problem, b.data_problem].filter(Boolean))];
  return h("div", { class: "row-view pair-view" },
    h("div", { class: "lead both" }, rewardOf("A", a), rewardOf(a.row === b.row ? "B" : `B, row ${b.row}`, b), h("p", { class: "quiet" }, NAMES[change] ?? change)),
    problems.map((text) => h("p", { class: "warning small", dir: "auto" }, shown(text))),
    a.sample && b.sample ? block("Samples", "samples-of-both", samplesOf(a, b, server)) : null,
    block("How the rewards come about", "how", partsOfBoth(a, b), formulasOf(a, b)),
    flagsOf(a, b),
    itemsOf(a, b),
    server && h("p", { class: "line" }, [["a", a, "A"], ["b", b, "B"]].map(([name, row, letter]) => h("a", { href: runHref(server.runs[name], "rows", row.row) }, `Row ${row.row} of ${letter}`))));
};

// Both samples by words. Of one that is cut, the whole text is compared where it is not too large.
const samplesOf = (a, b, server) => {
  const place = h("div", {});
  const options = { names: ["A", "B"] };
  const whole = [a.sample.chars ?? null, b.sample.chars ?? null];
  const texts = [textOf(a.sample), textOf(b.sample)];
  const isCut = [a, b].some(({ sample }) => sample.chars > [...sample.text].length);
  replace(place, sideBySide(...texts, isCut ? { ...options, whole } : options));
  const size = Math.max(...whole.map((one) => one ?? 0));
  if (!isCut || !server || size > MOST_WHOLE) return place;
  const { api, signal, runs } = server;
  const load = async (button) => {
    button.disabled = true;
    const get = async (run, row) => (await api.blob(`runs/${encodeURIComponent(run)}/rows/${encodeURIComponent(row)}/text?part=sample`, { signal })).text();
    try {
      replace(place, sideBySide(...(await Promise.all([get(runs.a, a.row), get(runs.b, b.row)])), options));
      button.remove();
    } catch (error) {
      if (error?.name !== "ApiError") throw error;
      button.replaceWith(h("p", { class: "problem", role: "alert" }, shown(error.message)));
    }
  };
  const button = h("button", { type: "button", on: { click: () => void load(button) } }, `Compare the whole texts, ${count(size)} characters`);
  return [place, h("p", {}, button)];
};

const textOf = ({ kind, text, messages }) =>
  kind === "chat" && messages?.length
    ? messages.map(({ role, text: said, tool_calls: calls }) => [`${role ?? ""}:`, said, ...(calls ?? []).map((call) => `${call.name} ${call.arguments}`)].filter(Boolean).join("\n")).join("\n\n")
    : text;

const rewardOf = (letter, row) => {
  return h("div", { class: "reward-of" }, h("p", { class: "quiet" }, letter),
    h("p", { class: "mean" }, number(ownReward(row))),
    h("p", { class: "quiet small" }, h("span", { class: `dot ${row.status}` }), " ", row.status, row.blame ? ` by ${row.blame}` : "", row.status !== "scored" && `, ${inMean(row.served)}`));
};

const byKey = (row) => new Map(row.parts.map((part) => [part.key, part]));

const partsOfBoth = (a, b) => {
  const [first, second] = [byKey(a), byKey(b)];
  const keys = [...new Set([...first.keys(), ...second.keys()])];
  const hasTexts = [...a.parts, ...b.parts].some((part) => part.shown.length);
  return h("table", { class: "parts-of-both" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Part"), h("th", { scope: "col", class: "number" }, "A"), h("th", { scope: "col", class: "number" }, "B"), h("th", { scope: "col", class: "number" }, "Change"), hasTexts && h("th", { scope: "col", class: "what" }, "What was compared"))),
    h("tbody", {}, keys.map((key) => {
      const [one, other] = [first.get(key), second.get(key)];
      const cell = (part) => h("td", { class: "number" }, part ? h("span", { class: `cell ${tint(part.reward)}` }, number(part.reward)) : h("span", { class: "quiet" }, "-"));
      return h("tr", { class: one && other && one.reward === other.reward ? "equal" : "" }, h("th", { scope: "row" }, h("bdi", {}, shown(key || one?.type || other?.type || ""))), cell(one), cell(other), changeOf(one, other), hasTexts && h("td", { class: "what" }, renderings(one, other)));
    })));
};

const changeOf = (one, other) => {
  const [before, after] = [one?.reward ?? null, other?.reward ?? null];
  if (before === null || after === null) return h("td", { class: "number quiet" }, before === after ? "" : before === null ? "new" : "gone");
  if (before === after) return h("td", { class: "number quiet" }, "same");
  return h("td", { class: `number move ${after > before ? "better" : "worse"}` }, after > before ? "+" : "", number(after - before));
};

// What a part's templates became in A and in B: once where both are equal.
const renderings = (one, other) => {
  const paths = [...new Set([...(one?.shown ?? []), ...(other?.shown ?? [])].map(({ path }) => path))];
  const find = (part, path) => part?.shown.find((side) => side.path === path);
  const text = (side) => (side === undefined ? h("span", { class: "quiet" }, "-") : side.rendered === null ? h("span", { class: "missing-text" }, shown(side.problem || "nothing")) : side.rendered === "" ? h("span", { class: "quiet" }, "(empty)") : null);
  return h("dl", {}, paths.map((path) => {
    const [left, right] = [find(one, path), find(other, path)];
    const label = (left ?? right).label;
    const lines = text(left) ?? text(right);
    if (!lines && left.rendered === right.rendered) return [h("dt", {}, shown(label)), h("dd", { dir: "auto" }, contentOf(left.rendered), cutNote(left))];
    if (lines) return [[left, "A"], [right, "B"]].map(([side, letter]) => [h("dt", {}, shown(label), ` ${letter}`), h("dd", { dir: "auto" }, text(side) ?? contentOf(side.rendered), side && cutNote(side))]);
    const pieces = differences(left.rendered, right.rendered);
    const half = (kind) => pieces.filter((piece) => piece.kind === "same" || piece.kind === kind).map((piece) => (piece.kind === "same" ? shown(piece.text) : h("span", { class: kind }, shown(piece.text))));
    return [h("dt", {}, shown(label), " A"), h("dd", { dir: "auto" }, half("left"), cutNote(left)), h("dt", {}, shown(label), " B"), h("dd", { dir: "auto" }, half("right"), cutNote(right))];
  }));
};
const cutNote = (side) => (side.rendered !== null && side.chars > [...side.rendered].length ? h("span", { class: "quiet small" }, ` … ${plural(side.chars, "character")} in all; the rest is not compared here`) : null);

const formulasOf = (a, b) => {
  if (!a.formula && !b.formula) return null;
  const one = (formula) => formula && [h("span", { class: "quiet" }, shown(formula.source)), "\n= ", shown(formula.filled ?? ""), "\n", formula.problem ? shown(formula.problem) : ["= ", h("b", {}, number(formula.value))]];
  const box = (letter, formula) => h("figure", {}, h("figcaption", {}, letter), h("pre", { class: "formula", tabindex: 0, "aria-label": `Formula of ${letter}` }, one(formula) ?? "-"));
  return h("div", { class: "sides" }, box("A", a.formula), box("B", b.formula));
};

const flagsOf = (a, b) => {
  const all = [["A", a], ["B", b]].flatMap(([letter, row]) => Object.entries(row.flags ?? {}).map(([name, text]) => h("div", { class: "flag" }, h("b", {}, letter), " ", h("code", {}, shown(name)), text ? h("pre", { dir: "auto" }, shown(String(text))) : null)));
  return all.length ? block("Flags", "flags", all) : null;
};

const itemsOf = (a, b) => {
  const [first, second] = [a, b].map((row) => row.item ?? []);
  if (!first.length && !second.length) return null;
  const isSame = JSON.stringify(first) === JSON.stringify(second);
  const box = (item) => h("div", { class: "box" }, item.map(({ name, text, kind, chars }) => [name !== "" && h("h4", { class: "small quiet" }, shown(name)), textBox(name || "Item", text, { kind, chars, plain: kind === "text" })]));
  if (isSame) return block("Item", "item", box(first));
  return block("Items: they differ", "item", h("div", { class: "sides" }, [["A", first], ["B", second]].map(([letter, item]) => h("div", {}, h("p", { class: "quiet" }, letter), box(item)))));
};
