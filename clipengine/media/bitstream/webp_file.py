"""Files of animated WebP (RFC 9649), of which FFmpeg reads only pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from clipengine.media.bitstream.bits import BitstreamError

HEAD_BYTES = 12  # RIFF, the length, and WEBP
_FRAME_HEAD_BYTES = 16
_ANIMATION, _ALPHA = 0x02, 0x10  # flags
_MAX_FRAME_BYTES = 64 << 20  # more than any uncompressed frame of a clip


class Readable(Protocol):
    def read(self, length: int, /) -> bytes: ...


class WebpFrame(NamedTuple):
    """A frame with its times, the length of its chunk in the file, and a WebP file of it alone."""

    start_ms: int
    duration_ms: int
    size: int
    picture: bytes


class WebpAnimation(NamedTuple):
    """An animation that repeats forever. Its frames are read from the file while they are iterated."""

    width: int
    height: int
    frames: Iterator[WebpFrame]


def is_webp(head: bytes) -> bool:
    """Return True if these are the first HEAD_BYTES of a WebP file."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def read_animation(file: Readable, size: int) -> WebpAnimation:
    """Return the animation of a file of `size` bytes. Raises BitstreamError, also while its frames are iterated."""
    head = _exactly(file, HEAD_BYTES)
    if not is_webp(head) or _number(head[4:8]) + 8 != size:
        raise BitstreamError("the file is not a WebP file of its length")
    features, loops = _chunk(file, b"VP8X", 10), _chunk(file, b"ANIM", 6)
    if not features[0] & _ANIMATION or loops[4:6] != b"\0\0":
        raise BitstreamError("the file is not an animation that repeats forever")
    width, height = _number(features[4:7]) + 1, _number(features[7:10]) + 1
    return WebpAnimation(width, height, _frames(file, size, width, height))


def _frames(file: Readable, size: int, width: int, height: int) -> Iterator[WebpFrame]:
    offset, start_ms = HEAD_BYTES + 18 + 14, 0
    while offset < size:
        data = _chunk(file, b"ANMF")
        x, y = 2 * _number(data[0:3]), 2 * _number(data[3:6])
        frame_width, frame_height = _number(data[6:9]) + 1, _number(data[9:12]) + 1
        if len(data) <= _FRAME_HEAD_BYTES or x + frame_width > width or y + frame_height > height:
            raise BitstreamError("a frame is empty or outside the picture")
        picture = data[_FRAME_HEAD_BYTES:]
        if picture[:4] == b"ALPH":  # codespell:ignore
            picture = _features(_ALPHA, frame_width, frame_height) + picture
        yield WebpFrame(start_ms, _number(data[12:15]), len(data), _riff(picture))
        start_ms += _number(data[12:15])
        offset += 8 + len(data) + len(data) % 2


def animation_head(width: int, height: int, *, size: int) -> bytes:
    """Return the first chunks of the file of an animation, which has `size` bytes altogether."""
    riff = b"RIFF" + max(0, size - 8).to_bytes(4, "little") + b"WEBP"
    return riff + _features(_ANIMATION, width, height) + b"ANIM" + (6).to_bytes(4, "little") + bytes(6)


def frame_chunk(box: tuple[int, int, int, int], picture: bytes, *, milliseconds: int) -> bytes:
    """Return the chunk of a frame that shows a WebP file without alpha channel in a part of the canvas.

    `box` is its even position, width and height.
    """
    x, y, width, height = box
    numbers = (x // 2, y // 2, width - 1, height - 1, milliseconds)
    data = b"".join(number.to_bytes(3, "little") for number in numbers) + b"\0" + picture[HEAD_BYTES:]
    return b"ANMF" + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)


def _features(flags: int, width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X" + (10).to_bytes(4, "little") + bytes((flags, 0, 0, 0)) + size


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks


def _chunk(file: Readable, name: bytes, length: int | None = None) -> bytes:
    """Read the next chunk, which must have this name and, if given, this length."""
    head = _exactly(file, 8)
    found = _number(head[4:8])
    if head[:4] != name or (length is not None and found != length) or found > _MAX_FRAME_BYTES:
        raise BitstreamError(f"the file has the chunk {head[:4]!r} of {found} bytes, expected {name!r}")
    return _exactly(file, found + found % 2)[:found]


def _exactly(file: Readable, length: int) -> bytes:
    data = file.read(length)
    if len(data) != length:
        raise BitstreamError("the file ends within a chunk")
    return data


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
