// The rewards as bars, stacked scored / invalid / failed: a click filters by a bar, a drag by several.

import { count, fixed, h, number, replace } from "./dom.js";

const WIDTH = 460;
const HEIGHT = 92;
const TOP = 14;
const BASE = 72;
const EDGE = 6;
const LEFT = 30; // the counts of the vertical axis are there
const BESIDE = 62; // room at the right for the rows that are in no mean
const TALL = 10; // as in charts.py
const MARK_DISTANCE = 16;
const NUMBER_WIDTH = 44; // of one below the axis
const LETTER = 6; // the width of a digit there, at most
const KINDS = ["scored", "invalid", "failed"];

const total = (bar) => bar.scored + bar.invalid + bar.failed;

// Counts above bars have room for four letters.
const short = (value) => {
  if (value < 10000) return String(value);
  return value < 1e6 ? `${Math.round(value / 1000)}k` : `${fixed(value / 1e6, value < 1e7 ? 1 : 0)}M`;
};

const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

// Round counts of which the heights do not touch each other.
const marksOf = (most, height) => {
  const marks = [];
  for (let power = 1; power <= most; power *= 10)
    for (const mark of [power, 2 * power, 5 * power])
      if (mark <= most && height(mark) - height(marks.at(-1) ?? 0) >= MARK_DISTANCE) marks.push(mark);
  return marks;
};

const axisOf = (bars) => {
  if (!bars.length) return [0, 1];
  const low = Math.min(...bars.map((bar) => bar.low));
  const high = Math.max(...bars.map((bar) => bar.high));
  if (low >= 0 && high <= 1) return [0, 1];
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
};

// Of texts and their middles, those that do not touch each other; the last one is always among them.
const apart = (places) => {
  const [start, end] = [([text, middle]) => middle - (text.length * LETTER) / 2, ([text, middle]) => middle + (text.length * LETTER) / 2];
  const last = places.at(-1);
  const kept = [];
  for (const place of places.slice(0, -1))
    if ((!kept.length || start(place) >= end(kept.at(-1)) + LETTER) && end(place) + LETTER <= start(last)) kept.push(place);
  return [...kept, last];
};

const ticksOf = ([low, high]) => [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));

const rangeText = ({ low, high }) => (low === null ? "in no mean" : low === high ? number(low) : `${number(low)} to ${number(high)}`);

const sentence = (bar) =>
  `${rangeText(bar)}: ${KINDS.filter((kind) => bar[kind]).map((kind) => `${count(bar[kind])} ${kind}`).join(", ") || "none"}`;

// Draws into `place`. bars: of the selection; all: those of every row; range: the filter that holds, or null;
// choose(range | null) is called for a click, a drag, or Enter on a bar.
export const drawHistogram = (place, { bars: given, all: whole, range, choose }) => {
  const [bars, all] = [given, whole].map((some) => some.filter(({ low }) => low !== null));
  const beside = given.find(({ low }) => low === null) ?? null; // the rows that are in no mean
  const end = whole.length > all.length ? WIDTH - BESIDE : WIDTH;
  const room = end - LEFT - 2 * EDGE;
  const axis = axisOf([...all, ...bars]);
  const x = (value) => LEFT + EDGE + ((value - axis[0]) / (axis[1] - axis[0])) * room;
  const totals = (range ? whole : given).map(total).filter(Boolean);
  const most = Math.max(1, ...totals);
  // By square roots, a bar of a hundredth of the highest is still a tenth of its height.
  const isRoot = totals.length > 0 && most > TALL * median(totals);
  const height = (value) => (BASE - TOP) * (isRoot ? Math.sqrt(value / most) : value / most);
  const single = all.every((bar) => bar.low === bar.high);
  const thickness = single && all.length > 8 ? 14 : 22;
  // Single values that are closer than a bar is wide stand at equal distances, not to scale.
  const even = single && all.some((bar, index) => index && x(bar.low) - x(all[index - 1].low) < thickness);
  const step = room / all.length;
  const places = new Map(all.map((bar, index) => [bar.low, LEFT + EDGE + (index + 0.5) * step]));
  const box = (bar) => {
    if (bar.low === null) return [end + (BESIDE - 22) / 2, 22];
    if (even) return [places.get(bar.low) - 0.4 * step, 0.8 * step];
    if (bar.low !== bar.high) return [x(bar.low) + 0.75, Math.max(1.5, x(bar.high) - x(bar.low) - 1.5)];
    return [Math.min(Math.max(x(bar.low) - thickness / 2, LEFT), end - thickness), thickness];
  };
  const isIn = (bar) =>
    !range || ((range.low === null || bar.high > range.low || bar.low === range.low) && (range.high === null || bar.low < range.high || (bar.low === range.high && !range.below)));

  const readout = h("output", { class: "readout", "aria-hidden": "true" });
  const pieces = (bar) => {
    const [left, width] = box(bar);
    let below = 0;
    return KINDS.filter((kind) => bar[kind]).map((kind) => {
      const y = height(below);
      below += bar[kind];
      const to = Math.max(height(below), y + 1.2);
      return h("rect", { class: kind, x: left, width, y: BASE - to, height: to - y });
    });
  };
  const labels = (bar) => {
    const [left, width] = box(bar);
    if (!total(bar) || width < 13) return null;
    return h("text", { class: "counted", x: left + width / 2, y: BASE - height(total(bar)) - 3, "text-anchor": "middle" }, short(total(bar)));
  };
  const ghosts = range
    ? all.filter(total).map((bar) => {
        const [left, width] = box(bar);
        return h("rect", { class: "ghost", x: left, width, y: BASE - height(total(bar)), height: height(total(bar)) });
      })
    : [];
  const bandOf = () => {
    if (!even) {
      const [left, right] = [x(Math.max(range.low ?? axis[0], axis[0])), x(Math.min(range.high ?? axis[1], axis[1]))];
      return [left, Math.max(2, right - left)];
    }
    const inside = all.filter(isIn).map(box);
    return inside.length ? [inside[0][0], inside.at(-1)[0] + inside.at(-1)[1] - inside[0][0]] : [0, 0];
  };
  const [bandX, bandWidth] = range ? bandOf() : [0, 0];
  const band = range ? h("rect", { class: "band", x: bandX, y: 0, height: BASE + 2, width: bandWidth }) : null;
  // Single values say what they are where there is room; else the axis has quarters.
  const isEach = even || (single && all.length > 1 && all.every((bar, index) => !index || x(bar.low) - x(all[index - 1].low) >= NUMBER_WIDTH));
  const ticks = isEach
    ? apart(all.map((bar) => [number(bar.low), box(bar)[0] + box(bar)[1] / 2])).map(([text, middle]) => h("text", { x: middle, y: HEIGHT - 4, "text-anchor": "middle" }, text))
    : ticksOf(axis).map((value, index) =>
        h("text", { x: x(value), y: HEIGHT - 4, "text-anchor": ["start", "middle", "middle", "middle", "end"][index] }, number(value)));

  // What is clicked: the whole height of each bar's place, one of them in the order of the keys.
  const last = all.length - 1;
  const rangeOf = (from, to) => {
    const [first, end] = [all[Math.min(from, to)], all[Math.max(from, to)]];
    return { low: first.low, high: end.high, below: end.range ? end.range.includes("..<") : end.low !== end.high && Math.max(from, to) !== last };
  };
  let anchor = null;
  const held = all.findIndex((bar) => range && isIn(bar));
  const targets = all.map((bar, index) => {
    const [left, width] = box(bar);
    const target = h("rect", {
      class: "target", x: left - 0.75, width: width + 1.5, y: 0, height: BASE, role: "button",
      tabindex: index === Math.max(0, held) ? 0 : -1, "data-bar": index, "data-key": `bar-${index}`,
      "aria-label": sentence(bar), "aria-pressed": range ? String(isIn(bar)) : null,
    });
    return target;
  });
  const same = (one) => range && one.low === range.low && one.high === range.high;
  const pick = (from, to) => {
    const chosen = rangeOf(from, to);
    choose(same(chosen) ? null : chosen);
  };
  const indexAt = (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    let [best, distance] = [0, Infinity];
    targets.forEach((target, index) => {
      const middle = Number(target.getAttribute("x")) + Number(target.getAttribute("width")) / 2;
      if (Math.abs(middle - at) < distance) [best, distance] = [index, Math.abs(middle - at)];
    });
    return best;
  };
  const show = (from, to = from) => {
    const [low, high] = [Math.min(from, to), Math.max(from, to)];
    targets.forEach((target, index) => target.classList.toggle("over", index >= low && index <= high));
    const within = bars.filter((bar) => bar.low >= all[low].low && bar.high <= all[high].high);
    const sum = Object.fromEntries(KINDS.map((kind) => [kind, within.reduce((all, bar) => all + bar[kind], 0)]));
    readout.value = sentence({ ...sum, low: all[low].low, high: all[high].high });
  };
  const leave = () => {
    targets.forEach((target) => target.classList.remove("over"));
    readout.value = "";
  };
  const svg = h(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "histogram", role: "group", "aria-label": "Rewards; a bar filters by its range",
      on: {
        pointerdown: (event) => {
          if (event.button) return;
          anchor = indexAt(event);
          svg.setPointerCapture(event.pointerId);
          event.preventDefault();
          targets[anchor].focus({ focusVisible: false });
        },
        pointermove: (event) => show(anchor ?? indexAt(event), indexAt(event)),
        pointerleave: () => anchor === null && leave(),
        pointercancel: () => ((anchor = null), leave()),
        pointerup: (event) => {
          if (anchor === null) return;
          const from = anchor;
          anchor = null;
          pick(from, indexAt(event));
        },
        keydown: (event) => {
          const index = Number(event.target.dataset.bar);
          const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
          if (step && targets[index + step]) {
            targets[index].setAttribute("tabindex", -1);
            targets[index + step].setAttribute("tabindex", 0);
            targets[index + step].focus();
          } else if (event.key === "Enter" || event.key === " " || event.key === "f") pick(index, index);
          else return;
          event.preventDefault();
          event.stopPropagation();
        },
        focusin: (event) => show(Number(event.target.dataset.bar)),
        focusout: leave,
      },
    },
    marksOf(most, height).map((mark) => [
      h("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: BASE - height(mark), y2: BASE - height(mark) }),
      h("text", { x: LEFT - 5, y: BASE - height(mark), dy: "0.35em", "text-anchor": "end" }, short(mark))]),
    band, ghosts, bars.flatMap(pieces), bars.map(labels),
    beside && h("g", {}, h("title", {}, sentence(beside)), pieces(beside), labels(beside)),
    h("line", { class: "axis", x1: LEFT, x2: end, y1: BASE + 0.5, y2: BASE + 0.5 }),
    ticks, whole.length > all.length && h("text", { x: end + BESIDE / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "in no mean"),
    targets,
  );
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  replace(place, svg, readout, isRoot && h("p", { class: "quiet small scale" }, "The heights are the square roots of the counts."));
  if (focused) place.querySelector(`[data-key="${focused}"]`)?.focus({ focusVisible: false });
};

// A small histogram without numbers, for a line of a list.
export const sparkline = (bars) => {
  const most = Math.max(1, ...bars);
  const width = 100 / bars.length;
  return h("svg", { viewBox: "0 0 100 22", class: "spark", "aria-hidden": "true", preserveAspectRatio: "none" },
    bars.map((value, index) => {
      const high = value ? Math.max(1.5, 22 * Math.sqrt(value / most)) : 0;
      return h("rect", { x: index * width, width: Math.max(0.5, width - 1), y: 22 - high, height: high });
    }));
};
