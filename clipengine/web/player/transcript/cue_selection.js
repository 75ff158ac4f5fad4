// The cues of a transcript and the selection: a cue, or text that is selected in it, selects its range, and the cues of a range are marked.

import {announce, debounce} from "../../lib/dom.js";
import {formatTime} from "../../lib/format.js";
import {t} from "../../lib/texts.js";
import {nameOf} from "./cue_rows.js";
import {cuesOfSelectedText} from "./selected_text.js";

/** @import {Transcript} from "./transcript.js" */

export class CueSelection {
  /**
   * `onselect(text)` is called with the text that has selected a range.
   *
   * @param {Transcript} transcript
   * @param {{onselect: (text: string) => void, signal: AbortSignal}} options
   */
  constructor(transcript, {onselect, signal}) {
    this.transcript = transcript;
    this.onselect = onselect;
    /** @type {Set<number>} numbers of the selected cues, in order */
    this.selected = new Set();
    /** @type {{first?: number, last?: number}} of them */
    this.ends = {};
    /** @type {Cue | null} */
    this.anchor = null; // the cue that was shown last: the next selection with Shift begins there
    this.selecting = false; // while a cue changes the selection
    /** @type {Cue[]} */
    this.textCues = []; // whose text is selected
    transcript.selection.addEventListener(
      "change",
      () => {
        if (!this.selecting) this.anchor = null;
        this.mark();
      },
      {signal},
    );
    const takeSoon = debounce(150, () => signal.aborted || this.takeText());
    document.addEventListener(
      "selectionchange",
      () => {
        if (getSelection()?.isCollapsed) this.textCues = []; // at once: the same text may be selected again before the delay ends
        takeSoon();
      },
      {signal},
    );
  }

  /** @param {Cue} cue */
  extendTo(cue) {
    const {anchor} = this;
    const {selection} = this.transcript;
    this.selecting = true;
    if (anchor) selection.clear(); // a new range, not a change of the current segment
    const [start, end] = anchor
      ? [anchor.start_seconds, anchor.end_seconds]
      : selection.range
        ? [selection.range.start, selection.range.end]
        : [cue.start_seconds, cue.end_seconds];
    selection.set(Math.min(start, cue.start_seconds), Math.max(end, cue.end_seconds));
    this.selecting = false;
    if (!selection.range) return;
    announce(t("Selected from {start} to {end}", {start: formatTime(selection.range.start), end: formatTime(selection.range.end)}));
  }

  // Select the range of the cues in which text is selected, once: browsers fire further events for the same text, and
  // the range may have been changed since.
  takeText() {
    const before = this.textCues;
    this.textCues = cuesOfSelectedText(this.transcript.node, this.transcript.cueOf);
    const [first, last] = [this.textCues[0], this.textCues.at(-1)];
    if (first && (first !== before[0] || last !== before.at(-1))) this.select(this.textCues);
  }

  /** @param {Cue[]} cues that follow each other */
  select(cues) {
    const end = Math.max(...cues.map((cue) => cue.end_seconds));
    const {selection, player, onseek} = this.transcript;
    if (selection.start === selection.snap(cues[0].start_seconds) && selection.end === selection.snap(end)) return;
    selection.clear(); // a new range, not a change of the current segment
    selection.set(cues[0].start_seconds, end);
    if (!player.playing && selection.range) onseek(selection.range.start);
    this.onselect(nameOf(cues));
  }

  // Mark the cues of the selected range.
  mark() {
    const {selection, cues, rows} = this.transcript;
    const {range} = selection;
    this.selected.clear();
    if (range) {
      const [start, end] = [range.start + 1e-3, range.end - 1e-3];
      for (let at = Math.max(0, this.transcript.indexAt(range.start) - 1); at < cues.length && selection.snap(cues[at].start_seconds) < end; at += 1) {
        if (selection.snap(cues[at].end_seconds) > start) this.selected.add(at);
      }
    }
    const numbers = [...this.selected];
    this.ends = {first: numbers[0], last: numbers.at(-1)};
    for (const [number, row] of rows.rows) this.markRow(number, row);
  }

  /**
   * @param {number} number
   * @param {HTMLElement} row
   */
  markRow(number, row) {
    row.classList.toggle("in", this.selected.has(number));
    row.classList.toggle("first", number === this.ends.first);
    row.classList.toggle("last", number === this.ends.last);
  }
}
