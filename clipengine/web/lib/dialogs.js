// Dialogs.

import {byId, findAll, h, iconButton} from "./dom.js";
import {t} from "./texts.js";

let opened = 0; // dialogs

/**
 * @param {Children} title
 * @param {Children} body
 * @param {{footer?: Child[], size?: "" | "narrow" | "wide", onclose?: () => void}} [options]
 */
export function openDialog(title, body, {footer = [], size = "", onclose = () => {}} = {}) {
  const name = `dialog-title-${++opened}`; // a dialog may open another
  /** @type {HTMLDialogElement} */
  const dialog = h(
    "dialog",
    {class: size, "aria-labelledby": name},
    h(
      "header",
      {},
      h("h2", {id: name, class: "grow clip"}, title),
      iconButton("x", t("Close"), () => dialog.close()),
    ),
    h("div", {class: "body"}, body),
    footer.length ? h("footer", {}, footer) : null,
  );
  dialog.addEventListener("close", () => {
    onclose();
    placeMessages();
    dialog.remove();
  });
  let pressed = false; // on the backdrop: text that is selected with the mouse may end there
  dialog.addEventListener("pointerdown", (event) => {
    pressed = event.target === dialog;
  });
  dialog.addEventListener("click", (event) => {
    if (pressed && event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  placeMessages();
  return dialog;
}

/** Return the topmost modal dialog, or else the document's body. All else is inert: it is dimmed, and not read out. */
export const topmost = () => findAll(document, "dialog:modal").at(-1) ?? document.body;
const placeMessages = () => topmost().append(byId("toasts"), byId("said"));

/**
 * Ask for confirmation, for which the text `typed` must be typed if it is given. Resolves with true or false.
 *
 * @param {Children} title
 * @param {Children} detail
 * @param {string} yes
 * @param {{typed?: string}} [options]
 * @returns {Promise<boolean>}
 */
export function confirmDialog(title, detail, yes, {typed = ""} = {}) {
  return new Promise((resolve) => {
    let answer = false;
    /** @param {boolean} value */
    const finish = (value) => {
      answer = value;
      dialog.close();
    };
    const confirm = h("button", {type: "button", class: "primary destructive", disabled: Boolean(typed), onclick: () => finish(true)}, yes);
    const input = h("input", {
      autocomplete: "off",
      inputmode: "numeric",
      oninput: () => {
        confirm.disabled = input.value.trim() !== typed;
      },
    });
    const field = typed ? h("label", {class: "field"}, t("Type {text} to confirm", {text: typed}), input) : null;
    const dialog = openDialog(title, [h("p", {}, detail), field], {
      size: "narrow",
      footer: [h("button", {type: "button", autofocus: true, onclick: () => finish(false)}, t("Cancel")), confirm],
      onclose: () => resolve(answer),
    });
  });
}
