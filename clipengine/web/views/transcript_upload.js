// Transcripts for a recording without one: a file is chosen, or dropped on the view, or it is transcribed.

import {request} from "../lib/api.js";
import {openDialog} from "../lib/dialogs.js";
import {h, icon} from "../lib/dom.js";
import {isMedia, takeDrops} from "../lib/dropped_files.js";
import {errorText} from "../lib/error_views.js";
import {languageChoices} from "../lib/format.js";
import {mayEdit} from "../lib/rights.js";
import {language, t} from "../lib/texts.js";
import {asyncHandler, toast} from "../lib/toasts.js";

export const COMMON = ["ar", "cs", "da", "de", "en", "es", "fi", "fr", "hi", "it", "ja", "ko", "nl", "no", "pl", "pt", "ru", "sv", "tr", "uk", "zh"];
/** @import {Transcribing} from "./transcribing.js" */

const SUFFIX = /\.(?:([a-z]{2,3}(?:-[a-z0-9]{2,8})*)\.)?(vtt|srt|json)$/i; // as in "talk.en.vtt"
const TYPES = {vtt: "text/vtt", srt: "application/x-subrip", json: "application/json"};

/**
 * Ask for the language of a transcript's file and store it. `ondone()` is called when it is stored.
 *
 * @param {Recording} recording
 * @param {File} file
 * @param {() => unknown} ondone
 */
function addTranscript(recording, file, ondone) {
  const [, found, kind] = SUFFIX.exec(file.name) ?? [];
  if (!kind) {
    toast(t("{name} was not added.", {name: file.name}), t("A transcript is a file in WebVTT (.vtt), SubRip (.srt) or JSON (.json)."), {bad: true});
    return;
  }
  const guess = found?.toLowerCase() || language;
  const tags = COMMON.includes(guess) ? COMMON : [guess, ...COMMON];
  const choice = h(
    "select",
    {autofocus: true},
    languageChoices(tags).map(({tag, name}) => h("option", {value: tag, selected: tag === guess}, name)),
  );
  const problem = h("p", {class: "bad small", role: "alert"});
  const send = async () => {
    problem.textContent = "";
    try {
      await request("PUT", `/v1/recordings/${recording.recording_id}/transcripts/${choice.value}`, {
        text: file,
        type: TYPES[/** @type {keyof typeof TYPES} */ (kind.toLowerCase())],
      });
    } catch (error) {
      problem.replaceChildren(errorText(error));
      return;
    }
    dialog.close();
    ondone();
  };
  const dialog = openDialog(t("Add {name}", {name: file.name}), h("div", {class: "stack"}, h("label", {class: "field"}, t("Language"), choice), problem), {
    size: "narrow",
    footer: [h("button", {type: "button", class: "primary", onclick: asyncHandler(send)}, t("Add transcript"))],
  });
}

/**
 * Take a transcript that is dropped on the page. Video and sound are left to be uploaded.
 *
 * @param {Recording} recording
 * @param {AbortSignal} signal
 * @param {() => unknown} ondone
 */
export function acceptTranscripts(recording, signal, ondone) {
  if (!mayEdit()) return;
  takeDrops(signal, t("Drop a VTT or SRT to add it as the transcript, or video and sound to upload them"), (files) => {
    const [file] = files.filter((each) => !isMedia(each));
    if (file) addTranscript(recording, file, ondone);
    return files.filter(isMedia);
  });
}

/**
 * Return what the tab of the transcript shows if there is none.
 *
 * @param {Recording} recording
 * @param {() => unknown} ondone
 * @param {Transcribing} transcribing
 */
export function noTranscript(recording, ondone, transcribing) {
  const mayAdd = mayEdit();
  const field = h("input", {type: "file", hidden: true, accept: ".vtt,.srt,.json"});
  field.addEventListener("change", () => {
    const file = field.files?.[0];
    field.value = "";
    if (file) addTranscript(recording, file, ondone);
  });
  return h(
    "div",
    {class: "no-words"},
    h(
      "div",
      {class: "empty"},
      icon("document"),
      h("h2", {}, t("No transcript yet")),
      h("p", {}, t("With words you can search, cut by sentence, and put captions in the picture.")),
      transcribing.node,
      h("div", {class: "row wrap"}, transcribing.start, mayAdd && h("button", {type: "button", onclick: () => field.click()}, icon("up"), t("Add VTT or SRT"))),
      transcribing.note,
      mayAdd && h("p", {class: "tiny"}, t("Or drop a file here.")),
      field,
    ),
  );
}
