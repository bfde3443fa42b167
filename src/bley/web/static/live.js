// Keeps the page fresh: fetches it anew and swaps the parts marked data-live, but none that somebody is using.
"use strict";

(() => {
  const SECONDS = 5;
  const button = document.getElementById("live");
  const isShown = () => document.visibilityState === "visible";
  if (!button || !document.querySelector("[data-live]")) return;

  let isOn = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  try {
    isOn = (localStorage.getItem("live") ?? String(isOn)) === "true";
  } catch { /* a browser that keeps nothing */ }
  let timer = 0;

  function isUsed(part) {
    const selection = getSelection();
    const isSelected = selection && !selection.isCollapsed && selection.containsNode(part, true);
    return isSelected || part.contains(document.activeElement) || part.matches(":hover:has(a:hover, .slot:hover)");
  }

  const ids = (page) => [...page.querySelectorAll("[data-live]")].map((part) => part.id).join();

  function swap(part, fresh) {
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
      const answer = await fetch(location.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok || ids(page) !== ids(document)) { // other questions can be answered than before
        const main = document.getElementById("main");
        if (answer.ok && !isUsed(main)) main.replaceWith(document.importNode(page.getElementById("main"), true));
        return say(answer.ok);
      }
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.getElementById(part.id);
        if (fresh && !isUsed(part) && fresh.outerHTML !== part.outerHTML) swap(part, document.importNode(fresh, true));
      }
      say(answer.ok);
    } catch {
      say(false);
    }
  }

  function say(isHeard) {
    button.classList.toggle("lost", !isHeard);
    const words = isHeard ? "Live" : "No answer";
    const shown = button.querySelector(".live-word");
    if (shown.textContent !== words) shown.textContent = words;
  }

  function schedule() {
    clearTimeout(timer);
    if (isOn && isShown()) {
      timer = setTimeout(async () => {
        await refresh();
        schedule();
      }, 1000 * SECONDS);
    }
  }

  function set(value) {
    isOn = value;
    button.setAttribute("aria-pressed", String(value));
    try {
      localStorage.setItem("live", String(value));
    } catch { /* then it is on again next time */ }
    schedule();
  }

  button.hidden = false;
  button.title = `Refresh every ${SECONDS} seconds`;
  button.addEventListener("click", () => set(!isOn));
  document.addEventListener("visibilitychange", schedule);
  button.setAttribute("aria-pressed", String(isOn));
  schedule();
})();
