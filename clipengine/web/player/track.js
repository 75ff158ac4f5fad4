// A track of the timeline: its canvas, and the states while a preview is loading or could not be loaded.

import {h, icon, setText} from "../lib/dom.js";

const NARROW = 0.15; // of the track: a smaller gap has no room for text

// `what` is its name in texts. `strip` is null if the recording has no such track.
export function lane(what, canvas, strip) {
  const loading = h("p", {class: "lane-state loading", role: "status", hidden: true}, h("span", {class: "clip"}, `Loading ${what}…`));
  const message = h("span", {class: "message"});
  const again = h("button", {type: "button", onclick: () => strip.retry()}, icon("retry"), "Retry");
  again.addEventListener("pointerdown", (event) => event.stopPropagation()); // neither seek nor select
  const failed = h("div", {class: "lane-state failed", role: "alert", hidden: true}, icon("alert"), message, again);
  const node = h("div", {class: "lane", hidden: !strip}, canvas, loading, failed);

  function show(view) {
    const gap = strip.gap(view);
    const at = gap === null ? 1 : (gap - view.start) / (view.end - view.start);
    loading.hidden = !strip.busy || at > 1 - NARROW;
    loading.style.left = `${at * 100}%`;
    failed.hidden = !strip.error || gap === null;
    if (failed.hidden) return;
    const text = `The ${what} could not be loaded: ${strip.error.message}`;
    setText(message, text);
    message.title = text;
    again.hidden = strip.error.retryable === false;
  }

  return {node, show};
}
