// The requests that send a file: the upload is begun or found, then what the server lacks is appended. No DOM.

import {crc32, printOf, samePrint} from "./file_print.js";

/** @import {Print} from "./file_print.js" */
/** @import {Upload} from "./upload.js" */

const CHUNK_BYTES = 64 << 20; // of a request: a proxy may collect a whole body before it passes it on
const MOST_TURNS = 50; // uploads of the same file in a week

/** @typedef {{upload_id: string, offset: number, recording_id?: string | null, part_bytes?: number | null}} Begun */
/** @typedef {{onprogress: (loaded: number) => void, signal: AbortSignal}} SendingOptions */
/** @typedef {{onprogress: () => void, onstored: () => void, wait: (ms: number) => Promise<void>}} SendingCalls */
/**
 * `begin` returns the upload of the first request with its key, and `links` where `put` sends parts. `problem(code)` makes an error of
 * the page.
 *
 * @typedef {object} SendingIO
 * @property {(file: File, key: string, signal: AbortSignal) => Promise<Begun>} begin
 * @property {(id: string, signal: AbortSignal) => Promise<Begun>} get
 * @property {(id: string, offset: number, bytes: Blob, options: SendingOptions) => Promise<string | null>} append
 * @property {(id: string, numbers: number[], signal: AbortSignal) => Promise<UploadParts>} links
 * @property {(url: string, bytes: Blob, options: SendingOptions) => Promise<unknown>} put
 * @property {(id: string, signal: AbortSignal) => Promise<Recording>} recording
 * @property {(code: string, status?: number) => Error} problem
 */

/**
 * Return the print of the file. It throws if the file is empty, or no longer the one of the upload.
 *
 * @param {SendingIO} io
 * @param {Upload} upload
 * @param {File} file
 * @returns {Promise<Print>}
 */
export async function checkedPrint(io, upload, file) {
  if (!file.size) throw io.problem("empty_file");
  const print = await printOf(file);
  if (upload.print && !samePrint(print, upload.print)) throw io.problem("file_unreadable");
  return print;
}

/**
 * Return how much the server has of the file, of an upload that is begun if there is none, or the recording that it has of it, unless
 * it is to be sent again.
 *
 * @param {SendingIO} io
 * @param {Upload} upload gets the id
 * @param {File} file
 * @param {AbortSignal} until
 * @returns {Promise<Begun & {known?: Recording}>}
 */
export async function locate(io, upload, file, until) {
  if (upload.id) {
    const begun = await unlessMissing(io.get(upload.id, until));
    if (begun) return begun;
    upload.id = null;
    upload.set({anew: upload.state.peek().sent > 0, sent: 0});
  }
  for (let turn = 0; turn < MOST_TURNS; turn += 1) {
    const begun = await unlessMissing(io.begin(file, keyOf(upload, turn), until));
    if (!begun) continue; // it was cancelled or has expired
    upload.id = begun.upload_id;
    if (begun.offset === file.size && !begun.recording_id) return io.get(begun.upload_id, until); // which registers it
    if (!begun.recording_id) return begun;
    const known = upload.again ? null : await unlessMissing(io.recording(begun.recording_id, until));
    if (known) return {...begun, known};
  }
  throw io.problem("uploaded_often");
}

/**
 * Send what the store lacks from the state's offset on, and return the id of the recording. Parts go straight to the bucket if the server
 * offers it and the store takes them. It throws if another request still assembles the object.
 *
 * @param {SendingIO} io
 * @param {Upload} upload
 * @param {File} file
 * @param {AbortSignal} until
 * @param {number | null} partBytes
 * @param {SendingCalls} calls
 */
export async function sendRest(io, upload, file, until, partBytes, calls) {
  const id = upload.id ?? "";
  if (partBytes && upload.direct) {
    const {sendParts} = await import("./upload_parts.js");
    const whole = await sendParts(io, upload, file, until, partBytes, calls);
    const {offset, recording_id} = await io.get(id, until);
    if (whole && recording_id) return recording_id;
    upload.set({sent: offset});
  }
  return appendRest(io, upload, file, until, partBytes, calls);
}

/**
 * Append what the store lacks to the upload. If it has parts, the next offset is after those that the store has.
 *
 * @param {SendingIO} io
 * @param {Upload} upload
 * @param {File} file
 * @param {AbortSignal} until
 * @param {number | null} partBytes
 * @param {SendingCalls} calls
 */
async function appendRest(io, upload, file, until, partBytes, {onprogress, onstored}) {
  const id = upload.id ?? "";
  const step = partBytes ?? CHUNK_BYTES;
  const {sent: offset} = upload.state.peek();
  /**
   * @param {number} at
   * @param {Blob} bytes
   */
  const append = (at, bytes) => {
    const progress = (/** @type {number} */ loaded) => {
      upload.set({sent: at + loaded});
      onprogress();
    };
    return io.append(id, at, bytes, {onprogress: progress, signal: until});
  };
  let recording = null;
  if (offset < file.size)
    await append(offset, new Blob()); // fails if another one is sending, before bytes are sent
  else recording = (await io.get(id, until)).recording_id ?? null;
  for (let at = offset; at < file.size; ) {
    const end = partBytes ? at - (at % step) + step : at + step;
    recording = await append(at, file.slice(at, end));
    at = Math.min(file.size, end);
    if (partBytes && !recording) {
      upload.direct = false; // the server takes bytes, and the store does not
      const begun = await io.get(id, until);
      [at, recording] = [begun.offset, begun.recording_id ?? null];
    }
    upload.set({sent: at});
    onstored();
  }
  if (!recording) throw io.problem("upload_assembling", 409);
  return recording;
}

/**
 * Return the idempotency key of the request that begins this upload. Each turn is another upload of the same file.
 *
 * @param {Upload} upload
 * @param {number} turn
 */
function keyOf({name, print}, turn) {
  return `page-1-${crc32(new TextEncoder().encode(name))}-${Object.values(print ?? {}).join("-")}-${turn}`;
}

/**
 * Return the object, or null if there is none.
 *
 * @template T
 * @param {Promise<T>} asked
 * @returns {Promise<T | null>}
 */
export const unlessMissing = (asked) =>
  asked.catch((error) => {
    if (error.status === 404) return null;
    throw error;
  });
