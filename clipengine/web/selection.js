// What is being picked: an in and an out point in seconds, in before out. Where frames come at a steady rate both lie on
// frames; where they do not, and for sound, they are exact to the millisecond.

const FREE_STEP = 0.01; // of sound, which has no frames
const FREE_TICK = 0.001; // of times that lie on no grid
const FIRST_SECONDS = 10; // of a selection of which only one end was set
const TIE = 1e-6; // of a frame: what arithmetic may add to a half

export class Selection extends EventTarget {
  // `video` is the media object's, or null.
  constructor(duration, video) {
    super();
    this.duration = duration;
    const [count, seconds = 1] = video && video.frame_rate ? video.frame_rate.split("/").map(Number) : [1, FREE_STEP];
    this.rate = count / seconds;
    this.frame = seconds / count; // a step; the usual one where the rate varies
    this.steady = Boolean(video && video.frame_rate && !video.variable_rate);
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

  // The nearest time that can be chosen; of two frames as near the earlier, as the engine chooses. The recording's end
  // is no frame, but an end that can be chosen.
  snap(time) {
    if (Math.abs(time - this.duration) < this.least / 2) return this.duration;
    const at = this.steady ? Math.ceil(time * this.rate - 0.5 - TIE) / this.rate : Math.round(time / FREE_TICK) * FREE_TICK;
    return Math.round(Math.min(Math.max(0, at), this.duration) * 1e6) / 1e6;
  }

  set(start, end) {
    const low = this.snap(Math.min(start, end));
    const high = this.snap(Math.max(start, end));
    this.start = Math.min(low, this.snap(this.duration - this.least));
    this.end = Math.min(this.duration, Math.max(high, this.snap(this.start + this.least)));
    this.dispatchEvent(new Event("change"));
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
