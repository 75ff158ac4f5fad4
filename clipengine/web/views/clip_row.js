// A row of a list of clips: poster, label, range, progress or error, and actions.

import {patch} from "../lib/api.js";
import {find, h, icon, iconButton} from "../lib/dom.js";
import {editInPlace, editTagsInPlace, tagList} from "../lib/edit_in_place.js";
import {errorSummary} from "../lib/error_views.js";
import {clipState, formatBytes, formatLength, formatMoment, formatTime, lengthOf, placeInQueue, rangeOf, shortPlace, stripBidi, waitOf} from "../lib/format.js";
import {menuButton} from "../lib/menus.js";
import {posterImage} from "../lib/posters.js";
import {bind} from "../lib/reactive.js";
import {may} from "../lib/rights.js";
import {plural, t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {computed} from "../vendor/signals-core.js";
import {cancel, clipDownload, menuItems, playClip, retry} from "./clip_actions.js";
import {shareClip} from "./share_dialog.js";

/** @import {ReadonlySignal} from "../vendor/signals-core.js" */

/**
 * @typedef {object} ClipRowOptions
 * @property {((id: string) => HTMLElement) | null} [linkToRecording]
 * @property {(clip: Clip) => void} onchange
 * @property {() => void} [ondelete] when it is hidden, before it is deleted
 * @property {((clip: Clip) => void) | null} [onlocate] for the list of one recording
 * @property {(seconds: number) => string} [timeOf] formats a time of the recording
 * @property {((tag: string) => void) | null} [ontag]
 */

/**
 * Return the row of a clip. `linkToRecording(id)` returns a link to the recording; `onchange(clip)` updates the list.
 * `ontag(tag)` filters it.
 *
 * @param {ReadonlySignal<Clip>} state
 * @param {ClipRowOptions} options
 */
export function clipRow(
  state,
  {linkToRecording = null, onchange, ondelete, onlocate = null, timeOf = (seconds) => formatTime(Math.floor(seconds), 0), ontag = null},
) {
  // What is redrawn changes with these, and not with each step of the progress.
  const status = computed(() => state.value.status);
  const stage = computed(() => `${status.value} ${state.value.attempt}`);
  const idle = computed(() => status.value === "processing" && ["queued", "waiting"].includes(state.value.step ?? ""));
  const at = computed(() => placeOf(state.value));
  const queued = computed(() => idle.value && state.value.step !== "waiting");
  const place = computed(() => (queued.value ? shortPlace(state.value.queue) : ""));
  const made = computed(() => state.value.created_at);
  const size = computed(() => (state.value.result ? formatBytes(state.value.result.size_bytes) : ""));
  /**
   * Return children that are made again when the clip enters another stage, or its range is shown in another way.
   *
   * @param {(clip: Clip) => Children} make
   */
  const inStage = (make) => () => make(stage.value && at.value ? state.peek() : state.value);
  const name = h("span", {class: "name clip", title: () => stripBidi(state.value.label)}, () => state.value.label);
  const tags = tagList(ontag);
  bind(() => tags.update(state.value.tags));
  const pill = h("span", {class: () => `pill ${clipState(state.value).kind}`, hidden: () => status.value === "complete" || Boolean(place.value)}, () => {
    const clip = state.value; // only what is not normal is said
    return clipState(clip).text + (status.value === "processing" && !idle.value ? ` ${Math.round(clip.progress * 100)} %` : "");
  });
  const poster = h(
    "button",
    {
      type: "button",
      class: () => (soundOnly(state.value) ? "poster sound" : "poster"),
      disabled: () => status.value !== "complete",
      "aria-label": () => posterLabel(state.value),
      onclick: () => playClip(/** @type {ReadyClip} */ (state.peek())),
    },
    inStage(posterParts),
  );
  const bar = h("progress", {
    max: "1",
    hidden: () => idle.value || status.value !== "processing",
    value: () => state.value.progress,
    "aria-label": () => t("Progress of {label}", {label: state.value.label}),
  });
  /** @param {Clip} clip */
  const faultOf = (clip) => (clip.error && clip.error.code !== "cancelled" ? clip.error : null); // the user did that
  const more = menuButton(t("More actions for this clip"), "more", () =>
    menuItems(state.peek(), {ondelete, rename, retag, onretry: async () => onchange(await retry(state.peek()))}),
  );
  // A pressed button disappears when the clip's status changes: focus the first of its successors.
  let pressed = false;
  /** @param {(clip: Clip) => Promise<Clip>} work */
  const apply = (work) =>
    asyncHandler(async () => {
      pressed = actions.contains(document.activeElement);
      onchange(await work(state.peek()));
    });
  const actions = h("div", {class: "actions"}, () => {
    more.classList.toggle("later", status.value === "complete");
    return [...buttons(status.value), more];
  });
  const node = h(
    "li",
    {class: "clip-row"},
    poster,
    h(
      "div",
      {class: "words"},
      h("div", {class: "row title"}, name, pill),
      h(
        "p",
        {class: () => (place.value ? "facts queued" : "facts")},
        inStage(facts),
        h("span", {class: "place", hidden: () => !place.value, title: () => placeInQueue(state.value.queue)}, () => place.value),
      ),
      tags.node,
      bar,
      h("p", {class: "muted small", hidden: () => !idle.value || queued.value}, () => waitOf(state.value)),
      h(
        "div",
        {class: "why", hidden: () => !faultOf(state.value)},
        inStage((clip) => {
          const fault = faultOf(clip);
          return fault && errorSummary(fault);
        }),
      ),
    ),
    h("span", {class: "figure"}, () => size.value),
    h("span", {class: "figure", title: () => made.value}, () => formatMoment(made.value)),
    actions,
  );

  bind(() => {
    status.value;
    if (pressed && document.activeElement === document.body) find(actions, "*")?.focus();
    pressed = false;
  });

  /** @param {{label?: string, tags?: string[]}} values */
  const change = async (values) => onchange(await patch(`/v1/clips/${state.peek().clip_id}`, values));
  const rename = () => editInPlace(name, {value: state.peek().label, label: t("Label"), restore: more, save: (text) => change({label: text})});
  const retag = () => editTagsInPlace(tags.node, {tags: state.peek().tags, restore: more, save: (values) => change({tags: values})});

  /**
   * Return the start of the clip in the recording, or the number of its parts.
   *
   * @param {Clip} clip
   */
  function placeOf({parts, start_seconds}) {
    return parts && parts.length > 1 ? plural(parts.length, "{count} part", "{count} parts") : timeOf(start_seconds);
  }

  /** @param {Clip} clip */
  function facts(clip) {
    const range = rangeOf(clip);
    const place = h("span", {class: "time", title: range}, placeOf(clip));
    const parts = linkToRecording ? [] : [place];
    if (onlocate) {
      const label = `${t("Show on the timeline")}: ${range}`;
      parts[0] = h("button", {type: "button", class: "link time", title: label, onclick: () => onlocate(state.peek())}, placeOf(clip));
    }
    if (clip.output?.aspect) parts.push(h("span", {}, clip.output.aspect));
    if (clip.subtitles?.mode === "burn") parts.push(h("span", {}, t("captions")));
    if (clip.profile !== "default") parts.push(h("span", {}, clip.profile));
    if (onlocate && clip.result) parts.push(h("span", {}, formatBytes(clip.result.size_bytes)));
    const from = linkToRecording ? [h("span", {class: "from"}, linkToRecording(clip.recording_id), place)] : [];
    return [...from, ...(parts.length ? [h("span", {class: "line"}, parts)] : [])];
  }

  /** @param {Clip["status"]} status */
  function buttons(status) {
    const clip = state.peek();
    /** @param {(label: string) => string} text */
    const named = (text) => () => text(state.value.label); // it may be renamed, also elsewhere
    if (status === "complete") {
      const download = h(
        "a",
        {class: "button quiet square later", href: clipDownload(clip), title: t("Download"), "aria-label": named((label) => t("Download {label}", {label}))},
        icon("down"),
      );
      if (!may("write", "clips")) return [download];
      return [
        iconButton(
          "link",
          named((label) => t("Share {label}", {label})),
          () => shareClip(state.peek()),
          {class: "quiet square later share"},
        ),
        download,
      ];
    }
    if (!may("write", "clips")) return [];
    if (status === "processing") {
      if (!may("delete", "clips", clip)) return [];
      return [
        iconButton(
          "x",
          named((label) => t("Cancel {label}", {label})),
          apply(cancel),
        ),
      ];
    }
    if (clip.error?.retryable === false) return []; // the menu offers it
    return [
      h(
        "button",
        {type: "button", class: "quiet", title: t("Retry"), "aria-label": named((label) => t("Retry {label}", {label})), onclick: apply(retry)},
        icon("retry"),
        h("span", {class: "words"}, t("Retry")),
      ),
    ];
  }

  return node;
}

/** @param {Clip} clip */
const soundOnly = ({status, result}) => Boolean(status === "complete" && result?.audio_codec && !result.width);

/** @param {Clip} clip */
function posterLabel(clip) {
  const {label} = clip;
  return `${clip.status === "complete" ? t("Play {label}", {label}) : t("{label} is not ready", {label})}, ${formatLength(lengthOf(clip))}`;
}

/** @param {Clip} clip */
function posterParts(clip) {
  const ready = clip.status === "complete";
  const image = ready && clip.result?.poster_path && posterImage(`/v1/clips/${clip.clip_id}/poster`);
  return [image || null, icon(soundOnly(clip) ? "wave" : ready ? "play" : "film"), h("span", {class: "time"}, formatLength(lengthOf(clip)))];
}
