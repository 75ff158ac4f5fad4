// The uploads of this tab, whose modules are loaded after the first view, or at once if the browser keeps unfinished ones.

import {hasRecords} from "../store/upload_records.js";
import {signal} from "../vendor/signals-core.js";
import {toastError} from "./toasts.js";

/** @typedef {typeof import("../views/uploads.js")} UploadViews */

export const loaded = signal(/** @type {UploadViews | null} */ (null));
let account = ""; // id of the user or the key that is signed in

export async function loadUploads() {
  const views = await import("../views/uploads.js");
  if (!loaded.peek()) {
    views.uploads.open(account);
    loaded.value = views;
  }
  return views;
}

/**
 * Show the unfinished uploads of the account that has signed in, see `Uploads.open`.
 *
 * @param {string} id
 */
export function openUploads(id) {
  account = id;
  const views = loaded.peek();
  if (views) views.uploads.open(id);
  else if (areKept()) loadUploads().catch(() => {}); // files that are added load them again, and show the error
}

function areKept() {
  try {
    return hasRecords(localStorage);
  } catch {
    return false; // it is blocked
  }
}

/**
 * Call `use` when they are loaded.
 *
 * @param {(views: UploadViews) => void} use
 */
export const withUploads = (use) => loadUploads().then(use).catch(toastError);

/** @param {File[]} files */
export const addUploads = (files) => withUploads((views) => views.addUploads(files));
