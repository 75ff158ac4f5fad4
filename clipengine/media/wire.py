"""What goes between an encoder child and its parent: framed JSON with a binary part, and descriptors, over a socket.

A frame is two big-endian u32 lengths, the JSON and the binary part. This module imports no media library: both sides
of the socket use it.

Over the control socket the parent sends one job, and the child answers `{"type": "progress"}` frames and at the end
one `{"type": "result"}` or `{"type": "error"}`. Over the ranges socket the child asks
`{"offset", "length", "keep"}` and the parent answers `{"read"}` with the bytes and how many of them it read from the
store for this, or `{"error": {…}}`.
"""

from __future__ import annotations

import array
import json
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Any

from clipengine.errors import ClipEngineError, by_code

_LENGTHS = struct.Struct(">II")
_MAX_FRAME = 64 * 1024 * 1024
_MAX_DESCRIPTORS = 4
_MAX_WORDS = 500


class Channel:
    """One end of a socket pair. Sending is safe from several threads; receiving is one thread's.

    Only the end that `takes_descriptors` gets any; what the other one is sent is closed by the kernel.
    """

    def __init__(self, end: socket.socket, *, takes_descriptors: bool = False) -> None:
        self._socket = end
        self._room = socket.CMSG_LEN(_MAX_DESCRIPTORS * array.array("i").itemsize) if takes_descriptors else 0
        self._buffer = bytearray()
        self._sending = threading.Lock()
        self.descriptors: list[int] = []  # those that came with what was received; the receiver closes them

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: dict[str, Any], blob: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        """Raises OSError when the other side is gone."""
        text = json.dumps(message, separators=(",", ":")).encode()
        frame = _LENGTHS.pack(len(text), len(blob)) + text
        with self._sending:
            if descriptors:
                sent = socket.send_fds(self._socket, [frame], list(descriptors))
                frame = frame[sent:]
            if frame:  # nothing, sent to one that has answered and gone already, is still a broken pipe
                self._socket.sendall(frame)
            if blob:
                self._socket.sendall(blob)

    def receive(self, timeout: float | None = None) -> tuple[dict[str, Any], bytes] | None:
        """The next frame; None when the other side has closed.

        Raises TimeoutError, with nothing lost, and ConnectionError for what is no frame.
        """
        self._socket.settimeout(timeout)
        while (frame := self._take()) is None:
            if not self._fill():
                return None
        return frame

    def close(self) -> None:
        self._socket.close()

    def _take(self) -> tuple[dict[str, Any], bytes] | None:
        if len(self._buffer) < _LENGTHS.size:
            return None
        text, blob = _LENGTHS.unpack_from(self._buffer)
        total = _LENGTHS.size + text + blob
        if total > _MAX_FRAME:
            raise ConnectionError(f"a frame of {total} bytes is too long")
        if len(self._buffer) < total:
            return None
        try:
            message = json.loads(bytes(self._buffer[_LENGTHS.size : _LENGTHS.size + text]))
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise ConnectionError("a frame is no JSON object")
        payload = bytes(self._buffer[_LENGTHS.size + text : total])
        del self._buffer[:total]
        return message, payload

    def _fill(self) -> bool:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(1024 * 1024, self._room)
        except ConnectionResetError:
            return False
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
                self.descriptors += numbers
        self._buffer += data
        return bool(data)


def error_from(fields: Any) -> ClipEngineError:
    """The error that crossed the socket as its object, again as an exception of its kind."""
    fields = fields if isinstance(fields, dict) else {}
    kind = by_code(str(fields.get("code")))
    error = kind.__new__(kind)
    hint = fields.get("hint")
    message = str(fields.get("message", ""))[:_MAX_WORDS]
    ClipEngineError.__init__(error, message, hint=str(hint)[:_MAX_WORDS] if hint else None)
    return error
