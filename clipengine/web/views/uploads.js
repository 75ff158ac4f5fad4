// Uploads of dropped or chosen files, two at a time, each with a row that shows its progress.

import {ApiError, upload} from "../lib/api.js";
import {announce, h, icon, iconButton, setText} from "../lib/dom.js";
import {errorText} from "../lib/error_views.js";
import {formatBytes} from "../lib/format.js";
import {t} from "../lib/texts.js";

const MAX_PARALLEL = 2;

/** @type {Map<File, HTMLElement>} */
const rows = new Map(); // file -> element
/** @type {Row[]} */
const queued = [];
let running = 0;
/** @type {{ondone: (recording: Recording) => void, onchange: () => void}} */
let watcher = {ondone: () => {}, onchange: () => {}};

/**
 * Uploads continue when the list is left. `ondone(recording)` is called for each finished upload, `onchange()` when
 * `uploadRows()` has changed.
 *
 * @param {AbortSignal} signal
 * @param {(recording: Recording) => void} ondone
 * @param {() => void} onchange
 */
export function watchUploads(signal, ondone, onchange) {
  const mine = {ondone, onchange};
  watcher = mine;
  signal.addEventListener("abort", () => {
    if (watcher === mine) watcher = {ondone: () => {}, onchange: () => {}};
  });
}

export const uploadRows = () => [...rows.values()];

/** @param {File[]} files */
export function addUploads(files) {
  for (const file of files) {
    const upload = new Row(file);
    rows.set(file, upload.node);
    queued.push(upload);
  }
  watcher.onchange();
  startNext();
}

/** @param {Event} event */
const confirmLeaving = (event) => event.preventDefault();

function startNext() {
  while (running < MAX_PARALLEL) {
    const row = queued.shift();
    if (!row) break;
    send(row);
  }
  if (running) addEventListener("beforeunload", confirmLeaving);
  else removeEventListener("beforeunload", confirmLeaving);
}

/** @param {Row} row */
async function send(row) {
  const {file} = row;
  running += 1;
  row.start();
  try {
    if (!file.size) throw new ApiError(400, {code: "empty_file"});
    const recording = await upload(file, {onprogress: (loaded, total) => row.show(loaded, total), signal: row.abortController.signal});
    announce(t("{name} was uploaded", {name: file.name}));
    rows.delete(file);
    watcher.ondone(recording);
  } catch (error) {
    if (error.name === "AbortError") rows.delete(file);
    else row.fail(error);
  } finally {
    running -= 1;
    watcher.onchange();
    startNext();
  }
}

// One upload in the list: its progress, or its error with a retry.
class Row {
  /** @param {File} file */
  constructor(file) {
    this.file = file;
    this.bar = h("progress", {max: "1", value: 0, "aria-label": t("Upload of {name}", {name: file.name})});
    this.details = h("p", {class: "meta"}, t("Waiting"));
    this.retryButton = h("button", {type: "button", class: "quiet", hidden: true, onclick: () => this.retry()}, icon("retry"), t("Retry"));
    this.cancelButton = iconButton("x", t("Cancel the upload of {name}", {name: file.name}), () => this.cancel());
    this.abortController = new AbortController();
    this.startedAt = 0;
    this.node = h(
      "li",
      {class: "recording uploading"},
      h("div", {class: "poster", "aria-hidden": "true"}, icon("up")),
      h("div", {class: "words"}, h("span", {class: "name clip"}, file.name), this.details, this.bar),
      h("span", {class: "figure"}, formatBytes(file.size)),
      h("span", {class: "figure"}, t("now")),
      h("span", {class: "tools"}, this.retryButton, this.cancelButton),
    );
  }

  start() {
    this.startedAt = performance.now();
    setText(this.details, t("Uploading"));
  }

  /**
   * @param {number} loaded
   * @param {number} total
   */
  show(loaded, total) {
    this.bar.value = total ? loaded / total : 0;
    const speed = loaded / Math.max(0.2, (performance.now() - this.startedAt) / 1000);
    setText(
      this.details,
      loaded < total
        ? t("Uploading, {percent} %, {speed}/s", {percent: String(Math.floor((loaded / total) * 100)), speed: formatBytes(speed)})
        : t("Saving to the store…"),
    );
  }

  /** @param {any} error */
  fail(error) {
    this.bar.hidden = true;
    this.retryButton.hidden = error.retryable === false;
    this.details.className = "bad small";
    this.details.replaceChildren(errorText(error));
    announce(t("{name} was not uploaded: {reason}", {name: this.file.name, reason: error.message}));
  }

  retry() {
    const fresh = new Row(this.file);
    rows.set(this.file, fresh.node);
    queued.push(fresh);
    watcher.onchange();
    startNext();
  }

  cancel() {
    this.abortController.abort();
    const at = queued.indexOf(this);
    if (at >= 0) queued.splice(at, 1);
    rows.delete(this.file);
    watcher.onchange();
  }
}

/**
 * A hidden file input; `click()` opens the file dialog.
 *
 * @param {(files: File[]) => void} onfiles
 */
export function filePicker(onfiles) {
  const field = h("input", {type: "file", multiple: true, hidden: true, accept: "video/*,audio/*,.mkv,.ts,.m2ts,.mts,.mxf,.flv,.ivf"});
  field.addEventListener("change", () => {
    onfiles([...(field.files ?? [])]);
    field.value = "";
  });
  return field;
}

/**
 * Accept files dropped anywhere on the page, and show a frame with a text while they are dragged over it.
 *
 * @param {AbortSignal} signal
 * @param {(files: File[]) => void} onfiles
 * @param {string} [text]
 */
export function acceptDrops(signal, onfiles, text = t("Drop to upload")) {
  const frame = h("div", {class: "dropping", hidden: true}, text);
  document.body.append(frame);
  signal.addEventListener("abort", () => frame.remove());
  /** @param {DragEvent} event */
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener(
    "dragover",
    (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      frame.hidden = false;
    },
    {signal},
  );
  document.addEventListener(
    "dragleave",
    (event) => {
      if (!event.relatedTarget) frame.hidden = true;
    },
    {signal},
  );
  document.addEventListener(
    "drop",
    (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      frame.hidden = true;
      onfiles([...(event.dataTransfer?.files ?? [])]);
    },
    {signal},
  );
}
