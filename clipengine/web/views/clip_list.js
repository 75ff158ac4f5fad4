// A list of clips, loaded page by page and updated by server-sent events.

import {get, query} from "../lib/api.js";
import {addArrowNavigation, announce, focusNeighbour, h, setChildren} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {errorState} from "../lib/ui.js";
import {clipRow} from "./clip_row.js";

export class ClipList {
  // `filters()` returns the query; `wants(clip)` tells if a clip of an event belongs here; `searching()` is true while all
  // pages are loaded for a search; `empty()` returns what is shown for an empty list.
  constructor({path, filters = () => ({}), wants = () => true, searching = () => false, empty, row = {}, across = false, onchange = () => {}, signal}) {
    Object.assign(this, {path, filters, wants, searching, empty, row, onchange, signal});
    this.clips = new Map();
    this.rows = new Map();
    this.cursor = null;
    this.loaded = false; // whether the skeleton was replaced
    this.complete = false; // whether the first page of the current query is loaded
    this.list = h("ul", {class: "list", "aria-label": "Clips"});
    addArrowNavigation(this.list, {across});
    this.after = h("div", {class: "more"});
    this.node = h("div", {class: "clips"}, this.list, this.after);
    for (let at = 0; at < 3; at += 1) {
      this.list.append(h("li", {class: "clip-row", "aria-hidden": "true"}, h("div", {class: "poster skeleton"}), h("div", {class: "stack"}, h("div", {class: "skeleton bone"}), h("div", {class: "skeleton bone short"}))));
    }
    listen((name, data) => this.handleEvent(name, data), signal);
  }

  handleEvent(name, data) {
    if (name === "resync") this.load({fresh: true});
    else if (name === "clip.deleted") this.remove(data);
    else if (name.startsWith("clip.") && (this.clips.has(data.clip_id) || this.wants(data))) {
      const before = this.clips.get(data.clip_id);
      if (name === "clip.ready") announce(`${data.label} is ready`);
      if (name === "clip.failed" && before) announce(`${data.label} failed: ${data.error.message}`);
      this.put(data);
    }
  }

  // Set a clip. Events that arrive late must not overwrite newer states.
  put(clip, {fresh = false} = {}) {
    const before = this.clips.get(clip.clip_id);
    if (before && before.attempt > clip.attempt) return;
    if (before && before.attempt === clip.attempt && before.status !== "processing" && clip.status === "processing" && !fresh) return;
    this.clips.set(clip.clip_id, clip);
    this.draw(fresh ? clip : null);
  }

  remove(clip) {
    if (!this.clips.delete(clip.clip_id)) return;
    const row = this.rows.get(clip.clip_id);
    this.rows.delete(clip.clip_id);
    const focusNext = row ? focusNeighbour(row.node) : () => {};
    this.draw();
    focusNext();
  }

  // Load the next page; with `fresh` the first one again; with `anew` the first one in place of all loaded clips.
  async load({fresh = false, anew = false} = {}) {
    const asked = this.filters();
    try {
      const page = await get(query(this.path, {limit: this.searching() ? 100 : 50, cursor: fresh || anew ? null : this.cursor, ...asked}), {signal: this.signal});
      if (JSON.stringify(asked) !== JSON.stringify(this.filters())) return; // the filters have changed meanwhile
      if (!this.loaded) this.list.replaceChildren();
      this.loaded = true;
      this.complete = true;
      if (anew) this.clips.clear();
      for (const clip of page.data) this.clips.set(clip.clip_id, clip);
      if (!fresh || this.clips.size === page.data.length) this.cursor = page.next_cursor;
      this.draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      this.list.replaceChildren();
      this.after.replaceChildren(errorState(error, () => this.load()));
    }
  }

  // Focus the newest clip that plays, or else the actions of the newest clip.
  focus() {
    const target = this.list.querySelector(".poster:enabled") || this.list.querySelector("button, a");
    if (target) target.focus();
  }

  // Loaded clips are shown at once.
  reload() {
    this.cursor = null;
    this.complete = false;
    this.draw();
    return this.load({anew: true});
  }

  draw(fresh = null) {
    if (!this.loaded && !fresh) return;
    if (!this.loaded) {
      this.loaded = true;
      this.list.replaceChildren();
    }
    const shown = [...this.clips.values()].filter(this.wants).sort((a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : a.clip_id < b.clip_id ? 1 : -1));
    for (const clip of shown) {
      if (!this.rows.has(clip.clip_id)) {
        this.rows.set(clip.clip_id, clipRow({...this.row, onchange: (next) => this.put(next, {fresh: next.status === "processing"}), ondeleted: (gone) => this.remove(gone)}));
        if (clip === fresh) this.rows.get(clip.clip_id).node.classList.add("fresh");
      }
      this.rows.get(clip.clip_id).update(clip);
    }
    setChildren(this.list, shown.map((clip) => this.rows.get(clip.clip_id).node));
    if (this.cursor && this.searching()) this.after.replaceChildren(h("p", {class: "muted", role: "status"}, "Searching older clips…"));
    else if (shown.length) this.after.replaceChildren(...(this.cursor ? [h("button", {type: "button", onclick: () => this.load()}, "Show more")] : []));
    else this.after.replaceChildren(...(this.complete ? [this.empty()] : []));
    this.onchange(shown);
  }
}
