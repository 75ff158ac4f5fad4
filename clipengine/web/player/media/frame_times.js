// Frame times of a recording with a variable frame rate, loaded in parts around the current position. Unknown times are
// null; callers use the usual rate until they are known.

const PART_SECONDS = 20; // short enough to load quickly
const RETRY_MS = 3000;
const EPSILON = 1e-5; // seconds; the API rounds times to the microsecond

/** @import {Extent} from "../../store/session.js" */

export class FrameTimes {
  /**
   * `ask(start, end)` requests the frame times of a range in seconds; `onknown()` is called when more of them are known.
   *
   * @param {{extent: Extent, ask: (start: number, end: number) => Promise<number[]>, onknown: () => void, signal: AbortSignal}} options
   */
  constructor({extent, ask, onknown, signal}) {
    this.extent = extent;
    this.ask = ask;
    this.onknown = onknown;
    this.signal = signal;
    /** @type {Map<number, {times: number[] | null}>} sorted times by number; null while they are loading */
    this.parts = new Map();
    extent.onupdate((before) => extent.duration > before && this.parts.delete(Math.floor(before / PART_SECONDS)), signal); // it may have more frames
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

  /** @param {number} number */
  async loadPart(number) {
    const start = number * PART_SECONDS;
    if (number < 0 || start >= this.extent.duration || this.parts.has(number)) return;
    /** @type {{times: number[] | null}} */
    const part = {times: null};
    this.parts.set(number, part);
    try {
      const times = await this.ask(start, start + PART_SECONDS);
      part.times = times.filter((time) => time >= start);
      if (!this.signal.aborted) this.onknown();
    } catch (error) {
      if (error.name === "AbortError") return;
      console.warn("no frame times:", error.message);
      if (error.retryable) setTimeout(() => this.retry(number, part), RETRY_MS);
    }
  }

  /**
   * @param {number} number
   * @param {{times: number[] | null}} part that has failed
   */
  retry(number, part) {
    if (this.signal.aborted || this.parts.get(number) !== part) return;
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
    for (let times = this.timesOf(number); times; times = this.timesOf(number)) {
      const found = step > 0 ? times.find((each) => each > time + EPSILON) : times.findLast((each) => each < time - EPSILON);
      if (found !== undefined) return found;
      number += step;
    }
    return null;
  }

  /** @param {number} time */
  known(time) {
    const number = Math.floor(time / PART_SECONDS);
    return [number - 1, number, number + 1].flatMap((each) => this.timesOf(each) ?? []);
  }

  /** @param {number} number of a part */
  timesOf(number) {
    return this.parts.get(number)?.times ?? null;
  }
}
