// The keyboard shortcuts of a recording.

import {announce, find} from "../lib/dom.js";
import {mayEdit} from "../lib/rights.js";
import {bindShortcuts, showShortcuts} from "../lib/shortcuts.js";
import {t} from "../lib/texts.js";
import {nextShape} from "../player/look/shapes.js";
import {wordsOf} from "../player/timeline/words.js";

const TABS = ["transcript", "clips", "segments"];

/**
 * @typedef {object} Studio
 * @property {import("./studio_session.js").StudioSession} session
 * @property {import("../player/segments/segments.js").Segments} segments
 * @property {import("../player/segments/clip_form.js").ClipForm} form
 * @property {import("../player/look/look.js").Look} look
 * @property {import("./clip_list.js").ClipList} clips
 * @property {import("../player/transcript/transcript.js").Transcript | null} transcript
 * @property {import("./studio.js").StudioFrame} frame
 * @property {{submit: () => void}} panel
 * @property {() => void} clipLast
 */

/**
 * @param {Studio} studio
 * @param {AbortSignal} signal
 */
export function bindStudioShortcuts({session, segments, form, look, clips, transcript, frame, panel, clipLast}, signal) {
  const {recording, selection, player, timeline, live, jumps, seekTo} = session;
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
      ...(mayEdit() ? editing({form, panel, segments, player, look, frame, clipLast}) : {}),
      e: () => live.follow(),
      r: () => session.toggleLoop(),
      "]": () => frame.togglePanel(),
      ...Object.fromEntries(TABS.map((id, at) => [String(at + 1), () => frame.showPanel(id)])),
      m: () => player.mute(),
      g: () => find(document, ".now")?.focus(),
      c: () => {
        frame.showPanel("clips");
        clips.focus();
      },
      t: () => {
        frame.showPanel("transcript");
        transcript?.focus();
      },
      "/": () => {
        if (!transcript) return;
        frame.showPanel("transcript");
        transcript.search.focus();
      },
      "+": () => timeline.zoom(0.5),
      "=": () => timeline.zoom(0.5),
      "-": () => timeline.zoom(2),
      0: () => timeline.fit(),
      z: () => timeline.showSelection(),
      x: () => selection.clear(),
      "?": () => showShortcuts(wordsOf(recording), {live: live.growing}),
    },
    signal,
  );
}

/**
 * Return the shortcuts of a caller who may make clips.
 *
 * @param {Pick<Studio, "form" | "panel" | "segments" | "look" | "frame" | "clipLast"> & {player: import("../player/media/player.js").Player}} studio
 */
const editing = ({form, panel, segments, player, look, frame, clipLast}) => ({
  Enter: () => form.submit(),
  "Shift+Enter": () => panel.submit(),
  a: () => form.addSegment(),
  b: () => announce(segments.split(player.shown) ? t("The segment was divided") : t("There is no segment to divide here, or the list is full")),
  q: clipLast,
  v: () => look.hasPicture && look.setShape(nextShape(look.shape)),
  "Shift+c": () => look.toggleCaptions(),
  n: () => form.focusLabel(),
  4: () => frame.showPanel("look"),
});
