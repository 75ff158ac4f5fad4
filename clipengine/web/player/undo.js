// Changes of a recording's clip that can be undone: by Ctrl+Z, or by the button of the part that was changed.

import {targetOf} from "../lib/dom.js";

/** @typedef {{active: boolean}} Owner of changes, which are undone only while it is active */

const MAX_CHANGES = 200;

export class Undo {
  /** @param {AbortSignal} signal */
  constructor(signal) {
    /** @type {{of: Owner, back: () => void}[]} the oldest first */
    this.changes = [];
    document.addEventListener("keydown", (event) => this.key(event), {signal});
  }

  /**
   * Add a change of `of`, which `back()` takes back.
   *
   * @param {Owner} of
   * @param {() => void} back
   */
  add(of, back) {
    this.changes = [...this.changes.slice(1 - MAX_CHANGES), {of, back}];
  }

  /** @param {Owner} of */
  has(of) {
    return this.changes.some((change) => change.of === of);
  }

  /**
   * Take back the last change, or the last one of `of`. Returns false if there is none.
   *
   * @param {Owner} [of]
   */
  undo(of) {
    const change = this.changes.findLast((each) => (of ? each.of === of : each.of.active));
    if (!change) return false;
    this.changes = this.changes.filter((each) => each !== change);
    change.back();
    return true;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey || event.key.toLowerCase() !== "z") return;
    if (targetOf(event).closest("input, select, textarea, dialog, [role=menu]")) return;
    if (this.undo()) event.preventDefault();
  }
}
