// Files that are chosen or dropped, also those of folders.

import {ApiError} from "./api.js";
import {h} from "./dom.js";
import {plural, t} from "./texts.js";
import {asyncHandler, toast} from "./toasts.js";

const ENDINGS = ["mkv", "ts", "m2ts", "mts", "mxf", "flv", "ivf"]; // of media for which browsers have no type
const ACCEPTED = ["video/*", "audio/*", ...ENDINGS.map((ending) => `.${ending}`)].join(",");
const MOST_FILES = 1000; // of folders
const MOST_ENTRIES = 20_000; // files and folders that are looked at

/** @typedef {(files: File[]) => void} TakesFiles */

/**
 * Return what `read` resolves with. A file or a folder that can no longer be read is an error with its remedy.
 *
 * @template T
 * @param {(resolve: (value: T) => void, reject: () => void) => void} read
 * @returns {Promise<T>}
 */
const readable = (read) => new Promise((resolve, reject) => read(resolve, () => reject(new ApiError(400, {code: "file_unreadable"}))));

/** @param {File} file */
export const isMedia = ({name, type}) => /^(?:video|audio)\//.test(type) || ENDINGS.includes(name.slice(name.lastIndexOf(".") + 1).toLowerCase());

/**
 * Return the media among the files of folders, and say what is left out. Names with a leading dot are of the system.
 *
 * @param {File[]} files
 */
function mediaOf(files) {
  const media = files.filter((file) => isMedia(file) && !file.name.startsWith("."));
  const taken = media.slice(0, MOST_FILES);
  if (taken.length < media.length)
    toast(t("Only the first {count} files were added.", {count: MOST_FILES}), t("Add the others when these are uploaded."), {bad: true});
  else if (!taken.length) toast(t("The folder has no video and no sound."), "", {bad: true});
  else if (taken.length < files.length) {
    const others = files.length - taken.length;
    toast(plural(others, "{count} file was left out", "{count} files were left out"), t("Only video and sound are uploaded from folders."));
  }
  return taken;
}

/**
 * A hidden file input; `click()` opens the file dialog.
 *
 * @param {TakesFiles} onfiles
 * @param {{folder?: boolean, multiple?: boolean}} [options]
 */
export function filePicker(onfiles, {folder = false, multiple = true} = {}) {
  const field = h("input", {type: "file", multiple, hidden: true, accept: ACCEPTED});
  field.webkitdirectory = folder;
  field.addEventListener("change", () => {
    const files = [...(field.files ?? [])];
    onfiles(folder ? mediaOf(files) : files);
    field.value = "";
  });
  return field;
}

/**
 * Return the files of a drop, and of its folders. The drop's items can be read only until its event ends.
 *
 * @param {DataTransfer} transfer
 */
async function filesOf({items, files}) {
  const plain = [...files];
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry !== null && entry !== undefined);
  const folders = entries.filter((entry) => entry.isDirectory);
  if (!folders.length) return plain;
  const single = await Promise.all(entries.filter((entry) => entry.isFile).map(fileOf));
  return [...single, ...mediaOf(await filesBelow(folders))];
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<File>}
 */
const fileOf = (entry) => readable((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));

/**
 * Return the files of folders, in the order of their names.
 *
 * @param {FileSystemEntry[]} folders
 */
async function filesBelow(folders) {
  const left = [...folders];
  /** @type {File[]} */
  const found = [];
  let seen = 0;
  for (let folder = left.shift(); folder && seen < MOST_ENTRIES; folder = left.shift()) {
    const entries = await entriesOf(/** @type {FileSystemDirectoryEntry} */ (folder), MOST_ENTRIES - seen);
    seen += entries.length;
    found.push(...(await Promise.all(entries.filter((entry) => entry.isFile).map(fileOf))));
    left.push(...entries.filter((entry) => entry.isDirectory));
  }
  return found;
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @param {number} most
 */
async function entriesOf(folder, most) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const found = [];
  while (found.length < most) {
    /** @type {FileSystemEntry[]} a browser returns at most some at a time */
    const next = await readable((resolve, reject) => reader.readEntries(resolve, reject));
    if (!next.length) break;
    found.push(...next);
  }
  return found.slice(0, most).sort((one, other) => one.name.localeCompare(other.name));
}

/** @type {{text: string, take: (files: File[]) => File[]}[]} of views, the last one first */
const takers = [];

/**
 * Let a view take files that are dropped on the page. `take` returns those that it does not take.
 *
 * @param {AbortSignal} signal
 * @param {string} text while files are dragged over the page
 * @param {(files: File[]) => File[]} take
 */
export function takeDrops(signal, text, take) {
  const taker = {text, take};
  takers.unshift(taker);
  signal.addEventListener("abort", () => takers.splice(takers.indexOf(taker), 1));
}

/**
 * Accept files and folders that are dropped anywhere on the page, and show a frame with a text while they are dragged over it.
 *
 * @param {AbortSignal} signal
 * @param {TakesFiles} onfiles gets what no view takes
 */
export function acceptDrops(signal, onfiles) {
  const frame = h("div", {class: "dropping", hidden: true});
  document.body.append(frame);
  signal.addEventListener("abort", () => frame.remove());
  /** @param {DragEvent} event */
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  /** @param {DragEvent} event */
  const over = (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    frame.textContent = takers[0]?.text ?? t("Drop to upload");
    frame.hidden = false;
  };
  /** @param {DragEvent} event */
  const leave = (event) => {
    if (!event.relatedTarget) frame.hidden = true;
  };
  /** @param {DataTransfer} transfer */
  const take = async (transfer) => {
    const files = await filesOf(transfer);
    const rest = takers.reduce((left, taker) => (left.length ? taker.take(left) : left), files);
    if (rest.length) onfiles(rest);
  };
  /** @param {DragEvent} event */
  const drop = (event) => {
    const {dataTransfer} = event;
    if (!dataTransfer || !hasFiles(event)) return;
    event.preventDefault();
    frame.hidden = true;
    asyncHandler(() => take(dataTransfer))(event);
  };
  document.addEventListener("dragover", over, {signal});
  document.addEventListener("dragleave", leave, {signal});
  document.addEventListener("drop", drop, {signal});
}
