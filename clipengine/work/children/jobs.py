"""Jobs of child processes, with their limits.

The limits stop hostile recordings. Valid recordings stay far below them.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.framing import clip_size
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.snap import Snap
from clipengine.clips.plan.frames import kept_tracks
from clipengine.clips.plan.read_jobs import ReadJob
from clipengine.clips.plan.size_limit import MAX_ATTEMPTS
from clipengine.clips.texts.cues import Cue, check_cues, clean_text
from clipengine.clips.texts.subtitles import MAX_TEXT_BYTES, TextTrack
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.piece_seek_index import PieceSeekIndex, stored_seek_index
from clipengine.recordings.seek_index import SeekIndex
from clipengine.settings.settings import Encoding, Transcription
from clipengine.work.children.fonts import ChosenFont
from clipengine.work.children.watermarks import WatermarkFile

Message = dict[str, Any]
# The programs of children. A maker probes, cuts and makes previews, a burner also draws subtitles into the picture,
# an inspector reads a finished clip, a transcriber runs a speech model on samples, and a parser reads a document.
Program = Literal["maker", "burner", "inspector", "transcriber", "parser"]

_MiB = 1 << 20
# Measured at 3840x2160: at most 2.7 GiB with 4 threads (AV1), 3.5 GiB with 16 (HEVC); each thread holds frames.
_MEMORY_BYTES, _MEMORY_BYTES_PER_THREAD = 3072 * _MiB, 192 * _MiB
_CUT_FLOOR_SECONDS, _INSPECT_FLOOR_SECONDS = 300.0, 60.0
_SNAP_FLOOR_SECONDS = 10.0  # for each cut
_SCAN_SECONDS = 5.0  # after which a scan of pieces is continued by another job
_FILE_FLOOR_BYTES = 64 * _MiB
_MAX_FILE_BYTES = 1 << 62  # the maximum of setrlimit(2)
_RAW_BYTES_PER_PIXEL = 3  # of 4:2:0 with 10 bits, which is about the size of encoded noise
_PREVIEW_THREADS = 2  # leaves cores to clips
_INSPECT_THREADS = 2  # few frames are decoded
# With more, H.264 is encoded in segments side by side, which no machine with so many cores has measured.
_AUTOMATIC_THREADS = 15
# Of a probe: the texts with the names of their speakers, escaped as JSON, as Base64.
_MAX_TEXTS_BYTES = 8 * MAX_TEXT_BYTES
_Packed = tuple[str, str, list[tuple[int, int, str, str | None]]]
_TEXTS: TypeAdapter[list[_Packed]] = TypeAdapter(list[_Packed], config=ConfigDict(strict=True))
_WINDOW_SECONDS = 600.0  # for a window of 30 s of the largest model on one slow core
_MODEL_FLOOR_BYTES, _MODEL_COPIES = 2048 * _MiB, 3  # measured: 0.4 GiB with a model of 75 MB
_SIZE_PASSES = 2 + MAX_ATTEMPTS  # of a clip with `max_bytes`
_MIN_FPS = 60  # assumed at least, for recordings with a variable frame rate
_MIN_PIXELS = 1920 * 1080


@dataclass(frozen=True)
class Job:
    """A job of one child. `wall_seconds` is its deadline, `stall_seconds` the longest time without a sign of life.

    The kernel enforces `memory_bytes`, `file_bytes`, and the CPU time that results from `wall_seconds` and `threads`.
    """

    message: Message
    wall_seconds: float
    stall_seconds: float
    memory_bytes: int
    file_bytes: int
    threads: int
    files: tuple[Path, ...] = ()  # the child gets their descriptors after the output's

    @property
    def limits(self) -> Message:
        """The limits in the form that the child receives."""
        return {
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": round(self.wall_seconds * self.threads) + 1,
            "file_bytes": self.file_bytes,
            "threads": self.threads,
        }


def probe_job(encoding: Encoding, *, cut_seconds: float | None = None) -> Job:
    """Return the job that reads the facts of a recording.

    If the same child then cuts `cut_seconds` of it, the limits leave room for that: a child can only lower them.
    """
    cut_wall_seconds = 0.0 if cut_seconds is None else _CUT_FLOOR_SECONDS + cut_seconds * encoding.deadline_factor
    return Job(
        {"job": "probe"},
        wall_seconds=encoding.probe_seconds + cut_wall_seconds,
        stall_seconds=encoding.stall_seconds,
        memory_bytes=_memory(encoding),
        file_bytes=0 if cut_seconds is None else _MAX_FILE_BYTES,
        threads=_threads(encoding),
    )


def scan_job(pieces: PieceSeekIndex, probe: Job, *, skips_unreadable: bool = False) -> Job:
    """Return the job that reads pieces, each as a run, with the limits of the `probe` of a file.

    After some seconds it ends with the pieces that it has read, because other jobs may need the child.
    """
    message = {"job": "scan_pieces", "pieces": pieces.model_dump(mode="json"), "seconds": _SCAN_SECONDS}
    return replace(probe, message=message | {"skips_unreadable": skips_unreadable})


def probe_result(result: Message) -> tuple[SourceFacts, SeekIndex | None]:
    """Return the facts and the seek index of a probe result."""
    points = result["seek_index"]
    seek_index = None if points is None else stored_seek_index(points)
    return SourceFacts.model_validate(result["facts"]), seek_index


def probe_texts(blob: bytes) -> list[TextTrack]:
    """Return the text tracks of a probe result, one for each language. Raises ValueError or InvalidTranscript."""
    if not blob:
        return []
    if len(blob) > _MAX_TEXTS_BYTES:
        raise ValueError("the texts of the recording are too long")
    # Imported here, because most recordings have no texts, and it imports slow modules.
    from clipengine.clips.texts.language_tags import alpha3_of, canonical_language

    found: dict[str, TextTrack] = {}
    for tag, _, cues in _TEXTS.validate_json(base64.b64decode(blob, validate=True)):
        language = canonical_language(tag)
        read = [Cue(start, end, clean_text(text)) for start, end, text, _ in cues]
        if not any(cue.text for cue in read):
            continue
        checked = check_cues(read)
        found.setdefault(language, TextTrack(language, alpha3_of(language), tuple(checked)))
    return list(found.values())


def snap_job(encoding: Encoding, profile: Profile, snap: Snap, parts: Sequence[PlannedPart]) -> Job:
    """Return the job that finds the moments to which the cuts of the parts move.

    The same child then cuts the clip, maybe without its silences: the limits leave room for that, because a child can
    only lower them.
    """
    longest = float(_length(parts) + 2 * snap.within * len(parts)) / float(profile.output.tempo)
    return Job(
        {
            "job": "snap",
            "facts": _facts(parts),
            "parts": [
                {
                    "source": part.source,
                    "seek_index": part.seek_index
                    and part.seek_index.near(part.start, part.end).model_dump(mode="json"),
                    **snap_values(snap, part, profile),
                }
                for part in parts
            ],
            "threads": _threads(encoding),
        },
        wall_seconds=(searched_seconds(snap, len(parts)) + longest * float(profile.output.tempo))
        * encoding.deadline_factor
        + _cut_wall_seconds(encoding, longest, profile),
        stall_seconds=encoding.stall_seconds,
        memory_bytes=_memory(encoding),
        file_bytes=_MAX_FILE_BYTES,
        threads=_threads(encoding),
    )


def searched_seconds(snap: Snap | None, parts: int) -> float:
    """Return how much of the recordings is searched near the cuts of so many parts, and some seconds for each cut."""
    return 0.0 if snap is None else parts * 2 * (2 * snap.within_seconds + _SNAP_FLOOR_SECONDS)


def silences_job(encoding: Encoding, profile: Profile, parts: Sequence[PlannedPart], *, searched: float) -> Job:
    """Return the job that finds the silences of the parts. The same child then cuts the clip, see `snap_job`."""
    cut = cut_job(encoding, profile, parts, poster=False, searched=searched)
    values = [
        {
            "source": part.source,
            "seek_index": part.own_seek_index and part.own_seek_index.model_dump(mode="json"),
            **silence_values(part, profile),
        }
        for part in parts
    ]
    message = {"job": "part_silences", "facts": _facts(parts), "parts": values, "threads": cut.threads}
    return replace(cut, message=message, file_bytes=_MAX_FILE_BYTES)


def silence_values(part: PlannedPart, profile: Profile) -> dict[str, str | int]:
    """Return the values with which a child finds the silences of a part."""
    end = min(part.end, part.facts.duration)
    return {"start": str(part.start), "end": str(end), "tracks": _heard_tracks(part, profile)}


def snap_values(snap: Snap, part: PlannedPart, profile: Profile) -> dict[str, str | int]:
    """Return the values with which a child finds the moments near the cuts of a part."""
    return {
        "to": snap.to,
        "within": str(snap.within),
        "start": str(part.start),
        "end": str(part.end),
        "tracks": _heard_tracks(part, profile),
    }


def _heard_tracks(part: PlannedPart, profile: Profile) -> str:
    """Return the audio tracks whose silences count: the clip's tracks, or all if it has none."""
    return ",".join(str(track.index) for track in kept_tracks(profile, part.facts.audio) or part.facts.audio)


def cut_job(
    encoding: Encoding,
    profile: Profile,
    parts: Sequence[PlannedPart],
    *,
    poster: bool,
    searched: float = 0.0,
    watermark: WatermarkFile | None = None,
    fonts: Sequence[ChosenFont] = (),
    kept_free: int = 0,
) -> Job:
    """Return the job that cuts the parts. It fails before less than `kept_free` bytes are free on the file's disk.

    The child may have searched as many seconds before (`snap_job`). The `watermark` belongs to the output options, and
    the `fonts` to the subtitles to burn in, which need the program "burner".
    """
    length = float(_length(parts) / profile.output.tempo)
    threads = _threads(encoding)
    return Job(
        {
            "job": "cut",
            "facts": _facts(parts),
            "parts": [part.to_message() for part in parts],
            "profile": profile.model_dump(mode="json"),
            "threads": threads,
            "poster": poster,
            "verify": encoding.verify,
            "kept_free": kept_free,
            "watermark": watermark and watermark.to_message(),
            "fonts": _font_values(fonts),
        },
        files=tuple(font.path for font in fonts),
        wall_seconds=searched * encoding.deadline_factor + _cut_wall_seconds(encoding, length, profile),
        stall_seconds=encoding.stall_seconds,
        memory_bytes=_memory(encoding),
        file_bytes=_max_bytes([part.facts for part in parts], profile, length),
        threads=threads,
    )


def _font_values(fonts: Sequence[ChosenFont]) -> list[Message]:
    return [{"index": font.index, "characters": font.characters} for font in fonts]


def inspect_job(encoding: Encoding, seconds: float) -> Job:
    """Return the job that inspects the file of a clip of this length."""
    return Job(
        {"job": "inspect"},
        wall_seconds=_INSPECT_FLOOR_SECONDS + seconds * encoding.deadline_factor,
        stall_seconds=encoding.stall_seconds,
        memory_bytes=_memory(encoding),
        file_bytes=0,
        threads=min(_INSPECT_THREADS, _threads(encoding)),
    )


def read_job(
    encoding: Encoding,
    kind: ReadJob,
    facts: SourceFacts,
    values: Mapping[str, str | int],
    *,
    seek_index: SeekIndex | None = None,
    fonts: Sequence[ChosenFont] = (),
) -> Job:
    """Return the job that reads a part of a recording, or paints its captions with the `fonts`."""
    return Job(
        {
            "job": kind.name,
            "facts": facts.model_dump(mode="json"),
            "seek_index": seek_index and seek_index.model_dump(mode="json"),
            "threads": _PREVIEW_THREADS,
            "fonts": _font_values(fonts),
            **values,
        },
        files=tuple(font.path for font in fonts),
        wall_seconds=kind.deadline_seconds,
        stall_seconds=encoding.stall_seconds,
        memory_bytes=_memory(encoding),
        file_bytes=0,
        threads=_PREVIEW_THREADS,
    )


def transcribe_job(
    encoding: Encoding, settings: Transcription, model: Sequence[Path], *, seconds: float, language: str | None
) -> Job:
    """Return the job that transcribes samples of this length, with the files of a model."""
    size = sum(path.stat().st_size for path in model)
    return Job(
        {
            "job": "transcribe",
            "language": language,
            "model": [path.name for path in model],
            "threads": settings.threads,
        },
        files=tuple(model),
        wall_seconds=_CUT_FLOOR_SECONDS + seconds * encoding.deadline_factor,
        stall_seconds=max(encoding.stall_seconds, _WINDOW_SECONDS),
        memory_bytes=settings.memory_mb * _MiB or _MODEL_FLOOR_BYTES + _MODEL_COPIES * size,
        file_bytes=0,
        threads=settings.threads,
    )


def _length(parts: Sequence[PlannedPart]) -> Fraction:
    return sum((part.end - part.start for part in parts), Fraction(0))


def _facts(parts: Sequence[PlannedPart]) -> list[Message]:
    """Return the facts of each recording of the parts, in the order of their numbers."""
    facts = {part.source: part.facts for part in parts}
    return [facts[source].model_dump(mode="json") for source in sorted(facts)]


def _cut_wall_seconds(encoding: Encoding, length: float, profile: Profile) -> float:
    passes = 1 if profile.output.max_bytes is None else _SIZE_PASSES
    return (_CUT_FLOOR_SECONDS + length * encoding.deadline_factor) * passes


def _threads(encoding: Encoding) -> int:
    return encoding.threads_per_clip or min(_AUTOMATIC_THREADS, len(os.sched_getaffinity(0)))


def _memory(encoding: Encoding) -> int:
    return encoding.memory_mb * _MiB or _MEMORY_BYTES + _threads(encoding) * _MEMORY_BYTES_PER_THREAD


def _max_bytes(facts: Sequence[SourceFacts], profile: Profile, seconds: float) -> int:
    """Return an upper bound for the size of a clip: uncompressed video, and twice the audio bit rate."""
    tracks = max(1, *(len(each.audio) for each in facts))
    size = _FILE_FLOOR_BYTES + 2 * round(profile.audio_bitrate / 8 * seconds) * tracks
    videos = [each.video for each in facts if each.video is not None]
    if videos and profile.video != "none":
        rate = max(2 * max(video.fps for video in videos), profile.fps or 0, _MIN_FPS)
        # The size may change in a recording, without notice of the probe.
        sizes = [size for each in videos for size in (clip_size(each, profile), (each.width, each.height))]
        sizes += [each.largest for each in videos if each.largest is not None]
        pixels = max(_MIN_PIXELS, *map(math.prod, sizes))
        size += round(pixels * _RAW_BYTES_PER_PIXEL * rate * (seconds + 1))
    return min(size, _MAX_FILE_BYTES)
