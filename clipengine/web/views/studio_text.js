// The transcript of a studio with the marks in it, or, without one, the ways to get one.

import {RemovedMarks} from "../player/transcript/removed_marks.js";
import {Transcript} from "../player/transcript/transcript.js";
import {showCurrent} from "../lib/router.js";
import {keepPlace} from "./studio_place.js";
import {Transcribing} from "./transcribing.js";
import {noTranscript} from "./transcript_upload.js";

/** @import {ClipForm} from "../player/segments/clip_form.js" */
/** @import {Removal} from "../player/segments/removal.js" */
/** @import {StudioSession} from "./studio_session.js" */

/**
 * `onrunning()` is called when a transcription runs.
 *
 * @param {StudioSession} session
 * @param {{transcripts: TranscriptObject[], form: ClipForm, removal: Removal, onrunning: () => void}} options
 */
export function studioText(session, {transcripts, form, removal, onrunning}) {
  const {recording, selection, player, signal} = session;
  const transcript = transcripts.length ? shownTranscript(session, transcripts, form, removal) : null;
  const transcribing = new Transcribing({
    recording,
    hasText: transcript !== null,
    player,
    onrunning,
    onready: (language) => {
      keepPlace({selection, player}, language);
      showCurrent();
    },
    signal,
  });
  transcript?.node.prepend(transcribing.node);
  return {transcript, transcribing, node: transcript?.node ?? noTranscript(recording, showCurrent, transcribing)};
}

/**
 * @param {StudioSession} session
 * @param {TranscriptObject[]} transcripts
 * @param {ClipForm} form
 * @param {Removal} removal
 */
function shownTranscript({recording, selection, player, timeline, seekTo, signal}, transcripts, form, removal) {
  /** @type {RemovedMarks | null} */
  let marks = null;
  const transcript = new Transcript({
    recording,
    transcripts,
    player,
    selection,
    signal,
    onseek: seekTo,
    onselect: (text) => {
      timeline.revealSelection();
      form.suggest(text);
    },
    onadd: (cue, text) => {
      selection.clear(); // a new segment, not a change of the current one
      selection.set(cue.start_seconds, cue.end_seconds);
      form.suggest(text);
      form.addSegment();
    },
    onloaded: (cues) => {
      timeline.setCues(cues);
      marks?.redraw();
    },
  });
  marks = new RemovedMarks({transcript, removal, signal});
  return transcript;
}
