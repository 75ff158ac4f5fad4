// What is being picked: an in and an out point in seconds. The clip begins with the frame of the in point and ends before
// the frame of the out point. Where frames come at a steady rate both lie on frames; where they do not, on the frame
// that begins within half a frame, as the engine chooses, and otherwise, as for sound, they are exact to the millisecond.

const FREE_STEP = 0.01; // of sound, which has no frames
const FREE_TICK = 0.001; // of times that lie on no grid
const FIRST_SECONDS = 10; // of a selection of which only one end was set
const TIE = 1e-6; // of a frame: what arithmetic may add to a half
const SAME = 5e-4; // seconds: times nearer than this are one

export class Selection extends EventTarget {
  // `video` is the media object's, or null; `times` knows the frames of a variable rate, or is null.
  constructor(duration, video, times = null) {
    super();
    this.duration = duration;
    this.times = times;
    const [count, seconds = 1] = video && video.frame_rate ? video.frame_rate.split("/").map(Number) : [1, FREE_STEP];
    this.rate = count / seconds;
    this.frame = seconds / count; // a step; the usual one where the rate varies
    this.steady = Boolean(video && video.frame_rate && !video.variable_rate);
    this.first = (this.steady && video.first_frame_seconds) || 0; // the grid's, where the picture begins late
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

  // The nearest time that can be chosen; of two frames as near the earlier, as the engine chooses. The recording's
  // beginning and end may be no frames, but can be chosen.
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

  // The time one step on (1) or back (-1): the next frame, the true one where it is known.
  beside(time, direction) {
    const frame = this.times && this.times.beside(time, direction);
    return typeof frame === "number" ? frame : time + direction * this.frame;
  }

  // What the frame that begins at the moment is to the clip: "first", "last", "after" ("end" where none is), else "".
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

  // More frames are known than when it was set.
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
