// Adds what the documents can do without: buttons that copy code, one language for all tabs, and `/` for the search.
"use strict";

const LANGUAGE = "clipengine-docs-language";

function remembered() {
  try {
    return localStorage.getItem(LANGUAGE);
  } catch {
    return null; // storage is disabled
  }
}

function remember(language) {
  try {
    localStorage.setItem(LANGUAGE, language);
  } catch {
    // storage is disabled
  }
}

function choose(language) {
  for (const radio of document.querySelectorAll(".tabs input")) {
    if (radio.value === language) radio.checked = true;
  }
}

async function copy(code) {
  if (navigator.clipboard) return navigator.clipboard.writeText(code.textContent);
  getSelection().selectAllChildren(code); // over plain HTTP, browsers offer no clipboard
  if (!document.execCommand("copy")) throw new Error("not copied");
}

function addCopyButton(pre) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await copy(pre.querySelector("code"));
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C";
    }
    announcer.textContent = button.textContent;
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  pre.append(button);
}

const announcer = document.createElement("div");
announcer.className = "hidden";
announcer.setAttribute("role", "status");
document.body.append(announcer);

document.querySelectorAll("main pre").forEach(addCopyButton);
document.addEventListener("change", ({ target }) => {
  if (!target.matches(".tabs input")) return;
  const before = target.getBoundingClientRect().top;
  choose(target.value);
  remember(target.value);
  scrollBy(0, target.getBoundingClientRect().top - before); // tabs above may have another height now
});
choose(remembered());

document.addEventListener("keydown", (event) => {
  if (
    event.key !== "/" ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    event.target.matches("input:not([type='radio'])")
  )
    return;
  event.preventDefault();
  document.getElementById("q").select(); // also focuses it
});

const list = document.querySelector(".columns > nav");
const current = list.querySelector("[aria-current]");
if (current) list.scrollTop = current.offsetTop - list.offsetTop - list.clientHeight / 2;
