
// Shows one row whole: its texts, flags and sub-rewards, and the other samples of its prompt.
const makeRowView = (dialog, data, rows) => {
  const linkTo = (row, label, properties = {}) =>
    element("a", { href: `#${row.id}`, textContent: label, ...properties });

  const fact = (name, value, remark = "") =>
    element(
      "div", {},
      element("dt", { textContent: name }),
      element("dd", {}, value, element("small", { textContent: remark })),
    );

  // A number as in the table, and all its digits where those are more.
  const numberOf = (value) => {
    const short = formatNumber(value);
    return [short, Number(short) === value ? "" : `exactly ${value}`];
  };

  const facts = (row) => {
    const list = element("dl", { className: "facts" });
    const meaning = row.kind === "scored" ? "" : data.kinds[row.kind];
    list.append(fact("Status", row.status, meaning));
    const isScored = row.kind === "scored" && row.reward !== null;
    list.append(isScored ? fact("Reward", ...numberOf(row.reward)) : fact("Reward", "-"));
    if (row.kind !== "scored" && row.value !== null)
      list.append(fact("Served", formatNumber(row.value), "in place of a reward"));
    if (row.promptId) list.append(fact("Prompt", row.promptId));
    if (row.ms !== null) list.append(fact("Time", `${row.ms} ms`));
    return list;
  };

  const listOf = (answers) =>
    answers.map((answer) => (typeof answer === "number" ? formatNumber(answer) : answer)).join(", ");

  const parts = (row) => {
    const list = element("dl", { className: "parts" });
    data.keys.forEach((key, at) => {
      const value = row.parts[at];
      if (value === undefined) return;
      const answers = row.answers[key];
      const shown = value === null ? "-" : formatNumber(value);
      list.append(fact(key, shown, answers ? `answers ${listOf(answers)}` : ""));
    });
    for (const [key, answers] of Object.entries(row.answers))
      if (!data.keys.includes(key)) list.append(fact(key || "Answers", listOf(answers)));
    return list.children.length ? [heading(data.keys.length ? "Sub-rewards" : "Judge"), list] : [];
  };

  const heading = (text) => element("h3", { textContent: text });

  const flags = (row, words) => {
    const names = Object.keys(row.flags);
    if (!names.length) return [];
    return [
      heading(names.length > 1 ? "Flags" : "Flag"),
      ...names.map((name) =>
        element(
          "div", { className: "flag" },
          element("code", {}, ...marked(name, words)),
          element("pre", { dir: "auto" }, ...marked(row.flags[name] || "no details", words)),
        ),
      ),
    ];
  };

  const text = (name, content, cut, words) => {
    const shown = cut ? `${name}: the first ${formatCount(content.length)} of ${formatCount(cut)} characters` : name;
    return element(
      "div", {},
      element("h3", { textContent: shown }),
      element("pre", { tabIndex: 0, dir: "auto", ariaLabel: name }, ...marked(content || "(empty)", words)),
    );
  };

  const texts = (row, words) => {
    if (data.whyNoTexts) return [element("p", { className: "note", textContent: data.whyNoTexts })];
    const [itemChars, sampleChars] = row.cut;
    return [
      element(
        "div", { className: "texts" },
        text("Item", row.item, itemChars, words),
        text("Sample", row.sample, sampleChars, words),
      ),
    ];
  };

  const samples = (row, words) => {
    const siblings = rows.filter(({ prompt }) => prompt === row.prompt);
    if (siblings.length < 2 && !row.name.includes("#")) return [];
    const body = element("tbody");
    for (const other of siblings) {
      const isThis = other === row;
      const name = linkTo(other, other.name, isThis ? { ariaCurrent: "true" } : {});
      body.append(
        element(
          "tr", {},
          element("th", { scope: "row" }, name),
          element("td", { className: "number", textContent: other.value === null ? "-" : formatNumber(other.value) }),
          element("td", { textContent: other.status }),
          element("td", { className: "excerpt", dir: "auto" }, ...marked(excerptOf(other, []), words)),
        ),
      );
    }
    const note = data.whole ? "" : " that are on this page";
    return [
      heading(`Samples of this prompt${note}`),
      element("div", { className: "scroll" }, element("table", { className: "samples" }, body)),
    ];
  };

  const go = (row, label, rel) =>
    row
      ? linkTo(row, label, { className: "button", rel })
      : element("span", { className: "button off", textContent: label, ariaHidden: "true" });

  // order: the rows that "previous" and "next" go through; words: what is marked.
  const show = (row, order, words) => {
    const among = order.includes(row) ? order : rows;
    const at = among.indexOf(row);
    const close = element("button", { type: "button", textContent: "Close" });
    close.addEventListener("click", () => dialog.close());
    const title = element("h2", { id: "row-heading", tabIndex: -1, textContent: `Row ${row.name}` });
    dialog.replaceChildren(
      element(
        "div", { className: "bar" },
        title,
        element("span", { className: "note", textContent: `${formatCount(at + 1)} of ${formatCount(among.length)}` }),
        element("nav", { ariaLabel: "Rows" },
          go(among[at - 1], "Previous", "prev"), go(among[at + 1], "Next", "next"), close),
      ),
      element("div", { className: "inside" },
        facts(row), ...flags(row, words), ...parts(row), ...texts(row, words), ...samples(row, words)),
    );
    dialog.setAttribute("aria-labelledby", title.id);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    title.focus();
  };

  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const rel = { n: "next", ArrowRight: "next", p: "prev", ArrowLeft: "prev" }[event.key];
    const link = rel && dialog.querySelector(`a[rel=${rel}]`);
    if (!link) return;
    event.preventDefault();
    link.click();
  });
  return show;
};
