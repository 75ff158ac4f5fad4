// The uploads of this tab: their requests, and what the browser reports that they depend on.

import {Uploads} from "../store/uploads.js";
import {effect} from "../vendor/signals-core.js";
import {ApiError, append, get, post, putPart, remove, request} from "./api.js";

/** @import {Keeper} from "../store/upload_records.js" */

const NAME_CHARACTERS = 200; // that the server takes

/** @returns {Keeper} */
function storage() {
  try {
    return localStorage;
  } catch {
    return {length: 0, key: () => null, getItem: () => null, setItem: () => {}, removeItem: () => {}}; // it is blocked
  }
}

/** @param {string} text */
const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

export const uploads = new Uploads({
  begin: ({name, size}, key, signal) =>
    request("POST", "/v1/uploads", {
      headers: {"Idempotency-Key": key, "Upload-Length": String(size), "Upload-Metadata": `filename ${base64(name.slice(-NAME_CHARACTERS))}`},
      signal,
    }),
  get: (id, signal) => get(`/v1/uploads/${id}`, {signal}),
  append,
  links: (id, numbers, signal) => post(`/v1/uploads/${id}/parts`, {numbers}, {signal}),
  put: putPart,
  end: (id) => remove(`/v1/uploads/${id}`, {quiet: true}),
  recording: (id, signal) => get(`/v1/recordings/${id}`, {signal}),
  problem: (code, status = 400) => new ApiError(status, {code}),
  storage: storage(),
  tabs: new BroadcastChannel("uploads"),
});

addEventListener("online", () => uploads.wake());
addEventListener("connection", ({detail}) => detail && uploads.wake());
addEventListener("pagehide", () => uploads.left());

/** @param {Event} event */
const confirmLeaving = (event) => uploads.busy && event.preventDefault();
effect(() => {
  if (uploads.list.value.length) addEventListener("beforeunload", confirmLeaving);
  else removeEventListener("beforeunload", confirmLeaving); // some browsers keep no page that listens
});
