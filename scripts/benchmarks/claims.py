"""Claims of clips a second by 1 to 50 processes that share a ledger in PostgreSQL, with a delay for each statement."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.ledger import Ledger
from scripts.benchmarks.figures import Bench, Figure
from tests.support.postgres import kinds_of_ledger, running_postgres

_PROCESSES = (1, 8, 24, 50)
_DELAYS_MS = (1, 50)  # of a network in one building; long enough that two cores do not limit 50 processes
_SETTINGS = {"key_prefix": "relay_live", "organisation_id": "org_local", "max_queued": 1_000_000}

_RECORDING = """INSERT INTO recordings (recording_id, state, bucket_path, etag, file_size_bytes, created_at, metadata,
    attempts, next_at) VALUES ('rec_1', 'complete', 'r/recording.mp4', 'e', 1000, 0, '{}', 1, 0)"""
_CLIPS = """INSERT INTO clips (clip_id, recording_id, label, start_seconds, end_seconds, state, object_key, created_at,
    progress, step, profile, priority, metadata, attempt, poster, crashes, next_at)
    SELECT 'clip_' || n, 'rec_1', 'a', 0, 1, 'queued', 'r/clips/' || n, n, 0, 'queued', 'default', 0, '{}', 0, TRUE, 0,
    0 FROM generate_series(1, %s) AS n"""


def figures(bench: Bench) -> Iterator[Figure]:
    if "postgres" not in kinds_of_ledger():
        bench.say("  PostgreSQL is not installed")
        return
    seconds = bench.sized(10.0, 4.0, 0.2)
    with running_postgres() as server:
        for delay in bench.sized(_DELAYS_MS, _DELAYS_MS, _DELAYS_MS[:1]):
            alone = 0.0
            for processes in bench.sized(_PROCESSES, _PROCESSES, _PROCESSES[:2]):
                with server.database() as url, tempfile.TemporaryDirectory() as folder:
                    location = PostgresLocation(url, Path(folder) / "secrets.key")
                    rate = _claims_a_second(location, processes, delay, seconds)
                alone = alone or rate
                linear = processes * alone
                what = f"claims, {processes} processes, {delay} ms for each statement"
                yield Figure(what, rate, "/s", linear, rate / linear, at_least=0.7)


def _claims_a_second(location: PostgresLocation, processes: int, delay_ms: int, seconds: float) -> float:
    _queue(location, 400 * processes if delay_ms > 10 else 20_000)
    context = multiprocessing.get_context("spawn")
    ready, counts = context.Barrier(processes), context.Queue()
    arguments = (location, delay_ms, seconds, ready, counts)
    started = [context.Process(target=_claim, args=(f"inst_{each}", *arguments)) for each in range(processes)]
    for process in started:
        process.start()
    total: int = sum(counts.get(timeout=600) for _ in started)
    for process in started:
        process.join()
    return total / seconds


def _queue(location: PostgresLocation, number: int) -> None:
    Ledger.open(location, **_SETTINGS).close()  # type: ignore[arg-type]
    with psycopg.connect(location.url) as connection:
        connection.execute(_RECORDING)
        connection.execute(_CLIPS, (number,))


def _claim(owner: str, location: PostgresLocation, delay_ms: int, seconds: float, ready: Any, counts: Any) -> None:
    """Claim clips for `seconds`, as soon as all processes are ready."""
    ledger = Ledger.open(location, **_SETTINGS)  # type: ignore[arg-type]
    _delay_statements(delay_ms / 1000)
    ready.wait()
    claimed, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        claimed += ledger.clips.claim(owner) is not None
    counts.put(claimed)
    ledger.close()


def _delay_statements(seconds: float) -> None:
    """Let each statement and each commit of this process take longer, as over a network."""
    classes: tuple[tuple[Any, str], ...] = ((psycopg.Cursor, "execute"), (psycopg.Connection, "commit"))
    for kind, name in classes:
        original = getattr(kind, name)

        def later(*args: Any, original: Any = original, **kwargs: Any) -> Any:
            time.sleep(seconds)
            return original(*args, **kwargs)

        setattr(kind, name, later)
