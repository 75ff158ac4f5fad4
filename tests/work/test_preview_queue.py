"""Order, sharing and cancellation of preview jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from clipengine.clips.plan.read_jobs import WAVEFORM
from clipengine.errors import Busy, RateLimited
from clipengine.limits.shares import LIMITS
from clipengine.work.previews import queue as preview_queue
from clipengine.work.previews.queue import (
    LONG_SECONDS,
    PreviewCancelled,
    PreviewQueue,
)
from tests.support.waiting import until

LONG = LONG_SECONDS + 1


class Work:
    """Jobs that run until the test finishes them; `started` has their names in order."""

    def __init__(self) -> None:
        self.queue = PreviewQueue()
        self.started: list[str] = []
        self.cancelled: list[str] = []
        self._finish: dict[str, threading.Event] = {}

    def request(self, waiters: ExitStack, name: str, seconds: float = 1.0, *, owner: str = "") -> Callable[[], bytes]:
        """Request a waveform of this name, and return its future."""
        future = waiters.enter_context(
            self.queue.requested(name, WAVEFORM, seconds, lambda check: self._run(name, check), owner=owner)
        )
        return lambda: future.result(300)

    def make(self, name: str, may_run: Callable[[], bool] = lambda: True) -> Callable[[], bytes] | None:
        """Make a waveform that nothing waits for, and return its future."""
        future = self.queue.in_background(name, WAVEFORM, LONG, lambda check: self._run(name, check), may_run)
        return None if future is None else lambda: future.result(300)

    def finish(self, name: str) -> None:
        self._finish.setdefault(name, threading.Event()).set()

    def next_after(self, name: str) -> str:
        """Finish a job, and return the name of the one that starts then."""
        count = len(self.started)
        self.finish(name)
        until(lambda: len(self.started) > count)
        return self.started[count]

    def _run(self, name: str, check: Callable[[], None]) -> bytes:
        finish = self._finish.setdefault(name, threading.Event())
        self.started.append(name)
        while not finish.wait(0.01):
            try:
                check()
            except PreviewCancelled:
                self.cancelled.append(name)
                raise
        return name.encode()


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.queue.stop()


@pytest.fixture
def waiters() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


LIMIT = LIMITS["previews of this kind"]
LANE_COUNT = WAVEFORM.lanes


def test_long_jobs_leave_a_lane_to_short_ones(work: Work, waiters: ExitStack) -> None:
    for name in ("long 1", "long 2", "long 3"):
        work.request(waiters, name, LONG)
    short = work.request(waiters, "short")
    work.finish("short")
    assert short() == b"short"
    until(lambda: sorted(work.started) == ["long 1", "short"])
    work.finish("long 1")
    until(lambda: sorted(work.started) == ["long 1", "long 2", "short"])


def test_cheapest_queued_job_starts_first(work: Work, waiters: ExitStack) -> None:
    names = [f"first {number}" for number in range(LANE_COUNT)]
    for name in names:
        work.request(waiters, name)
    for name, seconds in (("slow", 9.0), ("quick", 1.0), ("middling", 5.0)):
        work.request(waiters, name, seconds)
    until(lambda: len(work.started) == LANE_COUNT)
    assert [work.next_after(name) for name in (names[0], "quick", "middling")] == ["quick", "middling", "slow"]


def test_costly_job_is_not_overtaken_for_longer_than_it_costs(work: Work, waiters: ExitStack) -> None:
    names = [f"first {number}" for number in range(LANE_COUNT)]
    for name in names:
        work.request(waiters, name)
    work.request(waiters, "slow", 0.2)
    time.sleep(0.2)
    work.request(waiters, "quick", 0.1)
    until(lambda: len(work.started) == LANE_COUNT)
    assert work.next_after(names[0]) == "slow"


def test_requests_of_the_same_name_share_one_job(work: Work, waiters: ExitStack) -> None:
    results = [work.request(waiters, "same") for _ in range(3)]
    work.finish("same")
    assert {result() for result in results} == {b"same"}
    assert work.started == ["same"]


def test_queued_job_is_dropped_with_its_last_waiter(work: Work, waiters: ExitStack) -> None:
    names = [f"first {number}" for number in range(LANE_COUNT)]
    for name in names:
        work.request(waiters, name)
    with ExitStack() as leaving:
        work.request(leaving, "unwanted")
    last = work.request(waiters, "wanted")
    for name in [*names, "wanted"]:
        work.finish(name)
    assert last() == b"wanted"
    assert "unwanted" not in work.started


def test_abandoned_job_is_cancelled_after_the_grace_period(
    work: Work, waiters: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as leaving:
        monkeypatch.setattr(preview_queue, "_GRACE_SECONDS", 300)
        work.request(leaving, "unwanted")
        until(lambda: work.started)
    with ExitStack() as leaving:  # comes back
        work.request(leaving, "unwanted")
        monkeypatch.setattr(preview_queue, "_GRACE_SECONDS", 0.1)
        time.sleep(0.3)
        assert not work.cancelled
    until(lambda: work.cancelled == ["unwanted"])
    again = work.request(waiters, "unwanted")
    work.finish("unwanted")
    assert again() == b"unwanted"


def test_abandoned_job_gives_its_lane_to_a_requested_job(work: Work, waiters: ExitStack) -> None:
    with ExitStack() as leaving:
        work.request(leaving, "unwanted", LONG)
        until(lambda: work.started)
    work.finish("wanted")
    assert work.request(waiters, "wanted", LONG)() == b"wanted"
    assert work.cancelled == ["unwanted"]


def test_background_job_starts_only_if_there_is_no_other(work: Work, waiters: ExitStack) -> None:
    requested = work.request(waiters, "requested")
    assert work.make("background") is None
    work.finish("requested")
    assert requested() == b"requested"
    made = work.make("background")
    assert made is not None
    assert work.make("another") is None
    work.finish("background")
    assert made() == b"background"


def test_background_job_gives_its_lane_to_a_requested_job(work: Work, waiters: ExitStack) -> None:
    made = work.make("background")
    assert made is not None
    work.finish("wanted")
    assert work.request(waiters, "wanted", LONG)() == b"wanted"
    with pytest.raises(Busy):
        made()


def test_background_job_ends_if_it_may_not_run_unless_it_is_requested(work: Work, waiters: ExitStack) -> None:
    may_run = threading.Event()
    may_run.set()
    made = work.make("requested", may_run.is_set)
    assert made is not None
    joined = work.request(waiters, "requested")
    may_run.clear()
    time.sleep(0.1)
    work.finish("requested")
    assert joined() == made() == b"requested"
    may_run.set()
    made = work.make("unwanted", may_run.is_set)
    assert made is not None
    may_run.clear()
    with pytest.raises(Busy):
        made()
    assert work.cancelled == ["unwanted"]


def test_request_to_a_full_queue_is_rejected_as_busy(work: Work, waiters: ExitStack) -> None:
    for number in range(LANE_COUNT + (LIMIT.of_all or 0)):
        work.request(waiters, str(number), owner=f"key {number % 3}")
    with pytest.raises(Busy):
        work.request(waiters, "one too many", owner="key 4")


def test_owner_with_too_many_queued_jobs_is_rejected_and_others_are_not(work: Work, waiters: ExitStack) -> None:
    """Row 87 of the faults: one key does not lock the others out."""
    for number in range(LANE_COUNT + (LIMIT.of_caller or 0)):
        work.request(waiters, str(number), owner="greedy")
    with pytest.raises(RateLimited):
        work.request(waiters, "one too many", owner="greedy")
    work.request(waiters, "0", owner="greedy")  # it joins the one that is there
    work.request(waiters, "other", owner="modest")


def test_owners_take_turns(work: Work, waiters: ExitStack) -> None:
    """Row 87 of the faults: a job of another key is the next one, whatever one key has queued before."""
    for number in range(LANE_COUNT + 5):
        work.request(waiters, f"greedy {number}", owner="greedy")
    work.request(waiters, "modest 1", owner="modest")
    work.request(waiters, "modest 2", owner="modest")
    until(lambda: len(work.started) == LANE_COUNT)
    assert work.next_after("greedy 0") == "modest 1"
    third = work.next_after("modest 1")
    assert third.startswith("greedy")
    assert work.next_after(third) == "modest 2"


def test_stop_ends_running_and_queued_jobs(work: Work, waiters: ExitStack) -> None:
    results = [work.request(waiters, str(number)) for number in range(LANE_COUNT + 2)]
    until(lambda: len(work.started) == LANE_COUNT)
    work.queue.stop()
    for result in results:
        with pytest.raises(Busy):
            result()
    assert len(work.cancelled) == LANE_COUNT
    with pytest.raises(Busy):
        work.request(waiters, "after the end")
