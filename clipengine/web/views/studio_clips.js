// The clips of a studio: their list, their bands on the timeline, their number and the next default name.

import {get, query as address} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {LIMITS} from "../lib/limits.js";
import {bind, within} from "../lib/reactive.js";
import {mayEdit} from "../lib/rights.js";
import {formatNumber, t} from "../lib/texts.js";
import {AllQuery} from "../store/all_query.js";
import {bandsOf, highestNumber, numberOf} from "../store/clip_bands.js";
import {signal as signalOf} from "../vendor/signals-core.js";
import {ClipList, clipQuery, clipStore} from "./clip_list.js";
import {announceReady} from "./ready_toast.js";

/** @import {StudioSession} from "./studio_session.js" */

const CLIPS_MS = 800; // until the studio is shown without its clips

export class StudioClips {
  /**
   * @param {StudioSession} session
   * @param {(clip: Clip) => void} onlocate
   */
  constructor({recording, times, timeline, signal}, onlocate) {
    const path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/clips`);
    const wants = (/** @type {Clip} */ clip) => clip.recording_id === recording.recording_id;
    const ask = (/** @type {string} */ cursor, /** @type {AbortSignal} */ until) => get(address(path, {limit: LIMITS.page, cursor}), {signal: until});
    const store = clipStore(signal, () => {
      this.query.resync();
      this.all.load();
    });
    this.signal = signal;
    this.store = store;
    this.query = clipQuery({path, store, limit: 100, wants, signal});
    this.all = new AllQuery({store, ask, wants, signal});
    const format = () => (/** @type {number} */ seconds) => times.format(seconds);
    const clock = signalOf(format()); // another function when times are shown in another way
    const update = () => {
      clock.value = format();
    };
    times.addEventListener("change", update, {signal});
    const timeOf = (/** @type {number} */ seconds) => clock.value(seconds).replace(/[.,]\d+$/, "");
    this.list = new ClipList({query: this.query, empty: noClips, clips: {onlocate, timeOf}, signal});
    this.highest = highestNumber(this.all);
    this.ready = announceReady(store);
    const bands = bandsOf(this.all);
    this.count = within(signal, () => {
      bind(() => timeline.setClips(bands.value.map((id) => store.stateOf(id).peek())));
      bind(this.ready.look);
      return h("span", {class: "muted"}, () => (this.all.shown.value.length ? formatNumber(this.all.shown.value.length) : ""));
    });
  }

  // Load the clips. The promise resolves when the first ones are there, or soon without them.
  async load() {
    const {query, all, signal} = this;
    const first = query.load().then(() => {
      if (signal.aborted) return;
      all.add(query.ids.peek());
      all.load(query.state.peek() === "ready" ? query.next.peek() : ""); // the pages after it; if it has failed, all
    });
    await Promise.race([first, new Promise((resolve) => setTimeout(resolve, CLIPS_MS))]);
  }

  /** @param {Clip} clip that was made here */
  made(clip) {
    this.store.apply([clip], {fresh: true});
    this.ready.watch(clip.clip_id);
  }

  /**
   * Return the next default label. It follows the clips in a binding.
   *
   * @param {Iterable<string>} pending labels of requests without a response
   */
  nextLabel(pending) {
    return `Clip ${Math.max(this.highest.value, ...[...pending].map(numberOf)) + 1}`;
  }
}

const noClips = () =>
  h(
    "div",
    {class: "empty"},
    h("h2", {}, t("No clips yet")),
    mayEdit() && h("p", {}, t("Select a range on the timeline, then make the clip. It appears here at once, and you can select the next one.")),
  );
