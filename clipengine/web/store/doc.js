// The edits of a recording that the server stores with it: segments, the title of their clip, and the look. They are one immutable
// value, which only this module changes. No DOM.

import {computed, signal} from "../vendor/signals-core.js";
import {mergedItems, seconds} from "./merge.js";

/** @import {History} from "./history.js" */
/** @typedef {{label: string, start: number, end: number}} Range in seconds; an empty label gets a default when the clips are made */
/** @typedef {Readonly<Range & {id: number}>} Segment with an id of this tab */
/** @typedef {SegmentList["look"]} StoredLook */
/** @typedef {Readonly<{segments: readonly Segment[], title: string, look: StoredLook | null}>} Value its look is null until it is loaded or changed */

/** @type {Value} */
const EMPTY = {segments: [], title: "", look: null};
let ids = 0;

/**
 * @param {Range} range
 * @returns {Segment}
 */
export function newSegment({label, start, end}) {
  ids += 1;
  return {id: ids, label, start, end};
}

/**
 * Return the times of a range as the API has them.
 *
 * @param {Range} range
 */
export const timesOf = ({start, end}) => ({start_seconds: seconds(start), end_seconds: seconds(end)});

export class Doc {
  /** @param {{history: History, most: number}} options with the highest number of segments */
  constructor({history, most}) {
    this.history = history;
    this.most = most;
    this.active = true; // changes can be undone
    this.value = signal(EMPTY);
    this.step = {before: EMPTY, after: EMPTY}; // the last change
    this.segments = computed(() => this.value.value.segments);
    this.title = computed(() => this.value.value.title);
    this.places = computed(() => new Map(this.segments.value.map((segment, index) => [segment.id, {segment, index}])));
  }

  get seconds() {
    return this.segments.value.reduce((sum, {start, end}) => sum + end - start, 0);
  }

  // Number of segments that can be added: other programs may store more than the page.
  get room() {
    return Math.max(0, this.most - this.segments.value.length);
  }

  /**
   * Return the segment with this id, or null.
   *
   * @param {number} id
   */
  get(id) {
    return this.places.value.get(id)?.segment ?? null;
  }

  /**
   * Change the segments or the title. Changes with the same key that follow each other are undone as one.
   *
   * @param {Partial<Pick<Value, "segments" | "title">>} values
   * @param {string} [key]
   */
  change(values, key) {
    const before = this.value.peek();
    this.set(values);
    const step = {before, after: this.value.peek()};
    if (this.history.add(this, () => this.undo(step), key)) this.step = step;
    else this.step.after = step.after;
  }

  /**
   * Undo a change. What was changed elsewhere since stays.
   *
   * @param {{before: Value, after: Value}} step
   */
  undo({before, after}) {
    const now = this.value.peek();
    this.set({
      segments: mergedItems(after.segments, before.segments, now.segments),
      title: now.title === after.title ? before.title : now.title,
    });
  }

  /**
   * Change the value without a step in the history.
   *
   * @param {Partial<Value>} values
   */
  set(values) {
    this.value.value = {...this.value.peek(), ...values};
  }

  /** @param {Range[]} ranges */
  add(...ranges) {
    const made = ranges.map(newSegment);
    this.change({segments: [...this.segments.peek(), ...made]});
    return made;
  }

  /**
   * @param {number} id
   * @param {Partial<Range>} values
   * @param {string} [key]
   */
  update(id, values, key) {
    this.change({segments: this.segments.peek().map((each) => (each.id === id ? {...each, ...values} : each))}, key);
  }

  /**
   * Divide a segment at a time. The first part keeps its id.
   *
   * @param {number} id
   * @param {number} time
   */
  split(id, time) {
    this.change({
      segments: this.segments.peek().flatMap((each) => (each.id === id ? [{...each, end: time}, newSegment({...each, start: time})] : [each])),
    });
  }

  /**
   * @param {number} id
   * @param {number} to the place in the list
   */
  move(id, to) {
    const segments = this.segments.peek();
    const at = segments.findIndex((each) => each.id === id);
    const there = Math.min(Math.max(0, to), segments.length - 1);
    if (there === at) return;
    const others = segments.filter((each) => each.id !== id);
    this.change({segments: [...others.slice(0, there), segments[at], ...others.slice(there)]});
  }

  /** @param {number} id */
  remove(id) {
    this.change({segments: this.segments.peek().filter((each) => each.id !== id)});
  }

  // Remove all segments, and return them.
  clear() {
    const before = this.segments.peek();
    this.change({segments: []});
    return before;
  }

  /**
   * Put segments back that were removed, before those that are newer.
   *
   * @param {readonly Segment[]} before
   */
  putBack(before) {
    const newer = this.segments.peek().filter((each) => !before.includes(each));
    this.change({segments: [...before, ...newer].slice(0, this.most)});
  }
}
