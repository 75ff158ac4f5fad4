// Suggested moments: ranges that may be worth a clip, which the server finds in the transcript when the list is opened.

import {get, query} from "../lib/api.js";
import {h} from "../lib/dom.js";
import {formatTime} from "../lib/format.js";
import {t} from "../lib/texts.js";
import {errorState} from "../lib/ui.js";

/**
 * Return the closed list of a recording, and a function that reads it again for another transcript.
 *
 * @param {Recording} recording
 * @param {{language: () => string, onpick: (moment: Suggestion) => void, signal: AbortSignal}} options
 */
export function suggestedMoments(recording, {language, onpick, signal}) {
  const path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/moments`);
  const list = h("div", {role: "group", "aria-label": t("Suggested moments")});
  const node = h("details", {class: "suggested", ontoggle: () => load()}, h("summary", {}, t("Suggested moments")), list);

  async function load() {
    if (!node.open) return;
    const of = language();
    list.setAttribute("aria-busy", "true");
    try {
      const found = /** @type {Suggestions} */ (await get(query(path, {kind: "suggestion", language: of}), {signal}));
      if (of !== language()) return;
      const rows = found.data.map((moment) => row(moment, () => onpick(moment)));
      list.replaceChildren(...(rows.length ? rows : [h("p", {class: "muted small"}, t("None found: the text is short, or about one topic without pauses."))]));
    } catch (error) {
      if (error.name !== "AbortError") list.replaceChildren(errorState(error, load));
    }
    list.setAttribute("aria-busy", "false");
  }

  return {node, load};
}

/**
 * @param {Suggestion} moment
 * @param {() => void} onclick
 */
function row(moment, onclick) {
  const {start_seconds: start, end_seconds: end, text} = moment;
  const times = `${formatTime(start, 0)} – ${formatTime(end, 0)}`;
  return h(
    "button",
    {type: "button", title: t("Select this range"), onclick},
    h("span", {class: "muted small"}, times, " · ", reasonOf(moment)),
    h("span", {class: "said", dir: "auto"}, text),
  );
}

/** @param {Suggestion} moment */
function reasonOf({reason, about}) {
  if (reason === "question") return t("Question");
  if (reason === "pause") return t("After a pause");
  if (about === null) return reason === "topic" ? t("New topic") : t("Chapter");
  if (reason === "point") return `“${about}”`;
  if (reason === "topic") return t("Topic: {about}", {about});
  if (reason === "keyword") return t("Keyword {about}", {about});
  return reason === "speaker" ? t("Speaker {about}", {about}) : t("Chapter {about}", {about});
}
