// Two runs over the same rows: their figures, what became of each row, and a row of both beside each other.

import { aligned, count, fixed, fromTree, h, inMean, mean, plural, replace, shown, signed, visible } from "./dom.js";
import { NAMES, moved, pairView } from "./pair.js";
import { changed, compareHref, withQuery } from "./state.js";
import { excerptNodes, rowName } from "./table.js";

const TYPED_MS = 200;
const MOST_PARTS = 8; // in the line above the rows

export const start = async (root, context) => {
  const { query } = context;
  if (!query.get("a") || !query.get("b")) return choose(root, context);
  return new Compare(root, context).start();
};

const runName = (run) => run.replace(/^\d+:/, "").replace(/(\.results)?\.jsonl$/, "");

// Two runs as selects; the page starts with the runs that are chosen.
const pickers = (runs, query, go) => {
  const select = (name) => {
    const known = runs.some(({ run }) => run === query.get(name)) || !query.get(name);
    const element = h("select", { "aria-label": `Run ${name.toUpperCase()}`, title: visible(query.get(name) ?? ""), on: { change: () => go({ [name]: element.value }) } },
      h("option", { value: "" }, "choose a run"), known ? null : h("option", { value: query.get(name), selected: true }, shown(query.get(name))),
      runs.map(({ run, rows }) => h("option", { value: run, selected: run === query.get(name) }, shown(runName(run)), rows === null ? "" : `, ${plural(rows, "row")}`)));
    return element;
  };
  return ["a", "b"].map((name) => h("label", { class: "picker" }, h("b", {}, name.toUpperCase()), select(name)));
};

// The sub-rewards whose means differ, the most first: all of them, with both means, stand below the rows.
const partsLine = ({ sub_rewards: parts }) => {
  const found = Object.entries(parts).filter(([, { difference: by }]) => by && Number(fixed(by.value, 4)));
  found.sort(([, one], [, other]) => Math.abs(other.difference.value) - Math.abs(one.difference.value));
  const part = ([key, { difference: by }]) => {
    const isSure = by.low > 0 || by.high < 0;
    return h("span", { class: "part-move" }, h("bdi", {}, shown(key)), " ",
      h("b", { class: isSure ? (by.value > 0 ? "better" : "worse") : "quiet", title: by.low === null ? null : `95 % interval ${mean(by.low)} to ${mean(by.high)}` }, signed(by.value)));
  };
  return found.length > 0 && h("p", { class: "part-moves" }, h("a", { href: "#sub-rewards" }, "Sub-rewards"),
    found.slice(0, MOST_PARTS).map(part), found.length > MOST_PARTS && h("span", { class: "quiet" }, `and ${found.length - MOST_PARTS} more`));
};

const choose = async (root, context) => {
  const { api, query, signal } = context;
  const { runs } = await api.get("runs", { signal });
  const go = (chosen) => {
    const next = changed(query, chosen);
    location.assign(next.get("a") && next.get("b") ? compareHref(next.get("a"), next.get("b")) : withQuery("/view/compare", next));
  };
  replace(root, h("section", { class: "empty" }, h("h1", {}, "Compare two runs"),
    h("p", {}, "Of the same rows: with two graders, or with the outputs of two models. B is compared with A."),
    runs.length < 2 ? h("p", { class: "quiet" }, "There are fewer than two runs in the opened folders.") : h("div", { class: "pickers" }, pickers(runs, query, go))));
};

class Compare {
  constructor(root, context) {
    Object.assign(this, { root, context, api: context.api, signal: context.signal, query: context.query, data: null, request: null, asked: null });
  }

  async start() {
    this.draw();
    this.context.watch((found) => this.follow(found.query));
    this.context.keys.add([
      { key: "j", also: ["ArrowDown"], label: "next row", run: () => this.step("next") },
      { key: "k", also: ["ArrowUp"], label: "previous row", run: () => this.step("previous") },
      { key: "Escape", label: "close the row", run: () => (this.query.get("row") ? void this.close() : false) },
      { key: "/", label: "search", run: () => void this.search.focus() },
    ], this.signal);
    void this.listRuns();
    await Promise.all([this.load(), this.open()]);
  }

  get runs() {
    return { a: this.query.get("a"), b: this.query.get("b") };
  }

  address(changes) {
    return withQuery("/view/compare", changed(this.query, changes));
  }

  async follow(query) {
    const isOther = ["a", "b"].some((name) => query.get(name) !== this.query.get(name));
    if (isOther) return void location.reload();
    const before = this.query;
    this.query = query;
    const listed = (one) => String(changed(one, { row: null, page: one.get("page") ?? "1" }));
    await Promise.all([listed(before) === listed(query) && this.data ? null : this.load(), before.get("row") === query.get("row") ? null : this.open()]);
    this.markOpen();
  }

  async listRuns() {
    const { runs } = await this.api.get("runs", { signal: this.signal });
    const go = (chosen) => location.assign(compareHref(chosen.a ?? this.runs.a, chosen.b ?? this.runs.b));
    const swap = h("a", { class: "button", href: compareHref(this.runs.b, this.runs.a), title: "A becomes B" }, "⇄ Swap");
    replace(this.choosing, pickers(runs, this.query, go), swap);
  }

  draw() {
    this.choosing = h("div", { class: "pickers" }, ["a", "b"].map((name) => h("span", { class: "picker" }, h("b", {}, name.toUpperCase()), shown(runName(this.runs[name])))));
    this.figures = h("div", { class: "report compared" });
    this.more = h("div", { class: "report compared" });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": "What became of the rows" });
    let timer = null;
    const searched = () => {
      clearTimeout(timer);
      if (this.search.value.trim() !== (this.query.get("q") ?? "")) void this.context.replace(this.address({ q: this.search.value.trim(), page: null, row: null }));
    };
    this.search = h("input", { type: "search", placeholder: "Search items and samples", "aria-label": "Search items and samples of both", autocomplete: "off", spellcheck: "false",
      value: this.query.get("q") ?? "", on: { input: () => (clearTimeout(timer), (timer = setTimeout(searched, TYPED_MS))), change: searched } });
    this.counted = h("p", { class: "quiet small", role: "status" });
    this.table = h("div", { class: "pairs" });
    this.pager = h("nav", { class: "pager", "aria-label": "Pages of rows" });
    this.title = h("h2", { tabindex: -1, id: "pair-title" });
    this.place = h("span", { class: "quiet small" });
    const shut = h("button", { type: "button", title: "Close (Esc)", "aria-label": "Close", on: { click: () => this.close() } }, "×");
    this.steps = Object.fromEntries([["previous", "↑", "k"], ["next", "↓", "j"]].map(([name, sign, key]) => [name,
      h("button", { type: "button", title: `${name} row (${key})`, "aria-label": `${name} row`, on: { click: () => this.step(name) } }, sign)]));
    this.body = h("div", { class: "row-body" });
    this.drawer = h("aside", { class: "drawer", "aria-labelledby": "pair-title", hidden: true },
      h("header", { class: "row-bar" }, h("div", { class: "names" }, this.title), this.place, h("div", { class: "buttons" }, this.steps.previous, this.steps.next, shut)), this.body);
    this.page = h("div", { class: "rows-page compare" },
      h("section", { class: "list", "aria-label": "Comparison" },
        h("div", { class: "scroll" },
          h("header", { class: "choose" }, h("h1", { class: "unseen" }, "Comparison"), this.choosing),
          this.figures,
          h("div", { class: "filters" }, this.chips, h("div", { class: "search" }, this.search), this.counted),
          this.table, this.pager, this.more)),
      this.drawer);
    replace(this.root, this.page);
  }

  async load() {
    this.request?.abort();
    const mine = (this.request = new AbortController());
    const signal = AbortSignal.any([this.signal, mine.signal]);
    const slow = setTimeout(() => !this.data && replace(this.table, h("p", { class: "empty quiet", role: "status" }, "Comparing …")), 300);
    try {
      for (;;) {
        const asked = changed(this.query, { row: null });
        this.data = await this.api.get(withQuery("compare", asked), {
          signal, onReading: ({ done, of }) => replace(this.table, h("div", { class: "empty" }, h("h2", {}, "Reading the results"), h("progress", { max: of, value: done, "aria-label": "Read" }))),
        });
        this.drawFigures();
        this.drawChips();
        this.drawRows();
        if (!this.data.search || this.data.search.done) break;
        await new Promise((done) => setTimeout(done, 300));
        if (signal.aborted) break;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error?.name !== "ApiError" || this.data) throw error;
      this.refuse(error);
    } finally {
      clearTimeout(slow);
    }
  }

  // The runs cannot be compared, or not without more ado.
  refuse(error) {
    const canForce = error.message.includes("--force") && !this.query.get("force");
    replace(this.table, h("div", { class: "empty", role: "alert" }, h("h2", {}, "These runs cannot be compared"), h("p", { dir: "auto" }, shown(error.message)),
      canForce ? h("p", {}, h("a", { class: "button main", href: this.address({ force: "1" }) }, "Compare all the same")) : null));
  }

  drawFigures() {
    if (this.drawn) return;
    this.drawn = true;
    const section = ({ id, heading, tree }) => h("section", { id }, h("h2", {}, heading), fromTree(tree));
    const [first, ...others] = this.data.sections;
    replace(this.figures, this.data.warnings.map((text) => h("p", { class: "warning" }, shown(text))), first ? section(first) : null, partsLine(this.data.comparison));
    replace(this.more, others.map(section));
  }

  drawChips() {
    const now = this.query.getAll("change");
    const chip = (name) => {
      const isOn = now.includes(name);
      const next = isOn ? now.filter((one) => one !== name) : [...now, name];
      return h("a", { class: "chip button", href: this.address({ change: next, page: null, row: null }), "aria-current": isOn ? "true" : null, "data-change": name },
        h("span", { class: `mark-of ${name}`, "aria-hidden": "true" }), NAMES[name], " ", h("b", {}, count(this.data.counts[name])));
    };
    replace(this.chips, Object.keys(NAMES).filter((name) => this.data.counts[name] || now.includes(name) || ["better", "worse", "same"].includes(name)).map(chip));
    const total = Object.values(this.data.counts).reduce((sum, one) => sum + one, 0);
    const searching = this.data.search && !this.data.search.done ? `, searched ${count(this.data.search.scanned)} of ${count(this.data.search.of)}` : "";
    this.counted.textContent = `${this.data.count === total ? plural(total, "row") : `${count(this.data.count)} of ${plural(total, "row")}`}${searching}`;
    const { counts } = this.data;
    if ((counts.better || counts.worse) && (counts.newly_invalid || counts.newly_failed || counts.newly_valid))
      this.counted.textContent += "; a row with another status is not among better and worse";
  }

  // The order that the rows are in: where none is asked for, a list of changes begins with the largest one.
  sortLink(label, up, down) {
    const now = this.data.sort;
    const next = now === down ? up : now === up ? "row" : down;
    return h("a", { href: this.address({ sort: next, page: null, row: null }) }, label, now === up ? " ↑" : now === down ? " ↓" : "");
  }

  drawRows() {
    const { rows, page, pages, data_problem, search } = this.data;
    const problems = [...new Set([search?.problem, data_problem].filter(Boolean))].map((text) => h("p", { class: "warning", dir: "auto" }, shown(text)));
    if (!rows.length && search && !search.done) {
      replace(this.pager);
      return replace(this.table, h("div", { class: "empty", role: "status" }, h("h2", {}, "Searching …"), h("p", { class: "quiet" }, `${count(search.scanned)} of ${plural(search.of, "row")} of both runs; none fits so far.`)));
    }
    if (!rows.length) {
      replace(this.pager);
      return replace(this.table, problems, h("div", { class: "empty" }, h("h2", {}, "No row fits"), h("p", {}, h("a", { class: "button main", href: this.address({ change: null, q: null, page: null }) }, "Clear all filters"))));
    }
    const head = (name, kind, content) => h("th", { scope: "col", class: kind, "aria-sort": this.data.sort === name ? "ascending" : this.data.sort === `-${name}` ? "descending" : null }, content);
    replace(this.table,
      problems,
      h("table", { class: "pair-table" }, h("caption", { class: "unseen" }, "Rows of both runs"),
        h("thead", {}, h("tr", {}, head("row", "row", this.sortLink("Row", "row", "row")), head("before", "number", this.sortLink("A", "before", "-before")), head("after", "number", this.sortLink("B", "after", "-after")),
          head("move", "number move", this.sortLink("Change", "move", "-move")), this.hasParts() && h("th", { scope: "col", class: "moved-part", title: "The parts that changed, the most first" }, "What changed"), h("th", { scope: "col", class: "id" }, "Id"), h("th", { scope: "col", class: "text-cell" }, "Sample of B"))),
        h("tbody", {}, rows.map((row) => this.rowOf(row)))));
    const to = (next, label, rel) => next >= 1 && next <= pages
      ? h("a", { class: "button", href: this.address({ page: next > 1 ? next : null, row: null }), rel }, label)
      : h("span", { class: "button off", "aria-disabled": "true" }, label);
    replace(this.pager, pages > 1 ? [to(page - 1, "Previous", "prev"), h("span", { class: "quiet" }, `page ${count(page)} of ${count(pages)}`), to(page + 1, "Next", "next")] : null);
    this.markOpen();
  }

  // Whether either run has sub-rewards.
  hasParts() {
    return this.data.keys.length > 0;
  }

  rowOf(row) {
    const reward = (value, status, blame) => (status === "scored" ? aligned(value)
      : [h("span", { class: `dot ${status}`, title: `${status}${blame ? ` by ${blame}` : ""}, ${inMean(value)}` }), " ", h("span", { class: "quiet" }, "-")]);
    const change = row.before !== null && row.after !== null ? row.after - row.before : null;
    const link = h("a", { href: this.address({ row: row.a }), class: "row-link" }, rowName(row.a), row.a === row.b ? null : h("span", { class: "quiet small" }, ` · ${row.b}`));
    const words = { newly_invalid: "newly invalid", newly_failed: "no answer", newly_valid: "newly valid" };
    const tr = h("tr", { "data-row": row.a, on: { click: (event) => {
      if (event.target instanceof Element && !event.target.closest("a") && !getSelection()?.toString()) void this.context.go(this.address({ row: row.a }));
    } } },
      h("th", { scope: "row" }, link), h("td", { class: "number" }, reward(row.before, row.status_before, row.blame_before)), h("td", { class: "number" }, h("b", {}, reward(row.after, row.status_after, row.blame_after))),
      h("td", { class: `number move ${row.change}` }, words[row.change] ?? (row.change === "same" ? h("span", { class: "quiet" }, "same") : moved(change))),
      this.hasParts() && h("td", { class: "moved-part", title: row.parts.map(({ key }) => visible(key)).join(", ") }, !row.parts.length ? h("span", { class: "quiet" }, "-") : row.parts.map(({ key, before, after }, at) => [at > 0 && ", ",
        h("bdi", {}, shown(key)), " ", h("span", { class: "quiet" }, before === null ? "new" : after === null ? "gone" : moved(after - before))])),
      h("td", { class: "id", title: row.id }, h("bdi", {}, shown(row.id))), h("td", { class: "text-cell" }, h("code", { dir: "auto" }, excerptNodes(row.excerpt))));
    return tr;
  }

  markOpen() {
    const open = this.query.get("row");
    for (const tr of this.table.querySelectorAll("tbody tr")) {
      if (tr.dataset.row === open) {
        tr.setAttribute("aria-current", "true");
        tr.scrollIntoView({ block: "nearest" });
      }
      else tr.removeAttribute("aria-current");
    }
  }

  step(name) {
    const open = this.query.get("row");
    if (!open || !this.data) return false;
    const { rows, page } = this.data;
    const by = name === "next" ? 1 : -1;
    const at = rows.findIndex(({ a }) => a === open);
    const near = at < 0 ? null : rows[at + by]?.a; // also while the row before it is still on its way
    const row = near ?? (this.pair?.a.row === open ? this.pair[name] : null);
    if (!row) return false;
    const other = near || at < 0 ? page : page + by;
    void this.context.replace(this.address({ row, page: other > 1 ? other : null }));
  }

  async close() {
    const row = this.query.get("row");
    await this.context.go(this.address({ row: null }));
    this.table.querySelector(`tr[data-row="${CSS.escape(row ?? "")}"] a`)?.focus();
  }

  async open() {
    const row = this.query.get("row");
    this.opening?.abort();
    const wasOpen = !this.drawer.hidden;
    this.drawer.hidden = !row;
    this.page.classList.toggle("opened", Boolean(row));
    if (this.pair?.a.row !== row) this.pair = null; // while the same row is read again, its keys still lead on
    if (!row) return;
    const mine = (this.opening = new AbortController());
    const signal = AbortSignal.any([this.signal, mine.signal]);
    try {
      const pair = await this.api.get(withQuery(`compare/rows/${encodeURIComponent(row)}`, changed(this.query, { row: null, page: null })), { signal });
      this.pair = pair;
      replace(this.title, "Row ", shown(pair.a.row), pair.a.row === pair.b.row ? null : h("span", { class: "quiet" }, `, in B ${pair.b.row}`), pair.a.id ? h("span", { class: "quiet" }, " ", h("bdi", {}, shown(pair.a.id))) : null);
      this.place.textContent = pair.position ? `${count(pair.position)} of ${count(pair.of)}` : "";
      for (const name of ["previous", "next"]) this.steps[name].disabled = !pair[name];
      replace(this.body, pairView(pair, this));
      this.body.scrollTop = 0;
      if (!wasOpen) this.title.focus({ preventScroll: true });
    } catch (error) {
      if (signal.aborted) return;
      replace(this.title, "Row ", shown(row));
      replace(this.body, h("p", { class: "problem", role: "alert", dir: "auto" }, shown(error.message)));
    }
  }
}
