// The page's single stream of server-sent events.

import {get} from "./api.js";

/** @type {("clip.updated" | "clip.ready" | "clip.failed")[]} */
const CLIP_EVENTS = ["clip.updated", "clip.ready", "clip.failed"];
const RECORDING_EVENTS = ["recording.updated", "recording.recording", "recording.complete", "recording.failed"];
const TRANSCRIPTION_EVENTS = ["transcript.updated", "transcript.ready", "transcript.failed"];
const RECONNECT_MS = 3000;

/**
 * What a view does with events. `resync` means that events may have been missed.
 *
 * @typedef {object} Listener
 * @property {(clip: Clip, name: typeof CLIP_EVENTS[number]) => void} [clip] a clip has changed
 * @property {(id: string) => void} [deleted] a clip was deleted
 * @property {(recording: Recording) => void} [recording] a recording has changed
 * @property {(transcription: Transcription) => void} [transcription] a transcription has changed
 * @property {() => void} resync
 */

/** @type {Set<Listener>} */
const listeners = new Set();
/** @type {EventSource | null} */
let stream = null;
/** @type {number | undefined} */
let timer;

/**
 * Call the functions of `listener` for every event until `signal` aborts.
 *
 * @param {Listener} listener
 * @param {AbortSignal} signal
 */
export function listen(listener, signal) {
  listeners.add(listener);
  signal.addEventListener("abort", () => listeners.delete(listener));
}

export function connect() {
  if (stream) return;
  clearTimeout(timer);
  stream = new EventSource("/v1/events");
  stream.addEventListener("open", () => {
    setConnected(true);
    dispatch((listener) => listener.resync()); // also at first: a view may have been loaded before
  });
  stream.addEventListener("error", () => {
    setConnected(false);
    if (stream && stream.readyState === EventSource.CLOSED) {
      disconnect();
      timer = setTimeout(connect, RECONNECT_MS);
      get("/session")
        .then((who) => who || dispatchEvent(new Event("signed-out")))
        .catch(() => {});
    }
  });
  for (const name of CLIP_EVENTS) on(stream, name, (listener, clip) => listener.clip?.(clip, name));
  for (const name of RECORDING_EVENTS) on(stream, name, (listener, recording) => listener.recording?.(recording));
  for (const name of TRANSCRIPTION_EVENTS) on(stream, name, (listener, transcription) => listener.transcription?.(transcription));
  on(stream, "clip.deleted", (listener, {clip_id: id}) => listener.deleted?.(id));
}

export function disconnect() {
  clearTimeout(timer);
  if (stream) stream.close();
  stream = null;
}

/**
 * @param {EventSource} source
 * @param {string} name
 * @param {(listener: Listener, data: any) => void} call
 */
function on(source, name, call) {
  source.addEventListener(name, (event) => {
    const {data} = JSON.parse(event.data);
    dispatch((listener) => call(listener, data));
  });
}

/** @param {(listener: Listener) => void} call */
function dispatch(call) {
  for (const listener of [...listeners]) call(listener);
}

/** @param {boolean} connected */
function setConnected(connected) {
  dispatchEvent(new CustomEvent("connection", {detail: connected}));
}
