// Clips across all recordings, filtered by state and label.

import {get} from "./api.js";
import {ClipList} from "./clip_list.js";
import {debounce, h, icon} from "./dom.js";
import {titleOf} from "./format.js";
import {searchField} from "./search.js";

const STATES = [["", "All"], ["processing", "In progress"], ["complete", "Ready"], ["failed", "Failed"]];

export function showClips(main, params, signal) {
  document.title = "Clips · clipengine";
  let status = "";
  const names = new Map(); // recording id -> name, or a promise of it
  const field = searchField({
    placeholder: "Search by label", label: "Search clips by label", opens: "li:first-child .poster:enabled",
    onsearch: () => {
      clips.draw();
      searchOn();
    },
  });
  const search = field.input;
  const segments = STATES.map(([value, text]) => h("button", {
    type: "button", "aria-pressed": String(value === status),
    onclick: () => {
      status = value;
      segments.forEach((button, at) => button.setAttribute("aria-pressed", String(STATES[at][0] === status)));
      clips.reload();
    },
  }, text));

  function nameOf(id) {
    const known = names.get(id);
    if (typeof known === "string") return known;
    const node = document.createTextNode("…");
    const asked = known || get(`/v1/recordings/${id}`, {signal}).then(titleOf, () => "a recording");
    names.set(id, asked);
    asked.then((name) => {
      names.set(id, name);
      node.textContent = name;
    });
    return node;
  }

  const clips = new ClipList({
    path: "/v1/clips",
    filters: () => ({status}),
    wants: (clip) => (!status || clip.status === status) && clip.label.toLowerCase().includes(search.value.trim().toLowerCase()),
    searching: () => search.value.trim() !== "",
    empty: () => (status || search.value
      ? h("div", {class: "empty"}, h("h2", {}, "Nothing matches"), h("p", {}, "Try another label or another state."))
      : h("div", {class: "empty"}, icon("film"), h("h2", {}, "No clips yet"), h("p", {}, "Open a recording, pick a range and press Enter."), h("a", {class: "button", href: "#/recordings"}, "Recordings"))),
    row: {recordingName: nameOf},
    across: true,
    signal,
  });
  const searchOn = debounce(250, async () => {
    while (clips.cursor && search.value.trim() && !signal.aborted) await clips.load();
  });

  main.append(
    h("div", {class: "head"},
      h("h1", {}, "Clips"),
      h("div", {class: "search"}, icon("search"), search),
      h("div", {class: "segments", role: "group", "aria-label": "State"}, segments),
    ),
    h("div", {class: "panel"}, clips.node),
  );
  field.bind(clips.list, signal);
  clips.load();
}
