// Two runs over the same rows: their figures, what became of each row, and a row of both beside each other.

import { aligned, count, h, fromTree, mean, number, plural, replace, shown, tint } from "./dom.js";
import { changed, compareHref, runHref, withQuery } from "./state.js";
import { excerptNodes, rowName } from "./table.js";
import { contentOf, textBox } from "./texts.js";
import { differences, sideBySide } from "./words.js";

const TYPED_MS = 200;
const NAMES = {
  better: "better", worse: "worse", newly_invalid: "newly invalid", newly_failed: "newly without an answer",
  newly_valid: "newly valid", same: "same",
};
const MOST_WHOLE = 4000000;

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
    const element = h("select", { "aria-label": `Run ${name.toUpperCase()}`, on: { change: () => go({ [name]: element.value }) } },
      h("option", { value: "" }, "choose a run"), known ? null : h("option", { value: query.get(name), selected: true }, shown(query.get(name))),
      runs.map(({ run, rows }) => h("option", { value: run, selected: run === query.get(name) }, shown(runName(run)), rows === null ? "" : `, ${plural(rows, "row")}`)));
    return element;
  };
  return ["a", "b"].map((name) => h("label", { class: "picker" }, h("b", {}, name.toUpperCase()), select(name)));
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
    this.search = h("input", { type: "search", placeholder: "Search items and samples of both", "aria-label": "Search items and samples of both", autocomplete: "off", spellcheck: "false",
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
    replace(this.figures, this.data.warnings.map((text) => h("p", { class: "warning" }, shown(text))), first ? section(first) : null);
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
  }

  sortLink(label, up, down) {
    const now = this.query.get("sort") ?? "row";
    const next = now === down ? up : now === up ? null : down;
    return h("a", { href: this.address({ sort: next === "row" ? null : next, page: null, row: null }) }, label, now === up ? " ↑" : now === down ? " ↓" : "");
  }

  drawRows() {
    const { rows, page, pages, data_problem, search } = this.data;
    const problems = [...new Set([search?.problem, data_problem].filter(Boolean))].map((text) => h("p", { class: "warning", dir: "auto" }, shown(text)));
    if (!rows.length) {
      replace(this.pager);
      return replace(this.table, problems, h("div", { class: "empty" }, h("h2", {}, "No row passes"), h("p", {}, h("a", { class: "button main", href: this.address({ change: null, q: null, page: null }) }, "Clear all filters"))));
    }
    const head = (name, kind, content) => h("th", { scope: "col", class: kind, "aria-sort": this.query.get("sort") === name ? "ascending" : this.query.get("sort") === `-${name}` ? "descending" : null }, content);
    replace(this.table,
      problems,
      h("table", { class: "pair-table" }, h("caption", { class: "unseen" }, "Rows of both runs"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Row"), head("before", "number", this.sortLink("A", "before", "-before")), head("after", "number", this.sortLink("B", "after", "-after")),
          head("move", "number", this.sortLink("Change", "move", "-move")), h("th", { scope: "col" }, "Id"), h("th", { scope: "col" }, "Sample of B"))),
        h("tbody", {}, rows.map((row) => this.rowOf(row)))));
    const to = (next, label, rel) => next >= 1 && next <= pages
      ? h("a", { class: "button", href: this.address({ page: next > 1 ? next : null, row: null }), rel }, label)
      : h("span", { class: "button off", "aria-disabled": "true" }, label);
    replace(this.pager, pages > 1 ? [to(page - 1, "Previous", "prev"), h("span", { class: "quiet" }, `page ${count(page)} of ${count(pages)}`), to(page + 1, "Next", "next")] : null);
    this.markOpen();
  }

  rowOf(row) {
    const reward = (value, status, blame) => [status === "scored" ? null : h("span", { class: `dot ${status}`, title: blame ? `${status} by ${blame}` : status }), " ", value === null ? h("span", { class: "quiet" }, "-") : aligned(value)];
    const moved = row.before !== null && row.after !== null ? row.after - row.before : null;
    const link = h("a", { href: this.address({ row: row.a }), class: "row-link" }, rowName(row.a), row.a === row.b ? null : h("span", { class: "quiet small" }, ` · ${row.b}`));
    const words = { newly_invalid: "newly invalid", newly_failed: "no answer", newly_valid: "newly valid" };
    const tr = h("tr", { "data-row": row.a, on: { click: (event) => {
      if (event.target instanceof Element && !event.target.closest("a") && !getSelection()?.toString()) void this.context.go(this.address({ row: row.a }));
    } } },
      h("th", { scope: "row" }, link), h("td", { class: "number" }, reward(row.before, row.status_before, row.blame_before)), h("td", { class: "number" }, h("b", {}, reward(row.after, row.status_after, row.blame_after))),
      h("td", { class: `number move ${row.change}` }, words[row.change] ?? (row.change === "same" ? h("span", { class: "quiet" }, "same") : [moved > 0 ? "+" : "", aligned(moved)])),
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
      replace(this.body, this.pairView(pair));
      this.body.scrollTop = 0;
      if (!wasOpen) this.title.focus({ preventScroll: true });
    } catch (error) {
      if (signal.aborted) return;
      replace(this.title, "Row ", shown(row));
      replace(this.body, h("p", { class: "problem", role: "alert", dir: "auto" }, shown(error.message)));
    }
  }

  // --- one row of both runs

  pairView({ a, b, change }) {
    const block = (heading, kind, ...content) => h("section", { class: `block ${kind}` }, h("h3", {}, heading), content);
    const problems = [...new Set([a.data_problem, b.data_problem].filter(Boolean))];
    return h("div", { class: "row-view pair-view" },
      h("div", { class: "lead both" }, rewardOf("A", a), rewardOf("B", b), h("p", { class: "quiet" }, NAMES[change] ?? change)),
      problems.map((text) => h("p", { class: "warning small", dir: "auto" }, shown(text))),
      a.sample && b.sample ? block("Samples", "samples-of-both", this.samplesOf(a, b)) : null,
      block("How the rewards come about", "how", partsOfBoth(a, b), formulasOf(a, b)),
      flagsOf(a, b, block),
      itemsOf(a, b, block),
      h("p", { class: "line" }, [["a", a, "A"], ["b", b, "B"]].map(([name, row, letter]) => h("a", { href: runHref(this.runs[name], "rows", row.row) }, `Row ${row.row} of ${letter}`))));
  }

  // Both samples by words. Of one that is cut, the whole text is compared where it is not too large.
  samplesOf(a, b) {
    const place = h("div", {});
    const options = { names: ["A", "B"] };
    const whole = [a.sample.chars ?? null, b.sample.chars ?? null];
    const texts = [textOf(a.sample), textOf(b.sample)];
    const isCut = [a, b].some(({ sample }) => sample.chars > [...sample.text].length);
    replace(place, sideBySide(...texts, isCut ? { ...options, whole } : options));
    const size = Math.max(...whole.map((one) => one ?? 0));
    if (!isCut || size > MOST_WHOLE) return place;
    const load = async (button) => {
      button.disabled = true;
      const get = async (run, row) => (await this.api.blob(`runs/${encodeURIComponent(run)}/rows/${encodeURIComponent(row)}/text?part=sample`, { signal: this.signal })).text();
      try {
        replace(place, sideBySide(...(await Promise.all([get(this.runs.a, a.row), get(this.runs.b, b.row)])), options));
        button.remove();
      } catch (error) {
        if (error?.name !== "ApiError") throw error;
        button.replaceWith(h("p", { class: "problem", role: "alert" }, shown(error.message)));
      }
    };
    const button = h("button", { type: "button", on: { click: () => void load(button) } }, `Compare the whole texts, ${count(size)} characters`);
    return [place, h("p", {}, button)];
  }
}

const textOf = ({ kind, text, messages }) =>
  kind === "chat" && messages?.length
    ? messages.map(({ role, text: said, tool_calls: calls }) => [`${role ?? ""}:`, said, ...(calls ?? []).map((call) => `${call.name} ${call.arguments}`)].filter(Boolean).join("\n")).join("\n\n")
    : text;

const rewardOf = (letter, row) => {
  const value = row.status === "scored" ? row.reward : row.served;
  return h("div", { class: "reward-of" }, h("p", { class: "quiet" }, letter),
    h("p", { class: "mean" }, value === null || value === undefined ? "-" : number(value)),
    h("p", { class: "quiet small" }, h("span", { class: `dot ${row.status}` }), " ", row.status, row.blame ? ` by ${row.blame}` : ""));
};

const byKey = (row) => new Map(row.parts.map((part) => [part.key, part]));

const partsOfBoth = (a, b) => {
  const [first, second] = [byKey(a), byKey(b)];
  const keys = [...new Set([...first.keys(), ...second.keys()])];
  return h("table", { class: "parts-of-both" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Part"), h("th", { scope: "col", class: "number" }, "A"), h("th", { scope: "col", class: "number" }, "B"), h("th", { scope: "col" }, "What was compared"))),
    h("tbody", {}, keys.map((key) => {
      const [one, other] = [first.get(key), second.get(key)];
      const cell = (part) => h("td", { class: "number" }, part ? h("span", { class: `cell ${tint(part.reward)}` }, number(part.reward)) : h("span", { class: "quiet" }, "-"));
      return h("tr", { class: one && other && one.reward === other.reward ? "equal" : "" }, h("th", { scope: "row" }, h("bdi", {}, shown(key || one?.type || other?.type || ""))), cell(one), cell(other), h("td", {}, renderings(one, other)));
    })));
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

const flagsOf = (a, b, block) => {
  const all = [["A", a], ["B", b]].flatMap(([letter, row]) => Object.entries(row.flags ?? {}).map(([name, text]) => h("div", { class: "flag" }, h("b", {}, letter), " ", h("code", {}, shown(name)), text ? h("pre", { dir: "auto" }, shown(String(text))) : null)));
  return all.length ? block("Flags", "flags", all) : null;
};

const itemsOf = (a, b, block) => {
  const [first, second] = [a, b].map((row) => row.item ?? []);
  if (!first.length && !second.length) return null;
  const isSame = JSON.stringify(first) === JSON.stringify(second);
  const box = (item) => h("div", { class: "box" }, item.map(({ name, text, kind, chars }) => [h("h4", { class: "small quiet" }, shown(name)), textBox(name, text, { kind, chars, plain: kind === "text" })]));
  if (isSame) return block("Item", "item", box(first));
  return block("Items: they differ", "item", h("div", { class: "sides" }, [["A", first], ["B", second]].map(([letter, item]) => h("div", {}, h("p", { class: "quiet" }, letter), box(item)))));
};
