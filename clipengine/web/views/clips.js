// Clips of all recordings: searched, filtered and sorted by the server, and selected for an archive or to be deleted.

import {get} from "../lib/api.js";
import {editTags} from "../lib/bulk_tags.js";
import {h, icon} from "../lib/dom.js";
import {dayGroup} from "../lib/format.js";
import {listFilters} from "../lib/list_filters.js";
import {Picks} from "../lib/picks.js";
import {recordingLinks} from "../lib/recording_link.js";
import {may} from "../lib/rights.js";
import {navigate} from "../lib/router.js";
import {t} from "../lib/texts.js";
import {asyncHandler} from "../lib/toasts.js";
import {deleteMatching} from "./batches.js";
import {downloadArchive, deleteClips} from "./clip_actions.js";
import {ClipList, clipQuery, clipStore} from "./clip_list.js";
import {makeVariants} from "./variants_dialog.js";

/** @type {[value: string, text: string][]} */
const STATUSES = [
  ["", t("All")],
  ["processing", t("In work")],
  ["failed", t("Failed")],
];
/** @type {[value: string, text: string][]} */
const SORTS = [
  ["-created_at", t("Newest first")],
  ["created_at", t("Oldest first")],
  ["label", t("By label")],
  ["-duration", t("Longest first")],
  ["-size", t("Largest first")],
];

/**
 * @param {HTMLElement} main
 * @param {Record<string, string>} params
 * @param {AbortSignal} signal
 */
export function showClips(main, params, signal) {
  document.title = `${t("Clips")} · clipengine`;
  const filters = listFilters({
    statuses: STATUSES,
    sorts: SORTS,
    params,
    placeholder: t("Search clips"),
    label: t("Search clips by label, tags, metadata and what is said"),
    opens: ".clip-row .poster:enabled",
    onchange: () => {
      picks.clear();
      return query.reload();
    },
    signal,
  });
  const store = clipStore(signal, () => query.resync());
  const query = clipQuery({path: "/v1/clips", store, filters, signal});
  /** @type {Picks<Clip>} */
  const picks = new Picks({
    query,
    actions: () => [
      h("button", {type: "button", onclick: asyncHandler(() => downloadArchive(picks.items))}, icon("down"), t("Download ZIP")),
      ...(may("write", "clips") ? changes() : []),
    ],
  });
  const changes = () => [
    h(
      "button",
      {
        type: "button",
        onclick: () =>
          editTags(picks.items, {pathOf: (clip) => `/v1/clips/${clip.clip_id}`, titleOf: (clip) => clip.label, onchange: (clip) => store.apply([clip])}),
      },
      icon("tag"),
      t("Tags…"),
    ),
    h("button", {type: "button", onclick: asyncHandler(() => makeVariants(picks.items))}, icon("copy"), t("Variants…")),
    h(
      "button",
      {
        type: "button",
        class: "danger",
        hidden: () => !picks.some((clip) => may("delete", "clips", clip)),
        onclick: asyncHandler(() => deleteClips(picks.items)),
      },
      icon("trash"),
      t("Delete…"),
    ),
    h("button", {type: "button", class: "danger", onclick: asyncHandler(() => deleteMatching(filters.values(), filters.text()))}, t("Delete all matches…")),
  ];
  const clips = new ClipList({
    query,
    picks,
    signal,
    groupOf: (clip) => (filters.byDay ? dayGroup(clip.created_at) : null),
    empty: () =>
      filters.empty
        ? h(
            "div",
            {class: "empty first"},
            icon("clips"),
            h("h2", {}, t("No clips yet")),
            may("write", "clips") && h("p", {}, t("Open a recording, drag across the timeline or across what is said, and press Enter.")),
            h("button", {type: "button", class: "primary", onclick: asyncHandler(openLatest)}, t("Open the latest recording")),
          )
        : h("div", {class: "empty"}, h("h2", {}, t("No matches")), h("p", {}, t("Try other words or filters."))),
    clips: {linkToRecording: recordingLinks(signal), ontag: (tag) => filters.setTag(tag)},
    across: true,
  });
  main.append(h("div", {class: "head"}, h("h1", {}, t("Clips")), filters.search), filters.bar(picks.everything), filters.details, clips.node);
  filters.field.bind(clips.list, signal);
  query.load();
}

// Without recordings, their list says what to do.
async function openLatest() {
  const {data} = await get("/v1/recordings?limit=1&status=complete");
  navigate(data.length ? `/recordings/${data[0].recording_id}` : "/recordings");
}
