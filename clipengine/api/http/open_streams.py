"""Limit of open streams: each keeps memory for a client that does not read, also behind a public link."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Scope

from clipengine.errors import RateLimited

MAX_STREAMS = 200  # of one key or link; each keeps about 0.4 MiB
_RETRY_SECONDS = 10
_CALLER = "clipengine.caller"


class OpenStreams:
    """Number of open streams by key or link. Used by the event loop only."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_more(self, ident: str) -> Iterator[None]:
        """Count a stream of this key or link for the duration of the context. Raise RateLimited if it has too many."""
        if self._open[ident] >= MAX_STREAMS:
            raise RateLimited(
                f"{MAX_STREAMS} downloads of this key or link are open",
                hint="Close some, and send the request again.",
                retry_after=_RETRY_SECONDS,
            )
        self._open[ident] += 1
        try:
            yield
        finally:
            self._open[ident] -= 1
            if not self._open[ident]:
                del self._open[ident]


def set_caller(scope: Scope, ident: str) -> None:
    """Record the id of the key or link for which the request is answered."""
    scope[_CALLER] = ident


@contextmanager
def open_stream(scope: Scope) -> Iterator[None]:
    """Count a stream of the caller for the duration of the context. Raise RateLimited."""
    streams: OpenStreams = scope["app"].state.streams
    with streams.one_more(scope[_CALLER]):
        yield
