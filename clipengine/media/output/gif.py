"""Encoder of GIF, in two passes: the first counts the colors of all frames, the second uses the palette of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet

from clipengine.clips.options.profiles import Profile
from clipengine.media.output.animation import Animation
from clipengine.media.output.writable_file import WritableFile
from clipengine.media.video.frame_format import FrameFormat
from clipengine.media.video.palette import PaletteConverter, PaletteCounter

_CONTROL = b"\x21\xf9\x04"  # before the flags and the duration of a frame
_TRAILER = b"\x3b"


class GifAnimation(Animation):
    """Counts colors until `end_sampling`, and then encodes the frames."""

    def __init__(self, container: Any, file: WritableFile, profile: Profile, format: FrameFormat) -> None:
        super().__init__(container, file, profile, format)
        self._counter = PaletteCounter()
        self._palette: PaletteConverter | None = None
        self._last: Packet[Any] | None = None
        self._stream = container.add_stream("gif", rate=Fraction(str(profile.fps)).limit_denominator(100_000))
        context = self._stream.codec_context
        context.width, context.height, context.pix_fmt = format.width, format.height, "pal8"
        context.time_base = self._stream.time_base = self._tick

    def _add(self, rgb: av.VideoFrame) -> Iterator[Packet[Any]]:
        self.frames += 1
        if self._palette is None:
            self._counter.add(rgb)
            return
        self._start = rgb.pts or 0
        indexed = self._palette.convert(rgb)
        indexed.pts, indexed.time_base = self._start, self._tick
        yield from self._kept(self._stream.encode(indexed))

    def end_sampling(self) -> None:
        self._palette = PaletteConverter(self._counter.palette(), self._format.width, self._format.height)
        self.frames = 0

    def flush(self) -> Iterator[Packet[Any]]:
        yield from self._kept(self._stream.encode(None))

    def _kept(self, packets: list[Packet[Any]]) -> Iterator[Packet[Any]]:
        for packet in packets:
            self._last = packet
            yield packet

    def end_file(self) -> None:
        """Set the duration of the last frame, for which the muxer repeats the duration of the frame before."""
        assert self._last is not None
        packet = bytes(self._last)
        control = packet.index(_CONTROL, _palette_end(packet))
        after = len(packet) - control - len(_CONTROL) - 1
        self._file.seek(-after - len(_TRAILER), os.SEEK_END)
        self._file.write((self._end - self._start).to_bytes(2, "little"))


def _palette_end(packet: bytes) -> int:
    """Return the position after the header and the palette, with which the first packet of a GIF begins."""
    return 13 + 3 * (2 << (packet[10] & 7)) if packet.startswith(b"GIF89a") and packet[10] & 0x80 else 0
