// The tools of a recording that is still written: a mark, and a clip of its last seconds.

import {get, post} from "../lib/api.js";
import {h, icon} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {t} from "../lib/texts.js";
import {asyncHandler} from "../lib/ui.js";

const LAST_SECONDS = 30;

/**
 * Return the tools for the heading. `oncreated` is called with a new clip.
 *
 * @param {ReadyRecording} recording
 * @param {{label: () => string, oncreated: (clip: Clip) => void, signal: AbortSignal}} options
 * @returns {HTMLElement[]}
 */
export function liveTools(recording, {label, oncreated, signal}) {
  if (recording.status !== "recording") return [];
  const mark = h("span", {class: "pill bad", role: "status"}, t("Recording"));
  const last = h(
    "button",
    {
      type: "button",
      onclick: asyncHandler(async () => {
        const body = {label: label(), last_seconds: LAST_SECONDS};
        oncreated(await post(`/v1/recordings/${recording.recording_id}/clips`, body));
      }),
    },
    icon("film"),
    t("Last {seconds} s", {seconds: LAST_SECONDS}),
  );
  /** @param {Recording} now */
  const update = (now) => {
    if (now.recording_id !== recording.recording_id) return;
    mark.hidden = now.status !== "recording";
    last.hidden = mark.hidden;
  };
  const resync = () => get(`/v1/recordings/${recording.recording_id}`, {signal}).then(update, () => {}); // the rail says why
  listen({recording: update, resync}, signal);
  return [mark, last];
}
