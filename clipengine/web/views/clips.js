// Clips of all recordings, filtered by status and label.

import {get} from "../lib/api.js";
import {debounce, h, icon} from "../lib/dom.js";
import {stripBidi, titleParts} from "../lib/format.js";
import {searchField} from "../lib/search_field.js";
import {ClipList} from "./clip_list.js";

const STATUSES = [["", "All"], ["processing", "In progress"], ["complete", "Ready"], ["failed", "Failed"]];

export function showClips(main, params, signal) {
  document.title = "Clips · clipengine";
  let status = "";
  const names = new Map(); // recording id -> recording, or a promise of it
  const field = searchField({
    placeholder: "Search by label", label: "Search clips by label", opens: "li:first-child .poster:enabled",
    onsearch: () => {
      clips.draw();
      searchMore();
    },
  });
  const search = field.input;
  const segments = STATUSES.map(([value, text]) => h("button", {
    type: "button", "aria-pressed": String(value === status),
    onclick: () => {
      status = value;
      segments.forEach((button, at) => button.setAttribute("aria-pressed", String(STATUSES[at][0] === status)));
      clips.reload();
    },
  }, text));

  // Return a link to the recording. If it has no name: the last two parts of its key, the folder shortened first.
  function recordingLink(id) {
    const folder = h("span", {class: "folder"});
    const file = h("span", {class: "file"}, "…");
    const link = h("a", {href: `#/recordings/${id}`, class: "path"}, folder, file);
    const show = (recording) => {
      [folder.textContent, file.textContent] = titleParts(recording);
      if (recording.bucket_path) link.title = stripBidi(recording.bucket_path);
    };
    const known = names.get(id);
    if (known && !known.then) {
      show(known);
      return link;
    }
    const asked = known || get(`/v1/recordings/${id}`, {signal}).catch(() => ({name: "Recording"}));
    names.set(id, asked);
    asked.then((recording) => {
      names.set(id, recording);
      show(recording);
    });
    return link;
  }

  const clips = new ClipList({
    path: "/v1/clips",
    filters: () => ({status}),
    wants: (clip) => (!status || clip.status === status) && clip.label.toLowerCase().includes(search.value.trim().toLowerCase()),
    searching: () => search.value.trim() !== "",
    empty: () => (status || search.value
      ? h("div", {class: "empty"}, h("h2", {}, "No matches"), h("p", {}, "Try another label or status."))
      : h("div", {class: "empty"}, icon("film"), h("h2", {}, "No clips yet"), h("p", {}, "Open a recording, select a range and press Enter."), h("a", {class: "button", href: "#/recordings"}, "Recordings"))),
    row: {linkToRecording: recordingLink},
    across: true,
    signal,
  });
  const searchMore = debounce(250, async () => {
    while (clips.cursor && search.value.trim() && !signal.aborted) await clips.load();
  });

  main.append(
    h("div", {class: "head"},
      h("h1", {}, "Clips"),
      h("div", {class: "search"}, icon("search"), search),
      h("div", {class: "segments", role: "group", "aria-label": "Status"}, segments),
    ),
    h("div", {class: "panel"}, clips.node),
  );
  field.bind(clips.list, signal);
  clips.load();
}
