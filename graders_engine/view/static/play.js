// The playground: a grader that is typed, and what changes in some rows, as one types.

import { aligned, bytes, count, fixed, h, inMean, mean, number, plural, replace, save as saveFile, shown, tint } from "./dom.js";
import { isJson, makeEditor } from "./editor.js";
import { filtersOf, remember, remembered, runHref, withQuery } from "./state.js";
import { textOf } from "./yaml.js";

const WAIT_MS = 150;
const LISTED = 200;
const BLANK = `{
  "type": "string_check",
  "name": "exact match",
  "input": "{{sample.output_text}}",
  "reference": "{{item.answer}}",
  "operation": "eq"
}
`;
const blankWith = (path) => (path ? BLANK.replace('"{{item.answer}}"', () => JSON.stringify(`{{${path}}}`)) : BLANK);
const READ_ONLY = "This page is read only: it shows the grader of a run, but no grader is tried or saved here.";
const SAMPLE_PATHS = ["output_text", "output_json", "output_tools", "output_reasoning_summary"].map((name) => `sample.${name}`);
const PLAIN = /^item\.\w+$/; // others are not offered: they need quotes
const ROWS = [
  ["first-200", "the first 200 rows"],
  ["drawn-200", "200 drawn rows"],
  ["first-1000", "the first 1,000 rows"],
  ["drawn-1000", "1,000 drawn rows"],
];

// An estimate's half width, where its interval lies around it evenly enough; else both ends.
const interval = ({ value, low, high }) => {
  if (low === null || high === null || low === undefined) return "";
  const reach = (high - low) / 2;
  return Math.abs(value - (low + high) / 2) <= 0.05 * reach ? `± ${mean(reach)}` : `${mean(low)} to ${mean(high)}`;
};
const signed = (value) => (value > 0 ? `+${mean(value)}` : mean(value).replace("-", "−"));

const drafts = {
  name: (source) => `draft-${source}`,
  get: (source) => sessionStorage.getItem(drafts.name(source)),
  set: (source, text) => (text === null ? sessionStorage.removeItem(drafts.name(source)) : sessionStorage.setItem(drafts.name(source), text)),
};

export const start = async (root, context) => {
  const data = context.query.get("data");
  if (!context.run && !data) return chooseSource(root, context);
  return new Playground(root, context, data).start();
};

// Without a run or a data set: which there are.
const chooseSource = async (root, { api, signal }) => {
  const { runs, others, read_only: isReadOnly } = await api.get("runs", { signal });
  const sets = isReadOnly ? [] : others.filter(({ kind }) => kind === "data");
  const item = (href, name, about) => h("li", {}, h("a", { href }, shown(name)), about ? h("span", { class: "quiet" }, " ", about) : null);
  replace(root, h("section", { class: "empty" }, h("h1", {}, "Try a grader"),
    h("p", {}, isReadOnly ? READ_ONLY : "On the rows of a run, beside the rewards that it has, or on a data set."),
    runs.length ? [h("h2", {}, "Runs"), h("ul", {}, runs.map(({ run, name, rows }) => item(runHref(run, "playground"), name, rows === null ? "" : plural(rows, "row"))))] : null,
    sets.length ? [h("h2", {}, "Data sets"), h("ul", {}, sets.map(({ path }) => item(withQuery("/view/playground", new URLSearchParams({ data: path })), path)))] : null,
    runs.length || sets.length ? null : h("p", {}, "There is neither in the opened folders.")));
};

class Playground {
  constructor(root, context, data) {
    Object.assign(this, { root, context, data, api: context.api, signal: context.signal });
    this.source = context.run ? { run: context.run } : { data };
    this.filters = filtersOf(context.query);
    this.controller = null;
    this.timer = null;
    this.answer = null; // the last one with numbers
  }

  async start() {
    const { run } = this.context;
    const asked = run
      ? this.api.get(`runs/${encodeURIComponent(run)}/grader`, { signal: this.signal })
      : this.findFields();
    const [stored, schema] = await Promise.all([asked, this.api.get("schema", { signal: this.signal })]);
    this.stored = stored;
    this.original = stored.grader ? textOf(stored.grader) : blankWith(stored.reference);
    const key = run ?? `data:${this.data}`;
    this.draftKey = key;
    const isReadOnly = stored.read_only;
    this.editor = makeEditor({
      text: isReadOnly ? this.original : drafts.get(key) ?? this.original, label: "Grader", schema, paths: [...SAMPLE_PATHS, ...(stored.paths ?? [])],
      isReadOnly, onInput: (text) => this.typed(text),
    });
    this.draw();
    if (isReadOnly) return void replace(this.notes, h("p", { class: "warning" }, READ_ONLY));
    this.isEdited();
    void this.findPaths();
    this.signal.addEventListener("abort", () => (clearTimeout(this.timer), this.controller?.abort()), { once: true });
    this.context.keys?.add([{ key: "Ctrl-s", label: "save the grader", run: () => this.save() }], this.signal);
    await this.attempt();
  }

  draw() {
    const options = [...ROWS, ...(String(this.filters) ? [["filter-200", "the current filter"]] : [])];
    const chosen = String(this.filters) ? "filter-200" : remembered("play-rows", "first-200");
    this.rows = h("select", { id: "play-rows", on: { change: () => (remember("play-rows", this.rows.value.replace("filter-200", "first-200")), void this.attempt()) } },
      options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
    this.state = h("p", { class: "quiet state", role: "status" });
    this.edited = h("span", { class: "quiet" });
    this.revert = h("button", { type: "button", hidden: true, on: { click: () => (this.editor.value = this.original) } }, "Revert");
    this.mistakes = h("div", { class: "mistakes", role: "region", "aria-label": "Mistakes", tabindex: 0, hidden: true });
    this.notes = h("div", { class: "notes" });
    this.needs = h("div", { class: "needs", hidden: true });
    this.figures = h("dl", { class: "figures" });
    this.table = h("div", { class: "changed-rows" });
    const name = this.stored.name || (this.data ?? "").split("/").at(-1) || "grader";
    replace(this.root,
      h("div", { class: "play" },
        h("section", { class: "draft", "aria-label": "Grader" },
          h("header", {}, h("h1", {}, shown(name)), this.edited, this.revert,
            !this.stored.read_only && h("button", { type: "button", class: "main", title: "Save as a new file (Ctrl-S)", on: { click: () => this.save() } }, "Save as…")),
          this.editor.node, this.mistakes),
        h("section", { class: "effect", "aria-label": "What changes" },
          !this.stored.read_only && h("header", {}, h("label", { for: "play-rows" }, "on"), this.rows, this.state),
          this.needs, this.notes, this.figures, this.table)));
  }

  // What templates may name in the rows of a data set; where they cannot be read, trying a grader says why.
  async findFields() {
    const unread = { paths: [], reference: null, read_only: false };
    const found = await this.api.get(`fields?${new URLSearchParams({ data: this.data })}`, { signal: this.signal }).catch((error) => {
      if (error?.name !== "ApiError") throw error;
      return unread;
    });
    return { ...found, grader: null, name: "", paths: found.paths.filter((path) => PLAIN.test(path)) };
  }

  // What templates may name in a run: the keys of the first row's item.
  async findPaths() {
    const { run } = this.context;
    if (!run) return;
    try {
      const path = `runs/${encodeURIComponent(run)}/rows`;
      const { rows } = await this.api.get(`${path}?per_page=50`, { signal: this.signal });
      if (!rows.length) return;
      const { item } = await this.api.get(`${path}/${encodeURIComponent(rows[0].row)}`, { signal: this.signal });
      this.editor.paths = [...SAMPLE_PATHS, ...(item ?? []).map(({ name }) => `item.${name}`).filter((path) => PLAIN.test(path))];
    } catch (error) {
      if (error?.name !== "ApiError" && error?.name !== "AbortError") throw error; // offers are a help only
    }
  }

  isEdited() {
    const differs = this.editor.value !== this.original;
    this.edited.textContent = differs ? "edited" : "";
    this.revert.hidden = !differs;
    drafts.set(this.draftKey, differs ? this.editor.value : null);
  }

  typed() {
    this.isEdited();
    clearTimeout(this.timer);
    this.controller?.abort();
    this.timer = setTimeout(() => void this.attempt(), WAIT_MS);
  }

  async attempt(more = {}) {
    clearTimeout(this.timer);
    this.controller?.abort();
    const controller = (this.controller = new AbortController());
    const text = this.editor.value;
    const [rows, size] = this.rows.value.split("-");
    const body = {
      ...this.source, grader: text, format: isJson(text) ? "json" : "yaml", rows, count: Number(size),
      query: String(this.filters), ...more,
    };
    const slow = setTimeout(() => (this.state.textContent = more.costly ? "asking …" : "grading …"), 400);
    try {
      const answer = await this.api.post("try", body, { signal: controller.signal });
      if (controller.signal.aborted) return;
      if (answer.reading) return void (this.timer = setTimeout(() => void this.attempt(more), 300), (this.state.textContent = "the run is being read …"));
      this.take(answer);
    } catch (error) {
      if (controller.signal.aborted) return;
      if (error?.name !== "ApiError") throw error;
      this.state.textContent = "";
      replace(this.notes, h("p", { class: "problem", role: "alert" }, shown(error.message)));
    } finally {
      clearTimeout(slow);
    }
  }

  take(answer) {
    const mistakes = answer.mistakes ?? [];
    this.editor.mistakes = mistakes;
    this.drawMistakes(mistakes);
    const isOld = mistakes.length > 0 || answer.needs || answer.unavailable;
    this.root.firstElementChild.classList.toggle("old", Boolean(isOld && this.answer));
    this.drawNotes(answer);
    this.drawNeeds(answer);
    if (mistakes.length)
      this.state.textContent = `${plural(mistakes.length, "mistake")}${this.answer ? "; below, the last grader without" : ""}`;
    else if (isOld) this.state.textContent = this.answer ? "below, the last grader that was run" : "";
    else {
      this.answer = answer;
      this.drawFigures(answer);
      this.drawRows(answer);
    }
  }

  drawMistakes(mistakes) {
    this.mistakes.hidden = !mistakes.length;
    replace(this.mistakes, mistakes.map((one) =>
      h("article", { class: "mistake" },
        h("h2", {}, h("button", { type: "button", class: "link", title: "Go to this place", on: { click: () => this.editor.goTo(one) } },
          one.path ? h("code", {}, shown(one.path)) : `line ${one.line}, column ${one.column}`)),
        h("p", { dir: "auto" }, shown(one.message), one.hint ? h("span", { class: "quiet" }, " ", shown(one.hint)) : null),
        one.detail ? h("pre", {}, one.detail) : null)));
  }

  drawNotes({ notes = [], unavailable, problem, failed, why_failed: why, graded, why_invalid: fault }) {
    const said = [...new Set(notes)].filter((note) => note !== unavailable);
    replace(this.notes,
      unavailable ? h("p", { class: "problem", role: "alert" }, shown(unavailable)) : null,
      problem ? h("p", { class: "problem", role: "alert" }, shown(problem)) : null,
      failed ? h("p", { class: "problem", role: "alert" }, `${plural(failed, "row")} got no answer and ${failed === 1 ? "counts" : "count"} in no mean: `, shown(why)) : null,
      fault ? h("p", { class: "problem", role: "alert" }, graded === 1 ? "The row is invalid: " : `All ${count(graded)} rows are invalid: `, shown(fault)) : null,
      said.map((note) => h("p", { class: "warning" }, shown(note))));
  }

  drawNeeds({ needs }) {
    this.needs.hidden = !needs;
    if (!needs) return;
    const limit = h("input", { id: "max-cost", type: "number", min: 0, step: "any", size: 6, value: needs.cost === null ? "" : fixed(Math.max(0.01, 1.5 * needs.cost), 2) });
    const ask = () => void this.attempt({ costly: true, max_cost: limit.value === "" ? null : Number(limit.value) });
    const whom = [needs.models.length ? `judges (${needs.models.join(", ")})` : "", needs.endpoints ? "an endpoint" : ""].filter(Boolean).join(" and ") || "a model for embeddings";
    replace(this.needs,
      h("p", {}, "This grader asks ", shown(whom), `. For these ${plural(needs.rows, "row")} that is up to `,
        h("b", {}, plural(needs.requests, "request")), `, about ${count(needs.tokens)} tokens, `,
        needs.cost === null ? "at a price that is not known." : ["about ", h("b", {}, needs.cost >= 1 ? fixed(needs.cost, 2) : number(needs.cost)), "."]),
      h("p", { class: "line" }, h("button", { type: "button", class: "main", on: { click: ask } }, `Ask for ${plural(needs.rows, "row")}`),
        needs.models.length && needs.cost !== null ? [h("label", { for: "max-cost" }, "and spend at most"), limit] : null));
  }

  drawFigures(answer) {
    const { stored, now, difference, changed } = answer;
    const one = (name, kind, ...content) => h("div", { class: kind }, h("dt", {}, name), h("dd", {}, content));
    const invalid = [["newly_invalid", "newly invalid"], ["newly_failed", "newly without an answer"], ["newly_valid", "newly valid"]]
      .filter(([key]) => answer[key]).map(([key, name]) => one(name, "", count(answer[key])));
    replace(this.figures,
      stored ? one("stored mean", "large", mean(stored.value)) : null,
      one("now", "large now", now ? mean(now.value) : "-"),
      difference
        ? one("difference", "", signed(difference.value), " ", h("span", { class: "quiet" }, interval(difference)))
        : now ? one("95 % interval", "", now.low === null ? "-" : `${mean(now.low)} to ${mean(now.high)}`) : null,
      stored ? [one("rows that change", "", `${count(changed.length)} of ${count(answer.graded)}`), one("up, down", "", `${count(answer.up)}, ${count(answer.down)}`), invalid] : one("rows", "", count(answer.graded)));
    const cost = answer.spent?.cost;
    const tokens = Object.values(answer.spent?.tokens ?? {}).flatMap((usage) => Object.values(usage)).length;
    this.state.textContent = tokens && cost !== undefined && cost !== null ? `judges took ${number(cost)}` : "";
  }

  drawRows({ changed, stored }) {
    const { run } = this.context;
    if (!changed.length)
      return replace(this.table, h("p", { class: "quiet none-changed" }, stored ? "No row changes." : "There is no row."));
    const body = h("tbody", {});
    const add = (from) => body.append(...changed.slice(from, from + LISTED).flatMap((row) => this.rowOf(row, run, stored)));
    const more = h("button", { type: "button", hidden: changed.length <= LISTED, on: { click: () => {
      add(body.querySelectorAll("tr.row").length);
      more.hidden = body.querySelectorAll("tr.row").length >= changed.length;
    } } }, "More rows");
    add(0);
    replace(this.table,
      h("table", {}, h("caption", { class: "unseen" }, stored ? "Rows that change" : "Rows"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Row"), stored ? h("th", { scope: "col", class: "number" }, "Stored") : null,
          h("th", { scope: "col", class: "number" }, "Now"), stored ? h("th", { scope: "col", class: "number" }, "Change") : null,
          h("th", { scope: "col" }, stored ? "What changed" : "Parts"), h("th", { scope: "col" }, "Sample"))),
        body), more);
  }

  rowOf(row, run, stored) {
    const [line, sample] = row.row.split("#");
    const details = h("tr", { class: "details", hidden: true });
    const toggle = h("button", { type: "button", class: "link", "aria-expanded": "false", title: "What changes in this row" }, line, sample ? h("span", { class: "quiet" }, `#${sample}`) : null);
    const flip = () => {
      details.hidden = !details.hidden;
      toggle.setAttribute("aria-expanded", String(!details.hidden));
      if (!details.hidden && !details.children.length) details.append(h("td", { colspan: stored ? 6 : 4 }, this.detailsOf(row, run)));
    };
    const reward = (value, status) => (status === "scored" ? aligned(value) : h("span", { class: status === "invalid" ? "invalid" : "quiet", title: status && inMean(value) }, status ?? "-"));
    const moved = row.before !== null && row.after !== null ? row.after - row.before : null;
    const parts = Object.keys(row.parts);
    const what = row.status_before && row.status_before !== row.status_after
      ? `${row.status_before} → ${row.status_after}${row.blame_after ? ` by ${row.blame_after}` : ""}`
      : stored ? parts.join(", ") || "the reward alone" : parts.map((key) => `${key} ${number(row.parts[key][1])}`).join(", ");
    const tr = h("tr", { class: "row", on: { click: (event) => event.target instanceof Element && !event.target.closest("a") && flip() } },
      h("th", { scope: "row" }, toggle),
      stored ? h("td", { class: "number" }, reward(row.before, row.status_before)) : null,
      h("td", { class: `number ${tint(row.after)}` }, h("b", {}, reward(row.after, row.status_after))),
      stored ? h("td", { class: `number move ${moved > 0 ? "up" : "down"}` }, moved === null ? "" : [moved > 0 ? "+" : "", aligned(moved)]) : null,
      h("td", { class: "what" }, h("bdi", {}, shown(what))),
      h("td", { class: "text-cell" }, h("code", { dir: "auto" }, shown(row.excerpt.text))));
    return [tr, details];
  }

  detailsOf(row, run) {
    const parts = Object.entries(row.parts);
    const flags = Object.entries(row.flags ?? {});
    return h("div", { class: "opened" },
      parts.length ? h("table", { class: "parts" },
        h("thead", {}, h("tr", {}, ["Part", "Stored", "Now"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, parts.map(([key, [before, after]]) => h("tr", {}, h("th", { scope: "row" }, h("bdi", {}, shown(key))), h("td", { class: "number" }, aligned(before)), h("td", { class: `number ${tint(after)}` }, aligned(after)))))) : null,
      flags.map(([name, text]) => h("p", { class: "flag" }, h("code", {}, shown(name)), " ", h("span", { dir: "auto" }, shown(text)))),
      h("pre", { dir: "auto" }, shown(row.excerpt.text)),
      run ? h("p", {}, h("a", { href: runHref(run, "rows", row.row) }, `Row ${row.row}`, row.id ? [", ", h("bdi", {}, shown(row.id))] : null), h("span", { class: "quiet" }, " with its texts and recorded parts")) : null);
  }

  save() {
    const text = this.editor.value;
    const format = isJson(text) ? "json" : "yaml";
    const input = h("input", { id: "save-name", value: `grader-2.${format}`, autocomplete: "off", spellcheck: "false" });
    const said = h("p", { role: "alert" });
    const dialog = h("dialog", { class: "save", "aria-labelledby": "save-title" });
    const send = async (event) => {
      event.preventDefault();
      try {
        const { path } = await this.api.post("save", { ...this.source, name: input.value.trim(), grader: text, format }, { signal: this.signal });
        replace(said, "Saved as ", h("code", {}, shown(path)), `, ${bytes(new Blob([text]).size)}.`);
        said.className = "";
        form.hidden = true;
        close.focus();
      } catch (error) {
        if (error?.name !== "ApiError") throw error;
        said.className = "problem";
        replace(said, shown(error.message));
        input.focus();
      }
    };
    const close = h("button", { type: "button", on: { click: () => dialog.close() } }, "Close");
    const form = h("form", { on: { submit: send } }, h("label", { for: "save-name" }, "A new file beside the run; no file is written over"),
      h("div", { class: "line" }, input, h("button", { class: "main" }, "Save"),
        h("button", { type: "button", title: "Let the browser save it", on: { click: () => saveFile(text, input.value.trim() || `grader.${format}`) } }, "Download")));
    dialog.append(h("header", {}, h("h2", { id: "save-title" }, "Save the grader"), close), h("div", { class: "inside" }, form, said));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
    input.setSelectionRange(0, input.value.lastIndexOf("."));
  }
}
