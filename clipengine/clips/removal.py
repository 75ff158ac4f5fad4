"""Removal of pauses and fillers from the parts of a clip, and the report of the child that finds silences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipengine.clips.edit import MAX_PARTS, PlannedPart
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.without import MAX_REMOVED, Without
from clipengine.clips.removed import Removed, Span, merged
from clipengine.clips.texts.fillers import has_fillers, is_filler
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.warnings import of_part, warning
from clipengine.errors import InvalidRequest, InvalidTimeRange, VerificationFailed
from clipengine.recordings.facts import Count, SourceFacts

_MAX_SILENCES = 50_000  # of a part, in a report
_PAUSE_SECONDS = Fraction(6, 10)  # longer ones are removed, except for a margin
_MARGIN_SECONDS = Fraction(1, 10)  # of a pause, kept on each side
_LEAST_SECONDS = Fraction(1, 1000)  # of a range: less is a rounding error at the end of a range that is kept
_MICROSECONDS = 1_000_000


def written_silences(silences: Sequence[Span]) -> str:
    """Return silences in the form of a report: the longest ones, as one string with their times in microseconds."""
    longest = sorted(silences, key=lambda span: span[0] - span[1])[:_MAX_SILENCES]
    return " ".join(f"{_us(start)}-{_us(end)}" for start, end in sorted(longest))


def _us(seconds: Fraction) -> int:
    return round(seconds * _MICROSECONDS)


class SilenceReport(BaseModel):
    """The report of the child that looked for silences, one string for each part: see `written_silences`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    parts: Annotated[
        list[Annotated[str, Field(max_length=34 * _MAX_SILENCES, pattern=r"^([0-9]{1,16}-[0-9]{1,16}( |$))*$")]],
        Field(max_length=MAX_PARTS),
    ]
    bytes_read: Count

    @classmethod
    def of(cls, message: object, parts: int) -> SilenceReport:
        """Parse the child's message. Raises VerificationFailed."""
        try:
            report = cls.model_validate(message)
        except ValidationError as error:
            raise VerificationFailed("the encoder's report of silences is not valid") from error
        if len(report.parts) != parts:
            raise VerificationFailed("the encoder's report of silences has another number of parts")
        return report

    @property
    def silences(self) -> list[list[Span]]:
        """The silences of each part."""
        return [[_span(each) for each in part.split()] for part in self.parts]


def _span(text: str) -> Span:
    start, end = text.split("-")
    return Fraction(int(start), _MICROSECONDS), Fraction(int(end), _MICROSECONDS)


@dataclass(frozen=True)
class Removal:
    """The parts of a clip after their pauses and fillers were removed."""

    parts: tuple[PlannedPart, ...]
    warnings: tuple[str, ...] = ()
    bytes_read: int = 0

    def check(self, *, shortest: float) -> None:
        """Raise InvalidTimeRange if too little is left for a clip."""
        if not any(part.removed.spans for part in self.parts):
            return
        total = float(sum(part.kept_end - part.start for part in self.parts))
        if total < shortest:
            fault = f"without its pauses and fillers, the clip is {total:g} s long; at least {shortest:g} s are needed"
            raise InvalidTimeRange(fault, hint="Give a longer range, or leave `without` out.")


def check_removable(without: Without, profile: Profile, facts: SourceFacts, *, has_transcript: bool) -> None:
    """Raise InvalidRequest if a recording with these facts has no such ranges, or the profile cannot lack them."""
    if profile.output.is_timelapse:
        raise InvalidRequest(
            "pauses and fillers of a timelapse cannot be removed", hint="Leave out `without` or `speed`."
        )
    if "silence" in without.kinds and not facts.audio:
        hint = "Leave `without` out."
        raise InvalidRequest("removing pauses needs audio, and the recording has none", hint=hint)
    if "fillers" in without.kinds and not has_transcript:
        hint = "Add a transcript with the times of words, or give `silence` only."
        raise InvalidRequest("removing fillers needs a transcript, and the recording has none", hint=hint)


def remove_ranges(
    without: Without,
    parts: Sequence[PlannedPart],
    profile: Profile,
    silences: Sequence[Sequence[Span]],
    spoken: Sequence[TextTrack | None],
) -> Removal:
    """Return the parts without their pauses and fillers.

    `silences` and `spoken`, the transcript that times the words, have an item for each part. At most MAX_REMOVED ranges
    of the clip are removed, the longest ones.
    """
    found, warnings = [], []
    for number, (part, quiet, track) in enumerate(zip(parts, silences, spoken, strict=True)):
        warnings += of_part(number, [*_filler_warnings(without, track)], of=len(parts))
        found.append(
            [*_removed(without, part, profile, quiet, track, [*without.kept_in(number, part.start, part.end)])]
        )
    longest = sorted((start - end, number, start) for number, spans in enumerate(found) for start, end in spans)
    if len(longest) > MAX_REMOVED:
        text = f"{len(longest) - MAX_REMOVED} of the shortest stay: at most {MAX_REMOVED} ranges of a clip are removed"
        warnings.append(warning("pauses_kept", text))
        chosen = {(number, start) for _, number, start in longest[:MAX_REMOVED]}
        found = [[span for span in spans if (number, span[0]) in chosen] for number, spans in enumerate(found)]
    kept = [replace(part, removed=Removed(tuple(spans))) for part, spans in zip(parts, found, strict=True)]
    return Removal(tuple(kept), tuple(warnings))


def _filler_warnings(without: Without, track: TextTrack | None) -> Iterator[str]:
    if "fillers" not in without.kinds:
        return
    if track is None or not any(cue.timed_words for cue in track.cues):
        yield warning("fillers_kept", "the transcript does not have the times of words")
    elif not has_fillers(track.language):
        yield warning("fillers_kept", f"the fillers of the language {track.language} are not known")


def _removed(
    without: Without,
    part: PlannedPart,
    profile: Profile,
    silences: Sequence[Span],
    track: TextTrack | None,
    kept: list[Span],
) -> Iterator[Span]:
    """Yield the ranges to remove from a part, in order. None is in a word that stays, nor in a range that is kept.

    Silences and fillers that touch are one pause, of which a rest stays at both ends:

        words     aaaa                bbb
        silences      ......  ....
        fillers             um
        removed         ........
    """
    words = kept
    fillers: list[Span] = []
    for text, span in _timed_words(track):
        is_removed = "fillers" in without.kinds and track is not None and is_filler(text, track.language)
        (fillers if is_removed else words).append(span)
    words, fillers = merged(words), merged(fillers)
    removed = [*_between(fillers, words)]
    if "silence" in without.kinds:
        removed += _pauses([*_between(merged([*silences, *fillers]), words)])
    step = Fraction(0) if part.facts.video is None or profile.video == "none" else part.frame_seconds
    steady = step if part.facts.video is not None and not part.facts.video.variable_rate else Fraction(0)
    low, high = part.start + max(step, _MARGIN_SECONDS), min(part.end, part.facts.duration) - _MARGIN_SECONDS
    for start, end in merged(removed):
        start, end = max(start, low), min(end, high)
        if steady:  # whole frames, so that the rate goes on
            end = start + (end - start) // steady * steady
        if end - start >= _LEAST_SECONDS:
            yield start, end


def _timed_words(track: TextTrack | None) -> Iterator[tuple[str, Span]]:
    for cue in () if track is None else track.cues:
        for word in cue.timed_words:
            if word.start_ms < word.end_ms:
                yield word.text, (Fraction(word.start_ms, 1000), Fraction(word.end_ms, 1000))


def _pauses(quiet: Iterable[Span]) -> Iterator[Span]:
    """Yield the ranges that are removed from long pauses."""
    for start, end in quiet:
        if end - start > _PAUSE_SECONDS:
            yield start + _MARGIN_SECONDS, end - _MARGIN_SECONDS


def _between(spans: Sequence[Span], others: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans without the stretches that the others cover. Both are in order and apart."""
    following = 0
    for start, end in spans:
        while following < len(others) and others[following][1] <= start:
            following += 1
        number = following
        while number < len(others) and others[number][0] < end:
            if others[number][0] > start:
                yield start, others[number][0]
            start = max(start, others[number][1])
            number += 1
        if start < end:
            yield start, end
