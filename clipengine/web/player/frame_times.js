// Frame times of a recording with a variable frame rate, loaded in parts around the current position. Unknown times are
// null; callers use the usual rate until they are known.

import {get, query} from "../lib/api.js";

const PART_SECONDS = 20; // short enough to load quickly
const RETRY_MS = 3000;
const EPSILON = 1e-5; // seconds; the API rounds times to the microsecond

export class FrameTimes {
  /**
   * `onknown()` is called when more frame times are known.
   *
   * @param {ReadyRecording} recording
   * @param {AbortSignal} signal
   * @param {() => void} onknown
   */
  constructor(recording, signal, onknown) {
    this.onknown = onknown;
    this.path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/frames`);
    this.duration = recording.duration_seconds;
    this.signal = signal;
    /** @type {Map<number, number[] | null>} sorted times by number; null while they are loading */
    this.parts = new Map();
  }

  /**
   * Load the frame times around a time.
   *
   * @param {number} time
   */
  load(time) {
    const number = Math.floor(time / PART_SECONDS);
    this.loadPart(number);
    const within = time / PART_SECONDS - number;
    if (within > 0.75) this.loadPart(number + 1);
    if (within < 0.25) this.loadPart(number - 1);
  }

  /**
   * Take the end of a recording that has grown. Its last part may have more frames now.
   *
   * @param {number} duration
   */
  grow(duration) {
    if (duration > this.duration) this.parts.delete(Math.floor(this.duration / PART_SECONDS));
    this.duration = duration;
  }

  /** @param {number} number */
  async loadPart(number) {
    const start = number * PART_SECONDS;
    if (number < 0 || start >= this.duration || this.parts.has(number)) return;
    this.parts.set(number, null);
    try {
      const {frames} = await get(query(this.path, {start_seconds: start, end_seconds: start + PART_SECONDS}), {signal: this.signal});
      this.parts.set(
        number,
        frames.filter((time) => time >= start),
      );
      if (!this.signal.aborted) this.onknown();
    } catch (error) {
      if (error.name === "AbortError") return;
      console.warn("no frame times:", error.message);
      if (error.retryable) setTimeout(() => this.again(number), RETRY_MS);
    }
  }

  /** @param {number} number of a part that has failed */
  again(number) {
    if (this.signal.aborted) return;
    this.parts.delete(number);
    this.loadPart(number);
  }

  /**
   * Return the frame that starts nearest to `time` and at most `within` from it; the earlier one on a tie.
   *
   * @param {number} time
   * @param {number} within
   */
  nearest(time, within) {
    const found = this.known(time).filter((each) => Math.abs(each - time) <= within + EPSILON);
    return found.length ? found.reduce((best, each) => (Math.abs(each - time) < Math.abs(best - time) - EPSILON ? each : best)) : null;
  }

  /**
   * Return the frame after (1) or before (-1) a time.
   *
   * @param {number} time
   * @param {number} direction
   */
  neighbour(time, direction) {
    const step = direction > 0 ? 1 : -1;
    let number = Math.floor(time / PART_SECONDS);
    for (let times = this.parts.get(number); times; times = this.parts.get(number)) {
      const found = step > 0 ? times.find((each) => each > time + EPSILON) : times.findLast((each) => each < time - EPSILON);
      if (found !== undefined) return found;
      number += step;
    }
    return null;
  }

  /** @param {number} time */
  known(time) {
    const number = Math.floor(time / PART_SECONDS);
    return [number - 1, number, number + 1].flatMap((each) => this.parts.get(each) || []);
  }
}
