// Playback of the segments one after the other, as the clip of all of them will be.

import {h, icon} from "../lib/dom.js";
import {t} from "../lib/texts.js";

/** @import {Player} from "./player.js" */
/** @import {Segment, Segments} from "./segments.js" */

/**
 * Return the button that starts and stops it.
 *
 * @param {Player} player
 * @param {Segments} segments
 */
export function playAll(player, segments) {
  /** @type {Segment | null} that is playing */
  let current = null;
  const text = h("span", {}, t("Play all"));
  const button = h("button", {type: "button", onclick: () => (current ? player.pause() : start(segments.items[0]))}, icon("play"), text);

  /** @param {Segment | undefined} segment */
  function start(segment) {
    if (!segment) {
      player.pause();
      return;
    }
    current = segment;
    player.seek(segment.start);
    player.play();
    draw();
  }

  function draw() {
    text.textContent = current ? t("Stop") : t("Play all");
    button.replaceChildren(icon(current ? "pause" : "play"), text);
  }

  player.addEventListener("time", () => {
    if (!current || !player.playing || player.video.seeking || player.time < current.end - player.selection.frame / 2) return;
    const next = segments.items[segments.items.indexOf(current) + 1];
    if (next && segments.items.includes(current)) start(next);
    else player.pause();
  });
  player.addEventListener("state", () => {
    if (player.playing || !current) return;
    current = null;
    draw();
  });
  return {button};
}
