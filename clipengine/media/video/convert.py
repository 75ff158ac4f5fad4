"""Conversion of decoded frames to the profile's size, pixel format and colours, rotated upright.

A frame that already has the right format goes to the encoder unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import av
from av.filter import Graph
from av.video.reformatter import VideoReformatter

from clipengine.clips.options.effects import Effects
from clipengine.clips.options.framing import (
    Box,
    Framing,
    Size,
    framing,
    output_size,
    reframes,
    shown_region,
    upright_ratio,
)
from clipengine.clips.options.output import Focus
from clipengine.clips.options.picture_size import unstated_ratio
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.segments import CannotCopy
from clipengine.errors import UnsupportedMedia
from clipengine.media.video.blur_boxes import blur_layers
from clipengine.media.video.captions import Captions
from clipengine.media.video.fade import fade_filters
from clipengine.media.video.filter_graph import TIME_BASE, FrameShape, Step, linear_graph, pull_one, shape_of
from clipengine.media.video.frame_format import (
    BT601,
    BT709_COLORS,
    FULL,
    LIMITED,
    RGB_MATRIX,
    SWS_BICUBIC_ACCURATE,
    Colors,
    FrameFormat,
    colors_of,
    is_full_range_format,
)
from clipengine.media.video.overlay import Overlay, WatermarkImage
from clipengine.media.video.reframe import bars, cropping, fitted_size, reframing_filters
from clipengine.media.video.rotate import rotation_of, upright_filters
from clipengine.media.video.tonemap_lut import HLG, PQ, ToneMapper, is_hdr
from clipengine.media.video.tonemap_lut import PIXEL_FORMAT as TONE_FORMAT


def _pixel_format(profile: Profile, frame: av.VideoFrame, keeps_hdr: bool) -> str:
    if profile.pixel_format == "yuv420p10le" or keeps_hdr:
        return "yuv420p10le"
    # x264 and x265 accept the deprecated full-range formats, so no conversion is needed.
    full = is_full_range_format(frame.format.name)
    return "yuvj420p" if full and profile.video in ("h264", "hevc") else "yuv420p"


def _shown(frame: av.VideoFrame, *, transposed: bool) -> tuple[int, int]:
    return (frame.height, frame.width) if transposed else (frame.width, frame.height)


def _fitted(width: int, height: int, ratio: Fraction, target: FrameFormat) -> Framing:
    """Return the framing that fits a picture into the target's size, with bars if more than a pixel is missing."""
    canvas = Size(target.width, target.height)
    inner = fitted_size(width * ratio / height / target.sample_aspect_ratio, canvas)
    return Framing(Box(0, 0, width, height), inner, canvas, target.sample_aspect_ratio)


class FrameConverter:
    """Converts decoded frames to the clip's format, which is derived from the first frame and the `size`.

    The stored `size` is the size of the first frame by default. Frames of another size or shape are fitted into it with
    black bars, in the shape that their own sample aspect ratio gives them: the ratio in `opaque` if the codec's headers
    state one.

    With `target`, the format of an earlier part, frames are scaled into its size, with black bars if their aspect ratio
    differs. The watermark and the captions are drawn over the result, and fade with it. Raises UnsupportedMedia if only
    one of the two is HDR. Without a `sample_aspect_ratio`, frames keep the shape in which they are stored.
    """

    def __init__(
        self,
        profile: Profile,
        first: av.VideoFrame,
        sample_aspect_ratio: Fraction | None,
        *,
        size: tuple[int, int] | None = None,
        target: FrameFormat | None = None,
        effects: Effects = Effects(),
        watermark: WatermarkImage | None = None,
        captions: Callable[[FrameFormat], Captions] | None = None,
    ) -> None:
        self._tone_mapper = ToneMapper(first) if is_hdr(first) and profile.hdr == "tonemap" else None
        self.keeps_hdr = is_hdr(first) and self._tone_mapper is None
        self._rgb = colors_of(first).matrix == RGB_MATRIX
        rotation = rotation_of(first)
        options, ratio = profile.output, upright_ratio(sample_aspect_ratio, rotation)
        reframed = reframes(profile, ratio)
        max_height = None if reframed else profile.max_height  # filters scale the picture after it is cropped
        self.stored = size or (first.width, first.height)
        width, height = output_size(*self.stored, rotation=rotation, max_height=max_height)
        self._shown = self.stored[::-1] if rotation % 180 else self.stored
        self._upright = Size(width, height)
        self._ratio, self._keeps_shapes = sample_aspect_ratio or Fraction(1), sample_aspect_ratio is not None
        self._effects = effects
        self._changes: tuple[Step, ...] = ()  # of the upright picture
        self._moving_region: Callable[[Focus], Box] | None = None
        if reframed:
            square = profile.is_animation
            framed = framing(options, width, height, ratio, max_height=profile.max_height, square=square)
            if effects.focus and framed.region != Box(0, 0, width, height):
                self._moving_region = partial(shown_region, options, width, height, ratio)
                width, height = framed.region.width, framed.region.height
                framed = framed._replace(region=Box(0, 0, width, height))  # it is cropped already
            self._changes += reframing_filters(framed, width, height, options.fit)
            (width, height), ratio = framed.canvas, framed.sample_aspect_ratio
        colors = BT709_COLORS if self._tone_mapper is not None or self._rgb else colors_of(first)
        self.format = target or FrameFormat(
            width=width,
            height=height,
            pixel_format=_pixel_format(profile, first, self.keeps_hdr),
            sample_aspect_ratio=ratio,
            colors=colors,
        )
        if target is not None:
            self._check_joined(target.colors, colors)
            self._changes += reframing_filters(_fitted(width, height, ratio, target), width, height, None)
        drawn = captions and captions(self.format)
        self._overlay = Overlay(self.format, watermark, drawn) if watermark or drawn else None
        # Captions fade in a second graph: a graph that is made again for each caption would begin the fade again.
        self._fader = FrameFader(effects)
        if self._overlay is None:
            self._changes += fade_filters(effects)
        self._reformatter = VideoReformatter()
        self._to_rgb = VideoReformatter()  # one per conversion: a reformatter caches the tables of a single one
        # Boxes and crops move, which makes their graph again; fades would begin again with it.
        self._moving, self._graph = _FrameGraph(), _FrameGraph()

    def convert(
        self, frame: av.VideoFrame, time: Fraction = Fraction(0), duration: Fraction = Fraction(0)
    ) -> av.VideoFrame:
        """Return the frame in the clip's format, as it is shown at `time` (clip time) for `duration` seconds.

        The caller sets its times.
        """
        transposed = rotation_of(frame) % 180 != 0
        placed = self._placed(frame, transposed=transposed)
        steps: tuple[Step, ...] = (
            *upright_filters(frame),
            *bars(placed, self._upright),
            *blur_layers(self._effects.boxes(time, duration), *self._upright),
            *self._moving_crop(time),
        )
        width, height = placed[::-1] if transposed else placed
        frame = self._moving.apply(self._reformat(frame, width, height), steps, time)
        frame = self._graph.apply(frame, self._changes, time)
        return frame if self._overlay is None else self._fader.apply(self._overlay.apply(frame, time), time)

    def _moving_crop(self, time: Fraction) -> tuple[Step, ...]:
        """Return the filter for a crop that moves."""
        if self._moving_region is None:
            return ()
        return (cropping(self._moving_region(self._effects.focus_at(time))),)

    def fits(self, frame: av.VideoFrame) -> bool:
        """Return True if the frame has the size and the shape from which the clip's are derived."""
        shown = _shown(frame, transposed=rotation_of(frame) % 180 != 0)
        return shown == self._shown and self.ratio_of(frame) == self._ratio

    def ratio_of(self, frame: av.VideoFrame) -> Fraction:
        """Return the sample aspect ratio of the frame as it is stored."""
        if self._keeps_shapes and isinstance(frame.opaque, Fraction):
            return frame.opaque
        return unstated_ratio((frame.width, frame.height), self.stored, self._ratio)

    def _placed(self, frame: av.VideoFrame, *, transposed: bool) -> Size:
        """Return the size of the frame's picture within the upright picture."""
        if self.fits(frame):
            return self._upright
        shown, rotation = _shown(frame, transposed=transposed), rotation_of(frame)
        ratio = upright_ratio(self.ratio_of(frame), rotation) / upright_ratio(self._ratio, rotation)
        return fitted_size(Fraction(*shown) * ratio, self._upright)

    def _check_joined(self, clip: Colors, colors: Colors) -> None:
        """Raise UnsupportedMedia if frames of these colours cannot be part of a clip of others."""
        tonemap = 'use a profile with hdr = "tonemap"'
        if (clip.transfer in (PQ, HLG)) != self.keeps_hdr:
            raise UnsupportedMedia(f"HDR and SDR parts cannot be joined in HDR: {tonemap}")
        if self.keeps_hdr and clip.transfer != colors.transfer:
            raise UnsupportedMedia(f"HDR parts with PQ and with HLG cannot be joined in HDR: {tonemap}")

    def check_kept(self, frame: av.VideoFrame) -> None:
        """Raise CannotCopy if the clip would not contain such a frame as it is stored, apart from its rotation."""
        if not self._keeps(frame):
            raise CannotCopy("the profile changes the size, the format or the colours of its frames")
        if frame.interlaced_frame:
            raise CannotCopy("it is interlaced")

    def _keeps(self, frame: av.VideoFrame) -> bool:
        stored = frame.height, frame.width
        size = stored if rotation_of(frame) % 180 else stored[::-1]
        same_format = frame.format.name == self.format.pixel_format and not self._rgb and self._tone_mapper is None
        return (
            same_format and (self.format.width, self.format.height) == size and self.format.colors == colors_of(frame)
        )

    def _reformat(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        """Return the frame in this size and in the format and the colours of the clip."""
        colors, clip = colors_of(frame), self.format.colors
        if self._tone_mapper is not None:
            rgb = self._to_rgb.reformat(
                frame, width, height, TONE_FORMAT, interpolation=SWS_BICUBIC_ACCURATE, dst_color_range=FULL
            )
            frame = self._tone_mapper.apply(rgb)
            colors = colors_of(frame)
        elif self._rgb:
            colors = colors._replace(range=FULL)
        shown = clip
        if colors.matrix != clip.matrix:
            colors, shown = colors.known(frame.height), clip.known(self.format.height)
        same_size = (frame.width, frame.height, frame.format.name) == (width, height, self.format.pixel_format)
        same_colors = colors.sws_matrix == shown.sws_matrix and (colors.range == FULL) is (shown.range == FULL)
        if not (same_size and same_colors):
            frame = self._reformatter.reformat(
                frame,
                width,
                height,
                self.format.pixel_format,
                interpolation=SWS_BICUBIC_ACCURATE,
                src_colorspace=colors.sws_matrix,
                src_color_range=colors.range or LIMITED,
                dst_colorspace=shown.sws_matrix,
                dst_color_range=shown.range or LIMITED,
            )
        clip.tag(frame)
        return frame


class FrameFader:
    """Fades frames that are in the clip's format already."""

    def __init__(self, effects: Effects) -> None:
        self._fades = fade_filters(effects)
        self._graph = _FrameGraph()

    def apply(self, frame: av.VideoFrame, time: Fraction) -> av.VideoFrame:
        """Return the frame as it is shown at `time` (clip time)."""
        return self._graph.apply(frame, self._fades, time)


class _FrameGraph:
    """Filter graph that is made again if the size, the format or the steps change."""

    def __init__(self) -> None:
        self._shape: tuple[FrameShape, tuple[Step, ...]] | None = None
        self._graph: Graph | None = None

    def apply(self, frame: av.VideoFrame, steps: tuple[Step, ...], time: Fraction) -> av.VideoFrame:
        """Return the frame that is shown at `time` after these steps; the same one if there are none."""
        if not steps:
            return frame
        shape = shape_of(frame), steps
        if self._graph is None or self._shape != shape:
            self._shape, self._graph = shape, linear_graph(frame, steps)
        frame.pts, frame.time_base = round(time / TIME_BASE), TIME_BASE
        return pull_one(self._graph, frame)


def jpeg(frame: av.VideoFrame, *, max_width: int = 1280, quality: int = 3) -> bytes:
    """Return the frame as a baseline JPEG, at most `max_width` wide, with `quality` from 2 (best) to 31."""
    if is_hdr(frame):
        frame = FrameConverter(Profile(), frame, None).convert(frame)
    width = min(frame.width, max_width)
    height = max(2, round(frame.height * width / frame.width))
    reformatter = VideoReformatter()
    scaled = reformatter.reformat(
        frame,
        max(2, width - width % 2),
        height - height % 2,
        "yuvj420p",
        interpolation=SWS_BICUBIC_ACCURATE,
        dst_colorspace=Colors(BT601).sws_matrix,  # as JFIF readers assume
        dst_color_range=FULL,
    )
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = scaled.width, scaled.height
    encoder.pix_fmt = "yuvj420p"
    encoder.color_range = FULL
    encoder.time_base = Fraction(1, 25)
    encoder.qscale = True
    encoder.global_quality = quality * 118  # FF_QP2LAMBDA
    scaled.pts, scaled.time_base = 0, Fraction(1, 25)
    scaled.pict_type = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(scaled), *encoder.encode(None)])
