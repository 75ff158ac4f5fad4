// Uploads of dropped or chosen files, two at a time, each with a row that shows its progress.

import {ApiError, upload} from "../lib/api.js";
import {h, icon, iconButton, say, setText} from "../lib/dom.js";
import {EMPTY_FILE} from "../lib/error_messages.js";
import {bytes} from "../lib/format.js";

const AT_ONCE = 2;

const rows = new Map(); // file -> element
const waiting = [];
let running = 0;
let watcher = {ondone: () => {}, onchange: () => {}};

// Uploads continue when the list is left. `ondone(recording)` is called for each finished upload, `onchange()` when
// `uploadRows()` has changed.
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
    const upload = new Row(file);
    rows.set(file, upload.node);
    waiting.push(upload);
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

async function send(row) {
  const {file} = row;
  running += 1;
  row.begin();
  try {
    if (!file.size) throw new ApiError(400, {code: "empty_file", detail: EMPTY_FILE});
    const recording = await upload(file, {onprogress: (loaded, total) => row.show(loaded, total), signal: row.stopper.signal});
    say(`${file.name} was uploaded`);
    rows.delete(file);
    watcher.ondone(recording);
  } catch (error) {
    if (error.name === "AbortError") rows.delete(file);
    else row.fail(error);
  } finally {
    running -= 1;
    watcher.onchange();
    next();
  }
}

// One upload in the list: its progress, or its error with a retry.
class Row {
  constructor(file) {
    this.file = file;
    this.bar = h("progress", {max: "1", value: 0, "aria-label": `Upload of ${file.name}`});
    this.figures = h("p", {class: "muted small"}, `Queued · ${bytes(file.size)}`);
    this.pill = h("span", {class: "pill"}, "Queued");
    this.again = h("button", {type: "button", hidden: true, onclick: () => this.retry()}, icon("retry"), "Try again");
    this.stop = iconButton("x", `Cancel the upload of ${file.name}`, () => this.drop());
    this.stopper = new AbortController();
    this.node = h("li", {class: "recording uploading"},
      h("div", {class: "poster", "aria-hidden": "true"}, icon("up")),
      h("div", {class: "stack"}, h("span", {class: "name clip"}, file.name), this.bar, this.figures),
      h("span", {class: "figures"}, this.again), h("span", {class: "state"}, this.pill), h("span", {class: "tools"}, this.stop),
    );
  }

  begin() {
    this.began = performance.now();
    this.pill.className = "pill busy";
    setText(this.pill, "Uploading");
  }

  show(loaded, total) {
    this.bar.value = total ? loaded / total : 0;
    const speed = loaded / Math.max(0.2, (performance.now() - this.began) / 1000);
    setText(this.figures, loaded < total ? `${bytes(loaded)} of ${bytes(total)} · ${bytes(speed)}/s` : "Saving to the store…");
  }

  fail(error) {
    this.bar.hidden = true;
    this.again.hidden = error.passes === false;
    this.pill.className = "pill bad";
    setText(this.pill, "Failed");
    this.figures.className = "bad small";
    setText(this.figures, error.message);
    say(`${this.file.name} was not uploaded: ${error.message}`);
  }

  retry() {
    const fresh = new Row(this.file);
    rows.set(this.file, fresh.node);
    waiting.push(fresh);
    watcher.onchange();
    next();
  }

  drop() {
    this.stopper.abort();
    const at = waiting.indexOf(this);
    if (at >= 0) waiting.splice(at, 1);
    rows.delete(this.file);
    watcher.onchange();
  }
}

// A hidden file input; `click()` opens the file dialog.
export function filePicker(onfiles) {
  const field = h("input", {type: "file", multiple: true, hidden: true, accept: "video/*,audio/*,.mkv,.ts,.m2ts,.mts,.mxf,.flv,.ivf"});
  field.addEventListener("change", () => {
    onfiles([...field.files]);
    field.value = "";
  });
  return field;
}

// Accept files dropped anywhere on the page, and show a frame while they are dragged over it.
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
