// Marks in the transcript for what is removed from the clip: words are struck through, pauses are small marks. A click, Enter or
// Space puts one back, and leaves it out again.

import {byKey, findAll, h, setText, targetOf} from "../../lib/dom.js";
import {errorText} from "../../lib/error_views.js";
import {formatTime} from "../../lib/format.js";
import {formatNumber, plural, t} from "../../lib/texts.js";

/** @import {Removal} from "../segments/removal.js" */
/** @import {RangeOfTime} from "../look/look.js" */
/** @import {Transcript} from "./transcript.js" */
/** @typedef {RangeOfTime & {word: string, out: boolean, from: number, to: number}} Item in a sentence, with its place in the text; a pause has no word */

const LEAST_PAUSE = 0.1; // seconds beside a word that have a mark

export class RemovedMarks {
  /** @param {{transcript: Transcript, removal: Removal, signal: AbortSignal}} options */
  constructor({transcript, removal, signal}) {
    this.transcript = transcript;
    this.removal = removal;
    /** @type {Map<number, Item[]>} what is marked in the rows, by their numbers */
    this.marked = new Map();
    transcript.marks = this;
    this.text = h("span", {class: "grow"});
    const button = {type: /** @type {const} */ ("button"), class: "link"};
    this.all = h("button", {...button, onclick: () => removal.putAllBack()}, t("Put all back"));
    this.undo = h("button", {...button, title: t("Undo (Ctrl+Z)"), onclick: () => removal.undo()}, t("Undo"));
    this.summary = h("p", {class: "row removed-summary small", role: "status", hidden: true}, this.text, this.undo, this.all);
    transcript.search.hits.before(this.summary);
    removal.addEventListener("change", () => this.draw(), {signal});
    transcript.list.addEventListener("keydown", (event) => this.key(event));
    transcript.list.addEventListener("dblclick", (event) => targetOf(event).closest(".removable") && event.stopImmediatePropagation(), {capture: true});
  }

  // Show the text again, which has changed or has arrived.
  redraw() {
    this.marked.clear();
    this.draw();
  }

  draw() {
    const {transcript, removal} = this;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.at : undefined;
    const before = this.marked;
    this.marked = this.items();
    for (const [number, row] of transcript.rows.rows) {
      const [shown, next] = [before.get(number), this.marked.get(number)];
      if (keyOf(shown) !== keyOf(next)) row.querySelector("p")?.replaceChildren(...this.contentOf(number));
    }
    this.setStop();
    if (focused !== undefined) this.shown.find((mark) => mark.dataset.at === focused)?.focus({preventScroll: true});
    this.summary.hidden = !removal.active;
    this.all.hidden = !removal.removed.length;
    this.undo.hidden = !removal.changed;
    if (removal.error) this.text.replaceChildren(errorText(removal.error));
    else setText(this.text, removal.busy && !removal.removed.length && !removal.kept.length ? t("Looking for pauses…") : summaryOf(removal));
  }

  // The marks in the document.
  get shown() {
    return findAll(this.transcript.list, ".removable");
  }

  // Let Tab reach the first mark.
  setStop() {
    const {shown} = this;
    if (shown.length) shown[0].tabIndex = 0;
  }

  /**
   * Return the text of a sentence with its marks.
   *
   * @param {number} number
   */
  contentOf(number) {
    const {text} = this.transcript.cues[number];
    const items = this.marked.get(number);
    return items ? this.marks(text, items) : [text];
  }

  /** @returns {Map<number, Item[]>} by the numbers of their sentences */
  items() {
    const {removal} = this;
    /** @type {Map<number, Item[]>} */
    const found = new Map();
    if (!this.transcript.cues.length) return found;
    for (const [ranges, out] of /** @type {[RangeOfTime[], boolean][]} */ ([
      [removal.removed, true],
      [removal.kept, false],
    ]))
      for (const range of ranges) for (const [number, item] of this.itemsOf(range, out)) found.set(number, [...(found.get(number) ?? []), item]);
    for (const each of found.values()) each.sort((one, other) => one.from - other.from || one.start - other.start);
    return found;
  }

  /**
   * Return the words and the pauses of a range.
   *
   * @param {RangeOfTime} range
   * @param {boolean} out
   * @returns {[number: number, item: Item][]}
   */
  itemsOf({start, end}, out) {
    const {cues} = this.transcript;
    /** @type {[number, Item][]} */
    const items = [];
    let from = start; // of what has no mark yet
    /** @param {number} to */
    const pause = (to) => {
      if (to - from < LEAST_PAUSE) return;
      const number = Math.max(0, this.lastBefore(from));
      const at = placeIn(cues[number], from);
      items.push([number, {word: "", start: from, end: to, out, from: at, to: at}]);
    };
    for (let number = Math.max(0, this.lastBefore(start)); number < cues.length && cues[number].start_seconds < end; number += 1) {
      for (const {start: begins, end: ends, ...word} of placedWords(cues[number])) {
        const middle = (begins + ends) / 2;
        if (middle < start || middle >= end) continue;
        pause(begins);
        items.push([number, {...word, start: Math.max(start, begins), end: Math.min(end, ends), out}]);
        from = Math.max(from, ends);
      }
    }
    pause(end);
    if (items.length) return items;
    const number = Math.max(0, this.lastBefore(start));
    const at = placeIn(cues[number], start);
    return [[number, {word: "", start, end, out, from: at, to: at}]];
  }

  /**
   * Return the number of the last cue that begins at or before a time, or -1.
   *
   * @param {number} time
   */
  lastBefore(time) {
    let [low, high] = [0, this.transcript.cues.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.transcript.cues[middle].start_seconds <= time) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /**
   * Return a sentence with its marks.
   *
   * @param {string} text
   * @param {Item[]} items
   */
  marks(text, items) {
    /** @type {(string | Node)[]} */
    const nodes = [];
    let at = 0;
    for (const item of items) {
      if (item.from > at) nodes.push(text.slice(at, item.from));
      nodes.push(this.mark(item));
      at = Math.max(at, item.to);
    }
    return [...nodes, text.slice(at)];
  }

  /** @param {Item} item */
  mark({word, start, end, out}) {
    const seconds = t("{seconds} s", {seconds: formatNumber(end - start, 1)});
    const name = word
      ? t("“{word}” at {time}", {word, time: formatTime(start, 0)})
      : t("Pause of {length} at {time}", {length: seconds, time: formatTime(start, 0)});
    return h(
      "button",
      {
        type: "button",
        class: word ? "removable" : "removable pause",
        "aria-label": out ? t("{name}: removed", {name}) : t("{name}: put back", {name}),
        "aria-pressed": String(out),
        title: out ? t("Removed from the clip. Click to put it back.") : t("Put back. Click to remove it."),
        tabindex: "-1",
        "data-at": start.toFixed(2),
        onclick: () => (out ? this.removal.putBack({start, end}) : this.removal.remove({start, end})),
      },
      h(out && word ? "del" : "span", {}, word || seconds),
    );
  }

  /**
   * Return the next (1) or the last (-1) mark of the sentences behind or before a row, which may not be in the document.
   *
   * @param {HTMLElement | null} row
   * @param {number} step
   * @returns {HTMLElement | undefined}
   */
  markBeside(row, step) {
    const here = Number(row?.dataset.number);
    const numbers = [...this.marked.keys()].filter((number) => (number - here) * step > 0).sort((one, other) => (one - other) * step);
    return numbers.length ? findAll(this.transcript.rows.show(numbers[0]), ".removable").at(step > 0 ? 0 : -1) : undefined;
  }

  /**
   * ← and → move between the marks, and from a sentence to its marks.
   *
   * @param {KeyboardEvent} event
   */
  key(event) {
    const step = byKey(event, {ArrowRight: 1, ArrowLeft: -1});
    const target = targetOf(event);
    if (!step || !target.matches("button.time, .removable")) return;
    const marks = this.shown;
    const at = marks.findIndex((mark) => mark === target);
    const row = target.closest("li");
    const next = at < 0 ? (step > 0 ? marks.find((mark) => row?.contains(mark)) : undefined) : (marks[at + step] ?? this.markBeside(row, step));
    if (!next && at < 0) return; // a step of one frame
    event.preventDefault();
    next?.focus();
  }
}

/** @param {Item[]} [items] */
const keyOf = (items = []) => items.map(({start, end, out}) => `${start} ${end} ${out}`).join();

/**
 * Return the words of a cue with their places in its text, if the times of words are known and the text has them.
 *
 * @param {Cue} cue
 */
function placedWords({text, words = []}) {
  const placed = [];
  let at = 0;
  for (const [start, end, said] of words) {
    const word = said.trim();
    const from = text.indexOf(word, at);
    if (!word || from < 0) continue;
    at = from + word.length;
    placed.push({word, start, end, from, to: at});
  }
  return placed;
}

/**
 * Return the place of a time in the text of a cue: behind the last word that has ended.
 *
 * @param {Cue} cue
 * @param {number} time
 */
function placeIn(cue, time) {
  const words = placedWords(cue);
  if (!words.length) return time < cue.start_seconds ? 0 : cue.text.length;
  return words.findLast(({start, end}) => (start + end) / 2 <= time)?.to ?? 0;
}

/** @param {Removal} removal */
function summaryOf(removal) {
  if (!removal.removed.length) return t("Nothing is removed here.");
  return plural(removal.removed.length, "{count} range is removed: {seconds} s", "{count} ranges are removed: {seconds} s", {
    seconds: formatNumber(removal.seconds, 1),
  });
}
