"""The cutter under test: probe and cut in this process, without child process, store or database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from clipengine.clips.clip_file import FilePlan
from clipengine.clips.facts import SourceFacts
from clipengine.clips.profiles import Profile
from clipengine.clips.subtitles import TextTrack
from clipengine.media.cut import Cut as Made
from clipengine.media.cut import cut_clip
from clipengine.media.input.source import DescriptorSource
from clipengine.media.probe import ProbeResult, probe
from tests.films.film import Film
from tests.support.inspection import hold_to_plan

DEFAULT = Profile()
SMART = Profile(render="smart")


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
    decodes: bool = True,
    threads: int = 1,
    texts: tuple[TextTrack, ...] = (),
) -> Clip:
    """Cut a range of any recording into the file `output`. Raises the errors of the cutter."""
    facts = facts_of(path)
    target = os.open(output, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with path.open("rb") as file:
            made = cut_clip(
                DescriptorSource(file.fileno()),
                facts,
                profile,
                seek_index=probed(path).seek_index,
                start=start,
                end=end,
                output=target,
                threads=threads,
                poster=False,
                decodes=decodes,
                texts=texts,
                on_progress=lambda step, progress: None,
            )
        report = {name: value for name, value in vars(made).items() if name != "poster"}
        report |= {"actual_start": str(made.actual_start), "actual_end": str(made.actual_end)}
        hold_to_plan(target, FilePlan(facts, profile, start, end, texts), report)
    finally:
        os.close(target)
    return Clip(output, made)
