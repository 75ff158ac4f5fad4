// What is removed from the clip of the selection: pauses and fillers, which the server's plan finds, without those that were
// put back. Event: "change".

import {post} from "../../lib/api.js";
import {debounce} from "../../lib/dom.js";
import {LIMITS} from "../../lib/limits.js";

/** @import {Look, RangeOfTime} from "../look/look.js" */
/** @import {Selection} from "./selection.js" */
/** @import {History} from "../../store/history.js" */

const ASK_MS = 400; // after the last change
const SAME_SECONDS = 1e-5;

export class Removal extends EventTarget {
  /** @param {{recording: ReadyRecording, look: Look, selection: Selection, undo: History, signal: AbortSignal}} options */
  constructor({recording, look, selection, undo, signal}) {
    super();
    this.look = look;
    this.selection = selection;
    this.signal = signal;
    this.path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/clips/plan`);
    this.busy = false;
    /** @type {any} why there is no plan */
    this.error = null;
    this.changes = undo;
    this.asked = ""; // the request whose plan is shown or expected
    this.askSoon = debounce(ASK_MS, () => signal.aborted || this.ask());
    selection.addEventListener("change", () => this.update(), {signal});
    look.addEventListener("change", () => this.update(), {signal});
  }

  // True if the look removes something from the selection.
  get active() {
    return this.selection.range !== null && this.look.sound.without.length > 0;
  }

  // The ranges of the selection that were put back.
  get kept() {
    const {range} = this.selection;
    return range && this.active ? this.look.keptRanges.filter(({start, end}) => start < range.end && end > range.start) : [];
  }

  /** @returns {RangeOfTime[]} in order */
  get removed() {
    return this.selection.removed;
  }

  get seconds() {
    return this.removed.reduce((sum, {start, end}) => sum + end - start, 0);
  }

  get body() {
    const {selection, look} = this;
    const {range} = selection;
    if (!range || !this.active) return null;
    const language = look.texts?.language;
    return {
      label: "plan",
      start_seconds: Number(range.start.toFixed(6)),
      end_seconds: Number(range.end.toFixed(6)),
      profile: look.profile.value,
      render: /** @type {const} */ ("encode"),
      ...(language ? {subtitles: {mode: /** @type {const} */ ("keep"), language}} : {}), // whose words stay
      ...look.removal,
    };
  }

  update() {
    const {body} = this;
    const {range} = this.selection;
    const asked = JSON.stringify(body);
    if (asked === this.asked) return;
    this.asked = asked;
    this.error = null;
    this.busy = body !== null;
    this.selection.removed = range && body ? this.removed.filter(({start, end}) => start >= range.start && end <= range.end) : [];
    if (body) this.askSoon();
    this.dispatchEvent(new Event("change"));
  }

  async ask() {
    const {body, asked} = this;
    if (!body) return;
    try {
      const plan = await post(this.path, body, {signal: this.signal});
      if (asked !== this.asked) return;
      this.selection.removed = plan.removed.map(({start_seconds: start, end_seconds: end}) => ({start, end}));
    } catch (error) {
      if (asked !== this.asked || error.name === "AbortError") return;
      this.selection.removed = [];
      this.error = error;
    }
    this.busy = false;
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Change what is put back, and show `removed` until the plan arrives.
   *
   * @param {RangeOfTime[]} kept
   * @param {RangeOfTime[]} removed
   */
  change(kept, removed) {
    const {keptRanges} = this.look;
    this.changes.add(this, () => this.keep(keptRanges, this.removed));
    this.keep(kept, removed);
  }

  /**
   * @param {RangeOfTime[]} kept
   * @param {RangeOfTime[]} removed
   */
  keep(kept, removed) {
    this.look.keptRanges = kept;
    this.selection.removed = removed;
    this.update();
    this.look.dispatchEvent(new Event("edit")); // it is stored with the look
  }

  /** @param {RangeOfTime} range that is removed */
  putBack(range) {
    const {keptRanges} = this.look;
    if (keptRanges.length >= LIMITS.removed) return;
    this.change(
      [...keptRanges, range],
      this.removed.flatMap((each) => without(each, range)),
    );
  }

  /** @param {RangeOfTime} range that was put back */
  remove(range) {
    this.change(
      this.look.keptRanges.flatMap((each) => without(each, range)),
      [...this.removed, range].sort((one, other) => one.start - other.start),
    );
  }

  putAllBack() {
    const {keptRanges} = this.look;
    const room = LIMITS.removed - keptRanges.length;
    this.change([...keptRanges, ...this.removed.slice(0, room)], this.removed.slice(room));
  }

  get changed() {
    return this.changes.has(this);
  }

  undo() {
    this.changes.undo(this);
  }
}

/**
 * Return what is left of a range without another one.
 *
 * @param {RangeOfTime} range
 * @param {RangeOfTime} other
 */
function without({start, end}, other) {
  if (other.end <= start || other.start >= end) return [{start, end}];
  return [
    {start, end: Math.min(end, other.start)},
    {start: Math.max(start, other.end), end},
  ].filter((each) => each.end - each.start > SAME_SECONDS);
}
