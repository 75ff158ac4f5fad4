// The place in a recording that its address has: the time, the selected range, and the language of the transcript.

import {setQuery} from "../lib/router.js";

/** @import {Live} from "./live.js" */
/** @import {Player} from "../player/media/player.js" */
/** @import {Selection} from "../player/segments/selection.js" */
/** @import {Timeline} from "../player/timeline/timeline.js" */
/** @import {Transcript} from "../player/transcript/transcript.js" */

/**
 * Show the time and select the range of the address. Without a range, the sentence at the time is selected; without a
 * place, a recording that is still written is shown at its end.
 *
 * @param {Record<string, string>} place
 * @param {{selection: Selection, player: Player, timeline: Timeline, transcript: Transcript | null, live: Live}} studio
 */
export function showPlace(place, {selection, player, timeline, transcript, live}) {
  const [time, start, end] = [place.t, place.in, place.out].map((text) => (text ? Number(text) : Number.NaN)); // 0 is a time
  if (end > start) selection.set(start, end);
  const timed = time >= 0;
  if (!timed && selection.empty) live.open();
  if (!timed) return;
  player.seek(time);
  timeline.reveal(player.time);
  if (selection.empty) transcript?.selectWhenLoaded(time);
}

/**
 * Keep the place in the address, before the view is drawn again.
 *
 * @param {{selection: Selection, player: Player}} studio
 * @param {string} language
 */
export function keepPlace({selection, player}, language) {
  const [start, end] = [selection.start, selection.end].map((time) => (time === null ? "" : String(time)));
  setQuery({t: player.time, in: start, out: end, language}); // without a time at the start, where a sentence may begin
}

/**
 * Return the transcripts in the order in which the API prefers them: the one in this language, then those with cues, the
 * oldest first.
 *
 * @param {TranscriptObject[]} transcripts
 * @param {string} [language]
 */
export const preferredFirst = (transcripts, language) =>
  [...transcripts].sort(
    (a, b) =>
      Number(b.language === language) - Number(a.language === language) ||
      Number(b.cues > 0) - Number(a.cues > 0) ||
      a.created_at.localeCompare(b.created_at) ||
      (a.language < b.language ? -1 : 1),
  );
