/**
 * Errors of the client, all of which extend `ClientError`.
 *
 * `ApiError`: the server rejected the request. `ServerUnreachable`: there was no response. `NotClipengine`: another
 * service responded. `FileChanged`: the file of an upload was written to. `JobFailed`: a clip or a recording failed. `WaitTimeout`: it did not end in time.
 * `SignatureInvalid`: a webhook is not signed with this secret, or is too old.
 */
import type { components } from "../generated/api.js";

type Schemas = components["schemas"];

/** The code of an error. New codes may be added. */
export type ErrorCode = Schemas["ErrorCode"] | (string & {});

/** Base class. `code` is stable; `hint` says what to do and may be empty. */
export class ClientError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(message: string, code: ErrorCode, hint = "", options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.hint = hint;
  }
}

/** Error response of the server. `errors` lists the faults of an invalid request, each with its `pointer`. */
export class ApiError extends ClientError {
  readonly status: number;
  readonly detail: string;
  readonly errors: Schemas["FaultObject"][];
  readonly requestId: string | null;

  /** `problem` is the body of the response, parsed if it is JSON. */
  constructor(response: Response, problem: unknown) {
    const given = (typeof problem === "object" && problem ? problem : {}) as Partial<Schemas["ProblemObject"]>;
    const code = given.code ?? `http_${response.status}`;
    const detail = given.detail ?? given.title ?? `${response.status} ${response.statusText}`;
    super(`${detail} (${code})`, code, given.hint ?? "");
    this.status = response.status;
    this.detail = detail;
    this.errors = given.errors ?? [];
    this.requestId = response.headers.get("x-request-id");
  }
}

export class ServerUnreachable extends ClientError {
  readonly url: string;

  constructor(url: string, cause: unknown) {
    super(`no answer from ${url}: ${reason(cause)}`, "server_unreachable", "Check the base URL, and that it runs.", {
      cause,
    });
    this.url = url;
  }
}

export class NotClipengine extends ClientError {
  constructor(cause: unknown) {
    const answer = cause instanceof Response ? `: it is ${cause.status} ${cause.statusText}`.trimEnd() : "";
    super(`the response is not from clipengine${answer}`, "server_unreachable", "Check the base URL.", { cause });
  }
}

const WRONG_PLACE = [401, 404, 405]; // to which the API adds a problem document

/** Return the error for an error response. `problem` is its body, parsed if it is JSON. */
export function responseError(response: Response, problem: unknown): ApiError | NotClipengine {
  const known = typeof problem === "object" && problem !== null && "code" in problem;
  const fromStore = response.redirected; // a download is redirected to the store, which has errors of another form
  return known || fromStore || !WRONG_PLACE.includes(response.status)
    ? new ApiError(response, problem)
    : new NotClipengine(response);
}

/** A file changed while it was uploaded. No recording is registered. */
export class FileChanged extends ClientError {
  constructor(name: string, cause: unknown) {
    super(`${name} changed while it was uploaded`, "file_changed", "Upload it again when no program writes to it.", {
      cause,
    });
  }
}

export class JobFailed extends ClientError {
  readonly retryable: boolean;

  constructor(error: Schemas["ErrorObject"]) {
    super(`${error.message} (${error.code})`, error.code, error.hint);
    this.retryable = error.retryable;
  }
}

export class WaitTimeout extends ClientError {
  constructor(id: string, seconds: number) {
    super(`${id} did not end within ${seconds} s`, "wait_timeout", "The job continues: wait again, or check it later.");
  }
}

export class SignatureInvalid extends ClientError {
  constructor(message: string) {
    super(message, "signature_invalid", "Reject the webhook. Pass its secret and the body as it was received.");
  }
}

/** Return the clip or recording. Throws `JobFailed` if it failed. */
export function raiseForError<Job extends { error: Schemas["ErrorObject"] | null }>(job: Job): Job {
  if (job.error) throw new JobFailed(job.error);
  return job;
}

function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // Node says "fetch failed" and names the reason in the cause.
  return cause.cause instanceof Error
    ? cause.cause.message || String((cause.cause as { code?: string }).code)
    : cause.message;
}
