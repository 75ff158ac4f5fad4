"""Documents from outside, such as playlists and transcripts, and how a child hands over what it has read in one.

Parsers hold the interpreter, so a thread does not keep the others running: a document that may take more than 50 ms of
CPU is parsed in a child, which is not trusted. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import ConfigDict, TypeAdapter

T = TypeVar("T")
Row = TypeVar("Row")

STRICT = ConfigDict(strict=True)


@dataclass(frozen=True)
class Document(Generic[T]):
    """One kind of document. One of at most `small_bytes` takes less than 50 ms of CPU.

    `parse` takes the bytes, and values that JSON can represent, and reads them within a budget. It raises
    InvalidRequest, MalformedRequest or RecordingError. `pack` and `unpack` carry its result out of a child. `unpack`
    takes the same values, and raises ValueError if the child returned something else.
    """

    name: str
    small_bytes: int
    parse: Callable[..., T]
    pack: Callable[[T], bytes]
    unpack: Callable[..., T]


class ReadDocument(Protocol):
    """A function that parses a document, here or in a child. It raises the errors of `Document.parse`."""

    def __call__(self, document: Document[T], data: bytes, **values: Any) -> T: ...


def read_here(document: Document[T], data: bytes, **values: Any) -> T:
    """Parse a document in this process, as the commands do."""
    return document.parse(data, **values)


def packed_rows(rows: Iterable[Any]) -> bytes:
    """Return the rows as lines of JSON, which `unpacked_rows` parses one at a time."""
    return b"\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() for row in rows)


def unpacked_rows(data: bytes, adapter: TypeAdapter[Row], *, most: int) -> Iterator[Row]:
    """Yield the rows of `packed_rows`. Raises ValueError for more than `most`, or if one is invalid."""
    if data.count(b"\n") >= most:
        raise ValueError(f"the child has returned more than {most} rows")
    for line in data.split(b"\n") if data else ():
        yield adapter.validate_json(line)
