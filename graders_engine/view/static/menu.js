// A button that opens a small panel below it; Esc or a click elsewhere closes it, and the focus returns.

import { h } from "./dom.js";

export const menu = (label, title, ...content) => {
  const summary = h("summary", { class: "button", title }, label);
  const details = h("details", { class: "menu" }, summary, h("div", { class: "panel" }, content));
  const close = () => {
    if (!details.open) return;
    const hadFocus = details.contains(document.activeElement);
    details.open = false;
    if (hadFocus) summary.focus();
  };
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !details.open) return;
    event.preventDefault();
    event.stopPropagation();
    close();
  });
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    const away = (event) => {
      if (details.isConnected && details.contains(event.target)) return;
      removeEventListener("pointerdown", away, true);
      details.open = false;
    };
    addEventListener("pointerdown", away, true);
  });
  return Object.assign(details, { close });
};
