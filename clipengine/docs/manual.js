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

/** @param {string} language */
function remember(language) {
  try {
    localStorage.setItem(LANGUAGE, language);
  } catch {
    // storage is disabled
  }
}

/** @param {string | null} language */
function choose(language) {
  /** @type {NodeListOf<HTMLInputElement>} */
  const radios = document.querySelectorAll(".tabs input");
  for (const radio of radios) {
    if (radio.value === language) radio.checked = true;
  }
}

/** @param {HTMLElement} code */
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection()?.selectAllChildren(code); // over plain HTTP, browsers offer no clipboard; others may refuse it
    if (!document.execCommand("copy")) throw new Error("not copied");
  }
}

/** @param {HTMLElement} pre */
function addCopyButton(pre) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await copy(pre.querySelector("code") ?? pre);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C";
    }
    announcer.textContent = button.textContent;
    setTimeout(() => {
      button.textContent = "Copy";
    }, 2000);
  });
  pre.append(button);
}

const announcer = document.createElement("div");
announcer.className = "hidden";
announcer.setAttribute("role", "status");
document.body.append(announcer);

/** @type {NodeListOf<HTMLElement>} */
const blocks = document.querySelectorAll("main pre");
for (const pre of blocks) addCopyButton(pre);
document.addEventListener("change", ({ target }) => {
  if (!(target instanceof HTMLInputElement && target.matches(".tabs input"))) return;
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
    (event.target instanceof Element && event.target.matches("input:not([type='radio'])"))
  )
    return;
  const search = document.getElementById("q");
  event.preventDefault();
  if (search instanceof HTMLInputElement) search.select(); // also focuses it
});

/** @type {HTMLElement | null} */
const list = document.querySelector(".columns > nav");
/** @type {HTMLElement | null | undefined} */
const current = list?.querySelector("[aria-current]");
if (list && current) list.scrollTop = current.offsetTop - list.offsetTop - list.clientHeight / 2;
