// Stores a document on the server soon after each change. The tab holds what is not stored. After a change elsewhere, both are
// merged. No DOM.

import {batch, effect, signal, untracked} from "../vendor/signals-core.js";
import {newSegment, timesOf} from "./doc.js";
import {mergedItems, mergedValue} from "./merge.js";

/** @import {ReadonlySignal} from "../vendor/signals-core.js" */
/** @import {Doc, Range, StoredLook, Value} from "./doc.js" */

const SAVE_MS = 400; // after the last change
const RETRY_MS = 5000; // after a failure

/**
 * A value that is not stored, and the list of the server that it has changed. Version 0.1.0 has kept lists only in the tab.
 *
 * @typedef {{items: Range[], title?: string, look?: StoredLook | null, base?: SegmentList | null}} Held
 */

/**
 * `held()` returns what the tab holds, and `hold(held)` replaces it. `onlook(look)` is called when the look was changed elsewhere, and
 * `ask(theirs, what)` when title or look were changed here too: those of this tab are kept until `sync.use` is called.
 *
 * @typedef {object} SyncOptions
 * @property {() => Promise<SegmentList>} load
 * @property {(list: Pick<SegmentList, "title" | "look" | "segments">, version: number, options: {keepalive?: boolean}) => Promise<SegmentList>} save
 * @property {() => Held | null} held
 * @property {(held: Held | null) => void} hold
 * @property {(look: StoredLook) => void} onlook
 * @property {(theirs: SegmentList, what: {title: boolean, look: boolean}) => void} ask
 * @property {(error: any) => void} onerror
 * @property {ReadonlySignal<boolean>} dragging true while the value follows the pointer, and is neither held nor stored
 * @property {AbortSignal} signal
 */

export class Sync {
  /**
   * @param {Doc} doc
   * @param {SyncOptions} options
   */
  constructor(doc, options) {
    this.doc = doc;
    this.io = options;
    /** @type {SegmentList | null} the list of the server that the value replaces, once it is known */
    this.stored = null;
    this.saving = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {import("../vendor/signals-core.js").Signal<string | null>} when the value was stored as it is; null if it is not */
    this.savedAt = signal(/** @type {string | null} */ (null));
    const held = options.held();
    if (held) doc.set({segments: held.items.map(newSegment), title: held.title ?? "", look: held.look ?? null});
    /** @type {Value} that is stored, or held in the tab */
    this.known = doc.value.peek();
    const stop = effect(() => {
      doc.value.value;
      if (!options.dragging.value) untracked(() => this.changed());
    });
    options.signal.addEventListener("abort", () => {
      stop();
      this.flush();
    });
    this.load(held);
  }

  /**
   * Load the list of the server, and merge it with what the tab holds.
   *
   * @param {Held | null} held
   */
  async load(held) {
    const before = this.doc.value.peek();
    try {
      const stored = await this.io.load();
      if (held || this.doc.value.peek() !== before) this.merge(stored, held?.base ?? null);
      else {
        this.stored = stored;
        this.take(stored, {segments: segmentsOf(stored), title: stored.title, look: stored.look});
        this.io.onlook(stored.look);
      }
    } catch (error) {
      if (error.retryable && !this.io.signal.aborted) this.timer = setTimeout(() => this.load(this.io.held()), RETRY_MS);
      else this.io.onerror(error);
    }
  }

  /**
   * Set the value that the server has.
   *
   * @param {SegmentList} stored
   * @param {Value} value
   */
  take(stored, value) {
    batch(() => {
      this.doc.set(value);
      this.known = this.doc.value.peek();
      this.savedAt.value = stored.updated_at;
    });
  }

  changed() {
    const value = this.doc.value.peek();
    if (value === this.known) return;
    this.known = value;
    this.savedAt.value = null;
    this.hold();
  }

  // Hold the value in the tab, and store it soon.
  hold() {
    const {segments, title, look} = this.known;
    this.io.hold({items: segments.map(({label, start, end}) => ({label, start, end})), title, look, base: this.stored});
    if (!this.stored) return; // it is being loaded
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), SAVE_MS);
  }

  /** @param {{keepalive?: boolean}} [options] */
  flush(options) {
    if (this.timer === undefined || !this.stored) return;
    clearTimeout(this.timer);
    this.save(options);
  }

  /** @param {{keepalive?: boolean}} [options] */
  async save(options = {}) {
    this.timer = undefined;
    if (this.saving || !this.stored) return;
    const sent = this.known;
    this.saving = true;
    try {
      const look = /** @type {StoredLook} */ (sent.look ?? this.stored.look);
      const segments = sent.segments.map((each) => ({label: each.label, ...timesOf(each)}));
      this.stored = await this.io.save({title: sent.title, look, segments}, this.stored.version, options);
      this.saving = false;
      if (this.known !== sent) return this.hold();
      if (this.doc.value.peek() !== sent) return; // it follows the pointer, and is stored afterwards
      this.io.hold(null);
      this.take(this.stored, {...sent, look: this.stored.look}); // as the server writes it, which is what later lists are compared with
    } catch (error) {
      this.saving = false;
      await this.failed(error);
    }
  }

  /** @param {any} error */
  async failed(error) {
    const {signal} = this.io;
    if (signal.aborted || error.status === 403) return; // the tab holds the value
    if (error.status === 412) {
      try {
        this.merge(await this.io.load(), this.stored);
      } catch (reason) {
        this.io.onerror(reason);
      }
    } else if (error.retryable) this.timer = setTimeout(() => this.save(), RETRY_MS);
    else this.io.onerror(error);
  }

  /**
   * Merge the value with the list of the server, which has changed since `base` was loaded, and store the result.
   *
   * @param {SegmentList} stored
   * @param {SegmentList | null} base null if it is not known
   */
  merge(stored, base) {
    const mine = this.doc.value.peek();
    const title = mergedValue(base?.title ?? "", mine.title, stored.title);
    const look = mergedValue(base?.look ?? null, mine.look, stored.look);
    this.stored = stored;
    this.use({title: title.value, look: look.value, segments: mergedItems(base ? segmentsOf(base) : [], mine.segments, segmentsOf(stored))});
    if (title.asks || look.asks) this.io.ask(stored, {title: title.asks, look: look.asks});
  }

  /** @param {Partial<Value>} values changed elsewhere */
  use(values) {
    this.doc.set(values);
    if (values.look) this.io.onlook(values.look);
  }
}

/** @param {SegmentList} list */
const segmentsOf = ({segments}) => segments.map(({label, start_seconds: start, end_seconds: end}) => newSegment({label, start, end}));
