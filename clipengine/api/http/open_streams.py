"""Limits of responses that stay open: each keeps memory for its client, also behind a public link."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from starlette.types import Scope

from clipengine.errors import RateLimited

StreamKind = Literal["downloads", "event streams", "waiting requests"]
MAX_STREAMS = 200  # of one key or link; a download keeps about 0.4 MiB
MAX_WAITING = 1000  # requests of one key; each keeps about 20 KiB
_RETRY_SECONDS = 10
_CALLER = "clipengine.caller"


class OpenStreams:
    """Number of open streams by kind, and by key or link. Used by the event loop only."""

    def __init__(self) -> None:
        self._open: Counter[tuple[StreamKind, str]] = Counter()

    @contextmanager
    def one_more(self, ident: str, kind: StreamKind) -> Iterator[None]:
        """Count a stream of this key or link for the duration of the context. Raise RateLimited if it has too many."""
        most = MAX_WAITING if kind == "waiting requests" else MAX_STREAMS
        if self._open[kind, ident] >= most:
            raise RateLimited(
                f"{most} {kind} of this key or link are open",
                hint="Close some, and send the request again.",
                retry_after=_RETRY_SECONDS,
            )
        self._open[kind, ident] += 1
        try:
            yield
        finally:
            self._open[kind, ident] -= 1
            if not self._open[kind, ident]:
                del self._open[kind, ident]


def set_caller(scope: Scope, ident: str) -> None:
    """Record the id of the key or link for which the request is answered."""
    scope[_CALLER] = ident


@contextmanager
def open_stream(scope: Scope, kind: StreamKind) -> Iterator[None]:
    """Count a stream of the caller for the duration of the context. Raise RateLimited."""
    streams: OpenStreams = scope["app"].state.streams
    with streams.one_more(scope[_CALLER], kind):
        yield
