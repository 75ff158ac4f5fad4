// A list of clips, updated by server-sent events.

import {get, query} from "../lib/api.js";
import {announce, debounce, find, h} from "../lib/dom.js";
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
    h("div", {class: "stack words"}, h("div", {class: "skeleton bone"}), h("div", {class: "skeleton bone short"})),
  );

/** @import {ListOptions} from "../lib/paged_list.js" */
/** @import {ClipRowOptions} from "./clip_row.js" */

/**
 * `clips` are the options of the rows.
 *
 * @typedef {Omit<ListOptions<Clip>, "name" | "skeleton" | "idOf" | "titleOf" | "row"> & {clips?: Omit<ClipRowOptions, "onchange" | "ondeleted">}} ClipListOptions
 */

/** @extends {PagedList<Clip>} */
export class ClipList extends PagedList {
  /** @param {ClipListOptions} options */
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
    listen(
      {
        resync: () => this.resync(),
        deleted: (id) => this.remove(id),
        clip: (clip, name) => this.changed(clip, name),
      },
      this.signal,
    );
    this.placesSoon = debounce(FIRST_PLACE_MS, () => this.signal.aborted || this.refreshPlaces());
    const timer = setInterval(() => document.hidden || this.refreshPlaces(), PLACES_MS);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /**
   * @param {Clip} clip
   * @param {string} name of the event
   */
  changed(clip, name) {
    const known = this.items.has(clip.clip_id);
    if (!known && !this.wants(clip)) return;
    const {label, error} = clip;
    if (name === "clip.ready") announce(t("{label} is ready", {label}));
    if (name === "clip.failed" && known && error) announce(t("{label} failed: {reason}", {label, reason: error.message}));
    this.put(clip);
  }

  /**
   * A `fresh` clip is that of the response to an action, which may start the same attempt again.
   *
   * @param {Clip} clip
   * @param {{fresh?: boolean}} [options]
   */
  put(clip, {fresh = false} = {}) {
    const before = this.items.get(clip.clip_id);
    if (before && isStale(clip, before) && !(fresh && before.attempt === clip.attempt)) return;
    super.put(clip.queue ? clip : {...clip, queue: before?.queue ?? null}, {fresh}); // events have no places
    if (clip.step === "queued" && !clip.queue && !before?.queue) this.placesSoon();
  }

  // Places in the queue change without an event of the clip.
  async refreshPlaces() {
    if (!this.complete || !this.shown.some((clip) => clip.step === "queued")) return;
    const {asked} = this;
    const request = get(query(this.path, asked), {signal: this.signal});
    const page = /** @type {Page<Clip> | null} */ (await request.catch(() => null)); // the bar says why
    if (!page || this.asked !== asked) return;
    for (const clip of page.data) if (clip.queue && this.items.has(clip.clip_id)) this.put(clip);
  }

  /** @param {Clip} clip */
  newer(clip) {
    const before = this.items.get(clip.clip_id);
    return before && before.attempt > clip.attempt ? before : clip;
  }

  // Focus the newest clip that plays, or else the actions of the newest clip.
  focus() {
    const target = find(this.list, ".poster:enabled") ?? find(this.list, "button, a");
    target?.focus();
  }
}
