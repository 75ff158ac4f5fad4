// The changes of a recording's clip that can be undone, in one order: of the look, of what is left out, and of the segments. No DOM.

/** @typedef {{active: boolean}} Owner of changes, which are undone only while it is active */

const MAX_CHANGES = 200;

export class History {
  constructor() {
    /** @type {{of: Owner, back: () => void, key: string}[]} the oldest first */
    this.changes = [];
  }

  /**
   * Add a change of `of`, which `back()` undoes. A change with the key of the one before it is a part of that one, as of a text
   * that is typed. Returns false for such a part.
   *
   * @param {Owner} of
   * @param {() => void} back
   * @param {string} [key]
   */
  add(of, back, key = "") {
    const last = this.changes.at(-1);
    if (key && last?.of === of && last.key === key) return false;
    this.changes = [...this.changes.slice(1 - MAX_CHANGES), {of, back, key}];
    return true;
  }

  /** @param {Owner} of */
  has(of) {
    return this.changes.some((change) => change.of === of);
  }

  /**
   * Undo the last change, or the last one of `of`. Returns false if there is none.
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
}
