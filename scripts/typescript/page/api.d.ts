// Types of the API for the page's modules, from the OpenAPI document. They are global, so that a module names them without
// an import.
import type { components, paths } from "../generated/api";

type Schemas = components["schemas"];
type Route = keyof paths & string;

/** The paths that fit a route: `/v1/clips/${string}` for "/v1/clips/{clip_id}". */
type PathOf<R extends string> = R extends `${infer Head}{${string}}${infer Tail}`
  ? `${Head}${string}${PathOf<Tail>}`
  : R;

/** The route of a path. `${string}` of one route also fits the rest of a longer one, so both sides must be equal. */
type RouteOf<P extends string> = {
  [R in Route]: PathOf<R> extends P ? (P extends PathOf<R> ? R : never) : never;
}[Route];

type WithoutQuery<P extends string> = P extends `${infer Path}?${string}` ? Path : P;
type Operation<M extends string, P extends string> = paths[RouteOf<WithoutQuery<P>>] extends infer O
  ? O[M & keyof O]
  : never;
type Content<R> = R extends { content: { "application/json": infer J } }
  ? J
  : R extends { content: object }
    ? Blob
    : null;
type Success<O> = O extends { responses: infer R } ? R[keyof R & (200 | 201 | 202 | 204)] : never;

declare global {
  /** A path of the API, with or without a query. Sessions are the page's own and not part of the document. */
  type ApiPath = PathOf<Route> | `${PathOf<Route>}?${string}` | "/session";

  /** What a request resolves with: the JSON of the response, a Blob of any other content, or null without one. */
  type Reply<M extends string, P extends string> = P extends "/session" ? Session : Content<Success<Operation<M, P>>>;

  /** The JSON that a request sends. */
  type Sent<M extends string, P extends string> = P extends "/session"
    ? { key: string } | { code: string }
    : Operation<M, P> extends { requestBody?: infer B }
      ? NonNullable<B> extends { content: { "application/json": infer J } }
        ? J
        : undefined
      : undefined;

  type Session = { id: string; name: string; scopes: Scope[]; may: Rights; role?: Role };
  type Action = "read" | "write" | "delete";
  type Rights = { [kind: string]: { [action in Action]?: "all" | "own" } };
  type Role = Schemas["UserObject"]["role"];
  type Scope = Schemas["CreateKey"]["scopes"] extends (infer S)[] | undefined ? S : never;

  type AuditEntry = Schemas["AuditEntryObject"];
  type Batch = Schemas["BatchObject"];
  type Clip = Schemas["ClipObject"];
  type ClipEngineError = Schemas["ErrorObject"];
  type ClipPart = Schemas["PartObject"];
  type ClipPlan = Schemas["ClipPlanObject"];
  type ClipResult = Schemas["ClipResult"];
  type Delivery = Schemas["DeliveryObject"];
  type ErrorCode = Schemas["ErrorCode"];
  type Key = Schemas["KeyObject"];
  type Media = Schemas["MediaObject"];
  type NextMoment = Schemas["NextMomentObject"];
  type Problem = Schemas["ProblemObject"];
  type Profile = Schemas["ProfileObject"];
  type RemovedRange = Schemas["RemovedRangeObject"];
  type ProxyDescription = Schemas["ProxyObject"];
  type QueuePlace = Schemas["QueuePlaceObject"];
  type Recording = Schemas["RecordingObject"];
  type UploadPart = Schemas["UploadPart"];
  type UploadParts = Schemas["UploadParts"];
  type Rule = Schemas["RuleObject"];
  type SearchHit = Schemas["SearchHitObject"];
  type SegmentList = Schemas["SegmentsObject"];
  type Share = Schemas["ShareObject"];
  type ListedShare = Schemas["ListedShareObject"];
  type ShareLink = Schemas["NewShareObject"] | Schemas["SharedLinkObject"];
  type Status = Schemas["StatusObject"];
  type StorageUse = Schemas["StorageObject"];
  type Suggestion = Schemas["SuggestionObject"];
  type Suggestions = Schemas["SuggestionsObject"];
  type Transcription = Schemas["TranscriptionObject"];
  type TranscriptObject = Schemas["TranscriptObject"];
  type TriedRule = Schemas["TriedRuleObject"];
  type Video = Schemas["VideoObject"];
  type SessionObject = Schemas["SessionObject"];
  type User = Schemas["UserObject"];
  type Watermark = Schemas["WatermarkObject"];
  type Webhook = Schemas["WebhookObject"];

  /** A clip with its file. */
  type ReadyClip = Clip & { status: "complete"; result: ClipResult };
  /** A recording that can be played and cut. */
  type ReadyRecording = Recording & { status: "complete" | "recording"; duration_seconds: number; media: Media };
  /** A cue of a transcript. */
  type Cue = { start_seconds: number; end_seconds: number; text: string; speaker?: string | null; words?: TimedWord[] };
  /** Start and end of a word in seconds, and its text. */
  type TimedWord = [start: number, end: number, text: string];
  /** A page of a list. */
  type Page<Item> = { data: Item[]; next_cursor: string | null };
}
