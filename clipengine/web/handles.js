// The two ends of the selection as sliders: dragged, or moved by keys frame by frame.

import {h} from "./dom.js";
import {clock} from "./format.js";

export function handle(kind, selection, timeline, onmove) {
  const label = kind === "start" ? "In point" : "Out point";
  const node = h("div", {class: `handle ${kind}`, role: "slider", tabindex: "0", "aria-label": label, "aria-orientation": "horizontal", "aria-valuemin": "0", title: label});

  const move = (time) => {
    if (kind === "start") selection.set(Math.min(time, selection.end - selection.least), selection.end);
    else selection.set(selection.start, Math.max(time, selection.start + selection.least));
    onmove(selection[kind]);
  };

  node.addEventListener("keydown", (event) => {
    const {frame, duration} = selection;
    const near = event.shiftKey ? 1 : frame;
    const steps = {ArrowLeft: -near, ArrowDown: -near, ArrowRight: near, ArrowUp: near, PageDown: -10, PageUp: 10, Home: -duration, End: duration};
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    move(selection[kind] + steps[event.key]);
  });

  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    event.stopPropagation();
    node.focus();
    node.setPointerCapture(event.pointerId);
    const drag = (moved) => move(timeline.timeAt(moved.clientX));
    node.addEventListener("pointermove", drag);
    node.addEventListener("lostpointercapture", () => node.removeEventListener("pointermove", drag), {once: true});
  });

  const show = () => {
    node.setAttribute("aria-valuemax", String(selection.duration));
    node.setAttribute("aria-valuenow", selection[kind].toFixed(3));
    node.setAttribute("aria-valuetext", clock(selection[kind]));
  };
  return {node, show};
}
