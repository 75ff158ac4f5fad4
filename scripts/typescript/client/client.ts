/** `Client`: every route of the API with types from the OpenAPI document, uploads, waiting, lists and downloads. */
import createFetchClient, {
  type Client as FetchClient,
  type ClientPathsWithMethod,
  type MaybeOptionalInit,
  type ParseAsResponse,
} from "openapi-fetch";
import type { components, paths } from "../generated/api.js";
import { CREATING } from "../generated/routes.js";
import { ApiError, NotClipengine, responseError } from "./errors.js";
import { randomKey } from "./platform.js";
import { retrying } from "./retry.js";
import { uploadInSteps, type UploadOptions, type UploadRequest } from "./uploads.js";
import { waitUntilEnded, type WaitOptions } from "./wait.js";

/** The objects of the API by name. */
export type Schemas = components["schemas"];
export type Clip = Schemas["ClipObject"];
export type Recording = Schemas["RecordingObject"];

export interface ClientOptions {
  /** Address of the engine, such as `https://clips.example.org`. A `/v1` or slash at its end is left out. */
  baseUrl: string;
  apiKey?: string;
  /** Seconds until a response, not counting `?wait=`. Uploads have no timeout. Default: 30. */
  timeoutSeconds?: number;
  /** How often a request that is safe to repeat is repeated. Default: 2. */
  retries?: number;
  /** Another implementation of `fetch`. */
  fetch?: (request: Request) => Promise<Response>;
}

type Method = "get" | "put" | "post" | "patch" | "delete";
type Path<M extends Method> = ClientPathsWithMethod<FetchClient<paths>, M>;
type Success = 200 | 201 | 202;
type Responses<P extends Path<M>, M extends Method> = paths[P][M] extends { responses: infer R }
  ? R[keyof R & Success]
  : never;
type Content<R> = R extends { content: infer Types } ? Types[keyof Types] : undefined;
type Data<P extends Path<M>, M extends Method, Init = object> = ParseAsResponse<Content<Responses<P, M>>, Init>;

/**
 * A function for one method of HTTP: it returns the data of the response, and throws `ApiError` for an error.
 *
 * `init` has the parameters and the body, those of `fetch` such as `signal`, and the `timeoutSeconds` of this call.
 */
export type Call<M extends Method> = <P extends Path<M>, Init extends MaybeOptionalInit<paths[P], M>>(
  path: P,
  ...init: undefined extends Init ? [(Init & CallOptions)?] : [Init & CallOptions]
) => Promise<Data<P, M, Init>>;

/** The routes that return a page of a list. */
export type ListPath = {
  [P in Path<"get">]: Data<P, "get"> extends { data: unknown[]; next_cursor: string | null } ? P : never;
}[Path<"get">];
export type Item<P extends ListPath> = Data<P, "get"> extends { data: (infer T)[] } ? T : never;

/** Content of an upload. A `Blob`, such as a `File`, is read from the disk as it is sent. */
export type Source = Blob | ReadableStream<Uint8Array> | Uint8Array | ArrayBuffer;

interface CallOptions {
  timeoutSeconds?: number;
}

type Result = { data?: unknown; error?: unknown; response: Response };

export class Client {
  readonly GET: Call<"get">;
  readonly PUT: Call<"put">;
  readonly POST: Call<"post">;
  readonly PATCH: Call<"patch">;
  readonly DELETE: Call<"delete">;
  readonly #api: FetchClient<paths>;
  readonly #request: (method: Method, path: string, init?: object) => Promise<Result>;
  readonly #fetchUpload: (request: Request) => Promise<Response>;

  constructor({
    baseUrl,
    apiKey,
    timeoutSeconds = 30,
    retries = 2,
    fetch = (request) => globalThis.fetch(request),
  }: ClientOptions) {
    if (!/^https?:\/\//.test(baseUrl))
      throw new TypeError(`baseUrl must begin with http:// or https://, not ${baseUrl}`);
    this.#fetchUpload = retrying(fetch, 0, Infinity);
    this.#api = createFetchClient<paths>({
      baseUrl: baseUrl.replace(/\/+(v1\/*)?$/, ""),
      fetch: retrying(fetch, retries, timeoutSeconds),
    });
    this.#api.use({
      async onRequest({ request, schemaPath, params }) {
        for (const [name, value] of Object.entries(params.path ?? {}))
          if (schemaPath.includes(`{${name}}`) && (value === "" || value == null))
            throw new TypeError(`${name} is empty`);
        if (apiKey) request.headers.set("Authorization", `Bearer ${apiKey}`);
        const creates = CREATING.has(`${request.method} ${schemaPath}`);
        if (creates && !request.headers.has("Idempotency-Key"))
          request.headers.set("Idempotency-Key", await randomKey());
      },
    });
    this.#request = this.#api.request as (method: Method, path: string, init?: object) => Promise<Result>;
    const call = <M extends Method>(method: M) =>
      (async (path: string, init?: object) =>
        (await settled(this.#request(method, path, init))).data) as unknown as Call<M>;
    this.GET = call("get");
    this.PUT = call("put");
    this.POST = call("post");
    this.PATCH = call("patch");
    this.DELETE = call("delete");
  }

  /**
   * Upload a recording and register it. `name` defaults to that of a `File`.
   *
   * After an interruption the upload continues. A stream cannot be read again, so it is sent once.
   */
  async upload(content: Source, options: UploadOptions = {}): Promise<Recording> {
    const name = options.name ?? ("name" in content ? String(content.name) : "");
    if (!name) throw new TypeError('pass the name of the recording, such as { name: "meeting.mp4" }');
    const signal = options.signal ? { signal: options.signal } : {};
    if (content instanceof ReadableStream) return this.#uploadOnce(content, name, options);
    const blob = content instanceof Blob ? content : new Blob([content as BlobPart]);
    const key = options.idempotencyKey ?? (await randomKey());
    const send = ({ method, uploadId, headers, body, numbers }: UploadRequest) =>
      settled(
        this.#request(method, `/v1/uploads${uploadId ? "/{upload_id}" : ""}${numbers ? "/parts" : ""}`, {
          params: { path: { upload_id: uploadId } },
          headers: { ...headers, ...(body && { "Content-Type": "application/offset+octet-stream" }) },
          ...(body && { body, bodySerializer: (given: unknown) => given, fetch: this.#fetchUpload }),
          ...(numbers && { body: { numbers } }),
          ...signal,
        }),
      );
    const put = (url: string, body: Blob) => this.#fetchUpload(new Request(url, { method: "PUT", body, ...signal }));
    let recordingId: string;
    try {
      recordingId = await uploadInSteps(send, put, blob, name, key, options);
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "not_found")) throw error;
      return this.#uploadOnce(blob, name, options); // a server of release 0.2
    }
    return this.GET("/v1/recordings/{recording_id}", { params: { path: { recording_id: recordingId } }, ...signal });
  }

  async #uploadOnce(
    content: ReadableStream<Uint8Array> | Blob,
    name: string,
    { recording, signal }: UploadOptions,
  ): Promise<Recording> {
    const sent = await settled(
      this.#api.PUT("/v1/recordings/upload", {
        params: { query: { name } },
        headers: { "Content-Type": "application/octet-stream" },
        body: content as never,
        bodySerializer: (body: unknown) => body,
        fetch: this.#fetchUpload,
        duplex: "half", // required for a stream
        ...(signal && { signal }),
      }),
    );
    const made = sent.data as Recording;
    if (!recording) return made;
    const params = { path: { recording_id: made.recording_id } };
    return this.PATCH("/v1/recordings/{recording_id}", { params, body: recording, ...(signal && { signal }) });
  }

  /** Create a clip. The server has stored the job when this returns. */
  createClip(
    recordingId: string,
    clip: Schemas["CreateClip"],
    { idempotencyKey, signal }: { idempotencyKey?: string; signal?: AbortSignal } = {},
  ): Promise<Clip> {
    const header = idempotencyKey === undefined ? {} : { "Idempotency-Key": idempotencyKey };
    const params = { path: { recording_id: recordingId }, header };
    return this.POST("/v1/recordings/{recording_id}/clips", { params, body: clip, ...(signal && { signal }) });
  }

  /** Wait until the recording is `complete` or `failed` and return it. Throws `WaitTimeout`. */
  waitForRecording(recordingId: string, options: WaitOptions<Recording> = {}): Promise<Recording> {
    const signal = options.signal ? { signal: options.signal } : {};
    const get = (wait: number) =>
      this.GET("/v1/recordings/{recording_id}", {
        params: { path: { recording_id: recordingId }, query: { wait } },
        ...signal,
      });
    return waitUntilEnded(recordingId, get, options);
  }

  /** Wait until the clip is `complete` or `failed` and return it. Throws `WaitTimeout`. */
  waitForClip(clipId: string, options: WaitOptions<Clip> = {}): Promise<Clip> {
    const signal = options.signal ? { signal: options.signal } : {};
    const get = (wait: number) =>
      this.GET("/v1/clips/{clip_id}", { params: { path: { clip_id: clipId }, query: { wait } }, ...signal });
    return waitUntilEnded(clipId, get, options);
  }

  /** Iterate over all objects of a list. Pages are fetched as needed. */
  async *each<P extends ListPath>(
    path: P,
    init: MaybeOptionalInit<paths[P], "get"> = {} as never,
  ): AsyncGenerator<Item<P>> {
    type Query = { params?: { query?: { cursor?: string | null } } };
    type Page = { data: Item<P>[]; next_cursor: string | null };
    const get = this.GET as unknown as (path: P, init: unknown) => Promise<Page>;
    const given = init as Query;
    for (let cursor = given.params?.query?.cursor; ; ) {
      const query = { ...given.params?.query, ...(cursor && { cursor }) };
      const page = await get(path, { ...given, params: { ...given.params, query } });
      yield* page.data;
      if (page.next_cursor === null) return;
      cursor = page.next_cursor;
    }
  }

  /** Return the response with the file of a clip. Its body is a stream. */
  downloadClip(clipId: string, options: DownloadOptions = {}): Promise<Response> {
    const params = { path: { clip_id: clipId } };
    return this.#download(this.#api.GET("/v1/clips/{clip_id}/download", { params, ...download(options) }));
  }

  /** Return the response with the file of a recording. Its body is a stream. */
  downloadRecording(recordingId: string, options: DownloadOptions = {}): Promise<Response> {
    const params = { path: { recording_id: recordingId } };
    return this.#download(this.#api.GET("/v1/recordings/{recording_id}/download", { params, ...download(options) }));
  }

  async #download(call: Promise<Result>): Promise<Response> {
    return (await settled(call)).response;
  }
}

export interface DownloadOptions {
  /** A `Range` header, such as `bytes=0-1023`. */
  range?: string;
  signal?: AbortSignal;
}

function download({ range, signal }: DownloadOptions) {
  return { parseAs: "stream" as const, headers: range ? { Range: range } : {}, ...(signal && { signal }) };
}

/** Return the result of a call. Throws `ApiError` for an error response, and `NotClipengine`. */
async function settled(call: Promise<Result>): Promise<Result> {
  let result: Result;
  try {
    result = await call;
  } catch (error) {
    if (error instanceof SyntaxError) throw new NotClipengine(error); // HTML of a proxy, for example
    throw error;
  }
  if (!result.response.ok) throw responseError(result.response, result.error);
  return result;
}
