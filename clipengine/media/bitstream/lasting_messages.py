"""Messages in SEI units that act on later frames too (ITU-T H.264 and H.265, annex D)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator

from clipengine.media.bitstream.nal import unescape

# Film grain, frame packing, display orientation and another transfer function.
_LASTING = frozenset((19, 45, 47, 147))
_UNREGISTERED, _UUID_BYTES = 5, 16
_X264_BUILD = re.compile(rb"x264 - core (\d{1,5})\b")
_MAX_MESSAGES = 1024  # of one unit


def lasting_messages(payloads: Iterable[bytes], *, from_build: int = 0) -> dict[int, int]:
    """Return a checksum of each such message by its type, from the payloads of SEI units. Later ones replace earlier.

    FFmpeg's decoder corrects the frames of x264's builds before `from_build`. That number counts as a message as well;
    0 stands for a build that is decoded as any other encoder's frames.
    """
    found: dict[int, int] = {}
    for payload in payloads:
        for kind, message in _messages(unescape(payload)):
            if kind in _LASTING:
                found[kind] = zlib.crc32(message)
            elif kind == _UNREGISTERED and (build := _X264_BUILD.match(message, _UUID_BYTES)):
                found[kind] = int(build[1]) + 1 if int(build[1]) < from_build else 0
    return found


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each message, up to the first one that is incomplete."""
    at = 0
    for _ in range(_MAX_MESSAGES):
        kind, at = _number(data, at)
        size, at = _number(data, at)
        if at + size > len(data) or not size:
            return
        yield kind, data[at : at + size]
        at += size


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number, coded as bytes of which all but the last are 255, and the position after it."""
    end = at
    while data[end : end + 1] == b"\xff":
        end += 1
    return 255 * (end - at) + (data[end] if end < len(data) else 0), end + 1
