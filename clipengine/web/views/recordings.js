// The list of recordings: searched with their transcripts, filtered and sorted by the server; uploads by drag and drop.

import {patch} from "../lib/api.js";
import {editTags} from "../lib/bulk_tags.js";
import {h, icon, setText} from "../lib/dom.js";
import {editInPlace, splitTags, tagList} from "../lib/edit_in_place.js";
import {listen} from "../lib/events.js";
import {dayGroup, formatBytes, formatDay, formatMoment, formatTime, titleOf} from "../lib/format.js";
import {LIMITS} from "../lib/limits.js";
import {listFilters} from "../lib/list_filters.js";
import {PagedList} from "../lib/paged_list.js";
import {Picks} from "../lib/picks.js";
import {posterImage} from "../lib/posters.js";
import {formatNumber, plural, t} from "../lib/texts.js";
import {asyncHandler, errorSummary, menuButton} from "../lib/ui.js";
import {lastButton} from "./live.js";
import {recordingDownload, registerAgain, registerFromStore, removeRecording, removeRecordings} from "./recording_actions.js";
import {transcriptHits} from "./transcript_hits.js";
import {acceptDrops, addUploads, filePicker, uploadRows, watchUploads} from "./uploads.js";

/** @type {[value: string, text: string][]} */
const STATUSES = [
  ["", t("All")],
  ["recording", t("Live")],
  ["processing", t("In work")],
  ["failed", t("Failed")],
];
/** @type {[value: string, text: string][]} */
const SORTS = [
  ["-created_at", t("Newest first")],
  ["created_at", t("Oldest first")],
  ["name", t("By name")],
  ["-duration", t("Longest first")],
  ["-size", t("Largest first")],
];
const RECOUNT_MS = 2000; // between requests for the numbers of clips
/**
 * @typedef {object} RowActions
 * @property {(tag: string) => void} ontag
 * @property {(recording: Recording) => void} onchange
 * @property {(recording: Recording) => Promise<void>} remove
 * @property {(recording: Recording) => Promise<void>} retry
 */

/**
 * @param {HTMLElement} main
 * @param {Record<string, string>} params
 * @param {AbortSignal} signal
 */
export function showRecordings(main, params, signal) {
  document.title = `${t("Recordings")} · clipengine`;
  const picker = filePicker(addUploads);
  const hits = transcriptHits(signal, () => recordings.draw());
  const filters = listFilters({
    statuses: STATUSES,
    sorts: SORTS,
    params,
    placeholder: t("Search names and words"),
    label: t("Search recordings and what is said in them"),
    opens: "a.name[href]",
    onchange: () => {
      hits.find(filters.q);
      return recordings.reload();
    },
  });
  /** @type {RowActions} */
  const actions = {
    ontag: (tag) => filters.setTag(tag),
    onchange: (recording) => recordings.put(recording),
    async remove(recording) {
      if (await removeRecording(recording)) recordings.remove(recording.recording_id);
    },
    async retry(recording) {
      const fresh = await registerAgain(recording);
      recordings.remove(recording.recording_id);
      recordings.put(recordings.items.get(fresh.recording_id) || fresh, {fresh: true}); // events may be faster
    },
  };
  /** @type {Picks<Recording>} */
  const picks = new Picks({
    actions: (items) => [
      h(
        "button",
        {
          type: "button",
          onclick: () =>
            editTags(items, {pathOf: (recording) => `/v1/recordings/${recording.recording_id}`, titleOf, onchange: (recording) => picks.replace(recording)}),
        },
        icon("tag"),
        t("Tags…"),
      ),
      h(
        "button",
        {
          type: "button",
          class: "danger",
          onclick: asyncHandler(async () => {
            for (const id of await removeRecordings(items)) recordings.remove(id);
          }),
        },
        icon("trash"),
        t("Remove…"),
      ),
    ],
  });
  /** @type {PagedList<Recording>} */
  const recordings = new PagedList({
    path: "/v1/recordings",
    name: t("Recordings"),
    skeleton,
    idOf: (recording) => recording.recording_id,
    titleOf,
    row: () => recordingRow(actions),
    before: uploadRows,
    groupOf: (recording) => (filters.byDay ? dayGroup(recording.created_at) : null),
    empty: () => (filters.empty ? emptyState(() => picker.click()) : noMatches(!hits.node.hidden)),
    across: true,
    filters,
    picks,
    signal,
  });
  watchUploads(
    signal,
    (recording) => recordings.put(recordings.items.get(recording.recording_id) || recording, {fresh: true}),
    () => recordings.draw(),
  );
  main.append(
    h(
      "div",
      {class: "head"},
      h("h1", {}, t("Recordings")),
      filters.search,
      h("button", {type: "button", class: "primary", title: t("Drop files anywhere to upload them"), onclick: () => picker.click()}, icon("up"), t("Upload")),
      picker,
    ),
    filters.bar(picks.everything),
    filters.details,
    hits.node,
    recordings.node,
  );
  acceptDrops(signal, addUploads);
  filters.field.bind(recordings.list, signal);
  listen(
    {
      resync: () => recordings.resync(),
      ...recounts(recordings, signal),
      recording: (recording) => {
        const known = recordings.items.get(recording.recording_id);
        recordings.put({...known, ...recording, clips_count: known?.clips_count ?? null}); // events do not have it
      },
    },
    signal,
  );
  recordings.load();
  hits.find(filters.q);
}

/**
 * Return listeners that load the numbers of clips again after clips were made or deleted.
 *
 * @param {PagedList<Recording>} recordings
 * @param {AbortSignal} signal
 */
function recounts(recordings, signal) {
  /** @type {Set<string>} ids of clips in progress that are counted */
  const counted = new Set();
  let waits = false;
  const deleted = () => {
    if (waits) return;
    waits = true;
    setTimeout(() => {
      waits = false;
      if (!signal.aborted) recordings.resync();
    }, RECOUNT_MS);
  };
  /** @param {Clip} clip */
  const clip = ({clip_id: id, recording_id: of, status}) => {
    if (!counted.has(id) && recordings.items.has(of)) deleted();
    if (status === "processing") counted.add(id);
    else counted.delete(id);
  };
  return {clip, deleted};
}

/**
 * @param {RowActions} actions
 * @returns {import("../lib/paged_list.js").Row<Recording>}
 */
function recordingRow({ontag, onchange, remove, retry}) {
  const poster = h("div", {class: "poster", "aria-hidden": "true"}, icon("film"));
  const name = h("a", {class: "name clip"});
  const line = h("p", {class: "meta clip"});
  const count = h("span", {class: "count", hidden: true});
  const tags = tagList(ontag);
  const size = h("span", {class: "figure"});
  const when = h("span", {class: "figure"});
  const problem = h("div", {class: "problem", hidden: true});
  /** @type {Recording} */
  let recording; // set by the first `update`, before the row is shown
  /** @param {{name?: string | null, tags?: string[]}} values */
  const change = async (values) => onchange(await patch(`/v1/recordings/${recording.recording_id}`, values));
  const more = menuButton(t("More actions for this recording"), "more", () => [
    {
      text: t("Rename"),
      icon: "pen",
      run: () =>
        editInPlace(name, {
          value: recording.name || "",
          label: t("Name"),
          placeholder: titleOf(recording),
          restore: more,
          save: (text) => change({name: text || null}),
        }),
    },
    {
      text: t("Edit tags"),
      icon: "tag",
      run: () =>
        editInPlace(tags.node, {
          value: recording.tags.join(", "),
          label: t("Tags"),
          placeholder: t("Tags, separated by commas"),
          maxlength: LIMITS.tags,
          restore: more,
          save: (text) => change({tags: splitTags(text)}),
        }),
    },
    !recording.pieces && {
      text: t("Download"),
      icon: "down",
      run: () => {
        location.href = recordingDownload(recording);
      },
    },
    {text: t("Remove…"), icon: "trash", danger: true, run: () => remove(recording)},
  ]);
  const again = h(
    "button",
    {type: "button", class: "quiet again", title: t("Retry"), "aria-label": t("Retry"), hidden: true, onclick: asyncHandler(() => retry(recording))},
    icon("retry"),
    h("span", {}, t("Retry")),
  );
  const last = lastButton(() => recording);
  const node = h(
    "li",
    {class: "recording"},
    poster,
    h("div", {class: "words"}, name, problem, line, count, tags.node),
    size,
    when,
    h("span", {class: "tools"}, last, again, more),
  );
  return {
    node,
    update(next) {
      if (recording && JSON.stringify(recording) === JSON.stringify(next)) return;
      recording = next;
      name.setAttribute("href", `#/recordings/${next.recording_id}`);
      setText(name, titleOf(next));
      line.replaceChildren(...(next.status === "recording" ? [h("span", {class: "live"}, t("Live")), " "] : []), summaryOf(next));
      line.hidden = Boolean(next.error) || !line.textContent; // a failure takes its place
      again.hidden = next.status !== "failed";
      last.hidden = next.status !== "recording";
      count.hidden = !next.clips_count;
      setText(count, countOf(next));
      more.classList.toggle("later", !next.error);
      tags.update(next.tags);
      setText(size, formatBytes(next.file_size_bytes));
      setText(when, formatMoment(next.created_at));
      when.title = next.created_at;
      problem.hidden = !next.error;
      if (next.error) poster.replaceChildren(icon("alert"));
      if (next.error) problem.replaceChildren(errorSummary(next.error));
      if (next.status === "complete" || next.status === "recording") fillPoster(poster, /** @type {ReadyRecording} */ (next));
    },
  };
}

/**
 * Return what is not normal about a recording, or when it was recorded.
 *
 * @param {Recording} recording
 */
function summaryOf(recording) {
  if (recording.status === "processing") return t("Processing…");
  if (recording.status === "recording") return recording.started_at ? t("since {time}", {time: formatMoment(recording.started_at)}) : "";
  if (recording.started_at) return formatDay(recording.started_at);
  return recording.media && !recording.media.video ? t("Sound only") : "";
}

/**
 * Return the number of clips of a recording, in words.
 *
 * @param {Recording} recording
 */
function countOf({clips_count: count}) {
  if (!count) return "";
  if (count < LIMITS.counted) return plural(count, "{count} clip", "{count} clips");
  return t("{count} clips or more", {count: formatNumber(count)});
}

/**
 * @param {HTMLElement} poster
 * @param {ReadyRecording} recording
 */
function fillPoster(poster, recording) {
  const duration = h("span", {class: "time"}, formatTime(recording.duration_seconds, 0));
  if (!recording.media.video) {
    poster.classList.add("sound");
    poster.replaceChildren(icon("wave"), duration);
    return;
  }
  const first = recording.media.video.first_frame_seconds ?? 0;
  const at = (first + Math.min((recording.duration_seconds - first) * 0.1, 10)).toFixed(3);
  const image = posterImage(`/v1/recordings/${recording.recording_id}/frame?at_seconds=${at}&width=240`);
  poster.replaceChildren(icon("film"), ...(image ? [image] : []), duration);
}

const skeleton = () =>
  h(
    "li",
    {class: "recording", "aria-hidden": "true"},
    h("div", {class: "poster skeleton"}),
    h("div", {class: "stack words"}, h("div", {class: "skeleton bone"}), h("div", {class: "skeleton bone short"})),
  );

/** @param {boolean} inTranscripts */
function noMatches(inTranscripts) {
  if (inTranscripts) return h("p", {class: "muted small"}, t("No recording has these words in its name, tags or metadata."));
  return h("div", {class: "empty"}, h("h2", {}, t("No matches")), h("p", {}, t("Try other words or filters.")));
}

/** @param {() => void} choose */
function emptyState(choose) {
  return h(
    "div",
    {class: "empty first drop"},
    icon("camera"),
    h("h2", {}, t("Drop a recording here")),
    h("p", {}, t("Video or sound, of any length. What is already in the store can be added.")),
    h(
      "div",
      {class: "row wrap"},
      h("button", {type: "button", class: "primary", onclick: choose}, icon("up"), t("Upload")),
      h("button", {type: "button", onclick: registerFromStore}, icon("server"), t("Add from the store")),
    ),
  );
}
