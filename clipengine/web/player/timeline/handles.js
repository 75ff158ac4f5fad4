// The two ends of the selection as sliders, moved by pointer or by keys.

import {byKey, h} from "../../lib/dom.js";
import {t} from "../../lib/texts.js";
import {startTimeDrag} from "./drag.js";

/** @import {Selection} from "../segments/selection.js" */
/** @import {Timeline} from "./timeline.js" */

/**
 * @typedef {object} HandleOptions
 * @property {"start" | "end"} kind
 * @property {string} meaning
 * @property {Selection} selection
 * @property {Timeline} timeline
 * @property {(time: number) => void} onmove
 */

/**
 * `meaning` tells what the handle does to the clip.
 *
 * @param {HandleOptions} options
 */
export function handle({kind, meaning, selection, timeline, onmove}) {
  const label = kind === "start" ? t("In point") : t("Out point");
  const node = h("div", {
    class: `handle ${kind}`,
    role: "slider",
    tabindex: "0",
    "aria-label": label,
    "aria-orientation": "horizontal",
    "aria-valuemin": "0",
    title: meaning,
  });

  /** @param {number} time */
  const move = (time) => {
    if (!selection.range) return;
    const {start, end} = selection.range;
    if (kind === "start") selection.set(Math.min(time, end - selection.minLength), end);
    else selection.set(start, Math.max(time, start + selection.minLength));
    onmove(selection.range[kind]);
  };

  node.addEventListener("keydown", (event) => {
    if (!selection.range) return;
    const at = selection.range[kind];
    /** @param {1 | -1} direction */
    const neighbour = (direction) => (event.shiftKey ? at + direction : selection.neighbour(at, direction));
    const target = byKey(event, {
      ArrowLeft: neighbour(-1),
      ArrowDown: neighbour(-1),
      ArrowRight: neighbour(1),
      ArrowUp: neighbour(1),
      PageDown: at - 10,
      PageUp: at + 10,
      Home: 0,
      End: selection.duration,
    });
    if (target === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move(target);
  });

  node.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    if (!selection.range) return;
    const grip = event.clientX - timeline.placeOf(selection.range[kind]);
    if (startTimeDrag(event, timeline, {grip, move})) node.focus();
  });

  /** @param {number} time */
  const show = (time) => {
    node.setAttribute("aria-valuemax", String(selection.duration));
    node.setAttribute("aria-valuenow", time.toFixed(3));
    node.setAttribute("aria-valuetext", timeline.times.format(time));
  };
  return {node, show};
}
