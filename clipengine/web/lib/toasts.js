// Toasts: messages that disappear after some seconds, also those of errors.

import {byId, h, icon, iconButton} from "./dom.js";
import {errorText} from "./error_views.js";
import {t} from "./texts.js";

const TOAST_MS = 6000;

/** @import {IconName} from "./dom.js" */

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
