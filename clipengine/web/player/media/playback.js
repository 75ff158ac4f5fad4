// Playback: forward, in which the player follows the element and repeats the range, and backward, which browsers do not
// have: the player seeks to earlier frames.

/** @import {Player} from "./player.js" */

const RATES = [1, 2, 4, 8];

/**
 * Return the rate after J or L: normal speed first, then double, up to eightfold.
 *
 * @param {number} rate
 * @param {1 | -1} direction
 */
export function nextRate(rate, direction) {
  if (Math.sign(rate) !== direction) return 1;
  return RATES[Math.min(RATES.indexOf(Math.abs(rate)) + 1, RATES.length - 1)];
}

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

/**
 * Report the position at each picture of the display while playing forward, and repeat the selected range if that is on.
 *
 * @param {Player} player
 */
export function trackPlayback(player) {
  const tick = () => {
    if (player.rate <= 0) return;
    const {selection, video} = player;
    const {range, frame} = selection;
    if (player.looping && range && (video.currentTime >= range.end - 0.01 || video.currentTime < range.start - frame)) {
      video.currentTime = player.seekTarget(range.start);
    }
    player.emit("time");
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}
