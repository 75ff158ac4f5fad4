// Times as the recording's view shows them: seconds from its start, or the time of day where the browser is. Event: "change".

import {formatTime, parseTime} from "../../lib/format.js";

const STORED = "time-of-day";
const DAY_MS = 24 * 3600 * 1000;

export class ShownTimes extends EventTarget {
  /** @param {ReadyRecording} recording */
  constructor(recording) {
    super();
    /** @type {number | null} ms since 1970; null if the time of day is unknown */
    this.began = null;
    this.ofDay = remembered() ?? recording.status === "recording";
    this.setBegin(recording.started_at);
  }

  /** @param {string | null} stamp */
  setBegin(stamp) {
    this.began = stamp ? Date.parse(stamp) : null;
    this.dispatchEvent(new Event("change"));
  }

  get known() {
    return this.began !== null;
  }

  toggle() {
    this.ofDay = !this.ofDay;
    try {
      localStorage.setItem(STORED, String(this.ofDay));
    } catch {
      // storage may be blocked
    }
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Return the start of the day in which a time of the recording is, in seconds of the recording; 0 if times count from its
   * start.
   *
   * @param {number} seconds
   */
  origin(seconds) {
    if (this.began === null || !this.ofDay) return 0;
    return (new Date(this.began + seconds * 1000).setHours(0, 0, 0, 0) - this.began) / 1000;
  }

  /**
   * @param {number} seconds of the recording
   * @param {number} [digits] after the decimal point
   */
  format(seconds, digits = 3) {
    if (this.began === null || !this.ofDay) return formatTime(seconds, digits);
    const unit = 10 ** (3 - digits); // in ms
    const ms = Math.round((this.began + seconds * 1000) / unit) * unit;
    const day = new Date(ms);
    const parts = [day.getHours(), day.getMinutes(), day.getSeconds()].map((part) => String(part).padStart(2, "0"));
    return parts.join(":") + (digits ? `.${String(day.getMilliseconds()).padStart(3, "0").slice(0, digits)}` : "");
  }

  /**
   * Return a typed time in seconds of the recording, or null. A time of day is that of the day that is nearest to `near`.
   *
   * @param {string} text
   * @param {number} near
   */
  parse(text, near) {
    const {began} = this;
    if (began === null || !this.ofDay) return parseTime(text);
    const match = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,3}))?)?$/.exec(text.trim());
    if (!match) return null;
    const [hours, minutes, seconds, ms] = [match[1], match[2], match[3] ?? "0", (match[4] ?? "0").padEnd(3, "0")].map(Number);
    if (hours > 23 || minutes > 59 || seconds > 59) return null;
    const at = began + near * 1000;
    const days = [-1, 0, 1].map((by) => new Date(at + by * DAY_MS).setHours(hours, minutes, seconds, ms));
    const nearest = days.reduce((best, each) => (Math.abs(each - at) < Math.abs(best - at) ? each : best));
    return (nearest - began) / 1000;
  }
}

/** @returns {boolean | null} what was chosen before */
function remembered() {
  try {
    const stored = localStorage.getItem(STORED);
    return stored === null ? null : stored === "true";
  } catch {
    return null;
  }
}
