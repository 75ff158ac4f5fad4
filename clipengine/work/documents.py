"""Reading of documents from outside: small ones in the engine, larger ones in a child that reads nothing else.

Requests have their own lanes, in which keys take turns; the jobs of the engine do not wait for them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from clipengine.basis.documents import Document
from clipengine.errors import (
    Busy,
    DecoderCrashed,
    DecoderKilled,
    DecoderNotStarted,
    InvalidRequest,
    MalformedRequest,
    RequestError,
    Timeout,
    by_code,
)
from clipengine.work.children.bytes_reader import BytesReader
from clipengine.work.children.jobs import Job, Message
from clipengine.work.children.pool import ChildPool
from clipengine.work.previews.queue import Check, PreviewQueue

log = logging.getLogger(__name__)

# Measured: 5,000 ranges as XML, and a playlist of 8 MiB, take less than 2 s and 150 MB.
_DEADLINE_SECONDS = 30
_MEMORY_BYTES = 512 << 20
_EXPECTED_SECONDS = 1.0
_REFUSALS = (InvalidRequest, MalformedRequest)
_Text = Annotated[str, Field(max_length=2000)]

T = TypeVar("T")


class _Lanes(NamedTuple):
    """Documents of one origin, of which so many are read at the same time."""

    name: str
    lanes: int


_OF_REQUESTS, _OF_JOBS = _Lanes("document", 2), _Lanes("document of a job", 2)


class _Refusal(BaseModel):
    """Error of a request, as a child reports it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    code: _Text
    message: _Text
    hint: _Text
    retryable: bool
    errors: Annotated[list[dict[_Text, _Text]], Field(max_length=100)]
    omitted: Annotated[int, Field(ge=0)]


_REFUSAL: TypeAdapter[_Refusal | None] = TypeAdapter(_Refusal | None)


class Documents:
    """Reads documents. Thread-safe."""

    def __init__(self, pool: ChildPool) -> None:
        """Take children from `pool`, which `stop` closes."""
        self._pool = pool
        self._queue = PreviewQueue()

    def read(self, document: Document[T], data: bytes, **values: Any) -> T:
        """Return what a document says, for a job of the engine. It may wait for a child.

        Raises the errors of `Document.parse`, DecoderCrashed or EngineError if the child does not end as it should, and
        DecoderNotStarted if the engine stops.
        """
        if len(data) <= document.small_bytes:
            return document.parse(data, **values)
        try:
            with self._requested(_OF_JOBS, document, data, values, "") as read:
                return unpacked(document, read.result(), values)
        except Busy as error:
            raise DecoderNotStarted(error.message) from error

    @contextmanager
    def requested(
        self, document: Document[Any], data: bytes, values: dict[str, Any], *, owner: str
    ) -> Iterator[Future[bytes]]:
        """Read a document of a request in a child, for the duration of the context. `unpacked` takes its result.

        The future raises as `read`, and Busy if the child cannot be started or takes too long. Raises Busy if too many
        documents are queued, or RateLimited if too many of this owner are.
        """
        with self._requested(_OF_REQUESTS, document, data, values, owner) as read:
            yield read

    def stop(self) -> None:
        """End the running children and reject new documents."""
        self._queue.stop()
        self._pool.close()

    @contextmanager
    def _requested(
        self, lanes: _Lanes, document: Document[Any], data: bytes, values: dict[str, Any], owner: str
    ) -> Iterator[Future[bytes]]:
        job = _job(document, values)
        digest = hashlib.sha256(json.dumps([lanes.name, job.message], sort_keys=True).encode())
        digest.update(data)

        def run(check: Check) -> bytes:
            check()
            try:
                return self._run(job, data, check)
            except (Timeout, DecoderKilled, DecoderNotStarted) as error:
                if lanes is _OF_JOBS:
                    raise
                raise Busy(f"The document cannot be read now: {error.message}", retry_after=60) from error

        with self._queue.requested(digest.hexdigest(), lanes, _EXPECTED_SECONDS, run, owner=owner) as read:
            yield read

    def _run(self, job: Job, data: bytes, check: Check) -> bytes:
        child = self._pool.take("parser")
        try:
            with BytesReader(job.message["document"], data) as reader:
                result, packed = child.run(job, reader, watch=lambda message: check())
        finally:
            child.close()
        refusal = _refusal(result)
        if refusal is not None:
            raise refusal
        return packed


def _job(document: Document[Any], values: dict[str, Any]) -> Job:
    return Job(
        {"job": "document", "document": document.name, "values": values},
        wall_seconds=_DEADLINE_SECONDS,
        stall_seconds=_DEADLINE_SECONDS,
        memory_bytes=_MEMORY_BYTES,
        file_bytes=0,
        threads=1,
    )


def unpacked(document: Document[T], packed: bytes, values: dict[str, Any]) -> T:
    """Return what a child has read in a document. Raises DecoderCrashed if it cannot be that."""
    try:
        return document.unpack(packed, **values)
    except Exception as error:  # the child is not trusted
        raise _crashed(document.name, error) from error


def _crashed(name: str, error: Exception) -> DecoderCrashed:
    log.warning("the report of a child about a document (%s) is invalid: %s", name, str(error)[:500])
    return DecoderCrashed("the process that reads documents sent an invalid report")


def _refusal(result: Message) -> RequestError | None:
    """Return the error of the request that the child reports. Raises DecoderCrashed for another one."""
    try:
        found = _REFUSAL.validate_python(result["refusal"])
        if found is None:
            return None
        kind = by_code(found.code)
        if not issubclass(kind, _REFUSALS):
            raise ValueError(f"a child may not report {found.code}")
    except (KeyError, ValueError) as error:
        raise _crashed("its error", error) from error
    refusal = kind.__new__(kind)
    RequestError.__init__(refusal, found.message, errors=found.errors, omitted=found.omitted, hint=found.hint)
    return refusal
