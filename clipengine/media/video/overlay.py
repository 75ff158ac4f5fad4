"""Pictures that are drawn over the finished frames of a clip: a watermark, and subtitles that are burnt in."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
from av.video.reformatter import VideoReformatter

from clipengine.clips.options.framing import Box, Size
from clipengine.clips.options.watermarks import MAX_PNG_SIDE, WatermarkStyle
from clipengine.clips.texts.captions import Caption
from clipengine.errors import EncoderFailed
from clipengine.media.video.captions import Captions
from clipengine.media.video.filter_graph import TIME_BASE, OverlayGraph, Still, linear_graph, pull_one, still_format
from clipengine.media.video.frame_format import FULL, LIMITED, SWS_BICUBIC_ACCURATE, FrameFormat
from clipengine.media.video.tonemap_lut import HLG, PQ

# White of graphics in HDR, 203 cd/m2 (ITU-R BT.2408), as a part of the full signal.
_HDR_WHITE = {PQ: 0.58, HLG: 0.75}


class WatermarkImage(NamedTuple):
    """The decoded image of a watermark, in any pixel format, and its style."""

    frame: av.VideoFrame
    style: WatermarkStyle


def decode_watermark(png: bytes, style: WatermarkStyle) -> WatermarkImage:
    """Decode the PNG file of a watermark. Raises EncoderFailed if it is damaged."""
    decoder = av.CodecContext.create("png", "r")
    decoder.options = {"max_pixels": str(MAX_PNG_SIDE**2)}
    try:
        frames = [*decoder.decode(av.Packet(png)), *decoder.decode(None)]
    except av.FFmpegError as error:
        raise EncoderFailed(
            "the PNG file of the watermark cannot be decoded", hint="Save the picture again."
        ) from error
    if not frames or not isinstance(frames[0], av.VideoFrame):
        raise EncoderFailed("the PNG file of the watermark has no picture", hint="Save the picture again.")
    return WatermarkImage(frames[0], style)


class Overlay:
    """Draws over frames of the clip's format. Frames over which nothing is shown are returned as they are."""

    def __init__(self, format: FrameFormat, watermark: WatermarkImage | None, captions: Captions | None) -> None:
        self._format = format
        self._captions = captions
        self._canvas = Size(format.width, format.height)
        self._watermark: tuple[Still, ...] = ()
        if watermark is not None:
            size = Size(watermark.frame.width, watermark.frame.height)
            box = watermark.style.box(size, self._canvas, format.sample_aspect_ratio)
            self._watermark = (self._still(watermark.frame, box, watermark.style.opacity),)
        self._shown: tuple[Caption, ...] = ()
        self._stills: tuple[Still, ...] = self._watermark
        self._graph: OverlayGraph | None = None

    def apply(self, frame: av.VideoFrame, time: Fraction) -> av.VideoFrame:
        """Return the frame with all that is shown at `time`, in seconds from the start of the part."""
        captions = () if self._captions is None else self._captions.shown(time)
        if captions != self._shown:
            self._shown, self._graph = captions, None
            self._stills = (*self._watermark, *self._captioned(captions))
        if not self._stills:
            return frame
        if self._graph is None:
            self._graph = OverlayGraph(frame, self._stills)
        frame.pts, frame.time_base = round(time / TIME_BASE), TIME_BASE
        return self._graph.apply(frame)

    def _captioned(self, captions: tuple[Caption, ...]) -> Iterator[Still]:
        if captions and self._captions is not None:
            image = self._captions.image(captions)
            if image is not None:
                yield self._still(image.frame, image.box, 1.0)

    def _still(self, image: av.VideoFrame, box: Box, opacity: float) -> Still:
        """Return the image in the size of its box and in the colours of the clip."""
        white = _HDR_WHITE.get(self._format.colors.transfer, 1.0)
        steps = (
            "format=gbrap",
            "premultiply=inplace=1",  # otherwise the colours of transparent pixels would be seen at the edges
            f"scale={box.width}:{box.height}:flags=bicubic+accurate_rnd",
            "unpremultiply=inplace=1",
            f"colorchannelmixer=rr={white}:gg={white}:bb={white}:aa={opacity}",
            "format=rgba",
        )
        rgba = VideoReformatter().reformat(image, format="rgba", dst_color_range=FULL)
        rgba.pts, rgba.time_base = 0, TIME_BASE
        shown = pull_one(linear_graph(rgba, steps), rgba)
        still = VideoReformatter().reformat(
            shown,
            format=still_format(self._format.pixel_format),
            interpolation=SWS_BICUBIC_ACCURATE,
            src_color_range=FULL,
            dst_colorspace=self._format.colors.known(self._canvas.height).sws_matrix,
            dst_color_range=self._format.colors.range or LIMITED,
        )
        return Still(still, box.x, box.y)
