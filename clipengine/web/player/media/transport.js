// The row under the player: play, step, current time, the whole recording, jump, loop, mute, zoom.

import {h, icon, iconButton, setText} from "../../lib/dom.js";
import {formatTime} from "../../lib/format.js";
import {t} from "../../lib/texts.js";
import {skipping} from "../segments/skipping.js";
import {wordsOf} from "../timeline/words.js";

/** @import {Removal} from "../segments/removal.js" */
/** @import {Player} from "./player.js" */
/** @import {ShownTimes} from "../timeline/shown_times.js" */
/** @import {Timeline} from "../timeline/timeline.js" */

/**
 * @typedef {object} TransportOptions
 * @property {Player} player
 * @property {Removal} removal
 * @property {Timeline} timeline
 * @property {ShownTimes} times
 * @property {HTMLElement | null} live the button that follows the end of a recording that is still written
 * @property {ReadyRecording} recording
 * @property {HTMLElement} loop
 * @property {import("./jumps.js").Jumps} jumps
 * @property {AbortSignal} signal
 */

/** @param {TransportOptions} options */
export function transport({player, removal, timeline, times, live, recording, loop, jumps, signal}) {
  const play = iconButton("play", t("Play (Space)"), () => player.toggle(), {class: "square play"});
  const words = wordsOf(recording);
  const rate = h("span", {class: "muted small"});
  const mute = recording.media.audio.length
    ? iconButton("speaker", t("Mute (M)"), () => player.mute(), {class: "quiet square mute", "aria-pressed": "false"})
    : null;
  const draw = () => {
    play.replaceChildren(icon(player.playing ? "pause" : "play"));
    play.title = player.playing ? t("Pause (Space)") : t("Play (Space)");
    play.setAttribute("aria-label", play.title);
    play.disabled = player.usesFrames;
    setText(rate, player.playing && player.rate !== 1 ? `${player.rate}×` : "");
    if (!mute) return;
    mute.disabled = player.usesFrames;
    mute.setAttribute("aria-pressed", String(player.video.muted));
    mute.replaceChildren(icon(player.video.muted ? "muted" : "speaker"));
  };
  player.addEventListener("state", draw, {signal});
  const clock = iconButton("clock", t("Show the time of day"), () => times.toggle(), {class: "quiet square", hidden: !times.known});
  const whole = h("span", {class: "time muted whole"});
  const drawTimes = () => {
    clock.hidden = !times.known;
    clock.setAttribute("aria-pressed", String(times.ofDay));
    setText(whole, `/ ${formatTime(player.duration, 0)}`);
  };
  times.addEventListener("change", drawTimes, {signal});
  drawTimes();
  return h(
    "div",
    {class: "transport"},
    iconButton("prev", words.previous, () => player.step(-1)),
    play,
    iconButton("next", words.next, () => player.step(1)),
    timeField(player, timeline, times, signal),
    whole,
    rate,
    timeline.overview.node,
    h(
      "span",
      {class: "tools"},
      live,
      skipping({player, removal, signal}),
      jumps.button,
      loop,
      mute,
      clock,
      iconButton("minus", t("Zoom out (−)"), () => timeline.zoom(2)),
      iconButton("plus", t("Zoom in (+)"), () => timeline.zoom(0.5)),
      iconButton("fit", t("Fit: show the selection, or all (0)"), () => timeline.fit()),
    ),
  );
}

/**
 * The current time. A typed time seeks; an invalid one is reset.
 *
 * @param {Player} player
 * @param {Timeline} timeline
 * @param {ShownTimes} times
 * @param {AbortSignal} signal
 */
function timeField(player, timeline, times, signal) {
  const field = h("input", {
    class: "time now",
    inputmode: "decimal",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": t("Current time"),
    title: t("Type a time to seek to (G)"),
  });
  const fit = () => {
    field.style.width = `calc(${times.format(player.duration).length - 1}ch + 12px)`; // wide enough for the longest time
  };
  const showTime = () => {
    if (document.activeElement !== field) field.value = times.format(player.time);
  };
  const applyTyped = () => {
    const time = times.parse(field.value, player.time);
    if (time === null || field.value === times.format(player.time)) return;
    player.pause();
    player.seek(time);
    timeline.reveal(player.time);
  };
  player.addEventListener("time", showTime, {signal});
  const redraw = () => {
    fit();
    showTime();
  };
  times.addEventListener("change", redraw, {signal});
  redraw();
  field.addEventListener("focus", () => {
    player.pause();
    field.select();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    field.blur();
  });
  field.addEventListener("blur", () => {
    applyTyped();
    showTime();
  });
  return field;
}
