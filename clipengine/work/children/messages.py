"""Messages from a child process to its parent, validated field by field.

The recording may have taken over the child. `media.worker.ipc` limits the size of its messages; the models here limit
their contents. An invalid message ends the child.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from clipengine.clips.clip import Step
from clipengine.errors import (
    DiskFull,
    EncoderFailed,
    FontsMissing,
    Internal,
    RecordingError,
    SizeUnreachable,
    VerificationFailed,
    by_code,
)
from clipengine.media.worker.ipc import MAX_RANGE_BYTES, InvalidMessage

_MAX_LAYERS = 16
# The errors that a child may report. Others, such as `storage_unavailable`, would make the engine retry for a day.
_REPORTED = (RecordingError, EncoderFailed, FontsMissing, SizeUnreachable, VerificationFailed, DiskFull, Internal)
# A valid child sends at most five reports and one sign of life per second, and one report for each step.
MESSAGES_AT_ONCE, MESSAGES_PER_SECOND = 100, 20

M = TypeVar("M")


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class _Layer(_Message):
    name: Annotated[str, Field(max_length=40)]
    holds: bool
    detail: Annotated[str, Field(max_length=500)]


class Ready(_Message):
    """The sandbox is in place. Sent once, before the job."""

    type: Literal["ready"]
    layers: Annotated[list[_Layer], Field(max_length=_MAX_LAYERS)]


class Alive(_Message):
    """The child is still reading the recording."""

    type: Literal["alive"]


class Progress(_Message):
    """The child's step, and the part of the clip that is encoded."""

    type: Literal["progress"]
    step: Step
    part: float


class _Error(_Message):
    code: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=8192)]
    hint: Annotated[str, Field(max_length=8192)] | None
    retryable: bool


class Failure(_Message):
    """The job ended with this error. `trace` is for the log."""

    type: Literal["error"]
    error: _Error
    trace: Annotated[str, Field(max_length=4096)] = ""

    @property
    def is_allowed(self) -> bool:
        """True if a child may report such an error."""
        return issubclass(by_code(self.error.code), _REPORTED)


class Result(_Message):
    """The job is done. The fields depend on the job; the caller of `Child.run` validates them."""

    model_config = ConfigDict(extra="allow")

    type: Literal["result"]


class RangeRequest(_Message):
    """A request for a range of bytes of the recording number `source`. `keep`: other jobs will need it too."""

    source: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    length: Annotated[int, Field(gt=0, le=MAX_RANGE_BYTES)]
    keep: bool


ChildMessage = Ready | Alive | Progress | Failure | Result
_MESSAGES: TypeAdapter[ChildMessage] = TypeAdapter(Annotated[ChildMessage, Field(discriminator="type")])
_RANGE_REQUESTS = TypeAdapter(RangeRequest)


def parse_message(message: dict[str, Any], blob: bytes) -> ChildMessage:
    """Validate a message of the control socket. Raises InvalidMessage."""
    parsed = _parse(_MESSAGES, message)
    if blob and not isinstance(parsed, Result):
        raise InvalidMessage("only a result may have data")
    return parsed


def parse_range_request(message: dict[str, Any], sizes: Sequence[int]) -> RangeRequest:
    """Validate a range request for one of the recordings with these `sizes` in bytes. Raises InvalidMessage."""
    request = _parse(_RANGE_REQUESTS, message)
    if request.source >= len(sizes):
        raise InvalidMessage(f"the range is of recording {request.source}, the job has {len(sizes)}")
    if request.offset >= sizes[request.source]:
        raise InvalidMessage("the range begins after the end of the recording")
    return request


def _parse(adapter: TypeAdapter[M], message: dict[str, Any]) -> M:
    try:
        return adapter.validate_python(message)
    except ValidationError as error:
        detail = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part)[:40] for part in detail["loc"][:4]) or "type"
        raise InvalidMessage(f"{where}: {detail['msg'][:100]}") from None
