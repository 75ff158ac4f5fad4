"""Estimates of what a clip costs: bytes to read, size of the file, and time. Pure.

They are rough: the size of encoded video depends on its content, and the time on the machine and its load.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from clipengine.clips.facts import SourceFacts
from clipengine.clips.framing import clip_size
from clipengine.clips.plan import kept_tracks
from clipengine.clips.profiles import Profile
from clipengine.clips.segments import Segment

# Of one core with x264 "veryfast". Rough, as the time also depends on the content.
_ENCODED_PIXELS_PER_SECOND, _DECODED_PIXELS_PER_SECOND = 40e6, 250e6
_CODEC_COSTS = {"h264": 1.0, "hevc": 3.0, "vp8": 2.0, "vp9": 3.0, "av1": 3.0, "gif": 1.0, "webp": 2.0, "none": 0.0}
_COPIED_BYTES_PER_SECOND = 100e6
_AUDIO_SECONDS_PER_SECOND = 50.0  # of one track, decoded and encoded
_STARTUP_SECONDS = 0.4  # of the child processes
_REFERENCE_CRF, _CRF_STEP = 23, 6  # the size doubles with each step
_BITS_PER_PIXEL = {"gif": 3.0, "webp": 0.5}
_USUAL_BITS_PER_PIXEL = 0.06


class Estimate(NamedTuple):
    """Cost of a clip."""

    bytes: int
    seconds: float
    bytes_to_read: int


def estimate(
    facts: SourceFacts, profile: Profile, segments: Sequence[Segment], *, file_bytes: int, head_seconds: Fraction
) -> Estimate:
    """Return the cost of a clip with these segments of a recording of `file_bytes`, with one thread.

    Reading begins `head_seconds` before the clip.
    """
    length = sum((each.end - each.start for each in segments), Fraction(0))
    copied = sum((each.end - each.start for each in segments if each.kind == "copy"), Fraction(0))
    bytes_per_second = float(file_bytes / facts.duration)
    pixels = _pixels_per_second(facts, profile)
    tracks = len(kept_tracks(profile, facts.audio))
    encoded = float(length - copied)
    size = encoded * _encoded_bytes_per_second(profile, pixels) + float(copied) * bytes_per_second
    size += float(length) * tracks * profile.audio_bitrate / 8
    seconds = _STARTUP_SECONDS + float(length) * tracks / _AUDIO_SECONDS_PER_SECOND
    seconds += encoded * pixels * _CODEC_COSTS[profile.video] / _ENCODED_PIXELS_PER_SECOND
    seconds += float(length + head_seconds) * pixels / _DECODED_PIXELS_PER_SECOND
    seconds += float(copied) * bytes_per_second / _COPIED_BYTES_PER_SECOND
    return Estimate(
        round(size), round(seconds, 3), min(file_bytes, round(float(length + head_seconds) * bytes_per_second))
    )


def _pixels_per_second(facts: SourceFacts, profile: Profile) -> float:
    video = facts.video
    if video is None or profile.video == "none":
        return 0.0
    width, height = clip_size(video, profile)
    return width * height * (profile.fps or video.fps or 25)


def _encoded_bytes_per_second(profile: Profile, pixels: float) -> float:
    if profile.video_bitrate is not None:
        return profile.video_bitrate / 8 if pixels else 0.0
    quality = 2 ** ((_REFERENCE_CRF - (profile.crf or _REFERENCE_CRF)) / _CRF_STEP)
    return pixels * _BITS_PER_PIXEL.get(profile.video, _USUAL_BITS_PER_PIXEL) * quality / 8
