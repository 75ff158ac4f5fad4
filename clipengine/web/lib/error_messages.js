// What the API tells its callers in its own terms, in the words of somebody who looks at the page. Of every other code
// the API's own sentence is shown: it says what happened and what to do.

const GONE = "It may have been deleted, or the address is not complete.";

const WORDS = {
  recording_not_found: `There is no such recording. ${GONE}`,
  clip_not_found: `There is no such clip. ${GONE}`,
  webhook_not_found: `There is no such webhook. ${GONE}`,
  delivery_not_found: `There is no such delivery. ${GONE}`,
  not_found: `There is nothing here. ${GONE}`,
  recording_not_complete: "The recording is still being read. Try again in a moment.",
  clip_not_complete: "The clip is not ready yet. Try again in a moment.",
  request_in_progress: "The same is being done already.",
  unauthorized: "You are signed out. Sign in again.",
  forbidden: "The key that you signed in with does not allow this. Sign in with one that does.",
};

export const EMPTY_FILE = "This file is empty: there is nothing in it to upload.";

export function inWords(status, {code, detail}) {
  return WORDS[code] || detail || `The server answered with ${status}.`;
}
