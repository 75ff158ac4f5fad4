// When frames truly begin, of a recording whose rate varies: asked of the server part by part, as one comes near. What
// is not known yet is null, and whoever asks does with the usual rate until it is.

import {get, query} from "../lib/api.js";

const PART_SECONDS = 20; // little enough to be read where somebody stands
const SAME = 1e-5; // seconds; times are told to the microsecond

export class FrameTimes {
  // `onknown()` whenever more is known.
  constructor(recording, signal, onknown) {
    this.onknown = onknown;
    this.path = `/v1/recordings/${recording.recording_id}/frames`;
    this.duration = recording.duration_seconds;
    this.signal = signal;
    this.parts = new Map(); // number -> times in order; null while they are asked for
  }

  // Have what lies around the time, and ahead of it.
  want(time) {
    const number = Math.floor(time / PART_SECONDS);
    this.ask(number);
    const within = time / PART_SECONDS - number;
    if (within > 0.75) this.ask(number + 1);
    if (within < 0.25) this.ask(number - 1);
  }

  async ask(number) {
    const start = number * PART_SECONDS;
    if (number < 0 || start >= this.duration || this.parts.has(number)) return;
    this.parts.set(number, null);
    try {
      const {frames} = await get(query(this.path, {start, end: start + PART_SECONDS}), {signal: this.signal});
      this.parts.set(number, frames.filter((time) => time >= start));
      if (!this.signal.aborted) this.onknown();
    } catch (error) {
      if (error.name !== "AbortError") console.warn("no frame times:", error.message);
    }
  }

  // The frame that begins nearest to the time and at most `within` from it; of two as near the earlier.
  nearest(time, within) {
    const found = this.around(time).filter((each) => Math.abs(each - time) <= within + SAME);
    return found.length ? found.reduce((best, each) => (Math.abs(each - time) < Math.abs(best - time) - SAME ? each : best)) : null;
  }

  // The frame after (1) or before (-1) the time.
  beside(time, direction) {
    const step = direction > 0 ? 1 : -1;
    for (let number = Math.floor(time / PART_SECONDS); this.parts.get(number); number += step) {
      const times = this.parts.get(number);
      const found = step > 0 ? times.find((each) => each > time + SAME) : times.findLast((each) => each < time - SAME);
      if (found !== undefined) return found;
    }
    return null;
  }

  around(time) {
    const number = Math.floor(time / PART_SECONDS);
    return [number - 1, number, number + 1].flatMap((each) => this.parts.get(each) || []);
  }
}
