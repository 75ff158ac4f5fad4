// The dialog with what is known of a recording's file.

import {openDialog} from "../lib/dialogs.js";
import {h} from "../lib/dom.js";
import {formatBytes, formatTime, formatUntil, mediaSummary, titleOf} from "../lib/format.js";
import {t} from "../lib/texts.js";

/** @param {ReadyRecording} recording */
export function showDetails(recording) {
  /** @type {[name: string, value: string | null | undefined | false][]} */
  const facts = [
    [t("Length"), formatTime(recording.duration_seconds)],
    [t("Media"), mediaSummary(recording)],
    [t("Size"), formatBytes(recording.file_size_bytes)],
    [t("Begins"), recording.started_at && formatUntil(recording.started_at)],
    [t("Added"), formatUntil(recording.created_at)],
  ];
  const shown = facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]);
  openDialog(titleOf(recording), h("dl", {class: "details"}, shown), {size: "narrow"});
}
