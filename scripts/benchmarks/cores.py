"""One clip on 4 to 32 cores, simulated: in segments side by side as it is encoded, and with one encoder.

The CPU time of each thread of a child is measured with `threads_per_clip` set to each number of cores, on
however many this machine has. `scripts.benchmarks.schedule` then computes the least wall time on so many cores.

Assumptions: all frames cost the same, with any number of threads (the median of all runs; the runs are printed); a
frame of the recording refers to the one before it; each core is as fast as one here, and memory bandwidth is enough for
all; opening an encoder and reading the finished file are free. `beside it` is the same clip with one encoder and one
thread of the packet verifier.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from types import TracebackType

import av

from clipengine.clips.edit import PlannedPart
from clipengine.media.output.segmented_video import encoders_side_by_side, segment_layout
from clipengine.media.video.frame_format import BT709_COLORS, FrameFormat
from clipengine.settings.settings import Encoding, Settings
from clipengine.stores.folder import FolderStore
from clipengine.work.children.jobs import cut_job
from clipengine.work.children.process import Child
from scripts.benchmarks import sources
from scripts.benchmarks.cutting import probed
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.measuring import MemorySampler
from scripts.benchmarks.schedule import Costs, Way, lookahead_threads, wall_seconds, x264_threads

_SOURCES = (sources.H264_1080, sources.H264_720)
_CORES = (4, 8, 16, 24, 32)
_RECORDING_SECONDS = 90
_START = Fraction(1380, 30)
_SHORT_SECONDS = 10  # long enough for segments
_FRAME_RATE = 30
_SAMPLE_SECONDS = 0.01
_MAIN_AND_INPUT = "main and input"


@dataclass(frozen=True)
class _Run:
    seconds: Mapping[str, float]  # CPU by field of `Costs`
    memory: int
    references: Sequence[Sequence[int]]


def figures(bench: Bench) -> Iterator[Figure]:
    if (reason := sources.lacking()) is not None:
        bench.say(f"  {reason}")
        return
    cores, seconds, length = bench.sized((_CORES, 20, 120), (_CORES[1:3], 10, 30), (_CORES[1:2], 2, 4))
    for kind in (sources.scaled(bench, each) for each in bench.sized(_SOURCES, _SOURCES, _SOURCES[:1])):
        recording = sources.recording(bench, kind, _RECORDING_SECONDS)
        measured = {}
        for number in cores:
            measured[number] = _measured(recording, kind, number, seconds)
            bench.say(f"  {kind.name}, {number} threads, ms per frame: {_described(measured[number].seconds)}")
        middle = {}
        # With one encoder, main thread and input are one. A run without segments has no other figures.
        segmented = [each.seconds for each in measured.values() if "main" in each.seconds]
        alone = (
            [{"main": each.seconds[_MAIN_AND_INPUT], "input": 0.0} for each in measured.values()]
            if not segmented
            else []
        )
        for part in ("main", "input"):
            middle[part] = median(each[part] for each in segmented or alone)
        for part in measured[cores[0]].seconds.keys() - middle.keys() - {_MAIN_AND_INPUT}:
            middle[part] = median(each.seconds[part] for each in measured.values())
        bench.say(f"  {kind.name}, median, ms per frame: {_described(middle)}")
        for number in cores:
            yield from _compared(kind, measured[number], Costs(**middle), number, _FRAME_RATE * length)


def _compared(kind: sources.Kind, run: _Run, costs: Costs, cores: int, frames: int) -> Iterator[Figure]:
    """Yield the time and the memory of a clip of this number of frames."""
    references = _repeated(run.references, frames)
    way = _way(kind, cores, frames)
    walls = [
        wall_seconds(costs, references, each, height=kind.height, cores=cores) for each in (way, Way(threads=cores))
    ]
    limit, busiest = costs.busiest(way, kind.height)
    if busiest <= costs.total / cores:
        limit = "all cores"
    name = f"{kind.name}, {cores} cores, {frames // _FRAME_RATE} s, {way.encoders} side by side"
    yield Figure(f"{name}, limited by {limit}", walls[0], "s", walls[1], walls[0] / walls[1])
    yield Figure(f"{name}: peak memory", run.memory / 1e6, "MB")


def _way(kind: sources.Kind, threads: int, frames: int) -> Way:
    """Return how the maker child encodes a clip of this number of frames."""
    verifiers = encoders_side_by_side(threads)
    format = FrameFormat(kind.height * 16 // 9, kind.height, "yuv420p", Fraction(1), BT709_COLORS)
    layout = segment_layout(threads, frames, format)
    if layout is None:
        return Way(threads, verifiers=verifiers)
    return Way(threads, layout.encoders, layout.frames, verifiers)


def _described(seconds: Mapping[str, float]) -> str:
    parts = {"total": sum(seconds.values()), **seconds}
    return ", ".join(f"{name.replace('_', ' ')} {1000 * cost:.2f}" for name, cost in parts.items())


def _measured(recording: Path, kind: sources.Kind, threads: int, seconds: int) -> _Run:
    """Return the costs of a frame, from the difference between a long cut and a short one from the same start."""
    short = _cut(recording, kind, threads, _SHORT_SECONDS)
    long = _cut(recording, kind, threads, _SHORT_SECONDS + seconds)
    frames = len(long.references) - len(short.references)
    per_frame = {name: (spent - short.seconds[name]) / frames for name, spent in long.seconds.items()}
    return replace(long, seconds=per_frame)


def _cut(recording: Path, kind: sources.Kind, threads: int, seconds: int) -> _Run:
    """Cut `seconds` with this many threads in a child."""
    facts, seek_index = probed(recording)
    part = PlannedPart(facts, _START, _START + seconds, seek_index=seek_index)
    settings = Settings(encoding=Encoding(threads_per_clip=threads))
    job = cut_job(settings.encoding, settings.profiles["default"], [part], poster=False)
    child = Child()
    pid = child._process.pid
    child.wait_until_ready()
    with (
        closing(FolderStore(recording.parent, "").open(recording.name)) as reader,
        tempfile.NamedTemporaryFile(dir=recording.parent, suffix=".mp4") as clip,
        MemorySampler(pid) as memory,
        _ThreadSampler(pid) as sampler,
    ):
        child.run(job, reader, output=clip.fileno(), watch=lambda message: None)
        references = _references(Path(clip.name))
    way = _way(kind, threads, _FRAME_RATE * seconds)
    segments = -(-len(references) // way.frames)
    return _Run(_by_part(sampler.spent(), way, segments, kind.height), int(memory.peak), references)


class _ThreadSampler:
    """Samples the CPU time of each thread of a process while the block runs."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._names: dict[int, str] = {}
        self._spent: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="threads", daemon=True)
        self._sample()
        self._before = dict(self._spent)

    def __enter__(self) -> _ThreadSampler:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def spent(self) -> list[tuple[str, float]]:
        """Return name and CPU seconds in the block of the main thread and of the threads that began, in that order."""
        main = self._spent[self._pid] - self._before[self._pid]
        # In order of their start, not of their ids, which wrap around.
        later = [each for each in self._spent if each not in self._before]
        return [("main", main), *((self._names[each], self._spent[each]) for each in later)]

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{self._pid}/task"):
                task = Path(f"/proc/{self._pid}/task/{name}")
                with contextlib.suppress(OSError):
                    self._names[int(name)] = (task / "comm").read_text().strip()
                    self._spent[int(name)] = int((task / "schedstat").read_text().split()[0]) / 1e9


def _by_part(spent: Sequence[tuple[str, float]], way: Way, segments: int, height: int) -> dict[str, float]:
    """Return the CPU seconds by part of the encoder, from the order in which its threads start.

    Verifier and demuxer start before the decoder, whose threads have names; those of the verifier's decoder follow. The
    audio encoder starts before x264, beside idle threads of filters. An encoder side by side with others starts after
    the thread that calls it. x264 starts its frame threads, the slices of its lookahead (if there are several) and the
    lookahead itself.
    """
    decoders = [number for number, (name, _) in enumerate(spent) if name.startswith("av:h264")]
    verifiers = way.verifiers if way.verifiers > 1 else 0
    if len(decoders) != way.threads + verifiers:
        raise RuntimeError(f"{len(decoders)} threads of decoders instead of {way.threads + verifiers}: {spent}")
    seconds = [each for _, each in spent]
    frame_threads, slices = x264_threads(way.encoder_threads), lookahead_threads(way.encoder_threads, height)
    callers = 0 if way.encoders == 1 else 1
    size = callers + frame_threads + (slices if slices > 1 else 0) + 1
    rest = [each for number, each in enumerate(seconds) if number > decoders[0] and number not in decoders]
    first = len(rest) - size * segments  # after the threads of filters
    if first < 1:
        raise RuntimeError(f"{len(rest)} threads instead of {segments} times {size}: {spent}")
    encoders = [rest[begin : begin + size] for begin in range(first, len(rest), size)]
    x264 = [each[callers:] for each in encoders]
    parts = {
        "demuxer": seconds[decoders[0] - 1],
        "audio": max(rest[:first]),
        "decoder": sum(seconds[each] for each in decoders[: way.threads]),
        "lookahead": sum(each[-1] for each in x264),
        "lookahead_slices": sum(sum(each[frame_threads:-1]) for each in x264),
        "encoder": sum(sum(each[:frame_threads]) for each in x264),
        "verifier": seconds[decoders[0] - 2] + sum(seconds[each] for each in decoders[way.threads :]),
    }
    if not callers:
        return parts | {_MAIN_AND_INPUT: seconds[0]}
    return parts | {"main": seconds[0], "input": sum(each[0] for each in encoders)}


def _references(clip: Path) -> list[list[int]]:
    """Return the frames that each frame of an H.264 clip refers to, in coding order.

    These are the nearest reference frames before and after it since the last keyframe, as x264 has with `ref=1`.
    """
    found: list[list[int]] = []
    known: list[tuple[int, int]] = []  # pts and number of the last two reference frames
    with av.open(str(clip)) as container:
        for number, packet in enumerate(each for each in container.demux(video=0) if each.size):
            pts = packet.pts or 0
            known = [] if packet.is_keyframe else known
            nearest = *sorted(each for each in known if each[0] < pts)[-1:], *sorted(e for e in known if e[0] > pts)[:1]
            found.append([each for _, each in nearest])
            if _is_reference(bytes(packet)):
                known = [*known[-1:], (pts, number)]
    return found


def _is_reference(packet: bytes) -> bool:
    """Return True if a slice of the packet has a `nal_ref_idc` other than 0."""
    offset = 0
    while offset + 4 < len(packet):
        header = packet[offset + 4]
        if header & 31 in (1, 5):
            return header >> 5 & 3 != 0
        offset += 4 + int.from_bytes(packet[offset : offset + 4], "big")
    raise ValueError("a packet has no slice")


def _repeated(references: Sequence[Sequence[int]], frames: int) -> list[list[int]]:
    """Return the references of a longer clip that repeats this one."""
    size = len(references)
    return [[each + number // size * size for each in references[number % size]] for number in range(frames)]
