// The uploads of this tab: their requests, and what the browser reports that they depend on.

import {Uploads} from "../store/uploads.js";
import {ApiError, append, get, remove, request} from "./api.js";

const NAME_CHARACTERS = 200; // that the server takes

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
  end: (id) => remove(`/v1/uploads/${id}`, {quiet: true}),
  recording: (id, signal) => get(`/v1/recordings/${id}`, {signal}),
  problem: (code) => new ApiError(400, {code}),
  storage: localStorage,
  tabs: new BroadcastChannel("uploads"),
});

addEventListener("online", () => uploads.wake());
addEventListener("connection", ({detail}) => detail && uploads.wake());
addEventListener("pagehide", () => uploads.left());
addEventListener("beforeunload", (event) => uploads.busy && event.preventDefault());
