// The list of recordings: posters, search, status filter, uploads by drag and drop.

import {get, query} from "../lib/api.js";
import {addArrowNavigation, debounce, focusNeighbour, h, icon, setChildren, setText} from "../lib/dom.js";
import {listen} from "../lib/events.js";
import {formatAge, formatBytes, formatTime, mediaSummary, titleOf} from "../lib/format.js";
import {posterImage} from "../lib/posters.js";
import {searchField} from "../lib/search_field.js";
import {errorDetails, errorState, menuButton} from "../lib/ui.js";
import {recordingDownload, registerAgain, registerFromStore, removeRecording} from "./recording_actions.js";
import {acceptDrops, addUploads, filePicker, uploadRows, watchUploads} from "./uploads.js";

const STATUSES = [["", "All"], ["complete", "Ready"], ["processing", "Processing"], ["failed", "Failed"]];
const STATUS_TEXTS = {complete: ["Ready", "good"], processing: ["Processing", "busy"], failed: ["Failed", "bad"]};

export function showRecordings(main, params, signal) {
  document.title = "Recordings · clipengine";
  const recordings = new Map(); // id -> recording
  const rows = new Map(); // id -> element
  let status = "";
  let cursor = null;
  let complete = false; // whether the first page of the current query is loaded

  const list = h("ul", {class: "list panel", "aria-label": "Recordings"});
  addArrowNavigation(list, {across: true});
  const footer = h("div", {class: "more"});
  const field = searchField({
    placeholder: "Search by name", label: "Search recordings by name", opens: "a.name[href]",
    onsearch: () => {
      draw();
      searchMore();
    },
  });
  const search = field.input;
  const picker = filePicker(addUploads);
  watchUploads(signal, (recording) => {
    if (!recordings.has(recording.recording_id)) recordings.set(recording.recording_id, recording);
    draw();
  }, draw);
  const segments = STATUSES.map(([value, text]) => h("button", {
    type: "button", "aria-pressed": String(value === status),
    onclick: () => {
      status = value;
      segments.forEach((button, at) => button.setAttribute("aria-pressed", String(STATUSES[at][0] === status)));
      reload();
    },
  }, text));

  main.append(
    h("div", {class: "head"},
      h("div", {class: "title"}, h("h1", {}, "Recordings"), h("p", {class: "muted small drop-hint"}, "Drop files anywhere to upload them")),
      h("div", {class: "search"}, icon("search"), search),
      h("div", {class: "segments", role: "group", "aria-label": "Status"}, segments),
      h("button", {type: "button", class: "primary", onclick: () => picker.click()}, icon("up"), "Upload"),
      picker,
    ),
    list, footer,
  );
  skeleton(list);
  acceptDrops(signal, addUploads);
  field.bind(list, signal);

  const matches = (recording) =>
    (!status || recording.status === status) &&
    titleOf(recording).toLowerCase().includes(search.value.trim().toLowerCase());

  function draw() {
    if (!complete && !recordings.size) return;
    const shown = [...recordings.values()].filter(matches).sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
    for (const recording of shown) {
      if (!rows.has(recording.recording_id)) rows.set(recording.recording_id, recordingRow(actions));
      rows.get(recording.recording_id).update(recording);
    }
    setChildren(list, [...uploadRows(), ...shown.map((recording) => rows.get(recording.recording_id).node)]);
    list.hidden = !list.children.length;
    if (cursor && search.value.trim()) footer.replaceChildren(searchProgress());
    else if (list.children.length) footer.replaceChildren(...(cursor ? [h("button", {type: "button", onclick: () => load()}, "Show more")] : []));
    else if (complete) footer.replaceChildren(search.value || status ? noMatches() : emptyState(() => picker.click()));
    else footer.replaceChildren();
  }

  // Load the next page; with `anew` the first one in place of all loaded recordings.
  async function load({anew = false} = {}) {
    const asked = status;
    try {
      const page = await get(query("/v1/recordings", {limit: search.value ? 100 : 50, cursor: anew ? null : cursor, status}), {signal});
      if (asked !== status) return; // the status filter has changed meanwhile
      if (anew) recordings.clear();
      for (const recording of page.data) recordings.set(recording.recording_id, recording);
      cursor = page.next_cursor;
      complete = true;
      draw();
    } catch (error) {
      if (error.name === "AbortError") return;
      list.hidden = true;
      footer.replaceChildren(errorState(error, reload));
    }
  }

  // Loaded recordings are shown at once.
  function reload() {
    cursor = null;
    complete = false;
    draw();
    return load({anew: true});
  }

  // The API matches whole names only, so a search loads all pages.
  const searchMore = debounce(250, async () => {
    while (cursor && search.value.trim() && !signal.aborted) await load();
  });

  const actions = {
    async remove(recording) {
      if (!(await removeRecording(recording))) return;
      const focusNext = focusNeighbour(rows.get(recording.recording_id).node);
      recordings.delete(recording.recording_id);
      draw();
      focusNext();
    },
    async retry(recording) {
      const fresh = await registerAgain(recording);
      recordings.delete(recording.recording_id);
      if (!recordings.has(fresh.recording_id)) recordings.set(fresh.recording_id, fresh);
      draw();
    },
  };

  listen((name, data) => {
    if (name === "resync") reload();
    else if (name.startsWith("recording.")) {
      recordings.set(data.recording_id, {...recordings.get(data.recording_id), ...data});
      draw();
    }
  }, signal);
  load();
}

function recordingRow(actions) {
  const poster = h("div", {class: "poster", "aria-hidden": "true"}, icon("film"));
  const name = h("a", {class: "name clip"});
  const line = h("p", {class: "muted small clip"});
  const size = h("span", {class: "small"});
  const when = h("span", {class: "muted small"});
  const state = h("span", {class: "state"});
  const problem = h("div", {class: "problem small", hidden: true});
  let recording = null;
  const tools = h("span", {class: "tools"}, menuButton("More actions for this recording", "more", () => [
    ...(recording.status === "failed" ? [{text: "Retry", icon: "retry", run: () => actions.retry(recording)}] : []),
    {text: "Download", icon: "down", run: () => { location.href = recordingDownload(recording); }},
    {text: "Remove from list…", icon: "trash", danger: true, run: () => actions.remove(recording)},
  ]));
  const node = h("li", {class: "recording"}, poster, h("div", {class: "clip"}, name, line), h("span", {class: "figures"}, size, when), state, tools, problem);
  return {
    node,
    update(next) {
      if (recording && JSON.stringify(recording) === JSON.stringify(next)) return;
      recording = next;
      const address = `#/recordings/${next.recording_id}`;
      name.setAttribute("href", address);
      setText(name, titleOf(next));
      setText(line, mediaSummary(next) || next.bucket_path);
      setText(size, formatBytes(next.file_size_bytes));
      setText(when, formatAge(next.created_at));
      when.title = next.created_at;
      const [text, kind] = STATUS_TEXTS[next.status];
      state.replaceChildren(h("span", {class: `pill ${kind}`}, text));
      problem.hidden = !next.error;
      if (next.error) poster.replaceChildren(icon("alert"));
      if (next.error) problem.replaceChildren(...errorDetails(next.error));
      if (next.status === "complete") fillPoster(poster, next);
    },
  };
}

function fillPoster(poster, recording) {
  const duration = h("span", {class: "time"}, formatTime(recording.duration_seconds, 0));
  if (!recording.media.video) {
    poster.replaceChildren(icon("speaker"), duration);
    return;
  }
  const first = recording.media.video.first_frame_seconds ?? 0;
  const at = (first + Math.min((recording.duration_seconds - first) * 0.1, 10)).toFixed(3);
  const image = posterImage(`/v1/recordings/${recording.recording_id}/frame?at=${at}&width=240`);
  poster.replaceChildren(icon("film"), ...(image ? [image] : []), duration);
}

function skeleton(list) {
  for (let at = 0; at < 5; at += 1) {
    list.append(h("li", {class: "recording", "aria-hidden": "true"}, h("div", {class: "poster skeleton"}), h("div", {class: "stack"}, h("div", {class: "skeleton bone"}), h("div", {class: "skeleton bone short"}))));
  }
}

function emptyState(choose) {
  return h("div", {class: "empty"},
    icon("film"),
    h("h2", {}, "No recordings yet"),
    h("p", {}, "Drop a video or audio file anywhere on this page, or add an object that is already in the store."),
    h("div", {class: "row wrap"},
      h("button", {type: "button", class: "primary", onclick: choose}, icon("up"), "Choose files"),
      h("button", {type: "button", onclick: registerFromStore}, "Add from the store"),
    ),
  );
}

const searchProgress = () => h("p", {class: "muted", role: "status"}, "Searching older recordings…");

const noMatches = () => h("div", {class: "empty"}, h("h2", {}, "No matches"), h("p", {}, "Try another name or status."));
