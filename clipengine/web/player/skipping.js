// Playback without what the clip leaves out. A button beside the player says how much that is, and plays all.

import {h, icon, setText} from "../lib/dom.js";
import {formatNumber, t} from "../lib/texts.js";

/** @import {LeftOut} from "./left_out.js" */
/** @import {Player} from "./player.js" */

/**
 * Return the button, which is shown while something is left out.
 *
 * @param {{player: Player, left: LeftOut, signal: AbortSignal}} options
 */
export function skipping({player, left, signal}) {
  let skips = true;
  const text = h("span", {class: "time"});
  const toggle = () => {
    skips = !skips;
    draw();
  };
  const button = h("button", {type: "button", class: "quiet skips", onclick: toggle}, icon("scissors"), text);

  function draw() {
    button.hidden = !left.removed.length;
    button.setAttribute("aria-pressed", String(skips));
    setText(text, t("−{seconds} s", {seconds: formatNumber(left.seconds, 1)}));
    button.title = skips ? t("Playback skips what is left out. Click to hear all.") : t("Playback has all. Click to skip what is left out.");
    button.setAttribute("aria-label", t("Skip what is left out: {seconds} s", {seconds: formatNumber(left.seconds, 1)}));
  }

  player.addEventListener("time", () => {
    if (!skips || player.rate <= 0 || player.video.seeking) return;
    const {currentTime: at} = player.video;
    const range = left.removed.find(({start, end}) => start <= at && at < end - player.selection.frame / 2);
    if (range) player.video.currentTime = player.seekTarget(range.end);
  });
  left.addEventListener("change", draw, {signal});
  draw();
  return button;
}
