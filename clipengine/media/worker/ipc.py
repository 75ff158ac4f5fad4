"""IPC between a child process and its parent: framed JSON with a binary part, and descriptors, over a socket.

A frame is two big-endian u32 lengths, the JSON object and the binary part. Both ends use this module, so it imports no
media library.

Over the control socket the child sends `{"type": "ready"}` once, then the parent sends a job. The child sends
`{"type": "progress"}` and `{"type": "alive"}`, and at the end one `{"type": "result"}` or `{"type": "error"}`. Another
job on the same recording may follow. Over the ranges socket the child sends `{"source", "offset", "length", "keep"}`.
The parent answers with the bytes and `{"read"}`, the number of bytes that it read from the store for them, or with
`{"error": {…}}`.

A hostile recording may have taken over the child. Its frames are therefore limited in size and number of values, and
all values must be storable in JSON and the database. `work.children.messages` checks the fields.
"""

from __future__ import annotations

import array
import json
import math
import select
import socket
import struct
import time
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple, NoReturn

from clipengine.errors import ClipEngineError, by_code

MAX_RANGE_BYTES = 32 << 20  # limit of one request

_LENGTHS = struct.Struct(">II")
_MAX_DESCRIPTORS = 19  # MAX_RECORDINGS, the output and MAX_FONTS
_MAX_ERROR_CHARACTERS = 500
_FILL_BYTES = 64 * 1024  # read size while the length of the frame is unknown
# Limit for one JSON object; 4,096 seek points have four values each. An empty list takes 3 bytes sent and 80 parsed.
_MAX_VALUES = 32_768
_MAX_NUMBER_CHARACTERS = 40
_MAX_INTEGER = (1 << 63) - 1  # limit of both databases


class Limits(NamedTuple):
    """Maximum bytes of a frame: JSON, JSON of a result, and binary part of a result."""

    text: int
    result_text: int
    result_blob: int


# A result is at most 4,096 seek points and the facts. Its blob is a preview (16 MiB) and a tone table (1 MiB).
FROM_CHILD = Limits(64 << 10, 2 << 20, 17 << 20)
RANGE_REQUESTS = Limits(4 << 10, 4 << 10, 0)
# The parent is trusted. A job has a tone table (1.4 MB as Base64), facts and seek points of up to MAX_RECORDINGS, and a
# watermark (2.8 MB as Base64); an answer has whole blocks.
FROM_PARENT = Limits(24 << 20, 24 << 20, MAX_RANGE_BYTES + (1 << 20))


class InvalidMessage(Exception):
    """The other end violated the protocol."""


class Channel:
    """One end of a socket pair. Several threads may send; only one may receive.

    Without `takes_descriptors` the kernel closes received descriptors.
    """

    def __init__(self, end: socket.socket, *, limits: Limits = FROM_PARENT, takes_descriptors: bool = False) -> None:
        self._socket = end
        self._limits = limits
        self._ancillary = socket.CMSG_LEN(_MAX_DESCRIPTORS * array.array("i").itemsize) if takes_descriptors else 0
        self._buffer = bytearray()
        self._sending = Lock()
        self._readable = select.poll()
        self._readable.register(end, select.POLLIN)
        self.descriptors: list[int] = []  # received with the messages; the receiver closes them

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: dict[str, Any], blob: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        """Send one frame. Raises OSError if the other end is closed."""
        # Lone surrogates cannot be encoded; they become question marks.
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        frame = _LENGTHS.pack(len(text), len(blob)) + text
        with self._sending:
            if descriptors:
                sent = socket.send_fds(self._socket, [frame], list(descriptors))
                frame = frame[sent:]
            if frame:  # sending zero bytes to a closed socket would raise a broken pipe
                self._socket.sendall(frame)
            if blob:
                self._socket.sendall(blob)

    def receive(self, timeout: float | None = None) -> tuple[dict[str, Any], bytes] | None:
        """Return the next frame, or None if the other end is closed.

        Raises TimeoutError if the frame is incomplete after `timeout` seconds; the bytes received so far are kept.
        Raises InvalidMessage if the frame is too large or not a JSON object.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (frame := self._take()) is None:
            if deadline is not None and not self._readable.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            if not self._fill():
                return None
        return frame

    def close(self) -> None:
        self._socket.close()

    def _take(self) -> tuple[dict[str, Any], bytes] | None:
        if len(self._buffer) < _LENGTHS.size:
            return None
        text, blob = self._lengths()
        total = _LENGTHS.size + text + blob
        if text > self._limits.result_text or blob > self._limits.result_blob:
            raise InvalidMessage(f"a message of {text} bytes of JSON and {blob} bytes of data is too large")
        if len(self._buffer) < total:
            return None
        message = parse_object(bytes(memoryview(self._buffer)[_LENGTHS.size : _LENGTHS.size + text]))
        if text > self._limits.text and message.get("type") != "result":
            raise InvalidMessage(f"a message of {text} bytes is too large, unless it is a result")
        payload = bytes(memoryview(self._buffer)[_LENGTHS.size + text : total])
        del self._buffer[:total]
        return message, payload

    def _lengths(self) -> tuple[int, int]:
        text, blob = _LENGTHS.unpack_from(self._buffer)
        return text, blob

    def _fill(self) -> bool:
        """Read available bytes, up to the end of the frame. Return False if the other end is closed."""
        wanted = _FILL_BYTES
        if len(self._buffer) >= _LENGTHS.size:
            wanted = _LENGTHS.size + sum(self._lengths()) - len(self._buffer)
        try:
            data, ancillary, _, _ = self._socket.recvmsg(min(wanted, 1 << 20), self._ancillary)
        except ConnectionResetError:
            return False
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
                self.descriptors += numbers
        self._buffer += data
        return bool(data)


def parse_object(text: bytes) -> dict[str, Any]:
    """Parse a JSON object and check that all its values can be stored. Raises InvalidMessage.

    The number of values is limited before parsing, because the parser's memory depends on it.
    """
    if text.count(b",") + text.count(b"[") + text.count(b"{") > _MAX_VALUES:
        raise InvalidMessage(f"a message has more than {_MAX_VALUES} values")
    try:
        found = json.loads(text.decode(), parse_int=_integer, parse_float=_number, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"a message is not valid JSON: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise InvalidMessage("a message is not a JSON object")
    if b"\\u" in text:  # only an escape can produce NUL or a lone surrogate
        _refuse_unstorable(found)
    return found


def _integer(text: str) -> int:
    value = int(text) if len(text) <= _MAX_NUMBER_CHARACTERS else _MAX_INTEGER + 1
    if abs(value) > _MAX_INTEGER:
        raise ValueError("an integer of more than 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text) if len(text) <= _MAX_NUMBER_CHARACTERS else math.inf
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError("not a finite number")


def _refuse_unstorable(found: Any) -> None:
    """Raise InvalidMessage if a string has a NUL, which PostgreSQL cannot store, or a lone surrogate."""
    pending = [found]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.keys()
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str) and ("\0" in value or any("\ud800" <= each <= "\udfff" for each in value)):
            raise InvalidMessage("a message has a text that cannot be stored")


def error_from(fields: Any) -> ClipEngineError:
    """Return the exception for an error object received over the socket."""
    fields = fields if isinstance(fields, dict) else {}
    kind = by_code(str(fields.get("code")))
    error = kind.__new__(kind)
    hint = fields.get("hint")
    message = str(fields.get("message", ""))[:_MAX_ERROR_CHARACTERS]
    ClipEngineError.__init__(error, message, hint=str(hint)[:_MAX_ERROR_CHARACTERS] if hint else None)
    return error
