"""Removal of a clip's pauses and fillers: the child process that cuts it finds silences, transcripts have the words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.without import Without
from clipengine.clips.shortened import Shortened, SilenceReport, shorten
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.settings import Encoding
from clipengine.work.children.jobs import Job, Message, silences_job


def shorten_parts(
    without: Without,
    parts: Sequence[PlannedPart],
    profile: Profile,
    *,
    encoding: Encoding,
    searched: float,
    spoken: Callable[[PlannedPart], TextTrack | None],
    run: Callable[[Job], Message],
) -> Shortened:
    """Return the parts without their pauses and fillers, if requested. `run` does a job in the child of the clip.

    `searched` are the seconds that the child searches before it cuts the clip.

    Raises VerificationFailed if the child's report is not valid, and its other errors.
    """
    if not without.kinds:
        return Shortened(tuple(parts))
    words = [spoken(part) for part in parts]
    if "silence" not in without.kinds:
        return shorten(without, parts, profile, [()] * len(parts), words)
    report = SilenceReport.of(
        run(silences_job(encoding, profile, parts, searched=searched)).get("silences"), len(parts)
    )
    return replace(shorten(without, parts, profile, report.silences, words), bytes_read=report.bytes_read)
