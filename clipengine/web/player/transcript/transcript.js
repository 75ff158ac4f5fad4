// The transcript of a recording: it follows playback, is searched, and selected text selects its range.

import {get, query} from "../../lib/api.js";
import {addArrowNavigation, findAll, h, targetOf} from "../../lib/dom.js";
import {errorState} from "../../lib/error_views.js";
import {languageName} from "../../lib/format.js";
import {mayEdit} from "../../lib/rights.js";
import {t} from "../../lib/texts.js";
import {exportLinks, indexOfCue, nameOf, paragraphsOf, sentence, setTabStop} from "./cue_rows.js";
import {CueSelection} from "./cue_selection.js";
import {markMatch, matchKeys} from "./match_keys.js";
import {editSentence} from "./sentence_edit.js";
import {sentenceTools} from "./sentence_tools.js";
import {suggestedMoments} from "./suggestions.js";
import {TextRows} from "./text_rows.js";
import {TranscriptSearch} from "./transcript_search.js";

/** @import {Player} from "../media/player.js" */
/** @import {RemovedMarks} from "./removed_marks.js" */
/** @import {Selection} from "../segments/selection.js" */

/**
 * @typedef {object} TranscriptOptions
 * @property {Recording} recording
 * @property {TranscriptObject[]} transcripts at least one; the first one is shown
 * @property {Player} player
 * @property {Selection} selection
 * @property {(time: number) => void} onseek shows a time
 * @property {(text: string) => void} onselect is called with the text that has selected a range
 * @property {(cue: Cue, text: string) => void} onadd adds a sentence to the segments
 * @property {(cues: Cue[]) => void} onloaded is called when the cues of a language have arrived
 * @property {AbortSignal} signal
 */

const READING_MS = 4000; // after the last scroll by hand, before the text follows playback again
const SAME_SECONDS = 0.001;

export class Transcript {
  /**
   * @param {TranscriptOptions} options
   */
  constructor({recording, transcripts, player, selection, onseek, onselect, onadd, onloaded, signal}) {
    this.player = player;
    this.selection = selection;
    this.onseek = onseek;
    this.onadd = onadd;
    this.exports = h("p", {class: "row exports small"});
    this.onloaded = onloaded;
    /** @type {number | null} whose sentence is selected when the text is there */
    this.wanted = null;
    this.signal = signal;
    this.base = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/transcripts`);
    /** @type {Cue[]} sorted by start */
    this.cues = [];
    /** @type {RemovedMarks | null} marks in the text */
    this.marks = null;
    /** @type {WeakMap<Element, Cue>} by row, also of the hits */
    this.cueOf = new WeakMap();
    this.current = -1;
    this.readUntil = 0;
    /** @type {string} */
    this.language = transcripts[0].language;
    this.list = h("ol", {class: "cues text", "aria-label": t("Transcript"), "aria-busy": "true"});
    this.chosen = new CueSelection(this, {onselect, signal});
    this.rows = new TextRows(this.list, {make: (number, first) => this.row(number, first), ondrawn: () => this.setStops(), signal});
    this.search = new TranscriptSearch({
      path: () => `${this.base}/${this.language}`,
      known: (hit, row) => this.known(hit, row),
      onfind: (searching) => {
        this.list.hidden = searching;
        if (!searching) this.reveal();
      },
      signal,
    });
    const languages = h(
      "select",
      {"aria-label": t("Language"), hidden: transcripts.length < 2},
      transcripts.map(({language}) => h("option", {value: language, selected: language === this.language}, languageName(language))),
    );
    const moments = suggestedMoments(recording, {language: () => this.language, onpick: (moment) => this.chosen.select([moment]), signal});
    languages.addEventListener("change", () => {
      this.language = languages.value;
      this.load();
      this.search.find();
      moments.load();
    });
    this.node = h(
      "div",
      {class: "transcript"},
      h("div", {class: "row tools"}, this.search.fieldNode, languages),
      moments.node,
      this.search.found,
      this.search.hits,
      this.list,
      this.exports,
    );
    this.bindEvents();
    this.load();
  }

  bindEvents() {
    const {signal} = this;
    this.player.addEventListener("time", () => this.follow(), {signal});
    for (const list of [this.list, this.search.hits]) {
      addArrowNavigation(list);
      list.addEventListener("click", (event) => this.click(event));
      list.addEventListener("keydown", (event) => event.key === "Enter" && event.shiftKey && this.click(event));
    }
    if (mayEdit()) this.bindEditing();
    matchKeys(this.node);
    this.list.addEventListener("dblclick", (event) => {
      const row = targetOf(event).closest("p")?.closest("li");
      const cue = row && this.cueOf.get(row);
      if (!cue) return;
      getSelection()?.removeAllRanges();
      this.chosen.select([cue]);
    });
    for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      this.list.addEventListener(
        name,
        () => {
          this.readUntil = performance.now() + READING_MS;
        },
        {passive: true},
      );
    }
    document.addEventListener("keydown", (event) => this.searchKey(event), {signal});
  }

  bindEditing() {
    sentenceTools(this.list, {onadd: (row) => this.addSentence(row), onedit: (row) => this.editRow(row)});
    this.list.addEventListener("keydown", (event) => {
      if (event.key === "F2" && targetOf(event).matches("button.time")) this.editRow(targetOf(event).closest("li"));
    });
  }

  /**
   * Search here in place of the browser, which does not find rows that are not in the document. The second time, the browser searches.
   *
   * @param {KeyboardEvent} event
   */
  searchKey(event) {
    const searches = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "f";
    if (!searches || this.rows.whole || !this.node.checkVisibility() || document.activeElement === this.search.field) return;
    event.preventDefault();
    this.search.focus();
  }

  async load() {
    const {language} = this;
    this.list.setAttribute("aria-busy", "true");
    this.exports.replaceChildren(...exportLinks(`${this.base}/${language}`, language));
    try {
      const cues = /** @type {Cue[]} */ (await get(query(`${this.base}/${language}`, {format: "json"}), {signal: this.signal}));
      if (language === this.language) this.show(cues);
    } catch (error) {
      if (error.name !== "AbortError" && language === this.language)
        this.list.replaceChildren(
          h(
            "li",
            {},
            errorState(error, () => this.load()),
          ),
        );
    }
    if (language === this.language) this.list.setAttribute("aria-busy", "false");
  }

  /** @param {Cue[]} cues */
  show(cues) {
    this.cues = cues;
    this.current = -1;
    this.chosen.anchor = null;
    this.chosen.mark();
    this.rows.set([]);
    this.onloaded(cues);
    this.rows.set(paragraphsOf(cues));
    if (!cues.length) this.list.replaceChildren(h("li", {class: "muted"}, t("This transcript has no text.")));
    this.follow();
    if (this.wanted !== null) this.selectWhenLoaded(this.wanted);
  }

  /**
   * Select the sentence that begins at a time, such as that of a match, now or when the text has arrived.
   *
   * @param {number} time
   */
  selectWhenLoaded(time) {
    this.wanted = this.cues.length ? null : time;
    const cue = this.cues[this.indexAt(time)];
    if (!cue || Math.abs(cue.start_seconds - time) >= SAME_SECONDS || !this.selection.empty) return;
    this.chosen.select([cue]);
    this.rows.show(this.cues.indexOf(cue)).scrollIntoView({block: "nearest"});
  }

  /**
   * @param {number} number of a cue
   * @param {boolean} first of a paragraph
   */
  row(number, first) {
    const {cues} = this;
    const row = sentence(cues[number], first, this.marks?.contentOf(number) ?? cues[number].text);
    if (number === this.current) row.setAttribute("aria-current", "true");
    this.chosen.markRow(number, row);
    return this.known(cues[number], row);
  }

  // ---- playback

  /** @param {number} time */
  indexAt(time) {
    return indexOfCue(this.cues, time, this.selection);
  }

  follow() {
    const at = this.indexAt(this.player.time);
    if (at === this.current) return;
    this.rows.rowOf(this.current)?.removeAttribute("aria-current");
    this.current = at;
    if (at < 0) return;
    this.rows.rowOf(at)?.setAttribute("aria-current", "true");
    this.setStops();
    if (performance.now() > this.readUntil) this.reveal();
  }

  // Scroll the list, and only the list, to a cue.
  reveal(number = this.current) {
    const {list} = this;
    if (number < 0 || !list.clientHeight) return;
    const row = this.rows.show(number);
    list.scrollTop = row.offsetTop - (list.clientHeight - row.offsetHeight) / 3;
    this.rows.draw();
  }

  // Focus the current cue.
  focus() {
    if (this.list.hidden || !this.cues.length) {
      this.search.focus();
      return;
    }
    this.reveal();
    this.setStops();
    this.rows.rowOf(this.current)?.scrollIntoView({block: "nearest"}); // where the page scrolls, and not the list
    findAll(this.list, "button[tabindex='0']")[0]?.focus({preventScroll: true});
  }

  // Let Tab reach the current cue, or the first one on the screen, unless the focus is in the list.
  setStops() {
    this.marks?.setStop();
    if (this.list.contains(document.activeElement)) return;
    const row = this.rows.rowOf(this.current) ?? this.rows.firstVisible();
    for (const other of findAll(this.list, "button.time[tabindex='0']")) other.tabIndex = -1;
    if (row) setTabStop(row);
  }

  // ---- selection

  /**
   * A click on a time shows it, and one on a match selects its sentence. With Shift, the range from the time that was shown last to the end of the cue is selected;
   * if the selection has changed since, it is extended to the cue.
   *
   * @param {MouseEvent | KeyboardEvent} event
   */
  click(event) {
    const match = getSelection()?.isCollapsed && targetOf(event).closest(".found-cues p"); // unless words are selected in it
    const row = (match || targetOf(event).closest("button.time"))?.closest("li");
    const cue = row && this.cueOf.get(row);
    if (!cue) return;
    event.preventDefault();
    if (event.shiftKey) this.chosen.extendTo(cue);
    else if (row.closest(".found-cues")) {
      this.chosen.select([cue]);
      markMatch(row);
    } else {
      this.onseek(cue.start_seconds);
      this.chosen.anchor = cue;
    }
  }

  /** @param {HTMLElement} row */
  addSentence(row) {
    const cue = this.cueOf.get(row);
    if (cue) this.onadd(cue, nameOf([cue]));
  }

  /** @param {HTMLElement | null} row */
  editRow(row) {
    const path = /** @type {const} */ (`${this.base}/${this.language}`);
    editSentence(row, row && this.cueOf.get(row), {path, onsaved: () => this.onloaded(this.cues)});
  }

  /**
   * @param {Cue} cue
   * @param {HTMLElement} row
   */
  known(cue, row) {
    this.cueOf.set(row, cue);
    return row;
  }
}
