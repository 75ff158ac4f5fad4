"""Set-up of the video encoders of profiles."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from av.codec.context import CodecContext, Flags, ThreadType

from clipengine.clips.options.profiles import Profile
from clipengine.media.output.encoder_presets import AV1_PRESETS, VPX_SPEEDS
from clipengine.media.video.frame_format import FrameFormat

# Common frame rates (24, 25, 30, 50, 60 and their 1000/1001 forms) are exact to 11 µs in it.
VIDEO_TIME_BASE = Fraction(1, 90_000)
VIDEO_ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp8": "libvpx", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
_NARROW_PIXELS = 64
_VP8_BITRATE = 500_000_000  # its limit besides crf


def set_format(context: Any, format: FrameFormat) -> None:
    """Set the frames that a video encoder gets: size, pixel format, colours, and times in `VIDEO_TIME_BASE`."""
    context.width, context.height = format.width, format.height
    context.pix_fmt = format.pixel_format
    context.time_base = VIDEO_TIME_BASE
    context.colorspace, context.color_range, context.color_primaries, context.color_trc = format.colors


def set_up_encoder(context: Any, profile: Profile, format: FrameFormat, *, threads: int) -> None:
    """Set up the profile's video encoder for frames of this format."""
    set_format(context, format)
    context.sample_aspect_ratio = format.sample_aspect_ratio
    # x264 needs more threads than cores to keep them busy, as its frame threads wait for each other.
    context.thread_count = threads * 3 // 2 if profile.video == "h264" else threads
    # PyAV defaults to slice threading, which slows x264 down by a fifth on two cores.
    context.thread_type = ThreadType.FRAME
    context.flags |= Flags.frame_duration
    context.options = _options(profile, format.width, threads)
    if profile.video_bitrate is not None:
        context.bit_rate = profile.video_bitrate
    elif profile.video == "vp8":
        context.bit_rate = _VP8_BITRATE


def open_beside(own: Any, profile: Profile, format: FrameFormat, *, threads: int) -> Any:
    """Open an encoder that writes the same parameter sets as `own`, the encoder of a stream."""
    encoder: Any = CodecContext.create(own.name, "w")
    encoder.framerate = own.framerate
    encoder.flags |= own.flags & Flags.global_header
    set_up_encoder(encoder, profile, format, threads=threads)
    encoder.open()
    return encoder


def _options(profile: Profile, width: int, threads: int) -> dict[str, str]:
    options: dict[str, str] = {}
    crf = None if profile.video_bitrate is not None else f"{profile.crf:g}"
    if profile.video in ("h264", "hevc"):
        options["preset"] = profile.preset
    elif profile.video == "av1":
        # FFmpeg does not pass the number of threads on. The level of parallelism 1 to 6 stands for it.
        options |= {"preset": str(AV1_PRESETS[profile.preset]), "svtav1-params": f"lp={min(threads, 6)}"}
    else:
        options |= {"deadline": "good", "cpu-used": str(VPX_SPEEDS[profile.preset])}
        options |= {"row-mt": "1"} if profile.video == "vp9" else {}
    if profile.video == "hevc":
        # Its cutree writes behind the end of its tables if a frame is narrow, and the process aborts.
        options["x265-params"] = "log-level=error" + (":cutree=0" if width < _NARROW_PIXELS else "")
    if crf is not None:
        options["crf"] = crf
    return options
