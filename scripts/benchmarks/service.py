"""Response times during encodes, a ledger of a million clips, and the cost of two hundred event streams.

Percentiles are of requests at a steady rate, measured from the time each was due. CPU is that of the server without
its encoders, which hardly depends on other load of the machine, unlike percentiles.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from itertools import product
from pathlib import Path

from clipengine.ledger.clips.clips import ClipFilter
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.ledgers import BEGAN_MS, data_folder, open_ledger
from scripts.benchmarks.traffic import Request, follow, steadily
from scripts.sample import make_sample
from tests.support.server import RunningServer, running_server

_RATE = 100
_GET_MS, _POST_MS, _LEDGER_MS, _READY_SECONDS = 25, 50, 10, 1  # targets
_STREAMS = 200
# Slow encodes of a small film: clips posted meanwhile have the lowest priority and stay queued.
_SLOW = {"CLIPENGINE_PROFILES__SLOW__PRESET": "placebo", "CLIPENGINE_LIMITS__MAX_QUEUED_CLIPS": "1000000"}
_ENCODES = 12


def figures(bench: Bench) -> Iterator[Figure]:
    seconds = bench.sized(30.0, 5.0, 0.5)
    with tempfile.TemporaryDirectory(dir=bench.cache) as folder:
        film = Path(folder) / "film.mp4"
        make_sample(film, seconds=60)
        with running_server(Path(folder) / "data", env=_SLOW) as server:
            recording = _register(server, film)
            yield from _streams("idle", server, seconds / 3)
            busy = [_clip(recording, 0, 60, profile="slow", priority=10) for _ in range(_ENCODES)]
            steadily(server.url, server.key, busy, rate=_RATE)
            time.sleep(1)
            yield from _streams("two encodes", server, seconds / 3)
            yield from _answers(server, recording, seconds)
    yield from _many_clips(bench, bench.sized(1_000_000, 100_000, 10_000))


def _register(server: RunningServer, film: Path) -> str:
    api = server.client()
    return api.recordings.wait(api.recordings.upload(film).recording_id, timeout=60).recording_id


def _clip(recording_id: str, start: float, end: float, *, profile: str, priority: int) -> Request:
    body = {"label": "bench", "start_seconds": start, "end_seconds": end, "profile": profile, "priority": priority}
    return Request("POST", f"/v1/recordings/{recording_id}/clips", body)


def _answers(server: RunningServer, recording_id: str, seconds: float) -> Iterator[Figure]:
    clip_id = next(iter(server.client().clips.each())).clip_id
    number = round(seconds * _RATE)
    short = [_clip(recording_id, at % 50, at % 50 + 5, profile="default", priority=-10) for at in range(number)]
    alike = {"GET": [Request("GET", f"/v1/clips/{clip_id}")] * number, "POST": short}
    for method, requests in alike.items():
        aim = _GET_MS if method == "GET" else _POST_MS
        before = _cpu_seconds(server.process.pid)
        took = sorted(each * 1000 for each in steadily(server.url, server.key, requests, rate=_RATE)[method])
        cpu = _cpu_seconds(server.process.pid) - before
        yield Figure(f"{method}, two encodes: p50", took[number // 2], "ms")
        yield Figure(f"{method}, two encodes: p99", took[number * 99 // 100], "ms", at_most=aim)
        yield Figure(f"{method}, two encodes: CPU of one", cpu * 1000 / number, "ms")


def _streams(name: str, server: RunningServer, seconds: float) -> Iterator[Figure]:
    """Compare the CPU per second with many event streams and with none."""

    def cpu_ms() -> float:
        return _cpu_seconds(server.process.pid) * 1000

    spent = [
        follow(server.url, server.key, clients=clients, seconds=seconds, meter=cpu_ms) for clients in (0, _STREAMS)
    ]
    yield Figure(f"{name}: CPU a second, {_STREAMS} streams / none", spent[1], "ms", spent[0])


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of the process and its threads, including ended ones, in steps of 10 ms, without children."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _many_clips(bench: Bench, clips: int) -> Iterator[Figure]:
    bench.say(f"  a ledger of {clips:,} clips")
    data = data_folder(bench.cache, clips)
    ledger = open_ledger(data)
    try:
        with ledger.session():
            lists = [(_milliseconds(partial(ledger.clips.list, chosen)), _name(chosen)) for chosen in _filters(clips)]
            slowest, name = max(lists)
            what = f"{clips:,} clips: slowest of {len(lists)} lists ({name})"
            yield Figure(what, slowest, "ms", at_most=_LEDGER_MS)
            for name, ask in {
                "counts": ledger.clips.counts,
                "a claim that finds nothing": lambda: ledger.clips.claim("bench", workers=2),
                "deliveries of an endpoint": lambda: ledger.deliveries.list(limit=50, endpoint_id="whk_1"),
                "events after a number": lambda: ledger.events.after(clips - 100),
            }.items():
                yield Figure(f"{clips:,} clips: {name}", _milliseconds(ask), "ms", at_most=_LEDGER_MS)
    finally:
        ledger.close()
    with tempfile.TemporaryDirectory(dir=bench.cache) as empty:
        ready = {name: _ready_seconds(each) for name, each in {"none": Path(empty) / "data", "many": data}.items()}
    yield Figure(
        f"{clips:,} clips: start to ready / of none", ready["many"], "s", ready["none"], at_most=_READY_SECONDS
    )


def _filters(clips: int) -> Iterator[ClipFilter]:
    middle = BEGAN_MS + clips * 50
    recordings, statuses = (None, f"rec_{77:026d}"), (None, "processing", "complete", "failed")
    after, before = (None, middle), (None, middle + 100_000)
    for recording_id, status, label, since, until in product(recordings, statuses, (None, "label 5"), after, before):
        yield ClipFilter(
            limit=50, status=status, created_after=since, created_before=until, recording_id=recording_id, label=label
        )


def _name(chosen: ClipFilter) -> str:
    """Return the names of the fields by which it filters."""
    plain = ClipFilter(limit=50)
    names = [each.name for each in fields(chosen) if getattr(chosen, each.name) != getattr(plain, each.name)]
    return " + ".join(names) or "all"


def _milliseconds(ask: Callable[[], object], *, times: int = 9) -> float:
    """Return the median in milliseconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return sorted(took)[times // 2] * 1000


def _ready_seconds(data: Path, *, times: int = 3) -> float:
    """Return the best time of several from process start to first response, with libraries in the page cache."""
    took = []
    for _ in range(times):
        began = time.monotonic()
        with running_server(data):
            took.append(time.monotonic() - began)
    return min(took)
