// Named ranges on the timeline as buttons: clips, segments and chapters. They share one tab stop; arrow keys move.
// Only those of the view are in the document, and ranges that are too close to be told apart share one button.

import {h, setChildren, setText} from "../lib/dom.js";

const LANES = 5; // for ranges that overlap; more than that cover each other. Two are shown, the others by scrolling
const LANE_PIXELS = 26;
const MIN_PIXELS = 24; // the least size of a target, between the starts of two ranges of a lane that have buttons of their own

// `onopen(item)` is called for a chosen range, `reveal(range)` for one that gets the focus, and `zoom(range)` for several
// ranges that share a button; `many(count)` is the name of that.
export class Bands {
  constructor({name, className, lanes = LANES, many, onopen, reveal, zoom}) {
    Object.assign(this, {lanes, many, onopen, reveal, zoom});
    this.ranges = [];
    this.reach = []; // the latest end of the ranges up to each one
    this.buttons = new Map(); // key -> button
    this.view = null;
    this.tabStop = null; // key of the range that has the tab stop
    this.node = h("div", {class: `bands ${className}`, role: "group", "aria-label": name});
    this.node.addEventListener("pointerdown", (event) => event.target.closest("button") && event.stopPropagation());
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("wheel", (event) => {
      const scrolls = this.node.scrollHeight > this.node.clientHeight && Math.abs(event.deltaY) > Math.abs(event.deltaX);
      if (scrolls && !event.ctrlKey && !event.metaKey) event.stopPropagation(); // the timeline would move its view
    });
  }

  // Each range is {key, start, end, text, label, kind, item}; `text` is shown, and `label` is its name for screen readers.
  set(ranges) {
    this.ranges = [...ranges].sort((a, b) => a.start - b.start || a.end - b.end);
    const ends = Array.from({length: this.lanes}, () => -Infinity);
    let latest = -Infinity;
    this.reach = this.ranges.map((range) => {
      const free = ends.findIndex((end) => end <= range.start + 1e-6);
      range.lane = free < 0 ? ends.indexOf(Math.min(...ends)) : free;
      ends[range.lane] = Math.max(ends[range.lane], range.end);
      latest = Math.max(latest, range.end);
      return latest;
    });
    if (this.view) this.place(this.view);
  }

  // Return the ranges in the view, without reading those before and after it.
  within({start, end}) {
    const first = firstIndex(this.reach.length, (at) => this.reach[at] > start);
    const after = firstIndex(this.ranges.length, (at) => this.ranges[at].start >= end);
    return this.ranges.slice(first, after).filter((range) => range.end > start);
  }

  // Return what the buttons stand for: ranges, and groups of ranges of a lane. A range that has the focus stays alone.
  groups(view) {
    const apart = ((view.end - view.start) * MIN_PIXELS) / (this.node.clientWidth || 1000);
    const last = Array(this.lanes).fill(null);
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
      const label = this.many(ranges.length);
      return {
        key: `${ranges.length} from ${ranges[0].key}`,
        start,
        end,
        text: String(ranges.length),
        label,
        kind: `${ranges[0].kind} several`,
        lane: ranges[0].lane,
        several: true,
      };
    });
  }

  get focusedKey() {
    const {activeElement} = document;
    return this.node.contains(activeElement) ? activeElement.range?.key : undefined;
  }

  // Draw the ranges of the view. The others are reachable by keys, which bring them into view.
  place(view) {
    this.view = view;
    const shown = this.groups(view);
    const focused = this.focusedKey;
    const kept = this.ranges.find(({key}) => key === focused); // stays in the document outside the view
    if (kept && !shown.includes(kept)) shown.push(kept);
    const before = this.buttons;
    this.buttons = new Map(shown.map((range) => [range.key, this.draw(range, before.get(range.key) || this.makeButton(), view)]));
    if (!this.buttons.has(this.tabStop)) this.tabStop = shown.length ? shown[0].key : null;
    setChildren(this.node, [...this.buttons.values()]);
    for (const [key, button] of this.buttons) button.tabIndex = key === this.tabStop ? 0 : -1;
  }

  draw(range, button, view) {
    const span = view.end - view.start;
    const low = Math.max(range.start, view.start);
    const outside = range.end <= view.start || range.start >= view.end;
    button.range = range;
    button.className = `band ${range.kind}`;
    button.title = range.label;
    button.setAttribute("aria-label", range.label);
    setText(button.firstChild, range.text);
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
        onclick: ({currentTarget: {range}}) => (range.several ? this.zoom(range) : this.onopen(range.item)),
        onfocus: ({currentTarget: {range}}) => this.focused(range),
      },
      h("bdi", {class: "clip"}),
    );
  }

  focused(range) {
    for (const [key, button] of this.buttons) button.tabIndex = key === range.key ? 0 : -1;
    this.tabStop = range.key;
    this.reveal(range);
  }

  key(event) {
    const {range} = event.target;
    if (!range) return;
    const at = this.ranges.findIndex(({key, start, lane}) => (range.several ? start === range.start && lane === range.lane : key === range.key));
    const next = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: this.ranges.length - 1}[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.focus(this.ranges[Math.min(Math.max(0, next), this.ranges.length - 1)]);
  }

  // Give the focus to a range, which may be outside the view or share a button.
  focus(range) {
    if (!this.buttons.has(range.key)) {
      const button = this.draw(range, this.makeButton(), this.view);
      this.buttons.set(range.key, button);
      this.node.append(button);
    }
    const button = this.buttons.get(range.key);
    button.style.visibility = "";
    button.focus();
    this.place(this.view);
  }
}

// Return the first index of `count` for which the condition, false and then true, is true.
function firstIndex(count, condition) {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (condition(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
