// The drawer beside the table, and the page of one row: both are a bar and a row view.

import { h, number, replace, shown } from "./dom.js";
import { rowView, saveText } from "./row.js";
import { changed, filtersOf, runHref, withQuery } from "./state.js";

// Copies the address of what is on the page, and says so on the button.
export const copyLink = async (button, url = location.href) => {
  try {
    await navigator.clipboard.writeText(url);
    button.textContent = "Copied";
  } catch {
    prompt("The address:", url); // without a secure context there is no clipboard
  }
  setTimeout(() => (button.textContent = "Copy link"), 1500);
};

// The rows that have what this one has: its flag, or its status, or its reward.
export const likeOf = (run, query, row) => likeAt(runHref(run, "rows"), query, row);

export const likeAt = (path, query, row) => {
  const flag = Array.isArray(row.flags) ? row.flags[0] : Object.keys(row.flags)[0];
  const [name, value, text] = flag
    ? ["flag", flag, `rows with ${flag}`]
    : row.status !== "scored"
      ? ["status", row.status, `rows that are ${row.status}`]
      : ["reward", `${row.reward}..${row.reward}`, `rows with reward ${number(row.reward)}`];
  return { href: withQuery(path, changed(filtersOf(query), { [name]: value })), text };
};

// Where the rows come from: get(name, signal) gives one; of(row, show) what its view offers, where `show(row)` draws it
// anew, or view(row) another view than that of `row.js`.
const serverRows = ({ context, runPath, query }) => {
  const { api, signal } = context;
  const pathOf = (name) => `${runPath}/${encodeURIComponent(name)}`;
  const get = (name, one) => api.get(withQuery(pathOf(name), filtersOf(query())), { signal: one ?? signal });
  const of = (row, show) => ({
    like: likeOf(context.run, query(), row),
    whole: (part) => saveText(api, `${pathOf(row.row)}/text?${new URLSearchParams({ part })}`, `${row.row.replace("#", "-")}.${part.replace(/[^\w.-]+/g, "-")}.txt`, signal).catch(context.fail),
    ask: row.read_only ? null : async (event) => {
      const button = event.target;
      button.disabled = true;
      button.textContent = "Grading …";
      try {
        show(await api.post(`${pathOf(row.row)}/grade`, { costly: true }, { signal }));
      } catch (error) {
        button.replaceWith(h("p", { class: "problem", role: "alert" }, shown(error.message)));
      }
    },
  });
  return { get, of };
};

// What both have in common. runPath: of the API. query(): of the page. open(name): an address. follow(name, beyond).
export const makeRowPane = ({ context, runPath, query, open, follow, rows = serverRows({ context, runPath, query }), buttons = [], level = "h2" }) => {
  const { signal } = context;
  const title = h(level, { tabindex: -1, id: "row-title" });
  const id = h("span", { class: "id quiet", dir: "auto" });
  const place = h("span", { class: "place quiet small" });
  const step = (label, name, key, by) => h("button", { type: "button", title: `${name} (${key})`, "aria-label": name, on: { click: () => pane.step(by) } }, label);
  const [previous, next] = [step("↑", "Previous row", "k", -1), step("↓", "Next row", "j", 1)];
  const copy = h("button", { type: "button", class: "copy", title: "Copy link (c)", on: { click: () => copyLink(copy) } }, "Copy link");
  const bar = h("header", { class: "row-bar" }, h("div", { class: "names" }, title, id), place, h("div", { class: "buttons" }, previous, next, copy, buttons));
  const body = h("div", { class: "row-body" });
  let row = null;
  let request = null;
  let isOnlyDiffering = false;

  const draw = () => {
    replace(title, "Row ", shown(row.row));
    replace(id, shown(row.id ?? ""));
    place.textContent = row.position !== null && row.position !== undefined ? `${(row.position + 1).toLocaleString("en")} of ${row.of.toLocaleString("en")}` : "";
    previous.disabled = !row.previous;
    next.disabled = !row.next;
    replace(body, rows.view ? rows.view(row) : rowView(row, { open, words: query().get("q") ?? "", other: (name) => rows.get(name), ...rows.of(row, (found) => ((row = found), draw())) }));
    if (isOnlyDiffering) body.querySelector(".differing-toggle:not([hidden])")?.click();
  };

  const pane = {
    bar, body, title,
    row: () => row,
    // Loads a row and draws it; a later one makes an earlier one that is awaited void.
    async show(name, { focus = false } = {}) {
      request?.abort();
      const mine = (request = new AbortController());
      const either = AbortSignal.any([signal, mine.signal]);
      try {
        const found = await rows.get(name, either);
        row = found;
        draw();
        body.scrollTop = 0;
        if (focus) title.focus({ preventScroll: true });
      } catch (error) {
        if (either.aborted) return;
        row = null;
        replace(title, "Row ", shown(name));
        replace(id);
        replace(body, h("p", { class: "problem", role: "alert", dir: "auto" }, shown(error.message)));
      }
    },
    step(by) {
      const name = by < 0 ? row?.previous : row?.next;
      if (!name) return false;
      void follow(name, by);
    },
    sample(by) {
      const all = row?.siblings ?? [];
      const at = all.findIndex((one) => one.row === row.row);
      const other = all[at + by];
      if (at < 0 || !other) return false;
      void follow(other.row, 0);
    },
    copy: () => (row ? void copyLink(copy) : false),
    onlyDiffering() {
      const toggle = body.querySelector(".differing-toggle:not([hidden])");
      isOnlyDiffering = !isOnlyDiffering;
      toggle?.click();
    },
    forget() {
      request?.abort();
      row = null;
    },
  };
  return pane;
};

// The drawer of the page of rows.
export const makeDrawer = ({ context, runPath, current, follow, close, rows, open = (name) => withQuery(context.path, withRow(current().query, name)) }) => {
  const page = h("a", { class: "button", title: "On a page of its own", "aria-label": "On a page of its own", hidden: Boolean(rows) }, "⤢");
  const shut = h("button", { type: "button", title: "Close (Esc)", "aria-label": "Close", on: { click: close } }, "×");
  const pane = makeRowPane({ context, runPath, query: () => current().query, open, follow, rows, buttons: [page, shut] });
  const element = h("aside", { class: "drawer", "aria-labelledby": "row-title", hidden: true }, pane.bar, pane.body);
  return {
    ...pane, element,
    async show(name) {
      const wasOpen = !element.hidden;
      if (!name) {
        element.hidden = true;
        element.parentElement?.classList.remove("opened");
        pane.forget();
        return;
      }
      if (!rows) page.setAttribute("href", withQuery(runHref(context.run, "rows", name), filtersOf(current().query)));
      element.hidden = false;
      element.parentElement?.classList.add("opened");
      await pane.show(name, { focus: !wasOpen });
    },
  };
};

const withRow = (query, name) => {
  const made = new URLSearchParams(query);
  made.delete("page");
  made.set("row", name);
  return made;
};
