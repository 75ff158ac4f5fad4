"""Fields of log lines. A job or a request binds its ids once, and every line that is logged in it carries them.

The fields are a context variable: Starlette's thread pool copies them, and a new thread begins without fields. Values
are ids and numbers, so that a text line needs no quoting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

Fields = Mapping[str, str | int]

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
