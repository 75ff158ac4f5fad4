// Dragging with the pointer on the timeline and over the picture.

import {signal as signalOf} from "../../vendor/signals-core.js";

/** @import {Timeline} from "./timeline.js" */

export const DRAG_PIXELS = 4; // a shorter movement is a click
const EDGE_SPEED = 0.25; // of scrolling at an edge of the tracks, in lengths of the view per second
const FASTER_PIXELS = 160; // beyond it, for each length per second more
const MAX_SPEED = 3;
const MAX_STEP_SECONDS = 0.1; // of one scroll, after a slow frame

export const dragging = signalOf(false); // what a drag changes is stored when it ends

/**
 * Call `move(event)` for each movement until the pointer is released, then `done()`. Returns false if no drag begins.
 *
 * @param {PointerEvent} event
 * @param {(event: PointerEvent) => void} move
 * @param {() => void} [done]
 */
export function startDrag(event, move, done = () => {}) {
  if (event.button) return false;
  event.preventDefault();
  const target = /** @type {HTMLElement} */ (event.currentTarget);
  target.setPointerCapture(event.pointerId);
  target.addEventListener("pointermove", move);
  dragging.value = true;
  /** @param {PointerEvent} lost */
  const end = (lost) => {
    if (lost.pointerId !== event.pointerId) return;
    target.removeEventListener("pointermove", move);
    document.removeEventListener("lostpointercapture", end, true);
    done();
    dragging.value = false;
  };
  document.addEventListener("lostpointercapture", end, true); // the event of a removed element is the document's
  return true;
}

/**
 * Drag on the tracks of a timeline: `move(time, x)` gets the time under the pointer. While the pointer is beyond an edge,
 * the view scrolls, faster with the distance. `grip` is the distance in pixels from the dragged point to the pointer.
 *
 * @param {PointerEvent} event
 * @param {Timeline} timeline
 * @param {{move: (time: number, x: number) => void, done?: () => void, grip?: number}} options
 */
export function startTimeDrag(event, timeline, {move, done = () => {}, grip = 0}) {
  let x = event.clientX - grip;
  let before = performance.now();
  let request = 0;
  /** @param {number} now */
  const scroll = (now) => {
    const seconds = Math.min(Math.max(0, now - before) / 1000, MAX_STEP_SECONDS);
    before = now;
    if (timeline.scroll(speedAt(x, timeline.tracks) * seconds)) move(timeline.timeAt(x), x);
    request = requestAnimationFrame(scroll);
  };
  const started = startDrag(
    event,
    (moved) => {
      x = moved.clientX - grip;
      move(timeline.timeAt(x), x);
    },
    () => {
      cancelAnimationFrame(request);
      done();
    },
  );
  if (started) request = requestAnimationFrame(scroll);
  return started;
}

/**
 * Return the speed of scrolling in lengths of the view per second, negative to the left.
 *
 * @param {number} x
 * @param {HTMLElement} tracks
 */
function speedAt(x, tracks) {
  const {left, right} = tracks.getBoundingClientRect();
  const beyond = Math.min(0, x - left) + Math.max(0, x - right);
  return Math.sign(beyond) * Math.min(EDGE_SPEED + Math.abs(beyond) / FASTER_PIXELS, MAX_SPEED);
}
