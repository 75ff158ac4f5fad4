"""Cost of a clip as the recording grows from minutes to hours, and as the clip grows: bytes, CPU, memory.

Thirty seconds should cost the same from any recording that has an index, and a clip of any length should use the same
memory. `ratio` is relative to the smallest size of each series.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from scripts.benchmarks import sources
from scripts.benchmarks.cutting import clipengine_command
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.measuring import Usage, run

_MINUTE, _HOUR = 60, 3600
_BYTES_PER_SECOND = 300_000  # upper bound for these recordings
_MOST_MEMORY = 1.25  # of the shortest clip's; allows for the allocator


@dataclass(frozen=True)
class _Cost:
    usage: Usage
    bytes_read: int


def figures(bench: Bench) -> Iterator[Figure]:
    if (reason := sources.lacking()) is not None:
        bench.say(f"  {reason}")
        return
    recordings = bench.sized((10 * _MINUTE, _HOUR, 4 * _HOUR), (10 * _MINUTE, _HOUR), (2 * _MINUTE, 3 * _MINUTE))
    clips = bench.sized((30, 5 * _MINUTE, 30 * _MINUTE), (30, 2 * _MINUTE), (5, 30))
    middle = bench.sized(10 * _MINUTE, 10 * _MINUTE, _MINUTE)
    missing = sum(recordings) * _BYTES_PER_SECOND
    if shutil.disk_usage(bench.cache).free < 2 * missing:
        bench.say(f"  skipped: {bench.cache} has no space for {missing / 1e9:.1f} GB of recordings")
        return
    with tempfile.TemporaryDirectory(dir=bench.cache) as folder:
        clip = Path(folder) / "clip.mp4"
        costs = {}
        for seconds in recordings:
            recording = sources.recording(bench, sources.H264_360, seconds)
            costs[f"30 s out of {_length(seconds)}"] = _cost(recording, clip, seconds // 2, 30)
        yield from _growth(costs)
        longest = sources.recording(bench, sources.H264_360, recordings[1])
        costs = {f"a clip of {_length(s)}": _cost(longest, clip, middle, s) for s in clips}
        yield from _growth(costs)


def _cost(recording: Path, clip: Path, second: int, seconds: int) -> _Cost:
    """Cut `seconds` from inside a GOP after `second`, after a short cut that loads the index."""
    start = second + Fraction(4)
    run(clipengine_command(recording, clip, start, start + 1))
    said = clip.with_suffix(".json")
    with said.open("wb") as out:
        usage = run([*clipengine_command(recording, clip, start, start + seconds), "--json"], stdout=out)
    return _Cost(usage, json.loads(said.read_text())["bytes_read"])


def _growth(costs: dict[str, _Cost]) -> Iterator[Figure]:
    smallest = next(iter(costs.values()))
    for name, cost in costs.items():
        memory = cost.usage.memory / smallest.usage.memory
        yield Figure(f"{name}: wall", cost.usage.wall, "s", ratio=cost.usage.wall / smallest.usage.wall)
        yield Figure(f"{name}: CPU", cost.usage.cpu, "s", ratio=cost.usage.cpu / smallest.usage.cpu)
        yield Figure(f"{name}: peak memory", cost.usage.memory / 1e6, "MB", ratio=memory, at_most=_MOST_MEMORY)
        yield Figure(f"{name}: bytes read", cost.bytes_read / 1e6, "MB", ratio=cost.bytes_read / smallest.bytes_read)


def _length(seconds: int) -> str:
    for unit, name in ((_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
