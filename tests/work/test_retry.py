"""The retry policy of storage outages and lost child processes, and writes that must not be lost."""

from __future__ import annotations

import threading

import pytest

from clipengine.errors import (
    ClipEngineError,
    DecoderCrashed,
    DecoderKilled,
    RecordingChanged,
    RecordingUnreadable,
    StorageDenied,
    StorageUnavailable,
    Timeout,
)
from clipengine.work.children.exit_status import retry_delay_ms
from clipengine.work.retry import Stopping, next_delay, retry_until_written

_DAY_MS = 24 * 3600 * 1000


@pytest.mark.parametrize(("waited_ms", "shortest", "longest"), [(0, 1_000, 2_000), (60_000, 30_000, 60_000)])
def test_delay_doubles_with_jitter(waited_ms: int, shortest: int, longest: int) -> None:
    for _ in range(200):
        delay = next_delay(StorageUnavailable("away"), waited_ms)
        assert delay is not None
        assert shortest <= delay <= longest


def test_delay_is_capped() -> None:
    delays = [next_delay(StorageUnavailable("away"), 12 * 3600 * 1000) for _ in range(200)]
    assert all(delay is not None and 150_000 <= delay <= 300_000 for delay in delays)


def test_last_delay_ends_at_the_limit() -> None:
    assert next_delay(StorageUnavailable("away"), _DAY_MS - 5) == 5


@pytest.mark.parametrize(
    ("error", "waited_ms"),
    [
        (StorageUnavailable("away"), _DAY_MS),
        (StorageDenied("denied"), 30_000),
        (RecordingUnreadable("broken"), 0),
        (RecordingChanged("replaced"), 0),
        (Timeout("slow"), 0),
    ],
)
def test_permanent_error_is_not_retried(error: ClipEngineError, waited_ms: int) -> None:
    assert next_delay(error, waited_ms) is None


@pytest.mark.parametrize("kind", [DecoderCrashed, DecoderKilled])
def test_work_that_lost_its_child_has_three_attempts(kind: type[ClipEngineError]) -> None:
    assert [retry_delay_ms(kind("lost"), lost) is None for lost in range(4)] == [False, False, True, True]


def test_write_is_repeated_until_the_ledger_takes_it() -> None:
    calls: list[int] = []

    def change() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise StorageUnavailable("the disk is full")
        return "written"

    assert retry_until_written(change, threading.Event()) == "written"
    assert len(calls) == 2


def test_write_is_given_up_when_the_engine_stops() -> None:
    stopping = threading.Event()
    stopping.set()

    def change() -> None:
        raise StorageUnavailable("the disk is full")

    with pytest.raises(Stopping):
        retry_until_written(change, stopping)
