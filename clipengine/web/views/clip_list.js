// A list of clips, updated by server-sent events.

import {announce, h} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {PagedList} from "../lib/paged_list.js";
import {clipRow} from "./clip_row.js";

const skeleton = () => h("li", {class: "clip-row", "aria-hidden": "true"}, h("div", {class: "poster skeleton"}), h("div", {class: "stack"}, h("div", {class: "skeleton bone"}), h("div", {class: "skeleton bone short"})));

export class ClipList extends PagedList {
  // `clips` are the options of the rows.
  constructor({clips = {}, ...options}) {
    super({
      name: "Clips",
      skeleton,
      idOf: (clip) => clip.clip_id,
      titleOf: (clip) => clip.label,
      row: (list) => clipRow({...clips, onchange: (next) => list.put(next, {fresh: next.status === "processing"}), ondeleted: (gone) => list.remove(gone.clip_id)}),
      ...options,
    });
    listen((name, data) => this.handleEvent(name, data), this.signal);
  }

  handleEvent(name, data) {
    if (name === "resync") this.load();
    else if (name === "clip.deleted") this.remove(data.clip_id);
    else if (name.startsWith("clip.") && (this.items.has(data.clip_id) || this.wants(data))) {
      const known = this.items.has(data.clip_id);
      if (name === "clip.ready") announce(`${data.label} is ready`);
      if (name === "clip.failed" && known) announce(`${data.label} failed: ${data.error.message}`);
      this.put(data);
    }
  }

  // Events that arrive late must not overwrite newer states.
  put(clip, {fresh = false} = {}) {
    const before = this.items.get(clip.clip_id);
    if (before && before.attempt > clip.attempt) return;
    if (before && before.attempt === clip.attempt && before.status !== "processing" && clip.status === "processing" && !fresh) return;
    super.put(clip, {fresh});
  }

  newer(clip) {
    const before = this.items.get(clip.clip_id);
    return before && before.attempt > clip.attempt ? before : clip;
  }

  // Focus the newest clip that plays, or else the actions of the newest clip.
  focus() {
    const target = this.list.querySelector(".poster:enabled") || this.list.querySelector("button, a");
    if (target) target.focus();
  }
}
