// The tools of a recording that is still written: a mark, a clip of its last seconds, and the way to its newest part.

import {post} from "../lib/api.js";
import {h, icon, setText} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {formatTime} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {asyncHandler} from "../lib/ui.js";

const LAST_SECONDS = 30;
const NEW_SECONDS = 1; // less is not worth a button

/**
 * Return the tools for the heading. `oncreated` is called with a new clip, `onshow` to show the recording as it is now.
 *
 * @param {ReadyRecording} recording
 * @param {{label: () => string, oncreated: (clip: Clip) => void, onshow: (end: number) => void, signal: AbortSignal}} options
 * @returns {HTMLElement[]}
 */
export function liveTools(recording, {label, oncreated, onshow, signal}) {
  if (recording.status !== "recording") return [];
  let end = recording.duration_seconds;
  const mark = h("span", {class: "pill bad", role: "status"}, t("Recording"));
  const words = h("span", {class: "words"});
  const show = h("button", {type: "button", class: "quiet", hidden: true, onclick: () => onshow(end)}, icon("next"), words);
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
    if (now.recording_id !== recording.recording_id || now.duration_seconds === null) return;
    end = now.duration_seconds;
    mark.hidden = now.status !== "recording";
    last.hidden = mark.hidden;
    show.hidden = end < recording.duration_seconds + NEW_SECONDS;
    setText(words, t("Show up to {time}", {time: formatTime(end, 0)}));
  };
  listen({recording: update, resync: () => {}}, signal);
  return [mark, show, last];
}
