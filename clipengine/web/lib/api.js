// HTTP client of the API. It sends the session cookie and raises problem documents as ApiError.

import {errorMessage} from "./error_messages.js";
import {fromServer, t} from "./texts.js";

const RETRYABLE = [0, 401, 408, 409, 423, 429]; // besides all of 500 and above
const STALL_MS = 120_000; // without progress of an upload

export class ApiError extends Error {
  /**
   * @param {number} status of HTTP, or 0 without a response
   * @param {Partial<Omit<Problem, "code">> & {code?: string}} problem
   */
  constructor(status, problem) {
    super(errorMessage(status, problem));
    this.status = status;
    this.code = problem.code || "unknown";
    this.title = problem.title ? fromServer(problem.title) : t("The request failed");
    this.english = this.message === problem.detail; // the server wrote it
    this.errors = problem.errors || [];
  }

  // True if the same request may succeed later.
  get retryable() {
    return this.status >= 500 || RETRYABLE.includes(this.status);
  }
}

/**
 * With `quiet`, a 401 is left to the caller instead of ending the session of the page.
 *
 * With `keepalive`, the request outlives the page.
 *
 * @typedef {{signal?: AbortSignal, quiet?: boolean, keepalive?: boolean, as?: "json" | "blob", headers?: Record<string, string>}} RequestOptions
 */

const HEADERS = {"X-Clipengine-Page": "1"};

// Return an idempotency key. Every creating POST carries one, so that a retry does not create a duplicate.
export function newIdempotencyKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} method
 * @param {string} path
 * @param {RequestOptions & {body?: unknown, text?: Blob, type?: string, version?: number | string}} [options] `type` is that of `text`, `version` that of the replaced object
 * @returns {Promise<any>} for `get`, `post`, `put`, `patch` and `remove`, which have the types of the API
 */
export async function request(method, path, {body, text, type = "text/plain", version, headers: more, signal, keepalive, quiet = false, as = "json"} = {}) {
  /** @type {Record<string, string>} */
  const headers = {...HEADERS};
  if (method === "POST" && path.startsWith("/v1/")) headers["Idempotency-Key"] = newIdempotencyKey();
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  if (body !== undefined || text) headers["Content-Type"] = text ? type : "application/json";
  Object.assign(headers, more);
  let response;
  try {
    response = await fetch(path, {method, headers, signal, keepalive, body: text ?? (body === undefined ? undefined : JSON.stringify(body))});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, {title: t("The server cannot be reached"), code: "unreachable"});
  }
  if (response.status === 204) return null;
  if (response.ok && as === "blob") return response.blob();
  const result = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error; // the view was left during the response
    return {};
  });
  if (response.ok) return result;
  throw failure(response.status, result, quiet);
}

/**
 * @param {number} status
 * @param {Problem} problem
 * @param {boolean} [quiet]
 */
function failure(status, problem, quiet = false) {
  if (status === 401 && !quiet) dispatchEvent(new Event("signed-out"));
  return new ApiError(status, problem);
}

/**
 * @template {ApiPath} P
 * @param {P} path
 * @param {RequestOptions} [options]
 * @returns {Promise<Reply<"get", P>>}
 */
export const get = (path, options) => request("GET", path, options);
/**
 * @param {ApiPath} path of an image
 * @param {RequestOptions} [options]
 */
export const getImage = async (path, options) => createImageBitmap(await request("GET", path, {...options, as: "blob"}));
/**
 * @template {ApiPath} P
 * @param {P} path
 * @param {Sent<"post", P>} [body]
 * @param {RequestOptions} [options]
 * @returns {Promise<Reply<"post", P>>}
 */
export const post = (path, body, options) => request("POST", path, {body, ...options});
/**
 * @template {ApiPath} P
 * @param {P} path
 * @param {Blob} text a file
 * @returns {Promise<Reply<"post", P>>}
 */
export const postText = (path, text) => request("POST", path, {text});
/**
 * Replace the object of this version.
 *
 * @template {ApiPath} P
 * @param {P} path
 * @param {Sent<"put", P>} body
 * @param {RequestOptions & {version: number}} options
 * @returns {Promise<Reply<"put", P>>}
 */
export const put = (path, body, options) => request("PUT", path, {body, ...options});
/**
 * @template {ApiPath} P
 * @param {P} path
 * @param {Sent<"patch", P>} body
 * @returns {Promise<Reply<"patch", P>>}
 */
export const patch = (path, body) => request("PATCH", path, {body});
/**
 * @template {ApiPath} P
 * @param {P} path
 * @param {RequestOptions} [options]
 * @returns {Promise<Reply<"delete", P>>}
 */
export const remove = (path, options) => request("DELETE", path, options);

/**
 * @template {string} P
 * @param {P} path
 * @param {Record<string, string | number | null | undefined>} values; those that are empty are left out
 */
export function query(path, values) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== "" && value !== undefined && value !== null) params.append(name, String(value));
  return /** @type {P} */ (params.size ? `${path}?${params}` : path);
}

/** @import {SendingOptions} from "../store/upload_sending.js" */

/**
 * Append bytes to an upload.
 *
 * @param {string} id of the upload
 * @param {number} offset of the bytes
 * @param {Blob} bytes
 * @param {SendingOptions} options
 * @returns {Promise<string | null>} the id of the recording, after the last bytes
 */
export async function append(id, offset, bytes, options) {
  const headers = {...HEADERS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream"};
  const sent = await send("PATCH", `/v1/uploads/${id}`, headers, bytes, options);
  if (sent.status < 300) return sent.getResponseHeader("Upload-Recording");
  throw failure(sent.status, sent.response ?? {});
}

/**
 * Send a part of an upload to the store. A `Blob` without a type sends no header that the store must allow.
 *
 * @param {string} url
 * @param {Blob} bytes
 * @param {SendingOptions} options
 */
export async function putPart(url, bytes, options) {
  const {status} = await send("PUT", url, {}, bytes, options);
  if (status >= 300) throw new ApiError(status, {});
}

/**
 * Send bytes with progress, which fetch does not report. A connection on which nothing moves any more is given up.
 *
 * @param {string} method
 * @param {string} url
 * @param {Record<string, string>} headers
 * @param {Blob} bytes
 * @param {SendingOptions} options
 * @returns {Promise<XMLHttpRequest>} with the response
 */
function send(method, url, headers, bytes, {onprogress, signal}) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const sending = new XMLHttpRequest();
    const interrupted = () => reject(new ApiError(0, {title: t("The upload was interrupted"), code: "upload_interrupted"}));
    const stalled = () => {
      interrupted();
      sending.abort();
    };
    let timer = setTimeout(stalled, STALL_MS);
    const abort = () => sending.abort();
    sending.open(method, url);
    for (const [name, value] of Object.entries(headers)) sending.setRequestHeader(name, value);
    sending.responseType = "json";
    sending.upload.addEventListener("progress", (event) => {
      clearTimeout(timer);
      timer = setTimeout(stalled, STALL_MS);
      onprogress(event.loaded);
    });
    sending.addEventListener("load", () => resolve(sending));
    sending.addEventListener("error", interrupted);
    sending.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    sending.addEventListener("loadend", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    });
    signal.addEventListener("abort", abort);
    sending.send(bytes);
  });
}
