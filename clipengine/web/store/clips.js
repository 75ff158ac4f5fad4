// The order of the states of a clip, and the store of clips. No DOM.

import {Entities} from "./entities.js";

/**
 * Return true if a clip is older than the known state. Engines of 0.1 count no revisions: attempt and status decide then.
 *
 * @param {Clip} clip
 * @param {Clip} known
 */
export function isOlder(clip, known) {
  if (clip.revision !== known.revision) return clip.revision < known.revision;
  if (known.attempt !== clip.attempt) return known.attempt > clip.attempt;
  return known.status !== "processing" && clip.status === "processing";
}

/**
 * Return the clip with its known place in the queue: events have none.
 *
 * @param {Clip} clip
 * @param {Clip} known
 */
const withPlace = (clip, known) => (clip.queue || clip.step !== "queued" ? clip : {...clip, queue: known.queue});

/** @returns {Entities<Clip>} */
export const clipEntities = () => new Entities({idOf: (clip) => clip.clip_id, isOlder, merged: withPlace});
