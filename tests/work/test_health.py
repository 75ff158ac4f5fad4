"""Checks of `/readyz`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from clipengine.work.upkeep.health import _Cached


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
