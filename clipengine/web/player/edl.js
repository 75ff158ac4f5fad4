// Edit decision lists, with the rules of the command line (clipengine/clips/edl.py): CMX 3600, which editing programs
// export, and the EDL of MPlayer and Kodi, which lists what a player skips. Pure.

import {parseTime} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {endFault, fault, timeFault} from "./segment_faults.js";

/** @import {FileContext, FoundRange, ParsedFile} from "./segment_files.js" */
/** @import {Segment} from "./segments.js" */
/** @typedef {FoundRange & {number: string, reel: string, isAudio: boolean}} EdlEvent */

const CODE = "(\\d{1,2}:\\d\\d:\\d\\d[:;.,]\\d{2,3})";
const EVENT = new RegExp(`^\\s*(\\d{1,6})\\s+(\\S+)\\s+(\\S+)\\s+(?:C|D|W\\d*|K\\w*)\\s+(?:[BFO]\\s+|\\d+\\s+)*${CODE}\\s+${CODE}(?:\\s|$)`, "i");
const NAME = /^\s*\*\s*(FROM|TO) CLIP NAME:\s*(.*)/i;
const SKIP = /^\s*(#?[\d:.]+)\s+(#?[\d:.]+)(?:\s+([0-3]))?\s*$/;
/** @type {Record<string, string>} */
const IGNORED = {1: t("mute"), 2: t("scene marker")}; // actions of MPlayer and Kodi that skip nothing

/** @param {string[]} lines */
export const isEdl = (lines) => lines.some((line) => EVENT.test(line));
/** @param {string} line */
const isWritten = (line) => line.trim() !== "" && !line.startsWith("##");
/** @param {string[]} lines */
export const isSkipList = (lines) => lines.some(isWritten) && lines.filter(isWritten).every((line) => SKIP.test(line));

/** @param {number | null} rate */
const byFrames = (rate) => {
  if (!rate) throw new Error(t("The times of an EDL count frames, and the recording has no frame rate."));
  return rate;
};

// ---- CMX 3600

/**
 * Return {found: [{line, label, start, end}], notes}. Times are seconds.
 *
 * @param {string[]} lines
 * @param {FileContext} recording
 * @returns {ParsedFile}
 */
export function parseEdl(lines, {rate}) {
  const frames = byFrames(rate);
  /** @type {EdlEvent[]} */
  const events = [];
  /** @type {string[]} */
  const notes = [];
  let drop = false;
  lines.forEach((text, index) => {
    const line = index + 1;
    const [event, name] = [EVENT.exec(text), NAME.exec(text)];
    if (event) {
      const [, number, reel, track, start, end] = event;
      events.push({
        line,
        number,
        reel,
        label: "",
        isAudio: /^A[^V]*$/i.test(track),
        start: timecodeSeconds(start, frames, drop, line),
        end: timecodeSeconds(end, frames, drop, line),
      });
    } else if (name && events.length) {
      const last = events[events.length - 1];
      if (!last.label || name[1].toUpperCase() === "TO") last.label = name[2];
    } else if (/^\s*FCM:/i.test(text)) drop = !/NON/i.test(text);
    else if (/^\s*\d{3,6}\s/.test(text))
      throw fault(line, t("“{text}” is not an event: number, reel, track, C and four timecodes", {text: text.trim().slice(0, 60)}));
    else if (/^\s*M2\s/.test(text)) notes.push(t("line {line}: the speed of an event is not applied", {line: String(line)}));
  });
  /** @param {EdlEvent} event */
  const isBlack = ({reel}) => reel.toUpperCase() === "BL";
  notes.push(...events.filter(isBlack).map(({line}) => t("line {line}: black is left out", {line: String(line)})));
  // The first line of a transition has no length; the second one has the same number.
  const lasting = new Set(events.filter(({start, end}) => start < end).map(({number}) => number));
  const kept = events.filter((event) => !isBlack(event) && (event.start !== event.end || !lasting.has(event.number)));
  return {found: withoutCopies(kept), notes};
}

/**
 * Return one event for the video and the audio of the same range.
 *
 * @param {EdlEvent[]} events
 */
function withoutCopies(events) {
  /** @param {EdlEvent} event */
  const span = ({start, end}) => `${start} ${end}`;
  const taken = new Set(events.filter(({isAudio}) => !isAudio).map(span));
  return events.filter((event) => {
    if (!event.isAudio) return true;
    if (taken.has(span(event))) return false;
    taken.add(span(event));
    return true;
  });
}

/**
 * With drop frame, each minute but every tenth skips frame numbers, not frames.
 *
 * @param {string} code
 * @param {number} rate
 * @param {boolean} drop
 * @param {number} line
 */
function timecodeSeconds(code, rate, drop, line) {
  const [hours, minutes, seconds, frames] = code.split(/[:;.,]/).map(Number);
  const nominal = Math.round(rate);
  if (minutes > 59 || seconds > 59 || frames >= nominal) throw fault(line, t("{code} is not a timecode at {rate} frames per second", {code, rate: nominal}));
  const skipped = (drop || code.includes(";")) && nominal % 30 === 0 ? nominal / 15 : 0;
  const passed = hours * 60 + minutes;
  const count = (passed * 60 + seconds) * nominal + frames - skipped * (passed - Math.floor(passed / 10));
  return count / rate;
}

/**
 * @param {number} seconds
 * @param {number} rate
 */
function timecode(seconds, rate) {
  const nominal = Math.round(rate);
  const count = Math.round(seconds * rate);
  const whole = Math.floor(count / nominal);
  return [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60, count % nominal].map((part) => String(part).padStart(2, "0")).join(":");
}

/**
 * Times are rounded to frames. The segments follow each other on the record side.
 *
 * @param {Segment[]} segments
 * @param {string} title
 * @param {number} rate
 */
export function formatEdl(segments, title, rate) {
  let recorded = 0;
  const events = segments.map(({label, start, end}, index) => {
    const from = recorded;
    recorded += end - start;
    const times = [start, end, from, recorded].map((each) => timecode(each, rate)).join(" ");
    return `${String(index + 1).padStart(3, "0")}  AX       AA/V  C        ${times}\n${label ? `* FROM CLIP NAME: ${label}\n` : ""}`;
  });
  return `TITLE: ${title.replace(/\s+/g, " ")}\nFCM: NON-DROP FRAME\n\n${events.join("\n")}`;
}

// ---- MPlayer and Kodi

/**
 * @param {string[]} lines
 * @param {FileContext} recording
 * @returns {ParsedFile}
 */
export function parseSkipList(lines, {duration, rate}) {
  /** @type {{line: number, start: number, end: number}[]} */
  const skipped = [];
  /** @type {string[]} */
  const notes = [];
  lines.forEach((text, index) => {
    const match = isWritten(text) && SKIP.exec(text);
    if (!match) return;
    const line = index + 1;
    const [, first, last, action = "0"] = match;
    const [start, end] = [first, last].map((each) => skipTime(line, each, rate));
    if (IGNORED[action]) notes.push(t("line {line}: action {action} ({meaning}) makes no range", {line: String(line), action, meaning: IGNORED[action]}));
    else if (end <= start) throw endFault(line, start, end);
    else skipped.push({line, start, end});
  });
  return {found: between(skipped, duration), notes};
}

/**
 * @param {number} line
 * @param {string} text
 * @param {number | null} rate
 */
function skipTime(line, text, rate) {
  const [number, scale] = text.startsWith("#") ? [text.slice(1), byFrames(rate)] : [text, 1];
  const time = parseTime(number);
  if (time === null) throw timeFault(line, number);
  return time / scale;
}

/**
 * Return the ranges that a player shows.
 *
 * @param {{line: number, start: number, end: number}[]} skipped
 * @param {number} duration
 */
function between(skipped, duration) {
  /** @type {FoundRange[]} */
  const shown = [];
  let from = 0;
  for (const {line, start, end} of [...skipped].sort((one, other) => one.start - other.start)) {
    if (start > from) shown.push({line, label: "", start: from, end: Math.min(start, duration)});
    from = Math.max(from, end);
  }
  if (skipped.length && from < duration) shown.push({line: skipped[skipped.length - 1].line, label: "", start: from, end: duration});
  return shown;
}
