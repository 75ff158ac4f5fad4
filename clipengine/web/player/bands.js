// Named ranges on the timeline as buttons: clips, segments and chapters. They share one tab stop; arrow keys move.

import {h, setChildren, setText} from "../lib/dom.js";

const LANES = 5; // for ranges that overlap; more than that cover each other. Two are shown, the others by scrolling
const LANE_PIXELS = 22;

// `onopen(item)` is called for a chosen range.
export class Bands {
  constructor({name, className, lanes = LANES, onopen, reveal}) {
    Object.assign(this, {lanes, onopen, reveal});
    this.ranges = [];
    this.buttons = new Map(); // key -> button
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
    const kept = new Set();
    for (const range of this.ranges) {
      const free = ends.findIndex((end) => end <= range.start + 1e-6);
      range.lane = free < 0 ? ends.indexOf(Math.min(...ends)) : free;
      ends[range.lane] = Math.max(ends[range.lane], range.end);
      kept.add(range.key);
      const button = this.buttons.get(range.key) || this.makeButton(range.key);
      range.button = button;
      button.range = range;
      button.className = `band ${range.kind}`;
      button.style.top = `${range.lane * LANE_PIXELS}px`;
      button.title = range.label;
      button.setAttribute("aria-label", range.label);
      setText(button.firstChild, range.text);
    }
    for (const key of [...this.buttons.keys()]) if (!kept.has(key)) this.buttons.delete(key);
    setChildren(this.node, this.ranges.map(({button}) => button));
    if (this.ranges.length && !this.node.querySelector("[tabindex='0']")) this.ranges[0].button.tabIndex = 0;
  }

  makeButton(key) {
    const button = h("button", {type: "button", tabindex: "-1", onclick: () => this.onopen(button.range.item), onfocus: () => this.focused(button)}, h("bdi", {class: "clip"}));
    this.buttons.set(key, button);
    return button;
  }

  focused(button) {
    for (const other of this.node.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    button.tabIndex = 0;
    this.reveal(button.range);
  }

  key(event) {
    const at = this.ranges.findIndex(({button}) => button === event.target);
    const next = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: this.ranges.length - 1}[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const target = this.ranges[Math.min(Math.max(0, next), this.ranges.length - 1)];
    target.button.style.visibility = "";
    target.button.focus();
  }

  // Place the ranges in the view. Those outside stay reachable by keys, which brings them into view.
  place(view) {
    const span = view.end - view.start;
    for (const {start, end, button} of this.ranges) {
      const outside = end <= view.start || start >= view.end;
      const low = Math.max(start, view.start);
      button.style.visibility = outside ? "hidden" : "";
      if (outside && button.tabIndex === 0 && document.activeElement !== button) {
        button.tabIndex = -1;
      }
      button.style.left = outside ? "0" : `${((low - view.start) / span) * 100}%`;
      button.style.width = outside ? "0" : `${((Math.min(end, view.end) - low) / span) * 100}%`;
    }
    if (this.node.querySelector("[tabindex='0']")) return;
    const first = this.ranges.find(({button}) => button.style.visibility === "") || this.ranges[0];
    if (first) first.button.tabIndex = 0;
  }
}
