// The look of new clips, what it removes from them, and what shows both over the player and on the timeline.

import {BlurBoxes} from "../player/look/blur_boxes.js";
import {CropFrame} from "../player/look/crop_frame.js";
import {DrawnCaptions} from "../player/look/drawn_captions.js";
import {DrawnEffects} from "../player/look/drawn_effects.js";
import {Removal} from "../player/segments/removal.js";
import {Look} from "../player/look/look.js";
import {MovesLane} from "../player/timeline/moves_lane.js";

/** @import {History} from "../store/history.js" */
/** @import {Player} from "../player/media/player.js" */
/** @import {Selection} from "../player/segments/selection.js" */
/** @import {ShownTimes} from "../player/timeline/shown_times.js" */
/** @import {Timeline} from "../player/timeline/timeline.js" */

/**
 * @typedef {object} LookOptions
 * @property {ReadyRecording} recording
 * @property {TranscriptObject[]} transcripts
 * @property {Profile[]} profiles
 * @property {Watermark[]} watermarks
 * @property {Selection} selection
 * @property {Player} player
 * @property {ShownTimes} times
 * @property {Timeline} timeline
 * @property {History} undo
 * @property {() => void} onproblem shows the options when one of them cannot be used
 * @property {(time: number) => void} onseek shows a time
 * @property {AbortSignal} signal
 */

/** @param {LookOptions} options */
export function studioLook({timeline, ...options}) {
  const {recording, selection, player, times, undo, onseek, signal} = options;
  const look = new Look(options);
  const effects = new DrawnEffects({look, player, selection, signal});
  const frame = new CropFrame({
    recording,
    look,
    player,
    times,
    onframing: (framing) => {
      effects.show(framing);
      look.size.show(framing);
    },
    signal,
  });
  effects.addFades();
  const removal = new Removal({recording, look, selection, undo, signal});
  removal.addEventListener("change", () => timeline.drawWave());
  if (recording.media.video) {
    new BlurBoxes({look, player, signal});
    new DrawnCaptions({recording, look, removal, player, selection, signal});
    new MovesLane({look, timeline, onseek, signal});
  }
  return {look, removal, views: frame.views};
}
