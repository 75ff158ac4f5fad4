"""Shares of callers in the API: responses that stay open, large requests, uploads, and threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from weakref import WeakValueDictionary

from starlette.types import Scope

from clipengine.limits.shares import THREADS, Shares, SlotKind, StreamKind

LARGE_BYTES = 64 << 10  # of JSON; more takes over 5 ms of CPU to parse and validate
_CALLER = "clipengine.caller"
_TURN = "clipengine.turn"
_THREADS = "clipengine.threads"


class OpenStreams(Shares):
    """Shares of keys and links, with what their requests wait for. Used by the event loop only."""

    def __init__(self) -> None:
        super().__init__()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # of keys with large requests
        self._threads: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()  # of keys with requests

    def turn(self, ident: str) -> asyncio.Lock:
        """Return the lock that the large requests of a key hold while they use a thread."""
        return self._turns.setdefault(ident, asyncio.Lock())

    def threads(self, credential: str) -> asyncio.Semaphore:
        """Return the semaphore of the threads that requests with this key or session use."""
        return self._threads.setdefault(credential, asyncio.Semaphore(THREADS))


def set_credential(scope: Scope, credential: str) -> None:
    """Limit the threads that requests with this key or session use at the same time. It need not be valid."""
    streams: OpenStreams = scope["app"].state.streams
    scope[_THREADS] = streams.threads(credential)


def set_caller(scope: Scope, ident: str) -> None:
    """Record the id of the key or link for which the request is answered."""
    scope[_CALLER] = ident


@contextmanager
def open_stream(scope: Scope, kind: StreamKind | SlotKind) -> Iterator[None]:
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
