"""Snapping of a clip's cuts: from the child process that searches the recording, or from transcripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.snap import Snap
from clipengine.clips.snap_moments import CUE_MARGIN_SECONDS, Found, find_sentences
from clipengine.clips.snapped import Snapped, SnapReport, move_cuts
from clipengine.clips.texts.cues import Cue
from clipengine.settings import Encoding
from clipengine.work.children.jobs import Job, Message, snap_job

# Returns the cues of a part's recording from the first time to the second.
CuesOf = Callable[[PlannedPart, Fraction, Fraction], Sequence[Cue]]


def snap_parts(
    snap: Snap | None,
    parts: Sequence[PlannedPart],
    profile: Profile,
    *,
    encoding: Encoding,
    cues: CuesOf,
    run: Callable[[Job], Message],
) -> Snapped:
    """Return the parts with their cuts moved as requested. `run` does a job in the child that will cut the clip.

    Raises VerificationFailed if the child's report is not valid, and its other errors.
    """
    if snap is None:
        return Snapped(tuple(parts))
    if snap.to == "sentence":
        return move_cuts(snap, parts, [sentences(snap, part, cues) for part in parts])
    report = SnapReport.of(run(snap_job(encoding, profile, snap, parts)).get("snap"))
    return replace(move_cuts(snap, parts, report.found), bytes_read=report.bytes_read)


def sentences(snap: Snap, part: PlannedPart, cues: CuesOf) -> Found:
    """Return where sentences of the transcript start and end near the cuts of a part."""
    reach = snap.within + CUE_MARGIN_SECONDS
    return find_sentences(snap, part, *(cues(part, at - reach, at + reach) for at in (part.start, part.end)))
