// The fine-tuning jobs of a store: how far each is, and its rewards or losses by step.

import { count, fixed, h, number, replace, shown } from "./dom.js";
import { progress, sentence, when } from "./listed.js";
import { jobHref } from "./state.js";

const WIDTH = 100;
const HEIGHT = 22;
const EDGE = 2;
const HEADS = [["Job", ""], ["Model", ""], ["Method", ""], ["Step", "number"], ["Train", "number"], ["Valid", "number"], ["By step", ""], ["Tuned model", ""], ["Created", ""]];

const isKnown = ([, value]) => value !== null;

// The parts of a line, which is broken where steps have no value.
const partsOf = (points) => {
  const parts = [[]];
  for (const point of points)
    if (isKnown(point)) parts.at(-1).push(point);
    else if (parts.at(-1).length) parts.push([]);
  return parts.filter((part) => part.length);
};

// The values of training as a line, from the lowest to the highest one. points: [step, value or null].
export const curve = (points, metric) => {
  const known = points.filter(isKnown);
  if (!known.length) return null;
  const values = known.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const size = Math.max(Math.abs(low), Math.abs(high)) || 1; // no difference of two values is too large
  const [first, last] = [points[0][0], points.at(-1)[0]];
  const x = (step) => (last > first ? EDGE + ((WIDTH - 2 * EDGE) * (step - first)) / (last - first) : WIDTH / 2);
  const y = (value) => HEIGHT - EDGE - (high > low ? (HEIGHT - 2 * EDGE) * ((value / size - low / size) / (high / size - low / size) || 0) : HEIGHT / 2 - EDGE);
  const place = ([step, value]) => `${fixed(x(step), 2)},${fixed(y(value), 2)}`;
  const [from, to] = [known[0], known.at(-1)];
  const label = `Training ${metric} by step: ${number(from[1])} at step ${count(from[0])}, ${number(to[1])} at step ${count(to[0])}, between ${number(low)} and ${number(high)}`;
  // A part of one step is a dot: a line from it to itself.
  return h("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img", "aria-label": label, preserveAspectRatio: "none" },
    h("title", {}, label),
    partsOf(points).map((part) => h("polyline", { points: (part.length > 1 ? part : [part[0], part[0]]).map(place).join(" ") })));
};

const statusOf = ({ status, step, of, error }) => [
  status === "running" ? progress("running", step, of) : h("span", { class: "quiet small status" }, shown(status.replace(/_/g, " "))),
  error && sentence(error, "problem")];

const line = (job) => {
  const cell = (label, className, ...content) => h("td", { role: "cell", class: className || null, "data-label": label }, content);
  const value = (found, step) => found !== null && [h("b", { title: step ? `Step ${count(step)}` : null }, number(found)), h("span", { class: "quiet small" }, job.metric)];
  // A click anywhere on the line is one on its link.
  const open = (event) => !event.target.closest("a") && !String(getSelection()) && event.currentTarget.querySelector("th a").click();
  return h("tr", { role: "row", "data-job": job.id, on: { click: open } },
    h("th", { role: "rowheader", scope: "row" },
      h("a", { href: jobHref(job.id), dir: "auto" }, shown(job.name || job.id)), job.name && h("span", { class: "quiet small" }, ` ${job.id}`), statusOf(job)),
    cell("Model", "model", h("bdi", {}, shown(job.model))),
    cell("Method", "", shown(job.method)),
    cell("Step", "number", (job.step > 0 || job.of !== null) && count(job.step), job.of !== null && ` of ${count(job.of)}`),
    cell("Train", "number train", value(job.train, job.step)),
    cell("Valid", "number valid", job.valid && value(job.valid[1], job.valid[0])),
    cell("By step", "bars", curve(job.points, job.metric)),
    cell("Tuned model", "model", job.tuned && h("bdi", {}, shown(job.tuned))),
    cell("Created", "when", h("span", { title: job.when ?? "" }, when(job.when))));
};

// Draws into `section`: the newest jobs, and that there are more.
export const drawJobs = (section, jobs, more) => {
  section.hidden = !jobs.length;
  replace(section, h("h2", {}, "Fine-tuning jobs"), h("table", { class: "runs jobs", role: "table", "aria-label": "Fine-tuning jobs" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, HEADS.map(([name, className]) => h("th", { role: "columnheader", scope: "col", class: className || null }, name)))),
    h("tbody", { role: "rowgroup" }, jobs.map(line))),
    more && h("p", { class: "quiet small" }, `These are the newest ${count(jobs.length)}; there are more.`));
};
