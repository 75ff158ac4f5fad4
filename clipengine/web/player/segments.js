// The list of segments of a recording: marked ranges that become one clip or several, the title of that clip, and the look
// of both. The server stores it; the tab holds what is not stored yet.

import {get, put} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {LIMITS} from "../lib/limits.js";
import {plural, t} from "../lib/texts.js";
import {openDialog, toastError} from "../lib/ui.js";

/** @import {Selection} from "./selection.js" */

/**
 * A marked range in seconds. An empty label gets a default when the clips are created.
 *
 * @typedef {{label: string, start: number, end: number}} Segment
 */

/**
 * A list that is not stored, and the version that it replaces. Version 0.1.0 has kept lists only in the tab, without one.
 *
 * @typedef {{items: Segment[], version?: number, title?: string, look?: StoredLook | null}} Held
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
      const items = stored.segments.map(fromServer);
      const edited = this.edits !== before;
      if (held && held.version !== undefined && held.version !== stored.version) return this.resolve(stored);
      this.stored = stored;
      if (held?.version === undefined) {
        this.title ||= stored.title;
        this.look ??= stored.look;
      }
      this.dispatchEvent(new Event("loaded"));
      if (held?.version === undefined && (held || edited)) {
        this.items = [...items, ...this.items.filter((mine) => !items.some((item) => same(item, mine)))];
      } else if (!held) this.items = items;
      if (held || edited) this.changed();
      else this.dispatchEvent(new Event("change"));
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
      if (this.edits === saved) forget(this.storageKey);
      else this.hold();
      this.dispatchEvent(new Event("saved"));
    } catch (error) {
      this.saving = false;
      if (this.signal.aborted || error.status === 403) return; // the tab holds the list
      if (error.status === 412) get(this.path, {signal: this.signal}).then((stored) => this.resolve(stored), toastError);
      else if (error.retryable) this.timer = setTimeout(() => this.save(), RETRY_MS);
      else toastError(error);
    }
  }

  /**
   * Ask which list is kept if both have changed. Until an answer, the tab holds its own.
   *
   * @param {SegmentList} stored
   */
  resolve(stored) {
    const items = stored.segments.map(fromServer);
    const keep = () => {
      this.stored = stored;
      this.changed();
    };
    const alike = this.title === stored.title && JSON.stringify(this.look) === JSON.stringify(stored.look);
    if (alike && items.length === this.items.length && items.every((item, at) => same(item, this.items[at]))) return keep();
    const load = () => {
      this.stored = stored;
      this.items = items;
      this.title = stored.title;
      this.look = stored.look;
      this.current = null;
      forget(this.storageKey);
      this.dispatchEvent(new Event("loaded"));
      this.dispatchEvent(new Event("change"));
    };
    /** @param {() => void} then */
    const answer = (then) => () => {
      dialog.close();
      then();
    };
    const text = plural(
      items.length,
      "Another list of {count} segment was saved since you opened this one.",
      "Another list of {count} segments was saved since you opened this one.",
    );
    const dialog = openDialog(t("The segments were changed elsewhere"), h("p", {}, text), {
      size: "narrow",
      footer: [
        h("button", {type: "button", onclick: answer(load)}, t("Load that list")),
        h("button", {type: "button", class: "primary", onclick: answer(keep)}, t("Keep mine")),
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
    const held = {items: this.items, version: this.stored?.version, title: this.title, look: this.look};
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

/** @param {number} time */
const seconds = (time) => Number(time.toFixed(6));

/**
 * @param {Segment} one
 * @param {Segment} other
 */
const same = (one, other) => one.label === other.label && seconds(one.start) === seconds(other.start) && seconds(one.end) === seconds(other.end);

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
