// The list of recordings: searched with their transcripts, filtered and sorted by the server, and the uploads above them.

import {get, patch, query as address} from "../lib/api.js";
import {editTags} from "../lib/bulk_tags.js";
import {h, icon, iconButton} from "../lib/dom.js";
import {filePicker} from "../lib/dropped_files.js";
import {editInPlace, editTagsInPlace, tagList} from "../lib/edit_in_place.js";
import {errorSummary} from "../lib/error_views.js";
import {listen} from "../lib/events.js";
import {dayGroup, formatBytes, formatDay, formatMoment, formatTime, titleOf} from "../lib/format.js";
import {addUploads, loaded} from "../lib/late_uploads.js";
import {LIMITS} from "../lib/limits.js";
import {listFilters} from "../lib/list_filters.js";
import {menuButton} from "../lib/menus.js";
import {PagedList} from "../lib/paged_list.js";
import {Picks} from "../lib/picks.js";
import {posterImage} from "../lib/posters.js";
import {bind, within} from "../lib/reactive.js";
import {may} from "../lib/rights.js";
import {formatNumber, plural, t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {ListQuery} from "../store/list_query.js";
import {recordingEntities} from "../store/recordings.js";
import {computed, signal as signalOf} from "../vendor/signals-core.js";
import {lastButton, liveMark} from "./live.js";
import {mayRegisterAgain, recordingDownload, registerAgain, registerFromStore, removeRecordings, retryText} from "./recording_actions.js";
import {transcriptHits} from "./transcript_hits.js";

/** @import {ReadonlySignal} from "../vendor/signals-core.js" */

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
  const folders = filePicker(addUploads, {folder: true});
  const found = signalOf(false); // whether transcripts have matches
  const hits = transcriptHits(signal, () => {
    found.value = !hits.node.hidden;
  });
  const filters = listFilters({
    statuses: STATUSES,
    sorts: SORTS,
    params,
    placeholder: t("Search names and words"),
    label: t("Search recordings and what is said in them"),
    opens: "a.name[href]",
    onchange: () => {
      hits.find(filters.q);
      picks.clear();
      return query.reload();
    },
    signal,
  });
  const store = recordingEntities();
  /** @type {ListQuery<Recording>} */
  const query = new ListQuery({store, ask: (values, until) => get(address("/v1/recordings", values), {signal: until}), filters, signal});
  /** @param {Recording} recording */
  const add = (recording) => store.apply([store.peek(recording.recording_id) ?? recording], {fresh: true}); // events may be faster
  const forget = (/** @type {string} */ id) => store.delete(id);
  /** @type {RowActions} */
  const actions = {
    ontag: (tag) => filters.setTag(tag),
    onchange: (recording) => store.apply([recording]),
    remove: async (recording) => void (await removeRecordings([recording], forget)),
    async retry(recording) {
      const fresh = await registerAgain(recording);
      store.delete(recording.recording_id);
      add(fresh);
    },
  };
  /** @type {Picks<Recording>} */
  const picks = new Picks({
    query,
    actions: () => [
      h(
        "button",
        {
          type: "button",
          onclick: () =>
            editTags(picks.items, {
              pathOf: (recording) => `/v1/recordings/${recording.recording_id}`,
              titleOf,
              onchange: (recording) => store.apply([recording]),
            }),
        },
        icon("tag"),
        t("Tags…"),
      ),
      h(
        "button",
        {
          type: "button",
          class: "danger",
          hidden: () => !picks.some((recording) => may("delete", "recordings", recording)),
          onclick: asyncHandler(() => removeRecordings(picks.items, forget)),
        },
        icon("trash"),
        t("Remove…"),
      ),
    ],
  });
  /** @type {PagedList<Recording>} */
  const recordings = new PagedList({
    query,
    name: t("Recordings"),
    skeleton,
    titleOf,
    row: (recording) => recordingRow(recording, actions),
    before: () => loaded.value?.uploadRows() ?? [],
    groupOf: (recording) => (filters.byDay ? dayGroup(recording.created_at) : null),
    empty: () => (filters.empty ? emptyState(() => picker.click()) : noMatches(found.value)),
    across: true,
    picks: may("write", "recordings") ? picks : null,
    signal,
  });
  recordings.list.classList.add("rows");
  within(signal, () => bind(() => loaded.value?.watchUploads(signal, add)));
  main.append(
    h(
      "div",
      {class: "head"},
      h("h1", {}, t("Recordings")),
      filters.search,
      may("write", "uploads") && [
        h("button", {type: "button", class: "primary", title: t("Drop files anywhere to upload them"), onclick: () => picker.click()}, icon("up"), t("Upload")),
        iconButton("folder", t("Upload a folder"), () => folders.click()),
        picker,
        folders,
      ],
    ),
    filters.bar(picks.everything),
    filters.details,
    hits.node,
    recordings.node,
  );
  filters.field.bind(recordings.list, signal);
  listen(
    {
      resync: () => {
        store.restart();
        query.resync();
      },
      ...recounts(query, signal),
      recording: (recording) => store.apply([recording], {event: true}),
    },
    signal,
  );
  query.load();
  hits.find(filters.q);
}

/**
 * Return listeners that load the numbers of clips again after clips were made or deleted.
 *
 * @param {ListQuery<Recording>} query
 * @param {AbortSignal} signal
 */
function recounts(query, signal) {
  /** @type {Set<string>} ids of clips in progress that are counted */
  const counted = new Set();
  let waits = false;
  const deleted = () => {
    if (waits) return;
    waits = true;
    setTimeout(() => {
      waits = false;
      if (!signal.aborted) query.resync();
    }, RECOUNT_MS);
  };
  /** @param {Clip} clip */
  const clip = ({clip_id: id, recording_id: of, status}) => {
    if (!counted.has(id) && query.ids.peek().includes(of)) deleted();
    if (status === "processing") counted.add(id);
    else counted.delete(id);
  };
  return {clip, deleted};
}

/**
 * @param {ReadonlySignal<Recording>} state
 * @param {RowActions} actions
 */
function recordingRow(state, {ontag, onchange, remove, retry}) {
  const address = computed(() => `#/recordings/${state.value.recording_id}`);
  const line = computed(() => summaryOf(state.value));
  const live = computed(() => state.value.status === "recording");
  const failed = computed(() => state.value.status === "failed");
  const name = h("a", {class: "name clip", href: () => address.value}, () => titleOf(state.value));
  const tags = tagList(ontag);
  bind(() => tags.update(state.value.tags));
  /** @param {{name?: string | null, tags?: string[]}} values */
  const change = async (values) => onchange(await patch(`/v1/recordings/${state.peek().recording_id}`, values));
  const rename = () =>
    editInPlace(name, {
      value: state.peek().name || "",
      label: t("Name"),
      placeholder: titleOf(state.peek()),
      restore: more,
      save: (text) => change({name: text || null}),
    });
  const retag = () => editTagsInPlace(tags.node, {tags: state.peek().tags, restore: more, save: (values) => change({tags: values})});
  const download = () => {
    location.href = recordingDownload(state.peek());
  };
  const more = menuButton(t("More actions for this recording"), "more", () => [
    may("write", "recordings") && {text: t("Rename"), icon: "pen", run: rename},
    may("write", "recordings") && {text: t("Edit tags"), icon: "tag", run: retag},
    !state.peek().pieces && {text: t("Download"), icon: "down", run: download},
    may("delete", "recordings", state.peek()) && {text: t("Remove…"), icon: "trash", danger: true, run: () => remove(state.peek())},
  ]);
  bind(() => {
    more.classList.toggle("later", !state.value.error);
    more.hidden = !may("write", "recordings") && Boolean(state.value.pieces); // it has no actions
  });
  const again = h(
    "button",
    {
      type: "button",
      class: "quiet again",
      title: () => retryText(state.value.error),
      "aria-label": () => retryText(state.value.error),
      hidden: () => !failed.value || !mayRegisterAgain(state.value),
      onclick: asyncHandler(() => retry(state.peek())),
    },
    icon("retry"),
    h("span", {}, () => retryText(state.value.error)),
  );
  const last = lastButton(() => state.peek());
  bind(() => {
    last.hidden = !live.value || !may("write", "recordings");
  });
  // The poster and the error stay the same elements while the recording goes on, so that an image is loaded once, and what is open stays open.
  const poster = computed(() => posterOf(state.value));
  const fault = computed(() => JSON.stringify(state.value.error));
  return h(
    "li",
    {class: "recording"},
    h("div", {class: () => (poster.value === "sound" ? "poster sound" : "poster"), "aria-hidden": "true"}, () => posterParts(poster.value, state.peek())),
    h(
      "div",
      {class: "words"},
      name,
      h("div", {class: "problem", hidden: () => !state.value.error}, () => {
        const error = fault.value && state.peek().error;
        return error ? errorSummary(error) : null;
      }),
      // A failure takes the place of the line.
      h(
        "p",
        {class: "meta clip", hidden: () => Boolean(state.value.error) || !(live.value || line.value)},
        () => (live.value ? [liveMark(state.value), " "] : []),
        () => line.value,
      ),
      h("span", {class: "count", hidden: () => !state.value.clips_count}, () => countOf(state.value)),
      tags.node,
    ),
    h("span", {class: "figure"}, () => formatBytes(state.value.file_size_bytes)),
    h("span", {class: "figure", title: () => state.value.created_at}, () => formatMoment(state.value.created_at)),
    h("span", {class: "tools"}, last, again, more),
  );
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
 * Return what the poster shows: the address of its image, or "sound", "error" or nothing yet.
 *
 * @param {Recording} recording
 */
function posterOf({recording_id: id, status, media, duration_seconds: duration, error}) {
  if (error) return "error";
  if (!["complete", "recording"].includes(status) || !media) return "";
  if (!media.video) return "sound";
  const first = media.video.first_frame_seconds ?? 0;
  const at = (first + Math.min(((duration ?? 0) - first) * 0.1, 10)).toFixed(3);
  return `/v1/recordings/${id}/frame?at_seconds=${at}&width=240`;
}

/**
 * @param {string} shown
 * @param {Recording} recording
 */
function posterParts(shown, {duration_seconds: duration}) {
  if (shown === "error") return [icon("alert")];
  if (!shown) return [icon("film")];
  const length = h("span", {class: "time"}, formatTime(duration ?? 0, 0));
  return shown === "sound" ? [icon("wave"), length] : [icon("film"), posterImage(shown), length];
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
  if (!may("write", "uploads")) return h("div", {class: "empty first"}, icon("camera"), h("h2", {}, t("No recordings yet")));
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
