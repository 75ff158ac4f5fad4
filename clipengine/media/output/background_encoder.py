"""An encoder that runs in a background thread, and whose packets are taken as they become ready."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from av.packet import Packet


class BackgroundEncoder:
    """Encodes frames in a thread, in order. Call `end` after the last one, or `stop`.

    The thread calls `open_encoder`, whose result has PyAV's `encode`. `room` is the number of frames, or of bursts of
    them, that may wait; while it is used up, `put` blocks, and several encoders can share it. Errors of the encoder are
    raised by the other methods.
    """

    def __init__(self, open_encoder: Callable[[], Any], room: threading.Semaphore) -> None:
        self._open_encoder = open_encoder
        self._room = room
        self._bursts: queue.SimpleQueue[Any] = queue.SimpleQueue()  # None is the last
        self._packets: queue.SimpleQueue[Packet[Any] | None] = queue.SimpleQueue()  # None is the last
        self._error: BaseException | None = None
        self._stopped = False
        self.ended = False  # and all packets were taken
        self._thread = threading.Thread(target=self._run, name="encode", daemon=True)
        self._thread.start()

    def put(self, *burst: Any) -> None:
        """Add a frame or a burst of them, which the caller must not change any more."""
        self._room.acquire()
        self._bursts.put(burst)

    def end(self) -> None:
        """End the stream after the frames that were added."""
        self._bursts.put(None)

    def stop(self) -> None:
        """Drop the frames that are not encoded yet, and wait for the end of the thread."""
        self._stopped = True
        self._bursts.put(None)
        self._thread.join()

    def check(self) -> None:
        """Raise the error of the encoder, if it failed."""
        if self._error is not None:
            raise self._error

    def ready(self) -> Iterator[Packet[Any]]:
        """Yield the packets that are ready and were not yielded before."""
        self.check()
        while not self.ended and not self._packets.empty():
            if (packet := self._next()) is not None:
                yield packet

    def remaining(self) -> Iterator[Packet[Any]]:
        """Yield all packets that were not yielded before. Call it after `end`."""
        while not self.ended:
            if (packet := self._next()) is not None:
                yield packet

    def _next(self) -> Packet[Any] | None:
        packet = self._packets.get()
        if packet is None:
            self.ended = True
            self.check()
        return packet

    def _run(self) -> None:
        try:
            encoder = self._open_encoder()
        except BaseException as error:
            encoder, self._error = None, error
        while (burst := self._bursts.get()) is not None:
            for frame in burst:
                self._encode(encoder, frame)
                del frame
            del burst
            self._room.release()
        self._encode(encoder, None)
        del encoder  # frees it before the stream is called ended
        self._packets.put(None)

    def _encode(self, encoder: Any, frame: Any) -> None:
        if self._error is not None or self._stopped:
            return
        try:
            for packet in encoder.encode(frame):
                self._packets.put(packet)
        except BaseException as error:
            self._error = error
