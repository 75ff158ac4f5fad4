"""Context of a job or a request: the fields of its log lines, and its trace.

A job or a request binds its ids once, and every line that is logged in it carries them. The fields are a context
variable: Starlette's thread pool copies them, and a new thread begins without fields. Values are ids and numbers, so
that a text line needs no quoting.

The trace of a clip (W3C Trace Context) leads from the request that creates it to its webhooks. Spans are recorded only
if a tracer is set (see `otel`, the extra). Without one, the caller's `traceparent` is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from types import MappingProxyType
from typing import Literal, Protocol

Fields = Mapping[str, str | int]
Kind = Literal["server", "client", "consumer", "internal"]

# Version 00, in lower case, with a trace id and a parent id that are not zero: exactly 55 characters.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


_fields: ContextVar[Fields] = ContextVar("log_fields", default=MappingProxyType({}))


def bound() -> Fields:
    """Return the fields of the current job or request."""
    return _fields.get()


@contextmanager
def bind(**fields: str | int | None) -> Iterator[None]:
    """Add fields to the lines that are logged in the block. Fields that are None are omitted."""
    known = {name: value for name, value in fields.items() if value is not None}
    token = _fields.set({**_fields.get(), **known})
    try:
        yield
    finally:
        _fields.reset(token)


class Tracer(Protocol):
    """Recorder of spans. `parent` is a valid traceparent, or None to begin a trace."""

    def span(self, name: str, parent: str | None, kind: Kind, attributes: Fields) -> AbstractContextManager[None]: ...
    def record_wait(self, name: str, parent: str | None, attributes: Fields, *, since_ms: int) -> None: ...
    def current(self) -> str | None: ...
    def set_attribute(self, name: str, value: str | int) -> None: ...
    def set_error(self, code: str) -> None: ...
    def shut_down(self) -> None: ...


_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Record the spans of this process with `tracer`, or none."""
    global _tracer
    _tracer = tracer


def is_on() -> bool:
    return _tracer is not None


def span(name: str, parent: str | None, kind: Kind, attributes: Fields) -> AbstractContextManager[None]:
    """Return the context of one span, which is current inside the block."""
    return nullcontext() if _tracer is None else _tracer.span(name, parent, kind, attributes)


def record_wait(name: str, parent: str | None, attributes: Fields, *, since_ms: int) -> None:
    """Record a span that began at `since_ms` (since 1970) and ends now."""
    if _tracer is not None:
        _tracer.record_wait(name, parent, attributes, since_ms=since_ms)


def current(otherwise: str | None) -> str | None:
    """Return the traceparent of the current span, or `otherwise` if no spans are recorded."""
    return otherwise if _tracer is None else _tracer.current() or otherwise


def set_attribute(name: str, value: str | int) -> None:
    """Set an attribute of the current span."""
    if _tracer is not None:
        _tracer.set_attribute(name, value)


def set_error(code: str) -> None:
    """Mark the current span as failed with this error code."""
    if _tracer is not None:
        _tracer.set_error(code)


def shut_down() -> None:
    """Send the recorded spans and stop recording."""
    if _tracer is not None:
        _tracer.shut_down()
        use(None)


def parse_traceparent(values: Sequence[str]) -> str | None:
    """Return the only value of the header `traceparent`, or None if it is missing, repeated or invalid.

    An invalid value is ignored and never an error, as the specification demands.
    """
    if len(values) != 1 or not _TRACEPARENT.fullmatch(values[0]):
        return None
    return values[0]
