// Actions of a recording: download, register again, remove, and add an object from the store.

import {post, remove} from "../lib/api.js";
import {confirmDialog, openDialog} from "../lib/dialogs.js";
import {h} from "../lib/dom.js";
import {errorText} from "../lib/error_views.js";
import {formatBytes, titleOf} from "../lib/format.js";
import {may} from "../lib/rights.js";
import {navigate} from "../lib/router.js";
import {plural, rich, t} from "../lib/texts.js";
import {toast} from "../lib/toasts.js";
import {deleteLater} from "./deleting.js";

/** @typedef {import("../lib/api.js").RequestOptions} RequestOptions */

/** @param {Recording} recording */
export const recordingDownload = (recording) => `/v1/recordings/${recording.recording_id}/download`;

/** @param {Recording} recording */
export const mayRegisterAgain = (recording) => may("write", "recordings") && may("delete", "recordings", recording);

/**
 * Return the text of the button that calls `registerAgain`: unless the error may pass by itself, the file must be another one.
 *
 * @param {ClipEngineError | null | undefined} error
 */
export const retryText = (error) => (error?.retryable === false ? t("Register again") : t("Retry"));

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
 * Return the recordings that the caller may delete. An editor may not delete one with clips of others.
 *
 * @param {Recording[]} recordings
 */
async function removable(recordings) {
  const own = recordings.filter((recording) => may("delete", "recordings", recording));
  if (may("delete", "clips", {created_by: null})) return own; // clips of everybody
  const tried = await Promise.all(own.map(({recording_id}) => post("/v1/clips/delete", {filter: {recording_id}, dry_run: true})));
  return own.filter((_, at) => {
    const found = tried[at];
    return !(found && "selection" in found && found.skipped);
  });
}

/**
 * Ask for confirmation, then remove the recordings that the caller may delete, which can be undone. Returns true if it was confirmed.
 * `ondeleted(id)` is called for each one that was removed.
 *
 * @param {Recording[]} chosen
 * @param {(id: string) => void} [ondeleted]
 */
export async function removeRecordings(chosen, ondeleted) {
  const recordings = await removable(chosen);
  const left = chosen.length - recordings.length;
  const stays = left
    ? plural(left, "{count} recording stays: others have made it, or clips of it.", "{count} recordings stay: others have made them, or clips of them.")
    : "";
  if (!recordings.length) {
    toast(t("Nothing is removed"), stays);
    return false;
  }
  const one = recordings.length === 1;
  const names = recordings.map(titleOf);
  const confirmed = await confirmDialog(
    plural(recordings.length, "Remove {count} recording from the list?", "Remove {count} recordings from the list?"),
    one && !left
      ? rich("“{name}” and its clips are removed from the list. Their files stay in the store.", {name: h("bdi", {}, names[0])})
      : [
          t("They and their clips are removed from the list. Their files stay in the store: {size} of recordings.", {
            size: formatBytes(recordings.reduce((sum, each) => sum + each.file_size_bytes, 0)),
          }),
          stays && ` ${stays}`,
        ],
    t("Remove"),
  );
  if (!confirmed) return false;
  const what = plural(recordings.length, "{count} recording", "{count} recordings");
  deleteLater({
    ids: recordings.map((each) => each.recording_id),
    soon: (seconds) => t("Removal from the list in {seconds} s", {seconds}),
    title: t("Removed from the list"),
    detail: () => (one ? [h("bdi", {}, names[0])] : what),
    send: (options) => removeAll(recordings, what, options),
    ondeleted,
  });
  return true;
}

/**
 * Remove the recordings, and return the ids of the other ones, of which the first is reported.
 *
 * @param {Recording[]} recordings
 * @param {string} what their number
 * @param {RequestOptions} options
 */
async function removeAll(recordings, what, options) {
  const requests = recordings.map((each) => remove(`/v1/recordings/${each.recording_id}`, options));
  const answers = await Promise.allSettled(requests);
  /** @type {[Recording, any][]} */
  const failed = [];
  for (const [at, answer] of answers.entries())
    if (answer.status === "rejected" && answer.reason.code !== "recording_not_found") failed.push([recordings[at], answer.reason]);
  if (failed.length) {
    const [[first, error]] = failed;
    toast(t("{part} of {whole} could not be removed", {part: failed.length, whole: what}), [`${titleOf(first)}: `, errorText(error)], {bad: true});
  }
  return failed.map(([each]) => each.recording_id);
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
