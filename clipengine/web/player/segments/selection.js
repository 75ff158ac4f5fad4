// The selection: an in and an out point in seconds. The clip starts with the frame at the in point and ends before the
// frame at the out point. With a fixed frame rate both snap to frames. With a variable rate they snap to a frame that
// starts within half a frame, as in the engine. Otherwise, and for audio, they are exact to the millisecond.

const FREE_STEP = 0.01; // step for audio, which has no frames
const FREE_RESOLUTION = 0.001; // resolution of times that do not snap
const DEFAULT_SECONDS = 10; // length if only one end is set
const ROUNDING = 1e-6; // of a frame: rounding error at half a frame
const EPSILON = 5e-4; // seconds: times closer than this are equal
const AHEAD_SECONDS = 24 * 3600; // of a recording that is still written, that can be selected before they are recorded

/** @import {Extent} from "../../store/session.js" */
/** @import {FrameTimes} from "../media/frame_times.js" */
/** @typedef {{start: number, end: number}} Span in seconds */

export class Selection extends EventTarget {
  /**
   * `video` is the API's media object, or null; `times` are the FrameTimes of a variable rate, or null.
   *
   * @param {Pick<Extent, "duration" | "growing">} extent
   * @param {Video | null} video
   * @param {FrameTimes | null} [times]
   */
  constructor(extent, video, times = null) {
    super();
    this.extent = extent;
    this.frameTimes = times;
    const [count, seconds = 1] = video?.frame_rate ? video.frame_rate.split("/").map(Number) : [1, FREE_STEP];
    this.rate = count / seconds;
    this.frame = seconds / count; // the usual step if the rate varies
    this.fixedRate = Boolean(video?.frame_rate && !video.variable_rate);
    this.gridStart = (this.fixedRate && video?.first_frame_seconds) || 0; // start of the frame grid
    this.minLength = this.fixedRate ? this.frame : FREE_RESOLUTION;
    /** @type {Span | null} */
    this.range = null;
    /** @type {Span[]} removed from the clip of the selection, in order */
    this.removed = [];
  }

  get duration() {
    return this.extent.duration;
  }

  get growing() {
    return this.extent.growing;
  }

  // The latest time that can be selected.
  get limit() {
    return this.duration + (this.growing ? AHEAD_SECONDS : 0);
  }

  // The seconds of the selection that are not recorded yet.
  get lacking() {
    return this.growing && this.range ? Math.max(0, this.range.end - this.duration) : 0;
  }

  // The recording has grown, or has ended: the selection stays, if it is within the limit.
  limitRange() {
    const {range} = this;
    if (range && range.end > this.limit) this.set(range.start, range.end);
    else this.dispatchEvent(new Event("change"));
  }

  // What the clip takes of the recording.
  get taken() {
    const taken = [];
    let {start = 0, end = 0} = this.range ?? {};
    for (const gap of this.removed) {
      if (gap.start > start && gap.start < end) taken.push({start, end: gap.start});
      start = Math.max(start, gap.end);
    }
    return start < end ? [...taken, {start, end}] : taken;
  }

  get empty() {
    return this.range === null;
  }

  get length() {
    return this.range ? this.range.end - this.range.start : 0;
  }

  get start() {
    return this.range?.start ?? null;
  }

  get end() {
    return this.range?.end ?? null;
  }

  /**
   * Return the nearest selectable time; the earlier frame on a tie, as in the engine. The start and the end of the
   * recording are selectable even if they are not on a frame.
   *
   * @param {number} time
   */
  snap(time) {
    if (Math.abs(time - this.duration) < this.minLength / 2) return this.duration;
    const at = this.fixedRate ? this.snapToGrid(time) : this.snapToFrame(time);
    return Math.round(Math.min(Math.max(0, at), this.limit) * 1e6) / 1e6;
  }

  /** @param {number} time */
  snapToGrid(time) {
    if (time < Math.min(this.gridStart, this.frame) / 2) return 0;
    return this.gridStart + Math.ceil((time - this.gridStart) * this.rate - 0.5 - ROUNDING) / this.rate;
  }

  /** @param {number} time */
  snapToFrame(time) {
    const frame = this.frameTimes?.nearest(time, this.frame / 2);
    return typeof frame === "number" ? frame : Math.round(time / FREE_RESOLUTION) * FREE_RESOLUTION;
  }

  /**
   * Return the time one frame later (1) or earlier (-1).
   *
   * @param {number} time
   * @param {number} direction
   */
  neighbour(time, direction) {
    const frame = this.frameTimes?.neighbour(time, direction);
    return typeof frame === "number" ? frame : time + direction * this.frame;
  }

  /**
   * Return the role of the frame at this time for the clip: "first", "last", "after", "end" (no frame follows), or "".
   *
   * @param {number} moment
   * @returns {"first" | "last" | "after" | "end" | ""}
   */
  roleOf(moment) {
    if (!this.range) return "";
    const {start, end} = this.range;
    if (Math.abs(moment - start) < EPSILON) return "first";
    if (Math.abs(moment - end) < EPSILON) return end === this.duration ? "end" : "after";
    return moment > start && moment < end && this.neighbour(moment, 1) > end - EPSILON ? "last" : "";
  }

  /**
   * @param {number} start
   * @param {number} end
   */
  set(start, end) {
    const low = this.snap(Math.min(start, end));
    const high = this.snap(Math.max(start, end));
    const from = Math.min(low, this.snap(this.limit - this.minLength));
    this.range = {start: from, end: Math.min(this.limit, Math.max(high, this.snap(from + this.minLength)))};
    this.dispatchEvent(new Event("change"));
  }

  // Snap again after more frame times were loaded.
  resnap() {
    if (!this.range) return;
    const {start, end} = this.range;
    if (this.snap(start) !== start || this.snap(end) !== end) this.set(start, end);
  }

  /** @param {number} time */
  setStart(time) {
    const end = !this.range || this.range.end <= time ? Math.min(this.limit, time + DEFAULT_SECONDS) : this.range.end;
    this.set(Math.min(time, this.limit - this.minLength), end);
  }

  /** @param {number} time */
  setEnd(time) {
    const start = !this.range || this.range.start >= time ? Math.max(0, time - DEFAULT_SECONDS) : this.range.start;
    this.set(start, Math.max(time, this.minLength));
  }

  /** @param {number} by */
  move(by) {
    if (!this.range) return;
    const {start, end} = this.range;
    const kept = Math.min(Math.max(by, -start), this.limit - end);
    this.set(start + kept, end + kept);
  }

  clear() {
    this.range = null;
    this.dispatchEvent(new Event("change"));
  }
}
