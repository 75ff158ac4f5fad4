// Server-sent events, from the stream that the tabs of this browser share, or from one of this tab.

import {get} from "./api.js";
import {openStream} from "./event_stream.js";

/** @import {StreamMessage} from "./event_stream.js" */

const RECONNECT_MS = 3000;
const WORKER = "/assets/lib/event_worker.js";

/**
 * What a view does with events. `resync` means that events may have been missed.
 *
 * @typedef {object} Listener
 * @property {(clip: Clip, name: "clip.updated" | "clip.ready" | "clip.failed") => void} [clip] a clip has changed
 * @property {(id: string) => void} [deleted] a clip was deleted
 * @property {(recording: Recording) => void} [recording] a recording has changed
 * @property {(transcription: Transcription) => void} [transcription] a transcription has changed
 * @property {() => void} resync
 */

/** @type {Record<string, (listener: Listener, data: any) => void>} by the name of the event */
const CALLS = {
  "clip.updated": (listener, clip) => listener.clip?.(clip, "clip.updated"),
  "clip.ready": (listener, clip) => listener.clip?.(clip, "clip.ready"),
  "clip.failed": (listener, clip) => listener.clip?.(clip, "clip.failed"),
  "clip.deleted": (listener, {clip_id: id}) => listener.deleted?.(id),
  "recording.updated": (listener, recording) => listener.recording?.(recording),
  "recording.recording": (listener, recording) => listener.recording?.(recording),
  "recording.complete": (listener, recording) => listener.recording?.(recording),
  "recording.failed": (listener, recording) => listener.recording?.(recording),
  "transcript.updated": (listener, transcription) => listener.transcription?.(transcription),
  "transcript.ready": (listener, transcription) => listener.transcription?.(transcription),
  "transcript.failed": (listener, transcription) => listener.transcription?.(transcription),
};
const NAMES = Object.keys(CALLS);

/** @type {Set<Listener>} */
const listeners = new Set();
/** @type {MessagePort | null} of the worker of all tabs, once it was started */
let port = null;
let shares = typeof SharedWorker !== "undefined";
/** @type {EventSource | null} of this tab, without a worker */
let own = null;
let connected = false; // or about to be
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
  if (connected) return;
  connected = true;
  clearTimeout(timer);
  port ??= shares ? startWorker() : null;
  if (port) port.postMessage({kind: "join", names: NAMES});
  else own = openStream(NAMES, take);
}

/**
 * Stop listening. With `all`, the session ends: the stream of all tabs is closed.
 *
 * @param {{all?: boolean}} [options]
 */
export function disconnect({all = false} = {}) {
  clearTimeout(timer);
  connected = false;
  own?.close();
  own = null;
  port?.postMessage({kind: "leave"});
  if (all) port?.postMessage({kind: "end"});
}

// Return the port of the worker, or null if the browser refuses it. If its script cannot be loaded, this tab opens its own stream.
function startWorker() {
  const policy = /** @type {any} */ (self).trustedTypes?.createPolicy("events", {createScriptURL: () => WORKER});
  try {
    const worker = new SharedWorker(policy?.createScriptURL("") ?? WORKER, {type: "module", name: "events"});
    worker.addEventListener("error", () => {
      shares = false;
      port = null;
      if (connected) own ??= openStream(NAMES, take);
    });
    worker.port.addEventListener("message", ({data}) => connected && take(data));
    worker.port.start();
    return worker.port;
  } catch {
    shares = false;
    return null;
  }
}

/** @param {StreamMessage} message */
function take(message) {
  if (message.kind === "event") {
    const {data} = JSON.parse(message.data);
    for (const listener of [...listeners]) CALLS[message.name](listener, data);
    return;
  }
  const opened = message.kind === "open";
  dispatchEvent(new CustomEvent("connection", {detail: opened}));
  if (opened)
    for (const listener of [...listeners]) listener.resync(); // also at first: a view may have been loaded before
  else if (message.closed) reconnect();
}

// The stream was closed by the server, or the session has ended elsewhere.
function reconnect() {
  disconnect();
  timer = setTimeout(connect, RECONNECT_MS);
  get("/session")
    .then((who) => who || dispatchEvent(new Event("signed-out")))
    .catch(() => {});
}

// A worker gets no event when a tab closes.
addEventListener("pagehide", () => port?.postMessage({kind: "leave"}));
addEventListener("pageshow", ({persisted}) => {
  if (persisted && connected) port?.postMessage({kind: "join", names: NAMES});
});
