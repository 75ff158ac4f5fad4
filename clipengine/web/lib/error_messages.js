// Messages for error codes whose API text addresses programmers. For every other code the API's own sentence is shown.

import {language, t, texts} from "./texts.js";

/** @param {string} text */
const missing = (text) => `${text} ${t("It may have been deleted, or the address is incomplete.")}`;

/** @type {Record<string, string>} */
const MESSAGES = {
  recording_not_found: missing(t("This recording does not exist.")),
  clip_not_found: missing(t("This clip does not exist.")),
  webhook_not_found: missing(t("This webhook does not exist.")),
  rule_not_found: missing(t("This rule does not exist.")),
  share_not_found: missing(t("This link was revoked already.")),
  delivery_not_found: missing(t("This delivery does not exist.")),
  not_found: missing(t("Nothing was found here.")),
  recording_not_complete: t("The recording is still being processed. Try again in a moment."),
  clip_not_complete: t("The clip is not ready yet. Try again in a moment."),
  request_in_progress: t("The same request is already running."),
  unauthorized: t("You are signed out. Sign in again."),
  forbidden: t("The key that you signed in with does not allow this. Sign in with one that does."),
  transcript_changed: t("The transcript was changed meanwhile: load the page again."),
  unreachable: t("Check that the server is running. The page continues when it is back."), // by the page itself, as the next ones
  upload_interrupted: t("The connection to the server was lost."),
  empty_file: t("This file is empty, so there is nothing to upload."),
  file_differs: t("This is another file, or the file was changed. Choose the right one, or cancel this upload and add the file anew."),
  file_unreadable: t("The file can no longer be read: it was changed, moved or deleted. Choose it again."),
  uploaded_often: t("This file was uploaded very often. Try again in a week, or give it another name."),
  upload_locked: t("Another tab or connection is still sending this file. This one continues when that has ended."),
  upload_assembling: t("The store puts the parts of the file together."),
  empty_text: t("Give a text."),
};

/**
 * @param {number} status
 * @param {{code?: string, detail?: string}} problem
 */
export function errorMessage(status, {code, detail}) {
  return (code && MESSAGES[code]) || detail || t("The server responded with status {status}.", {status: String(status)});
}

// Why recordings and clips fail, for pages in other languages: the API's sentences are English.
/** @type {Record<string, string>} */
const FAILURES = {
  recording_missing: t("The file of the recording is no longer in the store."),
  recording_changed: t("The file of the recording was replaced after it was registered."),
  recording_unreadable: t("The recording cannot be read as media."),
  recording_truncated: t("The recording is incomplete."),
  recording_encrypted: t("The recording is encrypted."),
  unsupported_media: t("The recording has a format or codec that is not supported."),
  no_media_in_range: t("The recording has no media in the range."),
  decoder_crashed: t("The recording crashed its decoder."),
  decoder_killed: t("The process that read the recording was killed."),
  piece_missing: t("A file of the recording is missing."),
  fetch_failed: t("The recording could not be fetched from its URL."),
  fetch_interrupted: t("The host of the recording did not respond, or broke off."),
  storage_unavailable: t("The store cannot be reached."),
  storage_denied: t("The store denied access."),
  disk_full: t("The disk is full."),
  encoder_failed: t("The encoder failed."),
  verification_failed: t("The clip did not pass its verification."),
  timeout: t("The work took too long."),
};

/**
 * Return why a recording or a clip failed in the language of the page, or null to show the API's sentence.
 *
 * @param {{code: string, message: string}} error
 */
export const failureMessage = ({code, message}) => (language === "en" || message in texts ? null : (FAILURES[code] ?? null));
