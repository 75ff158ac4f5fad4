// The search of a transcript: a field, and the matches in place of the text.

import {get, query} from "../../lib/api.js";
import {debounce, h, icon, setText} from "../../lib/dom.js";
import {errorText} from "../../lib/error_views.js";
import {markedText, typedQuery} from "../../lib/search_query.js";
import {plural, t} from "../../lib/texts.js";
import {cueRow, setTabStop} from "./cue_rows.js";

const SEARCH_MS = 250;
const HITS = 100; // of a page of results

export class TranscriptSearch {
  /**
   * `path()` returns the path of the transcript, and `known(hit, row)` adds a row. `onfind(searching)` is called when matches are
   * shown, or the text again.
   *
   * @param {{path: () => `/v1/recordings/${string}/transcripts/${string}`, known: (hit: Cue, row: HTMLElement) => HTMLElement, onfind: (searching: boolean) => void, signal: AbortSignal}} options
   */
  constructor({path, known, onfind, signal}) {
    this.path = path;
    this.known = known;
    this.onfind = onfind;
    this.signal = signal;
    this.hits = h("ol", {class: "cues found-cues", "aria-label": t("Matches"), hidden: true});
    this.status = h("p", {class: "muted small", role: "status"});
    this.more = h("button", {type: "button", class: "link small", hidden: true, onclick: () => this.find(this.next)}, t("Show more"));
    /** @type {string | null} */
    this.next = null; // cursor of the next page of hits
    this.searched = 0; // number of searches, of which the last one counts
    this.field = h("input", {type: "search", placeholder: t("Search what is said"), title: t("Search (/)"), "aria-label": t("Search the transcript")});
    this.fieldNode = h("div", {class: "search grow"}, icon("search"), this.field, h("kbd", {"aria-hidden": "true"}, "/"));
    this.found = h("div", {class: "row found"}, this.status, this.more);
    this.field.addEventListener(
      "input",
      debounce(SEARCH_MS, () => this.find()),
    );
    this.field.addEventListener("keydown", (event) => this.key(event));
  }

  focus() {
    this.field.focus();
    this.field.select();
  }

  /** @param {KeyboardEvent} event of the field; match_keys.js has those that go to a match */
  key(event) {
    if (event.isComposing) return;
    if (event.key !== "Escape" || !this.field.value) return;
    this.field.value = "";
    this.find();
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string | null} [cursor] */
  async find(cursor = null) {
    const q = typedQuery(this.field.value);
    this.searched += 1;
    const {searched} = this;
    this.hits.hidden = !q;
    if (!q) {
      setText(this.status, "");
      this.more.hidden = true;
      this.hits.replaceChildren();
    }
    this.onfind(q !== "");
    if (!q) return;
    try {
      const page = await get(query(`${this.path()}/search`, {q, limit: HITS, cursor}), {signal: this.signal});
      if (searched === this.searched) this.show(page, cursor === null); // else another search has begun, or the same page was requested again
    } catch (error) {
      if (error.name !== "AbortError" && searched === this.searched) this.status.replaceChildren(errorText(error));
    }
  }

  /**
   * @param {Page<Omit<SearchHit, "recording_id" | "language">>} page
   * @param {boolean} first
   */
  show(page, first) {
    if (first) this.hits.replaceChildren();
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
  }
}
