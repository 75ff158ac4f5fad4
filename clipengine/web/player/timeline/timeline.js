// The timeline: a part of the recording with ruler, filmstrip, waveform, cues, clips, the selection with its handles, and
// the playhead. The part is never so long that a short range has no width. Ctrl with the wheel zooms at the pointer. The
// lane of the whole recording stands in the transport.

import {debounce, h} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {clipBands, segmentBand} from "./band_texts.js";
import {drawFilm, drawRuler, drawWave} from "./drawing.js";
import {handle} from "./handles.js";
import {hoverPreview} from "./hover.js";
import {chapterLane, CueLane, clipLane, GapLane} from "./lanes.js";
import {Overview} from "./overview.js";
import {strips} from "./previews.js";
import {bindSelecting} from "./selecting.js";
import {lane} from "./track.js";
import {wordsOf} from "./words.js";

/** @import {Band} from "./bands.js" */
/** @import {Shown} from "./band_texts.js" */
/** @import {Player} from "../media/player.js" */
/** @import {Segment} from "../../store/doc.js" */
/** @import {Extent} from "../../store/session.js" */
/** @import {Selection, Span} from "../segments/selection.js" */
/** @import {ShownTimes} from "./shown_times.js" */

/**
 * @typedef {object} TimelineOptions
 * @property {Extent} extent
 * @property {Selection} selection
 * @property {Player} player
 * @property {ShownTimes} times
 * @property {boolean} hasCues allows the lane of the cues
 * @property {(item: Shown) => void} onopen is called for a chosen clip or segment
 * @property {AbortSignal} signal
 */

const MIN_FRAMES = 12; // minimum length of the view
const [GRIP_PIXELS, AROUND] = [34, 4]; // of a handle, and lengths of a narrow selection in the view that shows its words
const SECONDS_PER_PIXEL = 0.25; // at most: a range of ten seconds is 40 pixels wide

export class Timeline {
  /** @param {TimelineOptions} options */
  constructor({extent, extent: {recording}, selection, player, times, hasCues, onopen, signal}) {
    this.extent = extent;
    this.selection = selection;
    this.player = player;
    this.times = times;
    /** @type {Band<Shown>[]} */
    this.clips = [];
    /** @type {Band<Shown>[]} */
    this.segments = [];
    this.view = /** @type {Span} */ ({start: 0, end: this.duration});
    this.ruler = h("canvas", {class: "ruler", "aria-hidden": "true"});
    this.strips = strips(extent, signal, () => this.draw());
    this.film = h("canvas", {class: "film", "aria-hidden": "true"});
    this.wave = h("canvas", {class: "wave", "aria-hidden": "true"});
    this.lanes = {
      film: lane({loading: t("Loading filmstrip…"), failed: t("The filmstrip could not be loaded:")}, this.film, this.strips.film),
      wave: lane({loading: t("Loading waveform…"), failed: t("The waveform could not be loaded:")}, this.wave, this.strips.wave),
    };
    this.cueLane = new CueLane(hasCues);
    /** @type {import("./lanes.js").Moves} */
    const moves = {
      reveal: ({start, end}) => this.revealRange(start, end),
      zoom: ({start, end}) => this.show(start - (end - start) * 0.1, (end - start) * 1.2),
    };
    this.bands = clipLane(moves, onopen);
    this.chapters = chapterLane(moves, recording.media.chapters || [], player);
    this.gapLane = new GapLane(recording, times);
    /** @type {{place: (view: Span) => void}[]} lanes that are placed with the selection */
    this.below = [this.bands, this.chapters];
    this.range = h("div", {class: "chosen", hidden: true});
    this.shades = [h("div", {class: "shade"}), h("div", {class: "shade"})];
    this.playhead = h("div", {class: "playhead", "aria-hidden": "true"});
    /** @param {number} time */
    const onmove = (time) => {
      this.reveal(time);
      player.pause();
      player.seek(time); // for the out point this is the first frame after the clip
    };
    this.handles = /** @type {const} */ (["start", "end"]).map((kind) => handle({kind, meaning: wordsOf(recording)[kind], selection, timeline: this, onmove}));
    this.tracks = h(
      "div",
      {class: "tracks"},
      this.lanes.film.node,
      this.lanes.wave.node,
      this.cueLane.node,
      this.gapLane.node,
      this.shades,
      this.range,
      this.handles.map((end) => end.node),
      this.playhead,
    );
    this.overview = new Overview(extent, {
      times,
      onview: (start, span) => this.show(start, span),
      onseek: (time) => player.seek(time),
    });
    this.node = h(
      "div",
      {class: "timeline", role: "group", "aria-label": t("Timeline"), "aria-busy": "true"},
      this.chapters.node,
      this.ruler,
      this.tracks,
      this.bands.node,
    );
    this.node.append(
      hoverPreview({
        recording,
        times,
        signal,
        strips: this.strips,
        container: this.node,
        areas: [
          [this.tracks, (x) => this.timeAt(x)],
          [this.ruler, (x) => this.timeAt(x)],
          [this.overview.node, (x) => this.overview.timeAt(x)],
        ],
      }),
    );
    this.requested = false;
    this.loadPreviews = debounce(200, () => {
      this.requested = true;
      this.strips.load(this.view.start, this.view.end, this.tracks.clientWidth);
      this.drawStrips();
    });
    this.bindEvents(signal);
  }

  /** @param {AbortSignal} signal */
  bindEvents(signal) {
    new ResizeObserver((_, observer) => {
      if (signal.aborted) observer.disconnect();
      else this.draw();
    }).observe(this.node);
    this.selection.addEventListener("change", () => this.place(), {signal});
    this.player.addEventListener("time", () => this.follow(), {signal});
    this.extent.onupdate((before) => this.showGrown(before), signal);
    this.times.addEventListener("change", () => this.draw(), {signal});
    addEventListener("theme", () => requestAnimationFrame(() => this.draw()), {signal});
    bindSelecting({timeline: this, selection: this.selection, player: this.player});
  }

  get duration() {
    return this.extent.duration;
  }

  /**
   * Show the end and the gaps of a recording that has grown, or that has ended. A view of all of it, or of its end, stays one.
   *
   * @param {number} before its duration
   */
  showGrown(before) {
    const atEnd = this.view.end >= before - 1e-6;
    const whole = atEnd && this.span >= before - 1e-6;
    this.gapLane.set(this.extent.recording);
    if (whole) this.show(this.duration - this.longest, this.longest);
    else if (atEnd) this.showEnd();
    else this.draw();
  }

  showEnd() {
    this.show(this.duration - this.span);
  }

  get span() {
    return this.view.end - this.view.start;
  }

  get zoomed() {
    return this.span < this.duration - 1e-6;
  }

  // The length of the longest view.
  get longest() {
    return Math.min(this.duration, this.tracks.clientWidth * SECONDS_PER_PIXEL);
  }

  /**
   * Return true if a time is in the view, or nearer to its edge than a pixel.
   *
   * @param {number} time
   */
  sees(time) {
    const pixel = this.span / Math.max(1, this.tracks.clientWidth);
    return time >= this.view.start - pixel && time <= this.view.end + pixel;
  }

  /**
   * Return the time at a point of the page, within the view.
   *
   * @param {number} clientX
   */
  timeAt(clientX) {
    const {left, width} = this.tracks.getBoundingClientRect();
    return Math.min(Math.max(this.view.start, this.view.start + ((clientX - left) / width) * this.span), this.view.end);
  }

  /**
   * Return the place of a time on the page.
   *
   * @param {number} time
   */
  placeOf(time) {
    const {left, width} = this.tracks.getBoundingClientRect();
    return left + ((time - this.view.start) / this.span) * width;
  }

  /**
   * @param {number} start
   * @param {number} [span]
   */
  show(start, span = this.span) {
    const shortest = Math.min(this.longest, this.selection.frame * MIN_FRAMES);
    const wide = Math.min(this.longest, Math.max(shortest, span));
    const from = Math.min(Math.max(0, start), this.duration - wide);
    this.view = {start: from, end: from + wide};
    this.draw();
  }

  /**
   * @param {number} factor
   * @param {number} [around]
   */
  zoom(factor, around = this.player.time) {
    const anchor = around >= this.view.start && around <= this.view.end ? around : (this.view.start + this.view.end) / 2;
    const part = (anchor - this.view.start) / this.span;
    const span = Math.min(this.longest, this.span * factor);
    this.show(anchor - part * span, span);
  }

  /**
   * Scroll by a part of the view's length. Returns false if the view did not move.
   *
   * @param {number} part
   */
  scroll(part) {
    const {start} = this.view;
    if (part) this.show(start + this.span * part);
    return this.view.start !== start;
  }

  // Show all. Of a long recording: the selection, or as much as can be shown around the playhead.
  fit() {
    if (this.longest < this.duration && !this.selection.empty) this.showSelection();
    else this.showAround(this.player.time, this.longest);
  }

  // Show the selection with some room on both sides; of a long one, the end that is nearer to the playhead.
  showSelection() {
    const {range, length, frame} = this.selection;
    if (!range) return;
    const {start, end} = range;
    const {time} = this.player;
    if (length <= this.longest) this.showAround((start + end) / 2, Math.max(length * 1.5, frame * MIN_FRAMES));
    else this.showAround(Math.abs(time - start) <= Math.abs(time - end) ? start : end, this.longest);
  }

  // Show all of the selection, and keep the zoom if it fits. One that is narrower than its handles is zoomed to.
  revealSelection() {
    const {range, length} = this.selection;
    if (!range) return;
    const {start, end} = range;
    const narrow = (length / this.span) * this.tracks.clientWidth < 2 * GRIP_PIXELS;
    if (narrow) this.showAround((start + end) / 2, length * AROUND);
    else if (this.sees(start) && this.sees(end)) return;
    else if (length < this.span) this.showAround((start + end) / 2, this.span);
    else this.showSelection();
  }

  /**
   * @param {number} time
   * @param {number} span
   */
  showAround(time, span) {
    this.show(time - Math.min(span, this.longest) / 2, span);
  }

  /**
   * Show a range, and keep the zoom if it fits.
   *
   * @param {number} start
   * @param {number} end
   */
  revealRange(start, end) {
    if (end > this.view.start && start < this.view.end) return;
    this.show(start - Math.max(0, this.span - (end - start)) / 2);
  }

  /** @param {number} time */
  reveal(time) {
    if (!this.sees(time)) this.show(time - this.span / 2);
  }

  follow() {
    const {time, playing} = this.player;
    if (playing && this.zoomed && (time > this.view.end || time < this.view.start)) this.show(time - this.span * 0.05);
    this.placePlayhead();
  }

  // ---- drawing

  /** @param {Clip[]} clips */
  setClips(clips) {
    this.clips = clips.filter((clip) => clip.status !== "failed").flatMap(clipBands);
    this.setBands();
  }

  /** @param {readonly Segment[]} items */
  setSegments(items) {
    this.segments = items.map(segmentBand);
    this.setBands();
  }

  /** @param {Cue[]} cues */
  setCues(cues) {
    this.cueLane.set(cues);
    this.draw();
  }

  setBands() {
    const all = [...this.clips, ...this.segments];
    this.bands.node.hidden = !all.length;
    this.bands.set(all);
    this.place();
  }

  /** @param {number} time */
  percent(time) {
    return `${((time - this.view.start) / this.span) * 100}%`;
  }

  /**
   * @param {HTMLElement} node
   * @param {number} start
   * @param {number} end
   */
  setRange(node, start, end) {
    const low = Math.max(start, this.view.start);
    const high = Math.min(end, this.view.end);
    node.hidden = high <= low;
    node.style.left = this.percent(low);
    node.style.width = `${((high - low) / this.span) * 100}%`;
  }

  place() {
    const {selection, view} = this;
    for (const node of [this.range, ...this.shades, ...this.handles.map((end) => end.node)]) node.hidden = selection.empty;
    if (selection.range) {
      const {start, end} = selection.range;
      this.setRange(this.range, start, end);
      this.setRange(this.shades[0], view.start, start);
      this.setRange(this.shades[1], end, view.end);
      this.handles.forEach((handle, at) => {
        const time = at ? end : start;
        handle.node.hidden = !this.sees(time);
        handle.node.style.left = this.percent(time);
        handle.show(time);
      });
    }
    this.drawWave();
    for (const lane of this.below) lane.place(view);
    this.overview.mark({gap: this.gapLane.gaps, clip: this.clips, segment: this.segments, selection: selection.range ? [selection.range] : []});
    this.placePlayhead();
  }

  placePlayhead() {
    const {time} = this.player;
    this.playhead.hidden = time < this.view.start || time > this.view.end;
    this.playhead.style.left = this.percent(time);
    this.overview.setTime(time);
  }

  draw() {
    if (!this.tracks.clientWidth) return;
    if (this.span > this.longest) this.view.end = this.view.start + this.longest; // the page has become narrower
    drawRuler(this.ruler, this.view, this.times);
    this.overview.longest = this.longest;
    this.drawStrips();
    this.place();
    this.loadPreviews();
  }

  drawWave() {
    const {wave} = this.strips;
    if (wave) drawWave(this.wave, wave.pieces, this.view, this.selection.taken);
  }

  drawStrips() {
    const {film, wave} = this.strips;
    if (film) drawFilm(this.film, film.pieces, this.view, film.level);
    this.drawWave();
    if (film) this.lanes.film.show(this.view);
    if (wave) this.lanes.wave.show(this.view);
    this.gapLane.draw(this.view);
    this.cueLane.draw(this.view, this.tracks.clientWidth);
    this.overview.show(this.view, this.strips);
    this.node.setAttribute("aria-busy", String(!this.requested || [film, wave].some((strip) => strip?.busy)));
  }
}
