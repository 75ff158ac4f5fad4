"""Byte ranges of recordings for a child that has no descriptors of them."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
from collections.abc import Callable, Sequence

from clipengine.errors import ClipEngineError, Internal
from clipengine.media.worker.ipc import Channel, InvalidMessage
from clipengine.stores.base import ObjectReader
from clipengine.stores.pieces_reader import PiecesReader
from clipengine.work.children.header_cache import HeaderCache
from clipengine.work.children.messages import RangeRequest, parse_range_request

log = logging.getLogger(__name__)

# The bytes of its recordings that one job may read. A valid child stops at half of it (`media.worker.process`).
_MAX_READS, _READ_FLOOR_BYTES = 40, 512 << 20
_LEAST_READ_BYTES = 16 << 10  # a smaller request counts as much


class RangeServer:
    """Answers the requests of one child in a separate thread, until the child ends.

    `on_read` is called after each answer, `on_invalid` after an invalid request, which must end the child. `error` is
    the error of the store that the child received, `invalid` the reason why a request was.
    """

    def __init__(
        self,
        channel: Channel,
        header_cache: HeaderCache,
        *,
        on_read: Callable[[], None],
        on_invalid: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._header_cache = header_cache
        self._on_read = on_read
        self._on_invalid = on_invalid
        self.error: ClipEngineError | None = None
        self.invalid = ""
        self._budget = 0
        self._readers: Sequence[ObjectReader] = ()
        self._is_started = False

    def serve(self, readers: Sequence[ObjectReader]) -> None:
        """Let the child read these recordings, instead of the previous ones, `_MAX_READS` times in one job."""
        self._readers = readers
        self._budget = sum(_READ_FLOOR_BYTES + _MAX_READS * _stored_bytes(reader) for reader in readers)
        if not self._is_started:
            self._is_started = True
            run = contextvars.copy_context().run  # for the log lines
            threading.Thread(target=run, args=(self._serve,), name="ranges", daemon=True).start()

    def close(self) -> None:
        self._channel.close()

    def _serve(self) -> None:
        try:
            while (received := self._channel.receive()) is not None:
                readers = self._readers
                request = parse_range_request(received[0], [reader.info.size for reader in readers])
                self._budget -= max(request.length, _LEAST_READ_BYTES)
                if self._budget < 0:
                    raise InvalidMessage(f"the recordings were read {_MAX_READS} times over")
                self._answer(readers[request.source], request)
        except InvalidMessage as error:
            self.invalid = f"a range request: {error}"
            self._on_invalid()
        except (OSError, ValueError):
            return  # the child has exited
        except Exception:
            log.exception("reading a recording for a child failed")
            with contextlib.suppress(OSError):
                self._channel.send({"error": Internal("the recording could not be read").to_object()})

    def _answer(self, reader: ObjectReader, request: RangeRequest) -> None:
        try:
            data, read = self._header_cache.read(reader, request.offset, request.length, keep=request.keep)
        except ClipEngineError as error:
            self.error = error
            self._channel.send({"error": error.to_object()})
            return
        self._on_read()
        self._channel.send({"read": read}, data)


def _stored_bytes(reader: ObjectReader) -> int:
    """Return the bytes of the object, or of all pieces."""
    return reader.stored_bytes if isinstance(reader, PiecesReader) else reader.info.size
