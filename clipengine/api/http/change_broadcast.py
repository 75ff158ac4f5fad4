"""From the ledger's commits, on whatever thread, to the coroutines that wait for them in the event loop.

No thread is held by a waiter. A waiter that is woken reads the row again: that something changed is all it is told.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Watcher = Callable[[str, str], None]


class Changes:
    """`notify` is the listener that is given to `ledger.on_change`; the rest belongs to the loop of the server."""

    def __init__(self) -> None:
        self.closed = False
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchers: set[Watcher] = set()
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._on_close: set[Callable[[], None]] = set()

    def notify(self, kind: str, identifier: str) -> None:
        """A row changed and is committed. From any thread."""
        self._in_loop(lambda: self._spread(kind, identifier))

    def close(self) -> None:
        """The server stops: every wait is answered and every stream ends now. From any thread, more than once."""
        self.closed = True
        self._in_loop(self._wake_all)

    @contextmanager
    def woken_by(self, identifier: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the row changes, or when the server stops."""
        event = asyncio.Event()
        self._attach()
        self._waiting.setdefault(identifier, set()).add(event)
        try:
            yield event
        finally:
            waiting = self._waiting[identifier]
            waiting.discard(event)
            if not waiting:
                del self._waiting[identifier]

    @contextmanager
    def watched_by(self, watcher: Watcher) -> Iterator[None]:
        """`watcher` is called in the loop with the kind and the id of every change."""
        self._attach()
        self._watchers.add(watcher)
        try:
            yield
        finally:
            self._watchers.discard(watcher)

    @contextmanager
    def closing(self, on_close: Callable[[], None]) -> Iterator[None]:
        """`on_close` is called in the loop when the server stops, at once where it has stopped."""
        self._attach()
        self._on_close.add(on_close)
        if self.closed:
            on_close()
        try:
            yield
        finally:
            self._on_close.discard(on_close)

    def _attach(self) -> None:
        with self._lock:
            self._loop = asyncio.get_running_loop()

    def _in_loop(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(work)

    def _spread(self, kind: str, identifier: str) -> None:
        # Without an identifier something may have been missed: everybody looks again.
        found = [self._waiting.get(identifier, set())] if identifier else self._waiting.values()
        for event in (event for waiting in found for event in waiting):
            event.set()
        for watcher in list(self._watchers):
            watcher(kind, identifier)

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for event in waiting:
                event.set()
        for on_close in list(self._on_close):
            on_close()
