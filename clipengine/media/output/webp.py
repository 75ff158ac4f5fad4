"""Encoder of animated WebP: each frame is a picture of the part that differs from the frame before it.

FFmpeg's encoder of animations does not store small changes of colors, which add up: slow fades and gradients are lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.codec.context import CodecContext
from av.packet import Packet

from clipengine.clips.options.framing import Box
from clipengine.media.bitstream.webp_file import animation_head, frame_chunk
from clipengine.media.output.animation import Animation
from clipengine.media.output.encoder_presets import WEBP_METHODS
from clipengine.media.video.palette import RGB_FORMAT

_PIXEL_BYTES = 4
_WORST_CRF = 63


class WebpAnimation(Animation):
    """Writes the file itself, as FFmpeg's muxer knows no parts of frames."""

    _pixels = b""  # of the latest frame
    _picture: tuple[Box, bytes] | None = None  # written when its duration is known

    def _add(self, rgb: av.VideoFrame) -> Iterator[Packet[Any]]:
        pixels = _tight(rgb)
        box = _changed(pixels, self._pixels, rgb.width, rgb.height)
        self._pixels = pixels
        if box is not None:
            start = rgb.pts or 0
            self._write_held(start)
            self._start, self._picture = start, (box, self._encode(_part(pixels, rgb.width, box)))
            self.frames += 1
        yield from ()

    def _encode(self, part: av.VideoFrame) -> bytes:
        encoder: Any = CodecContext.create("libwebp", "w")
        encoder.width, encoder.height, encoder.pix_fmt = part.width, part.height, RGB_FORMAT
        encoder.time_base = self._tick
        quality = 100 - round(100 * (self._profile.crf or 0) / _WORST_CRF)
        encoder.options = {"quality": str(quality), "compression_level": WEBP_METHODS[self._profile.preset]}
        part.pts = 0
        return b"".join(bytes(packet) for packet in (*encoder.encode(part), *encoder.encode(None)))

    def _write_held(self, end: int) -> None:
        if self._picture is None:
            self._file.write(animation_head(self._format.width, self._format.height, size=0))
        else:
            self._file.write(frame_chunk(*self._picture, milliseconds=end - self._start))

    def end_file(self) -> None:
        self._write_held(self._end)
        size = self._file.tell()
        self._file.seek(0)
        self._file.write(animation_head(self._format.width, self._format.height, size=size))


def _tight(frame: av.VideoFrame) -> bytes:
    """Return the pixels without the padding of lines."""
    plane = frame.planes[0]
    data, line, stride = bytes(plane), frame.width * _PIXEL_BYTES, plane.line_size
    if line == stride:
        return data[: line * frame.height]
    return b"".join(data[start : start + line] for start in range(0, stride * frame.height, stride))


def _changed(pixels: bytes, before: bytes, width: int, height: int) -> Box | None:
    """Return the smallest rectangle, from an even position on, that contains all changed pixels."""
    if not before:
        return Box(0, 0, width, height)
    line = width * _PIXEL_BYTES
    spans = [
        (
            row,
            int.from_bytes(pixels[start : start + line], "little")
            ^ int.from_bytes(before[start : start + line], "little"),
        )
        for row, start in enumerate(range(0, line * height, line))
        if pixels[start : start + line] != before[start : start + line]
    ]
    if not spans:
        return None
    left = min((bits & -bits).bit_length() - 1 for _, bits in spans) // (8 * _PIXEL_BYTES)
    right = max(bits.bit_length() - 1 for _, bits in spans) // (8 * _PIXEL_BYTES) + 1
    left, top, bottom = left - left % 2, spans[0][0] - spans[0][0] % 2, spans[-1][0] + 1
    return Box(left, top, right - left, bottom - top)


def _part(pixels: bytes, width: int, box: Box) -> av.VideoFrame:
    line = width * _PIXEL_BYTES
    first, length = box.x * _PIXEL_BYTES, box.width * _PIXEL_BYTES
    frame = av.VideoFrame(box.width, box.height, RGB_FORMAT)
    plane = frame.planes[0]
    rows = (pixels[row * line + first : row * line + first + length] for row in range(box.y, box.y + box.height))
    plane.update(b"".join(row.ljust(plane.line_size, b"\0") for row in rows).ljust(plane.buffer_size, b"\0"))
    return frame
