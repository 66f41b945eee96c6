// Whether rewards follow the length of the samples: correlations, and the mean of each quarter of length.

import { count, h, mean, plural, replace, shown, signed } from "./dom.js";
import { changed, filtersOf, runHref, withQuery } from "./state.js";

const AGAIN_MS = 300;

const written = (value) => (value === null ? "-" : signed(value, 2));

const verdict = (correlation) => {
  if (correlation === null) return "Either all lengths are equal, or all rewards.";
  if (Math.abs(correlation) < 0.1) return "Length and reward hardly go together.";
  return `${correlation > 0 ? "Longer" : "Shorter"} samples ${Math.abs(correlation) < 0.5 ? "tend to earn" : "earn"} more.`;
};

const lines = ({ correlation, within, rows, unknown }) => [
  within && h("div", {}, h("dt", {}, "Among samples of the same prompt"), h("dd", {}, h("b", { class: "within" }, written(within.correlation)),
    h("span", { class: "quiet small" }, ` over ${plural(within.rows, "sample")} of ${plural(within.prompts, "prompt")}`))),
  h("div", {}, h("dt", {}, "Among all of these rows"), h("dd", {}, h("b", { class: "overall" }, written(correlation)), h("span", { class: "quiet small" }, ` over ${plural(rows, "row")}`))),
  unknown > 0 && h("div", {}, h("dt", {}, "Not counted"), h("dd", {}, `${plural(unknown, "row")}, whose samples cannot be read`)),
];

const table = ({ quarters }, hrefOf) =>
  h("table", { class: "quarters" },
    h("caption", { class: "quiet small" }, "Mean reward by quarter of length; rows of one length stay together"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Characters"), ["Rows", "Mean"].map((name) => h("th", { scope: "col", class: "number" }, name)), h("th", { scope: "col" }, "95 % interval"))),
    h("tbody", {}, quarters.map((one) =>
      h("tr", {}, h("th", { scope: "row" }, h("a", { href: hrefOf(one.range), title: "The rows of these lengths" }, one.low === one.high ? count(one.low) : `${count(one.low)} to ${count(one.high)}`)),
        h("td", { class: "number" }, count(one.rows)), h("td", { class: "number" }, h("b", {}, mean(one.mean.value))),
        h("td", { class: "quiet" }, one.mean.low === null ? "-" : `${mean(one.mean.low)} to ${mean(one.mean.high)}`)))));

// Draws into `place`, once what is needed is read. `query`: which rows; what it says of their length is left out.
export const drawLengths = async (place, { api, run, query, signal }) => {
  const filters = changed(filtersOf(query), { sort: null, length: null });
  const say = (...what) => replace(place, h("p", { class: "quiet", role: "status" }, what));
  say("Reading the lengths …");
  try {
    for (;;) {
      const found = await api.get(withQuery(`runs/${encodeURIComponent(run)}/lengths`, filters), {
        signal, onReading: ({ done, of, what }) => say(`Reading ${what} …`, of > 0 && ` ${Math.floor((100 * done) / of)} %`) });
      const hrefOf = (range) => withQuery(runHref(run, "rows"), changed(filters, { length: range }));
      if (found.rows) replace(place,
        h("p", {}, h("b", {}, verdict(found.within?.correlation ?? found.correlation)), " That does not say why: right answers may be longer, too."),
        h("p", { class: "quiet small" }, "Rank correlation of the reward with the length of the sample's text: 1 if the longer one always earns more, -1 if the shorter one does, 0 if length tells nothing about the reward."),
        h("dl", { class: "correlations" }, lines(found)), table(found, hrefOf),
        !found.done && h("p", { class: "quiet small", role: "status" }, "The search goes on: these are the rows that it has found so far."));
      else say(found.done ? "None of these rows has both a reward and a sample that can be read." : "The search has found no row yet.");
      if (found.done) return;
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  } catch (error) {
    if (signal.aborted) return;
    if (error?.name !== "ApiError") throw error;
    replace(place, h("p", { class: "warning", dir: "auto" }, shown(error.message)));
  }
};
