// The head of a recording: the way back, its name, and what can be done with it.

import {get} from "../lib/api.js";
import {find, h, icon, iconButton, setText} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {formatDay, formatMoment, formatTime, stripBidi, titleOf} from "../lib/format.js";
import {menuButton} from "../lib/menus.js";
import {showShortcuts} from "../lib/shortcuts.js";
import {t} from "../lib/texts.js";
import {wordsOf} from "../player/timeline/words.js";
import {recordingDownload} from "./recording_actions.js";
import {showDetails} from "./recording_details.js";

/** @import {Transcribing} from "./transcribing.js" */

/**
 * @param {string} title
 * @param {HTMLElement[]} tools
 */
export const head = (title, ...tools) =>
  h(
    "header",
    {class: "head"},
    h("a", {class: "button quiet square", href: "#/recordings", title: t("All recordings"), "aria-label": t("All recordings")}, icon("back")),
    h("h1", {class: "clip", title: stripBidi(title)}, title),
    tools,
  );

/**
 * Return the head of a recording that can be cut. Its name follows changes in other tabs.
 *
 * @param {ReadyRecording} recording
 * @param {{views: HTMLElement, marks: HTMLElement[], transcribing: Transcribing, onpanel: () => void, signal: AbortSignal}} parts `marks` stand beside the name
 */
export function studioHead(recording, {views, marks, transcribing, onpanel, signal}) {
  const file = !recording.pieces;
  const began = recording.started_at;
  const first = recording.status !== "recording" ? formatTime(recording.duration_seconds, 0) : began && t("since {time}", {time: formatMoment(began)});
  const facts = [first, formatDay(began || recording.created_at)].filter(Boolean);
  const more = menuButton(t("More actions for this recording"), "more", () => [
    {text: t("Shortcuts"), icon: "keys", keys: "?", run: () => showShortcuts(wordsOf(recording), {live: recording.status === "recording"})},
    {text: t("Details of the file"), icon: "info", run: () => showDetails(recording)},
    transcribing.offered && {text: t("Transcribe…"), icon: "captions", run: () => transcribing.ask()},
    file && {
      text: t("Download the recording"),
      icon: "down",
      run: () => {
        location.href = recordingDownload(recording);
      },
    },
  ]);
  const node = head(
    titleOf(recording),
    ...marks,
    h("p", {class: "muted small clip facts"}, facts.join(" · ")),
    iconButton("info", t("Details of the file"), () => showDetails(recording), {class: "quiet square details"}),
    h("span", {class: "grow"}),
    views,
  );
  if (file)
    node.append(
      h(
        "a",
        {class: "button quiet download", "aria-label": t("Download the recording"), href: recordingDownload(recording)},
        icon("down"),
        h("span", {class: "words"}, t("Download")),
      ),
    );
  /** @param {Recording} now */
  const rename = (now) => {
    const title = find(node, "h1");
    if (signal.aborted || !title || now.recording_id !== recording.recording_id || titleOf(now) === titleOf(recording)) return;
    recording.name = now.name;
    setText(title, titleOf(now));
    title.title = stripBidi(titleOf(now));
    document.title = `${title.title} · clipengine`;
  };
  const resync = () => get(`/v1/recordings/${recording.recording_id}`, {signal}).then(rename, () => {}); // the rail says why
  listen({recording: rename, resync}, signal);
  node.append(more, iconButton("panel", t("Side panel ( ] )"), onpanel, {class: "quiet square panel-toggle", "aria-pressed": "true"}));
  return node;
}
