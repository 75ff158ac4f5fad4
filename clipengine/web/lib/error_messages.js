// Messages for error codes whose API text addresses programmers. For every other code the API's own sentence is shown.

import {t} from "./texts.js";

/** @param {string} text */
const missing = (text) => `${text} ${t("It may have been deleted, or the address is incomplete.")}`;

/** @type {Record<string, string>} */
const MESSAGES = {
  recording_not_found: missing(t("This recording does not exist.")),
  clip_not_found: missing(t("This clip does not exist.")),
  webhook_not_found: missing(t("This webhook does not exist.")),
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
  empty_text: t("Give a text."),
};

/**
 * @param {number} status
 * @param {{code?: string, detail?: string}} problem
 */
export function errorMessage(status, {code, detail}) {
  return (code && MESSAGES[code]) || detail || t("The server responded with status {status}.", {status: String(status)});
}
