// Playback backward, which browsers do not have: the player seeks to earlier frames.

/** @import {Player} from "./player.js" */

/**
 * Play backward from the current frame, until the player gets another rate or is at the start.
 *
 * @param {Player} player
 * @param {number} rate
 */
export function playBackward(player, rate) {
  const from = player.time;
  player.video.pause();
  player.position = from;
  const running = player.rate < 0;
  player.rate = -rate;
  player.emit("state");
  if (running) return;
  let before = performance.now();
  /** @param {number} now */
  const back = (now) => {
    if (player.rate >= 0) return;
    const passed = ((now - before) / 1000) * -player.rate;
    if (!player.video.seeking && passed >= player.selection.frame) {
      before = now;
      player.seek(player.position - passed);
    }
    if (player.position <= 0) player.stopAtFrame();
    else requestAnimationFrame(back);
  };
  requestAnimationFrame(back);
}
