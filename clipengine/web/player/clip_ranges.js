// All clips of a recording, for its timeline; the list beside it shows one page of them.

import {get, query} from "../lib/api.js";
import {isStale, listen} from "../lib/events.js";
import {LIMITS} from "../lib/limits.js";

const RETRY_MS = 3000;

/** @param {Clip} clip */
const shownOf = ({label, status, start_seconds: start, end_seconds: end, parts}) => JSON.stringify([label, status, start, end, parts]);

export class ClipRanges {
  /**
   * `onchange(clips)` is called when a clip is new or deleted, or has changed in what a timeline shows.
   *
   * @param {{recording: Recording, signal: AbortSignal, onchange: (clips: Clip[]) => void}} options
   */
  constructor({recording, signal, onchange}) {
    this.signal = signal;
    this.onchange = onchange;
    this.path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/clips`);
    /** @type {Map<string, Clip>} by id */
    this.clips = new Map();
    this.loads = 0;
    listen(
      {
        resync: () => this.load(),
        deleted: (id) => this.remove([id]),
        clip: (clip) => clip.recording_id === recording.recording_id && this.put([clip]),
      },
      signal,
    );
  }

  /**
   * Load the pages after a cursor, or, without one, all of them. A page that fails is requested again.
   *
   * @param {string | null} [cursor]
   */
  async load(cursor = "") {
    this.loads += 1;
    const load = this.loads;
    const unseen = new Set(cursor === "" ? this.clips.keys() : []);
    while (cursor !== null) {
      try {
        /** @type {Page<Clip>} */
        const page = await get(query(this.path, {limit: LIMITS.page, cursor}), {signal: this.signal});
        if (load !== this.loads) return;
        for (const {clip_id: id} of page.data) unseen.delete(id);
        this.put(page.data);
        cursor = page.next_cursor;
      } catch (error) {
        if (error.name === "AbortError" || error.retryable === false) return;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        if (load !== this.loads || this.signal.aborted) return;
      }
    }
    this.remove(unseen);
  }

  /** @param {Clip[]} clips */
  put(clips) {
    const changed = clips.filter((clip) => {
      const before = this.clips.get(clip.clip_id);
      return !before || (!isStale(clip, before) && shownOf(clip) !== shownOf(before));
    });
    for (const clip of changed) this.clips.set(clip.clip_id, clip);
    if (changed.length) this.onchange([...this.clips.values()]);
  }

  /** @param {Iterable<string>} ids */
  remove(ids) {
    const gone = [...ids].filter((id) => this.clips.delete(id));
    if (gone.length) this.onchange([...this.clips.values()]);
  }
}
