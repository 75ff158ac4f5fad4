// The panel of the segments: their rows, the buttons that create one clip or several, and import and export.

import {ApiError, post} from "../../lib/api.js";
import {addArrowNavigation, announce, h} from "../../lib/dom.js";
import {errorText, serverText} from "../../lib/error_views.js";
import {formatMoment, formatTime} from "../../lib/format.js";
import {LIMITS} from "../../lib/limits.js";
import {bind, keyed, within} from "../../lib/reactive.js";
import {mayEdit} from "../../lib/rights.js";
import {plural, t} from "../../lib/texts.js";
import {asyncHandler, toast} from "../../lib/toasts.js";
import {timesOf} from "../../store/doc.js";
import {computed, signal as signalOf} from "../../vendor/signals-core.js";
import {playAll} from "./play_all.js";
import {segmentFiles} from "./segment_files.js";
import {segmentRow} from "./segment_row.js";

/** @import {Look} from "../look/look.js" */
/** @import {Player} from "../media/player.js" */
/** @import {Segment} from "../../store/doc.js" */
/** @import {Segments} from "./segments.js" */
/** @import {Selection} from "./selection.js" */

/**
 * @typedef {object} PanelOptions
 * @property {ReadyRecording} recording
 * @property {Segments} segments
 * @property {Selection} selection
 * @property {Player} player
 * @property {Look} look
 * @property {(segment: Segment) => void} onopen
 * @property {(clip: Clip) => void} oncreated
 * @property {(taken: Iterable<string>) => string} nextLabel reads signals
 * @property {AbortSignal} signal
 */

/**
 * `look` gives the settings of new clips; `nextLabel(taken)` returns the next default label, and
 * `oncreated(clip)` is called for each clip that the server has accepted.
 *
 * @param {PanelOptions} options
 */
export function segmentPanel(options) {
  const {segments, player, onopen, recording, signal} = options;
  const {doc} = segments;
  const joins = signalOf(true); // one clip of all segments, or one of each
  const count = computed(() => doc.segments.value.length);
  const maker = clipMaker(options, joins);
  const files = segmentFiles(options, maker.offerList);
  return within(signal, () => {
    const list = h("ol", {class: "segment-list", "aria-label": t("Segments"), hidden: () => !count.value});
    const ids = () => doc.segments.value.map(({id}) => String(id));
    keyed(list, ids, (id) => segmentRow(Number(id), {recording, segments, onopen}));
    addArrowNavigation(list);
    bind(() => {
      doc.segments.value;
      maker.problem.textContent = "";
      files.problem.textContent = "";
      if (!count.value) files.warnings.replaceChildren();
    });
    const playing = playAll(player, doc);
    const empty = mayEdit() ? t("Ranges that are added here become one clip of all of them, or one clip of each. A adds the selection.") : t("No segments yet");
    bind(() => {
      files.menu.hidden = !mayEdit() && !count.value; // nothing to export
    });
    const saved = () => (segments.sync.savedAt.value ? t("Saved {time}", {time: formatMoment(segments.sync.savedAt.value)}) : "");
    const node = h(
      "div",
      {class: "segments-panel"},
      h(
        "div",
        {class: "top"},
        h("div", {class: "row"}, mayEdit() && makeChoice(joins, count), h("span", {class: "grow"}), files.picker, files.menu),
        mayEdit() && titleField(options, maker, joins),
      ),
      list,
      maker.problem,
      files.problem,
      files.warnings,
      h("p", {class: "muted small hint", hidden: () => count.value > 0}, empty),
      h(
        "div",
        {class: "foot", hidden: () => !count.value},
        h(
          "div",
          {class: "row"},
          h("span", {class: "muted small time grow", title: t("Total length")}, () => formatTime(doc.seconds)),
          h("span", {class: "muted small"}, saved),
        ),
        h("div", {class: "row"}, playing.button, mayEdit() && maker.make),
      ),
    );
    return {node, submit: () => maker.make.click()};
  });
}

/** @import {ReadonlySignal, Signal} from "../../vendor/signals-core.js" */

/**
 * Return the choice between one clip of all segments and one of each.
 *
 * @param {Signal<boolean>} joins
 * @param {ReadonlySignal<number>} count
 */
function makeChoice(joins, count) {
  /**
   * @param {boolean} value
   * @param {Child} text
   */
  const button = (value, text) => h("button", {type: "button", "aria-pressed": () => String(joins.value === value), onclick: () => set(value)}, text);
  const set = (/** @type {boolean} */ value) => {
    joins.value = value;
  };
  const many = h("span", {}, () => plural(count.value, "{count} single clip", "{count} single clips"));
  return h(
    "div",
    {class: "choice", role: "group", "aria-label": t("Make"), hidden: () => count.value < 2},
    button(true, t("One highlight")),
    button(false, many),
  );
}

/**
 * Return the field of the title of the clip of all segments.
 *
 * @param {PanelOptions} options
 * @param {{make: HTMLButtonElement}} maker
 * @param {Signal<boolean>} joins
 */
function titleField({segments: {doc}, nextLabel}, {make}, joins) {
  const title = h("input", {id: "highlight", maxlength: String(LIMITS.label), autocomplete: "off", placeholder: () => nextLabel([])});
  title.addEventListener("input", () => doc.change({title: title.value.trim()}, "title"));
  title.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    make.click();
  });
  bind(() => {
    if (title.value.trim() !== doc.title.value) title.value = doc.title.value;
  });
  const hidden = () => doc.segments.value.length < 2 || !joins.value;
  return h("div", {class: "labelled name-field", hidden}, h("label", {class: "caption", for: "highlight"}, t("Title")), title);
}

/**
 * Return the button that makes the clips, and the line for its problems. `offerList` offers to put segments back.
 *
 * @param {PanelOptions} options
 * @param {Signal<boolean>} joins
 */
function clipMaker({recording, segments: {doc}, look, oncreated, nextLabel, signal}, joins) {
  const problem = h("p", {class: "bad small", role: "alert"});
  const text = () => {
    const count = doc.segments.value.length;
    return joins.value && count > 1 ? t("Make highlight") : plural(count, "Make {count} clip", "Make {count} clips");
  };
  const make = within(signal, () =>
    h("button", {type: "button", class: "primary grow", onclick: asyncHandler(submit)}, h("span", {}, text), h("kbd", {"aria-hidden": "true"}, "⇧ ⏎")),
  );

  /**
   * @param {readonly Segment[]} before
   * @param {string} title
   * @param {string} action
   */
  const offerList = (before, title, action) => toast(title, "", {action: {text: action, run: () => doc.putBack(before)}});

  async function submit() {
    const segments = doc.segments.peek();
    if (segments.length) await (joins.peek() && segments.length > 1 ? createOne(segments) : createMany(segments));
  }

  /** @param {readonly Segment[]} segments */
  async function createOne(segments) {
    const made = await create(() => {
      const label = doc.title.peek() || nextLabel([]);
      return post(`/v1/recordings/${recording.recording_id}/clips`, {label, parts: segments.map(timesOf), ...look.settings(doc.seconds)});
    });
    if (made) doc.set({title: ""});
  }

  /** @param {readonly Segment[]} segments */
  async function createMany(segments) {
    /** @type {string[]} */
    const taken = [];
    /** @param {Segment} segment */
    const clip = ({label, start, end}) => {
      const name = label || nextLabel(taken);
      taken.push(name);
      return {recording_id: recording.recording_id, label: name, ...timesOf({label, start, end}), ...look.settings(end - start)};
    };
    await create(() => post("/v1/clips/batch", {clips: segments.map(clip)}));
  }

  /**
   * Send the request, add its clips to the list of clips, and clear the segments. Returns false if it was rejected.
   *
   * @param {() => Promise<Clip | {data: Clip[]}>} send
   */
  async function create(send) {
    problem.textContent = "";
    try {
      const made = await send();
      const clips = "data" in made ? made.data : [made];
      clips.forEach(oncreated);
      const title =
        clips.length === 1 ? t("{label} is queued", {label: clips[0].label}) : plural(clips.length, "{count} clip is queued", "{count} clips are queued");
      announce(title);
      offerList(doc.clear(), title, t("Restore list"));
      return true;
    } catch (error) {
      problem.replaceChildren(...located(error));
      return false;
    }
  }

  return {make, problem, offerList};
}

/**
 * Return the message of an error for `h`, with the number of the segment that it is about.
 *
 * @param {any} error
 */
function located(error) {
  if (!(error instanceof ApiError)) return [errorText(error)];
  /** @type {Map<string, [number: number, detail: string]>} without repetitions */
  const faults = new Map();
  for (const {pointer, detail} of error.errors) {
    const match = /^\/(?:clips|parts)\/(\d+)\//.exec(pointer || "");
    if (!match) return [errorText(error)];
    faults.set(`${match[1]} ${detail}`, [Number(match[1]) + 1, detail]);
  }
  if (!faults.size) return [errorText(error)];
  return [...faults.values()].flatMap(([number, detail], at) => [`${at ? " " : ""}${t("Segment {number}", {number})}: `, serverText(`${detail}.`)]);
}
