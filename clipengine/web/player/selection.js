// The selection: an in and an out point in seconds. The clip starts with the frame at the in point and ends before the
// frame at the out point. With a fixed frame rate both snap to frames. With a variable rate they snap to a frame that
// starts within half a frame, as in the engine. Otherwise, and for audio, they are exact to the millisecond.

const FREE_STEP = 0.01; // step for audio, which has no frames
const FREE_TICK = 0.001; // resolution of times that do not snap
const FIRST_SECONDS = 10; // length if only one end is set
const TIE = 1e-6; // of a frame: rounding error at half a frame
const SAME = 5e-4; // seconds: times closer than this are equal

export class Selection extends EventTarget {
  // `video` is the API's media object, or null; `times` are the FrameTimes of a variable rate, or null.
  constructor(duration, video, times = null) {
    super();
    this.duration = duration;
    this.times = times;
    const [count, seconds = 1] = video && video.frame_rate ? video.frame_rate.split("/").map(Number) : [1, FREE_STEP];
    this.rate = count / seconds;
    this.frame = seconds / count; // the usual step if the rate varies
    this.steady = Boolean(video && video.frame_rate && !video.variable_rate);
    this.first = (this.steady && video.first_frame_seconds) || 0; // start of the frame grid
    this.least = this.steady ? this.frame : FREE_TICK;
    this.start = null;
    this.end = null;
  }

  get empty() {
    return this.start === null;
  }

  get length() {
    return this.empty ? 0 : this.end - this.start;
  }

  // Return the nearest selectable time; the earlier frame on a tie, as in the engine. The start and the end of the
  // recording are selectable even if they are not on a frame.
  snap(time) {
    if (Math.abs(time - this.duration) < this.least / 2) return this.duration;
    const at = this.steady ? this.gridded(time) : this.framed(time);
    return Math.round(Math.min(Math.max(0, at), this.duration) * 1e6) / 1e6;
  }

  gridded(time) {
    if (time < Math.min(this.first, this.frame) / 2) return 0;
    return this.first + Math.ceil((time - this.first) * this.rate - 0.5 - TIE) / this.rate;
  }

  framed(time) {
    const frame = this.times && this.times.nearest(time, this.frame / 2);
    return typeof frame === "number" ? frame : Math.round(time / FREE_TICK) * FREE_TICK;
  }

  // Return the time one frame later (1) or earlier (-1).
  beside(time, direction) {
    const frame = this.times && this.times.beside(time, direction);
    return typeof frame === "number" ? frame : time + direction * this.frame;
  }

  // Return the role of the frame at this time for the clip: "first", "last", "after", "end" (no frame follows), or "".
  roleOf(moment) {
    if (this.empty) return "";
    if (Math.abs(moment - this.start) < SAME) return "first";
    if (Math.abs(moment - this.end) < SAME) return this.end === this.duration ? "end" : "after";
    return moment > this.start && moment < this.end && this.beside(moment, 1) > this.end - SAME ? "last" : "";
  }

  set(start, end) {
    const low = this.snap(Math.min(start, end));
    const high = this.snap(Math.max(start, end));
    this.start = Math.min(low, this.snap(this.duration - this.least));
    this.end = Math.min(this.duration, Math.max(high, this.snap(this.start + this.least)));
    this.dispatchEvent(new Event("change"));
  }

  // Snap again after more frame times were loaded.
  snapAgain() {
    if (!this.empty && (this.snap(this.start) !== this.start || this.snap(this.end) !== this.end)) this.set(this.start, this.end);
  }

  setStart(time) {
    const end = this.empty || this.end <= time ? Math.min(this.duration, time + FIRST_SECONDS) : this.end;
    this.set(Math.min(time, this.duration - this.least), end);
  }

  setEnd(time) {
    const start = this.empty || this.start >= time ? Math.max(0, time - FIRST_SECONDS) : this.start;
    this.set(start, Math.max(time, this.least));
  }

  move(by) {
    const kept = Math.min(Math.max(by, -this.start), this.duration - this.end);
    this.set(this.start + kept, this.end + kept);
  }

  clear() {
    this.start = null;
    this.end = null;
    this.dispatchEvent(new Event("change"));
  }
}
