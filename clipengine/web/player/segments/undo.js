// Ctrl+Z undoes the last change of a recording's clip.

import {targetOf} from "../../lib/dom.js";

/** @import {History} from "../../store/history.js" */

/**
 * @param {History} history
 * @param {AbortSignal} signal
 */
export function bindUndo(history, signal) {
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey || event.key.toLowerCase() !== "z") return;
    if (targetOf(event).closest("input, select, textarea, dialog, [role=menu]")) return;
    if (history.undo()) event.preventDefault();
  };
  document.addEventListener("keydown", key, {signal});
}
