"""Maker of a clip's file, the same for `serve` and `clipengine cut`.

It snaps the cuts, leaves out pauses, adds texts and fonts, cuts, verifies, and returns the result.

The callers find the recordings, start the children and keep the file; `Making` and `Encoder` are what they bring.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from clipengine.clips.clip import ClipResult, ClipSubtitles, ResultPart
from clipengine.clips.clip_file import CutReport, FilePlan
from clipengine.clips.edit import Part, PlannedPart, clip_tracks
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.watermarks import check_watermark
from clipengine.clips.options.without import NOTHING, Without
from clipengine.clips.resolve import ClipRules
from clipengine.clips.shortened import Shortened
from clipengine.clips.snapped import Snapped
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.settings import Encoding
from clipengine.work.children.fonts import choose_fonts
from clipengine.work.children.jobs import Job, Message, cut_job, searched_seconds
from clipengine.work.children.process import Child, Watch
from clipengine.work.children.watermarks import WatermarkFile
from clipengine.work.making.shortening import shorten_parts
from clipengine.work.making.snapping import snap_parts
from clipengine.work.making.verification import verify_clip


class ClipTexts(Protocol):
    """The transcripts of a clip's recordings."""

    def cues(self, part: PlannedPart, start: Fraction, end: Fraction) -> Sequence[Cue]:
        """Return the cues of the part's recording from the first time to the second, to snap to."""

    def spoken(self, part: PlannedPart) -> TextTrack | None:
        """Return the transcript of the part's recording that times its words, or None."""

    def added(self, parts: Sequence[PlannedPart]) -> tuple[list[PlannedPart], list[str]]:
        """Return the parts with the transcripts of the clip, and warnings of those that it lacks."""


class Encoder(Protocol):
    """A child with the recordings of a clip."""

    def run(self, job: Job, *, output: int | None = None, keep: bool = False) -> tuple[Message, bytes]: ...


@dataclass(frozen=True)
class Making:
    """What a clip is made of. `profile` has the options of the request."""

    parts: Sequence[PlannedPart]
    profile: Profile
    texts: ClipTexts
    snap: Snap | None = None
    output: Output | None = None  # of the request: its limits hold after the cuts were snapped too
    poster: bool = False
    without: Without = NOTHING


@dataclass(frozen=True)
class MadeClip:
    """The verified file of a clip. `tracks` are its transcripts, in clip time."""

    parts: Sequence[PlannedPart]
    cut: CutReport
    profile: Profile
    poster: bytes
    sha256: str
    snapped: Snapped
    searched_bytes: int  # that were read to find silences
    warnings: list[str]
    tracks: list[TextTrack]

    def result(
        self,
        asked: Sequence[Part],
        *,
        recording_id: str | None = None,
        poster_path: str | None = None,
        subtitles: Sequence[ClipSubtitles] = (),
    ) -> ClipResult:
        """Return the result for the API. The actual start and end are those of the parts of the clip's recording.

        The `asked` parts are those of the request, empty for a clip of one range.
        """
        cut, made, speed = self.cut, self._ranges, self.profile.output.tempo
        own = [each for each, part in zip(made, asked, strict=False) if part.recording_id == recording_id] or made
        return ClipResult(
            actual_start_seconds=round(float(min(start for start, _ in own)), 6),
            actual_end_seconds=round(float(max(end for _, end in own)), 6),
            duration_seconds=round(float(cut.seconds / speed), 6),
            sha256=self.sha256,
            poster_path=poster_path,
            bytes_read=cut.bytes_read + self.snapped.bytes_read + self.searched_bytes,
            warnings=[*cut.warnings, *self.warnings],
            subtitles=[*subtitles],
            parts=self._parts(asked) or None,
            snapped=[*self.snapped.cuts],
            removed_seconds=round(float(sum(part.removed.seconds for part in self.parts)), 6),
            **cut.result_fields,
        )

    @property
    def _ranges(self) -> list[tuple[Fraction, Fraction]]:
        """The actual start and end of each part, on its recording's timeline."""
        return [
            (start, end + part.removed.seconds) for (start, end), part in zip(self.cut.ranges, self.parts, strict=True)
        ]

    def _parts(self, asked: Sequence[Part]) -> list[ResultPart]:
        found, offset = [], Fraction(0)
        for part, made, times in zip(asked, self.cut.parts, self._ranges, strict=bool(asked)):
            start, end = (round(float(time), 6) for time in times)
            offset_seconds = round(float(offset), 6)
            found.append(
                ResultPart(
                    **vars(part), offset_seconds=offset_seconds, actual_start_seconds=start, actual_end_seconds=end
                )
            )
            offset += made.seconds / self.profile.output.tempo
        return found


class ClipMaker:
    """Makes clips with the settings of an engine or a command. The `rules` hold for snapped cuts too."""

    def __init__(self, encoding: Encoding, rules: ClipRules, watermarks: Mapping[str, WatermarkFile]) -> None:
        self._encoding = encoding
        self._rules = rules
        self._watermarks = watermarks

    def make(
        self,
        making: Making,
        path: Path,
        encoder: AbstractContextManager[Encoder],
        inspector: Callable[[], AbstractContextManager[tuple[Child, Watch]]],
    ) -> MadeClip:
        """Write the clip to the empty file at `path` and verify it.

        The encoder ends before another child, the `inspector`, reads the file. Raises the errors of a failed clip.
        """
        profile = making.profile
        check_watermark(profile.output, self._watermarks)  # it may have been removed from the settings
        name = profile.output.watermark
        with encoder as child:
            snapped = self._snap(making, child)
            shortened = self._shorten(making, snapped, child)
            parts, lost = making.texts.added(shortened.parts)
            fonts = choose_fonts((part.burnt for part in parts), self._encoding.font_folders)
            job = cut_job(
                self._encoding,
                profile,
                parts,
                poster=making.poster,
                searched=self._searched(making, snapped),
                watermark=None if name is None else self._watermarks[name],
                fonts=fonts.fonts,
            )
            with path.open("r+b") as output:
                message, poster = child.run(job, output=output.fileno())
        cut, plan = CutReport.of(message.get("cut")), FilePlan(parts, profile)
        if making.poster and poster:
            plan.check_poster(cut, poster)
        with ThreadPoolExecutor(1) as pool:  # the encoder has ended, so the file does not change
            digest = pool.submit(_sha256, path)
            with inspector() as (other, watch):
                verify_clip(other, path, plan, cut, encoding=self._encoding, watch=watch)
            sha256 = digest.result()
        return MadeClip(
            parts=parts,
            cut=cut,
            profile=profile,
            poster=poster if making.poster else b"",
            sha256=sha256,
            snapped=snapped,
            searched_bytes=shortened.bytes_read,
            warnings=[*snapped.warnings, *shortened.warnings, *lost, *fonts.warnings()],
            tracks=clip_tracks(parts, cut.ranges, speed=profile.output.tempo),
        )

    def _snap(self, making: Making, encoder: Encoder) -> Snapped:
        """Return the parts with their cuts snapped if that was requested."""
        snapped = snap_parts(
            making.snap,
            making.parts,
            making.profile,
            encoding=self._encoding,
            cues=making.texts.cues,
            run=lambda job: encoder.run(job, keep=True)[0],
        )
        longest = self._rules.longest_range_of(making.profile)
        snapped.check(shortest=self._rules.shortest, longest=longest, output=making.output)
        return snapped

    def _searched(self, making: Making, snapped: Snapped) -> float:
        """Return how many seconds of the recordings are searched before the clip is cut."""
        near = searched_seconds(making.snap, len(snapped.parts))
        return near + float(sum(part.end - part.start for part in snapped.parts)) if making.without.kinds else near

    def _shorten(self, making: Making, snapped: Snapped, encoder: Encoder) -> Shortened:
        """Return the parts without their pauses and fillers if that was requested."""
        shortened = shorten_parts(
            making.without,
            snapped.parts,
            making.profile,
            encoding=self._encoding,
            searched=self._searched(making, snapped),
            spoken=making.texts.spoken,
            run=lambda job: encoder.run(job, keep=True)[0],
        )
        shortened.check(shortest=self._rules.shortest)
        return shortened


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
