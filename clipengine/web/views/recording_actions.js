// Actions of a recording: download, register again, remove, and add an object from the store.

import {post, remove} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {titleOf} from "../lib/format.js";
import {navigate} from "../lib/router.js";
import {plural, rich, t} from "../lib/texts.js";
import {confirmDialog, errorText, openDialog, toast} from "../lib/ui.js";

/** @param {Recording} recording */
export const recordingDownload = (recording) => `/v1/recordings/${recording.recording_id}/download`;

/**
 * Register the object of a failed recording again, as the store has it now, and delete the failed one. Returns the new
 * recording.
 *
 * @param {Recording} recording
 */
export async function registerAgain(recording) {
  const {bucket_path, name, metadata} = recording;
  const fresh = await post("/v1/recordings", {bucket_path, ...(name ? {name} : {}), metadata});
  await remove(`/v1/recordings/${recording.recording_id}`);
  return fresh;
}

/**
 * Ask for confirmation, then remove the recording. Returns true if it was removed.
 *
 * @param {Recording} recording
 */
export async function removeRecording(recording) {
  const title = titleOf(recording);
  if (
    !(await confirmDialog(
      t("Remove this recording from the list?"),
      rich("“{name}” and its clips are removed from the list. Their files stay in the store.", {name: h("bdi", {}, title)}),
      t("Remove"),
    ))
  )
    return false;
  await remove(`/v1/recordings/${recording.recording_id}`);
  toast(t("Removed from the list"), title);
  return true;
}

/**
 * Ask for confirmation, then remove the recordings. Returns the ids of those that were removed.
 *
 * @param {Recording[]} recordings
 */
export async function removeRecordings(recordings) {
  const what = plural(recordings.length, "{count} recording", "{count} recordings");
  if (
    !(await confirmDialog(
      plural(recordings.length, "Remove {count} recording from the list?", "Remove {count} recordings from the list?"),
      t("They and their clips are removed from the list. Their files stay in the store."),
      t("Remove"),
    ))
  )
    return [];
  const removed = [];
  const failed = [];
  for (const recording of recordings) {
    try {
      await remove(`/v1/recordings/${recording.recording_id}`);
      removed.push(recording.recording_id);
    } catch (error) {
      if (error.code === "recording_not_found") removed.push(recording.recording_id);
      else failed.push([recording, error]);
    }
  }
  if (failed.length)
    toast(t("{part} of {whole} could not be removed", {part: failed.length, whole: what}), [`${titleOf(failed[0][0])}: `, errorText(failed[0][1])], {
      bad: true,
    });
  else toast(t("Removed from the list"), what);
  return removed;
}

export function registerFromStore() {
  const key = h("input", {
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "recordings/meeting.mp4",
    "aria-describedby": "register-problem",
  });
  const problem = h("p", {id: "register-problem", class: "bad small", role: "alert"});
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      const recording = await post("/v1/recordings", {bucket_path: key.value.trim()});
      dialog.close();
      navigate(`#/recordings/${recording.recording_id}`);
    } catch (error) {
      problem.replaceChildren(errorText(error));
      key.setAttribute("aria-invalid", "true");
    }
  };
  const dialog = openDialog(
    t("Add a recording from the store"),
    h(
      "form",
      {class: "stack", onsubmit: submit},
      h("label", {class: "field"}, t("Object key"), key),
      problem,
      h(
        "p",
        {class: "small muted"},
        rich("Nothing is copied. To add many at once, use {command}.", {
          command: h("a", {href: "/docs/cli#clipengine-recordings-import"}, "clipengine recordings import"),
        }),
      ),
      h("div", {class: "row end"}, h("button", {class: "primary"}, t("Add"))),
    ),
  );
  key.focus();
}
