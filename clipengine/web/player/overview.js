// The lane of the whole recording above the timeline: filmstrip, waveform, clips, and a window for the visible part.

import {h} from "../lib/dom.js";
import {formatTime} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {DRAG_PIXELS, startDrag} from "./drag.js";
import {drawFilm, drawWave, prepare} from "./drawing.js";

const KEY_STEP = 0.25; // of the window
const MARK_PIXELS = 3; // the least width of a clip

export class Overview {
  // `onview(start, span)` shows a part of the recording, `onseek(time)` goes to a time.
  constructor(duration, {onview, onseek}) {
    Object.assign(this, {duration, onview, onseek, view: {start: 0, end: duration}});
    this.longest = duration; // of the visible part
    this.film = h("canvas", {class: "film"});
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
        "aria-valuemax": duration.toFixed(3),
      },
      this.edges,
    );
    this.playhead = h("div", {class: "playhead"});
    this.node = h("div", {class: "overview"}, this.film, this.wave, this.marks, this.window, this.playhead);
    this.node.addEventListener("pointerdown", (event) => this.pan(event));
    this.edges.forEach((edge, at) => edge.addEventListener("pointerdown", (event) => this.resize(event, at)));
    this.window.addEventListener("keydown", (event) => this.key(event));
  }

  get span() {
    return this.view.end - this.view.start;
  }

  timeAt(clientX) {
    const {left, width} = this.node.getBoundingClientRect();
    return Math.min(Math.max(0, (clientX - left) / width), 1) * this.duration;
  }

  // Drag the window, or move it to the pointer. A click also goes to the time.
  pan(event) {
    const at = this.timeAt(event.clientX);
    const grip = this.window.contains(event.target) ? at - this.view.start : this.span / 2;
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

  key(event) {
    const {start} = this.view;
    const step = this.span * (event.shiftKey ? 1 : KEY_STEP);
    const target = {
      ArrowLeft: start - step,
      ArrowRight: start + step,
      ArrowDown: start - step,
      ArrowUp: start + step,
      PageDown: start - this.span,
      PageUp: start + this.span,
      Home: 0,
      End: this.duration,
    }[event.key];
    if (target === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.onview(target, this.span);
  }

  show(view, {film, wave}) {
    this.view = view;
    const whole = {start: 0, end: this.duration};
    if (film) drawFilm(this.film, film.overview, whole);
    if (wave) drawWave(this.wave, wave.overview, whole);
    this.film.hidden = !film;
    this.wave.hidden = !wave;
    this.window.style.setProperty("--from", this.percent(view.start));
    this.window.style.setProperty("--long", this.percent(this.span));
    this.window.setAttribute("aria-valuenow", view.start.toFixed(3));
    this.window.setAttribute("aria-valuetext", t("{start} to {end}", {start: formatTime(view.start, 0), end: formatTime(view.end, 0)}));
  }

  // Draw the ranges of clips, segments and the selection, each {start, end, kind}.
  mark(ranges) {
    const context = prepare(this.marks);
    const {width, height} = this.marks.getBoundingClientRect();
    const style = getComputedStyle(this.marks);
    const colours = {clip: style.getPropertyValue("--good"), segment: style.getPropertyValue("--text"), selection: style.getPropertyValue("--accent")};
    for (const {start, end, kind} of ranges) {
      const left = (start / this.duration) * width;
      const wide = Math.max(MARK_PIXELS, ((end - start) / this.duration) * width);
      context.fillStyle = colours[kind];
      context.fillRect(Math.min(left, width - wide), kind === "selection" ? 0 : 2, wide, kind === "selection" ? height : height - 4);
    }
  }

  setTime(time) {
    this.playhead.style.left = this.percent(time);
  }

  percent(time) {
    return `${(time / this.duration) * 100}%`;
  }
}
