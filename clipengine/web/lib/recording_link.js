// Links to recordings by id. Their titles are loaded once per view.

import {get} from "./api.js";
import {h} from "./dom.js";
import {stripBidi, titleParts} from "./format.js";

// Return a function that returns a link for an id, and optionally a time in seconds. If a recording has no name: the last
// two parts of its key, the folder shortened first.
export function recordingLinks(signal) {
  const known = new Map(); // id -> recording, or a promise of it
  return (id, time = null) => {
    const folder = h("span", {class: "folder"});
    const file = h("span", {class: "file"}, "…");
    const link = h("a", {href: `#/recordings/${id}${time === null ? "" : `?t=${time}`}`, class: "path"}, folder, file);
    const show = (recording) => {
      [folder.textContent, file.textContent] = titleParts(recording);
      if (recording.bucket_path) link.title = stripBidi(recording.bucket_path);
    };
    if (!known.has(id)) {
      known.set(id, get(`/v1/recordings/${id}`, {signal}).catch(() => ({name: "Recording"})).then((recording) => {
        known.set(id, recording);
        return recording;
      }));
    }
    const found = known.get(id);
    if (found.then) found.then(show);
    else show(found);
    return link;
  };
}
