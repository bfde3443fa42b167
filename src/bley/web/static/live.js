// Refreshes the page: fetches it again and updates the parts marked data-live in place, so that focus, open details and
// scroll positions stay. A part is left as it is while its text is selected, or while the pointer is on one of its links.
// A page without such parts, or with the refresh turned off, only asks whether bley is alive. While it does not answer,
// the page is gray and says so. A page that was hidden for longer than its interval asks at once when it is visible.
"use strict";

(() => {
  const SECONDS = Number(document.querySelector("[data-seconds]")?.dataset.seconds ?? 5);
  const LIMIT_SECONDS = 10;
  const BYTES_PER_SECOND = 4000; // so that a large page, that of a year, is fetched less often
  const button = document.getElementById("live");
  const banner = document.getElementById("gone");
  const isVisible = () => document.visibilityState === "visible";
  const isLive = Boolean(document.querySelector("[data-live]"));

  let isOn = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  try {
    isOn = (localStorage.getItem("live") ?? String(isOn)) === "true";
  } catch { /* the browser denies storage: the default stays */ }
  let heard = new Date();
  let asked = performance.now();
  let timer = 0;
  let running = null;
  let seconds = SECONDS;

  // Rows are identified by their links, so that a new row moves the others instead of changing all of them.
  function key(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return String(node.nodeType);
    const links = node.matches("tr") ? [...node.querySelectorAll("a")] : node.matches("a") ? [node] : [];
    return `${node.tagName} ${node.id} ${links.map((link) => link.getAttribute("href")).join(" ")}`;
  }

  const isNamed = (name) => !/^(\d|\w+ {2}$)/.test(name);

  function sameSibling(start, name) {
    if (!start || key(start) === name || !isNamed(name)) return start && key(start) === name ? start : null;
    for (let at = start; at; at = at.nextSibling) if (key(at) === name) return at;
    return null;
  }

  function update(old, fresh) {
    if (old.isEqualNode(fresh) || fresh.dataset?.omitted !== undefined) return; // closed tables are not fetched
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const same = sameSibling(at, key(child));
      if (!same) {
        old.insertBefore(child, at);
        continue;
      }
      while (at !== same) {
        const next = at.nextSibling;
        at.remove();
        at = next;
      }
      at = same.nextSibling;
      update(same, child);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  // The focused link may have left the page, with its row.
  function losesFocus(part, fresh) {
    const focused = document.activeElement;
    if (!part.contains(focused) || focused === part) return false;
    const kept = focused.closest("tr") ?? focused;
    return ![...fresh.querySelectorAll(kept.tagName)].some((each) => key(each) === key(kept));
  }

  function isInUse(part, fresh) {
    const selection = getSelection();
    const isSelected = selection && !selection.isCollapsed && selection.containsNode(part, true);
    return isSelected || part.querySelector("a:not(.slot):hover") || losesFocus(part, fresh);
  }

  const ids = (page) => [...page.querySelectorAll("[data-live]")].map((part) => part.id).join();

  // Return whether everything is up to date.
  function show(page) {
    document.dispatchEvent(new CustomEvent("bley:fetched", { detail: page }));
    const pairs = ids(page) === ids(document)
      ? [...document.querySelectorAll("[data-live]")].map((part) => [part, page.getElementById(part.id)])
      : [[document.getElementById("main"), page.getElementById("main")]]; // the store went away or came back
    const free = pairs.filter(([part, fresh]) => !isInUse(part, fresh));
    for (const [part, fresh] of free) update(part, document.importNode(fresh, true));
    return free.length === pairs.length;
  }

  async function refresh() {
    const isWhole = isLive && isOn;
    running = new AbortController();
    const limit = setTimeout(() => running.abort(), 1000 * LIMIT_SECONDS);
    try {
      const open = [...document.querySelectorAll("details[open]")].map((details) => details.id).join(" ");
      const options = { cache: "no-store", headers: { "Bley-Open": open }, signal: running.signal };
      const response = await fetch(isWhole ? location.href : "/healthz", options);
      const text = await response.text();
      seconds = Math.max(SECONDS, (response.headers.get("Content-Length") ?? 0) / BYTES_PER_SECOND);
      if (!response.ok) return lose(`bley answers with an error (${response.status})`);
      heard = new Date();
      find();
      if (isWhole) showStatus(show(new DOMParser().parseFromString(text, "text/html")) ? "Live" : "Paused");
    } catch {
      if (isVisible()) lose("bley does not answer");
    } finally {
      asked = performance.now();
      clearTimeout(limit);
    }
  }

  // The banner is a live region, so its words must not change while bley stays away.
  function lose(words) {
    showStatus("No answer");
    if (banner.dataset.words === words) return;
    banner.dataset.words = words;
    const time = document.createElement("time");
    time.dateTime = heard.toISOString();
    time.textContent = `${heard.toISOString().slice(11, 19)} UTC`;
    banner.replaceChildren(`${words}; last heard `, time, ". What this page shows may be out of date.");
    document.dispatchEvent(new CustomEvent("bley:fetched", { detail: banner }));
    document.documentElement.classList.add("gone");
  }

  function find() {
    if (!banner.dataset.words) return;
    delete banner.dataset.words;
    banner.replaceChildren();
    document.documentElement.classList.remove("gone");
    showStatus("Live");
  }

  function showStatus(text) {
    button.classList.toggle("lost", text === "No answer");
    button.classList.toggle("paused", text === "Paused");
    const label = button.querySelector(".live-word");
    if (label.textContent !== text) label.textContent = text;
  }

  function schedule() {
    clearTimeout(timer);
    if (!isVisible()) running?.abort();
    if (isVisible()) {
      timer = setTimeout(async () => {
        await refresh();
        schedule();
      }, Math.max(1000 * seconds - (performance.now() - asked), 0));
    }
  }

  function toggle() {
    isOn = !isOn;
    button.setAttribute("aria-pressed", String(isOn));
    if (!isOn && !banner.dataset.words) showStatus("Live");
    try {
      localStorage.setItem("live", String(isOn));
    } catch { /* the browser denies storage: the next page starts with the default */ }
    schedule();
  }

  button.hidden = !isLive;
  button.title = `Refresh every ${SECONDS} seconds`;
  button.addEventListener("click", toggle);
  document.addEventListener("visibilitychange", schedule);
  document.addEventListener("toggle", (event) => { if (isLive && isOn && event.target.open) refresh(); }, true);
  button.setAttribute("aria-pressed", String(isOn));
  schedule();
})();
