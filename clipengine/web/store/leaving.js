// Ids of objects whose deletion was requested here and can still be undone, or has been sent. No list shows them. No DOM.

import {signal} from "../vendor/signals-core.js";

export const leaving = signal(/** @type {ReadonlySet<string>} */ (new Set()));

/** @param {string[]} ids */
export function hide(ids) {
  leaving.value = new Set([...leaving.peek(), ...ids]);
}

/** @param {string[]} ids */
export function showAgain(ids) {
  const left = new Set(leaving.peek());
  for (const id of ids) left.delete(id);
  leaving.value = left;
}

/**
 * Return the ids that are shown.
 *
 * @template {Iterable<string>} Ids
 * @param {Ids} ids
 * @returns {Ids | string[]} the same object if no id is hidden
 */
export function staying(ids) {
  const gone = leaving.value;
  return gone.size ? [...ids].filter((id) => !gone.has(id)) : ids;
}
