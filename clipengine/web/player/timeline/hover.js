// The frame and the time under the mouse, above the timeline.

import {debounce, h, setText} from "../../lib/dom.js";
import {contextOf} from "./drawing.js";

const WIDTH = 176;
const ROOM = 22; // above the tracks, for the ruler
const REST_MS = 250; // of the mouse, before the exact frame is loaded

/**
 * @typedef {object} HoverOptions
 * @property {ReadyRecording} recording
 * @property {import("./shown_times.js").ShownTimes} times
 * @property {import("./previews.js").Strips} strips
 * @property {[area: HTMLElement, timeAt: (clientX: number) => number][]} areas
 * @property {HTMLElement} container
 * @property {AbortSignal} signal
 */

/**
 * `timeAt(clientX)` of each of the `areas` returns the time of a pointer event. `strips` are the previews of the recording.
 *
 * @param {HoverOptions} options
 */
export function hoverPreview({recording, times, strips, areas, container, signal}) {
  const strip = strips.film;
  const canvas = h("canvas", {width: WIDTH, height: 99});
  const image = h("img", {alt: "", hidden: true});
  const text = h("span", {class: "time"});
  const node = h("div", {class: "hover", hidden: true, "aria-hidden": "true"}, h("div", {class: "frame", hidden: !strip}, canvas, image), text);
  /** @type {number | null} */
  let time = null;

  const loadFrame = debounce(REST_MS, (/** @type {number} */ at) => {
    if (at === time && strip && !signal.aborted) image.src = `/v1/recordings/${recording.recording_id}/frame?at_seconds=${at.toFixed(3)}&width=${WIDTH}`;
  });
  image.addEventListener("load", () => {
    image.hidden = false;
  });
  image.addEventListener("error", () => {
    image.hidden = true;
  });

  // Draw the tile that the filmstrip of this zoom has there, until the frame has arrived. Coarser ones show another time.
  function drawTile() {
    if (!strip || time === null) return;
    const piece = strip.finest(time);
    const context = contextOf(canvas);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!piece || piece.seconds > strip.level) return;
    const tile = piece.image.width / piece.count;
    const number = Math.min(piece.count - 1, Math.floor(((time - piece.from) / (piece.to - piece.from)) * piece.count));
    const scale = Math.min(canvas.width / tile, canvas.height / piece.image.height);
    const [wide, high] = [tile * scale, piece.image.height * scale];
    context.drawImage(piece.image, number * tile, 0, tile, piece.image.height, (canvas.width - wide) / 2, (canvas.height - high) / 2, wide, high);
  }

  /**
   * @param {PointerEvent} event
   * @param {HTMLElement} area
   * @param {(clientX: number) => number} timeAt
   */
  function move(event, area, timeAt) {
    if (event.pointerType !== "mouse" || event.buttons) {
      hide();
      return;
    }
    const at = timeAt(event.clientX);
    time = at;
    node.hidden = false;
    image.hidden = true;
    setText(text, times.format(at));
    if (strip) {
      drawTile();
      strips.point(at, drawTile);
    }
    const box = container.getBoundingClientRect();
    const half = node.offsetWidth / 2;
    node.style.bottom = `${box.bottom - area.getBoundingClientRect().top + ROOM}px`;
    node.style.left = `${Math.min(Math.max(event.clientX - box.left, half), box.width - half)}px`;
    loadFrame(at);
  }

  function hide() {
    time = null;
    node.hidden = true;
    image.removeAttribute("src");
  }

  for (const [area, timeAt] of areas) {
    area.addEventListener("pointermove", (event) => move(event, area, timeAt));
    area.addEventListener("pointerleave", hide);
    area.addEventListener("pointerdown", hide);
  }
  signal.addEventListener("abort", hide);
  return node;
}
