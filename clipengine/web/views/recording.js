// One recording: its studio, or, before it is processed, its state.

import {get} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {errorState} from "../lib/error_views.js";
import {stripBidi, titleOf} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {showPending} from "./recording_pending.js";
import {showStudio} from "./studio.js";
import {head} from "./studio_head.js";
import {preferredFirst} from "./studio_place.js";

/**
 * The parameter `t` is the time to show; `in` and `out` are the ends of the selection. `language` is that of the
 * transcript.
 *
 * @param {HTMLElement} main
 * @param {Record<string, string>} params
 * @param {AbortSignal} signal
 */
export async function showRecording(main, {id, ...place}, signal) {
  main.className = "wide";
  document.title = `${t("Recording")} · clipengine`;
  main.replaceChildren(skeleton());
  try {
    const recording = await get(`/v1/recordings/${id}`, {signal});
    document.title = `${stripBidi(titleOf(recording))} · clipengine`;
    if (recording.status === "complete" || recording.status === "recording") {
      const [transcripts, profiles, watermarks] = await Promise.all([
        get(`/v1/recordings/${id}/transcripts?limit=100`, {signal}),
        get("/v1/profiles", {signal}),
        get("/v1/watermarks", {signal}),
      ]);
      const choices = {transcripts: preferredFirst(transcripts.data, place.language), profiles: profiles.data, watermarks: watermarks.data};
      await showStudio(main, /** @type {ReadyRecording} */ (recording), choices, signal, place);
    } else showPending(main, recording, signal, showRecording);
  } catch (error) {
    if (error.name !== "AbortError")
      main.replaceChildren(
        head(t("Recording")),
        errorState(error, () => location.reload()),
      );
  }
}

// As high as the content that replaces it.
const skeleton = () =>
  h(
    "div",
    {class: "studio", "aria-hidden": "true"},
    h("div", {class: "head"}),
    h("div", {class: "stage"}, h("div", {class: "picture skeleton"})),
    h("div", {class: "dock skeleton"}),
    h("div", {class: "beside"}),
  );
