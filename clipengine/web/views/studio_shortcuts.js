// The keyboard shortcuts of a recording.

import {announce, find} from "../lib/dom.js";
import {bindShortcuts, showShortcuts} from "../lib/shortcuts.js";
import {t} from "../lib/texts.js";
import {nextShape} from "../player/shapes.js";
import {wordsOf} from "../player/words.js";

const TABS = ["transcript", "clips", "segments", "look"];

/**
 * @typedef {object} Studio
 * @property {ReadyRecording} recording
 * @property {import("../player/segments.js").Segments} segments
 * @property {import("../player/selection.js").Selection} selection
 * @property {import("../player/player.js").Player} player
 * @property {import("../player/timeline.js").Timeline} timeline
 * @property {import("../player/clip_form.js").ClipForm} form
 * @property {import("../player/look.js").Look} look
 * @property {import("./clip_list.js").ClipList} clips
 * @property {import("../player/transcript.js").Transcript | null} transcript
 * @property {{select: (id: string) => void}} beside
 * @property {import("../player/jumps.js").Jumps} jumps
 * @property {{submit: () => void}} panel
 * @property {import("./live.js").Live} live
 * @property {(time: number) => void} seekTo
 * @property {() => void} clipLast
 * @property {() => void} togglePanel
 * @property {() => void} toggleLoop
 */

/**
 * @param {Studio} studio
 * @param {AbortSignal} signal
 */
export function bindStudioShortcuts(studio, signal) {
  const {recording, segments, selection, player, timeline, form, look, clips, transcript, beside, panel, jumps, seekTo} = studio;
  bindShortcuts(
    {
      " ": () => player.toggle(),
      j: () => player.shuttle(-1),
      k: () => player.pause(),
      l: () => player.shuttle(1),
      ArrowLeft: () => player.step(-1),
      ArrowRight: () => player.step(1),
      "Shift+ArrowLeft": () => seekTo(player.time - 1),
      "Shift+ArrowRight": () => seekTo(player.time + 1),
      Home: () => seekTo(0),
      End: () => seekTo(player.duration),
      i: () => selection.setStart(player.shown),
      o: () => selection.setEnd(player.shown),
      "Shift+i": () => selection.range && seekTo(selection.range.start),
      "Shift+o": () => selection.range && seekTo(selection.range.end),
      ...jumps.shortcuts,
      Enter: () => form.submit(),
      "Shift+Enter": () => panel.submit(),
      a: () => form.addSegment(),
      b: () => announce(segments.split(player.shown) ? t("The segment was divided") : t("There is no segment to divide here, or the list is full")),
      q: studio.clipLast,
      e: () => studio.live.follow(),
      r: studio.toggleLoop,
      v: () => look.hasPicture && look.setShape(nextShape(look.shape)),
      "Shift+c": () => look.toggleCaptions(),
      "]": studio.togglePanel,
      ...Object.fromEntries(TABS.map((id, at) => [String(at + 1), () => beside.select(id)])),
      m: () => player.mute(),
      n: () => form.focusLabel(),
      g: () => find(document, ".now")?.focus(),
      c: () => {
        beside.select("clips");
        clips.focus();
      },
      t: () => {
        beside.select("transcript");
        transcript?.focus();
      },
      "/": () => {
        if (!transcript) return;
        beside.select("transcript");
        transcript.search.focus();
      },
      "+": () => timeline.zoom(0.5),
      "=": () => timeline.zoom(0.5),
      "-": () => timeline.zoom(2),
      0: () => timeline.fit(),
      z: () => timeline.showSelection(),
      x: () => selection.clear(),
      "?": () => showShortcuts(wordsOf(recording), {live: studio.live.growing}),
    },
    signal,
  );
}
