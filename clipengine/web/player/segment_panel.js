// The panel of the segments: their rows, the buttons that create one clip or several, and import and export.

import {ApiError, post, postText, request} from "../lib/api.js";
import {addArrowNavigation, announce, h, setChildren, setText} from "../lib/dom.js";
import {formatMoment, formatTime, titleOf} from "../lib/format.js";
import {LIMITS} from "../lib/limits.js";
import {plural, t} from "../lib/texts.js";
import {asyncHandler, errorText, menuButton, saveFile, serverText, toast} from "../lib/ui.js";
import {playAll} from "./play_all.js";
import {segmentRow} from "./segment_row.js";
import {MAX_SEGMENTS} from "./segments.js";

/** @import {Look} from "./look.js" */
/** @import {Player} from "./player.js" */
/** @import {Segment, Segments} from "./segments.js" */
/** @import {Selection} from "./selection.js" */
/** @import {MenuItem} from "../lib/ui.js" */

/**
 * @typedef {object} PanelOptions
 * @property {ReadyRecording} recording
 * @property {Segments} segments
 * @property {Selection} selection
 * @property {Player} player
 * @property {Look} look
 * @property {(item: Segment) => void} onopen
 * @property {(clip: Clip) => void} oncreated
 * @property {(taken: Iterable<string>) => string} nextLabel
 */

/** @param {number} time */
const seconds = (time) => Number(time.toFixed(6));

/**
 * `look` gives the settings of new clips; `nextLabel(taken)` returns the next default label, and
 * `oncreated(clip)` is called for each clip that the server has accepted.
 *
 * @param {PanelOptions} options
 */
export function segmentPanel({recording, segments, selection, player, look, onopen, oncreated, nextLabel}) {
  /** @type {Map<Segment, ReturnType<typeof segmentRow>>} */
  const rows = new Map();
  const list = h("ol", {class: "segment-list", "aria-label": t("Segments")});
  const total = h("span", {class: "muted small time grow"});
  const saved = h("span", {class: "muted small"});
  const problem = h("p", {class: "bad small", role: "alert"});
  const warnings = h("div", {class: "muted small hint", role: "status"}); // parts of the imported file that were left out
  let joins = true; // one clip of all segments, or one of each
  const one = h("button", {type: "button", onclick: () => setJoins(true)}, t("One highlight"));
  const many = h("button", {type: "button", onclick: () => setJoins(false)}, "");
  const title = h("input", {id: "highlight", maxlength: String(LIMITS.label), autocomplete: "off"});
  title.addEventListener("input", () => segments.setTitle(title.value.trim()));
  const titleField = h("div", {class: "labelled name-field"}, h("label", {class: "caption", for: "highlight"}, t("Title")), title);
  const playing = playAll(player, segments);
  const makeText = h("span", {});
  const make = h("button", {type: "button", class: "primary grow", onclick: asyncHandler(submit)}, makeText, h("kbd", {"aria-hidden": "true"}, "⇧ ⏎"));
  const picker = h("input", {type: "file", hidden: true, accept: ".csv,.edl,.otio,.txt,text/csv,text/plain,application/json"});
  const empty = h("p", {class: "muted small hint"}, t("Ranges that are added here become one clip of all of them, or one clip of each. A adds the selection."));
  const footer = h("div", {class: "foot"}, h("div", {class: "row"}, total, saved), h("div", {class: "row"}, playing.button, make));
  const hasVideo = Boolean(recording.media.video);
  const choice = h("div", {class: "choice", role: "group", "aria-label": t("Make")}, one, many);
  title.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    make.click();
  });
  addArrowNavigation(list);

  picker.addEventListener("change", async () => {
    const file = picker.files?.[0];
    picker.value = "";
    if (file) await importFile(file);
  });

  /** @param {File} file */
  async function importFile(file) {
    problem.textContent = "";
    warnings.replaceChildren();
    try {
      const {data: found, notes} = await postText(`/v1/recordings/${recording.recording_id}/ranges`, file);
      if (found.length > segments.room)
        throw new Error(
          t("The file has {count} segments, and the list has room for {room} of {most}.", {count: found.length, room: segments.room, most: MAX_SEGMENTS}),
        );
      segments.addAll(found.map(({label, start_seconds: start, end_seconds: end}) => snapped({label, start, end}, selection)));
      toast(plural(found.length, "{count} segment imported", "{count} segments imported"), file.name);
      warnings.replaceChildren(
        ...notes.map(({line, detail}) => h("p", {}, `${file.name}: `, line ? `${t("line {line}", {line: String(line)})}: ` : "", serverText(detail))),
      );
    } catch (error) {
      problem.replaceChildren(t("{name} was not imported.", {name: file.name}), " ", errorText(error));
    }
  }

  /**
   * @param {"csv" | "losslesscut" | "edl" | "otio" | "fcpxml" | "xmeml"} format
   * @param {string} suffix of the file's name
   */
  const save = (format, suffix) => async () => {
    const ranges = segments.items.map(({label, start, end}) => ({label, start_seconds: seconds(start), end_seconds: seconds(end)}));
    const file = await request("POST", `/v1/recordings/${recording.recording_id}/ranges/file`, {body: {format, ranges}, as: "blob"});
    saveFile(`${titleOf(recording).replace(/[\\/:*?"<>|]+/g, "-")}${suffix}`, file);
  };
  /** @returns {MenuItem[]} */
  const exports = () => [
    {text: t("Export CSV"), icon: "down", run: save("csv", ".csv")},
    {text: t("Export CSV for LosslessCut"), icon: "down", run: save("losslesscut", "-llc.csv")},
    hasVideo && {text: t("Export EDL"), icon: "down", run: save("edl", ".edl")},
    {text: t("Export OpenTimelineIO"), icon: "down", run: save("otio", ".otio")},
    hasVideo && {text: t("Export for Final Cut Pro and Resolve"), icon: "down", run: save("fcpxml", ".fcpxml")},
    hasVideo && {text: t("Export for Premiere Pro"), icon: "down", run: save("xmeml", ".xml")},
    {text: t("Remove all"), icon: "trash", danger: true, run: () => offerList(segments.replace([]), t("Segments removed"), t("Undo"))},
  ];
  const menu = menuButton(t("Import and export segments"), "more", () => [
    {text: t("Import…"), icon: "up", run: () => picker.click()},
    ...(segments.items.length ? exports() : []),
  ]);

  /**
   * @param {Segment[]} before
   * @param {string} title
   * @param {string} text
   */
  function offerList(before, title, text) {
    const restore = () => segments.replace([...before, ...segments.items.filter((item) => !before.includes(item))].slice(0, MAX_SEGMENTS));
    toast(title, "", {action: {text, run: restore}});
  }

  /** @param {boolean} on */
  function setJoins(on) {
    joins = on;
    draw();
  }

  async function submit() {
    if (!segments.items.length) return;
    await (joins && segments.items.length > 1 ? createOne() : createMany());
  }

  async function createOne() {
    const parts = segments.items.map(({start, end}) => ({start_seconds: seconds(start), end_seconds: seconds(end)}));
    const made = await create(() => {
      const label = segments.title || nextLabel([]);
      return post(`/v1/recordings/${recording.recording_id}/clips`, {label, parts, ...look.settings(segments.seconds)});
    });
    if (made) segments.setTitle("");
  }

  async function createMany() {
    /** @type {string[]} */
    const taken = [];
    /** @param {Segment} segment */
    const clip = ({label, start, end}) => {
      const name = label || nextLabel(taken);
      taken.push(name);
      return {recording_id: recording.recording_id, label: name, start_seconds: seconds(start), end_seconds: seconds(end), ...look.settings(end - start)};
    };
    await create(() => post("/v1/clips/batch", {clips: segments.items.map(clip)}));
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
      offerList(segments.replace([]), title, t("Restore list"));
      return true;
    } catch (error) {
      problem.replaceChildren(...located(error));
      return false;
    }
  }

  function draw() {
    const {items, current} = segments;
    for (const item of [...rows.keys()]) if (!items.includes(item)) rows.delete(item);
    const nodes = items.map((item, index) => {
      const row = rows.get(item) ?? segmentRow(item, {recording, segments, onopen});
      rows.set(item, row);
      row.update(index, item === current);
      return row.node;
    });
    setChildren(list, nodes);
    list.hidden = !items.length;
    footer.hidden = !items.length;
    empty.hidden = items.length > 0;
    if (!items.length) warnings.replaceChildren();
    setText(total, formatTime(segments.seconds));
    total.title = t("Total length");
    const alone = items.length < 2;
    setText(many, plural(items.length, "{count} single clip", "{count} single clips"));
    for (const [button, on] of /** @type {const} */ ([
      [one, joins],
      [many, !joins],
    ]))
      button.setAttribute("aria-pressed", String(on));
    choice.hidden = alone;
    titleField.hidden = alone || !joins;
    setText(makeText, joins && !alone ? t("Make highlight") : plural(items.length, "Make {count} clip", "Make {count} clips"));
    if (title.value.trim() !== segments.title) title.value = segments.title;
    title.placeholder = nextLabel([]);
    problem.textContent = "";
  }
  const drawSaved = () => setText(saved, segments.savedAt ? t("Saved {time}", {time: formatMoment(segments.savedAt)}) : "");
  segments.addEventListener("change", draw);
  for (const name of ["change", "saved", "loaded"]) segments.addEventListener(name, drawSaved);

  const node = h(
    "div",
    {class: "segments-panel"},
    h("div", {class: "top"}, h("div", {class: "row"}, choice, h("span", {class: "grow"}), picker, menu), titleField),
    list,
    problem,
    warnings,
    empty,
    footer,
  );
  draw();
  return {node, submit: () => make.click()};
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

/**
 * @param {Segment} range
 * @param {Selection} selection
 */
const snapped = ({label, start, end}, selection) => {
  const first = Math.min(selection.snap(start), selection.snap(selection.duration - selection.minLength));
  return {label, start: first, end: Math.max(selection.snap(end), selection.snap(first + selection.minLength))};
};
