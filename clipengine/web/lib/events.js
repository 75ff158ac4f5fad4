// The page's single stream of server-sent events.

import {get} from "./api.js";

const EVENT_NAMES = ["clip.updated", "clip.ready", "clip.failed", "clip.deleted", "recording.updated", "recording.complete", "recording.failed"];
const RECONNECT_MS = 3000;

const listeners = new Set();
let stream = null;
let timer = 0;
let lost = false;

// Call `listener(name, data)` for every event until `signal` aborts. "resync" means that events may have been missed.
export function listen(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

// Return true if a clip is older than the state that is known. Events and responses may arrive in any order.
export function isStale(clip, known) {
  if (known.attempt !== clip.attempt) return known.attempt > clip.attempt;
  return known.status !== "processing" && clip.status === "processing";
}

export function connect() {
  if (stream) return;
  clearTimeout(timer);
  stream = new EventSource("/v1/events");
  stream.addEventListener("open", () => {
    setConnected(true);
    if (lost) dispatch("resync", null);
    lost = false;
  });
  stream.addEventListener("error", () => {
    lost = true;
    setConnected(false);
    if (stream && stream.readyState === EventSource.CLOSED) {
      disconnect();
      timer = setTimeout(connect, RECONNECT_MS);
      get("/session")
        .then((who) => who || dispatchEvent(new Event("signed-out")))
        .catch(() => {});
    }
  });
  for (const name of EVENT_NAMES) stream.addEventListener(name, (event) => dispatch(name, JSON.parse(event.data).data));
}

export function disconnect() {
  clearTimeout(timer);
  if (stream) stream.close();
  stream = null;
}

function dispatch(name, data) {
  for (const listener of [...listeners]) listener(name, data);
}

function setConnected(connected) {
  dispatchEvent(new CustomEvent("connection", {detail: connected}));
}
