// The transcript of a recording: it follows playback, is searched, and selected text selects its range.

import {get, query} from "../lib/api.js";
import {addArrowNavigation, announce, debounce, h, icon, setText} from "../lib/dom.js";
import {formatTime, languageName} from "../lib/format.js";
import {markedText, typedQuery} from "../lib/search_query.js";
import {plural, t} from "../lib/texts.js";
import {errorState, errorText} from "../lib/ui.js";

const READING_MS = 4000; // after the last scroll by hand, before the text follows playback again
const SEARCH_MS = 250;
const HITS = 100; // of a page of results

export class Transcript {
  // `transcripts` are those of the recording, at least one. `onseek(time)` shows a time; `onloaded(cues)` is called when
  // the cues of a language have arrived.
  constructor({recording, transcripts, player, selection, onseek, onloaded, signal}) {
    Object.assign(this, {player, selection, onseek, onloaded, signal});
    this.base = `/v1/recordings/${recording.recording_id}/transcripts`;
    this.cues = []; // {start_seconds, end_seconds, text, speaker?}, sorted by start
    this.rows = []; // elements of the cues
    this.current = -1;
    this.readUntil = 0;
    this.anchor = null; // the cue that was shown last: the next selection with Shift begins there
    this.selecting = false; // while this transcript changes the selection
    this.language = (transcripts.find(({cues}) => cues) || transcripts[0]).language;
    this.list = h("ol", {class: "cues", "aria-label": t("Transcript"), "aria-busy": "true"});
    this.hits = h("ol", {class: "cues", "aria-label": t("Matches"), hidden: true});
    this.status = h("p", {class: "muted small", role: "status"});
    this.more = h("button", {type: "button", class: "link small", hidden: true, onclick: () => this.find(this.next)}, t("Show more"));
    this.next = null; // cursor of the next page of hits
    this.search = h("input", {type: "search", placeholder: t("Search the transcript"), title: t("Search (/)"), "aria-label": t("Search the transcript")});
    const languages = h(
      "select",
      {"aria-label": t("Language"), hidden: transcripts.length < 2},
      transcripts.map(({language}) => h("option", {value: language, selected: language === this.language}, languageName(language))),
    );
    languages.addEventListener("change", () => {
      this.language = languages.value;
      this.load();
      this.find();
    });
    this.node = h(
      "div",
      {class: "transcript"},
      h("div", {class: "row tools"}, h("div", {class: "search grow"}, icon("search"), this.search), languages),
      h("div", {class: "row found"}, this.status, this.more),
      this.hits,
      this.list,
    );
    this.bindEvents(debounce(SEARCH_MS, () => this.find()));
    this.load();
  }

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
    for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      this.list.addEventListener(
        name,
        () => {
          this.readUntil = performance.now() + READING_MS;
        },
        {passive: true},
      );
    }
    document.addEventListener(
      "selectionchange",
      debounce(150, () => signal.aborted || this.selectText()),
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
    try {
      const cues = await get(query(`${this.base}/${language}`, {format: "json"}), {signal: this.signal});
      if (language === this.language) this.show(cues);
    } catch (error) {
      if (error.name !== "AbortError")
        this.list.replaceChildren(
          h(
            "li",
            {},
            errorState(error, () => this.load()),
          ),
        );
    }
    this.list.setAttribute("aria-busy", "false");
  }

  show(cues) {
    this.cues = cues;
    this.current = -1;
    this.anchor = null;
    this.rows = cues.map((cue, at) => cueRow(cue, at && cues[at - 1].speaker === cue.speaker ? null : cue.speaker, [cue.text]));
    this.list.replaceChildren(...(cues.length ? this.rows : [h("li", {class: "muted"}, t("This transcript has no text."))]));
    if (this.rows.length) this.rows[0].querySelector("button").tabIndex = 0;
    this.onloaded(cues);
    this.markSelected();
    this.follow();
  }

  // ---- playback

  // Return the number of the last cue that has begun at a time, or -1.
  indexAt(time) {
    let [low, high] = [0, this.cues.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.cues[middle].start_seconds <= time + 1e-3) low = middle + 1;
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
    this.list.scrollTop = row.offsetTop - (this.list.clientHeight - row.clientHeight) / 3;
  }

  // Focus the current cue.
  focus() {
    const target = this.list.querySelector("button[tabindex='0']");
    if (target && !this.list.hidden) target.focus({preventScroll: true});
    else this.search.focus();
  }

  makeTabStop(row) {
    for (const other of this.list.querySelectorAll("button[tabindex='0']")) other.tabIndex = -1;
    row.querySelector("button").tabIndex = 0;
  }

  // ---- selection

  // A click on a time shows it. With Shift, the range from the time that was shown last to the end of the cue is selected;
  // if the selection has changed since, it is extended to the cue.
  click(event) {
    const button = event.target.closest("button.time");
    if (!button) return;
    event.preventDefault();
    const {cue} = button.closest("li");
    if (event.shiftKey) this.selectTo(cue);
    else {
      this.onseek(cue.start_seconds);
      this.anchor = cue;
    }
  }

  selectTo(cue) {
    const {selection, anchor} = this;
    this.selecting = true;
    if (anchor) selection.clear(); // a new range, not a change of the current segment
    const [start, end] = anchor
      ? [anchor.start_seconds, anchor.end_seconds]
      : selection.empty
        ? [cue.start_seconds, cue.end_seconds]
        : [selection.start, selection.end];
    selection.set(Math.min(start, cue.start_seconds), Math.max(end, cue.end_seconds));
    this.selecting = false;
    announce(t("Selected from {start} to {end}", {start: formatTime(selection.start), end: formatTime(selection.end)}));
  }

  // Select the range of the cues in which text is selected.
  selectText() {
    const selected = getSelection();
    if (selected.isCollapsed || !selected.rangeCount) return;
    const range = selected.getRangeAt(0);
    const inside = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement).closest(".cues > li");
    const [first, last] = [inside(range.startContainer), inside(range.endContainer)];
    if (!first || !this.node.contains(first)) return;
    const cues = [...first.parentElement.children]
      .filter((row) => row.cue && range.intersectsNode(row.querySelector("p")) && hasSelectedText(row.querySelector("p"), range))
      .map((row) => row.cue);
    if (!cues.length || (last && !this.node.contains(last))) return;
    const end = Math.max(...cues.map((cue) => cue.end_seconds));
    const {selection} = this;
    if (selection.start === selection.snap(cues[0].start_seconds) && selection.end === selection.snap(end)) return;
    selection.clear(); // a new range, not a change of the current segment
    selection.set(cues[0].start_seconds, end);
    if (!this.player.playing) this.onseek(selection.start);
  }

  markSelected() {
    const {selection, rows, cues} = this;
    for (const row of this.list.querySelectorAll(".in")) row.classList.remove("in");
    if (selection.empty) return;
    for (let at = Math.max(0, this.indexAt(selection.start) - 1); at < rows.length && cues[at].start_seconds < selection.end - 1e-3; at += 1) {
      rows[at].classList.toggle("in", cues[at].end_seconds > selection.start + 1e-3);
    }
  }

  // ---- search

  async find(cursor = null) {
    const q = typedQuery(this.search.value);
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
      const page = await get(query(`${this.base}/${this.language}/search`, {q, limit: HITS, cursor}), {signal: this.signal});
      if (q !== typedQuery(this.search.value)) return;
      if (!cursor) this.hits.replaceChildren();
      this.hits.querySelector(".more")?.remove();
      const rows = page.data.map((hit) => cueRow(hit, hit.speaker, markedText(hit)));
      for (const row of rows) row.querySelector("button").tabIndex = 0;
      this.hits.append(...rows);
      const shown = this.hits.children.length;
      this.next = page.next_cursor;
      this.more.hidden = !this.next;
      if (this.next) this.hits.append(h("li", {class: "more"}, h("button", {type: "button", onclick: () => this.find(this.next)}, t("Show more"))));
      const found = this.next ? plural(shown, "{count} or more matches", "{count} or more matches") : plural(shown, "{count} match", "{count} matches");
      setText(this.status, shown ? found : t("No matches"));
    } catch (error) {
      if (error.name !== "AbortError") this.status.replaceChildren(errorText(error));
    }
  }
}

function cueRow(cue, speaker, text) {
  const row = h(
    "li",
    {},
    h("button", {type: "button", class: "link time", tabindex: "-1", title: t("Go here; with Shift, select up to here")}, formatTime(cue.start_seconds, 0)),
    h("div", {}, speaker ? h("strong", {}, speaker) : null, h("p", {dir: "auto"}, text)),
  );
  row.cue = cue;
  return row;
}

// True if the range contains text of the node, not only its edge.
function hasSelectedText(node, range) {
  const part = document.createRange();
  part.selectNodeContents(node);
  if (part.compareBoundaryPoints(Range.START_TO_START, range) < 0) part.setStart(range.startContainer, range.startOffset);
  if (part.compareBoundaryPoints(Range.END_TO_END, range) > 0) part.setEnd(range.endContainer, range.endOffset);
  return part.toString().trim() !== "";
}
