// The list of segments of a recording: marked ranges that become one clip or several. It is kept until they are
// created or the tab is closed.

import {LIMITS} from "../lib/limits.js";

/** @import {Selection} from "./selection.js" */

/**
 * A marked range in seconds. An empty label gets a default when the clips are created.
 *
 * @typedef {{label: string, start: number, end: number}} Segment
 */

export const MAX_SEGMENTS = Math.min(LIMITS.parts, LIMITS.batch); // they become one clip, or a batch

// Events: "change", and "first" when the list was empty and a segment was added.
export class Segments extends EventTarget {
  /**
   * @param {Recording} recording
   * @param {Selection} selection
   */
  constructor(recording, selection) {
    super();
    this.selection = selection;
    this.storageKey = `segments ${recording.recording_id}`;
    this.items = load(this.storageKey);
    /** @type {Segment | null} the item whose range is selected, to be updated */
    this.current = null;
    selection.addEventListener("change", () => {
      if (selection.empty && this.current) this.setCurrent(null);
    });
  }

  get seconds() {
    return this.items.reduce((sum, {start, end}) => sum + end - start, 0);
  }

  get room() {
    return MAX_SEGMENTS - this.items.length;
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
    try {
      sessionStorage.setItem(this.storageKey, JSON.stringify(this.items));
    } catch {
      // storage may be blocked or full: the list is then kept until the view is left
    }
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * @param {string} key
 * @returns {Segment[]}
 */
function load(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key) ?? "[]");
  } catch {
    return [];
  }
}
