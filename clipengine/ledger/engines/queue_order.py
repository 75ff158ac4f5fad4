"""The places of clips in the queue, and estimates of when they will be cut.

`Clips.claim` takes clips in this order: higher priority first, then older. It is read at most once a second, and a clip
that was queued since then is placed by its own priority and time. Estimates are rough: all clips are assumed to take as
long as the clips that were cut last, and clips that only some engines may start are not considered.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, QueuePlace
from clipengine.ledger.database.database import Database
from clipengine.ledger.engines.engines import Engines

_MAX_PLACES = 10_000
_KEPT_SECONDS = 1.0
_SAMPLES = 50  # complete clips from which the speed is known
_OVERHEAD_SECONDS = 0.5  # of a clip of any length: start, verification and upload

_QUEUED = (
    "SELECT priority, created_at, clip_id, duration_seconds FROM clips "
    "WHERE state = 'queued' AND step <> 'waiting' "
    f"ORDER BY priority DESC, created_at, clip_id LIMIT {_MAX_PLACES}"
)
_CUTTING = "SELECT duration_seconds, progress FROM clips WHERE state = 'cutting'"
_Key = tuple[int, int, str]


@dataclass(frozen=True)
class _Snapshot:
    """The queue at one time. `seconds_ahead[n]` is the length of its first `n` clips."""

    taken_at: float
    keys: list[_Key]
    seconds_ahead: list[float]
    running: int
    running_seconds: float  # of clip that are not encoded yet
    encoders: int
    row_format: int | None  # newest that an engine which cuts takes, None while none cuts
    speed: float | None  # seconds of encoding for a second of clip, None if no clip is complete

    def work(self, clips: int, seconds: float) -> float:
        """Return the time that one encoder needs for so many clips of so many seconds."""
        return clips * _OVERHEAD_SECONDS + seconds * (self.speed or 0.0)


class QueueOrder:
    """The clips that are queued, in the order in which they will be cut. Thread-safe."""

    def __init__(self, database: Database, engines: Engines) -> None:
        self._database = database
        self._engines = engines
        self._known: _Snapshot | None = None

    def place(self, clip: Clip) -> QueuePlace | None:
        """Return the place of a clip, or None if it is not queued or more than 10,000 clips are before it."""
        if clip.state != "queued" or clip.step == "waiting":
            return None
        queue = self._snapshot()
        ahead = bisect_left(queue.keys, _key(clip.priority, clip.created_at, clip.clip_id))
        if ahead >= _MAX_PLACES:
            return None
        is_blocked = queue.row_format is not None and clip.needs > queue.row_format
        if queue.speed is None or not queue.encoders or is_blocked:
            return QueuePlace(ahead + 1, None, None, is_blocked)
        wait = 0.0
        if queue.running + ahead >= queue.encoders:
            before = queue.work(ahead, queue.seconds_ahead[ahead]) + queue.work(queue.running, queue.running_seconds)
            wait = before / queue.encoders
        start = now_ms() + round(wait * 1000)
        return QueuePlace(ahead + 1, start, start + round(queue.work(1, clip.expected_seconds) * 1000))

    def _snapshot(self) -> _Snapshot:
        known = self._known
        if known is None or time.monotonic() - known.taken_at > _KEPT_SECONDS:
            self._known = known = self._read()
        return known

    def _read(self) -> _Snapshot:
        with self._database.session():
            rows = self._database.run(_QUEUED)
            cutting = self._database.run(_CUTTING)
            engines = [each for each in self._engines.alive() if each.encoders and not each.stopping]
            return _Snapshot(
                taken_at=time.monotonic(),
                keys=[_key(priority, created_at, clip_id) for priority, created_at, clip_id, _ in rows],
                seconds_ahead=[*accumulate((float(seconds) for *_, seconds in rows), initial=0.0)],
                running=len(cutting),
                running_seconds=sum(seconds * (1 - progress) for seconds, progress in cutting),
                encoders=sum(each.encoders or 0 for each in engines),
                row_format=max((each.row_format for each in engines), default=None),
                speed=self._speed(),
            )

    def _speed(self) -> float | None:
        rows = self._database.run(
            "SELECT result, duration_seconds FROM clips WHERE status = 'complete' "
            f"ORDER BY created_at DESC, clip_id DESC LIMIT {_SAMPLES}"
        )
        length = sum(seconds for _, seconds in rows)
        return sum(json.loads(result)["encode_seconds"] for result, _ in rows) / length if length else None


def _key(priority: int, created_at: int, clip_id: str) -> _Key:
    return (-priority, created_at, clip_id)
