// Texts and files that the user copies or saves.

import {openDialog, topmost} from "./dialogs.js";
import {h} from "./dom.js";
import {t} from "./texts.js";
import {toast} from "./toasts.js";

/**
 * Copy text and say so. If the browser does not let the page copy, show the text selected, for the user to copy.
 *
 * @param {string} text
 * @param {string} what
 * @param {string} [detail] second line of the message
 */
export async function copyText(text, what, detail = "") {
  if ((await writeClipboard(text)) || copySelection(text)) {
    toast(t("{what} copied", {what}), detail);
    return;
  }
  const field = h("textarea", {readonly: true, class: "mono", "aria-label": what}, text);
  openDialog(
    t("{what}: not copied", {what}),
    h("div", {class: "stack"}, h("p", {}, t("The browser does not let this page copy. The text is selected: press Ctrl+C, or ⌘C on a Mac.")), field),
    {size: "narrow"},
  );
  field.select(); // also focuses it
}

/**
 * Write to the clipboard and return whether that succeeded. `navigator.clipboard` exists over HTTPS and on localhost only, and may refuse.
 *
 * @param {string} text
 */
async function writeClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Copy as a user would, over plain HTTP too. `execCommand` returns true even if nothing was selected, as in an element behind
 * a dialog; only the event of the field says that its text was taken.
 *
 * @param {string} text
 */
function copySelection(text) {
  const focused = document.activeElement;
  const field = h("textarea", {class: "sr", value: text});
  let taken = false;
  field.addEventListener("copy", () => {
    taken = field.selectionEnd - field.selectionStart === field.value.length;
  });
  topmost().append(field);
  field.select();
  const copied = document.execCommand("copy") && taken;
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}

/**
 * Save text or a blob as a file of the user.
 *
 * @param {string} name
 * @param {string | Blob} content
 */
export function saveFile(name, content) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], {type: "text/plain"}));
  h("a", {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
