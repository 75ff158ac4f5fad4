// Toasts, dialogs, menus and error states.

import {byId, byKey, find, findAll, h, icon, iconButton} from "./dom.js";
import {failureMessage} from "./error_messages.js";
import {fromServer, t, texts} from "./texts.js";

const TOAST_MS = 6000;
let opened = 0; // dialogs

/** @import {IconName} from "./dom.js" */
/** @typedef {{text: string, icon: IconName, run: () => unknown, keys?: string, lang?: string, danger?: boolean} | false} MenuItem or nothing */

/**
 * Show a message, for `ms`, twice as long if it is `bad`, unless it is `lasting`. `onclose()` is called when it has gone without the action. Returns functions to change its second line and to close it.
 *
 * @param {string} title
 * @param {string | (Node | string)[]} [detail]
 * @param {{bad?: boolean, poster?: HTMLElement | null, action?: {text: string, icon?: IconName, run: () => void} | null, lasting?: boolean, ms?: number, onclose?: () => void}} [options]
 */
export function toast(title, detail = "", {bad = false, poster = null, action = null, lasting = false, ms = TOAST_MS, onclose = () => {}} = {}) {
  const close = () => {
    node.remove();
    onclose();
  };
  const line = h("p", {class: "small muted", hidden: !detail}, detail);
  const node = h(
    "div",
    {class: bad ? "notice toast bad" : "notice toast"},
    poster,
    h("div", {class: "grow"}, h("strong", {}, title), line),
    action &&
      h(
        "button",
        {
          type: "button",
          class: action.icon ? "" : "quiet",
          onclick: () => {
            node.remove();
            action.run();
          },
        },
        action.icon ? icon(action.icon) : null,
        action.text,
      ),
    iconButton("x", t("Close"), close),
  );
  byId("toasts").append(node);
  const closeLater = () => setTimeout(() => (node.matches(":hover, :focus-within") ? closeLater() : close()), bad ? ms * 2 : ms);
  if (!lasting) closeLater();
  return {close, setDetail: (/** @type {string} */ text) => line.replaceChildren(text)};
}

/** @param {any} error */
export function toastError(error) {
  if (error.name === "AbortError" || error.status === 401) return;
  if (error.status === undefined) console.error(error);
  toast(error.title || t("Something went wrong"), errorText(error), {bad: true});
}

/**
 * Return an event handler that disables its button while `work` runs and shows errors as a toast.
 *
 * @param {(event: Event) => Promise<unknown>} work
 */
export function asyncHandler(work) {
  /** @param {Event} event */
  return async (event) => {
    const button = event.currentTarget instanceof HTMLButtonElement ? event.currentTarget : null;
    if (button) button.disabled = true;
    try {
      await work(event);
    } catch (error) {
      toastError(error);
    } finally {
      if (button) button.disabled = false;
    }
  };
}

/**
 * @param {Children} title
 * @param {Children} body
 * @param {{footer?: HTMLElement[], size?: "" | "narrow" | "wide", onclose?: () => void}} [options]
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
  return dialog;
}

/**
 * Ask for confirmation. Resolves with true or false.
 *
 * @param {Children} title
 * @param {Children} detail
 * @param {string} yes
 * @returns {Promise<boolean>}
 */
export function confirmDialog(title, detail, yes) {
  return new Promise((resolve) => {
    let answer = false;
    /** @param {boolean} value */
    const finish = (value) => {
      answer = value;
      dialog.close();
    };
    const dialog = openDialog(title, h("p", {}, detail), {
      size: "narrow",
      footer: [
        h("button", {type: "button", autofocus: true, onclick: () => finish(false)}, t("Cancel")),
        h("button", {type: "button", class: "primary destructive", onclick: () => finish(true)}, yes),
      ],
      onclose: () => resolve(answer),
    });
  });
}

/**
 * A button that opens a menu. Arrow keys move; Escape closes it and restores the focus.
 *
 * @param {string} label
 * @param {IconName} name
 * @param {() => MenuItem[]} items
 */
export function menuButton(label, name, items) {
  const button = iconButton(name, label, () => (menu ? close() : open()), {"aria-haspopup": "menu", "aria-expanded": "false"});
  /** @type {HTMLElement | null} */
  let menu = null;
  const close = () => {
    if (!menu) return;
    menu.remove();
    menu = null;
    button.setAttribute("aria-expanded", "false");
    removeEventListener("pointerdown", outside, true);
    removeEventListener("scroll", onscroll, true);
    removeEventListener("hashchange", close);
    removeEventListener("resize", close);
  };
  /** @param {Event} event */
  const outside = (event) => {
    const inside = event.target instanceof Node && [menu, button].some((node) => node?.contains(/** @type {Node} */ (event.target)));
    if (!inside) close();
  };
  let top = 0; // of the button, when the menu was opened
  const onscroll = () => button.getBoundingClientRect().top === top || close();
  /** @param {KeyboardEvent} event */
  const onkeydown = (event) => {
    const entries = menu ? findAll(menu, "button") : [];
    const at = entries.findIndex((entry) => entry === document.activeElement);
    const move = byKey(event, {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1});
    if (event.key === "Escape" || event.key === "Tab") {
      close();
      button.focus();
    } else if (move === undefined) return;
    else entries[(move + entries.length) % entries.length].focus();
    event.preventDefault();
    event.stopPropagation();
  };
  const open = () => {
    const box = button.getBoundingClientRect();
    top = box.top;
    const shown = h(
      "div",
      {class: "menu", role: "menu", "aria-label": label, onkeydown},
      items()
        .filter((item) => item !== false)
        .map(({text, keys, lang, icon: image, run, danger}) =>
          h(
            "button",
            {
              type: "button",
              role: "menuitem",
              lang,
              class: danger ? "quiet danger" : "quiet",
              onclick: () => {
                close();
                button.focus();
                Promise.resolve(run()).catch(toastError);
              },
            },
            icon(image),
            text,
            keys ? h("kbd", {"aria-hidden": "true"}, keys) : null,
          ),
        ),
    );
    menu = shown;
    (button.closest("main, dialog") ?? document.body).append(shown);
    shown.style.left = `${Math.max(8, Math.min(box.right - shown.offsetWidth, innerWidth - shown.offsetWidth - 8))}px`;
    const below = box.bottom + shown.offsetHeight + 8 <= floor();
    shown.style.top = `${below ? box.bottom + 4 : Math.max(8, Math.min(box.top, floor()) - shown.offsetHeight - 4)}px`;
    button.setAttribute("aria-expanded", "true");
    find(shown, "button")?.focus();
    addEventListener("pointerdown", outside, true);
    addEventListener("scroll", onscroll, true);
    addEventListener("hashchange", close);
    addEventListener("resize", close);
  };
  return button;
}

/** Return the lower edge of the room for menus: the window's, or that of a bar at its bottom. */
function floor() {
  const bars = findAll(document, "[data-floor]").filter((node) => getComputedStyle(node).position === "fixed");
  return Math.min(innerHeight, ...bars.map((node) => node.getBoundingClientRect().top));
}

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
  (findAll(document, "dialog:modal").at(-1) ?? document.body).append(field);
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

/**
 * Return a text of the server for `h`. If there is no translation, it is marked as English.
 *
 * @param {string} text
 */
export const serverText = (text) => (text in texts ? fromServer(text) : h("span", {lang: "en"}, text));

/**
 * Return the message of an error for `h`.
 *
 * @param {any} error
 */
export const errorText = (error) => (error.english ? serverText(error.message) : error.message);

/**
 * Return the engine's message and hint as paragraphs. A message in the user's language is followed by the engine's own one,
 * which may say more.
 *
 * @param {ClipEngineError} error
 */
export function errorDetails(error) {
  return [h("p", {class: "bad"}, failureMessage(error) ?? serverText(error.message)), ...moreOf(error)];
}

/** @param {ClipEngineError} error */
const moreOf = (error) => [
  h("p", {class: "muted"}, serverText(error.hint)),
  ...(failureMessage(error) ? [h("p", {class: "muted small"}, serverText(error.message))] : []),
];

/**
 * Return the engine's message on one line; it opens to show all of it and the hint.
 *
 * @param {ClipEngineError} error
 */
export function errorSummary(error) {
  const message = failureMessage(error) ?? serverText(error.message);
  return h("details", {class: "fault"}, h("summary", {class: "bad"}, h("span", {class: "clip"}, message)), moreOf(error));
}

/**
 * Return a table; `titles` are those of its columns, and `rows` is its body.
 *
 * @param {string[]} titles
 * @param {HTMLTableSectionElement} rows
 */
export const table = (titles, rows) =>
  h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        titles.map((text) => (text ? h("th", {scope: "col"}, text) : h("td"))), // that of the buttons has none
      ),
    ),
    rows,
  );

/**
 * Return an error state that replaces a list or a view. `retry()` is offered if the error may pass, and is called when an
 * unreachable server is back.
 *
 * @param {any} error
 * @param {() => unknown} retry
 */
export function errorState(error, retry) {
  const again = error.retryable === false ? null : retry;
  const node = h(
    "div",
    {class: "empty", role: "alert"},
    h("h2", {}, error.title || t("Something went wrong")),
    h("p", {}, errorText(error)),
    again && h("button", {type: "button", onclick: again}, icon("retry"), t("Retry")),
  );
  /** @param {CustomEvent<boolean>} event */
  const back = ({detail}) => {
    if (!detail) return;
    removeEventListener("connection", back);
    if (node.isConnected) retry();
  };
  if (again && error.code === "unreachable") addEventListener("connection", back);
  return node;
}
