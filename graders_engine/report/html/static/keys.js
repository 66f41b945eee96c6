// Keys of a page, each for something that has a visible button too, and the list of them at "?".

import { h } from "./dom.js";

const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

// bindings: {key, also: [other keys], label, run(event)}; `run` returns false where there was nothing to do.
export const makeKeys = () => {
  const lists = [];
  let dialog = null;

  const list = () => {
    const seen = new Set();
    const known = lists.flat().filter(({ key, label }) => label && !seen.has(key) && seen.add(key));
    const close = h("button", { type: "button", on: { click: () => dialog.close() } }, "Close");
    dialog = h(
      "dialog", { class: "keys", "aria-labelledby": "keys-title" },
      h("header", {}, h("h2", { id: "keys-title" }, "Keys"), close),
      h("dl", {}, known.map(({ key, also = [], label }) =>
        h("div", {}, h("dt", {}, [key, ...also].map((one) => h("kbd", {}, nameOf(one)))), h("dd", {}, label)))),
      h("p", { class: "quiet" }, "None of them while an input has the focus."),
    );
    dialog.addEventListener("close", () => dialog.remove());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const withControl = event.ctrlKey || event.metaKey;
    if (event.altKey || (isTyping(event.target) && !withControl && event.key !== "Escape")) return;
    if (document.querySelector("dialog[open]")) return;
    const name = withControl ? `Ctrl-${event.key}` : event.key;
    for (const bindings of [...lists].reverse())
      for (const { key, also = [], run } of bindings)
        if ((key === name || also.includes(name)) && run(event) !== false) {
          event.preventDefault();
          return;
        }
  });

  const keys = {
    // Keys that hold until the signal says that the page is left.
    add(bindings, signal) {
      lists.push(bindings);
      signal?.addEventListener("abort", () => lists.splice(lists.indexOf(bindings), 1), { once: true });
    },
    list,
  };
  keys.add([{ key: "?", label: "this list", run: list }]);
  return keys;
};

const nameOf = (key) => ({ ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc" })[key] ?? key;
