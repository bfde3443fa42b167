// One tab stop a row: the tab key goes from row to row, the left and right arrow keys to its other links and buttons.
"use strict";

(() => {
  const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
  const hint = document.getElementById("row-keys");

  function prepare(page) {
    for (const table of page.querySelectorAll("table.cards")) {
      for (const row of table.querySelectorAll("tbody tr")) {
        [...row.querySelectorAll("a, button")].slice(1).forEach((link) => { link.tabIndex = -1; });
      }
      if (table.querySelector("[tabindex]")) table.querySelector("tbody a").setAttribute("aria-describedby", hint.id);
    }
  }

  function move(event) {
    const row = event.target.closest?.("table.cards tbody tr");
    if (!row || !(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const links = [...row.querySelectorAll("a, button")];
    const link = links[links.indexOf(event.target.closest("a, button")) + STEPS[event.key]];
    if (link) {
      event.preventDefault();
      link.focus();
    }
  }

  hint.hidden = false;
  prepare(document);
  document.addEventListener("bley:fetched", (event) => prepare(event.detail));
  document.addEventListener("keydown", move);
})();
