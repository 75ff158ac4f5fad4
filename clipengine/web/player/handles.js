// The two ends of the selection as sliders, moved by pointer or by keys.

import {h} from "../lib/dom.js";
import {formatTime} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {startTimeDrag} from "./drag.js";

// `meaning` tells what the handle does to the clip.
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

  const move = (time) => {
    if (kind === "start") selection.set(Math.min(time, selection.end - selection.minLength), selection.end);
    else selection.set(selection.start, Math.max(time, selection.start + selection.minLength));
    onmove(selection[kind]);
  };

  node.addEventListener("keydown", (event) => {
    const at = selection[kind];
    const neighbour = (direction) => (event.shiftKey ? at + direction : selection.neighbour(at, direction));
    const targets = {
      ArrowLeft: neighbour(-1),
      ArrowDown: neighbour(-1),
      ArrowRight: neighbour(1),
      ArrowUp: neighbour(1),
      PageDown: at - 10,
      PageUp: at + 10,
      Home: 0,
      End: selection.duration,
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    event.stopPropagation();
    move(targets[event.key]);
  });

  node.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    const grip = event.clientX - timeline.placeOf(selection[kind]);
    if (startTimeDrag(event, timeline, {grip, move})) node.focus();
  });

  const show = () => {
    node.setAttribute("aria-valuemax", String(selection.duration));
    node.setAttribute("aria-valuenow", selection[kind].toFixed(3));
    node.setAttribute("aria-valuetext", formatTime(selection[kind]));
  };
  return {node, show};
}
