// What the lines of all lists have: a time, how far something is, a sentence below a name.

import { h, percent, shown } from "./dom.js";

export const when = (text) => {
  if (!text) return "";
  const time = new Date(text);
  const ago = (Date.now() - time) / 60000;
  if (ago >= 0 && ago < 1) return "just now";
  if (ago >= 0 && ago < 60) return `${Math.floor(ago)} min ago`;
  if (ago >= 0 && ago < 24 * 60) return `${Math.floor(ago / 60)} h ago`;
  return time.toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
};

export const progress = (label, done, of) =>
  h("span", { class: "progress small" }, label, of > 0 && done !== null && [
    h("progress", { max: of, value: Math.min(done, of), "aria-label": `${label}: ${percent(done / of)}` }), percent(done / of)]);

export const sentence = (text, name = "quiet") => h("span", { class: `${name} small said`, dir: "auto" }, shown(text));
