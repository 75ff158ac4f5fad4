// Suggested moments: ranges that may be worth a clip, which the server finds in the transcript when the list is opened.

import {get, query} from "../../lib/api.js";
import {h, setText} from "../../lib/dom.js";
import {errorState} from "../../lib/error_views.js";
import {formatTime} from "../../lib/format.js";
import {LIMITS} from "../../lib/limits.js";
import {t} from "../../lib/texts.js";

/**
 * Return the closed list of a recording, and a function that reads it again for another transcript.
 *
 * @param {Recording} recording
 * @param {{language: () => string, onpick: (moment: Suggestion) => void, signal: AbortSignal}} options
 */
export function suggestedMoments(recording, {language, onpick, signal}) {
  const path = /** @type {const} */ (`/v1/recordings/${recording.recording_id}/moments`);
  const list = h("div", {role: "group", "aria-label": t("Suggested moments")});
  const model = h(
    "button",
    {type: "button", class: "quiet", hidden: !LIMITS.suggesters.includes("url"), onclick: () => load("url")},
    t("Ask the language model"),
  );
  const node = h("details", {class: "suggested", ontoggle: () => load()}, h("summary", {}, t("Suggested moments")), list, model);

  /** @param {"local" | "url"} [source] */
  async function load(source = "local") {
    if (!node.open) return;
    const of = language();
    list.setAttribute("aria-busy", "true");
    model.disabled = source === "url";
    if (source === "url") setText(model, t("The language model reads the transcript…"));
    try {
      const found = /** @type {Suggestions} */ (await get(query(path, {kind: "suggestion", language: of, source}), {signal}));
      if (of !== language()) return;
      const rows = found.data.map((moment) => row(moment, () => onpick(moment)));
      list.replaceChildren(...(rows.length ? rows : [h("p", {class: "muted small"}, t("None found: the text is short, or about one topic without pauses."))]));
    } catch (error) {
      if (error.name !== "AbortError") list.replaceChildren(errorState(error, () => load(source)));
    }
    list.setAttribute("aria-busy", "false");
    model.disabled = false;
    setText(model, t("Ask the language model"));
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
  if (reason === "model") return about ?? t("Chosen by the model");
  if (about === null) return reason === "topic" ? t("New topic") : t("Chapter");
  if (reason === "point") return `“${about}”`;
  if (reason === "topic") return t("Topic: {about}", {about});
  if (reason === "keyword") return t("Keyword {about}", {about});
  return reason === "speaker" ? t("Speaker {about}", {about}) : t("Chapter {about}", {about});
}
