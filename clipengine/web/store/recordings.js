// The store of recordings. Recordings that are or were live have a revision; others change rarely. No DOM.

import {Entities} from "./entities.js";

/**
 * @param {Recording} recording
 * @param {Recording} known
 */
const isOlder = (recording, known) => (recording.revision ?? Infinity) < (known.revision ?? 0);

/**
 * Return the recording with its known number of clips: events have none.
 *
 * @param {Recording} recording
 * @param {Recording} known
 */
const withCount = (recording, known) => ({...recording, clips_count: recording.clips_count ?? known.clips_count});

/** @returns {Entities<Recording>} */
export const recordingEntities = () => new Entities({idOf: (recording) => recording.recording_id, isOlder, merged: withCount});
