// Named ranges on the timeline as buttons: clips, segments and chapters. They share one tab stop; arrow keys move.
// Only those of the view are in the document, and ranges that are too close to be told apart share one button.

import {byKey, h, setChildren, setText, targetOf} from "../../lib/dom.js";

const LANES = 5; // for ranges that overlap; more than that cover each other
const LANE_PIXELS = 26;
const MIN_PIXELS = 24; // the least size of a target, between the starts of two ranges of a lane that have buttons of their own

/** @import {Span} from "../segments/selection.js" */

/**
 * @template Item
 * @typedef {object} Band
 * @property {string | number | object} key
 * @property {number} start
 * @property {number} end
 * @property {string} text
 * @property {string} label for screen readers
 * @property {string} kind
 * @property {Item} item
 */

/** @typedef {Band<unknown>["key"]} Key */

/**
 * @template Item
 * @typedef {Band<Item> & {lane: number}} LaneBand
 */

/**
 * What a button stands for: a range, or, without an item, several of a lane.
 *
 * @template Item
 * @typedef {Omit<LaneBand<Item>, "item"> & {item?: Item}} Placed
 */

/**
 * @template Item
 * @typedef {object} BandOptions
 * @property {string} name
 * @property {string} className
 * @property {number} [lanes]
 * @property {(count: number) => string} many
 * @property {(item: Item) => void} onopen
 * @property {(range: Span) => void} reveal
 * @property {(range: Span) => void} zoom
 */

/**
 * `onopen(item)` is called for a chosen range, `reveal(range)` for one that gets the focus, and `zoom(range)` for several
 * ranges that share a button; `many(count)` is the name of that.
 *
 * @template Item
 */
export class Bands {
  /** @param {BandOptions<Item>} options */
  constructor({name, className, lanes = LANES, many, onopen, reveal, zoom}) {
    this.lanes = lanes;
    this.many = many;
    this.onopen = onopen;
    this.reveal = reveal;
    this.zoom = zoom;
    /** @type {LaneBand<Item>[]} */
    this.ranges = [];
    /** @type {number[]} the latest end of the ranges up to each one */
    this.reach = [];
    /** @type {Map<Key, HTMLButtonElement>} */
    this.buttons = new Map();
    /** @type {WeakMap<EventTarget, Placed<Item>>} by button */
    this.placed = new WeakMap();
    /** @type {Span | null} */
    this.view = null;
    /** @type {Key | null} of the range that has the tab stop */
    this.tabStop = null;
    this.node = h("div", {class: `bands ${className}`, role: "group", "aria-label": name});
    this.node.addEventListener("pointerdown", (event) => targetOf(event).closest("button") && event.stopPropagation());
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("wheel", (event) => {
      const scrolls = this.node.scrollHeight > this.node.clientHeight && Math.abs(event.deltaY) > Math.abs(event.deltaX);
      if (scrolls && !event.ctrlKey && !event.metaKey) event.stopPropagation(); // the timeline would move its view
    });
  }

  /**
   * Show these ranges instead of the ones before.
   *
   * @param {Band<Item>[]} ranges
   */
  set(ranges) {
    const sorted = [...ranges].sort((a, b) => a.start - b.start || a.end - b.end);
    const ends = Array.from({length: this.lanes}, () => -Infinity);
    this.ranges = sorted.map((range) => {
      const free = ends.findIndex((end) => end <= range.start + 1e-6);
      const lane = free < 0 ? ends.indexOf(Math.min(...ends)) : free;
      ends[lane] = Math.max(ends[lane], range.end);
      return {...range, lane};
    });
    this.node.style.setProperty("--lanes", String(Math.max(1, ...this.ranges.map(({lane}) => lane + 1))));
    let latest = -Infinity;
    this.reach = this.ranges.map(({end}) => {
      latest = Math.max(latest, end);
      return latest;
    });
    if (this.view) this.place(this.view);
  }

  /**
   * Return the ranges in the view, without reading those before and after it.
   *
   * @param {Span} view
   */
  within({start, end}) {
    const first = firstIndex(this.reach.length, (at) => this.reach[at] > start);
    const after = firstIndex(this.ranges.length, (at) => this.ranges[at].start >= end);
    return this.ranges.slice(first, after).filter((range) => range.end > start);
  }

  /**
   * Return what the buttons stand for: ranges, and groups of ranges of a lane. A range that has the focus stays alone.
   *
   * @param {Span} view
   * @returns {Placed<Item>[]}
   */
  groups(view) {
    const apart = ((view.end - view.start) * MIN_PIXELS) / (this.node.clientWidth || 1000);
    /** @type {{from: number, start: number, end: number, ranges: LaneBand<Item>[]}[]} */
    const last = [];
    /** @type {typeof last} */
    const found = [];
    const focused = this.focusedKey;
    for (const range of this.within(view)) {
      const before = last[range.lane];
      const alone = range.key === focused || before?.ranges[0].key === focused;
      if (before && !alone && Math.max(range.start, view.start) - before.from < apart) {
        before.ranges.push(range);
        before.end = Math.max(before.end, range.end);
      } else {
        last[range.lane] = {from: Math.max(range.start, view.start), start: range.start, end: range.end, ranges: [range]};
        found.push(last[range.lane]);
      }
    }
    return found.map(({start, end, ranges}) => {
      if (ranges.length === 1) return ranges[0];
      const [{kind, lane}] = ranges;
      const count = ranges.length;
      return {key: `${count} of ${lane} from ${start}`, start, end, text: String(count), label: this.many(count), kind: `${kind} several`, lane};
    });
  }

  get focusedKey() {
    const {activeElement} = document;
    return activeElement && this.node.contains(activeElement) ? this.placed.get(activeElement)?.key : undefined;
  }

  /**
   * Draw the ranges of the view. The others are reachable by keys, which bring them into view.
   *
   * @param {Span} view
   */
  place(view) {
    this.view = view;
    const shown = this.groups(view);
    const focused = this.focusedKey;
    const kept = this.ranges.find(({key}) => key === focused); // stays in the document outside the view
    if (kept && !shown.includes(kept)) shown.push(kept);
    const before = this.buttons;
    this.buttons = new Map(shown.map((range) => [range.key, this.draw(range, before.get(range.key) || this.makeButton(), view)]));
    if (this.tabStop === null || !this.buttons.has(this.tabStop)) this.tabStop = shown.length ? shown[0].key : null;
    setChildren(this.node, [...this.buttons.values()]);
    for (const [key, button] of this.buttons) button.tabIndex = key === this.tabStop ? 0 : -1;
  }

  /**
   * @param {Placed<Item>} range
   * @param {HTMLButtonElement} button
   * @param {Span} view
   */
  draw(range, button, view) {
    const span = view.end - view.start;
    const low = Math.max(range.start, view.start);
    const outside = range.end <= view.start || range.start >= view.end;
    this.placed.set(button, range);
    button.className = `band ${range.kind}`;
    button.title = range.label;
    button.setAttribute("aria-label", range.label);
    setText(button.children[0], range.text);
    Object.assign(button.style, {
      top: `${range.lane * LANE_PIXELS}px`,
      visibility: outside ? "hidden" : "",
      left: outside ? "0" : `${((low - view.start) / span) * 100}%`,
      width: outside ? "0" : `${((Math.min(range.end, view.end) - low) / span) * 100}%`,
    });
    return button;
  }

  makeButton() {
    return h(
      "button",
      {
        type: "button",
        onclick: ({currentTarget}) => this.open(currentTarget),
        onfocus: ({currentTarget}) => this.focused(currentTarget),
      },
      h("bdi", {class: "clip"}),
    );
  }

  /** @param {HTMLButtonElement} button */
  open(button) {
    const range = this.placed.get(button);
    if (range?.item !== undefined) this.onopen(range.item);
    else if (range) this.zoom(range);
  }

  /** @param {HTMLButtonElement} target */
  focused(target) {
    const range = this.placed.get(target);
    if (!range) return;
    for (const [key, button] of this.buttons) button.tabIndex = key === range.key ? 0 : -1;
    this.tabStop = range.key;
    this.reveal(range);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const range = this.placed.get(targetOf(event));
    if (!range) return;
    const at = this.ranges.findIndex(({key, start, lane}) => (range.item === undefined ? start === range.start && lane === range.lane : key === range.key));
    const next = byKey(event, {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: this.ranges.length - 1});
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.focus(this.ranges[Math.min(Math.max(0, next), this.ranges.length - 1)]);
  }

  /**
   * Give the focus to a range, which may be outside the view or share a button.
   *
   * @param {Placed<Item>} range
   */
  focus(range) {
    if (!this.view) return;
    let button = this.buttons.get(range.key);
    if (!button) {
      button = this.draw(range, this.makeButton(), this.view);
      this.buttons.set(range.key, button);
      this.node.append(button);
    }
    button.style.visibility = "";
    button.focus();
    this.place(this.view);
  }
}

/**
 * Return the first index of `count` for which the condition, false and then true, is true.
 *
 * @param {number} count
 * @param {(at: number) => boolean} condition
 */
function firstIndex(count, condition) {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (condition(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
