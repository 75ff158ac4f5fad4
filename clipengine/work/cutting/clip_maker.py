"""Maker of a clip's file, the same for `serve` and `clipengine cut`.

It prepares the clip, cuts it, verifies the file, and returns the result.

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
from clipengine.clips.edit import Part, clip_tracks
from clipengine.clips.file_comparison import FilePlan
from clipengine.clips.file_reports import CutReport
from clipengine.clips.options.watermarks import check_watermark
from clipengine.clips.removal import SilenceReport
from clipengine.clips.resolve import ClipRules
from clipengine.clips.snapped import SnapReport
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.settings.settings import Encoding
from clipengine.work.children.jobs import Job, Message, cut_job
from clipengine.work.children.process import Child, Watch
from clipengine.work.children.watermarks import WatermarkFile
from clipengine.work.cutting.preparation import Making, Prepared, Search, prepare, run_steps
from clipengine.work.cutting.verification import verify_clip


class Encoder(Protocol):
    """A child with the recordings of a clip."""

    def run(self, job: Job, *, output: int | None = None, keep: bool = False) -> tuple[Message, bytes]: ...


@dataclass(frozen=True)
class MadeClip:
    """The verified file of a clip. `tracks` are its transcripts, in clip time."""

    prepared: Prepared
    cut: CutReport
    poster: bytes
    sha256: str
    tracks: list[TextTrack]

    def result(
        self,
        asked: Sequence[Part],
        *,
        recording_id: str | None = None,
        poster_path: str | None = None,
        subtitles: Sequence[ClipSubtitles] = (),
    ) -> ClipResult:
        """Return the result for the API. The actual start and end span the parts of the clip's recording.

        `asked` are the parts in the request, empty for a clip of one range.
        """
        cut, made, prepared = self.cut, self._ranges, self.prepared
        own = [each for each, part in zip(made, asked, strict=False) if part.recording_id == recording_id] or made
        return ClipResult(
            actual_start_seconds=round(float(min(start for start, _ in own)), 6),
            actual_end_seconds=round(float(max(end for _, end in own)), 6),
            duration_seconds=round(float(cut.seconds / prepared.profile.output.tempo), 6),
            sha256=self.sha256,
            poster_path=poster_path,
            bytes_read=cut.bytes_read + prepared.searched_bytes,
            warnings=[*cut.warnings, *prepared.warnings],
            subtitles=[*subtitles],
            parts=self._parts(asked) or None,
            snapped=[*prepared.snapped],
            removed_seconds=round(float(sum(part.removed.seconds for part in prepared.parts)), 6),
            **cut.result_fields,
        )

    @property
    def _ranges(self) -> list[tuple[Fraction, Fraction]]:
        """The actual start and end of each part, on its recording's timeline."""
        return [
            (start, end + part.removed.seconds)
            for (start, end), part in zip(self.cut.ranges, self.prepared.parts, strict=True)
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
            offset += made.seconds / self.prepared.profile.output.tempo
        return found


class ClipMaker:
    """Makes clips with the settings of an engine or a command. The `rules` hold for snapped cuts too.

    `kept_free` returns the bytes that stay free on the disk of the file behind a descriptor.
    """

    def __init__(
        self,
        encoding: Encoding,
        rules: ClipRules,
        watermarks: Mapping[str, WatermarkFile],
        *,
        kept_free: Callable[[int], int] = lambda descriptor: 0,
    ) -> None:
        self._kept_free = kept_free
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
            prepared = run_steps(
                prepare(making, encoding=self._encoding, rules=self._rules), lambda search: self._find(search, child)
            )
            with path.open("r+b") as output:
                job = cut_job(
                    self._encoding,
                    profile,
                    prepared.parts,
                    poster=making.poster,
                    searched=prepared.searched_seconds,
                    watermark=None if name is None else self._watermarks[name],
                    fonts=prepared.fonts.fonts,
                    kept_free=self._kept_free(output.fileno()),
                )
                message, poster = child.run(job, output=output.fileno())
        cut, plan = CutReport.of(message.get("cut")), FilePlan(prepared.parts, profile)
        if making.poster and poster:
            plan.check_poster(cut, poster)
        with ThreadPoolExecutor(1) as pool:  # the encoder has ended, so the file does not change
            digest = pool.submit(_sha256, path)
            with inspector() as (other, watch):
                verify_clip(other, path, plan, cut, encoding=self._encoding, watch=watch)
            sha256 = digest.result()
        tracks = clip_tracks(prepared.parts, cut.ranges, speed=profile.output.tempo)
        return MadeClip(prepared, cut, poster if making.poster else b"", sha256, tracks)

    def _find(self, search: Search, encoder: Encoder) -> SnapReport | SilenceReport:
        """Do a search in the child that cuts the clip next."""
        message, _ = encoder.run(search.job(self._encoding), keep=True)
        return search.report_of(message)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
