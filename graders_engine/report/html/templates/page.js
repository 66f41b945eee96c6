"use strict";

// Makes the table of rows searchable and sortable. A report without rows has no table.
const makeInteractive = (table) => {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const controls = document.querySelector(".controls");
  const [words, status, count] = controls.querySelectorAll("input, select, output");

  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let visible = 0;
    rows.forEach((row, at) => {
      row.hidden = !(
        (status.value === "" || row.dataset.status === status.value) &&
        wanted.every((word) => texts[at].includes(word))
      );
      visible += !row.hidden;
    });
    count.textContent = `${visible} of ${rows.length} rows shown`;
  };

  const compare = {
    number: (left, right) => Number.parseFloat(left) - Number.parseFloat(right),
    text: (left, right) => left.localeCompare(right),
  };

  const sort = (header) => {
    const column = header.cellIndex;
    const direction = header.ariaSort === "ascending" ? -1 : 1;
    for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
    header.ariaSort = direction === 1 ? "ascending" : "descending";
    const inOrder = compare[header.classList.contains("number") ? "number" : "text"];
    const sorted = rows
      .map((row) => [row, row.cells[column].textContent])
      .sort(
        ([, left], [, right]) =>
          // A row without the value comes last in either direction.
          (left === "-") - (right === "-") || direction * inOrder(left, right),
      );
    body.append(...sorted.map(([row]) => row));
  };

  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(header));
    header.append(button);
  }
  words.addEventListener("input", filter);
  status.addEventListener("input", filter);
  controls.hidden = false;
  filter();
};

const table = document.querySelector("#rows");
if (table) makeInteractive(table);
