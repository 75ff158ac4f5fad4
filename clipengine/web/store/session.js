// The recording of a studio and its extent, which grows while it is written. All parts of the studio read the duration here.

import {effect, signal as signalOf, untracked} from "../vendor/signals-core.js";

export class Extent {
  /** @param {ReadyRecording} recording is updated in place */
  constructor(recording) {
    this.recording = recording;
    this.current = signalOf(extentOf(recording));
  }

  get duration() {
    return this.current.value.duration;
  }

  // True while the recording is written.
  get growing() {
    return this.current.value.growing;
  }

  /**
   * Take a newer state of a recording that is written, and return true, or false for any other state.
   *
   * @param {Recording} now
   */
  update(now) {
    const {recording} = this;
    const newer = (now.revision ?? Infinity) > (recording.revision ?? 0);
    if (!this.current.peek().growing || now.recording_id !== recording.recording_id || !newer) return false;
    if (now.status !== "recording" && now.status !== "complete") return false; // the next request says why
    Object.assign(recording, now);
    this.current.value = extentOf(recording);
    return true;
  }

  /**
   * Call `work` with the duration before each update, until the signal aborts. Earlier callers are called first.
   *
   * @param {(before: number) => void} work
   * @param {AbortSignal} signal
   */
  onupdate(work, signal) {
    let known = this.current.peek();
    const stop = effect(() => {
      const [before, now] = [known, this.current.value];
      known = now;
      if (now !== before) untracked(() => work(before.duration));
    });
    signal.addEventListener("abort", stop);
  }
}

/** @param {ReadyRecording} recording */
const extentOf = ({duration_seconds: duration, status}) => ({duration, growing: status === "recording"});
