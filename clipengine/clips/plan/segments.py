"""Segments of a clip with smart render: GOPs are copied, the frames at the cuts are encoded. Pure.

A part is cut from one recording. Its first segment is encoded, up to the first keyframe in its range from which packets
can be copied (K: a keyframe, `.`: another frame):

    recording   K . . . . . . . K . . . . . . . K . . . . . . .
    range             [                                 )
    segments          | encode  |         copy          |

This module also decides which parts of a clip are copied, or that the whole clip is encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

from clipengine.clips.cut_range import CutRange
from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.framing import keeps_picture
from clipengine.clips.options.profiles import Profile
from clipengine.recordings.facts import VideoFacts

# Codecs whose packets are copied, each with the containers that may hold the copies.
COPIED = {"h264": ("mp4", "mkv"), "hevc": ("mp4", "mkv"), "vp8": ("webm", "mkv"), "vp9": ("webm", "mkv")}
# All of a part is encoded if fewer seconds than this, and a smaller share of its range, could be copied.
_LEAST_SECONDS, _LEAST_PART = Fraction(2), Fraction(3, 10)
MAX_SEGMENTS = 1000  # of a part in a plan
OTHER_PARAMETERS = "its parameter sets are not those of the first part"
NO_VIDEO_AT_START = "a part has no video at its start"
TOO_MANY_BYTES = "it has too many bytes"
REPEATED_KEYFRAME = "it begins with the frame with which the part before it ends"


class CannotCopy(Exception):
    """Nothing of a part or of the clip can be copied, so all of it is encoded. The text is the reason."""


@dataclass(frozen=True)
class Segment:
    """Part of a clip, on the recording's timeline, whose packets are copied or whose frames are encoded."""

    kind: Literal["copy", "encode"]
    start: Fraction
    end: Fraction


class RefusedStretch(NamedTuple):
    """A stretch of a smart clip that is encoded because a GOP in it cannot be copied.

    An `end` of None is the end of the clip.
    """

    start: Fraction
    end: Fraction | None
    reason: str


def check_copyable(parts: Sequence[PlannedPart], profile: Profile) -> None:
    """Raise CannotCopy if the parts of a clip or the profile do not allow copying video packets."""
    if any(part.burnt is not None for part in parts):
        raise CannotCopy("subtitles are drawn into the picture")
    if any(part.removed.spans for part in parts):
        raise CannotCopy("pauses or fillers are removed")
    videos = [part.facts.video for part in parts if part.facts.video is not None]
    if not videos or profile.video == "none":
        raise CannotCopy("the clip has no video")
    if len(videos) < len(parts):
        raise CannotCopy("a part has no video")
    check_part_copyable(parts[0], profile)
    if profile.fps is not None:
        raise CannotCopy("a frame rate is set")
    if profile.output.changes_frames or not all(keeps_picture(video, profile) for video in videos):
        raise CannotCopy(f"{', '.join(profile.output.picture_options)} of the output changes the picture")
    if any(_shape(video) != _shape(videos[0]) for video in videos):
        raise CannotCopy("the parts have pictures of different sizes")


def check_part_copyable(part: PlannedPart, profile: Profile) -> None:
    """Raise CannotCopy if the recording of a part or the profile does not allow copying video packets."""
    video = part.facts.video
    if video is None:
        raise CannotCopy("it has no video")
    if profile.container not in COPIED.get(video.codec, ()):
        raise CannotCopy(f"{video.codec} into {profile.container} is always encoded")
    if video.codec != profile.video:
        raise CannotCopy(f"the recording is {video.codec}, the profile asks for {profile.video}")
    if not part.facts.seekable:
        raise CannotCopy("the recording's timestamps jump")
    if video.frame_seconds <= 0:
        raise CannotCopy("the recording has one frame only")


def named(parts: Sequence[PlannedPart], number: int, reason: str) -> str:
    """Return the reason for encoding all of a clip, with the number of the part if there are several."""
    return reason if len(parts) == 1 else f"part {number + 1}: {reason}"


def check_share(parts: Sequence[PlannedPart], refused: Mapping[int, str]) -> None:
    """Raise CannotCopy if more than half of a clip is in `refused` parts.

    `refused` maps the number of each part that cannot be copied to the reason. Frames between copied packets are
    encoded in a way that takes many bytes, so a clip with many of them is encoded as a whole.
    """
    lengths = [end - start for start, end in (part.range for part in parts)]
    if 2 * sum(lengths[number] for number in refused) > sum(lengths):
        number, reason = list(refused.items())[-1]
        share = "" if len(parts) == 1 else "less than half of it could be copied; "
        raise CannotCopy(share + named(parts, number, reason))


class FoundPart(NamedTuple):
    """Findings of the plan of a part that decide if it is copied.

    `stream` is a checksum of the stream's parameters, None if the stream cannot be copied. `reason` says why no packet
    can be copied, None if some can. `only_frame` is the id of the keyframe if the part has only this frame and two
    copies of it must not follow each other. `misfit` says why frames of the part cannot be encoded to fit between
    copied frames: the whole clip is then encoded.
    """

    stream: str | None
    reason: str | None
    only_frame: str | None = None
    misfit: str | None = None


class CopyChoice:
    """Choice between copying and encoding each part of a clip. The cutter and plans use it, part by part.

    `refused` maps the number of each encoded part to the reason. Methods raise CannotCopy if the whole clip must be
    encoded.
    """

    def __init__(self, parts: Sequence[PlannedPart]) -> None:
        self._parts = parts
        self._begun = False
        self.refused: dict[int, str] = {}

    def begin(self) -> None:
        """Note that a part's stream can be copied. Other parts may now be encoded to fit this stream."""
        self._begun = True

    def refuse(self, number: int, reason: str) -> None:
        """Note that a part is encoded, to fit the stream of the copied parts.

        Raises CannotCopy if no part has begun this stream, or if more than half of the clip would be encoded so.
        """
        if not self._begun:
            raise self.refusal(number, reason)
        self.refused[number] = reason
        check_share(self._parts, self.refused)

    def refusal(self, number: int, reason: str) -> CannotCopy:
        """Return the error which says that this part forces all of the clip to be encoded."""
        return CannotCopy(named(self._parts, number, reason))


def refused_parts(parts: Sequence[PlannedPart], found: Sequence[FoundPart]) -> dict[int, str]:
    """Return the numbers of the parts that are encoded, each with the reason. The others are copied.

    Raises CannotCopy if all of the clip must be encoded.
    """
    choice = CopyChoice(parts)
    before: str | None = None
    for number, (stream, reason, only_frame, misfit) in enumerate(found):
        if stream is not None:
            choice.begin()
        if stream not in (None, found[0].stream):
            reason = OTHER_PARAMETERS
        elif reason is None and only_frame is not None and only_frame == before:
            reason = REPEATED_KEYFRAME
        before = only_frame if reason is None else None
        if reason is not None:
            choice.refuse(number, reason)
        if misfit is not None:
            raise choice.refusal(number, misfit)
    return choice.refused


def _shape(video: VideoFacts) -> tuple[object, ...]:
    return video.width, video.height, video.rotation, video.sample_aspect_ratio


def plan_segments(cut: CutRange, first_copied: Fraction | None) -> tuple[Segment, ...]:
    """Return the segments of the range, given the first keyframe from which packets can be copied.

    Nothing is encoded before the keyframe if the clip may begin on it. Raises CannotCopy if no such keyframe is in the
    range, or if too little would be copied.
    """
    if first_copied is None or first_copied >= cut.last_moment:
        raise CannotCopy("no GOP begins in the range")
    copied = cut.end - first_copied
    if copied < min(_LEAST_SECONDS, _LEAST_PART * (cut.end - cut.start)):
        raise CannotCopy(f"only the last {float(copied):.1f} s could be copied")
    head = (Segment("encode", cut.start, first_copied),) if first_copied > cut.latest_start else ()
    return (*head, Segment("copy", first_copied, cut.end))


def seam_threads(threads: int) -> int:
    """Return the number of threads for the decoder, and for the encoder, of frames at the cuts.

    Both run at the same time, so each gets half of the `threads`. Each thread holds frames, so that fewer threads also
    need less memory.
    """
    return max(1, threads // 2)
