"""Objects of the API as the client returns them. Unknown keys are ignored, but available in `raw`.

Times are RFC 3339 strings in UTC; seconds are floats on the recording's timeline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar

from clipengine.basis.moments import microseconds_of
from clipengine.client.errors import JobFailed
from clipengine.objects.audit import AuditEntryObject as AuditEntry
from clipengine.objects.base import ApiObject, Object
from clipengine.objects.batch import BatchObject as Batch
from clipengine.objects.batch import SelectionObject as Selection
from clipengine.objects.clip import ClipObject
from clipengine.objects.clip import ClipPlanObject as ClipPlan
from clipengine.objects.clip import ErrorObject as ClipError
from clipengine.objects.key import NewKeyObject as ApiKey
from clipengine.objects.preview import CaptionsObject as Captions
from clipengine.objects.preview import FramesObject as Frames
from clipengine.objects.preview import FramingObject as Framing
from clipengine.objects.preview import NextMomentObject as NextMoment
from clipengine.objects.preview import ProxyObject as Proxy
from clipengine.objects.preview import RangesObject as Ranges
from clipengine.objects.preview import SuggestionsObject as Suggestions
from clipengine.objects.preview import WaveformObject as Waveform
from clipengine.objects.profile import ProfileObject as Profile
from clipengine.objects.profile import WatermarkObject as Watermark
from clipengine.objects.recording import ListedPiecesObject as ListedPieces
from clipengine.objects.recording import RecordingObject
from clipengine.objects.rule import RuleObject as Rule
from clipengine.objects.rule import TriedRuleObject as TriedRule
from clipengine.objects.segments import SegmentsObject as Segments
from clipengine.objects.share import ListedShareObject as ListedShare
from clipengine.objects.share import NewShareObject as Share
from clipengine.objects.share import SharedLinkObject as SharedLink
from clipengine.objects.transcript import SearchHitObject as SearchHit
from clipengine.objects.transcript import TranscriptionObject as Transcription
from clipengine.objects.transcript import TranscriptObject as Transcript
from clipengine.objects.user import MeObject as Me
from clipengine.objects.user import SessionObject as Session
from clipengine.objects.user import UserObject as User
from clipengine.objects.webhook import DeliveryPayloadObject as Delivery
from clipengine.objects.webhook import NewWebhookObject as Webhook

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Batch",
    "Captions",
    "ClipData",
    "ClipError",
    "ClipPlan",
    "Cue",
    "Delivery",
    "Frames",
    "Framing",
    "ListedPieces",
    "ListedShare",
    "Me",
    "NextMoment",
    "Object",
    "Page",
    "Profile",
    "Proxy",
    "Ranges",
    "RecordingData",
    "Rule",
    "SearchHit",
    "Segments",
    "Selection",
    "Session",
    "Share",
    "SharedLink",
    "Suggestions",
    "Transcript",
    "Transcription",
    "TriedRule",
    "User",
    "Watermark",
    "Waveform",
    "Webhook",
    "format_time",
]

T = TypeVar("T")


def format_time(time: str | datetime | None) -> str | None:
    """Return a timezone-aware `datetime` as an RFC 3339 string. Strings and None are returned unchanged."""
    if not isinstance(time, datetime):
        return time
    if time.tzinfo is None:
        raise ValueError("the datetime has no time zone: use datetime.now(UTC) instead of datetime.now()")
    microseconds_of(time)  # raises ValueError before 1970 and after 2199
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Job:
    """Common base of clips and recordings."""

    error: ClipError | None

    def raise_for_error(self) -> Self:
        """Return self. Raises JobFailed with the error's code and hint if it failed."""
        if self.error is not None:
            error = self.error
            raise JobFailed(error.code, error.message, error.hint, retryable=error.retryable)
        return self


class ClipData(_Job, ClipObject):
    """A clip. `status` is `processing`, `complete` (with `result`) or `failed` (with `error`)."""


class RecordingData(_Job, RecordingObject):
    """A recording. `status` is `processing` while it is probed, then `complete` (with `media`) or `failed`."""


@dataclass(frozen=True)
class Cue(ApiObject):
    """A text of a transcript and its time."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None
    words: list[list[Any]] = field(default_factory=list)
    """Start, end and text of each word, if they are known."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list. Pass `next_cursor` as `cursor` for the next page; it is None at the end."""

    data: list[T]
    next_cursor: str | None = None

    @classmethod
    def of(cls, answer: Object, make: Callable[[Object], T]) -> Page[T]:
        return Page([make(each) for each in answer["data"]], answer.get("next_cursor"))
