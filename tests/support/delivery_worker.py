"""Deliveries of webhooks without an engine."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from clipengine.ledger.ledger import Ledger
from clipengine.webhooks.send import Sender
from clipengine.work.jobs.deliveries import Courier
from clipengine.work.worker import JobContext, Worker


class DeliveryWorker:
    """The deliveries of one engine, sent by some threads as its queue would do."""

    def __init__(self, ledger: Ledger, sender: Sender, *, owner: str = "inst_1", **arguments: object) -> None:
        self._ledger = ledger
        self._owner = owner
        context = JobContext(ledger, owner, threading.Event())
        self.courier = Courier(context, sender, random=lambda: 0.5, **arguments)  # type: ignore[arg-type]
        self.worker = Worker(self.courier)

    def run_due(self, threads: int = 4) -> int:
        """Send deliveries until none is due and none is being sent, and return the number of attempts."""

        def run(_: int) -> int:
            number = self.worker.run_due()
            while self.worker.in_flight():
                time.sleep(0.01)
                number += self.worker.run_due()
            return number

        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(run, range(threads)))

    def next_due(self) -> int | None:
        return self._ledger.deliveries.next_due()

    def recover(self) -> int:
        """Release the claims of dead engines, and return how many there were."""
        ledger = self._ledger
        return ledger.deliveries.release_orphans(
            self._owner, in_flight=self.worker.in_flight, living=ledger.engines.living
        )

    def stop(self) -> None:
        self.worker.stop()
