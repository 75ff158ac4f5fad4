// The rows of a transcript: sentences of a text, matches of a search, and links to its files.

import {query} from "../../lib/api.js";
import {h, icon} from "../../lib/dom.js";
import {formatTime} from "../../lib/format.js";
import {LIMITS} from "../../lib/limits.js";
import {t} from "../../lib/texts.js";

/** @import {Selection} from "../segments/selection.js" */
/** @import {Paragraph} from "./text_rows.js" */

const PAUSE_SECONDS = 2; // between paragraphs of a speaker
const PARAGRAPH_CUES = 25; // at most
const NAME_WORDS = 8;
const SENTENCE_WORDS = 3; // fewer may end with an abbreviation

/**
 * Return the row of a match.
 *
 * @param {Cue} cue
 * @param {string | null | undefined} speaker
 * @param {Child[]} text
 */
export const cueRow = (cue, speaker, text) =>
  h("li", {}, timeButton(cue), h("div", {}, speaker ? h("strong", {}, speaker) : null, h("p", {dir: "auto"}, text)));

/**
 * Return a sentence of the text; the first one of a paragraph says who speaks, and when.
 *
 * @param {Cue} cue
 * @param {boolean} first
 * @param {Children} content its text, with marks
 */
export function sentence(cue, first, content) {
  const {speaker, start_seconds: start} = cue;
  const time = formatTime(start, 0);
  const header = first ? h("header", {}, speaker ? h("strong", {}, speaker) : null, h("span", {"aria-hidden": "true"}, time)) : null;
  return h("li", {}, header, timeButton(cue), h("div", {}, h("p", {dir: "auto", title: time}, content)), " ");
}

/** @param {HTMLElement} row */
export function setTabStop(row) {
  const button = row.querySelector("button");
  if (button) button.tabIndex = 0;
}

/** @param {Cue} cue */
const timeButton = ({start_seconds: start}) =>
  h("button", {type: "button", class: "link time", tabindex: "-1", title: t("Go here; with Shift, select up to here")}, formatTime(start, 0));

/**
 * Return the paragraphs of a text. One begins when another person speaks, after a pause, or after many sentences.
 *
 * @param {Cue[]} cues
 * @returns {Paragraph[]}
 */
export function paragraphsOf(cues) {
  /** @type {Paragraph[]} */
  const paragraphs = [];
  for (const [number, {speaker, start_seconds: start, text}] of cues.entries()) {
    const before = cues[number - 1];
    const last = paragraphs.at(-1);
    const goes = last && before.speaker === speaker && start - before.end_seconds <= PAUSE_SECONDS && number - last.from < PARAGRAPH_CUES;
    if (goes) Object.assign(last, {to: number + 1, length: last.length + text.length});
    else paragraphs.push({from: number, to: number + 1, length: text.length});
  }
  return paragraphs;
}

/**
 * Return the number of the last cue that has begun at a time, or -1. A cue has begun on the frame that a seek to its start shows,
 * which may start half a frame before it.
 *
 * @param {Cue[]} cues
 * @param {number} time
 * @param {Selection} selection
 */
export function indexOfCue(cues, time, selection) {
  let [low, high] = [0, cues.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const start = cues[middle].start_seconds;
    if (Math.min(start, selection.snap(start)) <= time + 1e-3) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Return the first words of what is said, as the name of a clip: up to the end of a sentence, or with an ellipsis.
 *
 * @param {Cue[]} cues
 */
export function nameOf(cues) {
  const words = cues[0].text.replaceAll(/\s+/g, " ").trim().split(" ");
  const first = words.slice(0, NAME_WORDS);
  const end = first.findLastIndex((word, at) => at + 1 >= SENTENCE_WORDS && /[.!?…]["”»“)]?$/.test(word));
  const whole = words.length === first.length || end >= 0;
  const name = (words.length > first.length && end >= 0 ? first.slice(0, end + 1) : first).join(" ").replace(/[.,;:!?…]+$/, "");
  return whole && name.length <= LIMITS.label ? name : `${name.slice(0, LIMITS.label - 1)}…`;
}

/**
 * Return a link to the transcript as a file of each format.
 *
 * @param {`/v1/recordings/${string}/transcripts/${string}`} path
 * @param {string} language
 */
export const exportLinks = (path, language) =>
  ["VTT", "SRT", "TXT"].map((name) => {
    const format = name.toLowerCase();
    const link = {href: query(path, {format}), download: `transcript.${language}.${format}`, "aria-label": t("Download {format}", {format: name})};
    return h("a", link, icon("down"), name);
  });
