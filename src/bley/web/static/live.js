// Refreshes the page: fetches it again and replaces the parts marked data-live, except those that the user is using.
"use strict";

(() => {
  const SECONDS = 5;
  const button = document.getElementById("live");
  const isVisible = () => document.visibilityState === "visible";
  if (!button || !document.querySelector("[data-live]")) return;

  let isOn = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  try {
    isOn = (localStorage.getItem("live") ?? String(isOn)) === "true";
  } catch { /* the browser denies storage: the default stays */ }
  let timer = 0;

  function isInUse(part) {
    const selection = getSelection();
    const isSelected = selection && !selection.isCollapsed && selection.containsNode(part, true);
    return isSelected || part.contains(document.activeElement) || part.matches(":hover:has(a:hover, .slot:hover)");
  }

  const ids = (page) => [...page.querySelectorAll("[data-live]")].map((part) => part.id).join();

  // Open details and scroll positions are preserved.
  function replace(part, fresh) {
    for (const old of part.querySelectorAll("details[open][id]")) {
      fresh.querySelector(`#${old.id}`)?.setAttribute("open", "");
    }
    const scrolled = [...part.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
    part.replaceWith(fresh);
    [...fresh.querySelectorAll(".scroll")].forEach((box, number) => {
      [box.scrollLeft, box.scrollTop] = scrolled[number] ?? [0, 0];
    });
  }

  async function refresh() {
    try {
      const response = await fetch(location.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (!response.ok || ids(page) !== ids(document)) { // the page has other parts: the store went away or came back
        const main = document.getElementById("main");
        if (response.ok && !isInUse(main)) main.replaceWith(document.importNode(page.getElementById("main"), true));
        return showStatus(response.ok);
      }
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh && !isInUse(part) && fresh.outerHTML !== part.outerHTML) {
          replace(part, document.importNode(fresh, true));
        }
      }
      showStatus(response.ok);
    } catch {
      showStatus(false);
    }
  }

  function showStatus(isConnected) {
    button.classList.toggle("lost", !isConnected);
    const text = isConnected ? "Live" : "No answer";
    const label = button.querySelector(".live-word");
    if (label.textContent !== text) label.textContent = text;
  }

  function schedule() {
    clearTimeout(timer);
    if (isOn && isVisible()) {
      timer = setTimeout(async () => {
        await refresh();
        schedule();
      }, 1000 * SECONDS);
    }
  }

  function toggle() {
    isOn = !isOn;
    button.setAttribute("aria-pressed", String(isOn));
    try {
      localStorage.setItem("live", String(isOn));
    } catch { /* the browser denies storage: the next page starts with the default */ }
    schedule();
  }

  button.hidden = false;
  button.title = `Refresh every ${SECONDS} seconds`;
  button.addEventListener("click", toggle);
  document.addEventListener("visibilitychange", schedule);
  button.setAttribute("aria-pressed", String(isOn));
  schedule();
})();
