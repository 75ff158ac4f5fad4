"""Cutting, by the command line and by a warm child of the server, compared with the ffmpeg command.

All use the same preset, CRF and audio, and read and write a file. The PSNR of luma against the recording is measured
for both, so that no time is gained by lower quality.

The engine decodes each clip before it marks it complete, ffmpeg does not. So two comparisons are made: with ffmpeg
alone and with ffmpeg plus a decode of its clip.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.profiles import Render
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import SeekIndex
from clipengine.settings.settings import Settings
from clipengine.stores.folder import FolderStore
from clipengine.work.children.jobs import cut_job, probe_job, probe_result
from clipengine.work.children.process import Child
from scripts.benchmarks import sources
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.measuring import MemorySampler, Usage, cpu_seconds, in_turn, run

_SOURCES = (sources.H264_1080, sources.H264_720, sources.VP8_LIVE, sources.HEVC_1080)
_RECORDING_SECONDS = 90
_START = Fraction(1380, 30)  # the start of a frame in the middle of a GOP
_COMMAND = str(Path(sys.executable).with_name("clipengine"))
_COMPARED_EVERY = 5  # frames
_DECODE = "ffmpeg -nostdin -v error -xerror -i {} -f null -"  # the check that a clip decodes


def figures(bench: Bench) -> Iterator[Figure]:
    if (reason := sources.lacking()) is not None:
        bench.say(f"  {reason}")
        return
    seconds, rounds = bench.sized((30, 6), (8, 2), (2, 1))
    with tempfile.TemporaryDirectory(dir=bench.cache) as folder:
        for kind in bench.sized(_SOURCES, _SOURCES, _SOURCES[:1]):
            recording = sources.recording(bench, kind, _RECORDING_SECONDS)
            yield from _compared(kind.name, recording, Path(folder), _START, _START + seconds, rounds)


def _compared(
    name: str, recording: Path, folder: Path, start: Fraction, end: Fraction, rounds: int
) -> Iterator[Figure]:
    ours, theirs = folder / "ours.mp4", folder / "theirs.mp4"
    facts, landmarks = probed(recording)
    things = {
        "ffmpeg": lambda: run(ffmpeg_command(recording, theirs, start, end)),
        "ffmpeg's clip decoded": lambda: run(_DECODE.format(theirs).split()),
        "command": lambda: run(clipengine_command(recording, ours, start, end)),
        "warm child": lambda: in_warm_child(Settings(), recording, facts, landmarks, start, end),
    }
    for warm_up in (ffmpeg_command, clipengine_command):  # one second of each, to fill the page cache
        run(warm_up(recording, ours, start, start + 1))
    runs = in_turn(things, rounds=rounds)
    theirs_cost = runs.middle("ffmpeg")
    for way in (way for way in things if not way.startswith("ffmpeg")):
        cost, ratio = runs.middle(way), runs.ratio(way, "ffmpeg")
        yield Figure(f"{name}, {way}: wall", cost.wall, "s", theirs_cost.wall, ratio.wall, at_most=1.0)
        yield Figure(f"{name}, {way}: CPU", cost.cpu, "s", theirs_cost.cpu, ratio.cpu, at_most=1.0)
        megabytes = cost.memory / 1e6, theirs_cost.memory / 1e6
        yield Figure(f"{name}, {way}: peak memory", megabytes[0], "MB", megabytes[1], ratio.memory, at_most=1.0)
    runs = runs.with_sum("ffmpeg and a decoding", "ffmpeg", "ffmpeg's clip decoded")
    mine, both = runs.middle("warm child"), runs.middle("ffmpeg and a decoding")
    ratio = runs.ratio("warm child", "ffmpeg and a decoding")
    beside = f"{name}, warm child beside ffmpeg and a decoding"
    yield Figure(f"{beside}: wall", mine.wall, "s", both.wall, ratio.wall, at_most=1.0)
    yield Figure(f"{beside}: CPU", mine.cpu, "s", both.cpu, ratio.cpu, at_most=1.0)
    likeness = [_psnr(recording, clip, start) for clip in (ours, theirs)]
    # Equal to the printed hundredth of a decibel.
    yield Figure(f"{name}: PSNR", likeness[0], "dB", likeness[1], at_least=round(likeness[1] - 0.01, 3))
    yield Figure(f"{name}: size", ours.stat().st_size / 1e6, "MB", theirs.stat().st_size / 1e6)


def ffmpeg_command(recording: Path | str, clip: Path, start: Fraction, end: Fraction) -> Sequence[str]:
    """Return the command that is commonly recommended."""
    codecs = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-c:a", "aac", "-b:a", "128k"]
    ends = ["-ss", f"{float(start):.6f}", "-i", str(recording), "-t", f"{float(end - start):.6f}"]
    return ["ffmpeg", "-nostdin", "-v", "error", "-y", *ends, *codecs, str(clip)]


def clipengine_command(recording: Path, clip: Path, start: Fraction, end: Fraction) -> Sequence[str]:
    return [_COMMAND, "cut", str(recording), str(clip), "--start", f"{float(start):.6f}", "--end", f"{float(end):.6f}"]


def probed(recording: Path) -> tuple[SourceFacts, SeekIndex | None]:
    with closing(FolderStore(recording.parent, "").open(recording.name)) as reader:
        message, _ = Child().run(probe_job(Settings().encoding), reader, watch=lambda message: None)
    return probe_result(message)


def in_warm_child(
    settings: Settings,
    recording: Path,
    facts: SourceFacts,
    landmarks: SeekIndex | None,
    start: Fraction,
    end: Fraction,
    render: Render | None = None,
) -> Usage:
    """Cut in a child started before; the work of the parent is negligible."""
    parts = [PlannedPart(facts, start, end, seek_index=landmarks)]
    job = cut_job(settings.encoding, settings.profiles["default"].rendered(render), parts, poster=False)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = Child()
    pid = child._process.pid
    child.wait_until_ready()
    started = cpu_seconds(pid)
    store = FolderStore(recording.parent, "")
    with (
        closing(store.open(recording.name)) as reader,
        tempfile.TemporaryFile(dir=recording.parent) as output,
        MemorySampler(pid) as memory,
    ):
        began = time.perf_counter()
        child.run(job, reader, output=output.fileno(), watch=lambda message: None)
        wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Usage(wall, spent - started, memory.peak)


def _psnr(recording: Path, clip: Path, start: Fraction) -> float:
    """Return the mean PSNR of luma between clip and recording in decibels, over every n-th frame."""
    values = []
    with av.open(str(recording)) as original, av.open(str(clip)) as encoded:
        for number, (want, have) in enumerate(zip(_from(original, start), _from(encoded, Fraction(0)), strict=False)):
            if number % _COMPARED_EVERY == 0:
                error = np.mean((_luma(want) - _luma(have)) ** 2)
                values.append(10 * np.log10(255**2 / max(error, 1e-9)))
    return float(np.mean(values))


def _from(container: av.container.InputContainer, start: Fraction) -> Iterator[av.VideoFrame]:
    """Yield the frames from the one that begins at `start`, allowing for rounded times."""
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    if start:
        container.seek(int((start - 1) * 1_000_000))
    for frame in container.decode(stream):
        if frame.time is not None and frame.time > float(start) - 1 / 120:
            yield frame


def _luma(frame: av.VideoFrame) -> npt.NDArray[np.float32]:
    plane = frame.planes[0]
    return (
        np.frombuffer(bytes(plane), np.uint8)
        .reshape(plane.height, plane.line_size)[:, : plane.width]
        .astype(np.float32)
    )
