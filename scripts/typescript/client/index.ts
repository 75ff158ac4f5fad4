/** Typed client for the HTTP API of clipengine. */
export { Client } from "./client.js";
export type {
  Call,
  ClientOptions,
  Clip,
  DownloadOptions,
  Item,
  ListPath,
  Recording,
  Schemas,
  Source,
} from "./client.js";
export {
  ApiError,
  ClientError,
  FileChanged,
  JobFailed,
  NotClipengine,
  raiseForError,
  ServerUnreachable,
  SignatureInvalid,
  WaitTimeout,
} from "./errors.js";
export type { ErrorCode } from "./errors.js";
export type { UploadOptions } from "./uploads.js";
export type { WaitOptions } from "./wait.js";
export { verifyWebhook } from "./webhooks.js";
export type { WebhookEvent, WebhookHeaders } from "./webhooks.js";
export type { components, operations, paths, webhooks } from "../generated/api.js";
