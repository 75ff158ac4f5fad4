"""Encoders of the frames at the cuts of a smart clip, whose packets fit between copied ones.

Their quality is near to the recording's own, because encoded frames are seen beside copied ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from av.codec.context import CodecContext, ThreadType

from clipengine.media.bitstream.copied_stream import CopiedStream
from clipengine.media.bitstream.h264_stream import ENCODER_PROFILES, H264Stream
from clipengine.media.bitstream.hevc_stream import ENCODER_PROFILES as HEVC_PROFILES
from clipengine.media.bitstream.hevc_stream import HevcStream
from clipengine.media.input.containers.container import codec_name
from clipengine.media.input.decoding.events import CopiedVideo
from clipengine.media.output.encoder_presets import VPX_SPEEDS

# Every frame is a reference and is shown in the order of decoding, so that slice headers can be rewritten. Without
# lookahead the encoder holds no frames, which takes 70 MB less at 1080p; the lower CRF makes up for its quality.
_X264_PARAMS = "bframes=0:scenecut=0:ref=1:weightp=0:slices=1:rc-lookahead=0:sync-lookahead=0"
_X264_CRF = "16"
_X265_PARAMS = (
    "log-level=error:bframes=0:keyint=-1:scenecut=0:ref=1:weightp=0:slices=1:rc-lookahead=0:cutree=0:lookahead-slices=0"
    ":wpp=0:pools=none:temporal-mvp=0:open-gop=0:info=0:repeat-headers=0"
)
_X265_CRF = "16"
_MAX_X265_THREADS = 8  # each of which codes one frame
# Without lookahead there are no hidden frames.
_VPX = {"lag-in-frames": "0", "auto-alt-ref": "0", "deadline": "good", "g": "999999"}
_VP8_QUANTIZER, _VP9_CRF = "10", "20"
_VP8_BITRATE = 1_000_000_000  # never reached, so that the quantizer is constant


class StoredFrames(NamedTuple):
    """The frames of a recording as they are stored."""

    bitstream: CopiedStream
    codec: str
    width: int
    height: int
    pixel_format: str
    color_range: int
    color_space: int

    @classmethod
    def of(cls, copied: CopiedVideo) -> StoredFrames:
        codec: Any = copied.stream.codec_context
        format = codec.width, codec.height, codec.pix_fmt, codec.color_range, codec.colorspace
        return cls(copied.bitstream, codec_name(copied.stream), *format)


def segment_encoder(stored: StoredFrames, preset: str, threads: int) -> Any:
    """Return an encoder of such frames. The caller sets its times, and opens it."""
    encoder = _ENCODERS[stored.codec](stored, preset, threads)
    encoder.thread_count, encoder.thread_type = threads, ThreadType.FRAME
    encoder.width, encoder.height = stored.bitstream.coded_size or (stored.width, stored.height)
    encoder.pix_fmt, encoder.color_range = stored.pixel_format, stored.color_range
    return encoder


def _h264(stored: StoredFrames, preset: str, threads: int) -> Any:
    assert isinstance(stored.bitstream, H264Stream)
    profile = ENCODER_PROFILES[stored.bitstream.sps.profile]
    params = f"{_X264_PARAMS}:keyint={'infinite' if stored.bitstream.sps.reference_frames else 1}"
    return _create("libx264", {"preset": preset, "crf": _X264_CRF, "profile": profile, "x264-params": params})


def _hevc(stored: StoredFrames, preset: str, threads: int) -> Any:
    """Return an encoder that divides frames into blocks as the recording's does."""
    assert isinstance(stored.bitstream, HevcStream)
    coding, sps = stored.bitstream.coding, stored.bitstream.sps
    largest = coding.smallest_block + 3 + coding.larger_blocks
    settings = {
        "frame-threads": min(threads, _MAX_X265_THREADS),
        "ctu": 1 << largest,
        "min-cu-size": 1 << coding.smallest_block + 3,
        "max-tu-size": 1 << coding.larger_transforms + 2,
        "tu-inter-depth": coding.inter_depth + 1,
        "tu-intra-depth": coding.intra_depth + 1,
        "scaling-list": "default" if coding.scaling else "off",
        "rect": int(coding.asymmetric),
        "amp": int(coding.asymmetric),
        "sao": int(coding.sample_adaptive),
        "strong-intra-smoothing": int(coding.strong_smoothing),
    }
    params = ":".join([_X265_PARAMS, *(f"{name}={value}" for name, value in settings.items())])
    options = {"preset": preset, "crf": _X265_CRF, "profile": HEVC_PROFILES[sps.profile], "x265-params": params}
    return _create("libx265", options)


def _vp8(stored: StoredFrames, preset: str, threads: int) -> Any:
    quantizer = {"qmin": _VP8_QUANTIZER, "qmax": _VP8_QUANTIZER}
    encoder = _create("libvpx", {**_VPX, **quantizer, "cpu-used": str(VPX_SPEEDS[preset])})
    encoder.bit_rate = _VP8_BITRATE
    return encoder


def _vp9(stored: StoredFrames, preset: str, threads: int) -> Any:
    encoder = _create("libvpx-vp9", {**_VPX, "crf": _VP9_CRF, "row-mt": "1", "cpu-used": str(VPX_SPEEDS[preset])})
    encoder.bit_rate = 0
    encoder.colorspace = stored.color_space
    return encoder


_ENCODERS: dict[str, Callable[[StoredFrames, str, int], Any]] = {"h264": _h264, "hevc": _hevc, "vp8": _vp8, "vp9": _vp9}


def _create(name: str, options: dict[str, str]) -> Any:
    encoder: Any = CodecContext.create(name, "w")
    encoder.options = options
    return encoder
