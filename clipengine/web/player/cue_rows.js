// The rows of a transcript: sentences of a text, matches of a search, and links to its files.

import {query} from "../lib/api.js";
import {h, icon} from "../lib/dom.js";
import {formatTime} from "../lib/format.js";
import {LIMITS} from "../lib/limits.js";
import {t} from "../lib/texts.js";

const PAUSE_SECONDS = 2; // between paragraphs of a speaker
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
 */
export function sentence(cue, first) {
  const {speaker, text, start_seconds: start} = cue;
  const time = formatTime(start, 0);
  const header = first ? h("header", {}, speaker ? h("strong", {}, speaker) : null, h("span", {"aria-hidden": "true"}, time)) : null;
  return h("li", {}, header, timeButton(cue), h("div", {}, h("p", {dir: "auto", title: time}, text)), " ");
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
 * Return true if a cue begins a paragraph: another person speaks, after a pause, or in a text without persons.
 *
 * @param {Cue[]} cues
 * @param {number} at
 */
export function startsParagraph(cues, at) {
  const [cue, before] = [cues[at], cues[at - 1]];
  if (!before || before.speaker !== cue.speaker) return true;
  return cue.start_seconds - before.end_seconds > PAUSE_SECONDS;
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
 * True if the range contains text of the node, not only its edge.
 *
 * @param {Node} node
 * @param {Range} range
 */
export function hasSelectedText(node, range) {
  const part = document.createRange();
  part.selectNodeContents(node);
  if (part.compareBoundaryPoints(Range.START_TO_START, range) < 0) part.setStart(range.startContainer, range.startOffset);
  if (part.compareBoundaryPoints(Range.END_TO_END, range) > 0) part.setEnd(range.endContainer, range.endOffset);
  return part.toString().trim() !== "";
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
