// The whole recording in the transport: waveform, marks of clips, and a window for the visible part.

import {byKey, h} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {DRAG_PIXELS, startDrag} from "./drag.js";
import {drawWave, prepare} from "./drawing.js";

const KEY_STEP = 0.25; // of the window
const MARKS = {gap: "--line-strong", clip: "--accent", segment: "--cut-line", selection: "--cut"}; // colours by kind
const MARK_PIXELS = 4; // the least width of a clip

/** @import {Extent} from "../../store/session.js" */
/** @import {Strips} from "./previews.js" */
/** @import {Span} from "../segments/selection.js" */
/** @import {ShownTimes} from "./shown_times.js" */

export class Overview {
  /**
   * `onview(start, span)` shows a part of the recording, `onseek(time)` goes to a time.
   *
   * @param {Extent} extent
   * @param {{times: ShownTimes, onview: (start: number, span: number) => void, onseek: (time: number) => void}} options
   */
  constructor(extent, {times, onview, onseek}) {
    this.extent = extent;
    this.times = times;
    this.onview = onview;
    this.onseek = onseek;
    /** @type {Span} */
    this.view = {start: 0, end: this.duration};
    this.longest = this.duration; // of the visible part
    this.wave = h("canvas", {class: "wave"});
    this.marks = h("canvas", {class: "marks"});
    this.edges = ["start", "end"].map((side) => h("div", {class: `edge ${side}`, title: t("Drag to change the visible part")}));
    this.window = h(
      "div",
      {
        class: "window",
        role: "slider",
        tabindex: "0",
        "aria-label": t("Visible part"),
        "aria-orientation": "horizontal",
        "aria-valuemin": "0",
      },
      this.edges,
    );
    this.playhead = h("div", {class: "playhead"});
    this.node = h("div", {class: "overview"}, this.wave, this.marks, this.window, this.playhead);
    this.node.addEventListener("pointerdown", (event) => this.pan(event));
    for (const [at, edge] of this.edges.entries()) edge.addEventListener("pointerdown", (event) => this.resize(event, at));
    this.window.addEventListener("keydown", (event) => this.key(event));
  }

  get duration() {
    return this.extent.duration;
  }

  get span() {
    return this.view.end - this.view.start;
  }

  /** @param {number} clientX */
  timeAt(clientX) {
    const {left, width} = this.node.getBoundingClientRect();
    return Math.min(Math.max(0, (clientX - left) / width), 1) * this.duration;
  }

  /**
   * Drag the window, or move it to the pointer. A click also goes to the time.
   *
   * @param {PointerEvent} event
   */
  pan(event) {
    const at = this.timeAt(event.clientX);
    const grip = event.target instanceof Node && this.window.contains(event.target) ? at - this.view.start : this.span / 2;
    let dragged = false;
    startDrag(
      event,
      (moved) => {
        dragged = dragged || Math.abs(moved.clientX - event.clientX) >= DRAG_PIXELS;
        if (dragged) this.onview(this.timeAt(moved.clientX) - grip, this.span);
      },
      () => {
        if (dragged) return;
        if (at < this.view.start || at > this.view.end) this.onview(at - this.span / 2, this.span);
        this.onseek(at);
      },
    );
  }

  /**
   * @param {PointerEvent} event
   * @param {number} at 0 for the start, 1 for the end
   */
  resize(event, at) {
    event.stopPropagation();
    const {start: first, end: last} = this.view;
    const fixed = at ? first : last;
    const grip = this.timeAt(event.clientX) - (at ? last : first);
    startDrag(event, (moved) => {
      const time = Math.min(Math.max(0, fixed - this.longest, this.timeAt(moved.clientX) - grip), this.duration, fixed + this.longest);
      const start = Math.min(time, fixed);
      this.onview(start, Math.max(time, fixed) - start);
    });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const {start} = this.view;
    const step = this.span * (event.shiftKey ? 1 : KEY_STEP);
    const target = byKey(event, {
      ArrowLeft: start - step,
      ArrowRight: start + step,
      ArrowDown: start - step,
      ArrowUp: start + step,
      PageDown: start - this.span,
      PageUp: start + this.span,
      Home: 0,
      End: this.duration,
    });
    if (target === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.onview(target, this.span);
  }

  /**
   * @param {Span} view
   * @param {Strips} strips
   */
  show(view, {wave}) {
    this.view = view;
    const whole = {start: 0, end: this.duration};
    if (wave) drawWave(this.wave, wave.overview, whole);
    this.wave.hidden = !wave;
    this.window.classList.toggle("whole", this.span > this.duration - 1e-6);
    this.window.style.setProperty("--from", this.percent(view.start));
    this.window.style.setProperty("--long", this.percent(this.span));
    this.window.setAttribute("aria-valuemax", this.duration.toFixed(3));
    this.window.setAttribute("aria-valuenow", view.start.toFixed(3));
    this.window.setAttribute("aria-valuetext", t("{start} to {end}", {start: this.times.format(view.start, 0), end: this.times.format(view.end, 0)}));
  }

  /**
   * Draw the ranges of gaps, clips, segments and the selection.
   *
   * @param {Record<keyof typeof MARKS, Span[]>} ranges
   */
  mark(ranges) {
    const {context, width, height, style} = prepare(this.marks);
    for (const kind of /** @type {(keyof typeof MARKS)[]} */ (Object.keys(MARKS))) {
      context.fillStyle = style.getPropertyValue(MARKS[kind]);
      for (const {start, end} of ranges[kind]) {
        if (start >= this.duration) continue; // not recorded yet
        const left = (start / this.duration) * width;
        const wide = Math.max(MARK_PIXELS, ((end - start) / this.duration) * width);
        context.fillRect(Math.min(left, width - wide), 0, wide, height);
      }
    }
  }

  /** @param {number} time */
  setTime(time) {
    this.playhead.style.left = this.percent(time);
  }

  /** @param {number} time */
  percent(time) {
    return `${(time / this.duration) * 100}%`;
  }
}
