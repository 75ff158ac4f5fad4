"""Slots of uploads: the threads that receive bodies, answer other requests of uploads, and assemble objects.

Each kind has its own threads, and each caller a share of them (`limits.shares`), so that no caller keeps others
from uploading, or from ending an upload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, get_args

import anyio
import anyio.to_thread
from starlette.types import Scope

from clipengine.api.http.open_streams import OpenStreams, open_stream
from clipengine.limits.pace import least_pace
from clipengine.limits.shares import LIMITS, SlotKind

T = TypeVar("T")


class Slot:
    """A slot that a request has."""

    def __init__(self, streams: OpenStreams, threads: anyio.CapacityLimiter) -> None:
        self._streams = streams
        self._threads = threads

    def least_pace(self) -> int:
        """Return what the client must send now, see `least_pace`."""
        return least_pace(self._streams.used("uploads"))

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, which runs in the thread of the slot."""
        return await anyio.to_thread.run_sync(work, limiter=self._threads)


class UploadSlots:
    """Used by the event loop only."""

    def __init__(self) -> None:
        self._threads = {kind: anyio.CapacityLimiter(LIMITS[kind].of_all or 0) for kind in get_args(SlotKind)}

    @contextmanager
    def taken(self, scope: Scope, kind: SlotKind) -> Iterator[Slot]:
        """Yield a slot of the caller. Raise RateLimited if it has its share of them, and Busy if none is free."""
        with open_stream(scope, kind):
            yield Slot(scope["app"].state.streams, self._threads[kind])
