// Deletions that can be undone: the request is sent when the toast has gone, or the page is left.

import {errorText} from "../lib/error_views.js";
import {t} from "../lib/texts.js";
import {toast} from "../lib/toasts.js";
import {hide, showAgain} from "../store/leaving.js";

/** @typedef {import("../lib/api.js").RequestOptions} RequestOptions */

const UNDO_MS = 10_000;
/** @type {Set<(options: RequestOptions) => Promise<void>>} requests that are not sent yet */
const waiting = new Set();

/**
 * Hide objects from all lists, and delete them when the toast has gone. `send(options)` resolves with the ids that it could not
 * delete, which are shown again; `ondeleted(id)` is called for each other one. `soon` is the title until then, and `title`
 * that of the message when it is done, unless some are kept, which `send` reports.
 *
 * @typedef {object} Deletion
 * @property {string[]} ids
 * @property {(seconds: number) => string} soon
 * @property {string} title
 * @property {() => (string | (Node | string)[])} detail
 * @property {(options: RequestOptions) => Promise<string[]>} send
 * @property {(id: string) => void} [ondeleted]
 * @param {Deletion} deletion
 */
export function deleteLater({ids, soon, title, detail, send, ondeleted = () => {}}) {
  const finish = async (/** @type {RequestOptions} */ options) => {
    if (!waiting.delete(finish)) return;
    try {
      const kept = await send(options);
      showAgain(kept);
      for (const id of ids) if (!kept.includes(id)) ondeleted(id);
      if (!kept.length) toast(title, detail());
    } catch (error) {
      showAgain(ids);
      if (error.name !== "AbortError") toast(t("Not deleted"), [...[detail()].flat(), ": ", errorText(error)], {bad: true});
    }
  };
  const undo = () => {
    if (waiting.delete(finish)) showAgain(ids);
  };
  waiting.add(finish);
  hide(ids);
  toast(soon(UNDO_MS / 1000), detail(), {action: {text: t("Undo"), run: undo}, ms: UNDO_MS, onclose: () => finish({})});
}

// Send the deletions that wait, with requests that outlive the page.
export const deleteNow = () => Promise.all([...waiting].map((finish) => finish({keepalive: true})));

addEventListener("pagehide", deleteNow);
