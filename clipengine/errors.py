"""The error tree: every failure that a caller, an operator or a webhook can meet, with its stable code.

ClipEngineError
├── RequestError            the caller must change the request (fault "request")
│   ├── MalformedRequest, Unauthorized, Forbidden, MethodNotAllowed, PayloadTooLarge, UnsupportedContentType,
│   │   RangeNotSatisfiable, HeadersTooLarge
│   ├── InvalidRequest      422 with every fault in `errors`
│   │   └── InvalidTimeRange, InvalidLabel, InvalidBucketPath, InvalidWebhookUrl, UnknownProfile,
│   │       IdempotencyKeyReused
│   ├── NotFound            RecordingNotFound, ClipNotFound, WebhookNotFound, DeliveryNotFound, ObjectNotFound
│   ├── Conflict            RecordingNotComplete, RecordingBusy, ClipEnded, ClipNotFailed, ClipNotComplete,
│   │                       RequestInProgress
│   └── Busy                QueueFull, DiskLow, RateLimited: the same request succeeds later
├── RecordingError          the recording is at fault (fault "recording")
│   └── RecordingMissing, RecordingChanged, RecordingUnreadable, RecordingTruncated, NoMediaInRange,
│       UnsupportedMedia, DecoderCrashed
├── StorageError            the store or the disk is at fault (fault "storage")
│   └── StorageDenied, StorageUnavailable, DiskFull, ObjectMissing, ObjectChanged
├── EngineError             this engine is at fault (fault "engine")
│   └── EncoderFailed, VerificationFailed, DecoderKilled, Timeout, Cancelled, Internal
└── StartupError            `serve` or a command cannot start: SettingsError, DataFolderInUse, SchemaTooNew,
                            SecretsKeyLost, BackupUnusable, SandboxIncomplete

A clip's `error` and a problem document carry the same `code`. `retryable` says whether the same request, unchanged,
may succeed later; `hint` says who has to do what. Codes never change meaning; new ones may be added.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Fault = Literal["request", "recording", "storage", "engine"]


class ClipEngineError(Exception):
    """Base of all. `message` says what happened, `hint` what to do; both are safe to show to a caller."""

    code: ClassVar[str] = "internal"
    fault: ClassVar[Fault] = "engine"
    retryable: ClassVar[bool] = False
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    default_hint: ClassVar[str] = "Look up the log entry of this time on the server."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.default_hint

    def to_object(self) -> dict[str, Any]:
        """The `error` object of a clip or a recording: `{code, message, hint, retryable}`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "retryable": self.retryable}


# ---- the caller's request -------------------------------------------------------------------------------------


class RequestError(ClipEngineError):
    """`errors` lists what is at fault: `detail`, where (`pointer` into the body, or `parameter` or `header` by name),

    and `code` and `hint` where they are not the error's own.
    """

    code = "bad_request"
    fault = "request"
    status = 400
    title = "Bad request"
    default_hint = "Correct the request and send it again."

    def __init__(self, message: str, *, errors: list[dict[str, str]] | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.errors = errors or []


class MalformedRequest(RequestError):
    code = "malformed_request"
    title = "Malformed request"
    default_hint = "Send one JSON object, UTF-8, with Content-Type: application/json."


class Unauthorized(RequestError):
    """401. The message is fixed by the hosted API: clients compare it."""

    code = "unauthorized"
    status = 401
    title = "Unauthorized"
    default_hint = "Send `Authorization: Bearer <key>`; make a key with `clipengine keys create NAME`."

    def __init__(self) -> None:
        super().__init__("Invalid or missing API key")


class Forbidden(RequestError):
    code = "forbidden"
    status = 403
    title = "Forbidden"
    default_hint = "Use a key that has the scope which the message names."


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
    default_hint = "Ask for one range that begins within the size that Content-Range names, or for the whole."


class HeadersTooLarge(RequestError):
    code = "headers_too_large"
    status = 431
    title = "Request headers too large"
    default_hint = "Send a shorter address and fewer or shorter headers."


class InvalidRequest(RequestError):
    """422. `errors` lists every fault at once."""

    code = "invalid_request"
    status = 422
    title = "Invalid request"


class InvalidTimeRange(InvalidRequest):
    code = "invalid_time_range"
    title = "Invalid time range"
    default_hint = "Give 0 <= start_seconds < end_seconds within the recording's duration."


class InvalidLabel(InvalidRequest):
    code = "invalid_label"
    title = "Invalid label"
    default_hint = "Give a label of 1 to 200 characters without control characters."


class InvalidBucketPath(InvalidRequest):
    code = "invalid_bucket_path"
    title = "Invalid bucket path"
    default_hint = "Give the key of an object as it stands in the store, relative to the configured prefix."


class InvalidWebhookUrl(InvalidRequest):
    code = "invalid_webhook_url"
    title = "Invalid webhook URL"
    default_hint = (
        "Give an http or https URL of a public address; the operator allows others with webhooks.allow_cidrs, "
        "link-local and metadata addresses excepted."
    )


class UnknownProfile(InvalidRequest):
    code = "unknown_profile"
    title = "Unknown profile"
    default_hint = "Name a profile of the settings; `default` always exists."


class IdempotencyKeyReused(InvalidRequest):
    code = "idempotency_key_reused"
    title = "Idempotency key reused"
    default_hint = "Use a new Idempotency-Key for a different request."


class NotFound(RequestError):
    code = "not_found"
    status = 404
    title = "Not found"
    default_hint = "Check the address; list what exists with the collection's GET."


class RecordingNotFound(NotFound):
    code = "recording_not_found"
    title = "Recording not found"


class ClipNotFound(NotFound):
    code = "clip_not_found"
    title = "Clip not found"


class WebhookNotFound(NotFound):
    code = "webhook_not_found"
    title = "Webhook not found"


class DeliveryNotFound(NotFound):
    code = "delivery_not_found"
    title = "Delivery not found"


class ObjectNotFound(NotFound):
    """A caller names an object that the store does not hold."""

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
    default_hint = "Wait until it has been read: GET /v1/recordings/{recording_id}?wait=30 answers then."

    @classmethod
    def of(cls, recording_id: str, state: str) -> RecordingNotComplete:
        """For a recording that is `processing` or has `failed`, with what to do about it."""
        hint = cls.default_hint.format(recording_id=recording_id)
        if state == "failed":
            hint = "It could not be read: its `error` says why. Register it again once that is put right."
        return cls(f"The recording's status is `{state}`", hint=hint)


class RecordingBusy(Conflict):
    code = "recording_busy"
    title = "Recording busy"
    default_hint = "Wait for its clips to end, or cancel them first."


class ClipEnded(Conflict):
    code = "clip_ended"
    title = "Clip already ended"
    default_hint = "Only a clip that is queued or running can be cancelled."


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
        """For a clip that is `processing`, or has `ended` without being complete, with what to do about it."""
        if not ended:
            return cls("The clip's status is `processing`")
        hint = f"Its `error` says why. POST /v1/clips/{clip_id}/retry queues it again once that is put right."
        return cls("The clip's status is `failed`", hint=hint)


class RequestInProgress(Conflict):
    code = "request_in_progress"
    title = "Request in progress"
    retryable = True
    default_hint = "The first request with this Idempotency-Key still runs; send it again in a second."


class Busy(RequestError):
    """503 or 429 with Retry-After: `retry_after` in whole seconds."""

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
    default_hint = "Free space on the disk of the data folder; the same request succeeds then."


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


class RecordingChanged(RecordingError):
    code = "recording_changed"
    title = "Recording changed"
    default_hint = "The object was replaced after it was registered: register it again."


class RecordingUnreadable(RecordingError):
    code = "recording_unreadable"
    title = "Recording unreadable"
    default_hint = "Check that the object is a whole media file: play it from the store."


class RecordingTruncated(RecordingError):
    code = "recording_truncated"
    title = "Recording truncated"
    default_hint = "It was cut off, in an upload or a copy, or its index is damaged: upload it again, whole."


class NoMediaInRange(RecordingError):
    code = "no_media_in_range"
    title = "No media in range"
    default_hint = "Choose a range in which the recording has picture or sound."


class UnsupportedMedia(RecordingError):
    code = "unsupported_media"
    title = "Unsupported media"
    default_hint = "Convert the recording to a supported format and codec; the documents list them."

    @classmethod
    def out_of_memory(cls) -> UnsupportedMedia:
        """For a clip that needs more memory than one may use, whoever met the limit: decoder, encoder or engine."""
        return cls(
            "the recording needs more memory than a clip may use",
            hint="Raise encoding.memory_mb, lower encoding.threads_per_clip, or use a profile of smaller pictures.",
        )


class DecoderCrashed(RecordingError):
    code = "decoder_crashed"
    title = "Decoder crashed"
    default_hint = "The recording kills its decoder: it is damaged or hostile. Check where it came from."


# ---- the store and the disk -----------------------------------------------------------------------------------


class StorageError(ClipEngineError):
    code = "storage_unavailable"
    fault = "storage"
    status = 503
    title = "Storage unavailable"
    retryable = True
    default_hint = "Check that the store runs and can be reached from this machine; the engine goes on by itself."


class StorageDenied(StorageError):
    code = "storage_denied"
    status = 502
    title = "Storage denied"
    retryable = False
    default_hint = "Check the access key, its rights on the bucket, the bucket's name and this machine's clock."


class StorageUnavailable(StorageError):
    code = "storage_unavailable"


class DiskFull(StorageError):
    code = "disk_full"
    status = 507
    title = "Disk full"
    default_hint = "Free space on the disk of the data folder, then try again."


class ObjectMissing(StorageError):
    """The store has no object of this key. Whoever asked turns it into what it means to the caller."""

    code = "object_missing"
    status = 404
    title = "Object missing"
    retryable = False
    default_hint = "Check the key and the prefix."


class ObjectChanged(StorageError):
    """The object's ETag is no longer the one that was pinned."""

    code = "object_changed"
    status = 409
    title = "Object changed"
    retryable = False
    default_hint = "Read it again from its start."


# ---- this engine ----------------------------------------------------------------------------------------------


class EngineError(ClipEngineError):
    code = "internal"


class EncoderFailed(EngineError):
    code = "encoder_failed"
    title = "Encoder failed"
    default_hint = "Check the profile's settings; the log has the encoder's own words."


class VerificationFailed(EngineError):
    code = "verification_failed"
    title = "Verification failed"
    retryable = True
    default_hint = (
        "The clip that was made is not the one that was planned; nothing was published. Retry, then report it."
    )


class DecoderKilled(EngineError):
    """The encoder child was killed by somebody else than this engine: the kernel, for want of memory, or by hand."""

    code = "decoder_killed"
    title = "Decoder killed"
    retryable = True
    default_hint = (
        "The machine was most likely out of memory: its kernel log says so (journalctl -k). "
        "Lower encoding.workers or encoding.memory_mb, or give it more memory; then retry."
    )


class Timeout(EngineError):
    code = "timeout"
    title = "Timeout"
    retryable = True
    default_hint = "It took longer than its deadline. Try again when the machine or the store is less busy."


class Cancelled(EngineError):
    code = "cancelled"
    title = "Cancelled"
    retryable = True
    default_hint = "Retry the clip if it is wanted after all."


class Internal(EngineError):
    code = "internal"
    retryable = True


# ---- starting -------------------------------------------------------------------------------------------------


class StartupError(ClipEngineError):
    code = "startup_failed"
    title = "Cannot start"
    default_hint = "Put right what the message names, and run the command again."


class SettingsError(StartupError):
    code = "invalid_settings"
    default_hint = "Correct the setting that the message names; clipengine.toml documents all of them."


class SandboxIncomplete(StartupError):
    code = "sandbox_incomplete"
    default_hint = 'Use a kernel (and a container runtime) that has what is missing, or set encoding.sandbox = "auto".'


class DataFolderInUse(StartupError):
    code = "data_folder_in_use"
    default_hint = "Stop the other process, or give this one another folder with --data."


class SchemaTooNew(StartupError):
    code = "schema_too_new"
    default_hint = "Install the version of clipengine that last used this data folder, or a newer one."


class SecretsKeyLost(StartupError):
    """The ledger's webhook secrets cannot be read: their key file is gone, or is another one."""

    code = "secrets_key_lost"
    default_hint = (
        "Put secrets.key back from a backup of the data folder. Where there is none, `clipengine reset-secrets` makes "
        "a new one and disables the webhooks of the API until each gets a new secret."
    )


class BackupUnusable(StartupError):
    code = "backup_unusable"
    default_hint = "Use another backup; nothing in the data folder was changed."


def _tree(cls: type[ClipEngineError]) -> list[type[ClipEngineError]]:
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in _tree(sub))]


def by_code(code: str) -> type[ClipEngineError]:
    """The most specific class of a code, `Internal` where the code is unknown (an error that crossed a process)."""
    found = [cls for cls in _tree(ClipEngineError) if cls.code == code]
    return found[-1] if found else Internal
