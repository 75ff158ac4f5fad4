// A list of clips, updated by server-sent events.

import {get, query} from "../lib/api.js";
import {announce, debounce, h} from "../lib/dom.js";
import {isStale, listen} from "../lib/events.js";
import {PagedList} from "../lib/paged_list.js";
import {t} from "../lib/texts.js";
import {clipRow} from "./clip_row.js";

const PLACES_MS = 5000; // between two requests for the places of queued clips
const FIRST_PLACE_MS = 300;

const skeleton = () =>
  h(
    "li",
    {class: "clip-row", "aria-hidden": "true"},
    h("div", {class: "poster skeleton"}),
    h("div", {class: "stack"}, h("div", {class: "skeleton bone"}), h("div", {class: "skeleton bone short"})),
  );

export class ClipList extends PagedList {
  // `clips` are the options of the rows.
  constructor({clips = {}, ...options}) {
    super({
      name: t("Clips"),
      skeleton,
      idOf: (clip) => clip.clip_id,
      titleOf: (clip) => clip.label,
      row: (list) =>
        clipRow({...clips, onchange: (next) => list.put(next, {fresh: next.status === "processing"}), ondeleted: (gone) => list.remove(gone.clip_id)}),
      ...options,
    });
    listen((name, data) => this.handleEvent(name, data), this.signal);
    this.placesSoon = debounce(FIRST_PLACE_MS, () => this.signal.aborted || this.refreshPlaces());
    const timer = setInterval(() => document.hidden || this.refreshPlaces(), PLACES_MS);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  handleEvent(name, data) {
    if (name === "resync") this.load();
    else if (name === "clip.deleted") this.remove(data.clip_id);
    else if (name.startsWith("clip.") && (this.items.has(data.clip_id) || this.wants(data))) {
      const known = this.items.has(data.clip_id);
      if (name === "clip.ready") announce(t("{label} is ready", {label: data.label}));
      if (name === "clip.failed" && known) announce(t("{label} failed: {reason}", {label: data.label, reason: data.error.message}));
      this.put(data);
    }
  }

  // A `fresh` clip is that of the response to an action, which may start the same attempt again.
  put(clip, {fresh = false} = {}) {
    const before = this.items.get(clip.clip_id);
    if (before && isStale(clip, before) && !(fresh && before.attempt === clip.attempt)) return;
    super.put(clip.queue ? clip : {...clip, queue: before?.queue}, {fresh}); // events have no places
    if (clip.step === "queued" && !clip.queue && !before?.queue) this.placesSoon();
  }

  // Places in the queue change without an event of the clip.
  async refreshPlaces() {
    if (!this.complete || !this.shown.some((clip) => clip.step === "queued")) return;
    const {asked} = this;
    const page = await get(query(this.path, asked), {signal: this.signal}).catch(() => null); // the bar says why
    if (page && this.asked === asked) page.data.filter((clip) => clip.queue && this.items.has(clip.clip_id)).forEach((clip) => this.put(clip));
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
