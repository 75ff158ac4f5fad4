"""Encoder child: probes a recording, makes a preview of it or cuts a clip from one or several.

Started as `python -I -m clipengine.media.worker.maker CONTROL RANGES PARENT cell`; see `media.worker.process`.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, TypeVar

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.watermarks import WatermarkStyle
from clipengine.clips.texts.subtitles import pack
from clipengine.media.clip_builder import CutStep, Drawing
from clipengine.media.cut import cut_clip
from clipengine.media.file_overlaps import find_overlaps
from clipengine.media.input.containers.cached_reader import ByteSource
from clipengine.media.memory import log_library_errors
from clipengine.media.previews.job import READERS, do_read_job
from clipengine.media.probe import probe
from clipengine.media.probe_pieces import probe_files, probe_pieces, scan_pieces
from clipengine.media.snap import part_silences, snap_part
from clipengine.media.versions import ffmpeg_version
from clipengine.media.video.overlay import decode_watermark
from clipengine.media.worker.ipc import Channel
from clipengine.media.worker.process import JobSource, Result, main
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.piece_seek_index import PieceSeekIndex

_REPORT_SECONDS = 0.2


class _Progress:
    """Sends progress to the parent at each new step and at most five times a second."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._step: CutStep | None = None
        self._reported = 0.0

    def __call__(self, step: CutStep, part: float) -> None:
        now = time.monotonic()
        if step != self._step or now - self._reported >= _REPORT_SECONDS:
            self._step, self._reported = step, now
            self._channel.send({"type": "progress", "step": step, "part": round(part, 4)})


def _probe(source: ByteSource) -> Result:
    found = probe(source)
    seek_index = found.seek_index and found.seek_index.model_dump(mode="json")
    facts = found.facts.model_dump(mode="json")
    result = {"type": "result", "facts": facts, "seek_index": seek_index, "bytes_read": found.bytes_read}
    return result, pack(found.texts).encode() if found.texts else b""


def _probe_pieces(job: dict[str, Any], source: ByteSource) -> Result:
    probe = probe_files if job["job"] == "probe_files" else probe_pieces
    found = probe(source, PieceSeekIndex.model_validate(job["pieces"]))
    times = [[_texts(scan.first), _texts(scan.last)] for scan in found.scans]
    facts = None if found.facts is None else found.facts.model_dump(mode="json")
    result = {"type": "result", "facts": facts, "scans": times, "origins": _texts(found.origins), "marks": found.marks}
    return result | {"bytes_read": found.bytes_read}, b""


def _find_overlaps(job: dict[str, Any], source: ByteSource) -> Result:
    found = find_overlaps(source, PieceSeekIndex.model_validate(job["pieces"]))
    return {"type": "result", "overlaps": _texts(found)}, b""


def _scan_pieces(job: dict[str, Any], source: ByteSource) -> Result:
    pieces = PieceSeekIndex.model_validate(job["pieces"])
    scans, sizes = scan_pieces(source, pieces, seconds=job["seconds"], skips_unreadable=job["skips_unreadable"])
    times = [[_texts(scan.first), _texts(scan.last)] for scan in scans]
    return {"type": "result", "scans": times, "sizes": sorted(sizes)}, b""


def _texts(times: Iterable[Fraction | None]) -> list[str | None]:
    return [None if time is None else str(time) for time in times]


def _drawing(job: dict[str, Any], fonts: Sequence[int]) -> Drawing:
    """Return the watermark and the fonts of a job. The font files are behind the descriptors `fonts`."""
    watermark = None
    if job["watermark"] is not None:
        png, style = base64.b64decode(job["watermark"]["png"]), job["watermark"]["style"]
        watermark = decode_watermark(png, WatermarkStyle.model_validate(style))
    if not fonts:
        return Drawing(watermark)
    # Only the program `media.worker.burner` can import this: the sandbox denies all files.
    from clipengine.media.video.caption_painter import read_fonts

    return Drawing(watermark, read_fonts(job["fonts"], fonts))


def _cut(job: dict[str, Any], sources: Sequence[JobSource], descriptors: list[int], progress: _Progress) -> Result:
    output, *fonts = descriptors
    facts = [SourceFacts.model_validate(each) for each in job["facts"]]
    cut, poster = cut_clip(
        sources,
        [PlannedPart.of_message(part, facts) for part in job["parts"]],
        Profile.model_validate(job["profile"]),
        output=output,
        threads=job["threads"],
        poster=job["poster"],
        full_proof=job["verify"] == "full",
        kept_free=job["kept_free"],
        drawing=_drawing(job, fonts),
        on_progress=progress,
    )
    read = cut.bytes_read - sum(source.bytes_known for source in sources)
    report = cut.model_copy(update={"bytes_read": read, "ffmpeg": ffmpeg_version()})
    return {"type": "result", "cut": report.model_dump(mode="json")}, poster or b""


_Found = TypeVar("_Found")


def _snap(job: dict[str, Any], sources: Sequence[JobSource]) -> Result:
    found, bytes_read = _search_parts(job, sources, snap_part)
    cuts = [[None if moment is None else str(moment) for moment in each] for each in found]
    return {"type": "result", "snap": {"cuts": cuts, "bytes_read": bytes_read}}, b""


def _silences(job: dict[str, Any], sources: Sequence[JobSource]) -> Result:
    found, bytes_read = _search_parts(job, sources, part_silences)
    return {"type": "result", "silences": {"parts": found, "bytes_read": bytes_read}}, b""


def _search_parts(
    job: dict[str, Any], sources: Sequence[JobSource], search: Callable[..., tuple[_Found, int]]
) -> tuple[list[_Found], int]:
    """Return the findings in each part, and the number of bytes that were read of the sources."""
    facts = [SourceFacts.model_validate(each) for each in job["facts"]]
    found, bytes_read = [], 0
    for part in job["parts"]:
        number = part["source"]
        each, read = search(sources[number], facts[number], part, threads=job["threads"])
        found.append(each)
        bytes_read += read
    return found, max(0, bytes_read - sum(source.bytes_known for source in sources))


def do_job(job: dict[str, Any], sources: list[JobSource], descriptors: list[int], control: Channel) -> Result:
    """Do the job that the parent's message asks for and return the result message with its binary part."""
    if job["job"] == "probe":
        return _probe(sources[0])
    if job["job"] in ("probe_pieces", "probe_files"):
        return _probe_pieces(job, sources[0])
    if job["job"] == "scan_pieces":
        return _scan_pieces(job, sources[0])
    if job["job"] == "find_overlaps":
        return _find_overlaps(job, sources[0])
    if job["job"] in READERS:
        return {"type": "result"}, do_read_job(job, sources[0], descriptors)
    if job["job"] == "snap":
        return _snap(job, sources)
    if job["job"] == "part_silences":
        return _silences(job, sources)
    return _cut(job, sources, descriptors, _Progress(control))


if __name__ == "__main__":
    main(do_job, when_locked=log_library_errors)
