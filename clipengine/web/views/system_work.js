// Parts of the System view: the clips in progress, the last clip of a failure, and the profiles.

import {get} from "../lib/api.js";
import {openDialog} from "../lib/dialogs.js";
import {h, table} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {within} from "../lib/reactive.js";
import {recordingLinks} from "../lib/recording_link.js";
import {t} from "../lib/texts.js";
import {isOlder} from "../store/clips.js";
import {signal as signalOf} from "../vendor/signals-core.js";
import {ClipList, clipQuery, clipStore} from "./clip_list.js";
import {clipRow} from "./clip_row.js";

const LIMIT = 10; // clips at once

/**
 * The filters of a list that shows clips in progress, the oldest first.
 *
 * @type {import("../store/list_query.js").Filters}
 */
const IN_PROGRESS = {
  plain: false,
  accepts: (clip) => clip.status === "processing",
  values: () => ({status: "processing", sort: "created_at"}),
};

/**
 * Return the section of the clips that are cut or wait, with their progress or place in the queue.
 *
 * @param {AbortSignal} signal
 */
export function clipsInProgress(signal) {
  const store = clipStore(signal, () => query.resync());
  const query = clipQuery({path: "/v1/clips", store, limit: LIMIT, filters: IN_PROGRESS, signal});
  const clips = new ClipList({
    query,
    empty: () => h("p", {class: "muted small"}, t("No clip is in progress.")),
    clips: {linkToRecording: recordingLinks(signal)},
    signal,
  });
  clips.list.classList.add("rows", "plain");
  query.load();
  return h("section", {}, h("h2", {class: "sub"}, t("Clips in progress")), h("div", {class: "panel"}, clips.node));
}

/**
 * Show a clip with its error and actions, up to date while the dialog is open.
 *
 * @param {string} id
 * @param {AbortSignal} signal
 */
export async function showClip(id, signal) {
  const clip = await get(`/v1/clips/${id}`, {signal});
  const closed = new AbortController();
  const state = signalOf(clip);
  /** @param {Clip} changed */
  const onchange = (changed) => {
    if (changed.clip_id === id && !isOlder(changed, state.peek())) state.value = changed;
  };
  const row = within(closed.signal, () => clipRow(state, {linkToRecording: recordingLinks(signal), onchange, ondelete: () => dialog.close()}));
  row.querySelector("details")?.setAttribute("open", "");
  listen({resync: () => {}, clip: onchange}, closed.signal);
  const dialog = openDialog(t("Clip"), h("ul", {class: "list rows plain"}, row), {size: "wide", onclose: () => closed.abort()});
}

/** @param {AbortSignal} signal */
export async function profileSection(signal) {
  const {data} = await get("/v1/profiles", {signal});
  /** @param {string} name */
  const codec = (name) => (name === "none" ? t("none") : name);
  const titles = [t("Name"), t("Container"), t("Video"), t("Audio"), t("Largest height"), t("Frame rate"), t("Render")];
  return h(
    "section",
    {},
    h("h2", {class: "sub"}, t("Profiles")),
    h(
      "div",
      {class: "panel scroll", role: "region", tabindex: "0", "aria-label": t("Profiles")},
      table(
        titles,
        h(
          "tbody",
          {},
          data.map((each) =>
            h(
              "tr",
              {},
              h("td", {class: "mono"}, each.name),
              h("td", {}, each.container),
              h("td", {}, codec(each.video)),
              h("td", {}, codec(each.audio)),
              h("td", {}, each.max_height ? String(each.max_height) : "–"),
              h("td", {}, each.fps ? String(each.fps) : "–"),
              h("td", {}, each.render),
            ),
          ),
        ),
      ),
    ),
  );
}
