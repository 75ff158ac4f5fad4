"""Broadcast of committed changes from any thread to coroutines in the event loop.

A waiting request holds no thread. It learns only that a row changed, and reads the row again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Watcher = Callable[[str, str], None]


class ChangeBroadcast:
    """Subscribers to row changes. `notify` and `close` are thread-safe; the rest is called in the server's loop."""

    def __init__(self) -> None:
        self.closed = False
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchers: set[Watcher] = set()
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._on_close: set[Callable[[], None]] = set()

    def notify(self, kind: str, identifier: str) -> None:
        """Report a committed change of a row."""
        self._in_loop(lambda: self._spread(kind, identifier))

    def close(self) -> None:
        """End all waits and streams because the server stops. May be called more than once."""
        self.closed = True
        self._in_loop(self._wake_all)

    @contextmanager
    def woken_by(self, identifier: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set when the row changes or the server stops."""
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
        """Call `watcher` with the kind and the id of every change."""
        self._attach()
        self._watchers.add(watcher)
        try:
            yield
        finally:
            self._watchers.discard(watcher)

    @contextmanager
    def closing(self, on_close: Callable[[], None]) -> Iterator[None]:
        """Call `on_close` when the server stops, or at once if it has stopped."""
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
        # Without an identifier, notifications may have been lost: wake every waiter.
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
