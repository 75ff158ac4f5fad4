"""Smart render, compared with ffmpeg's encoding of the same range.

Memory is compared with that of the same clip encoded by the same child.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from clipengine.settings.settings import Settings
from scripts.benchmarks import sources
from scripts.benchmarks.cutting import clipengine_command, ffmpeg_command, in_warm_child, probed
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.measuring import in_turn, run

_START = Fraction(1380, 30)  # the start of a frame in the middle of a GOP
# Kind, seconds of the clip, and the largest ratio of wall time and of CPU to ffmpeg's.
_CLIPS = (
    (sources.H264_1080_SHORT_GOP, 30, 0.20, 0.16),
    (sources.H264_1080, 30, 0.45, 0.45),
    (sources.H264_1080_SHORT_GOP, 300, 0.08, 0.08),
)


def figures(bench: Bench) -> Iterator[Figure]:
    if (reason := sources.lacking()) is not None:
        bench.say(f"  {reason}")
        return
    with tempfile.TemporaryDirectory(dir=bench.cache) as folder:
        for kind, seconds, wall, cpu in bench.sized(_CLIPS, _CLIPS[:2], _CLIPS[:1]):
            length = bench.sized(seconds, seconds, 4)
            recording = sources.recording(bench, kind, length + 60)
            name = f"{kind.name}, {length} s"
            rounds = bench.sized(4, 1, 1)
            yield from _compared(name, recording, Path(folder), _START + length, wall, cpu, rounds)


def _compared(
    name: str, recording: Path, folder: Path, end: Fraction, wall: float, cpu: float, rounds: int
) -> Iterator[Figure]:
    facts, landmarks = probed(recording)
    job = Settings(), recording, facts, landmarks, _START, end
    command = [*clipengine_command(recording, folder / "smart.mp4", _START, end), "--render", "smart"]
    things = {
        "ffmpeg": lambda: run(ffmpeg_command(recording, folder / "theirs.mp4", _START, end)),
        "command": lambda: run(command),
        "warm child": lambda: in_warm_child(*job, render="smart"),
        "encoded": lambda: in_warm_child(*job),
    }
    if rounds == 1:
        del things["encoded"]
    for warm_up in (ffmpeg_command, clipengine_command):  # one second of each, to fill the page cache
        run(warm_up(recording, folder / "warm.mp4", _START, _START + 1))
    runs = in_turn(things, rounds=rounds)
    theirs = runs.middle("ffmpeg")
    for way in ("command", "warm child"):
        cost, ratio = runs.middle(way), runs.ratio(way, "ffmpeg")
        yield Figure(f"{name}, {way}: wall", cost.wall, "s", theirs.wall, ratio.wall, at_most=wall)
        yield Figure(f"{name}, {way}: CPU", cost.cpu, "s", theirs.cpu, ratio.cpu, at_most=cpu)
    if "encoded" in things:
        smart, encoded = runs.middle("warm child").memory / 1e6, runs.middle("encoded").memory / 1e6
        ratio = runs.ratio("warm child", "encoded")
        yield Figure(f"{name}: peak memory beside encoding", smart, "MB", encoded, ratio.memory, at_most=0.5)
