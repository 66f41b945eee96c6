// A fine-tuning job: its sections as the server makes them. While it goes on, what has changed is put into the page
// that is there, so that what is open, in focus or scrolled stays as it is.

import { fromTree, h, replace, shown } from "./dom.js";

const AGAIN_MS = 2000;
const READING_MS = 50;
const OPEN = "open"; // is the reader's own: what is open stays so

const keyOf = (tree) => (Array.isArray(tree) ? `${tree[0]} ${tree[1]?.id ?? ""}` : "text");
const keyOfNode = (node) => (node instanceof Element ? `${node.localName} ${node.id}` : "text");

// Makes an element like a tree of the same name: attributes, then children, each of which is kept where it can be.
const patch = (element, tree) => {
  const made = fromTree([tree[0], tree[1], []], element instanceof SVGElement && tree[0] !== "svg");
  for (const { name } of [...element.attributes]) if (name !== OPEN && !made.hasAttribute(name)) element.removeAttribute(name);
  for (const { name, value } of made.attributes) if (name !== OPEN && element.getAttribute(name) !== value) element.setAttribute(name, value);
  patchChildren(element, tree[2] ?? []);
};

const patchChildren = (element, trees) => {
  const before = [...element.childNodes];
  const named = new Map(before.filter((node) => node.id).map((node) => [keyOfNode(node), node]));
  let at = 0;
  const nodes = trees.map((tree) => {
    const key = keyOf(tree);
    const own = named.get(key);
    while (at < before.length && before[at].id && before[at] !== own) at++;
    const found = own ?? (before[at] && !before[at].id && keyOfNode(before[at]) === key ? before[at] : null);
    if (found === before[at]) at++;
    if (!found) return fromTree(tree, element instanceof SVGElement);
    if (!Array.isArray(tree)) {
      const text = fromTree(tree).data;
      if (found.data !== text) found.data = text;
    } else patch(found, tree);
    return found;
  });
  const kept = new Set(nodes);
  for (const node of before) if (!kept.has(node)) node.remove();
  nodes.forEach((node, position) => {
    if (element.childNodes[position] !== node) element.insertBefore(node, element.childNodes[position] ?? null);
  });
};

const hidden = (section) => section.id === "status"; // what it is about is the page's own heading

export const start = async (root, { api, job, signal, title }) => {
  const parts = new Map(); // by id: its digest, its section
  const contents = h("ul", {});
  const heading = h("h1", { dir: "auto" });
  const eyebrow = h("p", { class: "quiet small" });
  const line = h("p", { class: "quiet", dir: "auto" });
  const report = h("div", { class: "report job" }, h("div", { class: "job-top" }, eyebrow, heading, line));
  const page = h("div", { class: "overview" }, h("nav", { class: "contents", "aria-label": "Sections" }, contents), report);

  const draw = (data) => {
    title(`${data.name} · ${data.status}`);
    if (heading.textContent !== data.name) replace(heading, shown(data.name));
    if (line.dataset.text !== data.line) replace(line, shown((line.dataset.text = data.line)));
    eyebrow.textContent = `Fine-tuning job · ${data.method}`;
    const ids = data.sections.map(({ id }) => id);
    for (const id of [...parts.keys()]) if (!ids.includes(id)) (parts.get(id).section.remove(), parts.delete(id));
    let after = report.firstElementChild;
    for (const one of data.sections) {
      let part = parts.get(one.id);
      if (!part) {
        const body = h("div", { class: "job-body" });
        part = { digest: "", body, section: h("section", { id: one.id, "aria-labelledby": `${one.id}-heading` }, h("h2", { id: `${one.id}-heading`, class: hidden(one) && "unseen" }, one.heading), body) };
        parts.set(one.id, part);
      }
      if (after.nextElementSibling !== part.section) after.after(part.section);
      after = part.section;
      if (one.tree && part.digest !== one.digest) {
        patchChildren(part.body, one.tree[2]);
        part.digest = one.digest;
      }
    }
    patchChildren(contents, data.sections.map((one) => ["li", {}, [["a", { href: `#${one.id}` }, [one.heading]]]]));
  };

  for (;;) {
    const have = [...parts.values()].map(({ digest }) => digest).filter(Boolean).join(",");
    const data = await api.get(`jobs/${encodeURIComponent(job)}?${new URLSearchParams({ have })}`, { signal });
    draw(data);
    if (!page.isConnected) {
      replace(root, page);
      if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
    }
    if (!data.is_going && !data.is_reading) return;
    await new Promise((done) => setTimeout(done, data.is_reading ? READING_MS : AGAIN_MS));
    while (document.hidden && !signal.aborted) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
    if (signal.aborted) return;
  }
};
