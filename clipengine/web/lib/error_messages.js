// Messages for error codes whose API text addresses programmers. For every other code the API's own sentence is shown.

const HINT = "It may have been deleted, or the address is incomplete.";

const MESSAGES = {
  recording_not_found: `This recording does not exist. ${HINT}`,
  clip_not_found: `This clip does not exist. ${HINT}`,
  webhook_not_found: `This webhook does not exist. ${HINT}`,
  share_not_found: `This link was revoked already. ${HINT}`,
  delivery_not_found: `This delivery does not exist. ${HINT}`,
  not_found: `Nothing was found here. ${HINT}`,
  recording_not_complete: "The recording is still being processed. Try again in a moment.",
  clip_not_complete: "The clip is not ready yet. Try again in a moment.",
  request_in_progress: "The same request is already running.",
  unauthorized: "You are signed out. Sign in again.",
  forbidden: "The key that you signed in with does not allow this. Sign in with one that does.",
};

export const EMPTY_FILE = "This file is empty, so there is nothing to upload.";

export function errorMessage(status, {code, detail}) {
  return MESSAGES[code] || detail || `The server responded with status ${status}.`;
}
