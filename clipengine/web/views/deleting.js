// Deletions that can be undone: the request is sent when the toast has gone, or the page is left.

import {t} from "../lib/texts.js";
import {toast, toastError} from "../lib/toasts.js";
import {hide, showAgain} from "../store/leaving.js";

/** @typedef {import("../lib/api.js").RequestOptions} RequestOptions */

const UNDO_MS = 10_000;
/** @type {Set<(options: RequestOptions) => Promise<void>>} requests that are not sent yet */
const waiting = new Set();

/**
 * Hide objects from all lists, and delete them when the toast has gone. `send(options)` resolves with the ids that it could not
 * delete, which are shown again; `ondeleted(id)` is called for each other one.
 *
 * @typedef {object} Deletion
 * @property {string[]} ids
 * @property {string} title
 * @property {string | (Node | string)[]} detail
 * @property {(options: RequestOptions) => Promise<string[]>} send
 * @property {(id: string) => void} [ondeleted]
 * @param {Deletion} deletion
 */
export function deleteLater({ids, title, detail, send, ondeleted = () => {}}) {
  const finish = async (/** @type {RequestOptions} */ options) => {
    if (!waiting.delete(finish)) return;
    try {
      const kept = await send(options);
      showAgain(kept);
      for (const id of ids) if (!kept.includes(id)) ondeleted(id);
    } catch (error) {
      showAgain(ids);
      toastError(error);
    }
  };
  const undo = () => {
    if (waiting.delete(finish)) showAgain(ids);
  };
  waiting.add(finish);
  hide(ids);
  toast(title, detail, {action: {text: t("Undo"), run: undo}, ms: UNDO_MS, onclose: () => finish({})});
}

// Send the deletions that wait, with requests that outlive the page.
export const deleteNow = () => Promise.all([...waiting].map((finish) => finish({keepalive: true})));

addEventListener("pagehide", deleteNow);
