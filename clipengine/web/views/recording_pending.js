// A recording that is being processed, or that has failed.

import {get} from "../lib/api.js";
import {h, icon} from "../lib/dom.js";
import {filePicker} from "../lib/dropped_files.js";
import {errorDetails} from "../lib/error_views.js";
import {listen} from "../lib/events.js";
import {titleOf} from "../lib/format.js";
import {withUploads} from "../lib/late_uploads.js";
import {may} from "../lib/rights.js";
import {navigate} from "../lib/router.js";
import {t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {mayRegisterAgain, recordingDownload, registerAgain, removeRecordings, retryText} from "./recording_actions.js";
import {head} from "./studio_head.js";

const DAMAGED = ["recording_unreadable", "recording_truncated", "recording_encrypted", "unsupported_media", "decoder_crashed"];

/**
 * @param {HTMLElement} main
 * @param {Recording} recording
 * @param {AbortSignal} signal
 * @param {import("../lib/router.js").View} show the view of a recording
 */
export function showPending(main, recording, signal, show) {
  const failed = recording.status === "failed";
  const left = new AbortController(); // this view, for another one of the same recording
  const until = AbortSignal.any([signal, left.signal]);
  main.replaceChildren(
    head(titleOf(recording)),
    recording.error
      ? failedState(recording, recording.error)
      : h(
          "div",
          {class: "panel empty", role: "status"},
          icon("film"),
          h("h2", {}, t("The recording is being processed…")),
          h("p", {}, t("Its timeline appears here when that is done.")),
        ),
  );
  const look = () =>
    get(`/v1/recordings/${recording.recording_id}`, {signal: until})
      .then((now) => {
        if (until.aborted || now.status === "processing" || (now.status === "failed" && failed)) return;
        left.abort();
        if (now.status === "failed") showPending(main, now, signal, show);
        else show(main, {id: now.recording_id}, signal);
      })
      .catch(() => {});
  listen({resync: look, recording: ({recording_id: id, status}) => id === recording.recording_id && status !== "processing" && look()}, until);
}

/**
 * The error state of a failed recording: retry, upload another file, or remove it.
 *
 * @param {Recording} recording
 * @param {ClipEngineError} error
 */
function failedState(recording, error) {
  const files = filePicker((chosenFiles) => {
    withUploads(({uploads}) => uploads.add(chosenFiles));
    navigate("#/recordings");
  });
  const again = h(
    "button",
    {type: "button", onclick: asyncHandler(async () => navigate(`#/recordings/${(await registerAgain(recording)).recording_id}`))},
    icon("retry"),
    retryText(error),
  );
  const another = h("button", {type: "button", onclick: () => files.click()}, icon("up"), t("Upload another file"));
  const remedies = [...(mayRegisterAgain(recording) ? [again] : []), ...(may("write", "uploads") ? [another] : [])];
  if (DAMAGED.includes(error.code)) remedies.reverse();
  if (remedies.length) remedies[0].className = "primary";
  return h(
    "div",
    {class: "panel empty"},
    icon("alert"),
    h("h2", {}, t("This recording cannot be used")),
    h("div", {}, errorDetails(error)),
    h(
      "div",
      {class: "row wrap"},
      remedies,
      may("delete", "recordings", recording) &&
        h(
          "button",
          {type: "button", onclick: asyncHandler(async () => (await removeRecordings([recording])) && navigate("#/recordings"))},
          icon("trash"),
          t("Remove…"),
        ),
      files,
    ),
    h(
      "p",
      {class: "small"},
      error.code !== "recording_missing" && [h("a", {href: recordingDownload(recording)}, t("Download")), " · "],
      h("a", {href: `/docs/errors#${error.code}`}, t("About this error")),
    ),
  );
}
