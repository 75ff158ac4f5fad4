// What is being picked: an in and an out point in seconds, on frames, in before out.

export function exactRate(fps) {
  // 29.97 is told with three decimals and means 30000/1001: the difference is a frame after nine hours, but it is one.
  const whole = Math.round(fps * 1.001);
  return Math.abs(fps * 1.001 - whole) < 0.002 && Math.abs(fps - whole) > 0.001 ? (whole * 1000) / 1001 : fps;
}

const FREE_STEP = 0.01; // of sound, which has no frames
const FIRST_SECONDS = 10; // of a selection of which only one end was set

export class Selection extends EventTarget {
  constructor(duration, fps) {
    super();
    this.duration = duration;
    this.frame = fps ? 1 / exactRate(fps) : FREE_STEP;
    this.start = null;
    this.end = null;
  }

  get empty() {
    return this.start === null;
  }

  get length() {
    return this.empty ? 0 : this.end - this.start;
  }

  // The nearest frame's time; the recording's end is no frame, but an end that can be chosen.
  snap(time) {
    const at = Math.round(time / this.frame) * this.frame;
    const kept = Math.abs(time - this.duration) < this.frame / 2 ? this.duration : at;
    return Math.round(Math.min(Math.max(0, kept), this.duration) * 1e6) / 1e6;
  }

  set(start, end) {
    const low = this.snap(Math.min(start, end));
    const high = this.snap(Math.max(start, end));
    this.start = Math.min(low, this.snap(this.duration - this.frame));
    this.end = Math.min(this.duration, Math.max(high, this.start + this.frame));
    this.dispatchEvent(new Event("change"));
  }

  setStart(time) {
    const end = this.empty || this.end <= time ? Math.min(this.duration, time + FIRST_SECONDS) : this.end;
    this.set(Math.min(time, this.duration - this.frame), end);
  }

  setEnd(time) {
    const start = this.empty || this.start >= time ? Math.max(0, time - FIRST_SECONDS) : this.start;
    this.set(start, Math.max(time, this.frame));
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
