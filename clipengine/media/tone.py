"""What tone-mapping does to every colour of a recording, as a table that is made once and kept.

The library needs seconds to work out how HDR colours become SDR, and forgets it with each process. So a picture of
every colour (a "Hald" table) is put through it once; later pictures are looked up in what came out, which takes
milliseconds and gives the same colours to within what a JPEG loses.
"""

from __future__ import annotations

import array
import hashlib
import zlib
from fractions import Fraction

import av
from av.filter import Graph
from av.sidedata.sidedata import SideData
from av.video.reformatter import VideoReformatter

_LEVEL = 6
_STEPS = _LEVEL**2  # of each of red, green and blue
_SIDE = _LEVEL**3  # of the table as a picture
_FORMAT = "rgb48le"
_BYTES = _SIDE * _SIDE * 6
_KEY_BYTES = 16
_BT709, _FULL = 1, 2
_BICUBIC = 4
_PQ, _HLG = 16, 18


def is_hdr(frame: av.VideoFrame) -> bool:
    return frame.color_trc in (_PQ, _HLG)


class ToneTable:
    """For pictures with the same colour tags as the one that it was made for. `kept` are its bytes."""

    def __init__(self, kept: bytes) -> None:
        self.kept = kept
        try:
            self._colours = zlib.decompressobj().decompress(kept[_KEY_BYTES:], _BYTES)
        except zlib.error:
            self._colours = b""  # it fits nothing, and is made anew

    @classmethod
    def made_for(cls, frame: av.VideoFrame) -> ToneTable:
        """Takes seconds."""
        every = VideoReformatter().reformat(
            frame, _SIDE, _SIDE, _FORMAT, dst_color_range=_FULL
        )  # with the frame's tags
        _fill(every, _every_colour())
        mapped = VideoReformatter().reformat(
            every, format=_FORMAT, dst_color_range=_FULL, dst_color_trc=_BT709, dst_color_primaries=_BT709
        )
        return cls(_key(frame) + zlib.compress(_pixels(mapped)))

    def fits(self, frame: av.VideoFrame) -> bool:
        return self.kept[:_KEY_BYTES] == _key(frame) and len(self._colours) == _BYTES

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The picture in the colours of BT.709, as RGB."""
        reformatter = VideoReformatter()
        picture = reformatter.reformat(frame, format=_FORMAT, dst_color_range=_FULL, interpolation=_BICUBIC)
        table = reformatter.reformat(frame, _SIDE, _SIDE, _FORMAT, dst_color_range=_FULL)
        _fill(table, self._colours)
        graph = Graph()
        main, looked_up = (
            graph.add_buffer(width=each.width, height=each.height, format=each.format, time_base=Fraction(1, 25))
            for each in (picture, table)
        )
        clut = graph.add("haldclut")
        main.link_to(clut, 0, 0)
        looked_up.link_to(clut, 0, 1)
        tagged = graph.add("setparams", "color_primaries=bt709:color_trc=bt709")
        clut.link_to(tagged)
        tagged.link_to(graph.add("buffersink"))
        graph.configure()
        for source, each in ((main, picture), (looked_up, table)):
            each.pts, each.time_base = 0, Fraction(1, 25)
            source.push(each)
            source.push(None)
        shown = graph.pull()
        assert isinstance(shown, av.VideoFrame)
        return shown


class Tones:
    """The table of a recording: one that was kept, or one that is made as soon as a picture needs it."""

    def __init__(self, kept: bytes | None = None) -> None:
        self._table = ToneTable(kept) if kept else None
        self.made: bytes | None = None  # worth keeping for the next time

    def for_frame(self, frame: av.VideoFrame) -> ToneTable:
        if self._table is None or not self._table.fits(frame):
            self._table = ToneTable.made_for(frame)
            self.made = self._table.kept
        return self._table


def _key(frame: av.VideoFrame) -> bytes:
    """Of what the mapping depends on."""
    tags = (av.__version__, frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range)
    told = [frame.side_data.get(name) for name in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")]
    metadata = [bytes(each) if isinstance(each, SideData) else b"" for each in told]
    return hashlib.sha256(repr((tags, metadata)).encode()).digest()[:_KEY_BYTES]


def _every_colour() -> bytes:
    """Red runs fastest, then green, then blue."""
    levels = [round(step * 65535 / (_STEPS - 1)) for step in range(_STEPS)]
    colours = array.array("H")
    for blue in levels:
        for green in levels:
            for red in levels:
                colours.extend((red, green, blue))
    return colours.tobytes()


def _fill(picture: av.VideoFrame, pixels: bytes) -> None:
    plane, row = picture.planes[0], picture.width * 6
    padding = bytes(plane.line_size - row)
    lines = (pixels[at : at + row] + padding for at in range(0, len(pixels), row))
    plane.update(b"".join(lines).ljust(plane.buffer_size, b"\0"))


def _pixels(picture: av.VideoFrame) -> bytes:
    plane, row = picture.planes[0], picture.width * 6
    whole = bytes(plane)
    return b"".join(whole[at : at + row] for at in range(0, picture.height * plane.line_size, plane.line_size))
