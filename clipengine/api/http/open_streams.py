"""Limits of one key: responses that stay open, large requests, uploads, and threads."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Literal
from weakref import WeakValueDictionary

from starlette.types import Scope

from clipengine.errors import Busy, RateLimited

StreamKind = Literal[
    "downloads",
    "event streams",
    "waiting requests",
    "large requests",
    "uploads",
    "requests of uploads",
    "assemblies of uploads",
]
LARGE_BYTES = 64 << 10  # of JSON; more takes over 5 ms of CPU to parse and validate
MOST: dict[StreamKind, int] = {  # of one key or link
    "downloads": 200,  # each keeps about 0.4 MiB
    "event streams": 200,
    "waiting requests": 1000,  # each keeps about 20 KiB
    "large requests": 16,  # a plan with 5,000 ranges keeps about 4 MiB
}
SLOTS: dict[StreamKind, int] = {  # of all keys; one key has at most as many as are free, so that others find one
    "uploads": 16,  # each occupies a thread while its client sends
    "requests of uploads": 8,
    "assemblies of uploads": 4,
}
THREADS = 10  # of one key at the same time: a quarter of the pool, so that requests of others find a free one
_RETRY_SECONDS = 10
_SOON: tuple[StreamKind, ...] = ("requests of uploads", "assemblies of uploads")  # take less than a second
_CALLER = "clipengine.caller"
_TURN = "clipengine.turn"
_THREADS = "clipengine.threads"


class OpenStreams:
    """Number of open streams by kind, and by key or link. Used by the event loop only."""

    def __init__(self) -> None:
        self._open: Counter[tuple[StreamKind, str]] = Counter()
        self._used: Counter[StreamKind] = Counter()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # of keys with large requests
        self._threads: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()  # of keys with requests

    @contextmanager
    def one_more(self, ident: str, kind: StreamKind) -> Iterator[None]:
        """Count a stream of this key or link for the duration of the context.

        Raise RateLimited if it has too many, and Busy if others have all of them.
        """
        held = self._open[kind, ident]
        if held >= (MOST[kind] if kind in MOST else SLOTS[kind] - self.used(kind)):
            raise _refusal(kind, held)
        self._open[kind, ident] += 1
        self._used[kind] += 1
        try:
            yield
        finally:
            self._used[kind] -= 1
            self._open[kind, ident] -= 1
            if not self._open[kind, ident]:
                del self._open[kind, ident]

    def used(self, kind: StreamKind) -> int:
        """Return the number of open streams of a kind."""
        return self._used[kind]

    def turn(self, ident: str) -> asyncio.Lock:
        """Return the lock that the large requests of a key hold while they use a thread."""
        return self._turns.setdefault(ident, asyncio.Lock())

    def threads(self, credential: str) -> asyncio.Semaphore:
        """Return the semaphore of the threads that requests with this key or session use."""
        return self._threads.setdefault(credential, asyncio.Semaphore(THREADS))


def _refusal(kind: StreamKind, held: int) -> Busy:
    """Return the error for a further stream of a key or link that has so many."""
    retry_after = 1 if kind in _SOON else _RETRY_SECONDS
    if kind in SLOTS and not held:
        return Busy(f"{SLOTS[kind]} {kind} are under way", retry_after=retry_after)
    return RateLimited(
        f"{held} {kind} of this key or link are open",
        hint="Close one or wait until one ends, and send the request again.",
        retry_after=retry_after,
    )


def set_credential(scope: Scope, credential: str) -> None:
    """Limit the threads that requests with this key or session use at the same time. It need not be valid."""
    streams: OpenStreams = scope["app"].state.streams
    scope[_THREADS] = streams.threads(credential)


def set_caller(scope: Scope, ident: str) -> None:
    """Record the id of the key or link for which the request is answered."""
    scope[_CALLER] = ident


@contextmanager
def open_stream(scope: Scope, kind: StreamKind) -> Iterator[None]:
    """Count a stream of the caller for the duration of the context. Raise RateLimited, and Busy for a slot."""
    streams: OpenStreams = scope["app"].state.streams
    with streams.one_more(scope[_CALLER], kind):
        yield


@contextmanager
def large_request(scope: Scope) -> Iterator[None]:
    """Count a large request of the caller for the duration of the context, in which it takes turns with its others.

    Raise RateLimited.
    """
    streams: OpenStreams = scope["app"].state.streams
    with streams.one_more(scope[_CALLER], "large requests"):
        scope[_TURN] = streams.turn(scope[_CALLER])
        yield


@asynccontextmanager
async def own_turn(scope: Scope) -> AsyncIterator[None]:
    """Wait for one of the caller's threads, with a large request until no other one of the caller uses a thread."""
    async with scope.get(_TURN) or nullcontext(), scope.get(_THREADS) or nullcontext():
        yield
