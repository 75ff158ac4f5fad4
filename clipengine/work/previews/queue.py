"""Queue of preview jobs: lanes for each kind, cheap jobs first, requests for the same preview share one job.

When the last request for a job ends, a queued job is dropped and a running one is cancelled: at once if another job
needs its lane, otherwise after a grace period in which a reload or a retry can join it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from clipengine.errors import Busy
from clipengine.limits.shares import check_share

LONG_SECONDS = 10.0  # jobs that are expected to take longer run one at a time, so that one lane is left to short ones
_GRACE_SECONDS = 3.0
_STOP_SECONDS = 1.0

Check = Callable[[], None]


class Lanes(Protocol):
    """Kind of jobs, at most `lanes` of which run at the same time."""

    @property
    def name(self) -> str: ...
    @property
    def lanes(self) -> int: ...


class PreviewCancelled(Exception):
    """No request waits for the preview any more, or the server is stopping."""


@dataclass(eq=False)
class _Job:
    name: str
    kind: Lanes
    seconds: float  # expected
    run: Callable[[Check], bytes]
    owner: str = ""
    future: Future[bytes] = field(default_factory=Future)
    waiters: int = 0
    queued_at: float = field(default_factory=time.monotonic)
    abandoned_at: float | None = None
    cancelled: bool = False
    may_run: Callable[[], bool] = lambda: True  # without waiters

    @property
    def is_long(self) -> bool:
        return self.seconds > LONG_SECONDS

    @property
    def order(self) -> float:
        """Sort key: a job overtakes costlier ones, unless they have waited longer than the costs differ."""
        return self.queued_at + self.seconds


class PreviewQueue:
    """A queue that runs each job in a new thread. Thread-safe; only `stop` blocks."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: dict[str, _Job] = {}  # queued and running, by name
        self._running: set[_Job] = set()
        self._started_at: dict[str, float] = {}  # the last job of each owner
        self._stopping = False

    @contextmanager
    def requested(
        self, name: str, kind: Lanes, seconds: float, run: Callable[[Check], bytes], *, owner: str = ""
    ) -> Iterator[Future[bytes]]:
        """Request a preview for the duration of the context; a queued or running job with this name is shared.

        `run` must call its argument several times a second, and not catch the PreviewCancelled that it raises. The
        future gets the result or the exception of `run`. Owners take turns. Raises Busy if too many jobs are queued, or
        RateLimited if too many of this owner are.
        """
        job = self._join(name, kind, seconds, run, owner)
        try:
            yield job.future
        finally:
            self._leave(job)

    def in_background(
        self, name: str, kind: Lanes, seconds: float, run: Callable[[Check], bytes], may_run: Callable[[], bool]
    ) -> Future[bytes] | None:
        """Start a job that no request waits for, and return its future; None if any job is queued or running.

        It is cancelled if another job needs its lane, or if `may_run` returns False. A request of the same name joins
        it. `run` and the future are described at `requested`.
        """
        with self._changed:
            if self._stopping or self._jobs or self._running:
                return None
            job = self._add(name, kind, seconds, run)
            job.may_run = may_run
            self._start_ready(kind)
            return job.future

    def stop(self) -> None:
        """Cancel every job, and wait briefly for running ones."""
        with self._changed:
            self._stopping = True
            queued = [job for job in self._jobs.values() if job not in self._running]
            self._jobs.clear()
            for job in self._running:
                job.cancelled = True
        for job in queued:
            job.future.set_exception(Busy("The server is stopping"))
        with self._changed:
            self._changed.wait_for(lambda: not self._running, _STOP_SECONDS)

    def _join(self, name: str, kind: Lanes, seconds: float, run: Callable[[Check], bytes], owner: str) -> _Job:
        with self._changed:
            job = self._jobs.get(name)
            if job is None or job.cancelled:
                queued = self._queued(kind)
                if self._stopping:
                    raise Busy("The server is stopping")
                own = sum(each.owner == owner for each in queued)
                check_share("previews of this kind", held=own, used=len(queued))
                job = self._add(name, kind, seconds, run, owner)
            job.waiters += 1
            job.abandoned_at = None
            self._start_ready(kind)
            return job

    def _add(self, name: str, kind: Lanes, seconds: float, run: Callable[[Check], bytes], owner: str = "") -> _Job:
        job = self._jobs[name] = _Job(name, kind, seconds, run, owner)
        job.future.set_running_or_notify_cancel()  # one of several waiters cannot cancel it for the others
        return job

    def _leave(self, job: _Job) -> None:
        with self._changed:
            job.waiters -= 1
            if job.waiters:
                return
            if job in self._running:
                job.abandoned_at = time.monotonic()
            elif self._jobs.get(job.name) is job:
                del self._jobs[job.name]
            self._start_ready(job.kind)

    def _queued(self, kind: Lanes) -> list[_Job]:
        return [job for job in self._jobs.values() if job.kind == kind and job not in self._running]

    def _start_ready(self, kind: Lanes) -> None:
        """Start the queued jobs that have a lane. For each other job, cancel a running job without waiters."""
        if self._stopping:
            return
        for job in self._in_turn(self._queued(kind)):
            running = [each for each in self._running if each.kind == kind]
            if len(running) < kind.lanes and not (job.is_long and any(each.is_long for each in running)):
                self._running.add(job)
                self._started_at[job.owner] = time.monotonic()
                threading.Thread(target=self._run, args=(job,), name=f"preview-{kind.name}", daemon=True).start()
            else:
                _cancel_abandoned(running)

    def _in_turn(self, queued: list[_Job]) -> list[_Job]:
        """Return the jobs in the order in which they start: one of each owner, the least recently served one first."""
        seen: Counter[str] = Counter()
        turns: list[tuple[int, float, float, _Job]] = []
        for job in sorted(queued, key=lambda each: each.order):
            turns.append((seen[job.owner], self._started_at.get(job.owner, 0.0), job.order, job))
            seen[job.owner] += 1
        return [job for *_, job in sorted(turns, key=lambda turn: turn[:3])]

    def _check(self, job: _Job) -> None:
        with self._changed:
            if job.abandoned_at is not None and time.monotonic() - job.abandoned_at > _GRACE_SECONDS:
                job.cancelled = True
            if not job.waiters and not job.may_run():
                job.cancelled = True
            if job.cancelled:
                raise PreviewCancelled

    def _run(self, job: _Job) -> None:
        result = b""
        failure: BaseException | None = None
        try:
            result = job.run(lambda: self._check(job))
        except PreviewCancelled:
            failure = Busy("The preview was cancelled", retry_after=2)
        except BaseException as error:
            failure = error
        with self._changed:
            self._running.discard(job)
            if self._jobs.get(job.name) is job:
                del self._jobs[job.name]
            self._start_ready(job.kind)
            self._changed.notify_all()
        if failure is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(failure)


def _cancel_abandoned(running: list[_Job]) -> None:
    """Cancel one job without waiters, if there is one."""
    for job in running:
        if not job.waiters and not job.cancelled:
            job.cancelled = True
            return
