// Playback without what is removed from the clip. A button beside the player says how much that is, and plays all.

import {h, icon, setText} from "../../lib/dom.js";
import {formatNumber, t} from "../../lib/texts.js";

/** @import {Removal} from "./removal.js" */
/** @import {Player} from "../media/player.js" */

/**
 * Return the button, which is shown while something is removed.
 *
 * @param {{player: Player, removal: Removal, signal: AbortSignal}} options
 */
export function skipping({player, removal, signal}) {
  let skips = true;
  const text = h("span", {class: "time"});
  const toggle = () => {
    skips = !skips;
    draw();
  };
  const button = h("button", {type: "button", class: "quiet skips", onclick: toggle}, icon("scissors"), text);

  function draw() {
    button.hidden = !removal.removed.length;
    button.setAttribute("aria-pressed", String(skips));
    setText(text, t("−{seconds} s", {seconds: formatNumber(removal.seconds, 1)}));
    button.title = skips ? t("Playback skips what is removed. Click to hear all.") : t("Playback has all. Click to skip what is removed.");
    button.setAttribute("aria-label", t("Skip what is removed: {seconds} s", {seconds: formatNumber(removal.seconds, 1)}));
  }

  player.addEventListener("time", () => {
    if (!skips || player.rate <= 0 || player.video.seeking) return;
    const {currentTime: at} = player.video;
    const range = removal.removed.find(({start, end}) => start <= at && at < end - player.selection.frame / 2);
    if (range) player.video.currentTime = player.seekTarget(range.end);
  });
  removal.addEventListener("change", draw, {signal});
  draw();
  return button;
}
