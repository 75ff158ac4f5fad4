// Uploads: files that are dropped or chosen go to the server two at a time, each with a row that shows how far it is.

import {upload} from "./api.js";
import {h, iconButton, say, setText} from "./dom.js";
import {bytes} from "./format.js";
import {toastError} from "./ui.js";

const AT_ONCE = 2;

const rows = new Map(); // file -> element
const waiting = [];
let running = 0;
let watcher = {ondone: () => {}, onchange: () => {}};

// Uploads go on when the list is left. `ondone(recording)` for each that has arrived; `onchange()` when `uploadRows()`
// has others.
export function watchUploads(signal, ondone, onchange) {
  const mine = {ondone, onchange};
  watcher = mine;
  signal.addEventListener("abort", () => {
    if (watcher === mine) watcher = {ondone: () => {}, onchange: () => {}};
  });
}

export const uploadRows = () => [...rows.values()];

export function addUploads(files) {
  for (const file of files) {
    const stopper = new AbortController();
    const {node, show} = uploadRow(file, () => {
      stopper.abort();
      const at = waiting.findIndex((each) => each.file === file);
      if (at >= 0) waiting.splice(at, 1);
      rows.delete(file);
      watcher.onchange();
    });
    rows.set(file, node);
    waiting.push({file, show, stopper});
  }
  watcher.onchange();
  next();
}

const warn = (event) => event.preventDefault();

function next() {
  while (running < AT_ONCE && waiting.length) send(waiting.shift());
  if (running) addEventListener("beforeunload", warn);
  else removeEventListener("beforeunload", warn);
}

async function send({file, show, stopper}) {
  running += 1;
  try {
    const recording = await upload(file, {onprogress: show, signal: stopper.signal});
    say(`${file.name} is uploaded`);
    watcher.ondone(recording);
  } catch (error) {
    toastError(error);
  } finally {
    running -= 1;
    rows.delete(file);
    watcher.onchange();
    next();
  }
}

function uploadRow(file, cancel) {
  const bar = h("progress", {max: "1", value: 0, "aria-label": `Upload of ${file.name}`});
  const figures = h("p", {class: "muted small"}, `waits · ${bytes(file.size)}`);
  const began = performance.now();
  const show = (loaded, total) => {
    bar.value = total ? loaded / total : 0;
    const speed = loaded / Math.max(0.2, (performance.now() - began) / 1000);
    setText(figures, loaded < total ? `${bytes(loaded)} of ${bytes(total)} · ${bytes(speed)}/s` : "stored by the server…");
  };
  const node = h("li", {class: "recording uploading"},
    h("div", {class: "poster", "aria-hidden": "true"}),
    h("div", {class: "stack"}, h("span", {class: "name clip"}, file.name), bar, figures),
    h("span", {class: "figures"}),
    h("span", {class: "state"}, h("span", {class: "pill busy"}, "Uploading")),
    h("span", {class: "tools"}, iconButton("x", `Stop the upload of ${file.name}`, cancel)),
  );
  return {node, show};
}

// Files that are dropped anywhere on the page, with a frame around it while they hang above.
export function acceptDrops(signal, onfiles) {
  const frame = h("div", {class: "dropping", hidden: true}, "Drop to upload");
  document.body.append(frame);
  signal.addEventListener("abort", () => frame.remove());
  const carriesFiles = (event) => [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    frame.hidden = false;
  }, {signal});
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) frame.hidden = true;
  }, {signal});
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    frame.hidden = true;
    onfiles([...event.dataTransfer.files]);
  }, {signal});
}
