// A line of a file that preflight has read: what was found there, and its texts.

import { count, h, replace, shown } from "./dom.js";
import { preflightHref, runHref } from "./state.js";
import { chat, textBox } from "./texts.js";

const textsOf = ({ messages, fields, unread, raw }) => [
  unread && h("p", { class: "warning", dir: "auto" }, shown(unread)),
  raw && h("section", { class: "block" }, h("h3", {}, "Line"), textBox("Line", raw.text, { chars: raw.chars })),
  messages?.length > 0 && h("section", { class: "block" }, h("h3", {}, "messages"), h("div", { class: "box" }, chat(messages))),
  fields?.map((one) => h("section", { class: "block" }, h("h3", { dir: "auto" }, shown(one.name)),
    h("div", { class: "box" }, textBox(one.name, one.text, { kind: one.kind, chars: one.chars, plain: one.kind === "text" })))),
];

export const start = async (root, context) => {
  const { api, keys, query, signal } = context;
  const report = query.get("report") ?? "";
  const file = query.get("file") ?? "";
  const found = await api.get(`preflight/row?${query}`, { signal });
  const href = (line) => preflightHref(report, { file, line });
  const step = (name, mark, key, line) => h("a", { class: line === null ? "button off" : "button", href: line === null ? null : href(line),
    title: `${name} (${key})`, "aria-label": name, "aria-disabled": line === null ? "true" : null }, mark);
  context.title(`${found.file}:${found.line}`);
  replace(root, h("div", { class: "row-page file-row" },
    h("header", { class: "row-bar" },
      h("div", { class: "names" }, h("h1", { dir: "auto" }, shown(found.file), `:${count(found.line)}`)),
      h("div", { class: "buttons" }, step("The line before that findings name", "↑", "k", found.previous), step("The next line that findings name", "↓", "j", found.next),
        found.runs.length > 0 && h("a", { class: "button", href: runHref(found.runs[0], "rows", String(found.line)) }, "In the run"),
        h("a", { class: "button", href: preflightHref(report) }, "Report"))),
    h("div", { class: "row-body" },
      found.problem && h("p", { class: "warning", dir: "auto" }, shown(found.problem)),
      found.findings.length > 0 && h("section", { class: "block preflight" }, h("h3", {}, found.findings.length > 1 ? "Findings" : "Finding"),
        found.findings.map((one) => h("p", { class: `finding ${one.severity}`, dir: "auto" }, h("span", { class: "word" }, one.severity), " ", h("b", {}, shown(one.id)), ": ", shown(one.message)))),
      textsOf(found))));
  const go = (line) => (line === null ? false : void location.assign(href(line)));
  keys.add([
    { key: "j", label: "next line of a finding", run: () => go(found.next) },
    { key: "k", label: "line before of a finding", run: () => go(found.previous) },
    { key: "Escape", label: "to the report", run: () => location.assign(preflightHref(report)) },
  ], signal);
};
