"""Segments of a clip with smart render: whole GOPs are copied, the frames at the cuts are encoded. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from clipengine.clips.edit import PlannedPart
from clipengine.clips.framing import keeps_picture
from clipengine.clips.plan import CutRange
from clipengine.clips.profiles import Profile

# Codecs of which packets are copied, and the containers into which they are.
COPIED = {"h264": ("mp4", "mkv"), "hevc": ("mp4", "mkv"), "vp8": ("webm", "mkv"), "vp9": ("webm", "mkv")}
# Copying less than this is not worth two kinds of segments.
_LEAST_SECONDS, _LEAST_PART = Fraction(2), Fraction(3, 10)


class CannotCopy(Exception):
    """Nothing of the recording's video can be copied, so all of the clip is encoded. The text is the reason."""


@dataclass(frozen=True)
class Segment:
    """Part of a clip, on the recording's timeline, whose packets are copied or whose frames are encoded."""

    kind: Literal["copy", "encode"]
    start: Fraction
    end: Fraction


def check_copyable(parts: Sequence[PlannedPart], profile: Profile) -> None:
    """Raise CannotCopy if the parts of a clip or the profile rule out that video packets are copied."""
    if len(parts) > 1:
        raise CannotCopy("a clip of several parts is always encoded")
    if parts[0].burnt is not None:
        raise CannotCopy("subtitles are drawn into the picture")
    facts = parts[0].facts
    video = facts.video
    if video is None or profile.video == "none":
        raise CannotCopy("the clip has no video")
    if profile.container not in COPIED.get(video.codec, ()):
        raise CannotCopy(f"{video.codec} into {profile.container} is always encoded")
    if video.codec != profile.video:
        raise CannotCopy(f"the recording is {video.codec}, the profile asks for {profile.video}")
    if profile.fps is not None:
        raise CannotCopy("a frame rate is set")
    if profile.output.changes_frames or not keeps_picture(video, profile):
        raise CannotCopy(f"{', '.join(profile.output.picture_options)} of the output changes the picture")
    if not facts.seekable:
        raise CannotCopy("the recording's timestamps jump")
    if video.frame_seconds <= 0:
        raise CannotCopy("the recording has one frame only")


def plan_segments(cut: CutRange, first_copied: Fraction | None) -> tuple[Segment, ...]:
    """Return the segments of the range if the keyframe at `first_copied` is the first whose packet can be copied.

    Raises CannotCopy if no such keyframe lies in the range, or if too little would be copied.
    """
    if first_copied is None or first_copied >= cut.last_moment:
        raise CannotCopy("no GOP begins in the range")
    copied = cut.end - first_copied
    if copied < min(_LEAST_SECONDS, _LEAST_PART * (cut.end - cut.start)):
        raise CannotCopy(f"only the last {float(copied):.1f} s could be copied")
    head = (Segment("encode", cut.start, first_copied),) if first_copied > cut.start + cut.half_frame else ()
    return (*head, Segment("copy", first_copied, cut.end))


def seam_threads(threads: int) -> int:
    """Return the threads of the decoder and of the encoder of frames at the cuts, which work side by side.

    Each thread holds frames, so the memory depends on it.
    """
    return max(1, threads // 2)
