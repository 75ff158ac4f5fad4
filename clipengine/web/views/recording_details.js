// The dialog with what is known of a recording's file.

import {h} from "../lib/dom.js";
import {formatBytes, formatTime, mediaSummary, titleOf} from "../lib/format.js";
import {locale, t} from "../lib/texts.js";
import {openDialog} from "../lib/ui.js";

/** @param {ReadyRecording} recording */
export function showDetails(recording) {
  const stamp = (/** @type {string} */ text) => new Date(text).toLocaleString(locale, {dateStyle: "medium", timeStyle: "short"});
  /** @type {[name: string, value: string | null | undefined | false][]} */
  const facts = [
    [t("Length"), formatTime(recording.duration_seconds)],
    [t("Media"), mediaSummary(recording)],
    [t("Size"), formatBytes(recording.file_size_bytes)],
    [t("Begins"), recording.started_at && stamp(recording.started_at)],
    [t("Added"), stamp(recording.created_at)],
  ];
  const shown = facts.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]);
  openDialog(titleOf(recording), h("dl", {class: "details"}, shown), {size: "narrow"});
}
