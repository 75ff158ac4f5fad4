// The transcript of a recording: it follows playback, is searched, and selected text selects its range.

import {get, query} from "../lib/api.js";
import {addArrowNavigation, announce, debounce, find, findAll, h, icon, setText, targetOf} from "../lib/dom.js";
import {formatTime, languageName} from "../lib/format.js";
import {markedText, typedQuery} from "../lib/search_query.js";
import {plural, t} from "../lib/texts.js";
import {errorState, errorText} from "../lib/ui.js";
import {cueRow, exportLinks, hasSelectedText, nameOf, sentence, setTabStop, startsParagraph} from "./cue_rows.js";
import {editSentence} from "./sentence_edit.js";
import {sentenceTools} from "./sentence_tools.js";
import {suggestedMoments} from "./suggestions.js";

/** @import {Player} from "./player.js" */
/** @import {Selection} from "./selection.js" */

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
const SEARCH_MS = 250;
const HITS = 100; // of a page of results
const SAME_SECONDS = 0.001;

export class Transcript {
  /**
   * @param {TranscriptOptions} options
   */
  constructor({recording, transcripts, player, selection, onseek, onselect, onadd, onloaded, signal}) {
    this.player = player;
    this.selection = selection;
    this.onseek = onseek;
    this.onselect = onselect;
    this.onadd = onadd;
    this.exports = h("p", {class: "row exports small"});
    this.onloaded = onloaded;
    /** @type {number | null} whose sentence is selected when the text is there */
    this.wanted = null;
    this.signal = signal;
    this.base = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/transcripts`);
    /** @type {Cue[]} sorted by start */
    this.cues = [];
    /** @type {HTMLElement[]} of the cues */
    this.rows = [];
    /** @type {WeakMap<Element, Cue>} by row, also of the hits */
    this.cueOf = new WeakMap();
    this.current = -1;
    this.readUntil = 0;
    /** @type {Cue | null} */
    this.anchor = null; // the cue that was shown last: the next selection with Shift begins there
    this.selecting = false; // while this transcript changes the selection
    /** @type {Cue[]} */
    this.textCues = []; // whose text is selected
    /** @type {string} */
    this.language = transcripts[0].language;
    this.list = h("ol", {class: "cues text", "aria-label": t("Transcript"), "aria-busy": "true"});
    this.hits = h("ol", {class: "cues found-cues", "aria-label": t("Matches"), hidden: true});
    this.status = h("p", {class: "muted small", role: "status"});
    this.more = h("button", {type: "button", class: "link small", hidden: true, onclick: () => this.find(this.next)}, t("Show more"));
    /** @type {string | null} */
    this.next = null; // cursor of the next page of hits
    this.searched = 0; // number of searches, of which the last one counts
    this.search = h("input", {type: "search", placeholder: t("Search what is said"), title: t("Search (/)"), "aria-label": t("Search the transcript")});
    const languages = h(
      "select",
      {"aria-label": t("Language"), hidden: transcripts.length < 2},
      transcripts.map(({language}) => h("option", {value: language, selected: language === this.language}, languageName(language))),
    );
    const moments = suggestedMoments(recording, {language: () => this.language, onpick: (moment) => this.selectCues([moment]), signal});
    languages.addEventListener("change", () => {
      this.language = languages.value;
      this.load();
      this.find();
      moments.load();
    });
    this.node = h(
      "div",
      {class: "transcript"},
      h("div", {class: "row tools"}, h("div", {class: "search grow"}, icon("search"), this.search, h("kbd", {"aria-hidden": "true"}, "/")), languages),
      moments.node,
      h("div", {class: "row found"}, this.status, this.more),
      this.hits,
      this.list,
      this.exports,
    );
    this.bindEvents(debounce(SEARCH_MS, () => this.find()));
    this.load();
  }

  /** @param {() => void} find */
  bindEvents(find) {
    const {signal} = this;
    this.player.addEventListener("time", () => this.follow(), {signal});
    this.selection.addEventListener(
      "change",
      () => {
        if (!this.selecting) this.anchor = null;
        this.markSelected();
      },
      {signal},
    );
    for (const list of [this.list, this.hits]) {
      addArrowNavigation(list);
      list.addEventListener("click", (event) => this.click(event));
      list.addEventListener("keydown", (event) => event.key === "Enter" && event.shiftKey && this.click(event));
    }
    sentenceTools(this.list, {onadd: (row) => this.addSentence(row), onedit: (row) => this.editRow(row)});
    this.list.addEventListener("keydown", (event) => {
      if (event.key === "F2" && targetOf(event).matches("button.time")) this.editRow(targetOf(event).closest("li"));
    });
    this.list.addEventListener("dblclick", (event) => {
      const row = targetOf(event).closest("p")?.closest("li");
      const cue = row && this.cueOf.get(row);
      if (!cue) return;
      getSelection()?.removeAllRanges();
      this.selectCues([cue]);
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
    const selectSoon = debounce(150, () => signal.aborted || this.selectText());
    document.addEventListener(
      "selectionchange",
      () => {
        if (getSelection()?.isCollapsed) this.textCues = []; // at once: the same text may be selected again before the delay ends
        selectSoon();
      },
      {signal},
    );
    this.search.addEventListener("input", find);
    this.search.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const first = this.hits.querySelector("button");
      if (event.key === "Escape" && this.search.value) {
        this.search.value = "";
        this.find();
      } else if (event.key === "ArrowDown" && first) first.focus();
      else if (event.key === "Enter" && first) first.click();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
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
    this.anchor = null;
    this.rows = cues.map((cue, at) => this.known(cue, sentence(cue, startsParagraph(cues, at))));
    this.list.replaceChildren(...(cues.length ? this.rows : [h("li", {class: "muted"}, t("This transcript has no text."))]));
    if (this.rows.length) setTabStop(this.rows[0]);
    this.onloaded(cues);
    this.markSelected();
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
    this.selectCues([cue]);
    this.rows[this.cues.indexOf(cue)].scrollIntoView({block: "nearest"});
  }

  // ---- playback

  /**
   * Return the number of the last cue that has begun at a time, or -1. A cue has begun on the frame that a seek to its
   * start shows, which may start half a frame before it.
   *
   * @param {number} time
   */
  indexAt(time) {
    let [low, high] = [0, this.cues.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const start = this.cues[middle].start_seconds;
      if (Math.min(start, this.selection.snap(start)) <= time + 1e-3) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  follow() {
    const at = this.indexAt(this.player.time);
    if (at === this.current) return;
    const [before, row] = [this.rows[this.current], this.rows[at]];
    this.current = at;
    if (before) before.removeAttribute("aria-current");
    if (!row) return;
    row.setAttribute("aria-current", "true");
    if (!this.list.contains(document.activeElement)) this.makeTabStop(row);
    if (performance.now() > this.readUntil) this.reveal(row);
  }

  // Scroll the list, and only the list.
  reveal(row = this.rows[this.current]) {
    if (!row || !this.list.clientHeight) return;
    this.list.scrollTop = row.offsetTop - (this.list.clientHeight - row.offsetHeight) / 3;
  }

  // Focus the current cue.
  focus() {
    const target = find(this.list, "button[tabindex='0']");
    if (target && !this.list.hidden) target.focus({preventScroll: true});
    else this.search.focus();
  }

  /** @param {HTMLElement} row */
  makeTabStop(row) {
    for (const other of findAll(this.list, "button[tabindex='0']")) other.tabIndex = -1;
    setTabStop(row);
  }

  // ---- selection

  /**
   * A click on a time shows it. With Shift, the range from the time that was shown last to the end of the cue is selected;
   * if the selection has changed since, it is extended to the cue.
   *
   * @param {MouseEvent | KeyboardEvent} event
   */
  click(event) {
    const row = targetOf(event).closest("button.time")?.closest("li");
    const cue = row && this.cueOf.get(row);
    if (!cue) return;
    event.preventDefault();
    if (event.shiftKey) this.selectTo(cue);
    else {
      this.onseek(cue.start_seconds);
      this.anchor = cue;
    }
  }

  /** @param {Cue} cue */
  selectTo(cue) {
    const {selection, anchor} = this;
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
  selectText() {
    const before = this.textCues;
    this.textCues = this.cuesOfText();
    const [first, last] = [this.textCues[0], this.textCues.at(-1)];
    if (first && (first !== before[0] || last !== before.at(-1))) this.selectCues(this.textCues);
  }

  // Return the cues in which text is selected, none if it reaches out of the transcript.
  cuesOfText() {
    const selected = getSelection();
    if (!selected || selected.isCollapsed || !selected.rangeCount) return [];
    const range = selected.getRangeAt(0);
    /** @param {Node} node */
    const inside = (node) => (node instanceof Element ? node : node.parentElement)?.closest(".cues > li");
    const [first, last] = [inside(range.startContainer), inside(range.endContainer)];
    if (!first || !this.node.contains(first)) return [];
    const cues = [];
    for (const row of first.parentElement?.children ?? []) {
      const [cue, text] = [this.cueOf.get(row), row.querySelector("p")];
      if (cue && text && range.intersectsNode(text) && hasSelectedText(text, range)) cues.push(cue);
    }
    return last && !this.node.contains(last) ? [] : cues;
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

  /** @param {Cue[]} cues that follow each other */
  selectCues(cues) {
    const end = Math.max(...cues.map((cue) => cue.end_seconds));
    const {selection} = this;
    if (selection.start === selection.snap(cues[0].start_seconds) && selection.end === selection.snap(end)) return;
    selection.clear(); // a new range, not a change of the current segment
    selection.set(cues[0].start_seconds, end);
    if (!this.player.playing && selection.range) this.onseek(selection.range.start);
    this.onselect(nameOf(cues));
  }

  markSelected() {
    const {selection, rows, cues} = this;
    for (const row of this.list.querySelectorAll(".in")) row.classList.remove("in", "first", "last");
    if (!selection.range) return;
    const {start, end} = selection.range;
    for (let at = Math.max(0, this.indexAt(start) - 1); at < rows.length && selection.snap(cues[at].start_seconds) < end - 1e-3; at += 1) {
      rows[at].classList.toggle("in", selection.snap(cues[at].end_seconds) > start + 1e-3);
    }
    const marked = findAll(this.list, ".in");
    marked.at(0)?.classList.add("first");
    marked.at(-1)?.classList.add("last");
  }

  // ---- search

  /** @param {string | null} [cursor] */
  async find(cursor = null) {
    const q = typedQuery(this.search.value);
    this.searched += 1;
    const {searched, language} = this;
    this.hits.hidden = !q;
    this.list.hidden = Boolean(q);
    if (!q) {
      setText(this.status, "");
      this.more.hidden = true;
      this.hits.replaceChildren();
      this.reveal();
      return;
    }
    try {
      const page = await get(query(`${this.base}/${language}/search`, {q, limit: HITS, cursor}), {signal: this.signal});
      if (searched !== this.searched) return; // another search has begun, or the same page was requested again
      if (!cursor) this.hits.replaceChildren();
      this.hits.querySelector(".more")?.remove();
      const rows = page.data.map((hit) => this.known(hit, cueRow(hit, hit.speaker, markedText(hit))));
      for (const row of rows) setTabStop(row);
      this.hits.append(...rows);
      const shown = this.hits.children.length;
      this.next = page.next_cursor;
      this.more.hidden = !this.next;
      if (this.next) this.hits.append(h("li", {class: "more"}, h("button", {type: "button", onclick: () => this.find(this.next)}, t("Show more"))));
      const found = this.next ? plural(shown, "{count} or more matches", "{count} or more matches") : plural(shown, "{count} match", "{count} matches");
      setText(this.status, shown ? found : t("No matches"));
    } catch (error) {
      if (error.name !== "AbortError" && searched === this.searched) this.status.replaceChildren(errorText(error));
    }
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
