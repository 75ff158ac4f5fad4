// A row of a list of clips: poster, label, range, progress or error, and actions.

import {patch} from "../lib/api.js";
import {find, h, icon, iconButton, setChildren, setText} from "../lib/dom.js";
import {editInPlace, splitTags, tagList} from "../lib/edit_in_place.js";
import {clipState, formatBytes, formatMoment, formatTime, placeInQueue, rangeOf, requestedSeconds, stripBidi, waitOf} from "../lib/format.js";
import {LIMITS} from "../lib/limits.js";
import {posterImage} from "../lib/posters.js";
import {plural, t} from "../lib/texts.js";
import {asyncHandler, errorSummary, menuButton} from "../lib/ui.js";
import {cancel, clipDownload, menuItems, playClip, retry} from "./clip_actions.js";
import {shareClip} from "./share_dialog.js";

/**
 * @typedef {object} ClipRowOptions
 * @property {((id: string) => HTMLElement) | null} [linkToRecording]
 * @property {(clip: Clip) => void} onchange
 * @property {(clip: Clip) => void} ondeleted
 * @property {((clip: Clip) => void) | null} [onlocate] for the list of one recording
 * @property {(seconds: number) => string} [timeOf] formats a time of the recording
 * @property {((tag: string) => void) | null} [ontag]
 */

/**
 * `linkToRecording(id)` returns a link to the recording; `onchange(clip)` and `ondeleted(clip)` update the list. `ontag(tag)`
 * filters it.
 *
 * @param {ClipRowOptions} options
 * @returns {import("../lib/paged_list.js").Row<Clip>}
 */
export function clipRow({
  linkToRecording = null,
  onchange,
  ondeleted,
  onlocate = null,
  timeOf = (seconds) => formatTime(Math.floor(seconds), 0),
  ontag = null,
}) {
  /** @type {Clip} */
  let clip; // set by the first `update`, before the row is shown
  const poster = h("button", {type: "button", class: "poster", disabled: true, onclick: () => playClip(/** @type {ReadyClip} */ (clip))});
  const name = h("span", {class: "name clip"});
  const size = h("span", {class: "figure"});
  const when = h("span", {class: "figure"});
  const pill = h("span", {class: "pill"});
  const facts = h("p", {class: "facts"});
  const bar = h("progress", {max: "1", hidden: true});
  const place = h("p", {class: "muted small", hidden: true});
  const problem = h("div", {class: "why", hidden: true});
  const actions = h("div", {class: "actions"});
  const more = menuButton(t("More actions for this clip"), "more", () => menuItems(clip, {ondeleted, rename, retag}));
  const tags = tagList(ontag);
  const node = h(
    "li",
    {class: "clip-row"},
    poster,
    h("div", {class: "words"}, h("div", {class: "row title"}, name, pill), facts, tags.node, bar, place, problem),
    size,
    when,
    actions,
  );

  // A pressed button disappears when the clip's status changes: focus the first of its successors.
  let pressed = false;
  /** @param {(clip: Clip) => Promise<Clip>} work */
  const apply = (work) =>
    asyncHandler(async () => {
      pressed = actions.contains(document.activeElement);
      onchange(await work(clip));
    });

  /** @param {{label?: string, tags?: string[]}} values */
  const change = async (values) => onchange(await patch(`/v1/clips/${clip.clip_id}`, values));
  const rename = () => editInPlace(name, {value: clip.label, label: t("Label"), restore: more, save: (text) => change({label: text})});
  const retag = () =>
    editInPlace(tags.node, {
      value: clip.tags.join(", "),
      label: t("Tags"),
      placeholder: t("Tags, separated by commas"),
      maxlength: LIMITS.tags,
      restore: more,
      save: (text) => change({tags: splitTags(text)}),
    });

  /** @param {Clip} next */
  function update(next) {
    const statusChanged = !clip || clip.status !== next.status;
    const unchanged = !statusChanged && clip.attempt === next.attempt;
    clip = next;
    setText(name, next.label);
    name.title = stripBidi(next.label);
    tags.update(next.tags);
    const state = clipState(next);
    pill.className = `pill ${state.kind}`;
    const idle = next.step === "queued" || next.step === "waiting";
    const percent = next.status === "processing" && !idle ? ` ${Math.round(next.progress * 100)} %` : "";
    setText(pill, state.text + percent);
    pill.hidden = next.status === "complete"; // only what is not normal is said
    const queued = next.status === "processing" && idle;
    setText(place, queued ? (next.step === "waiting" ? waitOf(next) : placeInQueue(next.queue)) : "");
    place.hidden = !place.textContent;
    bar.hidden = queued || next.status !== "processing";
    bar.value = next.progress;
    bar.setAttribute("aria-label", t("Progress of {label}", {label: next.label}));
    if (unchanged && facts.querySelector(".time")?.textContent === placeOf(clip)) return;
    drawFacts();
    drawPoster();
    problem.hidden = !next.error || next.error.code === "cancelled"; // the user did it
    if (next.error && !problem.hidden) problem.replaceChildren(errorSummary(next.error));
    if (!statusChanged) return;
    more.classList.toggle("later", next.status === "complete");
    setChildren(actions, [...buttons(), more]);
    if (pressed && document.activeElement === document.body) find(actions, "*")?.focus();
    pressed = false;
  }

  /**
   * Return the start of the clip in the recording, or the number of its parts.
   *
   * @param {Clip} clip
   */
  const placeOf = ({parts, start_seconds}) => (parts && parts.length > 1 ? plural(parts.length, "{count} part", "{count} parts") : timeOf(start_seconds));

  function drawFacts() {
    const range = rangeOf(clip);
    const place = h("span", {class: "time", title: range}, placeOf(clip));
    const parts = linkToRecording ? [] : [place];
    if (onlocate) {
      const label = `${t("Show on the timeline")}: ${range}`;
      parts[0] = h("button", {type: "button", class: "link time", title: label, onclick: () => onlocate(clip)}, placeOf(clip));
    }
    if (clip.output?.aspect) parts.push(h("span", {}, clip.output.aspect));
    if (clip.subtitles?.mode === "burn") parts.push(h("span", {}, t("captions")));
    if (clip.profile !== "default") parts.push(h("span", {}, clip.profile));
    if (onlocate && clip.result) parts.push(h("span", {}, formatBytes(clip.result.size_bytes)));
    const from = linkToRecording ? [h("span", {class: "from"}, linkToRecording(clip.recording_id), place)] : [];
    facts.replaceChildren(...from, ...(parts.length ? [h("span", {class: "line"}, parts)] : []));
    setText(size, clip.result ? formatBytes(clip.result.size_bytes) : "");
    setText(when, formatMoment(clip.created_at));
    when.title = clip.created_at;
  }

  function drawPoster() {
    const ready = clip.status === "complete";
    poster.disabled = !ready;
    const seconds = clip.result ? clip.result.duration_seconds : requestedSeconds(clip);
    const length = formatTime(seconds, seconds < 9.95 ? 1 : 0);
    const spoken = ready ? t("Play {label}", {label: clip.label}) : t("{label} is not ready", {label: clip.label});
    poster.setAttribute("aria-label", `${spoken}, ${length}`);
    const image = ready && clip.result?.poster_path && posterImage(`/v1/clips/${clip.clip_id}/poster`);
    const sound = Boolean(ready && clip.result?.audio_codec && !clip.result.width);
    poster.classList.toggle("sound", sound);
    const parts = [icon(sound ? "wave" : ready ? "play" : "film"), h("span", {class: "time"}, length)];
    poster.replaceChildren(...(image ? [image] : []), ...parts);
  }

  function buttons() {
    if (clip.status === "complete") {
      return [
        iconButton("link", t("Share {label}", {label: clip.label}), () => shareClip(clip), {class: "quiet square later share"}),
        h(
          "a",
          {class: "button quiet square later", href: clipDownload(clip), title: t("Download"), "aria-label": t("Download {label}", {label: clip.label})},
          icon("down"),
        ),
      ];
    }
    if (clip.status === "processing") return [iconButton("x", t("Cancel {label}", {label: clip.label}), apply(cancel))];
    return [
      h(
        "button",
        {type: "button", class: "quiet", title: t("Retry"), "aria-label": t("Retry {label}", {label: clip.label}), onclick: apply(retry)},
        icon("retry"),
        h("span", {class: "words"}, t("Retry")),
      ),
    ];
  }

  return {node, update};
}
