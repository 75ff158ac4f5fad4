// Requests for many clips, which the engine carries out in the background: their progress, and deletion by a filter.

import {get, post} from "../lib/api.js";
import {confirmDialog} from "../lib/dialogs.js";
import {h} from "../lib/dom.js";
import {formatBytes} from "../lib/format.js";
import {plural, t} from "../lib/texts.js";
import {toast, toastError} from "../lib/toasts.js";
import {othersStay} from "./clip_actions.js";

const WAIT_SECONDS = 2; // between two states of a batch that is shown
const MOST_UNTYPED = 100; // clips that are deleted without typing their number

/** @typedef {NonNullable<Sent<"post", "/v1/clips/delete">["filter"]>} ClipsFilter */

/**
 * Show the progress of a batch until it has ended, with a button that cancels the rest.
 *
 * @param {Batch} batch
 * @param {string} title
 */
export async function followBatch(batch, title) {
  const cancel = {text: t("Cancel"), run: () => post(`/v1/batches/${batch.batch_id}/cancel`).catch(toastError)};
  const message = toast(title, progress(batch), {lasting: true, action: cancel});
  try {
    while (!batch.ended_at) {
      batch = await get(`/v1/batches/${batch.batch_id}?wait=${WAIT_SECONDS}`);
      message.setDetail(progress(batch));
    }
    message.close();
    toast(batch.state === "cancelled" ? t("Cancelled") : title, progress(batch));
  } catch (error) {
    message.close();
    toastError(error);
  }
}

/** @param {Batch} batch */
const progress = ({made, skipped, failed, total}) =>
  [
    total > skipped && t("{made} of {total} clips", {made, total: total - skipped}),
    skipped && plural(skipped, "{count} clip is left out", "{count} clips are left out"),
    failed && plural(failed, "{count} clip was refused", "{count} clips were refused"),
  ]
    .filter(Boolean)
    .join(" · ");

/**
 * Delete all clips that match the filters of a list, after a confirmation with their number and bytes. A large number is typed.
 *
 * @param {Record<string, string>} values of the filters
 * @param {string} filterText the filters as they are shown
 */
export async function deleteMatching({sort: _sort, tag, ...values}, filterText) {
  const given = Object.entries({...values, tag: tag && [tag]}).filter(([, value]) => value);
  const filter = /** @type {ClipsFilter} */ (Object.fromEntries(given));
  const tried = await post("/v1/clips/delete", {filter, dry_run: true});
  if (!tried || !("selection" in tried)) return;
  if (!tried.count) {
    toast(t("No matches"), othersStay(tried.skipped));
    return;
  }
  const {count} = tried;
  const title = given.length
    ? plural(count, "Delete {count} clip that matches?", "Delete all {count} clips that match?")
    : plural(count, "Delete ALL clips: {count}?", "Delete ALL clips: {count}?");
  const detail = [
    ...(given.length ? [t("The filters of the list:"), " ", h("bdi", {}, filterText)] : [t("The list has no filter: these are all clips of all recordings.")]),
    h("br", {}),
    [t("The clips and their files in the store are deleted: {size}.", {size: formatBytes(tried.bytes)}), othersStay(tried.skipped)].join(" "),
  ];
  if (!(await confirmDialog(title, detail, t("Delete"), {typed: count > MOST_UNTYPED ? String(count) : ""}))) return;
  const batch = await post("/v1/clips/delete", {filter, selection: tried.selection});
  if (batch && "batch_id" in batch) await followBatch(batch, t("Deleting clips"));
}
