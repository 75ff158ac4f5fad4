"""One clip on 2 to 32 cores, simulated: with x264's own threads, and in segments encoded side by side.

The CPU time of each thread of an encoder child is measured with `threads_per_clip` set to each number of cores, on
however many this machine has. `scripts.benchmarks.schedule` then computes the least wall time on so many cores.

Assumptions: all frames cost the same, with any number of threads (the median of all runs; the runs are printed); a
frame of the recording refers to the one before it; each core is as fast as one here, and memory bandwidth is enough for
all. In favour of segments: their number is the best one, other children are ready and cost nothing to start, half a GOP
is decoded before each segment, and joining the segments and reading the finished file are free. `beside it` is the same
clip with x264's own threads.
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
from clipengine.settings import Encoding, Settings
from clipengine.stores.folder import FolderStore
from clipengine.work.encoder.jobs import cut_job
from clipengine.work.encoder.process import EncoderProcess
from scripts.benchmarks import sources
from scripts.benchmarks.cutting import probed
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.measuring import MemorySampler
from scripts.benchmarks.schedule import Costs, lookahead_threads, wall_seconds, x264_threads

_SOURCES = (sources.H264_1080, sources.H264_720)
_CORES = (2, 4, 6, 8, 12, 16, 24, 32)
_RECORDING_SECONDS = 90
_START = Fraction(1380, 30)
_SHORT_SECONDS = 3
_FRAME_RATE = 30
_GOP = 250  # frames of these recordings
_SAMPLE_SECONDS = 0.01
_AS_GOOD = 1.02  # of the least time: fewer segments take less memory


@dataclass(frozen=True)
class _Run:
    seconds: Mapping[str, float]  # CPU by field of `Costs`
    memory: int
    references: Sequence[Sequence[int]]


def figures(bench: Bench) -> Iterator[Figure]:
    if (reason := sources.lacking()) is not None:
        bench.say(f"  {reason}")
        return
    cores, seconds, length = (_CORES[:4], 5, 30) if bench.quick else (_CORES, 15, 120)
    for kind in _SOURCES:
        recording = sources.recording(bench, kind, _RECORDING_SECONDS)
        measured = {}
        for number in cores:
            measured[number] = _measured(recording, kind.height, number, seconds)
            bench.say(f"  {kind.name}, {number} threads, ms per frame: {_described(measured[number].seconds)}")
        middle = {part: median(each.seconds[part] for each in measured.values()) for part in measured[2].seconds}
        bench.say(f"  {kind.name}, median, ms per frame: {_described(middle)}")
        for number in cores:
            yield from _compared(kind, measured, middle, number, length)


def _compared(
    kind: sources.Kind, measured: Mapping[int, _Run], seconds: Mapping[str, float], cores: int, length: int
) -> Iterator[Figure]:
    """Yield the times and the memory of a clip of `length` seconds. `seconds` are CPU seconds per frame by part."""
    frames, walls = _FRAME_RATE * length, {}
    for threads, run in measured.items():
        if cores % threads == 0:
            walls[cores // threads] = wall_seconds(
                Costs(threads=threads, **seconds),
                _repeated(run.references, frames),
                height=kind.height,
                cores=cores,
                segments=cores // threads,
                preroll=_GOP // 2,
            )
    costs = Costs(threads=cores, **seconds)
    limit, busiest = costs.busiest(kind.height)
    if busiest <= costs.total / cores:
        limit, busiest = "all cores", costs.total / cores
    name, alone, bound = f"{kind.name}, {cores} cores, {length} s", walls.pop(1), busiest * frames
    yield Figure(f"{name}: x264's threads, beside the bound of {limit}", alone, "s", bound, alone / bound)
    if not walls:
        return
    best = min(number for number, wall in walls.items() if wall <= _AS_GOOD * min(walls.values()))
    name = f"{name} in {best} segments"
    yield Figure(f"{name}: wall", walls[best], "s", alone, walls[best] / alone)
    memory, own = best * measured[cores // best].memory, measured[cores].memory
    yield Figure(f"{name}: peak memory", memory / 1e6, "MB", own / 1e6, memory / own)


def _described(seconds: Mapping[str, float]) -> str:
    parts = {"total": sum(seconds.values()), **seconds}
    return ", ".join(f"{name.replace('_', ' ')} {1000 * cost:.2f}" for name, cost in parts.items())


def _measured(recording: Path, height: int, threads: int, seconds: int) -> _Run:
    """Return the costs of a frame, from the difference between a long cut and a short one from the same start."""
    short = _cut(recording, height, threads, _SHORT_SECONDS)
    long = _cut(recording, height, threads, _SHORT_SECONDS + seconds)
    frames = len(long.references) - len(short.references)
    per_frame = {name: (spent - short.seconds[name]) / frames for name, spent in long.seconds.items()}
    return replace(long, seconds=per_frame)


def _cut(recording: Path, height: int, threads: int, seconds: int) -> _Run:
    """Cut `seconds` with this many threads in a child."""
    facts, seek_index = probed(recording)
    part = PlannedPart(facts, _START, _START + seconds, seek_index=seek_index)
    job = cut_job(Settings(encoding=Encoding(threads_per_clip=threads)), "default", [part], poster=False)
    child = EncoderProcess()
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
    return _Run(_by_part(sampler.spent(), threads, height), int(memory.peak), references)


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


def _by_part(spent: Sequence[tuple[str, float]], threads: int, height: int) -> dict[str, float]:
    """Return the CPU seconds by part of the encoder, from the order in which its threads start.

    Verifier and demuxer start before the decoder, whose threads have names. x264 starts its frame threads, the slices
    of its lookahead (if there are several) and the lookahead itself.
    """
    decoders = [number for number, (name, _) in enumerate(spent) if name.startswith("av:h264")]
    if len(decoders) != threads:
        raise RuntimeError(f"{len(decoders)} threads of a decoder instead of {threads}: {spent}")
    seconds = [each for _, each in spent]
    frame_threads, slices = x264_threads(threads), lookahead_threads(threads, height)
    x264 = seconds[-1 - frame_threads - (slices if slices > 1 else 0) :]
    return {
        "demuxer": seconds[decoders[0] - 1],
        "decoder": sum(seconds[each] for each in decoders),
        "main": seconds[0],
        "lookahead": x264[-1],
        "lookahead_slices": sum(x264[frame_threads:-1]),
        "encoder": sum(x264[:frame_threads]),
        "verifier": seconds[decoders[0] - 2],
    }


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
