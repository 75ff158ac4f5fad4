// What all parts of a studio share: the selection, the player, the timeline, the shown times and the history.

import {get, query} from "../lib/api.js";
import {iconButton} from "../lib/dom.js";
import {t} from "../lib/texts.js";
import {FrameTimes} from "../player/media/frame_times.js";
import {Jumps} from "../player/media/jumps.js";
import {Player} from "../player/media/player.js";
import {Selection} from "../player/segments/selection.js";
import {ShownTimes} from "../player/timeline/shown_times.js";
import {Timeline} from "../player/timeline/timeline.js";
import {bindUndo} from "../player/segments/undo.js";
import {History} from "../store/history.js";
import {Extent} from "../store/session.js";
import {Live} from "./live.js";

/** @import {Segment} from "../store/doc.js" */

export class StudioSession {
  /**
   * `onopen(item)` is called with a clip or a segment that was chosen on the timeline.
   *
   * @param {ReadyRecording} recording
   * @param {{hasCues: boolean, onopen: (item: Clip | Segment) => void, signal: AbortSignal}} options
   */
  constructor(recording, {hasCues, onopen, signal}) {
    const {video} = recording.media;
    this.recording = recording;
    const extent = new Extent(recording);
    this.signal = signal;
    this.history = new History();
    bindUndo(this.history, signal);
    const frameTimes = video?.variable_rate ? framesOf(extent, () => this.selection.resnap(), signal) : null;
    this.selection = new Selection(extent, video, frameTimes);
    extent.onupdate(() => this.selection.limitRange(), signal);
    this.times = new ShownTimes(recording);
    this.player = new Player(extent, this.selection, signal);
    if (frameTimes) this.loadFrames(frameTimes);
    const {selection, times, player} = this;
    this.live = new Live({extent, selection, player, times, signal});
    this.timeline = new Timeline({extent, selection, player, times, signal, hasCues, onopen});
    this.live.timeline = this.timeline;
    this.jumps = new Jumps({recording, player, timeline: this.timeline, signal});
    this.seekTo = (/** @type {number} */ time) => {
      player.pause();
      player.seek(time);
      this.timeline.reveal(player.time);
    };
    this.loop = iconButton("loop", t("Loop the selection (R)"), () => this.toggleLoop(), {"aria-pressed": "false"});
  }

  // Load the frame times around the position and around the ends of the selection.
  loadFrames(/** @type {FrameTimes} */ frameTimes) {
    const {selection, player, signal} = this;
    frameTimes.load(0);
    player.addEventListener("time", () => player.playing || frameTimes.load(player.time), {signal});
    const loadEnds = () => {
      if (!selection.range) return;
      frameTimes.load(selection.range.start);
      frameTimes.load(selection.range.end);
    };
    selection.addEventListener("change", loadEnds, {signal});
  }

  /**
   * Select a range and show its first frame.
   *
   * @param {number} start
   * @param {number} end
   */
  showRange(start, end) {
    this.selection.set(start, end);
    this.timeline.showSelection();
    this.player.pause();
    this.player.seek(start);
  }

  toggleLoop() {
    const {player, selection} = this;
    player.looping = !player.looping;
    this.loop.setAttribute("aria-pressed", String(player.looping));
    if (player.looping && selection.range) {
      player.seek(selection.range.start);
      player.play();
    }
  }
}

/**
 * Return the frame times of a recording with a variable rate.
 *
 * @param {Extent} extent
 * @param {() => void} onknown
 * @param {AbortSignal} signal
 */
function framesOf(extent, onknown, signal) {
  const path = /** @type {const} */ (`/v1/recordings/${extent.recording.recording_id}/frames`);
  /**
   * @param {number} start
   * @param {number} end
   */
  const ask = async (start, end) => (await get(query(path, {start_seconds: start, end_seconds: end}), {signal})).frames;
  return new FrameTimes({extent, ask, onknown, signal});
}
