"""All errors that callers, operators or webhooks can receive, with stable codes.

ClipEngineError
├── RequestError            the request is invalid or comes too early (fault "request")
│   ├── MalformedRequest, Unauthorized, InvalidSignature, Forbidden, MethodNotAllowed, PayloadTooLarge,
│   │   UnsupportedContentType, RangeNotSatisfiable, HeadersTooLarge, UploadLocked, ChecksumMismatch,
│   │   TusVersionUnsupported
│   ├── InvalidRequest      422 with its problems in `errors`
│   │   └── InvalidTimeRange, ClockUnknown, ClockAmbiguous, NothingRecorded, InvalidLabel, PatternInvalid,
│   │       InvalidBucketPath, InvalidWebhookUrl, InvalidRecordingUrl, UnknownProfile, UnknownWatermark,
│   │       InvalidTranscript, IdempotencyKeyReused
│   ├── NotFound            RecordingNotFound, ClipNotFound, WebhookNotFound, DeliveryNotFound, ShareNotFound,
│   │                       TranscriptNotFound, KeyNotFound, RuleNotFound, BatchNotFound, ObjectNotFound,
│   │                       UploadNotFound
│   ├── Conflict            RecordingNotComplete, RecordingHasPieces, RecordingBusy, ClipEnded, ClipNotFailed,
│   │                       ClipNotComplete, RequestInProgress, TranscriptionEnded, TranscriptionOff,
│   │                       TranscriptExists, UploadOffsetConflict
│   ├── SegmentsChanged, TranscriptChanged, PreconditionMissing
│   └── Busy                QueueFull, DiskLow, RateLimited: the same request may succeed later
├── RecordingError          the recording causes the error (fault "recording")
│   └── RecordingMissing, FetchFailed, FetchInterrupted, RecordingChanged, RecordingUnreadable, RecordingTruncated,
│       RecordingEncrypted, NoMediaInRange, UnsupportedMedia, DecoderCrashed, PlaylistInvalid, PlaylistUnsupported,
│       PlaylistOutside, RecordingNotReady, NotRecordedYet, PieceMissing, TooManyPieces
├── StorageError            the store or the disk causes the error (fault "storage")
│   └── StorageDenied, StorageUnavailable, DiskFull, ObjectMissing, ObjectChanged
├── EngineError             this engine causes the error (fault "engine")
│   └── EncoderFailed, SizeUnreachable, FontsMissing, LimitTooLow, VerificationFailed, DecoderKilled, Timeout,
│       TranscriberFailed, TranscriberUnavailable, Cancelled, Internal
└── StartupError            `serve` or a command cannot start: SettingsError, DataFolderInUse, SchemaTooNew,
                            SecretsKeyLost, BackupUnusable, SandboxIncomplete

A clip's `error` and a problem document have the same `code`. `retryable` means that the same request may succeed later;
`hint` says what to do. The meaning of a code never changes; new codes may be added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, Self

Fault = Literal["request", "recording", "storage", "engine"]


class ClipEngineError(Exception):
    """Base class. `message` says what happened and `hint` what to do; both are safe to show to callers."""

    code: ClassVar[str] = "internal"
    fault: ClassVar[Fault] = "engine"
    retryable: ClassVar[bool] = False
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    default_hint: ClassVar[str] = "Check the server's log at this time."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    def to_object(self) -> dict[str, Any]:
        """Return the `error` object of a clip or a recording: `{code, message, hint, retryable}`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "retryable": self.retryable}


# ---- the caller's request -------------------------------------------------------------------------------------


class RequestError(ClipEngineError):
    """Error in a request.

    Each item of `errors` has a `detail`, a location (`pointer` into the body, `parameter` or `header`), and `code` and
    `hint` if they differ from the error's own. `omitted` counts the problems that are not listed.
    """

    code = "bad_request"
    fault = "request"
    status = 400
    title = "Bad request"
    default_hint = "Correct the request and send it again."

    def __init__(
        self, message: str, *, errors: list[dict[str, str]] | None = None, omitted: int = 0, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.errors = errors or []
        self.omitted = omitted


@contextmanager
def located(**place: str) -> Iterator[None]:
    """Add `place` (`pointer` or `parameter`) to a RequestError that does not say where in the request it lies."""
    try:
        yield
    except RequestError as error:
        error.errors = error.errors or [{"detail": error.message, **place}]
        raise


@contextmanager
def located_below(prefix: str) -> Iterator[None]:
    """Prefix the pointers of a RequestError: its value is part of a larger body."""
    try:
        yield
    except RequestError as error:
        found = error.errors or [{"detail": error.message, "pointer": ""}]
        error.errors = [each | {"pointer": prefix + each.get("pointer", "")} for each in found]
        raise


class MalformedRequest(RequestError):
    code = "malformed_request"
    title = "Malformed request"
    default_hint = "Send one JSON object, UTF-8, with Content-Type: application/json."


class Unauthorized(RequestError):
    """401 with the message of the hosted API, which clients compare."""

    code = "unauthorized"
    status = 401
    title = "Unauthorized"
    default_hint = "Send `Authorization: Bearer <key>`; create a key with `clipengine keys create NAME`."

    def __init__(self, *, hint: str | None = None) -> None:
        super().__init__("Invalid or missing API key", hint=hint)


class InvalidSignature(RequestError):
    """401 for an event whose sender has not proved that it knows the secret of its source."""

    code = "invalid_signature"
    status = 401
    title = "Invalid signature"
    default_hint = "Set the same secret in the sender and in `[ingest]` of the settings, and check both clocks."


class Forbidden(RequestError):
    code = "forbidden"
    status = 403
    title = "Forbidden"
    default_hint = "Use a key with the scope that the message names."


class MethodNotAllowed(RequestError):
    code = "method_not_allowed"
    status = 405
    title = "Method not allowed"
    default_hint = "Use one of the methods that the Allow header lists."


class PayloadTooLarge(RequestError):
    code = "payload_too_large"
    status = 413
    title = "Payload too large"


class UnsupportedContentType(RequestError):
    code = "unsupported_content_type"
    status = 415
    title = "Unsupported content type"
    default_hint = "Send JSON with Content-Type: application/json."


class RangeNotSatisfiable(RequestError):
    code = "range_not_satisfiable"
    status = 416
    title = "Range not satisfiable"
    default_hint = "Request one range that begins within the size given in Content-Range, or no range."


class HeadersTooLarge(RequestError):
    code = "headers_too_large"
    status = 431
    title = "Request headers too large"
    default_hint = "Send a shorter URL and fewer or shorter headers."


class UploadLocked(RequestError):
    """Another request still sends bytes of the upload."""

    code = "upload_locked"
    status = 423
    title = "Upload locked"
    retryable = True
    default_hint = "Wait until the other request has ended, ask for the offset, and continue there."


class ChecksumMismatch(RequestError):
    """The body does not have the checksum that its request states. tus 1.0 defines the status."""

    code = "checksum_mismatch"
    status = 460
    title = "Checksum mismatch"
    retryable = True
    default_hint = "Nothing of this request was stored: send the same bytes again."


class TusVersionUnsupported(RequestError):
    code = "tus_version_unsupported"
    status = 412
    title = "Version of tus not supported"
    default_hint = "Send `Tus-Resumable: 1.0.0`."


class InvalidRequest(RequestError):
    """422. `errors` lists the problems of the body, the query and the headers."""

    code = "invalid_request"
    status = 422
    title = "Invalid request"


class TooManyClips(InvalidRequest):
    code = "too_many_clips"
    title = "Too many clips"
    default_hint = "Give a narrower filter."


class InvalidTimeRange(InvalidRequest):
    code = "invalid_time_range"
    title = "Invalid time range"
    default_hint = "Give 0 <= start_seconds < end_seconds within the recording's duration."


class ClockUnknown(InvalidRequest):
    """A range is given by the time of day, of a recording that has no clock."""

    code = "clock_unknown"
    title = "Clock unknown"
    default_hint = "Set `started_at` of the recording."


class ClockAmbiguous(InvalidRequest):
    code = "clock_ambiguous"
    title = "Clock ambiguous"
    default_hint = "Give start_seconds and end_seconds."


class NothingRecorded(InvalidRequest):
    code = "nothing_recorded"
    title = "Nothing recorded"
    default_hint = "`GET /v1/recordings?series=` lists the recordings of a series."


class InvalidLabel(InvalidRequest):
    code = "invalid_label"
    title = "Invalid label"
    default_hint = "Give a label of 1 to 200 characters without control characters."


class PatternInvalid(InvalidRequest):
    code = "pattern_invalid"
    title = "Pattern invalid"
    default_hint = "Write it like `%Y-%m-%d/%H/{camera}/%M.%S.mp4`."


class InvalidBucketPath(InvalidRequest):
    code = "invalid_bucket_path"
    title = "Invalid bucket path"
    default_hint = "Give the key of an object, relative to the configured prefix."


class InvalidWebhookUrl(InvalidRequest):
    code = "invalid_webhook_url"
    title = "Invalid webhook URL"
    default_hint = (
        "Give an http or https URL of a public address. The operator can allow other addresses with "
        "webhooks.allow_cidrs, except link-local and metadata addresses."
    )


class InvalidRecordingUrl(InvalidRequest):
    """The URL of a recording that is to be fetched, under the address rules of webhooks."""

    code = "invalid_recording_url"
    title = "Invalid recording URL"
    default_hint = InvalidWebhookUrl.default_hint


class UnknownProfile(InvalidRequest):
    code = "unknown_profile"
    title = "Unknown profile"
    default_hint = "Use a profile of the settings; `default` always exists."


class UnknownWatermark(InvalidRequest):
    code = "unknown_watermark"
    title = "Unknown watermark"
    default_hint = "Use a watermark of the settings, a table `[watermarks.NAME]`, or none."


class InvalidTranscript(InvalidRequest):
    code = "invalid_transcript"
    title = "Invalid transcript"
    default_hint = "Correct the cues; each needs 0 <= start < end and a text of at most 2,000 characters."


class IdempotencyKeyReused(InvalidRequest):
    code = "idempotency_key_reused"
    title = "Idempotency key reused"
    default_hint = "Use a new Idempotency-Key for a different request."


_KINDS_OF_IDS = {
    "rec": "recording",
    "clip": "clip",
    "whk": "webhook",
    "dlv": "delivery",
    "key": "key",
    "shr": "share",
    "rul": "rule",
    "user": "user",
    "bat": "batch",
    "evt": "event",
}


class NotFound(RequestError):
    code = "not_found"
    status = 404
    title = "Not found"
    default_hint = "Check the URL; GET the collection to list what exists."
    kind: ClassVar[str] = "object"

    @classmethod
    def of(cls, id: str) -> Self:
        """Return the error for an unknown id. The hint says if its prefix belongs to another kind of object."""
        kind = _KINDS_OF_IDS.get(id.partition("_")[0], cls.kind)
        hint = None if kind == cls.kind else f"This is the id of a {kind}: give that of a {cls.kind}."
        return cls(f"no {cls.kind} has the id {id}", hint=hint)


class RecordingNotFound(NotFound):
    code = "recording_not_found"
    title = "Recording not found"
    kind = "recording"


class ClipNotFound(NotFound):
    code = "clip_not_found"
    title = "Clip not found"
    kind = "clip"


class WebhookNotFound(NotFound):
    code = "webhook_not_found"
    title = "Webhook not found"
    kind = "webhook"


class DeliveryNotFound(NotFound):
    code = "delivery_not_found"
    title = "Delivery not found"
    kind = "delivery"


class ShareNotFound(NotFound):
    code = "share_not_found"
    title = "Share not found"
    kind = "share"


class RuleNotFound(NotFound):
    code = "rule_not_found"
    title = "Rule not found"
    kind = "rule"


class BatchNotFound(NotFound):
    code = "batch_not_found"
    title = "Batch not found"
    kind = "batch"


class KeyNotFound(NotFound):
    code = "key_not_found"
    title = "Key not found"
    kind = "key"
    default_hint = "`clipengine keys list` and GET /v1/keys list the keys and their ids."


class UserNotFound(NotFound):
    code = "user_not_found"
    title = "User not found"
    kind = "user"


class TranscriptNotFound(NotFound):
    code = "transcript_not_found"
    title = "Transcript not found"
    default_hint = "GET the recording's transcripts to list their languages."


class UploadNotFound(NotFound):
    code = "upload_not_found"
    title = "Upload not found"
    default_hint = "Begin another upload: this one has ended, has expired, or never existed."


class ObjectNotFound(NotFound):
    """The request names an object that the store does not have."""

    code = "object_not_found"
    title = "Object not found"
    default_hint = "Upload the recording first, or correct bucket_path."


class Conflict(RequestError):
    code = "conflict"
    status = 409
    title = "Conflict"


class RecordingNotComplete(Conflict):
    code = "recording_not_complete"
    title = "Recording not complete"
    retryable = True
    default_hint = "Wait until it has been probed: GET the recording with ?wait=30, which returns then."

    @classmethod
    def of(cls, recording_id: str, state: str, error: Mapping[str, Any] | None) -> RecordingNotComplete:
        """Return the error for a recording that is `processing`, or has failed with this `error` object."""
        if error is None:
            hint = f"Wait until it has been probed: GET /v1/recordings/{recording_id}?wait=30 returns then."
            return cls(f"The recording's status is `{state}`", hint=hint)
        message = f"The recording has failed: {error['message']} ({error['code']})"
        return RecordingFailed(message, hint=f"{error['hint']} Then register the recording again.")


class RecordingFailed(RecordingNotComplete):
    """The recording could not be read, and never will be under this id."""

    retryable = False


class RecordingHasPieces(Conflict):
    code = "recording_has_pieces"
    title = "Recording has several files"
    default_hint = "Cut a clip of the range that you need, or fetch the files from the store."


class RecordingBusy(Conflict):
    code = "recording_busy"
    title = "Recording busy"
    default_hint = "Wait for its clips to end, or cancel them first."


class ClipEnded(Conflict):
    code = "clip_ended"
    title = "Clip already ended"
    default_hint = "Only a clip that is queued or running can be cancelled."


class BatchEnded(Conflict):
    code = "batch_ended"
    title = "Batch already ended"
    default_hint = "Only a batch that is `making` can be cancelled."


class SelectionChanged(Conflict):
    """The clips that match a filter are not those of its dry run."""

    code = "selection_changed"
    title = "Selection changed"
    default_hint = "Repeat the dry run."


class TranscriptionEnded(Conflict):
    code = "transcription_ended"
    title = "Transcription already ended"
    default_hint = "Only a transcription that is queued or running can be cancelled."


class TranscriptionOff(Conflict):
    """The settings name no transcriber, or not the requested one."""

    code = "transcription_off"
    title = "Transcription is not configured"
    default_hint = "The operator sets transcription.model_folder or transcription.url; or upload a transcript."


class TranscriptExists(Conflict):
    """The recording has a transcript that a made one does not replace."""

    code = "transcript_exists"
    title = "Transcript exists"
    default_hint = (
        "Use it, or delete it first: a transcript that was uploaded or came with a recording is not replaced."
    )


class ClipNotFailed(Conflict):
    code = "clip_not_failed"
    title = "Clip has not failed"
    default_hint = "Only a failed clip can be retried."


class ClipNotComplete(Conflict):
    code = "clip_not_complete"
    title = "Clip not complete"
    default_hint = "Wait until the clip's status is `complete`: GET it with ?wait=30."

    @classmethod
    def of(cls, clip_id: str, *, ended: bool) -> ClipNotComplete:
        """Return the error for a clip that is `processing` or has failed (`ended`), with a hint for that status."""
        if not ended:
            return cls("The clip's status is `processing`")
        hint = f"Its `error` says why. Correct that, then POST /v1/clips/{clip_id}/retry."
        return cls("The clip's status is `failed`", hint=hint)


class UploadOffsetConflict(Conflict):
    code = "upload_offset_conflict"
    title = "Upload offset differs"
    default_hint = "Ask for the offset with HEAD, and continue there."


class UploadNotDirect(Conflict):
    code = "upload_not_direct"
    title = "Upload goes through the server"
    default_hint = "Send the bytes with PATCH, from the offset on."


class UploadAssembling(Conflict):
    """All bytes of the upload are in the store, which makes one object of them."""

    code = "upload_assembling"
    title = "Upload is being assembled"
    retryable = True
    default_hint = "GET the upload until it has a `recording_id`."


class RequestInProgress(Conflict):
    code = "request_in_progress"
    title = "Request in progress"
    retryable = True
    default_hint = "The first request with this Idempotency-Key is still running; send it again in a second."


class SegmentsChanged(RequestError):
    code = "segments_changed"
    status = 412
    title = "Segments changed"
    default_hint = "GET the list again, merge your changes, and send it with its ETag; `If-Match: *` replaces any list."


class TranscriptChanged(RequestError):
    code = "transcript_changed"
    status = 412
    title = "Transcript changed"
    default_hint = "GET the transcript again, merge your changes, and send it with its ETag."


class PreconditionMissing(RequestError):
    code = "precondition_missing"
    status = 428
    title = "Precondition missing"
    default_hint = "GET the list first and send its ETag as If-Match; `If-Match: *` replaces any list."


class Busy(RequestError):
    """503 or 429 with Retry-After, in whole seconds."""

    code = "busy"
    status = 503
    title = "Busy"
    retryable = True
    default_hint = "Send the same request again after the time in Retry-After."

    def __init__(self, message: str, *, retry_after: int = 5, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class QueueFull(Busy):
    code = "queue_full"
    title = "Queue full"


class DiskLow(Busy):
    code = "disk_low"
    title = "Disk low"
    default_hint = "Free space on the disk of the data folder, then send the request again."


class RateLimited(Busy):
    code = "rate_limited"
    status = 429
    title = "Too many requests"


# ---- the recording --------------------------------------------------------------------------------------------


class RecordingError(ClipEngineError):
    code = "recording_unreadable"
    fault = "recording"
    status = 422
    title = "Recording cannot be used"


class RecordingMissing(RecordingError):
    code = "recording_missing"
    title = "Recording missing"
    default_hint = "The object is no longer in the store: put it back, then try again."


class FetchFailed(RecordingError):
    """The URL of a recording cannot be fetched, and another attempt would not help."""

    code = "fetch_failed"
    title = "Recording cannot be fetched"
    default_hint = "Open the URL without signing in: it must return the media file itself, from a public address."


class FetchInterrupted(RecordingError):
    """The URL of a recording cannot be fetched now. It is retried until fetch.seconds have passed."""

    code = "fetch_interrupted"
    retryable = True
    title = "Fetch interrupted"
    default_hint = "Check that the host of the URL is up and reachable from this machine, then register the URL again."


class RecordingChanged(RecordingError):
    code = "recording_changed"
    title = "Recording changed"
    default_hint = (
        "Register it again to cut from the new content (delete the recording of a playlist or a folder first), "
        "or put the original back."
    )


class RecordingClosing(RecordingChanged):
    """A program closes the file of a recording that is still written, which is read as a whole afterwards."""

    retryable = True


class RecordingUnreadable(RecordingError):
    code = "recording_unreadable"
    title = "Recording unreadable"
    default_hint = "Check that the object is a complete media file: play it from the store."


class RecordingTruncated(RecordingError):
    code = "recording_truncated"
    title = "Recording truncated"
    default_hint = "The file is incomplete or its index is damaged: upload it again."


class RecordingEncrypted(RecordingError):
    code = "recording_encrypted"
    title = "Recording encrypted"
    default_hint = "Decrypt the recording, or store it without digital rights management."


class NoMediaInRange(RecordingError):
    code = "no_media_in_range"
    title = "No media in range"
    default_hint = "Choose a range in which the recording has video or audio."


class UnsupportedMedia(RecordingError):
    code = "unsupported_media"
    title = "Unsupported media"
    default_hint = (
        "Convert the recording to MP4, MOV, Matroska, WebM, MPEG-TS, AVI, FLV, ASF, MXF, Ogg, GIF, APNG or an audio "
        "file with a supported codec; the documentation lists all of them under Recordings."
    )
    TOO_LARGE: ClassVar[str] = "the clip is larger than its uncompressed frames"

    @classmethod
    def out_of_memory(cls) -> UnsupportedMedia:
        """Return the error for a clip that exceeds its memory limit in the decoder, the encoder or the engine."""
        return cls(
            "the recording needs more memory than a clip may use",
            hint="Raise encoding.memory_mb, lower encoding.threads_per_clip, or use a profile with a lower resolution.",
        )


class DecoderCrashed(RecordingError):
    code = "decoder_crashed"
    title = "Decoder crashed"
    default_hint = "The recording crashes its decoder: it is damaged or hostile. Check its origin."


class PlaylistInvalid(RecordingError):
    code = "playlist_invalid"
    title = "Playlist invalid"
    default_hint = "Check the playlist with the program that wrote it, and write it again."


class PlaylistUnsupported(RecordingError):
    code = "playlist_unsupported"
    title = "Playlist unsupported"
    default_hint = "Write a plain media playlist: without variables, skipped segments and I-frames only."


class PlaylistOutside(RecordingError):
    code = "playlist_outside"
    title = "Playlist names objects elsewhere"
    default_hint = "Name the segments by relative paths in the folder of the playlist, and store them there."


class RecordingNotReady(RecordingError):
    code = "recording_not_ready"
    retryable = True
    title = "Recording not ready"
    default_hint = "Register it with live, which also ends it if its producer is gone, or append #EXT-X-ENDLIST."


class NotRecordedYet(RecordingError):
    """The recording is still written, and has not reached the range."""

    code = "not_recorded_yet"
    retryable = True
    title = "Not recorded yet"
    default_hint = "Ask again later: what is shown, planned or cut must be recorded."

    @classmethod
    def of(cls, end_seconds: float, *, hint: str | None = None) -> NotRecordedYet:
        return cls(f"the recording is still written, and has not reached {end_seconds:g} s yet", hint=hint)


class PieceMissing(RecordingError):
    """A file that the recording consisted of when it was probed is no longer in the store."""

    code = "piece_missing"
    title = "Piece missing"
    default_hint = (
        "Put the file back, or delete the recording and register its playlist again: what is missing is then a gap."
    )


class TooManyPieces(RecordingError):
    code = "too_many_pieces"
    title = "Too many pieces"
    default_hint = "Cut a shorter range, or record in longer segments."


# ---- the store and the disk -----------------------------------------------------------------------------------


class StorageError(ClipEngineError):
    code = "storage_unavailable"
    fault = "storage"
    status = 503
    title = "Storage unavailable"
    retryable = True
    default_hint = "Check that the store is running and reachable from this machine; the engine retries automatically."


class StorageDenied(StorageError):
    code = "storage_denied"
    status = 502
    title = "Storage denied"
    retryable = False
    default_hint = "Check the access key, its permissions on the bucket, the bucket's name and this machine's clock."


class StorageUnavailable(StorageError):
    code = "storage_unavailable"


class DiskFull(StorageError):
    code = "disk_full"
    status = 507
    title = "Disk full"
    default_hint = "Free space on the disk of the data folder, then try again."


class ObjectMissing(StorageError):
    """The store has no object with this key. Callers translate it, for example to RecordingMissing."""

    code = "object_missing"
    status = 404
    title = "Object missing"
    retryable = False
    default_hint = "Check the key and the prefix."


class ObjectChanged(StorageError):
    """The object's ETag is not the expected one."""

    code = "object_changed"
    status = 409
    title = "Object changed"
    retryable = False
    default_hint = "Read it again from the start."


class ObjectClosed(ObjectChanged):
    """The object is no longer the file that grew: a program has closed, replaced or shortened it."""


# ---- this engine ----------------------------------------------------------------------------------------------


class EngineError(ClipEngineError):
    code = "internal"


class EncoderFailed(EngineError):
    code = "encoder_failed"
    title = "Encoder failed"
    default_hint = "Check the profile's settings; the log has the encoder's message."


class SizeUnreachable(EngineError):
    code = "size_unreachable"
    status = 422
    title = "Size unreachable"
    default_hint = (
        "Give a larger max_bytes, a lower max_height or fps, a shorter range, "
        "or a profile with a lower audio_bitrate, one audio track or no audio."
    )


class FontsMissing(EngineError):
    code = "fonts_missing"
    status = 422
    title = "Fonts missing"
    default_hint = (
        "Install fonts for the script of the subtitles on the machines of the engine, such as Debian's fonts-noto-core "
        "and fonts-noto-cjk, or name their folder in encoding.font_folders; then retry the clip."
    )


class LimitTooLow(EngineError):
    """A resource limit with which the engine was started (`ulimit`) is lower than the job needs."""

    code = "limit_too_low"
    title = "Resource limit too low"
    default_hint = (
        "Raise the limit that the message names where the engine is started, with `ulimit` in a shell or `Limit…=` in "
        "a systemd unit; then try again."
    )


class VerificationFailed(EngineError):
    code = "verification_failed"
    title = "Verification failed"
    retryable = True
    default_hint = "The clip did not match its plan and was not published. Retry it; report the error if it recurs."


class ClipDiffers(VerificationFailed):
    """The file is intact but not the planned one. The request and the recording decide it: a retry gives the same."""

    retryable = False
    default_hint = "The clip did not match its plan and was not published. Change its options; report the error."


class TranscriberFailed(EngineError):
    """The transcriber cannot transcribe the audio, or its answer is invalid; another attempt would not help."""

    code = "transcriber_failed"
    title = "Transcription failed"
    default_hint = "Check transcription.* in the settings, and the log of the transcription server if one is used."


class TranscriberUnavailable(EngineError):
    """The transcriber cannot be used now. It is retried for about two hours."""

    code = "transcriber_unavailable"
    retryable = True
    title = "Transcriber unavailable"
    default_hint = "Check that the server of transcription.url is up and reachable, then transcribe again."


class SuggestionsUnavailable(EngineError):
    """The server of `suggestions.url` cannot be used, or its answer is invalid."""

    code = "suggestions_unavailable"
    status = 502
    retryable = True
    title = "Suggestions unavailable"
    default_hint = "Check suggestions.* in the settings, and the server; `source=local` needs none."


class DecoderKilled(EngineError):
    """The maker child was killed from outside: by the kernel for lack of memory, or manually."""

    code = "decoder_killed"
    title = "Decoder killed"
    retryable = True
    default_hint = (
        "The machine was probably out of memory; its kernel log shows this (journalctl -k). "
        "Lower encoding.workers or encoding.threads_per_clip, or add memory, then retry."
    )


class Timeout(EngineError):
    """If `suspended`, the process did not run at all, as after SIGSTOP: another attempt may succeed at once."""

    suspended = False
    code = "timeout"
    title = "Timeout"
    retryable = True
    default_hint = "The deadline expired. Try again when the machine or the store is less busy."

    def __init__(self, message: str, *, hint: str | None = None, suspended: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.suspended = suspended


class Cancelled(EngineError):
    code = "cancelled"
    title = "Cancelled"
    retryable = True
    default_hint = "Retry the clip if it is still needed."


class Internal(EngineError):
    code = "internal"
    retryable = True


class DecoderNotStarted(Internal):
    """A child ended before it was ready for its job, so that the recording is not the cause. It is retried."""

    default_hint = (
        "The files of the engine are incomplete, as while an upgrade replaces them. "
        "Install clipengine again if needed, and restart the engine; its log has the message of the process."
    )


# ---- starting -------------------------------------------------------------------------------------------------


class StartupError(ClipEngineError):
    code = "startup_failed"
    title = "Cannot start"
    default_hint = "Correct the problem that the message names and run the command again."


class SettingsError(StartupError):
    code = "invalid_settings"
    default_hint = "Correct the setting that the message names; clipengine.toml documents all settings."


class SandboxIncomplete(StartupError):
    code = "sandbox_incomplete"
    default_hint = 'Use a kernel and a container runtime that support it, or set encoding.sandbox = "auto".'


class DataFolderInUse(StartupError):
    code = "data_folder_in_use"
    default_hint = "Stop the other process, or choose another folder with --data."


class SchemaTooNew(StartupError):
    code = "schema_too_new"
    default_hint = "Install the version of clipengine that last used this data folder, or a newer one."


class SecretsKeyLost(StartupError):
    """The webhook secrets in the ledger cannot be decrypted: the key file is missing or different."""

    code = "secrets_key_lost"
    default_hint = (
        "Restore secrets.key from a backup of the data folder. If there is none, `clipengine reset-secrets` creates "
        "a new one and disables the webhooks of the API until each gets a new secret."
    )


class LedgerBusy(StartupError):
    """Another engine holds the lock of the ledger for long, as during a migration."""


class BackupUnusable(StartupError):
    code = "backup_unusable"
    default_hint = "Use another backup; the data folder was not changed."


def _tree(cls: type[ClipEngineError]) -> list[type[ClipEngineError]]:
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in _tree(sub))]


def by_code(code: str) -> type[ClipEngineError]:
    """Return the most specific class that defines a code, or `Internal` if the code is unknown."""
    found = [cls for cls in _tree(ClipEngineError) if vars(cls).get("code") == code]
    return found[-1] if found else Internal
