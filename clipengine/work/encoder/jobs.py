"""Jobs for encoder children: what to do, what it may use, and how long it may take.

The limits are no estimates: no honest job comes near them. They end what a hostile recording begins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from clipengine.clips.clip import ClipResult
from clipengine.clips.clip_file import CutReport
from clipengine.clips.facts import SourceFacts
from clipengine.clips.profiles import Profile
from clipengine.clips.seek_index import SeekIndex
from clipengine.settings import Encoding, Settings

Message = dict[str, Any]

_MiB = 1 << 20
# Measured at 3840x2160: at most 2.7 GiB with 4 threads (AV1), 3.5 GiB with 16 (HEVC); each thread holds pictures.
_MEMORY_BYTES, _MEMORY_BYTES_PER_THREAD = 3072 * _MiB, 192 * _MiB
_CUT_FLOOR_SECONDS, _INSPECT_FLOOR_SECONDS = 300.0, 60.0
_FILE_FLOOR_BYTES = 64 * _MiB
_MAX_FILE_BYTES = 1 << 62  # what setrlimit(2) takes
_RAW_BYTES_PER_PIXEL = 3  # of 4:2:0 with 10 bits: what an encoder makes of the worst noise is about as large
_PREVIEW_THREADS = 2  # beside the clips, not instead of them
_COMMON_RATE = 60  # frames per second: those of a variable rate come at any


@dataclass(frozen=True)
class Job:
    """One job of one child. `wall_seconds` is its deadline, `stall_seconds` how long it may show no sign of life.

    `memory_bytes`, `cpu_seconds` (of all its threads) and `file_bytes` are limits that the child's kernel enforces.
    """

    message: Message
    wall_seconds: float
    stall_seconds: float
    memory_bytes: int
    file_bytes: int
    threads: int

    @property
    def limits(self) -> Message:
        """What the child is told of its limits."""
        return {
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": round(self.wall_seconds * self.threads) + 1,
            "file_bytes": self.file_bytes,
            "threads": self.threads,
        }


def probe_job(encoding: Encoding) -> Job:
    """The job of a child that finds out what a recording holds."""
    return Job(
        {"job": "probe"},
        wall_seconds=encoding.probe_seconds,
        stall_seconds=encoding.stall_seconds,
        memory_bytes=_memory(encoding),
        file_bytes=0,
        threads=_threads(encoding),
    )


def probe_result(result: Message) -> tuple[SourceFacts, SeekIndex | None]:
    """What a child has found out, from its report."""
    noted = result["landmarks"]
    seek_index = None if noted is None else SeekIndex.model_validate(noted)
    return SourceFacts.model_validate(result["facts"]), seek_index


def cut_job(
    settings: Settings,
    facts: SourceFacts,
    profile: str,
    *,
    start: Fraction,
    end: Fraction,
    poster: bool,
    seek_index: SeekIndex | None = None,
) -> Job:
    """The job of a child that cuts `[start, end)` of a recording with these facts."""
    encoding, chosen = settings.encoding, settings.profiles[profile]
    length = float(end - start)
    threads = _threads(encoding)
    return Job(
        {
            "job": "cut",
            "facts": facts.model_dump(mode="json"),
            "landmarks": seek_index and seek_index.near(start).model_dump(mode="json"),
            "profile": chosen.model_dump(mode="json"),
            "start": str(start),
            "end": str(end),
            "threads": threads,
            "poster": poster,
            "verify": encoding.verify,
        },
        wall_seconds=_CUT_FLOOR_SECONDS + length * encoding.deadline_factor,
        stall_seconds=encoding.stall_seconds,
        memory_bytes=_memory(encoding),
        file_bytes=_most_bytes(facts, chosen, length),
        threads=threads,
    )


def inspect_job(encoding: Encoding, seconds: float) -> Job:
    """The job of a child that reports what the file of a clip of this length holds."""
    return Job(
        {"job": "inspect"},
        wall_seconds=_INSPECT_FLOOR_SECONDS + seconds * encoding.deadline_factor,
        stall_seconds=encoding.stall_seconds,
        memory_bytes=_memory(encoding),
        file_bytes=0,
        threads=1,
    )


PreviewKind = Literal["frame", "times", "filmstrip", "waveform"]


def preview_job(
    encoding: Encoding,
    kind: PreviewKind,
    facts: SourceFacts,
    values: Mapping[str, str | int],
    *,
    seek_index: SeekIndex | None = None,
    seconds: float,
) -> Job:
    """The job of a child that makes a preview of a recording with these facts."""
    return Job(
        {
            "job": kind,
            "facts": facts.model_dump(mode="json"),
            "landmarks": seek_index and seek_index.model_dump(mode="json"),
            "threads": _PREVIEW_THREADS,
            **values,
        },
        wall_seconds=seconds,
        stall_seconds=encoding.stall_seconds,
        memory_bytes=_memory(encoding),
        file_bytes=0,
        threads=_PREVIEW_THREADS,
    )


def clip_result(cut: CutReport, *, sha256: str, poster_path: str | None) -> ClipResult:
    """Return what the API shows of a clip, from the child's report."""
    return ClipResult(
        actual_start_seconds=round(float(cut.actual_start), 6),
        actual_end_seconds=round(float(cut.actual_end), 6),
        duration_seconds=round(float(cut.seconds), 6),
        frames=cut.frames,
        width=cut.width,
        height=cut.height,
        video_codec=cut.video_codec,
        audio_codec=cut.audio_codec,
        size_bytes=cut.size_bytes,
        sha256=sha256,
        poster_path=poster_path,
        encode_seconds=cut.encode_seconds,
        bytes_read=cut.bytes_read,
        warnings=cut.warnings,
    )


def _threads(encoding: Encoding) -> int:
    return encoding.threads_per_clip or len(os.sched_getaffinity(0))


def _memory(encoding: Encoding) -> int:
    return encoding.memory_mb * _MiB or _MEMORY_BYTES + _threads(encoding) * _MEMORY_BYTES_PER_THREAD


def _most_bytes(facts: SourceFacts, profile: Profile, seconds: float) -> int:
    """Return more than any clip of this length can have: its pictures uncompressed, and its sound twice."""
    size = _FILE_FLOOR_BYTES + 2 * round(profile.audio_bitrate / 8 * seconds) * max(1, len(facts.audio))
    if facts.video is not None and profile.video != "none":
        rate = max(2 * facts.video.fps, profile.fps or 0, _COMMON_RATE)
        size += round(facts.video.width * facts.video.height * _RAW_BYTES_PER_PIXEL * rate * (seconds + 1))
    return min(size, _MAX_FILE_BYTES)
