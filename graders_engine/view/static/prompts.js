// The samples of each prompt as squares: which prompts teach nothing, because all their samples get the same.

import { count, h, inMean, mean, number, ownReward, plural, replace, shown, tint } from "./dom.js";
import { keepFocus } from "./filters.js";
import { changed, runHref, withQuery } from "./state.js";

const FILTERS = [[null, "all", "All"], ["no_variance", "no_variance", "No variance"], ["never", "never", "Never passes"], ["always", "always", "Always passes"]];
const SORTS = [["", "As in the data"], ["mean", "Mean, lowest first"], ["-mean", "Mean, highest first"], ["-spread", "Spread, largest first"], ["spread", "Spread, smallest first"], ["-passing", "Passing, most first"], ["passing", "Passing, fewest first"]];

export const start = async (root, context) => {
  const { api, keys, path, run, signal } = context;
  let query = context.query;
  let request = null;
  let data = null;
  const go = (next) => context.go(withQuery(path, next));

  const top = h("div", { class: "prompts-top" });
  const rates = h("dl", { class: "rates" });
  const threshold = h("p", { class: "quiet small threshold" });
  const list = h("div", { class: "heat" });
  const pager = h("nav", { class: "pager", "aria-label": "Pages of prompts" });
  replace(root, h("div", { class: "prompts" }, h("h1", {}, "Prompts"), rates, threshold, top, list, pager));

  // Equal samples come as one, with their number.
  const square = (one) =>
    h("a", { href: runHref(run, "rows", one.row), class: `square ${one.status} ${tint(ownReward(one))}`,
      title: `${one.row}: ${one.status === "scored" ? `${number(one.reward)}, scored` : `${one.status}, ${inMean(one.reward)}`}${one.same > 1 ? `, ${plural(one.same, "equal sample")}` : ""}` },
    h("span", { class: "unseen" }, `${one.row} `), number(ownReward(one)), one.status !== "scored" && h("span", { class: `dot ${one.status}`, title: one.status }), one.same > 1 && h("small", {}, `×${one.same}`));

  const draw = () => {
    const show = query.get("show");
    keepFocus(top, () => replace(top,
      h("div", { class: "chips", role: "group", "aria-label": "Which prompts" }, FILTERS.map(([value, name, label]) =>
        h("button", { type: "button", class: "chip", "aria-pressed": String(show === value), "data-key": `show-${name}`, on: { click: () => go(changed(query, { show: value, page: null })) } }, label, " ", h("b", {}, count(data.counts[name]))))),
      h("select", { "aria-label": "Order", "data-key": "sort", on: { change: (event) => go(changed(query, { sort: event.target.value, page: null })) } },
        SORTS.map(([value, label]) => h("option", { value, selected: (query.get("sort") ?? "") === value }, label)))));
    replace(rates, Object.entries(data.pass_at ?? {}).map(([k, value]) => h("div", {}, h("dt", {}, `pass@${k}`), h("dd", {}, typeof value === "object" ? mean(value?.value) : mean(value)))));
    replace(threshold, `A sample passes with a reward of at least ${number(data.passing)}.`);
    replace(list,
      data.prompts.length > 0 && h("div", { class: "prompt heads quiet small", "aria-hidden": "true" }, h("span", {}, "Prompt"), h("span", { class: "number" }, "Mean"), h("span", { class: "number" }, "Spread"), h("span", {}, "Samples; equal ones once, with their number")),
      data.prompts.length === 0 && h("p", { class: "quiet" }, "No prompt fits this filter."),
      data.prompts.map((prompt) =>
        h("div", { class: "prompt" },
          h("a", { class: "prompt-name", href: runHref(run, "rows", prompt.row), dir: "auto", title: prompt.prompt }, shown(prompt.prompt)),
          h("span", { class: "number mean-of", title: "mean" }, mean(prompt.mean)),
          h("span", { class: "number quiet spread", title: "spread: its highest reward less its lowest" }, number(prompt.spread)),
          h("div", { class: "squares-line" }, prompt.samples.map(square)))));
    const step = (page, label, rel) => page >= 1 && page <= data.pages
      ? h("a", { class: "button", rel, "data-key": rel, href: withQuery(path, changed(query, { page: page > 1 ? page : null })) }, label)
      : h("span", { class: "button off", "aria-disabled": "true" }, label);
    keepFocus(pager, () => replace(pager, step(data.page - 1, "Previous", "prev"), h("span", { class: "quiet" }, `page ${count(data.page)} of ${count(Math.max(1, data.pages))}`), step(data.page + 1, "Next", "next")));
    pager.hidden = data.pages <= 1;
  };

  const load = async () => {
    request?.abort();
    const mine = (request = new AbortController());
    const either = AbortSignal.any([signal, mine.signal]);
    try {
      data = await api.get(withQuery(`runs/${encodeURIComponent(run)}/prompts`, query), {
        signal: either, onReading: ({ done, of }) => replace(list, h("p", { class: "quiet" }, "Reading the results"), h("progress", { max: of, value: done, "aria-label": "Read" })) });
      draw();
    } catch (error) {
      if (!either.aborted) throw error;
    }
  };

  const step = (by) => {
    const links = [...list.querySelectorAll("a")];
    const rows = [...list.querySelectorAll(".prompt:not(.heads)")];
    const row = document.activeElement?.closest(".prompt");
    const next = rows[rows.indexOf(row) + by];
    if (!links.length || !next) return false;
    next.querySelector("a").focus();
  };
  keys.add([
    { key: "j", label: "next prompt", run: () => step(1) },
    { key: "k", label: "previous prompt", run: () => step(-1) },
  ], signal);
  context.watch(async (found) => {
    query = found.query;
    await load();
  });
  await load();
};
