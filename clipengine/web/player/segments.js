// The list of segments of a recording: marked ranges that become one clip or several, the title of that clip, and the look
// of both. The server stores it; the tab holds what is not stored yet.

import {get, put} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {LIMITS} from "../lib/limits.js";
import {t} from "../lib/texts.js";
import {openDialog, toastError} from "../lib/ui.js";
import {mergedItems, mergedValue, seconds} from "./segment_merge.js";

/** @import {Selection} from "./selection.js" */

/**
 * A marked range in seconds. An empty label gets a default when the clips are created.
 *
 * @typedef {{label: string, start: number, end: number}} Segment
 */

/**
 * A list that is not stored, and the one of the server that it has changed. Version 0.1.0 has kept lists only in the tab.
 *
 * @typedef {{items: Segment[], title?: string, look?: StoredLook | null, base?: SegmentList | null}} Held
 * @typedef {SegmentList["look"]} StoredLook
 */

const SAVE_MS = 400; // after the last change
const RETRY_MS = 5000; // after a failure

export const MAX_SEGMENTS = Math.min(LIMITS.parts, LIMITS.batch); // they become one clip, or a batch

// Events: "change", "first" when the list was empty and a segment was added, "saved", and "loaded" when the title and the look
// are those of the server or of the tab.
export class Segments extends EventTarget {
  /**
   * @param {Recording} recording
   * @param {Selection} selection
   * @param {AbortSignal} signal
   */
  constructor(recording, selection, signal) {
    super();
    this.selection = selection;
    this.signal = signal;
    /** @type {`/v1/recordings/${string}/segments`} */
    this.path = `/v1/recordings/${recording.recording_id}/segments`;
    this.storageKey = `segments ${recording.recording_id}`;
    const held = heldIn(this.storageKey);
    this.items = held?.items ?? [];
    this.title = held?.title ?? "";
    /** @type {StoredLook | null} null until it is loaded or changed */
    this.look = held?.look ?? null;
    /** @type {SegmentList | null} the list of the server that the items replace, once it is known */
    this.stored = null;
    this.edits = 0;
    this.saving = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {Segment | null} the item whose range is selected, to be updated */
    this.current = null;
    selection.addEventListener("change", () => {
      if (selection.empty && this.current) this.setCurrent(null);
    });
    signal.addEventListener("abort", () => this.flush());
    addEventListener("pagehide", () => this.flush({keepalive: true}), {signal});
    this.load(held);
  }

  /**
   * Show the list of the server, unless the tab holds changes of it, which are stored.
   *
   * @param {Held | null} held
   */
  async load(held) {
    const before = this.edits;
    try {
      const stored = await get(this.path, {signal: this.signal});
      if (held || this.edits !== before) return this.resolve(stored, held?.base ?? null);
      this.stored = stored;
      this.title = stored.title;
      this.look = stored.look;
      this.items = stored.segments.map(fromServer);
      this.dispatchEvent(new Event("loaded"));
      this.dispatchEvent(new Event("change"));
    } catch (error) {
      if (error.retryable && !this.signal.aborted) this.timer = setTimeout(() => this.load(heldIn(this.storageKey)), RETRY_MS);
      else toastError(error);
    }
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
    const {version} = this.stored;
    const saved = this.edits;
    this.saving = true;
    try {
      const look = /** @type {any} */ (this.look ?? this.stored.look);
      const body = {title: this.title, look, segments: this.items.map(toServer)};
      this.stored = await put(this.path, body, {version, ...options});
      this.saving = false;
      if (this.edits === saved) {
        this.look = this.stored.look; // as the server writes it, which is what later lists are compared with
        forget(this.storageKey);
      } else this.hold();
      this.dispatchEvent(new Event("saved"));
    } catch (error) {
      this.saving = false;
      if (this.signal.aborted || error.status === 403) return; // the tab holds the list
      if (error.status === 412) get(this.path, {signal: this.signal}).then((stored) => this.resolve(stored, this.stored), toastError);
      else if (error.retryable) this.timer = setTimeout(() => this.save(), RETRY_MS);
      else toastError(error);
    }
  }

  /**
   * Merge the list of the tab with that of the server, which has changed since `base` was loaded, and store the result. If both
   * have another title or look, ask which one is kept; until an answer, those of the tab are.
   *
   * @param {SegmentList} stored
   * @param {SegmentList | null} base null if it is not known
   */
  resolve(stored, base) {
    const title = mergedValue(base?.title ?? "", this.title, stored.title);
    const look = mergedValue(base?.look ?? null, this.look, stored.look);
    this.stored = stored;
    this.items = mergedItems(base?.segments.map(fromServer) ?? [], this.items, stored.segments.map(fromServer));
    if (this.current && !this.items.includes(this.current)) this.current = null;
    this.use(title.value, look.value);
    if (title.asks || look.asks) this.ask(stored, [title.asks && t("the title “{title}”", {title: stored.title}), look.asks && t("another look")]);
  }

  /**
   * @param {string} title
   * @param {StoredLook | null} look
   */
  use(title, look) {
    this.title = title;
    this.look = look;
    this.dispatchEvent(new Event("loaded"));
    this.changed();
  }

  /**
   * Ask whether the title and the look of the server are kept, which is asked in words.
   *
   * @param {SegmentList} stored
   * @param {(string | false)[]} words
   */
  ask(stored, words) {
    /** @param {() => void} then */
    const answer = (then) => () => {
      dialog.close();
      then();
    };
    const what = words.filter(Boolean).join(` ${t("and")} `);
    const text = t("Elsewhere, these segments were given {what}. The segments of both are kept.", {what});
    const theirs = () => this.use(words[0] ? stored.title : this.title, words[1] ? stored.look : this.look);
    const dialog = openDialog(t("The list was changed elsewhere"), h("p", {}, text), {
      size: "narrow",
      footer: [
        h("button", {type: "button", onclick: answer(theirs)}, t("Use theirs")),
        h("button", {type: "button", class: "primary", onclick: answer(() => {})}, t("Keep mine")),
      ],
    });
    this.signal.addEventListener("abort", () => dialog.close());
  }

  // When the list was stored as it is; null if it is not.
  get savedAt() {
    return this.timer === undefined && !this.saving ? (this.stored?.updated_at ?? null) : null;
  }

  get seconds() {
    return this.items.reduce((sum, {start, end}) => sum + end - start, 0);
  }

  get room() {
    return Math.max(0, MAX_SEGMENTS - this.items.length); // other programs may store more
  }

  /**
   * Add the selection as an item, or give its range to the current one. Returns the item, or null if nothing is selected.
   *
   * @param {string} label
   */
  put(label) {
    const {range} = this.selection;
    if (!range) return null;
    const item = this.current || {label, ...range};
    Object.assign(item, range, label && {label});
    const first = !this.current && !this.items.length;
    if (!this.current) this.items.push(item);
    this.changed();
    this.selection.clear();
    if (first) this.dispatchEvent(new Event("first"));
    return item;
  }

  /** @param {Segment[]} items */
  addAll(items) {
    this.items.push(...items);
    this.changed();
  }

  /**
   * Select the range of an item.
   *
   * @param {Segment} item
   */
  open(item) {
    this.current = null;
    this.selection.set(item.start, item.end);
    this.setCurrent(item);
  }

  /** @param {Segment | null} item */
  setCurrent(item) {
    this.current = item;
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Divide the segment at a time, first of all the current one. Returns false if no segment is there or the list is full.
   *
   * @param {number} time
   */
  split(time) {
    /** @param {Segment | null} item */
    const contains = (item) => item !== null && item.start < time && time < item.end;
    const item = this.current && contains(this.current) ? this.current : this.items.find(contains);
    if (!item || !this.room) return false;
    this.items.splice(this.items.indexOf(item) + 1, 0, {...item, start: time});
    item.end = time;
    if (item === this.current) this.open(item);
    this.changed();
    return true;
  }

  /**
   * @param {Segment} item
   * @param {string} label
   */
  rename(item, label) {
    item.label = label;
    this.changed();
  }

  /** @param {string} title */
  setTitle(title) {
    this.title = title;
    this.changed();
  }

  /** @param {StoredLook} look */
  setLook(look) {
    this.look = look;
    this.changed();
  }

  /**
   * @param {Segment} item
   * @param {number} to
   */
  move(item, to) {
    const at = this.items.indexOf(item);
    const there = Math.min(Math.max(0, to), this.items.length - 1);
    if (there === at) return;
    this.items.splice(at, 1);
    this.items.splice(there, 0, item);
    this.changed();
  }

  /** @param {Segment} item */
  remove(item) {
    this.replace(this.items.filter((each) => each !== item));
  }

  /**
   * Set all items. Returns those before.
   *
   * @param {Segment[]} items
   */
  replace(items) {
    const before = this.items;
    this.items = items;
    if (this.current && !items.includes(this.current)) this.current = null;
    this.changed();
    return before;
  }

  changed() {
    this.edits += 1;
    this.hold();
    this.dispatchEvent(new Event("change"));
  }

  // Hold the list in the tab, and store it soon.
  hold() {
    /** @type {Held} */
    const held = {items: this.items, title: this.title, look: this.look, base: this.stored};
    try {
      sessionStorage.setItem(this.storageKey, JSON.stringify(held));
    } catch {
      // storage may be blocked or full: the list is then lost if the server cannot be reached either
    }
    if (!this.stored) return; // it is being loaded
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), SAVE_MS);
  }
}

/** @param {{label: string, start_seconds: number, end_seconds: number}} segment */
const fromServer = ({label, start_seconds: start, end_seconds: end}) => ({label, start, end});

/** @param {Segment} segment */
const toServer = ({label, start, end}) => ({label, start_seconds: seconds(start), end_seconds: seconds(end)});

/**
 * @param {string} key
 * @returns {Held | null}
 */
function heldIn(key) {
  try {
    const found = JSON.parse(sessionStorage.getItem(key) ?? "null");
    return Array.isArray(found) ? (found.length ? {items: found} : null) : found;
  } catch {
    return null;
  }
}

/** @param {string} key */
function forget(key) {
  try {
    sessionStorage.removeItem(key);
  } catch {
    // storage may be blocked
  }
}
