// Actions of a recording: download, register again, remove, and add an object from the store.

import {post, remove} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {titleOf} from "../lib/format.js";
import {navigate} from "../lib/router.js";
import {confirmDialog, openDialog, toast} from "../lib/ui.js";

export const recordingDownload = (recording) => `/v1/recordings/${recording.recording_id}/download`;

// Register the object of a failed recording again, as the store has it now, and delete the failed one. Returns the new
// recording.
export async function registerAgain(recording) {
  const {bucket_path, name, metadata} = recording;
  const fresh = await post("/v1/recordings", {bucket_path, ...(name ? {name} : {}), metadata});
  await remove(`/v1/recordings/${recording.recording_id}`);
  return fresh;
}

// Ask for confirmation, then remove the recording. Returns true if it was removed.
export async function removeRecording(recording) {
  const title = titleOf(recording);
  if (!(await confirmDialog("Remove this recording from the list?", ["“", h("bdi", {}, title), "” and its clips are removed from the list. Their files stay in the store."], "Remove"))) return false;
  await remove(`/v1/recordings/${recording.recording_id}`);
  toast("Removed from the list", title);
  return true;
}

// Ask for confirmation, then remove the recordings. Returns the ids of those that were removed.
export async function removeRecordings(recordings) {
  const what = recordings.length === 1 ? "1 recording" : `${recordings.length} recordings`;
  if (!(await confirmDialog(`Remove ${what} from the list?`, "They and their clips are removed from the list. Their files stay in the store.", "Remove"))) return [];
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
  if (failed.length) toast(`${failed.length} of ${what} could not be removed`, `${titleOf(failed[0][0])}: ${failed[0][1].message}`, {bad: true});
  else toast("Removed from the list", what);
  return removed;
}

export function registerFromStore() {
  const key = h("input", {required: true, autocomplete: "off", spellcheck: "false", placeholder: "recordings/meeting.mp4", "aria-describedby": "register-problem"});
  const problem = h("p", {id: "register-problem", class: "bad small", role: "alert"});
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      const recording = await post("/v1/recordings", {bucket_path: key.value.trim()});
      dialog.close();
      navigate(`#/recordings/${recording.recording_id}`);
    } catch (error) {
      problem.textContent = error.message;
      key.setAttribute("aria-invalid", "true");
    }
  };
  const dialog = openDialog("Add a recording from the store", h("form", {class: "stack", onsubmit: submit},
    h("label", {class: "field"}, "Object key", key), problem,
    h("p", {class: "small muted"}, "Nothing is copied. To add many at once, use ", h("a", {href: "/docs/cli#clipengine-recordings-import"}, "clipengine recordings import"), "."),
    h("div", {class: "row end"}, h("button", {class: "primary"}, "Add")),
  ));
  key.focus();
}
