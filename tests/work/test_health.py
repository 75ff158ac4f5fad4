"""Checks of `/readyz`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from clipengine.errors import StorageUnavailable
from clipengine.work.upkeep.health import _Cached
from tests.support.waiting import until


def test_hanging_check_blocks_only_one_thread() -> None:
    asked = threading.Semaphore(0)
    answer = threading.Event()
    answer.set()

    def ask() -> None:
        asked.release()
        assert answer.wait(300)

    check = _Cached("store", ask, "reachable", seconds=0)
    assert check.check().ok
    assert asked.acquire(timeout=0)
    answer.clear()
    with ThreadPoolExecutor(20) as pool:
        waiting = pool.submit(check.check)
        assert asked.acquire(timeout=300)
        others = [pool.submit(check.check) for _ in range(19)]
        assert all(each.result(300).ok for each in others)  # while the first check is still running
        assert not waiting.done()
        answer.set()
        assert waiting.result(300).ok


def test_latest_result_does_not_wait_for_the_store() -> None:
    answer = threading.Event()
    asked = threading.Semaphore(0)
    found: list[str | None] = []

    def ask() -> str | None:
        asked.release()
        assert answer.wait(300)
        if found:
            raise StorageUnavailable("the store does not respond")
        return "reachable"

    check = _Cached("store", ask, "reachable", seconds=0)
    assert check.latest() is None
    assert check.latest() is None  # another thread is still asking
    answer.set()
    until(lambda: check.latest() is not None)
    found.append("away")
    until(lambda: not getattr(check.latest(), "ok", True))
    found.clear()
    until(lambda: getattr(check.latest(), "ok", False))
