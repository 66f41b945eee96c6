// Ctrl-K: a run is found by a part of its name, and opened on the page that is open now.

import { h, mean, replace, shown } from "./dom.js";
import { compareHref, runHref } from "./state.js";

const PAGES = { Overview: "", Rows: "rows", Row: "rows", Prompts: "prompts", Playground: "playground" };

export const chooseRun = async (at, api) => {
  if (document.querySelector("dialog.choose")) return;
  const input = h("input", { type: "search", "aria-label": "Find a run", placeholder: "Find a run", autocomplete: "off", spellcheck: "false",
    role: "combobox", "aria-expanded": "true", "aria-controls": "choices", "aria-autocomplete": "list" });
  const list = h("ul", { id: "choices", role: "listbox", "aria-label": "Runs" });
  const dialog = h("dialog", { class: "choose", "aria-label": "Choose a run" }, input, list);
  const href = (run) => (at.name === "Compare" ? compareHref(null, run) : runHref(run, PAGES[at.name] ?? ""));
  let runs = [];
  let chosen = 0;

  const found = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    return runs.filter((one) => words.every((word) => `${one.run} ${one.grader?.name ?? ""} ${one.model ?? ""}`.toLowerCase().includes(word))).slice(0, 100);
  };
  const draw = () => {
    const some = found();
    chosen = Math.max(0, Math.min(chosen, some.length - 1));
    replace(list, some.length === 0 && h("li", { class: "quiet" }, runs.length ? "No such run" : "There are no runs here"),
      some.map((one, index) =>
        h("li", { role: "option", id: `choice-${index}`, "aria-selected": String(index === chosen), class: one.run === at.run ? "current" : null },
          h("a", { href: href(one.run), tabindex: -1 }, h("b", { dir: "auto" }, shown(one.run)), h("span", { class: "quiet small" }, shown(one.grader?.name ?? "")),
            h("span", { class: "number" }, one.mean ? mean(one.mean.value) : "")))));
    input.setAttribute("aria-activedescendant", some.length ? `choice-${chosen}` : "");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  };
  input.addEventListener("input", () => ((chosen = 0), draw()));
  input.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) chosen += by;
    else if (event.key === "Enter") list.children[chosen]?.querySelector("a")?.click();
    else return;
    event.preventDefault();
    draw();
  });
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => (event.target === dialog || event.target.closest("a")) && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  replace(list, h("li", { class: "quiet" }, "Looking for runs …"));
  ({ runs } = await api.get("runs"));
  runs = runs.filter(({ state }) => state !== "none" && state !== "broken"); // they have nothing to open
  draw();
};
