// A picture of another time is not shown: the place of the picture is grey until the frame at the position is there.

/** @import {Player} from "./player.js" */

const NEAR_SECONDS = 1.5; // of the position: a picture that stays while the next one is awaited
const WAIT_MS = 250; // so that a seek that ends soon does not flicker

/** @param {Player} player */
export function hideStale(player) {
  const {video, frames, picture, signal} = player;
  /** @type {number | null} the time whose frame the video element shows */
  let played = null;
  /** @type {number | undefined} */
  let timer;

  const isStale = () => {
    const shown = frames.node.hidden ? played : frames.shown;
    return shown === null || Math.abs(shown - player.time) > NEAR_SECONDS;
  };
  const hide = () => {
    timer = undefined;
    if (signal.aborted || !isStale()) return;
    picture.classList.add("unknown");
    if (player.proxy) player.showFrame();
  };
  const check = () => {
    if (!video.seeking && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) played = video.currentTime;
    if (isStale()) {
      timer ??= setTimeout(hide, WAIT_MS);
      return;
    }
    clearTimeout(timer);
    timer = undefined;
    picture.classList.remove("unknown");
  };
  player.addEventListener("time", check);
  for (const name of ["loadeddata", "seeked", "playing"]) video.addEventListener(name, check, {signal});
  frames.node.addEventListener("load", check, {signal});
  check();
}
