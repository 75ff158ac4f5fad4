"""Health checks of this engine, for `/readyz` and the metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clipengine.basis.disk_space import DiskSpace
from clipengine.errors import ClipEngineError
from clipengine.ledger.ledger import Ledger
from clipengine.stores.base import Store
from clipengine.work.queue import WorkQueue
from clipengine.work.upkeep.sweep import Sweep

# Details of checks that pass. The page translates them.
GOOD = {"database": "writable", "store": "reachable", "workers": "alive", "jobs": "new jobs are taken"}
_LEDGER_SECONDS = 1
_LATEST_SECONDS = 0.05


@dataclass(frozen=True)
class Check:
    """One line of `/readyz`."""

    name: str
    ok: bool
    detail: str


class Health:
    """Checks that may be requested often: the ledger is asked at most once a second, the store each `store_seconds`.

    `check_folder` raises StorageUnavailable if the data folder was moved. `floor` is the number of bytes to keep free.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        disk: DiskSpace,
        *,
        store_seconds: float,
        check_folder: Callable[[], None],
        floor: int,
        queues: Sequence[WorkQueue],
        sweep: Sweep,
    ) -> None:
        self._space = disk
        self._check_folder = check_folder
        self._floor = floor
        self._queues = queues
        self._sweep = sweep
        self.draining = False
        self._ledger = _Cached("database", ledger.check_writable, GOOD["database"], seconds=_LEDGER_SECONDS)
        self._schema = _Cached("schema", ledger.engines.check_schema, "", seconds=_LEDGER_SECONDS)
        self._store = _Cached("store", store.check, GOOD["store"], seconds=store_seconds)

    def checks(self) -> list[Check]:
        in_ledger = [self._ledger.check(), self._schema.check()]
        return [*in_ledger, self._workers(), self._store.check(), self._disk(), self._taking_jobs()]

    def awaited(self) -> list[str]:
        """Return the names of failing checks for which clips wait, of the store as `_Cached.latest` does."""
        checks = (self._workers(), self._store.latest(), self._disk(), self._taking_jobs())
        return [each.name for each in checks if each is not None and not each.ok]

    def _taking_jobs(self) -> Check:
        detail = "draining: no new jobs are taken" if self.draining else GOOD["jobs"]
        return Check("jobs", not self.draining, detail)

    def _workers(self) -> Check:
        dead = [queue.name for queue in self._queues if not queue.alive()]
        if dead:
            return Check("workers", False, f"a thread of {' and '.join(dead)} has died and is restarted")
        if not self._sweep.alive():
            return Check("workers", False, "the sweep is not running")
        restarts = sum(queue.restarts for queue in self._queues)
        return Check("workers", True, f"alive, {restarts} restarted since the start" if restarts else GOOD["workers"])

    def _disk(self) -> Check:
        try:
            self._check_folder()
        except ClipEngineError as error:
            return Check("disk", False, f"{error.message}. {error.hint}")
        free, floor = (size / 1_000_000_000 for size in (self._space.free(), self._floor))
        return Check("disk", not self._space.is_low(), f"{free:.1f} GB free, {floor:.1f} GB are kept free")


class _Cached:
    """A check whose result is reused for `seconds`, and while a thread is running the check again.

    `probe` returns the detail to show, or None for `good`.
    A store that does not respond must not block one thread of the API for each request of `/readyz`.
    """

    def __init__(self, name: str, probe: Callable[[], str | None], good: str, *, seconds: float) -> None:
        self._name, self._probe, self._good, self._seconds = name, probe, good, seconds
        self._lock = threading.Lock()
        self._known: tuple[float, Check] | None = None

    def check(self) -> Check:
        """Return the latest result. Only callers before the first result wait for another thread."""
        known = self._known
        if not self._lock.acquire(blocking=known is None):
            assert known is not None
            return known[1]
        try:
            if self._known is None or time.monotonic() - self._known[0] >= self._seconds:
                found = self._run()
                self._known = (time.monotonic(), found)
            return self._known[1]
        finally:
            self._lock.release()

    def latest(self) -> Check | None:
        """Return the latest result, or None before the first. A thread replaces an old one, within 50 ms or later."""
        known = self._known
        if (known is None or time.monotonic() - known[0] >= self._seconds) and not self._lock.locked():
            thread = threading.Thread(target=self.check, daemon=True, name=f"check-{self._name}")
            thread.start()
            thread.join(_LATEST_SECONDS)
        known = self._known
        return known and known[1]

    def _run(self) -> Check:
        try:
            detail = self._probe()
        except ClipEngineError as error:
            return Check(self._name, False, f"{error.message}. {error.hint}")
        return Check(self._name, True, detail or self._good)
