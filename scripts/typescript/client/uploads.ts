/** Upload of a `Blob` in steps (tus 1.0), which continues after an interruption with the bytes that the server lacks. */
import type { components } from "../generated/api.js";
import { ApiError, FileChanged, ServerUnreachable } from "./errors.js";
import { sleep } from "./platform.js";
import { RETRYABLE_STATUSES, retryDelay } from "./retry.js";

type Schemas = components["schemas"];
type State = Schemas["UploadObject"];

const ONE_REQUEST_BYTES = 16 * 2 ** 20; // what the server stores in one step
const STEP_BYTES = 64 * 2 ** 20; // `fetch` reports no progress, so larger files are sent in several requests
const PARTS_AT_ONCE = 4; // that are sent straight to the store
const PART_ATTEMPTS = 3;
const TEMPORARY_STATUSES = [409, 423, ...RETRYABLE_STATUSES]; // and while another request sends the same upload
const VERSION = { "Tus-Resumable": "1.0.0" };

export interface UploadOptions {
  /** Default: the name of a `File`. */
  name?: string;
  /** Fields of the recording, such as `tags`. */
  recording?: Pick<Schemas["RegisterRecording"], "metadata" | "tags" | "started_at" | "series">;
  /** With a key of yours, another call with the same content, name and fields continues the upload. */
  idempotencyKey?: string;
  /** Seconds without a stored byte after which the last error is thrown. Default: 300. */
  patienceSeconds?: number;
  signal?: AbortSignal;
  /** Called with the bytes that are stored, and their total. */
  onProgress?: (done: number, total: number) => void;
}

/** A request of an upload. One with bytes has no timeout and is not repeated. With `numbers`, links of parts are requested. */
export interface UploadRequest {
  method: "get" | "post" | "patch" | "delete";
  uploadId?: string;
  headers: Record<string, string>;
  body?: Blob;
  numbers?: number[];
}
type Send = (request: UploadRequest) => Promise<{ data?: unknown; response: Response }>;
/** Send bytes to a presigned URL of the store, without the key. */
type Put = (url: string, body: Blob) => Promise<Response>;

/** Send the content and return the id of its recording. */
export async function uploadInSteps(
  send: Send,
  put: Put,
  content: Blob,
  name: string,
  key: string,
  { recording, patienceSeconds = 300, signal, onProgress }: UploadOptions,
): Promise<string> {
  const upload = new Upload(send, put, content, metadata(name, recording), key, signal);
  let [failures, failingSince] = [0, 0];
  for (;;) {
    try {
      const before = upload.state?.offset ?? -1;
      const { offset, recording_id } = await upload.advance();
      onProgress?.(offset, content.size);
      if (recording_id !== null) return recording_id;
      if (offset > before) failures = 0;
    } catch (error) {
      signal?.throwIfAborted();
      await upload.checkContent(name);
      upload.isSure = false;
      upload.isDirect = true;
      if (!failures++) failingSince = performance.now();
      const waited = performance.now() - failingSince;
      if (!upload.hasBegun || !passes(error) || waited >= patienceSeconds * 1000) throw error;
    }
    if (failures) await sleep(retryDelay(failures - 1), signal);
  }
}

class Upload {
  state: State | null = null;
  isSure = true; // of the offset
  isDirect = true; // until the store does not take a part
  #bytesWereSent = false;

  constructor(
    readonly send: Send,
    readonly put: Put,
    readonly content: Blob,
    readonly metadata: string,
    readonly key: string,
    readonly signal: AbortSignal | undefined,
  ) {}

  get hasBegun(): boolean {
    return this.state !== null || this.#bytesWereSent;
  }

  /** Send the next requests and return the state after it. The offset is requested first if it is not sure. */
  async advance(): Promise<State> {
    const { state, content } = this;
    if (state === null) {
      const sendsAll = content.size <= ONE_REQUEST_BYTES && !this.#bytesWereSent;
      this.state = await this.#begin(sendsAll);
    } else if (this.isSure && state.offset < content.size && state.part_bytes && this.isDirect) {
      await this.#sendParts(state, state.part_bytes);
      this.state = await this.#get(state);
    } else if (this.isSure && state.offset < content.size) {
      this.state = await this.#append(state);
    } else {
      this.state = await this.#get(state);
    }
    this.isSure = true;
    return this.state;
  }

  /** Throw `FileChanged`, and delete the upload, if the content cannot be read any more. */
  async checkContent(name: string): Promise<void> {
    try {
      await this.content.slice(0, 1).arrayBuffer();
    } catch (error) {
      await this.#abandon();
      throw new FileChanged(name, error);
    }
  }

  /** Begin the upload, or return the upload that this key has begun. */
  async #begin(sendsAll: boolean): Promise<State> {
    const headers = {
      ...VERSION,
      "Idempotency-Key": this.key,
      "Upload-Length": String(this.content.size),
      "Upload-Metadata": this.metadata,
    };
    this.#bytesWereSent ||= sendsAll;
    const { data } = await this.send({ method: "post", headers, ...(sendsAll && { body: this.content }) });
    return data as State;
  }

  async #get({ upload_id }: State): Promise<State> {
    const found = (await this.send({ method: "get", uploadId: upload_id, headers: VERSION })).data as State;
    if (found.recording_id === null && found.offset >= this.content.size) throw assembling();
    return found;
  }

  /** Append the next bytes, or, if the store may have later parts, the first one that is missing. */
  async #append(state: State): Promise<State> {
    const { offset, part_bytes: part } = state;
    const body = this.content.slice(offset, part ? offset - (offset % part) + part : offset + STEP_BYTES);
    const headers = { ...VERSION, "Upload-Offset": String(offset) };
    const { response } = await this.send({ method: "patch", uploadId: state.upload_id, headers, body });
    const reached = Number(response.headers.get("Upload-Offset") ?? offset + body.size);
    return { ...state, offset: reached, recording_id: response.headers.get("Upload-Recording") };
  }

  /** Send the next parts that the store does not have, at the same time. */
  async #sendParts(state: State, partBytes: number): Promise<void> {
    const first = Math.floor(state.offset / partBytes) + 1;
    const last = Math.min(first + PARTS_AT_ONCE - 1, Math.ceil(this.content.size / partBytes));
    let missing = Array.from({ length: last - first + 1 }, (_, at) => first + at);
    for (let attempt = 1; missing.length; attempt += 1) {
      if (attempt > 1) await sleep(retryDelay(attempt - 2), this.signal);
      // Again after a failure: the response may have been lost, and the link may have expired.
      const request = { method: "post", uploadId: state.upload_id, headers: VERSION, numbers: missing } as const;
      const { data: parts } = (await this.send(request)).data as Schemas["UploadParts"];
      const sent = await Promise.all(parts.map((part) => this.#isSent(part, partBytes)));
      missing = missing.filter((_, at) => !sent[at]);
      if (attempt < PART_ATTEMPTS || !missing.length) continue;
      this.isDirect = false;
      return;
    }
  }

  async #isSent({ number, url }: Schemas["UploadPart"], partBytes: number): Promise<boolean> {
    if (url === null) return true;
    try {
      return (await this.put(url, this.content.slice((number - 1) * partBytes, number * partBytes))).ok;
    } catch {
      this.signal?.throwIfAborted();
      await this.content.slice(0, 1).arrayBuffer(); // throws if the content cannot be read any more
      return false;
    }
  }

  /** Delete the upload. If that fails, the server does it later. */
  async #abandon(): Promise<void> {
    try {
      this.state ??= await this.#begin(false);
      await this.send({ method: "delete", uploadId: this.state.upload_id, headers: VERSION });
    } catch (error) {
      if (!passes(error)) throw error;
    }
  }
}

function metadata(name: string, recording: UploadOptions["recording"]): string {
  const described = recording ? `,recording ${base64(JSON.stringify(recording))}` : "";
  return `filename ${base64(name)}${described}`;
}

function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

/** Return the error while the store makes one object of the parts, for another request. */
function assembling(): ApiError {
  const hint = "Call this again later, with the same idempotencyKey.";
  const problem = { code: "upload_assembling", detail: "The store still assembles the upload", hint };
  return new ApiError(new Response(null, { status: 409 }), problem);
}

function passes(error: unknown): boolean {
  if (error instanceof ApiError) return TEMPORARY_STATUSES.includes(error.status);
  return error instanceof ServerUnreachable;
}
