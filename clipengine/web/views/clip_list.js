// A list of clips, updated by server-sent events.

import {get, query as address} from "../lib/api.js";
import {announce, find, h} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {PagedList} from "../lib/paged_list.js";
import {bind, within} from "../lib/reactive.js";
import {t} from "../lib/texts.js";
import {clipEntities} from "../store/clips.js";
import {ListQuery} from "../store/list_query.js";
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

/** @import {QueryOptions} from "../store/list_query.js" */
/** @import {ListOptions} from "../lib/paged_list.js" */
/** @import {ClipRowOptions} from "./clip_row.js" */
/** @typedef {"/v1/clips" | `/v1/recordings/${string}/clips`} ClipPath */

/**
 * Return the store of the clips of a view, which follows the events until `signal` aborts. `resync()` is called when events may have
 * been missed.
 *
 * @param {AbortSignal} signal
 * @param {() => void} resync
 */
export function clipStore(signal, resync) {
  const store = clipEntities();
  listen(
    {
      resync: () => {
        store.restart();
        resync();
      },
      deleted: (id) => store.delete(id),
      clip: (clip, name) => {
        const known = store.has(clip.clip_id);
        store.apply([clip], {event: true});
        const {label, error} = clip;
        if (name === "clip.ready" && store.has(clip.clip_id)) announce(t("{label} is ready", {label}));
        if (name === "clip.failed" && known && error) announce(t("{label} failed: {reason}", {label, reason: error.message}));
      },
    },
    signal,
  );
  return store;
}

/**
 * Return the query of a list of clips.
 *
 * @param {Omit<QueryOptions<Clip>, "ask"> & {path: ClipPath}} options
 * @returns {ListQuery<Clip>}
 */
export const clipQuery = ({path, ...options}) => new ListQuery({ask: (values, signal) => get(address(path, values), {signal}), ...options});

/**
 * `clips` are the options of the rows.
 *
 * @typedef {Omit<ListOptions<Clip>, "name" | "skeleton" | "titleOf" | "row"> & {clips?: Omit<ClipRowOptions, "onchange">}} ClipListOptions
 */

/** @extends {PagedList<Clip>} */
export class ClipList extends PagedList {
  /** @param {ClipListOptions} options */
  constructor({clips = {}, ...options}) {
    const {query, signal} = options;
    const {store} = query;
    const onchange = (/** @type {Clip} */ next) => store.apply([next], {fresh: true});
    super({name: t("Clips"), skeleton, titleOf: (clip) => clip.label, row: (clip) => clipRow(clip, {...clips, onchange}), ...options});
    within(signal, () => this.followPlaces(signal));
  }

  /**
   * Request the places of queued clips, which change without an event of the clip.
   *
   * @param {AbortSignal} signal
   */
  followPlaces(signal) {
    const {query} = this;
    /** @param {(clip: Clip) => boolean} test */
    const some = (test) => query.items.some((clip) => clip.step === "queued" && test(clip));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let soon;
    bind(() => {
      clearTimeout(soon);
      if (query.state.value === "ready" && some((clip) => !clip.queue)) soon = setTimeout(load, FIRST_PLACE_MS);
    });
    const load = async () => {
      if (signal.aborted || query.state.peek() !== "ready" || !some(() => true)) return;
      const {asked} = query;
      const page = await query.ask(asked, signal).catch(() => null); // the bar says why
      if (page && query.asked === asked) query.store.apply(page.data.filter((clip) => clip.queue && query.store.has(clip.clip_id)));
    };
    const timer = setInterval(() => document.hidden || load(), PLACES_MS);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      clearTimeout(soon);
    });
  }

  // Focus the newest clip that plays, or else the actions of the newest clip.
  focus() {
    const target = find(this.list, ".poster:enabled") ?? find(this.list, "button, a");
    target?.focus();
  }
}
