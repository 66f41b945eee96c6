
// The table of rows: searched, filtered, sorted, and each row opened by its link or its address.
const makeTable = (data, section) => {
  const BATCH = 50;
  const rows = readRows(data);
  const byId = new Map(rows.map((row) => [row.id, row]));
  const find = (selector) => section.querySelector(selector);
  const table = find("#rows");
  const dialog = document.querySelector("#row");
  const showRow = makeRowView(dialog, data, rows);
  const fields = Object.fromEntries(
    ["words", "status", "flag", "from", "to"].map((name) => [name, find(`[name=${name}]`)]),
  );
  const [count, more] = [find("output"), find(".more")];
  let [shown, words, opened] = [rows, [], null];

  const number = (value) => (value === null || value === undefined ? "-" : formatNumber(value));
  const rewardOf = (row) =>
    number(row.value) + (row.kind === "scored" || row.value === null ? "" : " served");
  const flagNames = (row) => Object.keys(row.flags).map((flag) => flag.replace(/_error$/, ""));
  // head, class, value to sort by, text or nodes of the cell, whole name
  const columns = [
    ["Row", "number", (row) => row.at],
    ["Status", "text", (row) => row.status],
    ["Reward", "number", (row) => row.value, rewardOf],
    ...data.columns.map(([head, whole], at) => [
      head, "number part", (row) => row.parts[at] ?? null, (row) => number(row.parts[at]), whole,
    ]),
    ...(data.timed ? [["ms", "number", (row) => row.ms]] : []),
    ["Flags", "text", (row) => flagNames(row).join(", ") || null],
    ["Sample", "excerpt", (row) => row.sample, (row) => element("span", {}, ...marked(excerptOf(row, words), words))],
  ];

  const rowOf = (row) => {
    const link = element("a", { href: `#${row.id}`, textContent: row.name });
    row.link = link;
    const cells = columns.slice(1).map(([head, className, value, content = value]) => {
      const cell = element("td", { className, role: "cell" }, content(row) ?? "");
      if (className === "excerpt") cell.dir = "auto";
      cell.dataset.label = head;
      if (cell.textContent === "") cell.classList.add("empty");
      return cell;
    });
    const made = element("tr", { role: "row" }, element("th", { scope: "row", role: "rowheader" }, link), ...cells);
    made.dataset.status = row.kind;
    return made;
  };

  const draw = (from = 0) => {
    const end = Math.min(from + BATCH, shown.length);
    const made = shown.slice(from, end).map(rowOf);
    if (from) table.tBodies[0].append(...made);
    else table.tBodies[0].replaceChildren(...made);
    more.hidden = end === shown.length;
    more.textContent = `Show ${Math.min(BATCH, shown.length - end)} more`;
    more.onclick = () => {
      draw(end);
      shown[end].link.focus();
    };
  };

  let order = [columns[0], 1];
  const update = () => {
    words = expressionsOf(fields.words.value);
    const filters = {
      status: fields.status.value,
      flag: fields.flag.value,
      from: fields.from.valueAsNumber,
      to: fields.to.valueAsNumber,
      words,
    };
    const [[, className, value], direction] = order;
    const isNumber = className.startsWith("number");
    const { compare } = new Intl.Collator("en");
    shown = rows.filter((row) => passes(row, filters)).map((row) => [row, value(row)])
      .sort(([left, a], [right, b]) => {
        // A row without the value comes last in either direction.
        if (a === null || b === null) return (a === null) - (b === null) || left.at - right.at;
        return direction * (isNumber ? a - b : compare(a, b)) || left.at - right.at;
      })
      .map(([row]) => row);
    count.textContent = `${formatCount(shown.length)} of the ${formatCount(rows.length)} ${data.unit} on this page`;
    draw();
  };

  const head = table.tHead.rows[0];
  for (const column of columns) {
    const [name, className, , , whole] = column;
    const button = element("button", { type: "button", textContent: name });
    const cell = element("th", { scope: "col", role: "columnheader", className: className.split(" ")[0] }, button);
    if (whole && whole !== name) cell.title = whole;
    button.addEventListener("click", () => {
      order = [column, cell.ariaSort === "ascending" ? -1 : 1];
      for (const other of head.cells) other.removeAttribute("aria-sort");
      cell.ariaSort = order[1] === 1 ? "ascending" : "descending";
      update();
    });
    head.append(cell);
  }

  // The address says which row is open, so that links, "back" and a shared address all work.
  const followAddress = () => {
    const id = location.hash.slice(1);
    if (!id.startsWith("line-")) {
      if (dialog.open) dialog.close();
      return;
    }
    opened = byId.get(id) ?? rows.find((row) => row.id.startsWith(`${id}-`)) ?? null;
    if (opened) showRow(opened, shown, words);
    else {
      if (dialog.open) dialog.close();
      count.textContent = `Row ${id.slice(5).replace("-", "#")} is not on this page.`;
      section.scrollIntoView();
    }
  };
  dialog.addEventListener("close", () => {
    if (location.hash.startsWith("#line-")) history.replaceState(null, "", "#table");
    if (opened?.link?.isConnected) opened.link.focus();
  });
  addEventListener("hashchange", followAddress);

  const here = data.whole ? "" : " on this page";
  const flagCounts = new Map();
  for (const row of rows)
    for (const flag of Object.keys(row.flags)) flagCounts.set(flag, (flagCounts.get(flag) ?? 0) + 1);
  for (const [flag, rowsWithIt] of [...flagCounts].sort(([, left], [, right]) => right - left))
    fields.flag.append(element("option", { value: flag, textContent: `${flag} (${formatCount(rowsWithIt)}${here})` }));
  if (flagCounts.size) fields.flag.append(element("option", { value: "-", textContent: "none" }));
  fields.flag.parentNode.hidden = !flagCounts.size;

  const setFilters = (values) => {
    for (const [name, field] of Object.entries(fields)) field.value = values[name] ?? "";
    update();
  };
  for (const field of Object.values(fields)) field.addEventListener("input", update);
  find(".clear").addEventListener("click", () => setFilters({}));
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, select, dialog");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    fields.words.focus();
  });

  // Rows and flags that other sections name become links to the row and to the rows with the flag.
  for (const named of document.querySelectorAll("[data-row]")) {
    const row = byId.get(addressOf(named.dataset.row));
    if (row) named.replaceChildren(element("a", { href: `#${row.id}` }, ...named.childNodes));
  }
  for (const named of document.querySelectorAll("[data-flag]")) {
    if (!flagCounts.has(named.dataset.flag)) continue;
    const link = element("a", { href: "#table", title: "Show the rows with this flag" }, ...named.childNodes);
    link.addEventListener("click", () => setFilters({ flag: named.dataset.flag }));
    named.append(link);
  }

  update();
  find(".needs-script").hidden = false;
  followAddress();
};

const section = document.querySelector("#table");
if (section) makeTable(JSON.parse(document.querySelector("#row-data").textContent), section);
