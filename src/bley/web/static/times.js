// Times in the zone of the reader, with UTC in the title, and a button for UTC. Links and downloads stay in UTC.
"use strict";

(() => {
  const button = document.getElementById("zone");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const two = (number) => String(number).padStart(2, "0");
  const isUtc = (year) => new Date(year, 0).getTimezoneOffset() === 0 && new Date(year, 6).getTimezoneOffset() === 0;
  const year = new Date().getFullYear();
  if (isUtc(year) && isUtc(year - 1)) return;

  let isLocal = true;
  try {
    isLocal = localStorage.getItem("zone") !== "UTC";
  } catch { /* the browser denies storage: the default stays */ }

  const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;
  const day = (at) => `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const names = new Intl.DateTimeFormat("en", { timeZoneName: "short" });
  const name = (at) => names.formatToParts(at).find((part) => part.type === "timeZoneName").value;

  // An element has its text in UTC at first, and keeps it as data-utc.
  function show(element, local, title) {
    element.dataset.utc ??= element.textContent;
    const text = isLocal ? local(element.dataset.utc) : element.dataset.utc;
    if (element.textContent !== text) element.textContent = text;
    if (title && isLocal) element.setAttribute("title", title(element.dataset.utc));
    else element.removeAttribute("title");
  }

  function showTime(element) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const seconds = (utc) => (/:\d\d:\d\d/.test(utc) ? `:${two(at.getSeconds())}` : "");
    const suffix = (utc) => (utc.endsWith(" UTC") ? ` ${name(at)}` : "");
    const date = (utc) => (/^\d\d:/.test(utc) ? "" : `${day(at)} `);
    const local = (utc) => `${date(utc)}${clock(at)}${seconds(utc)}${suffix(utc)}`;
    show(element, local, () => `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`);
  }

  // The first line of a bar's tooltip is its time; its link has the instants.
  function showTip(slot) {
    const query = new URLSearchParams(slot.getAttribute("href").split("?")[1]);
    const [from, to] = ["since", "until"].map((each) => new Date(query.get(each)));
    const start = `${day(from)} ${clock(from)}${name(from) === name(to) ? "" : ` ${name(from)}`}`; // summer time begins or ends
    const end = `${day(from) === day(to) ? "" : `${day(to)} `}${clock(to)} ${name(to)}`;
    show(slot.querySelector("title"), (utc) => utc.replace(/^.*/, `${start} to ${end}`));
  }

  function showAll(page) {
    page.querySelectorAll("time").forEach(showTime);
    page.querySelectorAll("a.slot").forEach(showTip);
    page.querySelectorAll("text[data-at]").forEach((label) => show(label, () => clock(new Date(label.dataset.at))));
    page.querySelectorAll(".zone").forEach((each) => show(each, () => "local time"));
    page.querySelectorAll(".zone-words").forEach((each) => show(each, () => `Times are in ${zone}; downloads and the log are in UTC.`));
  }

  function showButton() {
    button.setAttribute("aria-pressed", String(!isLocal));
    button.title = isLocal ? `Times are in ${zone}. Show them in UTC` : `Times are in UTC. Show them in ${zone}`;
  }

  function toggle() {
    isLocal = !isLocal;
    try {
      localStorage.setItem("zone", isLocal ? "local" : "UTC");
    } catch { /* the browser denies storage: the next page starts with local time */ }
    showButton();
    showAll(document);
  }

  button.hidden = false;
  button.addEventListener("click", toggle);
  showButton();
  showAll(document);
  document.addEventListener("bley:fetched", (event) => showAll(event.detail));
})();
