"""Group commit: callers that wait for the write lock share one transaction, and one wait for the disk.

A durable commit waits for the disk. If each of many concurrent callers committed alone, the last would wait for all
others. The first caller therefore runs the tasks of all, each in a savepoint that can fail alone.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from clipengine.ledger.database.act import acting
from clipengine.ledger.database.database import Database

T = TypeVar("T")


class _Task(Generic[T]):
    """One caller's work and its result or error."""

    def __init__(self, work: Callable[[], T], database: Database) -> None:
        self._work = work
        self._database = database
        self._context = contextvars.copy_context()  # of the caller, for the log lines and its act
        self._result: T | None = None
        self.error: BaseException | None = None
        self.done = False
        self.wake = threading.Event()

    def run(self) -> None:
        self._result = self._context.run(self._recorded)

    def _recorded(self) -> T:
        with self._database.recorded():
            return self._work()

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return cast(T, self._result)


class GroupCommit:
    """Queue of tasks whose first caller, the leader, commits all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: list[_Task[object]] = []
        self._has_leader = False

    def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a transaction and return its result after a durable commit.

        An exception of `work` undoes this work alone. It may run on the thread of another caller, so it must not depend
        on its own thread except through the ledger. If the commit fails, raises the error of `transaction`.
        """
        if self._database.in_transaction:  # waiting for the leader would be a deadlock
            with self._database.transaction():
                return work()
        task = _Task(work, self._database)
        with self._lock:
            self._waiting.append(cast(_Task[object], task))
            leads, self._has_leader = not self._has_leader, True
        if not leads:
            task.wake.wait()
        if not task.done:
            self._lead()
        return task.result()

    def _lead(self) -> None:
        group: list[_Task[object]] = []
        try:
            with acting(None), self._database.transaction():  # each task has its own act
                group = self._take()
                for task in group:
                    self._run(task, alone=len(group) == 1)
        except BaseException as error:
            # Nothing was committed; fail every queued caller.
            group = group or self._take()
            for task in group:
                task.error = task.error or error
        for task in group:
            task.done = True
            task.wake.set()
        with self._lock:
            self._has_leader = bool(self._waiting)
            next_leader = self._waiting[0] if self._waiting else None
        if next_leader is not None:
            next_leader.wake.set()

    def _take(self) -> list[_Task[object]]:
        with self._lock:
            group, self._waiting = self._waiting, []
        return group

    def _run(self, task: _Task[object], *, alone: bool) -> None:
        if alone:
            task.run()
            return
        try:
            with self._database.transaction():
                task.run()
        except Exception as error:
            task.error = error
            if not self._database.in_transaction:  # the whole group was rolled back, for example by a full disk
                raise
