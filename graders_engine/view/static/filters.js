// What narrows the rows: chips for status and blame, the flag, ranges, and what holds now.

import { count, h, number, replace, shown } from "./dom.js";
import { menu } from "./menu.js";
import { changed, isFilter, readRange, writeRange } from "./state.js";

const BLAMES = ["sample", "grader", "row", "judge", "infrastructure"];
const STATUSES = ["scored", "invalid", "failed"];

const toggled = (query, name, value) => {
  const now = query.getAll(name);
  return changed(query, { [name]: now.includes(value) ? now.filter((one) => one !== value) : [...now, value], page: null, row: null });
};

// Chips that a click puts on or takes off; apply(query) goes to the address with it.
export const drawChips = (place, { query, data, apply }) => {
  const chip = (name, value, selected, all, dot) => {
    const isOn = query.getAll(name).includes(value);
    return h(
      "button",
      { type: "button", class: "chip", "aria-pressed": String(isOn), "data-key": `${name}-${value}`,
        title: `${count(all)} of all`, on: { click: () => apply(toggled(query, name, value)) } },
      dot && h("span", { class: `dot ${value}` }), value, " ", h("b", {}, count(selected)),
    );
  };
  const { selection, all } = data;
  const blames = BLAMES.filter((blame) => all.blames[blame]);
  keepFocus(place, () =>
    replace(
      place,
      h("div", { class: "chips", role: "group", "aria-label": "Status" },
        STATUSES.map((status) => chip("status", status, selection.statuses[status], all.statuses[status], true))),
      blames.length > 0 && h("div", { class: "chips", role: "group", "aria-label": "Who is to blame" },
        h("span", { class: "quiet small" }, "because of the"),
        blames.map((blame) => chip("blame", blame, selection.blames[blame] ?? 0, all.blames[blame], false))),
    ));
};

export const flagSelect = (apply) => {
  const select = h("select", { "aria-label": "Flag", "data-key": "flag", hidden: true, on: { change: () => apply(select.value) } });
  return {
    element: select,
    // `flags`: of all rows; `selected`: of the rows that are selected.
    draw(query, flags, selected) {
      const now = query.getAll("flag");
      const rows = (name, all) => ((selected[name] ?? 0) === all ? count(all) : `${count(selected[name] ?? 0)} of ${count(all)}`);
      const names = Object.entries(flags).sort((a, b) => b[1] - a[1]);
      for (const name of now) if (!Object.hasOwn(flags, name)) names.push([name, 0]);
      replace(select, h("option", { value: "" }, "any flag"),
        names.map(([name, all]) => h("option", { value: name }, shown(`${name} (${rows(name, all)})`))));
      select.value = now[0] ?? "";
      select.hidden = !names.length;
    },
  };
};

// Ranges of the reward, of each sub-reward, and of the time; with `apply` on Enter or the button.
export const rangeMenu = (apply) => {
  const body = h("form", { class: "ranges" });
  const element = menu("Ranges", "Ranges of rewards and time", body);
  let current = null;
  body.addEventListener("submit", (event) => {
    event.preventDefault();
    const changes = { page: null, row: null };
    for (const line of body.querySelectorAll("[data-name]")) {
      const [low, high] = [...line.querySelectorAll("input")].map((input) => (input.value === "" ? null : Number(input.value)));
      const before = readRange(current.get(line.dataset.name));
      const below = Boolean(before?.below && before.high === high);
      changes[line.dataset.name] = writeRange({ low, high, below });
    }
    element.close();
    apply(changed(current, changes));
  });
  const end = (label, value) =>
    h("input", { type: "number", step: "any", "aria-label": label, placeholder: label.split(" ").at(-1), value: value ?? "", autocomplete: "off" });
  return {
    element,
    draw(query, keys) {
      current = query;
      if (element.open) return;
      const names = [["reward", "reward"], ...keys.map((key) => [`sub.${key}`, key]), ["seconds", "seconds"], ["length", "characters"]];
      replace(body,
        names.map(([name, label]) => {
          const range = readRange(query.get(name));
          return h("div", { class: "range", "data-name": name }, h("span", { dir: "auto" }, shown(label)),
            end(`${label}, from`, range?.low), h("span", { "aria-hidden": "true" }, "–"), end(`${label}, to`, range?.high));
        }),
        h("button", { class: "main" }, "Filter"));
    },
  };
};

export const rangeName = (name) => (name.startsWith("sub.") ? name.slice(4) : name === "length" ? "characters" : name);

// The ranges and flags that hold, each with a button that takes it away, and one for all.
export const drawHeld = (place, { query, apply }) => {
  const held = [...query].filter(([name]) => isFilter(name) && !["q", "status", "blame"].includes(name));
  const textOf = (name, value) => {
    const range = readRange(value);
    if (!range) return name === "flag" ? value : `${rangeName(name)} ${value}`;
    if (range.low !== null && range.low === range.high) return `${rangeName(name)} ${number(range.low)}`;
    const low = range.low === null ? "" : `${number(range.low)} `;
    return `${rangeName(name)} ${low}–${range.high === null ? "" : ` ${range.below ? "below " : ""}${number(range.high)}`}`;
  };
  const without = (name, value) => {
    const rest = query.getAll(name).filter((one) => one !== value);
    return changed(query, { [name]: rest, page: null, row: null });
  };
  keepFocus(place, () =>
    replace(
      place,
      held.map(([name, value]) =>
        h("button", { type: "button", class: "chip held", "data-key": `held-${name}-${value}`, title: "Take this filter away",
          on: { click: () => apply(without(name, value)) } },
          h("bdi", {}, shown(textOf(name, value))), h("span", { "aria-hidden": "true" }, "×"))),
      [...query].some(([name]) => isFilter(name)) &&
        h("button", { type: "button", class: "link small", "data-key": "clear", on: { click: () => apply(cleared(query)) } }, "Clear all"),
    ));
};

export const cleared = (query) => {
  const made = new URLSearchParams();
  for (const [name, value] of query) if (!isFilter(name) && name !== "page" && name !== "row") made.append(name, value);
  return made;
};

// Draws again without losing the focus: it goes to what has the same name afterwards.
export const keepFocus = (place, draw) => {
  const key = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  draw();
  if (key) [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key)?.focus();
};
