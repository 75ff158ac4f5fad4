"""Group commit: works that wait for the one writer's turn are done in one transaction, with one wait for the disk.

A commit waits for the disk to have it. Were each of many clients at once to wait for its own, the last would wait for
all of them in turn; so the first to get the turn does everybody's work, each in a part of its own that can fail alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from clipengine.ledger.database.database import Database

T = TypeVar("T")


class _Task(Generic[T]):
    """One caller's work, and what came of it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._result: T | None = None
        self.error: BaseException | None = None
        self.settled = False
        self.woken = threading.Event()

    def run(self) -> None:
        self._result = self._work()

    def result(self) -> T:
        if self.error is not None:
            raise self.error
        return cast(T, self._result)


class GroupCommit:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: list[_Task[object]] = []
        self._led = False

    def do(self, work: Callable[[], T]) -> T:
        """The result of `work`, done in a transaction and committed durably when this returns; what it raises undoes
        it alone. It may run on another caller's thread, so it uses nothing of its own thread but the ledger.

        Raises what `transaction` raises where the commit fails, whatever came of the work.
        """
        if self._database.in_transaction:  # of this thread, which must not wait for itself
            with self._database.transaction():
                return work()
        piece = _Task(work)
        with self._lock:
            self._waiting.append(cast(_Task[object], piece))
            leads, self._led = not self._led, True
        if not leads:
            piece.woken.wait()
        if not piece.settled:
            self._lead()
        return piece.result()

    def _lead(self) -> None:
        group: list[_Task[object]] = []
        try:
            with self._database.transaction():
                group = self._take()
                for piece in group:
                    self._run(piece, alone=len(group) == 1)
        except BaseException as error:
            # Nothing of the group is in the file; whoever waited for the same turn in vain has waited long enough.
            group = group or self._take()
            for piece in group:
                piece.error = piece.error or error
        for piece in group:
            piece.settled = True
            piece.woken.set()
        with self._lock:
            self._led = bool(self._waiting)
            following = self._waiting[0] if self._waiting else None
        if following is not None:
            following.woken.set()

    def _take(self) -> list[_Task[object]]:
        with self._lock:
            group, self._waiting = self._waiting, []
        return group

    def _run(self, piece: _Task[object], *, alone: bool) -> None:
        if alone:
            piece.run()
            return
        try:
            with self._database.transaction():
                piece.run()
        except Exception as error:
            piece.error = error
            if not self._database.in_transaction:  # all of it has been rolled back (a full disk does that)
                raise
