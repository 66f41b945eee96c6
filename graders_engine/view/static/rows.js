// The page of rows: the headline of the selection, what narrows it, the table, and the drawer beside it.

import { ApiError } from "./api.js";
import { likeOf, makeDrawer } from "./drawer.js";
import { count, h, mean, plural, replace, save, shown } from "./dom.js";
import { cleared, drawChips, drawHeld, flagSelect, keepFocus, rangeMenu } from "./filters.js";
import { drawHistogram } from "./histogram.js";
import { menu } from "./menu.js";
import { changed, filtersOf, readRange, withQuery, writeRange } from "./state.js";
import { columnBoxes, drawTable, sortSelect } from "./table.js";

const TYPED_MS = 150;
const SEARCH_MS = 200;

export const start = async (root, context) => {
  const { api, keys, run, path, signal } = context;
  const apiPath = `runs/${encodeURIComponent(run)}/rows`;
  let query = context.query;
  let data = null;
  let request = null; // the controller of the list that is awaited
  let stopped = false; // whether the search was stopped by hand
  let typing = null;

  const go = (next) => context.go(withQuery(path, next));
  const instead = (next) => context.replace(withQuery(path, next));

  // --- what stands on the page

  const [headline, chart, chips, held, counted] = ["headline", "chart", "chipsets", "held", "counted quiet small"].map((name) => h("div", { class: name }));
  counted.setAttribute("role", "status");
  const input = h("input", {
    type: "search", name: "q", placeholder: "Search items and samples, or a row number", "aria-label": "Search items and samples", autocomplete: "off", spellcheck: "false",
    enterkeyhint: "search", title: "All words must be there; \"words with blanks\"; /a regular expression/",
    on: {
      input: () => (clearTimeout(typing), (typing = setTimeout(search, TYPED_MS))),
      keydown: (event) => {
        if (event.key === "Enter") search();
        if (event.key === "Escape" && !input.value) input.blur();
      },
    },
  });
  const search = () => {
    clearTimeout(typing);
    stopped = false;
    if (input.value.trim() !== (query.get("q") ?? "")) void instead(changed(query, { q: input.value.trim(), page: null, row: null }));
  };
  const flags = flagSelect((flag) => go(changed(query, { flag, page: null, row: null })));
  const ranges = rangeMenu(go);
  const sort = sortSelect((value) => go(changed(query, { sort: value === "row" ? null : value, page: null, row: null })));
  const columnList = h("div", { class: "boxes" });
  const columns = menu("Columns", "Columns of the table", columnList);
  const exporting = menu("Export", "Export the selection", exportPanel());
  const byLength = h("div", { class: "by-length" });
  const lengths = menu("Reward by length", "Whether rewards follow the length of the samples", byLength);
  lengths.addEventListener("toggle", () => drawByLength());
  const progress = h("div", { class: "searching", hidden: true });
  const named = h("p", { class: "named", hidden: true });
  const holder = h("div", { class: "table" });
  const pager = h("nav", { class: "pager", "aria-label": "Pages of rows" });
  const list = h("section", { class: "list", "aria-label": "Rows" },
    h("h1", { class: "unseen" }, "Rows of ", shown(run)),
    h("div", { class: "scroll" },
      h("div", { class: "top" }, headline, chart, chips),
      h("div", { class: "filters" }, h("div", { class: "search" }, input, h("kbd", { "aria-hidden": "true" }, "/")), flags.element, ranges.element, lengths, columns, exporting, sort.element, held, counted),
      named, progress, holder),
    pager);
  const drawer = makeDrawer({ context, runPath: apiPath, current: () => ({ query, data }), follow: (name, beyond) => openRow(name, beyond), close: () => closeRow() });
  replace(root, h("div", { class: "rows-page" }, list, drawer.element));

  function exportPanel() {
    const file = h("button", { type: "button", class: "main", on: { click: async () => {
      file.disabled = true;
      try {
        save(await api.blob(withQuery(`runs/${encodeURIComponent(run)}/export`, filtersOf(query)), { signal }), `${run.split("/").at(-1).replace(/\.jsonl$/, "")}.selection.jsonl`);
      } catch (error) {
        context.fail(error);
      } finally {
        file.disabled = false;
        exporting.close();
      }
    } } }, "Save as JSONL");
    return h("div", { class: "export" }, h("p", { class: "small quiet" }, "The recorded lines of the selection, in this order, each with its item and sample."), file);
  }

  // --- drawing

  const drawHeadline = () => {
    const { selection, all } = data;
    const isAll = selection.rows === all.rows;
    const value = selection.mean;
    replace(headline,
      h("p", { class: "mean" }, value ? mean(value.value) : "-"),
      h("p", { class: "quiet small" }, value ? `mean reward over ${plural(value.rows, data.grouped ? "sample" : "row")}` : "no row here has a reward"),
      value && value.low !== null && h("p", { class: "quiet small" }, `95 % interval ${mean(value.low)} to ${mean(value.high)}`),
      !isAll && h("p", { class: "quiet small" }, "of all: ", h("b", {}, all.mean ? mean(all.mean.value) : "-")));
  };

  const drawCounted = () => {
    const { selection, all, search: state } = data;
    const about = state?.about ? "about " : "";
    counted.textContent = selection.rows === all.rows ? plural(all.rows, "row") : `${about}${count(selection.rows)} of ${plural(all.rows, "row")}`;
  };

  const drawProgress = () => {
    const state = data.search;
    const isRunning = state && !state.done;
    const isIndexing = state && state.index !== null && state.index !== undefined && state.index < 100;
    progress.hidden = !isRunning && !isIndexing && !state?.problem;
    if (progress.hidden) return;
    const bar = h("progress", { max: state.of, value: state.scanned, "aria-label": "Search" });
    keepFocus(progress, () => replace(progress, isRunning
      ? [bar, h("span", {}, stopped ? "Stopped: searched " : "Searched ", `${count(state.scanned)} of ${plural(state.of, "row")}`),
          h("button", { type: "button", "data-key": "stop", on: { click: () => (stopped ? ((stopped = false), load()) : ((stopped = true), request?.abort(), drawProgress())) } }, stopped ? "Go on" : "Stop")]
      : h("span", {}, isIndexing && `Making search fast, ${Math.floor(state.index)} %`),
      state.problem && h("span", { class: "missing-text", dir: "auto" }, shown(state.problem))));
  };

  // A search for a number also leads to the row of that number, in the list of all rows.
  const drawNamed = () => {
    named.hidden = !data.named;
    replace(named, data.named && h("a", { class: "button", href: withQuery(path, changed(cleared(query), { row: data.named })) }, `Open row ${data.named}`));
  };

  const drawPager = () => {
    const to = (page) => withQuery(path, changed(query, { page: page > 1 ? page : null, row: null }));
    const step = (page, label, rel) =>
      page >= 1 && page <= data.pages
        ? h("a", { class: "button", href: to(page), rel, "data-key": rel }, label)
        : h("span", { class: "button off", "aria-disabled": "true" }, label);
    const perPage = h("select", { "aria-label": "Rows a page", "data-key": "per-page", on: { change: () => go(changed(query, { per_page: perPage.value === "50" ? null : perPage.value, page: null, row: null })) } },
      [50, 100, 200].map((size) => h("option", { value: size, selected: size === data.per_page }, `${size} a page`)));
    keepFocus(pager, () => replace(pager, step(data.page - 1, "Previous", "prev"), h("span", { class: "quiet" }, `page ${count(data.page)} of ${count(Math.max(1, data.pages))}`), step(data.page + 1, "Next", "next"), perPage));
  };

  const clearButton = () => h("p", {}, h("button", { type: "button", class: "main", on: { click: () => ((input.value = ""), go(cleared(query))) } }, "Clear all filters"));

  const drawRows = () => {
    const open = query.get("row");
    const isSearching = data.search && !data.search.done;
    if (data.rows.length) drawTable(holder, { run, path, query, data, open });
    else
      replace(holder, h("div", { class: "empty" }, h("h2", {}, isSearching ? (stopped ? "Stopped" : "Searching …") : data.all.rows ? "No row fits" : "There are no rows"),
        data.all.rows > 0 && h("p", { class: "quiet" }, isSearching ? `${count(data.search.scanned)} of ${plural(data.search.of, "row")}; none fits so far.` : "Nothing fits all that is asked for."),
        data.all.rows > 0 && clearButton()));
    if (data.data_problem) holder.prepend(h("p", { class: "warning small", dir: "auto" }, shown(data.data_problem)));
    holder.removeAttribute("aria-busy");
  };

  // The panel, while it is open, for the rows that are selected.
  let drawnFor = null;
  let drawing = null;
  const drawByLength = () => {
    const asked = lengths.open ? String(changed(filtersOf(query), { sort: null, length: null })) : null;
    if (asked === drawnFor) return;
    drawnFor = asked;
    drawing?.abort();
    if (asked === null) return;
    const mine = (drawing = new AbortController());
    const one = { api, run, query, signal: AbortSignal.any([signal, mine.signal]) };
    void import("./lengths.js").then(({ drawLengths }) => drawLengths(byLength, one)).catch((error) => mine.signal.aborted || context.fail(error));
  };

  const draw = () => {
    context.hasPrompts(data.grouped);
    const range = readRange(query.get("reward"));
    drawHeadline();
    if (data.all.histogram.length)
      drawHistogram(chart, { bars: data.selection.histogram, all: data.all.histogram, range, choose: (chosen) => go(changed(query, { reward: chosen ? writeRange(chosen) : null, page: null, row: null })) });
    drawChips(chips, { query, data, apply: go });
    flags.draw(query, data.flags, data.selected_flags);
    ranges.draw(query, data.keys);
    sort.draw(query, data.keys);
    drawByLength();
    if (!columns.open) replace(columnList, columnBoxes(run, data.keys, drawRows));
    drawHeld(held, { query, apply: (next) => ((input.value = next.get("q") ?? ""), go(next)) });
    drawCounted();
    drawProgress();
    drawNamed();
    drawRows();
    drawPager();
  };

  // --- data

  const listOf = (one) => String(changed(one, { row: null }));
  let loaded = null; // what the list on the page was asked with

  const load = async () => {
    request?.abort();
    const mine = (request = new AbortController());
    const either = AbortSignal.any([signal, mine.signal]);
    const asked = query;
    if (document.activeElement !== input) input.value = query.get("q") ?? "";
    const slow = setTimeout(() => holder.setAttribute("aria-busy", "true"), 250);
    try {
      for (;;) {
        const answer = await api.get(withQuery(apiPath, asked), { signal: either, onReading: drawReading });
        const isFirst = loaded !== listOf(asked);
        data = answer;
        loaded = listOf(asked);
        draw();
        if (isFirst) list.querySelector(".scroll").scrollTop = 0;
        if (asked.get("row") && isFirst) scrollTo(asked.get("row"), "center");
        if (!data.search || data.search.done || stopped) break;
        await new Promise((done) => setTimeout(done, SEARCH_MS));
        if (either.aborted) break;
      }
    } catch (error) {
      if (either.aborted) return;
      if (!(error instanceof ApiError) || ![400, 422].includes(error.status)) throw error;
      drawMistake(error);
    } finally {
      clearTimeout(slow);
    }
  };

  // The address or the search asks for what there is not: the page stays, so that it can be mended.
  const drawMistake = (error) => {
    loaded = null;
    progress.hidden = true;
    holder.removeAttribute("aria-busy");
    replace(holder, h("div", { class: "empty", role: "alert" }, h("h2", {}, "This cannot be asked for"), h("p", { dir: "auto" }, shown(error.message)), clearButton()));
  };

  const drawReading = ({ done, of, what }) =>
    replace(holder, h("div", { class: "empty", role: "status" }, h("h2", {}, "Reading ", what), of > 0 && [h("progress", { max: of, value: done, "aria-label": "Read" }), h("p", { class: "quiet" }, `${Math.floor((100 * done) / of)} % of ${count(of)} bytes; once only, until they change.`)]));

  const rowElement = (name) => holder.querySelector(`tr[data-row="${CSS.escape(name)}"]`);
  const scrollTo = (name, block = "nearest") => rowElement(name)?.scrollIntoView({ block });

  // --- the open row

  // The same list with another row open; on which page it stands is known unless it is beyond the ends.
  const openRow = (name, beyond = 0) => {
    const page = data.rows.some(({ row }) => row === name) ? data.page : beyond ? data.page + beyond : null;
    return instead(changed(query, { row: name, page: page !== null && page > 1 ? page : null }));
  };

  function closeRow() {
    const name = query.get("row");
    void go(changed(query, { row: null, page: data && data.page > 1 ? data.page : null }));
    rowElement(name)?.querySelector("a").focus();
  }

  const markOpen = () => {
    const open = query.get("row");
    for (const one of holder.querySelectorAll("tr[aria-current]")) one.removeAttribute("aria-current");
    if (open) rowElement(open)?.setAttribute("aria-current", "true");
    scrollTo(open ?? "");
  };

  const step = (by) => {
    if (!data) return false;
    if (query.get("row")) return drawer.step(by);
    const links = [...holder.querySelectorAll("a.open")];
    const at = links.indexOf(document.activeElement?.closest("tr")?.querySelector("a.open"));
    if (at < 0 && by < 0) return false;
    const next = links[at + by];
    if (next) return (next.focus(), next.scrollIntoView({ block: "nearest" }));
    const page = data.page + by;
    if (page < 1 || page > data.pages) return;
    void instead(changed(query, { page: page > 1 ? page : null })).then(() => [...holder.querySelectorAll("a.open")].at(by > 0 ? 0 : -1)?.focus());
  };
  const arrow = (by) => (query.get("row") || holder.contains(document.activeElement) ? step(by) : false);

  // What the row in focus has becomes a filter.
  const filterByFocus = () => {
    const row = data?.rows.find((one) => one.row === (document.activeElement?.closest("tr")?.dataset.row ?? query.get("row")));
    if (!row) return false;
    void context.go(likeOf(run, query, row).href);
  };

  keys.add([
    { key: "j", also: ["ArrowDown"], label: "next row, over the end of the page", run: (event) => (event.key === "j" ? step(1) : arrow(1)) },
    { key: "k", also: ["ArrowUp"], label: "previous row", run: (event) => (event.key === "k" ? step(-1) : arrow(-1)) },
    { key: "[", label: "previous sample of the prompt", run: () => drawer.sample(-1) },
    { key: "]", label: "next sample of the prompt", run: () => drawer.sample(1) },
    { key: "Enter", label: "open the row", run: () => false },
    { key: "Escape", label: "close the row, then clear the search", run: () => {
      if (query.get("row")) return closeRow();
      if (!query.get("q") && !input.value) return false;
      input.value = "";
      search();
    } },
    { key: "/", label: "search", run: () => (input.focus(), input.select()) },
    { key: "f", label: "filter by what the row in focus has: its flag, status or reward", run: filterByFocus },
    { key: "c", label: "copy the link", run: () => drawer.copy() },
    { key: "x", label: "only what differs", run: () => drawer.onlyDiffering() },
  ], signal);

  holder.addEventListener("click", (event) => {
    const row = event.target.closest("tbody tr");
    if (!row || event.target.closest("a") || event.defaultPrevented || String(getSelection())) return;
    row.querySelector("a.open")?.click();
  });

  const follow = async (found) => {
    const before = query;
    query = found.query;
    const isSame = loaded !== null && (listOf(before) === listOf(query) || samePage(before));
    markOpen();
    await Promise.all([isSame ? (loaded = listOf(query)) : load(), drawer.show(query.get("row"))]);
    if (isSame) drawPager();
  };
  // Only `page` was put into the address, and it is the one that is here.
  const samePage = (before) =>
    listOf(changed(before, { page: null })) === listOf(changed(query, { page: null })) && Number(query.get("page") ?? 1) === data.page && (query.get("page") || !query.get("row") || rowElement(query.get("row")) !== null);

  context.watch(follow);
  await Promise.all([load(), drawer.show(query.get("row"))]);
};
