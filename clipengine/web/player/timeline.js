// The timeline: ruler, filmstrip, waveform, clips, the selection with its handles, and the playhead.
// A click seeks, a drag selects, the ruler scrubs, and Ctrl with the wheel zooms at the pointer.

import {debounce, h} from "../lib/dom.js";
import {formatTime} from "../lib/format.js";
import {drawFilm, drawWave, prepare} from "./drawing.js";
import {handle} from "./handles.js";
import {strips} from "./previews.js";
import {lane} from "./track.js";

const DRAG_PIXELS = 4;
const TICK_STEPS = [0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const TICK_PIXELS = 84;
const MIN_FRAMES = 12; // minimum length of the view

export class Timeline {
  constructor(recording, selection, player, signal) {
    Object.assign(this, {selection, player});
    this.duration = recording.duration_seconds;
    this.view = {start: 0, end: this.duration};
    this.ruler = h("canvas", {class: "ruler", "aria-hidden": "true"});
    this.strips = strips(recording, signal, () => this.draw());
    this.film = h("canvas", {class: "film", "aria-hidden": "true"});
    this.wave = h("canvas", {class: "wave", "aria-hidden": "true"});
    this.lanes = {film: lane("filmstrip", this.film, this.strips.film), wave: lane("waveform", this.wave, this.strips.wave)};
    this.clipBars = h("div", {class: "bands", "aria-hidden": "true"});
    this.range = h("div", {class: "chosen", hidden: true});
    this.shades = [h("div", {class: "shade"}), h("div", {class: "shade"})];
    this.playhead = h("div", {class: "playhead", "aria-hidden": "true"});
    this.handles = ["start", "end"].map((kind) => handle(kind, selection, this, (time) => {
      this.reveal(time);
      player.pause();
      player.seek(time); // for the out point this is the first frame after the clip
    }));
    this.tracks = h("div", {class: "tracks"}, this.lanes.film.node, this.lanes.wave.node, this.clipBars, this.shades, this.range, this.handles.map((end) => end.node), this.playhead);
    this.thumb = h("div", {class: "thumb"});
    this.overview = h("div", {class: "overview", "aria-hidden": "true"}, this.thumb);
    this.node = h("div", {class: "timeline", role: "group", "aria-label": "Timeline", "aria-busy": "true"}, this.ruler, this.tracks, this.overview);
    this.requested = false;
    this.loadPreviews = debounce(200, () => {
      this.requested = true;
      this.strips.load(this.view.start, this.view.end, this.tracks.clientWidth);
      this.drawStrips();
    });
    this.bindEvents(signal);
  }

  bindEvents(signal) {
    new ResizeObserver((entries, observer) => {
      if (signal.aborted) observer.disconnect();
      else this.draw();
    }).observe(this.node);
    this.selection.addEventListener("change", () => this.place(), {signal});
    this.player.addEventListener("time", () => this.follow(), {signal});
    addEventListener("theme", () => requestAnimationFrame(() => this.draw()), {signal});
    this.ruler.addEventListener("pointerdown", (event) => this.scrub(event));
    this.tracks.addEventListener("pointerdown", (event) => this.select(event));
    this.range.addEventListener("pointerdown", (event) => this.moveSelection(event));
    this.overview.addEventListener("pointerdown", (event) => this.pan(event));
    this.node.addEventListener("wheel", (event) => {
      if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(event.deltaY * 0.004), this.timeAt(event.clientX));
      else if (this.zoomed) this.show(this.view.start + ((event.deltaX || event.deltaY) / this.tracks.clientWidth) * this.span);
      else return;
      event.preventDefault();
    }, {passive: false});
  }

  get span() {
    return this.view.end - this.view.start;
  }

  get zoomed() {
    return this.span < this.duration - 1e-6;
  }

  timeAt(clientX) {
    const {left, width} = this.tracks.getBoundingClientRect();
    return Math.min(Math.max(0, this.view.start + ((clientX - left) / width) * this.span), this.duration);
  }

  // ---- view

  show(start, span = this.span) {
    const shortest = Math.min(this.duration, this.selection.frame * MIN_FRAMES);
    const wide = Math.min(this.duration, Math.max(shortest, span));
    const from = Math.min(Math.max(0, start), this.duration - wide);
    this.view = {start: from, end: from + wide};
    this.draw();
  }

  zoom(factor, around = this.player.time) {
    const anchor = around >= this.view.start && around <= this.view.end ? around : (this.view.start + this.view.end) / 2;
    const part = (anchor - this.view.start) / this.span;
    const span = Math.min(this.duration, this.span * factor);
    this.show(anchor - part * span, span);
  }

  fit() {
    this.show(0, this.duration);
  }

  showSelection() {
    if (!this.selection.empty) this.show(this.selection.start - this.selection.length * 0.25, this.selection.length * 1.5);
  }

  reveal(time) {
    if (time < this.view.start || time > this.view.end) this.show(time - this.span / 2);
  }

  follow() {
    const {time, playing} = this.player;
    if (playing && this.zoomed && (time > this.view.end || time < this.view.start)) this.show(time - this.span * 0.05);
    this.placePlayhead();
  }

  // ---- pointer

  drag(event, move, done = () => {}) {
    if (event.button) return;
    event.preventDefault();
    const target = event.currentTarget;
    target.setPointerCapture(event.pointerId);
    target.addEventListener("pointermove", move);
    target.addEventListener("lostpointercapture", () => {
      target.removeEventListener("pointermove", move);
      done();
    }, {once: true});
  }

  scrub(event) {
    const seek = (moved) => this.player.seek(this.timeAt(moved.clientX));
    this.player.pause();
    this.drag(event, seek);
    seek(event);
  }

  select(event) {
    const from = this.timeAt(event.clientX);
    let dragged = false;
    this.drag(event, (moved) => {
      dragged = dragged || Math.abs(moved.clientX - event.clientX) >= DRAG_PIXELS;
      if (!dragged) return;
      this.player.pause();
      this.selection.set(from, this.timeAt(moved.clientX));
      this.player.seek(this.selection.start);
    }, () => {
      if (!dragged) this.player.seek(from);
    });
  }

  moveSelection(event) {
    event.stopPropagation();
    let last = this.timeAt(event.clientX);
    let dragged = false;
    this.drag(event, (moved) => {
      dragged = dragged || Math.abs(moved.clientX - event.clientX) >= DRAG_PIXELS;
      const now = this.timeAt(moved.clientX);
      const by = this.selection.snap(Math.abs(now - last)) * Math.sign(now - last);
      if (!dragged || !by) return;
      last += by;
      this.selection.move(by);
    }, () => {
      if (!dragged) this.player.seek(last);
    });
  }

  pan(event) {
    const {left, width} = this.overview.getBoundingClientRect();
    const to = (moved) => this.show(((moved.clientX - left) / width) * this.duration - this.span / 2);
    this.drag(event, to);
    to(event);
  }

  // ---- drawing

  setClips(clips) {
    this.clipBars.replaceChildren(...clips.filter((clip) => clip.status !== "failed").map((clip) => {
      const band = h("div", {class: `band ${clip.status}`, title: clip.label});
      band.clip = clip;
      return band;
    }));
    this.place();
  }

  percent(time) {
    return `${((time - this.view.start) / this.span) * 100}%`;
  }

  setRange(node, start, end) {
    const low = Math.max(start, this.view.start);
    const high = Math.min(end, this.view.end);
    node.hidden = high <= low;
    node.style.left = this.percent(low);
    node.style.width = `${((high - low) / this.span) * 100}%`;
  }

  place() {
    const {selection, view} = this;
    this.range.hidden = selection.empty;
    for (const end of this.handles) end.node.hidden = selection.empty;
    for (const shade of this.shades) shade.hidden = selection.empty;
    if (!selection.empty) {
      this.setRange(this.range, selection.start, selection.end);
      this.setRange(this.shades[0], view.start, selection.start);
      this.setRange(this.shades[1], selection.end, view.end);
      this.handles.forEach((end, at) => {
        const time = at ? selection.end : selection.start;
        end.node.hidden = time < view.start - 1e-6 || time > view.end + 1e-6;
        end.node.style.left = this.percent(time);
        end.show();
      });
    }
    for (const band of this.clipBars.children) this.setRange(band, band.clip.start_seconds, band.clip.end_seconds);
    this.placePlayhead();
  }

  placePlayhead() {
    const {time} = this.player;
    this.playhead.hidden = time < this.view.start || time > this.view.end;
    this.playhead.style.left = this.percent(time);
  }

  draw() {
    if (!this.tracks.clientWidth) return;
    this.drawRuler();
    this.drawStrips();
    this.thumb.style.left = `${(this.view.start / this.duration) * 100}%`;
    this.thumb.style.width = `${(this.span / this.duration) * 100}%`;
    this.overview.classList.toggle("whole", !this.zoomed);
    this.place();
    this.loadPreviews();
  }

  drawStrips() {
    const {film, wave} = this.strips;
    if (film) drawFilm(this.film, film.pieces, this.view);
    if (wave) drawWave(this.wave, wave.pieces, this.view);
    if (film) this.lanes.film.show(this.view);
    if (wave) this.lanes.wave.show(this.view);
    this.node.setAttribute("aria-busy", String(!this.requested || [film, wave].some((strip) => strip && strip.busy)));
  }

  drawRuler() {
    const context = prepare(this.ruler);
    const {width, height} = this.ruler.getBoundingClientRect();
    const style = getComputedStyle(this.ruler);
    const step = TICK_STEPS.find((each) => (each / this.span) * width >= TICK_PIXELS) || 7200;
    const digits = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
    context.font = `11px ${style.fontFamily}`;
    context.fillStyle = style.color;
    context.textBaseline = "top";
    for (let number = Math.floor(this.view.start / step); number * step <= this.view.end; number += 1) {
      for (let part = 0; part < 5; part += 1) {
        const x = Math.round(((number + part / 5) * step - this.view.start) / this.span * width);
        context.globalAlpha = part ? 0.35 : 0.8;
        context.fillRect(x, height - (part ? 4 : 8), 1, part ? 4 : 8);
      }
      context.globalAlpha = 1;
      const left = ((number * step - this.view.start) / this.span) * width + 4;
      const text = formatTime(number * step, digits);
      if (left + context.measureText(text).width <= width) context.fillText(text, left, 2);
    }
  }
}
