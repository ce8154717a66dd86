"use strict";
(() => {
  const amount = (text) => {
    const found = /^[+-]?[\d,]*\.?\d+/.exec(text.trim());
    return found ? Number(found[0].replaceAll(",", "")) : null;
  };
  const sort = (table, column, heading) => {
    const up = heading.getAttribute("aria-sort") === "descending" ||
      (!heading.hasAttribute("aria-sort") && !heading.classList.contains("num"));
    for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = table.tBodies[0];
    const numeric = heading.classList.contains("num");
    const rows = [...body.rows].map((row) => {
      const text = row.cells[column].textContent;
      return { row, key: numeric ? amount(text) : text };
    });
    rows.sort((a, b) => {
      // What has no value goes last, whichever way the rest is sorted.
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      const order = numeric ? a.key - b.key : a.key.localeCompare(b.key);
      return up ? order : -order;
    });
    body.append(...rows.map((item) => item.row));
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.textContent = heading.textContent;
      button.title = "Sort";
      heading.replaceChildren(button);
      button.addEventListener("click", () => sort(table, column, heading));
    });
  }

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  document.addEventListener("mousemove", (event) => {
    const mark = event.target instanceof Element && event.target.closest(".picture svg *");
    const title = mark && mark.querySelector(":scope > title");
    tip.hidden = !title;
    if (!title) return;
    tip.textContent = title.textContent;
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  });
})();
