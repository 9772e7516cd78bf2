// Sorts, filters and hides columns of the table, and shows a row's panel as a dialog. Without it the page is all there.
"use strict";
{
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const named = new Map(heads.map((head, at) => [head.dataset.name, at]));

  const text = (row, at) => row.cells[at].textContent.trim();
  const value = (row, at) => {
    const cell = row.cells[at];
    if (cell.dataset.v !== undefined && heads[at].dataset.numeric !== undefined) return Number(cell.dataset.v.replace("inf", "Infinity"));
    return text(row, at) || null;
  };

  // Blanks come last either way; equals stay in their order.
  const sort = (at, direction) => {
    const sign = direction === "ascending" ? 1 : -1;
    const order = (left, right) => {
      const [a, b] = [value(left, at), value(right, at)];
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
    };
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[at].setAttribute("aria-sort", direction);
    body.append(...rows.sort(order));
  };

  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () =>
      sort(at, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"));
  });

  const controls = document.getElementById("controls");
  const find = document.getElementById("find");
  const selects = [...controls.querySelectorAll("select")];
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const said = row.textContent.toLowerCase();
      const fits = words.every((word) => said.includes(word)) &&
        selects.every((select) => !select.value || text(row, named.get(select.dataset.column)) === select.value);
      row.hidden = !fits;
      shown += fits;
    }
    document.getElementById("count").textContent = `${shown} of ${rows.length} rows`;
  };
  for (const select of selects) {
    const at = named.get(select.dataset.column);
    for (const name of new Set(rows.map((row) => text(row, at)))) select.append(new Option(name, name));
    select.addEventListener("change", filter);
  }
  find.addEventListener("input", filter);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", () => setTimeout(() => {
    filter();
    choose();
  }));

  const boxes = [...document.querySelectorAll("#choice input")];
  const choose = () => {
    const away = boxes.filter((box) => !box.checked).map((box) => `#table tr>:nth-child(${named.get(box.value) + 1})`);
    document.getElementById("seen").textContent = away.length ? `${away.join()}{display:none}` : "";
  };
  for (const box of boxes) box.addEventListener("change", choose);
  filter();
  controls.hidden = false;
  document.documentElement.classList.add("alive");

  const closer = document.getElementById("closer");
  const slot = document.getElementById("slot");
  let panel = null;
  const putBack = () => {
    if (panel) panel.append(...slot.childNodes);
    panel = null;
  };
  const open = (id) => {
    const wanted = document.getElementById(id);
    if (!wanted || !wanted.classList.contains("panel")) return;
    putBack();
    panel = wanted;
    document.getElementById("closer-title").textContent = panel.querySelector("summary").textContent;
    slot.append(panel.querySelector(".body"));
    if (!closer.open) closer.showModal();
    closer.scrollTop = 0;
    history.replaceState(null, "", `#${id}`);
  };
  const step = (by) => {
    const seen = rows.filter((row) => !row.hidden).map((row) => row.querySelector("a").hash.slice(1));
    const next = seen[seen.indexOf(panel.id) + by];
    if (next) open(next);
  };
  closer.addEventListener("close", () => {
    putBack();
    history.replaceState(null, "", "#rows");
  });
  closer.addEventListener("click", (event) => {
    if (event.target === closer) closer.close();
  });
  document.getElementById("close").addEventListener("click", () => closer.close());
  document.getElementById("before").addEventListener("click", () => step(-1));
  document.getElementById("after").addEventListener("click", () => step(1));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#r']");
    const row = event.target.closest("#table tbody tr");
    if (link && /^#r\d+$/.test(link.hash)) {
      event.preventDefault();
      open(link.hash.slice(1));
    } else if (row && !event.target.closest("a, details, button") && !String(getSelection())) {
      open(row.querySelector("a").hash.slice(1));
    }
  });
  if (/^#r\d+$/.test(location.hash)) open(location.hash.slice(1));
}
