"""The cutter under test: probe and cut in this process, without child process, store or database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from clipengine.clips.edit import PlannedPart
from clipengine.clips.file_comparison import FilePlan
from clipengine.clips.file_reports import CutReport as Made
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.profiles import Profile
from clipengine.clips.removed import NOTHING, Removed
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.media.clip_builder import Drawing
from clipengine.media.cut import cut_clip
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.probe import ProbeResult, probe
from clipengine.recordings.facts import SourceFacts
from tests.films.film import Film
from tests.support.inspection import hold_to_plan

DEFAULT = Profile()
SMART = Profile(render="smart")
SMART_PROFILES = {  # by the encoder of the recording
    "libx264": SMART,
    "libx265": Profile(render="smart", video="hevc"),
    "libvpx": Profile(render="smart", container="webm", video="vp8", audio="opus"),
    "libvpx-vp9": Profile(render="smart", container="webm", video="vp9", audio="opus"),
}


@dataclass(frozen=True)
class Clip:
    """A clip file with the report of the cutter."""

    path: Path
    made: Made


@lru_cache(maxsize=256)
def probed(path: Path) -> ProbeResult:
    """Return the result of the probe, computed once per film."""
    with path.open("rb") as file:
        return probe(DescriptorSource(file.fileno()))


def facts_of(path: Path) -> SourceFacts:
    return probed(path).facts


def cut(film: Film, start: Fraction, end: Fraction, output: Path, profile: Profile = DEFAULT) -> Clip:
    """Cut a range of the film into the file `output`. Raises the errors of the cutter."""
    return cut_file(film.path, start, end, output, profile)


def cut_file(
    path: Path,
    start: Fraction,
    end: Fraction,
    output: Path,
    profile: Profile = DEFAULT,
    *,
    full_proof: bool = False,
    threads: int = 1,
    texts: tuple[TextTrack, ...] = (),
    burnt: TextTrack | None = None,
    drawing: Drawing = Drawing(),
    removed: Removed = NOTHING,
    caption_style: CaptionStyle | None = None,
) -> Clip:
    """Cut a range of any recording into the file `output`. Raises the errors of the cutter."""
    return cut_parts(
        [(path, start, end)],
        output,
        profile,
        full_proof=full_proof,
        threads=threads,
        texts=texts,
        burnt=burnt,
        drawing=drawing,
        removed=removed,
        caption_style=caption_style,
    )


def cut_parts(
    parts: Sequence[tuple[Path, Fraction, Fraction]],
    output: Path,
    profile: Profile = DEFAULT,
    *,
    full_proof: bool = False,
    threads: int = 1,
    texts: tuple[TextTrack, ...] = (),
    burnt: TextTrack | None = None,
    drawing: Drawing = Drawing(),
    removed: Removed = NOTHING,
    caption_style: CaptionStyle | None = None,
) -> Clip:
    """Cut ranges of recordings into the file `output`. Raises the errors of the cutter."""
    target = os.open(output, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(path.open("rb")) for path, _, _ in parts]
            planned = [
                PlannedPart(
                    facts_of(path), start, end, number, probed(path).seek_index, texts, burnt, removed, caption_style
                )
                for number, (path, start, end) in enumerate(parts)
            ]
            made, _ = cut_clip(
                [DescriptorSource(file.fileno()) for file in files],
                planned,
                profile,
                output=target,
                threads=threads,
                poster=False,
                full_proof=full_proof,
                drawing=drawing,
                on_progress=lambda step, progress: None,
            )
        report = made.model_dump(mode="json")
        hold_to_plan(target, FilePlan(planned, profile), report)
    finally:
        os.close(target)
    return Clip(output, made)
