// A button behind each line that is meant for a shell or a settings file. It copies the line, and says so.
"use strict";

(() => {
  const SHOWN_CHARACTERS = 200;
  const SECONDS = 3;
  const status = document.createElement("p");
  status.className = "unseen";
  status.setAttribute("role", "status");
  document.body.append(status);
  let timer = 0;

  // Also on pages that live.js fetches, so that it sees no difference.
  function prepare(page) {
    for (const line of page.querySelectorAll("pre.line")) {
      if (line.parentElement.classList.contains("copyable")) continue;
      const box = document.createElement("div");
      const button = document.createElement("button");
      const words = line.getAttribute("aria-label") ?? line.textContent;
      box.className = "copyable";
      button.className = "copy";
      button.type = "button";
      button.textContent = "Copy";
      button.setAttribute("aria-label", `Copy ${words.slice(0, SHOWN_CHARACTERS)}`);
      line.replaceWith(box);
      box.append(line, button);
    }
  }

  function select(line) {
    const range = document.createRange();
    range.selectNodeContents(line);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }

  // Browsers have a clipboard for pages by TLS or of this machine only.
  async function copy(line) {
    try {
      await navigator.clipboard.writeText(line.textContent);
      return true;
    } catch {
      select(line);
      const isCopied = document.execCommand("copy");
      if (isCopied) getSelection().removeAllRanges();
      return isCopied;
    }
  }

  async function press(event) {
    const button = event.target.closest?.("button.copy");
    if (!button) return;
    const isCopied = await copy(button.parentElement.querySelector("pre"));
    button.focus();
    button.textContent = isCopied ? "Copied" : "Selected";
    status.textContent = isCopied ? "Copied" : "The line is selected: copy it by the keyboard";
    clearTimeout(timer);
    timer = setTimeout(() => {
      status.textContent = "";
      for (const each of document.querySelectorAll("button.copy")) each.textContent = "Copy";
    }, 1000 * SECONDS);
  }

  prepare(document);
  document.addEventListener("bley:fetched", (event) => prepare(event.detail));
  document.addEventListener("click", press);
})();
