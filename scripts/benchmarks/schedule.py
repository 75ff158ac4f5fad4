"""Simulation of an encoder child on a number of cores, row by row of each frame.

The tasks of a frame are those of the child: demux and decode, the main thread (conversion, the copy into x264, audio,
muxing), x264's lookahead, x264's frame threads and the packet verifier. A frame thread waits as x264 lets it wait: for
a free thread, and at each row of macroblocks for rows of its reference frames. The cores run what other threads wait
for first, and switching and the interpreter lock are free, so the time is close to the least possible.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

_MACROBLOCK = 16
_FILTERED_LATER = 24  # lines of a frame that are not finished yet above the row that x264 encodes
_LEAST_RANGE = 16  # lines of motion search that x264 leaves its frame threads
_LOOKAHEAD = 10  # later frames that x264 needs before it decides the type of one, with `veryfast`
_DELAY = 14  # later frames that it has when it begins to encode one
_DECODED_UNITS = 8  # parts of a frame, of which each waits for two of the frame before


@dataclass(frozen=True)
class Costs:
    """CPU seconds per frame with this number of threads; `lookahead_slices` run in parallel."""

    threads: int
    demuxer: float
    decoder: float
    main: float
    lookahead: float
    lookahead_slices: float
    encoder: float
    verifier: float

    @property
    def total(self) -> float:
        return self.serial + self.decoder + self.encoder

    @property
    def serial(self) -> float:
        return self.demuxer + self.main + self.lookahead + self.lookahead_slices + self.verifier

    def busiest(self, height: int) -> tuple[str, float]:
        """Return the serial thread with the most work, and its seconds per frame."""
        slices = self.lookahead_slices / lookahead_threads(self.threads, height)
        threads = {
            "demuxer": self.demuxer,
            "main thread": self.main,
            "lookahead": self.lookahead + slices,
            "packet verifier": self.verifier,
        }
        return max(threads.items(), key=lambda item: item[1])


def x264_threads(threads: int) -> int:
    """Return the number of x264's frame threads for `threads_per_clip`."""
    return threads * 3 // 2


def lookahead_threads(threads: int, height: int) -> int:
    """Return the number of slices of x264's lookahead with the preset `veryfast`."""
    return max(1, min(x264_threads(threads) // 3, height // 128))


def rows_behind(threads: int, height: int) -> int:
    """Return the rows by which a frame follows the frame that it refers to."""
    share = (height + _FILTERED_LATER) // x264_threads(threads) - _FILTERED_LATER
    lines = max(share // 2, _LEAST_RANGE)
    rounded = lines // _MACROBLOCK * _MACROBLOCK + -_FILTERED_LATER % _MACROBLOCK
    rounded += _MACROBLOCK if rounded < lines else 0
    return -(-(rounded + _FILTERED_LATER) // _MACROBLOCK)


class Schedule:
    """Tasks with their dependencies, run in order of rank."""

    def __init__(self) -> None:
        self._costs: list[float] = []
        self._ranks: list[int] = []
        self._waits: list[int] = []
        self._next: list[list[int]] = []

    def add(self, cost: float, rank: int, after: Sequence[int]) -> int:
        number = len(self._costs)
        self._costs.append(cost)
        self._ranks.append(rank)
        self._waits.append(len(after))
        self._next.append([])
        for each in after:
            self._next[each].append(number)
        return number

    def seconds(self, cores: int) -> float:
        """Return the time at which the last task ends. Can be called once."""
        ready = [(self._ranks[each], each) for each, waits in enumerate(self._waits) if not waits]
        heapq.heapify(ready)
        running: list[tuple[float, int]] = []
        now = 0.0
        while ready or running:
            while ready and len(running) < cores:
                _, task = heapq.heappop(ready)
                heapq.heappush(running, (now + self._costs[task], task))
            now, task = heapq.heappop(running)
            for each in self._next[task]:
                self._waits[each] -= 1
                if not self._waits[each]:
                    heapq.heappush(ready, (self._ranks[each], each))
        return now


def wall_seconds(
    costs: Costs, references: Sequence[Sequence[int]], *, height: int, cores: int, segments: int, preroll: int
) -> float:
    """Return the time to encode the frames in this number of equal segments, with `costs.threads` threads each.

    `references` has the earlier frames, in coding order, that each frame refers to. Before each segment, `preroll`
    frames are only decoded.
    """
    schedule = Schedule()
    for number in range(segments):
        first, end = (len(references) * each // segments for each in (number, number + 1))
        inside = [[each - first for each in frame if each >= first] for frame in references[first:end]]
        _Encoder(schedule, costs, height).add(inside, preroll)
    return schedule.seconds(cores)


class _Encoder:
    """Adds the tasks of one encoder. A task is added after those that it waits for."""

    def __init__(self, schedule: Schedule, costs: Costs, height: int) -> None:
        self._schedule = schedule
        self._costs = costs
        self._rows = -(-height // _MACROBLOCK)
        self._behind = rows_behind(costs.threads, height)
        self._slices = lookahead_threads(costs.threads, height)
        self._last: dict[str, int] = {}  # task of each serial thread
        self._decoded: list[list[int]] = []
        self._received: list[int] = []
        self._decided: list[int] = []
        self._encoded: list[list[int]] = []

    def add(self, references: Sequence[Sequence[int]], preroll: int) -> None:
        for number in range(preroll):
            self._decode(number - preroll - _DELAY - x264_threads(self._costs.threads))
        for number in range(len(references) + _DELAY):
            if number < len(references):
                self._receive(number)
            if number >= _DELAY:
                self._encode(number - _DELAY, references[number - _DELAY])

    def _serial(self, thread: str, cost: float, rank: int, after: Sequence[int]) -> int:
        before = [self._last[thread]] if thread in self._last else []
        self._last[thread] = self._schedule.add(cost, rank, [*before, *after])
        return self._last[thread]

    def _decode(self, rank: int) -> int:
        """Add the decoding of the next frame, which follows the one before as its reference."""
        busy = [self._decoded[-self._costs.threads][-1]] if len(self._decoded) >= self._costs.threads else []
        task = self._serial("demuxer", self._costs.demuxer, rank, busy)
        before = self._decoded[-1] if self._decoded else []
        units: list[int] = []
        for unit in range(_DECODED_UNITS):
            needed = before[min(unit + 1, _DECODED_UNITS - 1)] if before else task
            task = self._schedule.add(self._costs.decoder / _DECODED_UNITS, rank, [task, needed])
            units.append(task)
        self._decoded.append(units)
        return task

    def _receive(self, number: int) -> None:
        """Add the main thread's work on a frame. It waits in x264 for its lookahead and for a free frame thread."""
        rank = number - _DELAY - x264_threads(self._costs.threads)
        after, next_type = [self._decode(rank)], number - _DELAY - 1
        if next_type >= 0:
            after.append(self._decided[next_type])
        oldest = number - _DELAY - x264_threads(self._costs.threads)
        if oldest >= 0:
            after.append(self._encoded[oldest][-1])
        self._received.append(self._serial("main", self._costs.main, rank, after))

    def _encode(self, number: int, references: Sequence[int]) -> None:
        costs, add = self._costs, self._schedule.add
        seen, received = (
            self._received[min(number + later, len(self._received) - 1)] for later in (_LOOKAHEAD, _DELAY)
        )
        before, rank = self._decided[-1:], number - x264_threads(costs.threads)
        slices = [add(costs.lookahead_slices / self._slices, rank, [seen, *before]) for _ in range(self._slices)]
        self._decided.append(self._serial("lookahead", costs.lookahead, rank, slices))
        after = [received, self._decided[-1]]
        oldest = number - x264_threads(costs.threads)
        if oldest >= 0:
            after.append(self._encoded[oldest][-1])
        rows: list[int] = []
        for row in range(self._rows):
            needed = min(row + self._behind, self._rows) - 1
            task = add(
                costs.encoder / self._rows, number, [*after, *(self._encoded[each][needed] for each in references)]
            )
            rows.append(task)
            after = [task]
        self._encoded.append(rows)
        self._serial("verifier", costs.verifier, number, after)
