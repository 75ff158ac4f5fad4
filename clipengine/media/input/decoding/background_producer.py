"""A generator that runs in a background thread, ahead of its consumer by a bounded number of bytes.

Decoding and encoding thus run in parallel, and the buffer takes the same memory for frames of any size.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

BUFFER_BYTES = 8 * 1024 * 1024  # two 1080p frames; a larger buffer is not faster

Item = TypeVar("Item")


def produce_in_background(
    produce: Callable[[], Generator[Item]], size_of: Callable[[Item], int], *, max_bytes: int = BUFFER_BYTES
) -> Generator[Item]:
    """Yield the items of `produce()`, which runs in a thread up to `max_bytes` (by `size_of`) or one item ahead.

    Errors of the producer are raised here. If the consumer stops early, the producer stops at its next item and the
    thread is joined.
    """
    items: _BoundedQueue[Item] = _BoundedQueue(max_bytes)

    def run() -> None:
        error: BaseException | None = None
        source = produce()
        try:
            for item in source:
                if not items.put(item, size_of(item)):
                    source.close()
                    break
        except BaseException as raised:  # raised in the consumer
            error = raised
        items.end(error)

    thread = threading.Thread(target=run, name="decode", daemon=True)
    thread.start()
    try:
        yield from items.items()
    finally:
        items.stop()
        thread.join()


class _BoundedQueue(Generic[Item]):
    """Queue of produced items, bounded by their size.

    A blocked producer continues when the queue is half empty, so that the threads wake each other less often.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._not_full, self._not_empty = threading.Condition(self._lock), threading.Condition(self._lock)
        self._is_blocked = self._is_awaited = False  # the producer and the consumer wait

    def put(self, item: Item, size: int) -> bool:
        """Add an item. Return False if the consumer has stopped."""
        with self._lock:
            if self._items and self._bytes + size > self._max_bytes:
                self._is_blocked = True
                self._not_full.wait_for(lambda: self._stopped or self._bytes <= self._max_bytes // 2 or not self._items)
                self._is_blocked = False
            if self._stopped:
                return False
            self._items.append((item, size))
            self._bytes += size
            if self._is_awaited:
                self._not_empty.notify()
        return True

    def end(self, error: BaseException | None) -> None:
        with self._lock:
            self._ended, self._error = True, error
            self._not_empty.notify()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._items.clear()
            self._not_full.notify()

    def items(self) -> Generator[Item]:
        while True:
            with self._lock:
                while not self._items and not self._ended:
                    self._is_awaited = True
                    self._not_empty.wait()
                    self._is_awaited = False
                if not self._items:
                    break
                item, size = self._items.popleft()
                self._bytes -= size
                if self._is_blocked and (self._bytes <= self._max_bytes // 2 or not self._items):
                    self._not_full.notify()
            yield item
            del item  # keep no reference while the next item is awaited
        if self._error is not None:
            raise self._error
