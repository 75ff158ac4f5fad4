"""Preparation of a clip, the same for a file that is cut and for a plan: snap, removal, texts, fonts.

The preparation is a generator. It yields each search that it needs and receives the report, so that a worker can search
in the child that cuts the clip, and the API with previews, without a blocked thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.snap import Snap, SnappedCut
from clipengine.clips.options.without import NOTHING, Without
from clipengine.clips.plan.read_jobs import MOMENTS, SILENCES
from clipengine.clips.removal import Removal, SilenceReport, remove_ranges
from clipengine.clips.resolve import ClipRules
from clipengine.clips.snap_moments import CUE_MARGIN_SECONDS, Found, find_sentences
from clipengine.clips.snapped import Snapped, SnapReport, move_cuts
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import located
from clipengine.recordings.seek_index import SeekIndex
from clipengine.settings.settings import Encoding
from clipengine.work.children.fonts import ChosenFonts, choose_fonts
from clipengine.work.children.jobs import (
    Job,
    Message,
    searched_seconds,
    silence_values,
    silences_job,
    snap_job,
    snap_values,
)

S = TypeVar("S")
T = TypeVar("T")


class ClipTexts(Protocol):
    """The transcripts of a clip's recordings."""

    def cues(self, part: PlannedPart, start: Fraction, end: Fraction) -> Sequence[Cue]:
        """Return the cues of the part's recording from the first time to the second, to snap to."""

    def spoken(self, part: PlannedPart) -> TextTrack | None:
        """Return the transcript of the part's recording that times its words, or None."""

    def added(self, parts: Sequence[PlannedPart]) -> tuple[list[PlannedPart], list[str]]:
        """Return the parts with the transcripts of the clip, and a warning for each transcript that it lacks."""


@dataclass(frozen=True)
class Making:
    """Inputs of a clip. `profile` has the options of the request."""

    parts: Sequence[PlannedPart]
    profile: Profile
    texts: ClipTexts
    snap: Snap | None = None
    output: Output | None = None  # of the request, whose limits also hold for snapped cuts
    poster: bool = False
    without: Without = NOTHING


@dataclass(frozen=True)
class Prepared:
    """The parts of a clip as they are cut, the fonts of their captions, and the warnings known so far."""

    parts: Sequence[PlannedPart]
    profile: Profile
    snapped: tuple[SnappedCut, ...]
    fonts: ChosenFonts
    warnings: list[str]
    searched_seconds: float  # of the recordings, before the clip is cut
    searched_bytes: int


@dataclass(frozen=True)
class Done(Generic[T]):
    """The value that finished steps have returned."""

    value: T


def advance(steps: Generator[S, Any, T], report: object) -> S | Done[T]:
    """Run the steps up to the next search or their end. `report` answers the latest search; None starts the steps."""
    try:
        return steps.send(report)
    except StopIteration as end:
        return Done(end.value)


def run_steps(steps: Generator[S, Any, T], find: Callable[[S], Any]) -> T:
    """Run all steps and return their value. `find` does each search and returns its report."""
    step = advance(steps, None)
    while not isinstance(step, Done):
        step = advance(steps, find(step))
    return step.value


@dataclass(frozen=True)
class MomentSearch:
    """The search for moments near the cuts of the parts: one job of the child that cuts the clip, or previews.

    `values` and `seek_index` are parameters of the preview of a part.
    """

    kind: ClassVar = MOMENTS
    parts: Sequence[PlannedPart]
    profile: Profile
    snap: Snap

    def job(self, encoding: Encoding) -> Job:
        return snap_job(encoding, self.profile, self.snap, self.parts)

    def values(self, part: PlannedPart) -> dict[str, str | int]:
        return snap_values(self.snap, part, self.profile)

    def seek_index(self, part: PlannedPart) -> SeekIndex | None:
        return part.seek_index and part.seek_index.near(part.start, part.end)

    def report_of(self, message: Message) -> SnapReport:
        """Return the report of the child. Raises VerificationFailed."""
        return SnapReport.of(message.get("snap"))

    def report_of_parts(self, found: Sequence[Any]) -> SnapReport:
        """Return the report from the JSON of the previews. Raises VerificationFailed."""
        return SnapReport.of({"cuts": found, "bytes_read": 0})


@dataclass(frozen=True)
class SilenceSearch:
    """The search for silences in the parts, see `MomentSearch`. `searched` is the total of seconds of all searches."""

    kind: ClassVar = SILENCES
    parts: Sequence[PlannedPart]
    profile: Profile
    searched: float

    def job(self, encoding: Encoding) -> Job:
        return silences_job(encoding, self.profile, self.parts, searched=self.searched)

    def values(self, part: PlannedPart) -> dict[str, str | int]:
        return silence_values(part, self.profile)

    def seek_index(self, part: PlannedPart) -> SeekIndex | None:
        return part.own_seek_index

    def report_of(self, message: Message) -> SilenceReport:
        return SilenceReport.of(message.get("silences"), len(self.parts))

    def report_of_parts(self, found: Sequence[Any]) -> SilenceReport:
        return SilenceReport.of({"parts": found, "bytes_read": 0}, len(self.parts))


Search = MomentSearch | SilenceSearch
Steps = Generator[Search, Any, T]  # it yields searches, receives their reports, and returns a value


def prepare(making: Making, *, encoding: Encoding, rules: ClipRules) -> Steps[Prepared]:
    """Return the clip as it is cut. The `rules` hold for snapped cuts too.

    Raises InvalidTimeRange or InvalidRequest with the place in the request, FontsMissing, and the errors of searches.
    """
    snapped = yield from _snap(making)
    with located(pointer="/snap"):
        longest = rules.longest_range_of(making.profile)
        snapped.check(shortest=rules.shortest, longest=longest, output=making.output)
    searched = searched_seconds(making.snap, len(snapped.parts))
    if making.without.kinds:
        searched += float(sum(part.end - part.start for part in snapped.parts))
    removal = yield from _remove(making, snapped.parts, searched)
    with located(pointer="/without"):
        removal.check(shortest=rules.shortest)
    parts, lost = making.texts.added(removal.parts)
    fonts = choose_fonts((part.burnt for part in parts), encoding.font_folders)
    return Prepared(
        parts,
        making.profile,
        snapped.cuts,
        fonts,
        warnings=[*snapped.warnings, *removal.warnings, *lost, *fonts.warnings()],
        searched_seconds=searched,
        searched_bytes=snapped.bytes_read + removal.bytes_read,
    )


def _snap(making: Making) -> Steps[Snapped]:
    """Return the parts with their cuts moved as requested."""
    snap, parts = making.snap, making.parts
    if snap is None:
        return Snapped(tuple(parts))
    if snap.to == "sentence":
        return move_cuts(snap, parts, [_sentences(snap, part, making.texts) for part in parts])
    report: SnapReport = yield MomentSearch(parts, making.profile, snap)
    return replace(move_cuts(snap, parts, report.found), bytes_read=report.bytes_read)


def _sentences(snap: Snap, part: PlannedPart, texts: ClipTexts) -> Found:
    """Return where sentences of the transcript start and end near the cuts of a part."""
    reach = snap.within + CUE_MARGIN_SECONDS
    return find_sentences(snap, part, *(texts.cues(part, at - reach, at + reach) for at in (part.start, part.end)))


def _remove(making: Making, parts: Sequence[PlannedPart], searched: float) -> Steps[Removal]:
    """Return the parts without their pauses and fillers, if requested."""
    without, profile = making.without, making.profile
    if not without.kinds:
        return Removal(tuple(parts))
    words = [making.texts.spoken(part) for part in parts]
    if "silence" not in without.kinds:
        return remove_ranges(without, parts, profile, [()] * len(parts), words)
    report: SilenceReport = yield SilenceSearch(parts, profile, searched)
    return replace(remove_ranges(without, parts, profile, report.silences, words), bytes_read=report.bytes_read)
