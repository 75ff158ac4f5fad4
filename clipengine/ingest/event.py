"""Values that all sources share: a request, the recordings it announces, and the store that these must be in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from clipengine.basis.moments import OutsideBounds, check_moment, note_left_out, parse_moment, rfc3339
from clipengine.errors import InvalidRequest
from clipengine.recordings.markers import Marker

# Why an announced object is not registered. `other_bucket` includes objects outside of the store's prefix.
Reason = Literal["other_bucket", "own_object", "not_media", "missing", "failed", "other_event", "piece", "not_ended"]

OUTSIDE = "outside_bounds"  # type of the error for a time outside of the bounds

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Request:
    """A request as it was received, at `now` in seconds since 1970. `value` is its JSON without U+0000."""

    headers: Mapping[str, str]  # with lower-case names
    body: bytes
    value: Any
    now: float


@dataclass(frozen=True)
class Arrival:
    """A finished recording. `keys` has every spelling that its key may have in the store, the likeliest first.

    `has_ended`: nothing writes to it any more, even if a playlist has no end.
    """

    keys: tuple[str, ...]
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    any_suffix: bool = False  # register it even if it has no media suffix
    has_ended: bool = False
    markers: Sequence[Marker] = ()
    given_start: int | None = None  # of its clock, in ms since 1970


@dataclass(frozen=True)
class Download:
    """A finished recording that is fetched from a URL, once for each `source_id`, into the object `file`.

    `token` and `link_field` are explained at `Origin` of the ledger.
    """

    url: str
    source_id: str
    file: str
    token: str | None = None
    link_field: str | None = None
    name: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    markers: Sequence[Marker] = ()
    given_start: int | None = None  # of its clock, in ms since 1970


@dataclass(frozen=True)
class Ignored:
    """An announced object that is not registered, and why."""

    key: str
    reason: Reason


@dataclass(frozen=True)
class Reading:
    """The content of an event. With `reply`, it is a question of the sender, and `reply` is the answer."""

    found: Sequence[Arrival | Download | Ignored] = ()
    reply: Mapping[str, str] | None = None


class Source(Protocol):
    """A kind of sender. `max_bytes` limits its bodies."""

    max_bytes: int

    def check_headers(self, request: Request) -> None:
        """Raise InvalidSignature if no body could make the request valid. `request` has none yet."""

    def verify(self, request: Request) -> None:
        """Raise InvalidSignature unless the sender has signed the request, or has sent the secret with it."""

    def read(self, request: Request) -> Reading:
        """Return the recordings that a verified request announces. Raises InvalidRequest."""


def without_nul(value: Any) -> Any:
    """Return parsed JSON with U+FFFD instead of U+0000, which PostgreSQL cannot store.

    It is not rejected: services send a rejected event again and again.
    """
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [without_nul(each) for each in value]
    if isinstance(value, dict):
        return {without_nul(key): without_nul(each) for key, each in value.items()}
    return value


def _moment(value: object) -> int:
    """Parse a time. Only text is accepted: the unit of a bare number would be ambiguous."""
    try:
        if isinstance(value, str):
            return parse_moment(value)
    except OutsideBounds as error:
        raise PydanticCustomError(OUTSIDE, "{reason}", {"reason": str(error)}) from None
    except ValueError:
        pass
    raise PydanticCustomError("moment", "must be a time such as 2025-04-05T11:00:00.000Z")


Moment = Annotated[int, BeforeValidator(_moment)]  # in ms since 1970


def stated_start(service: str, stated: str | int | None) -> dict[str, str]:
    """Return the metadata with the start of a recording, text or ms since 1970, that a service states.

    One that is invalid is left out: services send a rejected event again and again.
    """
    if not stated:
        return {}
    try:
        return {"started_at": rfc3339(parse_moment(stated) if isinstance(stated, str) else check_moment(stated))}
    except ValueError as error:
        note_left_out(f"events of {service}", "the start of a recording", error)
        return {}


class Body(BaseModel):
    """Base of the parts of bodies. Unknown keys are ignored: services add some."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CamelBody(Body):
    """Base of parts whose keys are written in camel case."""

    model_config = ConfigDict(alias_generator=to_camel)


def validated(model: type[M], value: Any) -> M:
    """Return the body. Raises InvalidRequest that names the first invalid part."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"/{part}" for part in first["loc"])[:200]
        raise InvalidRequest(
            f"The body is not an event of this source: {where or 'it'}: {first['msg']}",
            hint="Check that the sender is the service of this URL.",
        ) from None


@dataclass(frozen=True)
class Place:
    """The bucket, prefix and folder of the store. An empty `bucket` accepts events of every bucket."""

    bucket: str
    prefix: str  # "" or "folder/"
    folder: Path | None = None  # of a folder store

    def key(self, bucket: str | None, name: str) -> str | None:
        """Return the key of the object `name` of `bucket`, or None if it is not in the store."""
        if bucket is not None and self.bucket and bucket != self.bucket:
            return None
        return name.removeprefix(self.prefix) if name.startswith(self.prefix) else None

    def key_at(self, location: str, name: str) -> str | None:
        """Return the key of the object `name` that was written to `location`, a URL or a path of the sender."""
        try:
            url = urlsplit(location)
        except ValueError:
            return None
        if url.netloc:  # bucket.host/key, host/bucket/key or s3://bucket/key
            named = f"{url.netloc}.".startswith(f"{self.bucket}.") or f"{url.path}/".startswith(f"/{self.bucket}/")
            return self.key(None, name) if named or not self.bucket else None
        if self.folder is not None and Path(name).is_relative_to(self.folder):
            name = Path(name).relative_to(self.folder).as_posix()
        return self.key(None, name)
