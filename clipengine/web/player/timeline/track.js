// A track of the timeline: its canvas, and the states while a preview is loading or could not be loaded.

import {h, icon} from "../../lib/dom.js";
import {errorText} from "../../lib/error_views.js";
import {t} from "../../lib/texts.js";

/** @import {Strip} from "./previews.js" */
/** @import {Span} from "../segments/selection.js" */

const NARROW = 0.15; // of the track: a smaller gap has no room for text

/**
 * `words` are the texts of both states. `strip` is null if the recording has no such track.
 *
 * @param {{loading: string, failed: string}} words
 * @param {HTMLCanvasElement} canvas
 * @param {Strip<any> | null} strip
 */
export function lane(words, canvas, strip) {
  const loading = h("p", {class: "lane-state loading", role: "status", hidden: true}, h("span", {class: "clip"}, words.loading));
  const message = h("span", {class: "message"});
  const again = h("button", {type: "button", onclick: () => strip?.retry()}, icon("retry"), t("Retry"));
  again.addEventListener("pointerdown", (event) => event.stopPropagation()); // neither seek nor select
  const failed = h("div", {class: "lane-state failed", role: "alert", hidden: true}, icon("alert"), message, again);
  const node = h("div", {class: "lane", hidden: !strip}, canvas, loading, failed);

  /** @param {Span} view */
  function show(view) {
    if (!strip) return;
    const gap = strip.gap(view);
    const at = gap === null ? 1 : (gap - view.start) / (view.end - view.start);
    loading.hidden = !strip.busy || Boolean(strip.error) || at > 1 - NARROW;
    loading.style.transform = `translateX(${at * 50}%)`; // in the middle of the gap
    failed.hidden = !strip.error || gap === null;
    if (failed.hidden) return;
    const text = `${words.failed} ${strip.error.message}`;
    if (message.title !== text) message.replaceChildren(words.failed, " ", errorText(strip.error));
    message.title = text;
    again.hidden = strip.error.retryable === false;
  }

  return {node, show};
}
