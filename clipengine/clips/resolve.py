"""Validation of a clip request against the recordings and the settings. Pure.

No other module checks a request, except for the addresses and times of expiry in it, which do not depend on the
recordings. The callers check these, and look up the recordings.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from clipengine.basis.timecode import exact
from clipengine.clips.edit import (
    MAX_PARTS,
    MAX_RECORDINGS,
    Part,
    PlannedPart,
    bounds,
    first_gap,
    total_seconds,
    without_gaps,
)
from clipengine.clips.labels import check_label
from clipengine.clips.options.output import OutputLimits
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.watermarks import check_watermark
from clipengine.clips.plan.frames import lacking_media
from clipengine.clips.removal import check_removable
from clipengine.clips.request import LENGTH_HINT, ClipRequest, GapMode, check_range
from clipengine.clips.snapped import check_possible
from clipengine.clips.timed import errors_by_clock, in_seconds, with_times
from clipengine.errors import (
    InvalidRequest,
    InvalidTimeRange,
    NoMediaInRange,
    RecordingEncrypted,
    RecordingNotComplete,
    TranscriptNotFound,
    UnknownProfile,
    located,
    located_below,
)
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.recording import Recording
from clipengine.recordings.seek_index import SeekIndex

_GAP_HINT = "Choose a range without a gap of the recording, or leave the gaps out: `skip`."


@dataclass(frozen=True)
class ClipRules:
    """Settings that decide which clips are allowed and how they are made. Lengths are in seconds."""

    profiles: Mapping[str, Profile]
    watermarks: Mapping[str, object]
    output: OutputLimits
    shortest: float
    longest: float
    longest_range: float  # of a clip that is played faster

    def longest_range_of(self, profile: Profile) -> float:
        """Return how many seconds of recordings a clip of the profile, with its output options, may contain."""
        if profile.output.to_seconds is not None:
            return self.longest_range
        longest = profile.longest_clip(self.longest)
        return max(longest, min(longest * float(profile.output.tempo), self.longest_range))

    @property
    def unlimited(self) -> ClipRules:
        """The same rules without the limits that the operator has set."""
        return replace(
            self,
            output=OutputLimits(max_height=8640, max_fps=240),
            shortest=0.0,
            longest=math.inf,
            longest_range=math.inf,
        )


@dataclass(frozen=True)
class ClipSource:
    """A recording with the data that the validation of its clips needs.

    `languages` are the languages of its transcripts.
    """

    recording: Recording
    languages: tuple[str, ...] = ()
    seek_index: SeekIndex | None = None

    @property
    def facts(self) -> SourceFacts:
        """The facts. Raises RecordingNotComplete."""
        facts = self.recording.facts
        if self.recording.state not in ("complete", "recording") or facts is None:
            raise RecordingNotComplete.of(self.recording.recording_id, self.recording.state, self.recording.error)
        return facts


@dataclass(frozen=True)
class ResolvedClip:
    """A valid request, with all of its defaults and times resolved.

    `profile` includes the `render` and `output` options of the request. `parts` has one item, the range, if the request
    has no parts. `request` is the request with the bounds of all parts and with the language of the subtitles.
    `lacking_seconds` is above 0 if a recording is still written and has not reached the end of a part.
    """

    recording: Recording
    profile: Profile
    parts: tuple[Part, ...]
    language: str | None
    request: ClipRequest
    sources: tuple[ClipSource, ...]  # the recordings of the parts, each once
    lacking_seconds: float = 0.0  # that must still be recorded

    @property
    def planned(self) -> list[PlannedPart]:
        return planned_parts(self.parts, self.sources)


def planned_parts(parts: Iterable[Part], sources: Sequence[ClipSource]) -> list[PlannedPart]:
    """Return the parts with the facts of their recordings, in exact seconds."""
    numbers = {source.recording.recording_id: number for number, source in enumerate(sources)}
    planned = []
    for part in parts:
        number = numbers[part.recording_id]
        source, start, end = sources[number], exact(part.start_seconds), exact(part.end_seconds)
        planned.append(PlannedPart(source.facts, start, end, number, source.seek_index))
    return planned


def check_recordings(parts: Sequence[Part]) -> None:
    """Raise InvalidRequest if the parts are of too many recordings."""
    found: set[str] = set()
    for number, part in enumerate(parts):
        found.add(part.recording_id)
        if len(found) > MAX_RECORDINGS:
            with located(pointer=f"/parts/{number}"):
                raise InvalidRequest(f"the parts are of more than {MAX_RECORDINGS} recordings")


def resolve_clip(
    recording_id: str, request: ClipRequest, sources: Mapping[str, ClipSource], rules: ClipRules
) -> ResolvedClip:
    """Return the clip that is requested. Raises RequestError with the place of the first fault.

    `sources` has the recording of the request and the recordings of its parts, by id.
    """
    with errors_by_clock(request):
        return _resolve(recording_id, in_seconds(recording_id, request, sources), sources, rules)


def _resolve(
    recording_id: str, request: ClipRequest, sources: Mapping[str, ClipSource], rules: ClipRules
) -> ResolvedClip:
    source, whole = sources[recording_id], not request.parts
    if request.last_seconds is not None:
        request = _up_to_the_end(request, source)
    profile = _profile(request, rules)
    longest_range = rules.longest_range_of(profile)
    seconds = (
        _check_parts(request.parts, sources, rules.shortest, longest_range)
        if request.parts
        else _check_one_range(request, source.recording, rules.shortest, longest_range)
    )
    longest = profile.longest_clip(rules.longest)
    if profile.output.to_seconds is not None:  # the length of the range decides the speed
        request = replace(request, output=profile.output.of_range(seconds, longest=longest))
        profile = _profile(request, rules)
    if request.output is not None:
        request.output.check_length(seconds, longest=longest)
    with located(pointer="/label"):
        check_label(request.label)
    if request.subtitles == "burn" and profile.video == "none":
        with located(pointer="/subtitles/mode"):
            raise InvalidRequest("burn would have no effect, as the profile makes clips without video")
    if request.caption_style is not None and request.subtitles != "burn":
        with located(pointer="/subtitles/style"):
            raise InvalidRequest("is only for subtitles that are drawn into the picture", hint="Give the mode `burn`.")
    with located(pointer="/subtitles/language"):
        language = _language(request, source)
    source.facts  # noqa: B018 - raises RecordingNotComplete
    parts = request.parts or (Part(recording_id, request.start_seconds, request.end_seconds),)
    if request.gaps == "hold":
        _check_encryption(parts, sources)
    else:
        parts = _unbroken(request.gaps, parts, sources, rules.shortest)
        request = replace(request, parts=parts if request.parts or len(parts) > 1 else ())
    _check_kept(request, parts)
    used = tuple(sources[each] for each in dict.fromkeys(part.recording_id for part in parts))
    _check_media(request, profile, used)
    start, end = bounds(parts, recording_id)
    asked = replace(request, start_seconds=start, end_seconds=end, subtitle_language=language)
    if whole:
        asked = with_times(asked, source.recording.clock)
    return ResolvedClip(source.recording, profile, parts, language, asked, used, _lacking(parts, sources))


def _up_to_the_end(request: ClipRequest, source: ClipSource) -> ClipRequest:
    """Return the request with its `last_seconds` as a range that ends where the recording ends."""
    source.facts  # noqa: B018 - raises RecordingNotComplete
    end = source.recording.duration_seconds or 0.0
    start = max(0.0, round(end - (request.last_seconds or 0.0), 6))
    return replace(request, start_seconds=start, end_seconds=end, last_seconds=None)


def _lacking(parts: Sequence[Part], sources: Mapping[str, ClipSource]) -> float:
    """Return how many more seconds must be recorded until the recordings contain all parts."""
    written = {id: source for id, source in sources.items() if source.recording.state == "recording"}
    lacking = [
        float(exact(part.end_seconds) - written[part.recording_id].facts.duration)
        for part in parts
        if part.recording_id in written
    ]
    return max([0.0, *lacking])


def _profile(request: ClipRequest, rules: ClipRules) -> Profile:
    """Return the profile that the request names, with the request's options. Raises UnknownProfile."""
    if request.profile not in rules.profiles:
        with located(pointer="/profile"):
            known = ", ".join(sorted(rules.profiles))
            hint = f"Use a profile of the settings: {known}."
            raise UnknownProfile(f"There is no profile {request.profile[:60]!r}", hint=hint)
    profile = rules.profiles[request.profile]
    if request.output is not None:
        rules.output.check(request.output)
        with located(pointer="/output/watermark"):
            check_watermark(request.output, rules.watermarks)
        profile.check_output(request.output)
    return profile.rendered(request.render, request.output)


def range_limits(request: ClipRequest, rules: ClipRules) -> tuple[float, float]:
    """Return the least and the most seconds of a range of a clip with these options. Raises UnknownProfile."""
    return rules.shortest, rules.longest_range_of(_profile(request, rules))


def _check_one_range(request: ClipRequest, recording: Recording, shortest: float, longest: float) -> float:
    """Check the range of a clip without parts, and return its length in seconds."""
    known = recording.known_end
    start, end = request.start_seconds, request.end_seconds
    check_range(start, end, duration=known, shortest=shortest, longest=longest)
    return min(end, known) - start


def _check_parts(parts: Sequence[Part], sources: Mapping[str, ClipSource], shortest: float, longest: float) -> float:
    """Check each part, and the length of all parts in seconds. Return this length."""
    durations: dict[str, float] = {}
    for number, part in enumerate(parts):
        with located_below(f"/parts/{number}"):
            recording = sources[part.recording_id].recording
            with located(pointer="/recording_id"):
                sources[part.recording_id].facts  # noqa: B018 - raises RecordingNotComplete
            durations[part.recording_id] = recording.known_end
            duration = durations[part.recording_id]
            check_range(part.start_seconds, part.end_seconds, duration=duration, shortest=0, longest=math.inf)
    total = total_seconds(parts, durations)
    if not shortest <= total <= longest:
        allowed = f"{shortest:g} to {longest:g} s are allowed"
        with located(pointer="/parts"):
            raise InvalidTimeRange(f"the clip would be {total:g} s long; {allowed}", hint=LENGTH_HINT)
    return total


def _check_encryption(parts: Sequence[Part], sources: Mapping[str, ClipSource]) -> None:
    """Raise RecordingEncrypted if a part contains an encrypted stretch.

    The clip would show the frame before it for the length of the stretch, although the recording has media there.
    """
    encrypted = {
        id: [gap for gap in source.recording.gaps or [] if gap["reason"] == "encrypted"]
        for id, source in sources.items()
    }
    if found := first_gap(parts, encrypted):
        raise RecordingEncrypted(f"the recording is encrypted {found}", hint=_GAP_HINT)


def _unbroken(
    mode: GapMode, parts: Sequence[Part], sources: Mapping[str, ClipSource], shortest: float
) -> tuple[Part, ...]:
    """Return the parts without the gaps of their recordings.

    Raises NoMediaInRange if a part has a gap and the mode is `fail`, or if less than `shortest` seconds are left.
    """
    gaps = {id: source.recording.gaps or [] for id, source in sources.items()}
    gap = first_gap(parts, gaps)
    if gap is None:
        return tuple(parts)
    if mode == "fail":
        raise NoMediaInRange(f"the recording has a gap {gap}", hint=_GAP_HINT)
    found = without_gaps(parts, gaps)
    if not found or sum(part.end_seconds - part.start_seconds for part in found) < shortest:
        raise NoMediaInRange("the recording has no media in the range, or less than a clip must have")
    if len(found) > MAX_PARTS:
        with located(pointer="/gaps"):
            raise InvalidRequest(f"without its gaps, the range has more than {MAX_PARTS} parts")
    return tuple(found)


def _language(request: ClipRequest, source: ClipSource) -> str | None:
    """Return the language of the subtitles, or None for the subtitles in all languages.

    If subtitles are burnt in, a request must name the language unless the recording has a single transcript.
    """
    if request.subtitle_language is not None:
        if request.subtitle_language not in source.languages:
            raise TranscriptNotFound(f"the recording has no transcript in the language {request.subtitle_language}")
        return request.subtitle_language
    if request.subtitles != "burn":
        return None
    if len(source.languages) == 1:
        return source.languages[0]
    known = ", ".join(sorted(source.languages))
    if known:
        raise InvalidRequest(f"subtitles.language is required for burn: the recording has transcripts in {known}")
    hint = "Upload a transcript, or let the engine make one: POST /v1/recordings/{recording_id}/transcripts."
    raise InvalidRequest("the recording has no transcript to burn in", hint=hint)


def _check_kept(request: ClipRequest, parts: Sequence[Part]) -> None:
    """Raise InvalidRequest for ranges to keep if nothing is removed, or if their part does not exist."""
    if request.without.keep and not request.without.kinds:
        with located(pointer="/keep_ranges"):
            raise InvalidRequest("is only for clips without pauses or fillers", hint="Give `without` too.")
    for number, each in enumerate(request.without.keep):
        if each.part is not None and each.part >= len(parts):
            with located(pointer=f"/keep_ranges/{number}/part"):
                raise InvalidRequest(f"is {each.part}, but the last part of the clip has the number {len(parts) - 1}")


def _check_media(request: ClipRequest, profile: Profile, sources: Sequence[ClipSource]) -> None:
    """Raise InvalidRequest if a recording lacks the media for the profile, for `snap` or for `without`."""
    for source in sources:
        if (lacking := lacking_media(profile, source.facts)) is not None:
            with located(pointer="/profile"):
                hint = "Use a profile that keeps what the recording has."
                fault = f"nothing of the recording {source.recording.recording_id} is kept: {lacking}"
                raise InvalidRequest(fault, hint=hint)
    if request.snap is not None:
        for source in sources:
            with located(pointer="/snap/to"):
                check_possible(request.snap, source.facts, has_transcript=bool(source.languages))
    for source in sources if request.without.kinds else ():
        with located(pointer="/without"):
            check_removable(request.without, profile, source.facts, has_transcript=bool(source.languages))
