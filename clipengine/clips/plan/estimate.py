"""Estimates of the cost of a clip: bytes to read, size of the file, and time. Pure.

They are rough: the size of encoded video depends on its content, and the time on the machine and its load.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from clipengine.clips.options.framing import clip_size
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.frame_count import mean_rate
from clipengine.clips.plan.frames import kept_tracks
from clipengine.clips.plan.segments import Segment
from clipengine.recordings.facts import SourceFacts

# Of one core with x264 "veryfast". Rough, as the time also depends on the content.
_ENCODED_PIXELS_PER_SECOND, _DECODED_PIXELS_PER_SECOND = 40e6, 250e6
_CODEC_COSTS = {"h264": 1.0, "hevc": 3.0, "vp8": 2.0, "vp9": 3.0, "av1": 3.0, "gif": 1.0, "webp": 2.0, "none": 0.0}
_COPIED_BYTES_PER_SECOND = 100e6
_AUDIO_SECONDS_PER_SECOND = 50.0  # of one track, decoded and encoded
_STARTUP_SECONDS = 0.4  # of the child processes
_REFERENCE_CRF, _CRF_STEP = 23, 6  # the size doubles with each step
_BITS_PER_PIXEL = {"gif": 3.0, "webp": 0.5}
# Measured on 46 real recordings with x264: the bits per pixel of a clip grow more slowly than the bits per pixel of the
# recording, and a smaller picture has more bits per pixel.
_FACTOR, _GROWTH, _GROWTH_IF_SMALLER = 0.3, 2 / 3, 1 / 4
# Bits that H.264 needs for each bit of the recording's codec. Codecs that are not listed are older.
_EFFICIENCY = {"h264": 1.0, "hevc": 1.5, "vp9": 2.0, "av1": 3.0}
_EFFICIENCY |= dict.fromkeys(("prores", "dnxhd", "mjpeg", "jpeg2000", "rawvideo", "ffv1", "huffyuv", "dvvideo"), 0.1)
_OLD_EFFICIENCY = 0.4
_KEYFRAME_FACTOR = 10  # the size of a keyframe, and of the frames that are read around it, in mean frames
_AUDIO_BITS_PER_SECOND = 64_000  # of a track of the recording


class Estimate(NamedTuple):
    """Cost of a clip."""

    bytes: int
    seconds: float
    bytes_to_read: int


def estimate(
    facts: SourceFacts,
    profile: Profile,
    segments: Sequence[Segment],
    *,
    file_bytes: int,
    head_seconds: Fraction,
    copied_bytes: int | None = None,
) -> Estimate:
    """Return the cost of a clip with these segments of a recording of `file_bytes`, with one thread.

    Reading begins `head_seconds` before the clip. The packets to copy have `copied_bytes`, if they were read.
    """
    length = sum((each.end - each.start for each in segments), Fraction(0))
    copied = sum((each.end - each.start for each in segments if each.kind == "copy"), Fraction(0))
    bytes_per_second = float(file_bytes / facts.duration)
    pixels = _pixels_per_second(facts, profile)
    tracks = len(kept_tracks(profile, facts.audio))
    encoded = float(length - copied)
    bits = _bits_per_pixel(facts, profile, 8 * bytes_per_second)
    size = encoded * _encoded_bytes_per_second(profile, pixels, bits)
    size += float(copied) * bytes_per_second if copied_bytes is None else copied_bytes
    size += float(length) * tracks * profile.audio_bitrate / 8
    seconds = _STARTUP_SECONDS + float(length) * tracks / _AUDIO_SECONDS_PER_SECOND
    seconds += encoded * pixels * _CODEC_COSTS[profile.video] / _ENCODED_PIXELS_PER_SECOND
    seconds += float(length + head_seconds) * pixels / _DECODED_PIXELS_PER_SECOND
    seconds += float(copied) * bytes_per_second / _COPIED_BYTES_PER_SECOND
    read = float(length + head_seconds) * bytes_per_second
    if profile.output.is_timelapse and facts.video is not None:
        frame_bytes = bytes_per_second / float(mean_rate(facts))
        read = min(read, float(length) * _frame_rate(facts, profile) * frame_bytes * _KEYFRAME_FACTOR)
    return Estimate(round(size), round(seconds, 3), min(file_bytes, round(read)))


def _pixels_per_second(facts: SourceFacts, profile: Profile) -> float:
    if facts.video is None or profile.video == "none":
        return 0.0
    return math.prod(clip_size(facts.video, profile)) * _frame_rate(facts, profile)


def _frame_rate(facts: SourceFacts, profile: Profile) -> float:
    """Return how many frames of the clip show a second of the recording."""
    return profile.fps / float(profile.output.tempo) if profile.fps else float(mean_rate(facts))


def _bits_per_pixel(facts: SourceFacts, profile: Profile, bits_per_second: float) -> float:
    """Return the expected bits per encoded pixel, from the bits per pixel of the recording."""
    video = facts.video
    if profile.video in _BITS_PER_PIXEL or video is None or not video.width * video.height:
        return _BITS_PER_PIXEL.get(profile.video, 0.0)
    stored = video.width * video.height
    bits = max(bits_per_second - _AUDIO_BITS_PER_SECOND * len(facts.audio), bits_per_second / 10)
    own = bits / (stored * float(mean_rate(facts))) * _EFFICIENCY.get(video.codec, _OLD_EFFICIENCY)
    smaller = max(1.0, stored / math.prod(clip_size(video, profile)))
    return float(_FACTOR * own**_GROWTH * smaller**_GROWTH_IF_SMALLER)


def _encoded_bytes_per_second(profile: Profile, pixels: float, bits_per_pixel: float) -> float:
    if profile.video_bitrate is not None:
        return profile.video_bitrate / 8 if pixels else 0.0
    quality = 2 ** ((_REFERENCE_CRF - (profile.crf or _REFERENCE_CRF)) / _CRF_STEP)
    return pixels * bits_per_pixel * quality / 8
