// Playback of the segments one after the other, as the clip of all of them will be.

import {h, icon} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";

/** @import {Player} from "../media/player.js" */
/** @import {Doc} from "../../store/doc.js" */

/**
 * Return the button that starts and stops it.
 *
 * @param {Player} player
 * @param {Doc} doc
 */
export function playAll(player, doc) {
  let current = 0; // id of the segment that is playing
  const text = h("span", {}, t("Play all"));
  const button = h("button", {type: "button", onclick: () => (current ? player.pause() : start(0))}, icon("play"), text);

  /** @param {number} at place in the list */
  function start(at) {
    const segment = doc.segments.peek()[at];
    if (!segment) {
      player.pause();
      return;
    }
    current = segment.id;
    player.seek(segment.start);
    player.play();
    draw();
  }

  function draw() {
    text.textContent = current ? t("Stop") : t("Play all");
    button.replaceChildren(icon(current ? "pause" : "play"), text);
  }

  player.addEventListener("time", () => {
    if (!current || !player.playing || player.video.seeking) return;
    const place = doc.places.peek().get(current);
    if (!place) player.pause();
    else if (player.time >= place.segment.end - player.selection.frame / 2) start(place.index + 1);
  });
  player.addEventListener("state", () => {
    if (player.playing || !current) return;
    current = 0;
    draw();
  });
  return {button};
}
