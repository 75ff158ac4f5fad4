"""Running ahead: a generator in a thread of its own, before its consumer by a bounded number of bytes.

So decoding and encoding share the cores, and what lies between them takes the same memory for pictures of any size:
many small ones, a few of full HD, one of 4K.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

BUFFER_BYTES = 8 * 1024 * 1024  # two pictures of 1080p: more was no faster, and is memory

Item = TypeVar("Item")


def produce_in_background(
    produce: Callable[[], Generator[Item]], size_of: Callable[[Item], int], *, most_bytes: int = BUFFER_BYTES
) -> Generator[Item]:
    """The items of `produce()`, which runs in a thread up to `most_bytes` (by `weigh`) ahead, or one item.

    Its error is raised here. When the consumer stops early, the producer is told at its next item and the thread is
    joined.
    """
    items: _BoundedQueue[Item] = _BoundedQueue(most_bytes)

    def run() -> None:
        error: BaseException | None = None
        source = produce()
        try:
            for item in source:
                if not items.put(item, size_of(item)):
                    source.close()
                    break
        except BaseException as raised:  # handed to the consumer, whatever it is
            error = raised
        items.end(error)

    thread = threading.Thread(target=run, name="decode", daemon=True)
    thread.start()
    try:
        yield from items.taken()
    finally:
        items.stop()
        thread.join()


class _BoundedQueue(Generic[Item]):
    """What was produced and not yet taken.

    A producer that had to wait goes on when half of it is taken: the two wake each other once for several items.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._ended = self._stopped = False
        self._error: BaseException | None = None
        lock = threading.Lock()
        self._room, self._more = threading.Condition(lock), threading.Condition(lock)

    def put(self, item: Item, size: int) -> bool:
        """False when nothing more is wanted."""
        with self._room:
            if self._items and self._bytes + size > self._most_bytes:
                self._room.wait_for(lambda: self._stopped or self._bytes <= self._most_bytes // 2 or not self._items)
            if self._stopped:
                return False
            self._items.append((item, size))
            self._bytes += size
            self._more.notify()
        return True

    def end(self, error: BaseException | None) -> None:
        with self._more:
            self._ended, self._error = True, error
            self._more.notify()

    def stop(self) -> None:
        with self._room:
            self._stopped = True
            self._items.clear()
            self._room.notify()

    def taken(self) -> Generator[Item]:
        while True:
            with self._more:
                while not self._items and not self._ended:
                    self._more.wait()
                if not self._items:
                    break
                item, size = self._items.popleft()
                self._bytes -= size
                if self._bytes <= self._most_bytes // 2 or not self._items:
                    self._room.notify()
            yield item
            del item  # it is its taker's: with the next one under way, nothing here keeps it
        if self._error is not None:
            raise self._error
