"""Simulation of a child on a number of cores, row by row of each frame.

The tasks of a frame are those of the child: demux and decode, the audio encoder, the main thread (conversion, muxing),
the thread that calls x264 (the main thread if there is one encoder), x264's lookahead, x264's frame threads and the
packet verifier. A frame thread waits as x264 lets it wait: for a free thread, and at each row of macroblocks for rows
of its reference frames. The cores run what other threads wait for first, and switching and the interpreter lock are
free, so the time is close to the least possible.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, fields

_MACROBLOCK = 16
_FILTERED_LATER = 24  # lines of a frame that are not finished yet above the row that x264 encodes
_LEAST_RANGE = 16  # lines of motion search that x264 leaves its frame threads
_LOOKAHEAD = 10  # later frames that x264 needs before it decides the type of one, with `veryfast`
_DELAY = 14  # later frames that it has when it begins to encode one
_DECODED_UNITS = 8  # parts of a frame, of which each waits for two of the frame before


@dataclass(frozen=True)
class Costs:
    """CPU seconds per frame. `lookahead_slices` run in parallel; `input` is x264's work in the thread that calls it."""

    demuxer: float
    decoder: float
    main: float
    audio: float
    input: float
    lookahead: float
    lookahead_slices: float
    encoder: float
    verifier: float

    @property
    def total(self) -> float:
        return sum(float(getattr(self, each.name)) for each in fields(self))

    def busiest(self, way: Way, height: int) -> tuple[str, float]:
        """Return the thread with the most work, and its seconds per frame of the clip."""
        slices = self.lookahead_slices / lookahead_threads(way.encoder_threads, height)
        alone = way.encoders == 1
        threads = {
            "demuxer": self.demuxer,
            "audio encoder": self.audio,
            "main thread": self.main + (self.input if alone else 0),
            "input": 0 if alone else self.input / way.encoders,
            "lookahead": (self.lookahead + slices) / way.encoders,
            "packet verifier": self.verifier / way.verifiers,
        }
        return max(threads.items(), key=lambda item: item[1])


@dataclass(frozen=True)
class Way:
    """How a clip is encoded: by `encoders` side by side, each of which gets segments of `frames`."""

    threads: int  # `threads_per_clip`
    encoders: int = 1
    frames: int = 1_000_000
    verifiers: int = 1  # threads of the packet verifier's decoder

    @property
    def encoder_threads(self) -> int:
        return self.threads // self.encoders


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


def wall_seconds(costs: Costs, references: Sequence[Sequence[int]], way: Way, *, height: int, cores: int) -> float:
    """Return the time to encode the frames.

    `references` has the earlier frames, in coding order, that each frame refers to.
    """
    child = _Child(costs, way, height)
    for first in range(0, len(references), way.frames):
        inside = references[first : first + way.frames]
        child.add_segment([[each - first for each in frame if each >= first] for frame in inside])
    return child.schedule.seconds(cores)


class _Child:
    """Adds the tasks of a child. A task is added after those that it waits for."""

    def __init__(self, costs: Costs, way: Way, height: int) -> None:
        self.schedule = Schedule()
        self._costs = costs
        self._way = way
        self._rows = -(-height // _MACROBLOCK)
        self._frame_threads = x264_threads(way.encoder_threads)
        self._behind = rows_behind(way.encoder_threads, height)
        self._slices = lookahead_threads(way.encoder_threads, height)
        self._first = 0  # frame of the current segment
        self._last: dict[str, int] = {}  # task of each serial thread
        self._decoded: list[list[int]] = []
        self._verified: list[list[int]] = []
        self._given: list[int] = []  # the last task of the input of each segment

    def add_segment(self, references: Sequence[Sequence[int]]) -> None:
        segment = _Segment()
        for number in range(len(references) + _DELAY):
            if number < len(references):
                self._receive(segment, number)
            if number >= _DELAY:
                self._encode(segment, number - _DELAY, references[number - _DELAY])
        self._given.append(segment.received[-1])
        self._first += len(references)

    def _serial(self, thread: str, cost: float, rank: int, after: Sequence[int]) -> int:
        before = [self._last[thread]] if thread in self._last else []
        self._last[thread] = self.schedule.add(cost, rank, [*before, *after])
        return self._last[thread]

    def _decode(self, rank: int) -> int:
        """Add the decoding of the next frame of the recording."""
        threads = self._way.threads
        busy = [self._decoded[-threads][-1]] if len(self._decoded) >= threads else []
        task = self._serial("demuxer", self._costs.demuxer, rank, busy)
        self._serial("audio", self._costs.audio, rank, [task])
        return self._decode_units(self._decoded, self._costs.decoder, rank, task)

    def _decode_units(self, decoded: list[list[int]], cost: float, rank: int, task: int) -> int:
        """Add the decoding of a frame, which follows the one before as its reference."""
        before = decoded[-1] if decoded else []
        units: list[int] = []
        for unit in range(_DECODED_UNITS):
            needed = before[min(unit + 1, _DECODED_UNITS - 1)] if before else task
            task = self.schedule.add(cost / _DECODED_UNITS, rank, [task, needed])
            units.append(task)
        decoded.append(units)
        return task

    def _receive(self, segment: _Segment, number: int) -> None:
        """Add the work on a frame until x264 has it. It waits in x264 for its lookahead and for a free frame thread."""
        rank = self._first + number - _DELAY - self._frame_threads
        ready = [self._decode(rank)]
        after, next_type = [], number - _DELAY - 1
        if next_type >= 0:
            after.append(segment.decided[next_type])
        oldest = number - _DELAY - self._frame_threads
        if oldest >= 0:
            after.append(segment.encoded[oldest][-1])
        costs, encoders = self._costs, self._way.encoders
        if encoders == 1:
            segment.received.append(self._serial("main", costs.main + costs.input, rank, [*ready, *after]))
            return
        # As if each segment had its share of the frames that wait, which the child counts together.
        waiting = self._way.frames * (encoders - 1) // encoders
        if number == 0 and len(self._given) >= encoders:
            ready.append(self._given[-encoders])
        elif number >= waiting:
            ready.append(segment.received[number - waiting])
        after += [self._serial("main", costs.main, rank, ready), *segment.received[-1:]]
        segment.received.append(self.schedule.add(costs.input, rank, after))

    def _encode(self, segment: _Segment, number: int, references: Sequence[int]) -> None:
        costs, add = self._costs, self.schedule.add
        seen, received = (
            segment.received[min(number + later, len(segment.received) - 1)] for later in (_LOOKAHEAD, _DELAY)
        )
        before, rank = segment.decided[-1:], self._first + number - self._frame_threads
        slices = [add(costs.lookahead_slices / self._slices, rank, [seen, *before]) for _ in range(self._slices)]
        segment.decided.append(add(costs.lookahead, rank, [*before, *slices]))
        after = [received, segment.decided[-1]]
        oldest = number - self._frame_threads
        if oldest >= 0:
            after.append(segment.encoded[oldest][-1])
        rows: list[int] = []
        for row in range(self._rows):
            needed = min(row + self._behind, self._rows) - 1
            others = (segment.encoded[each][needed] for each in references)
            rows.append(add(costs.encoder / self._rows, self._first + number, [*after, *others]))
            after = [rows[-1]]
        segment.encoded.append(rows)
        verifiers = self._way.verifiers
        busy = [self._verified[-verifiers][-1]] if len(self._verified) >= verifiers else []
        begin = self._serial("verifier", 0, self._first + number, [*after, *busy])
        self._decode_units(self._verified, costs.verifier, self._first + number, begin)


class _Segment:
    """Tasks of the frames of a segment."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.decided: list[int] = []
        self.encoded: list[list[int]] = []
