"""Webhook delivery from the ledger's outbox, at least once.

A row is claimed before it is sent and its outcome recorded afterwards; a crash in between repeats the delivery with
the same `webhook-id`. Each target gets a few deliveries at a time. Targets do not wait for each other: each delivery
has a thread, and targets whose last attempt failed use at most half of the threads.
"""

from __future__ import annotations

import logging
import random as randomness
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Literal

from clipengine import tracing
from clipengine.errors import ClipEngineError
from clipengine.ledger.deliveries import Delivery
from clipengine.ledger.ledger import Ledger
from clipengine.timecode import now_ms
from clipengine.webhooks.schedule import next_delay_seconds
from clipengine.webhooks.send import Outcome, Sender, SenderClosed
from clipengine.webhooks.sign import sign
from clipengine.work.job_context import delivery_job

logger = logging.getLogger(__name__)

# Seconds between two looks for deliveries that became due while others are being sent.
_TICK_SECONDS = 0.25
_UNSETTLED_RETRY_MS = 1000
_MAX_FAILING = 10_000


class DeliveryWorker:
    """Sends deliveries that are due. Thread-safe.

    `owner` identifies this run of the engine; after a crash, `recover` of the next run frees its claims. `trusted_urls`
    are those of the settings: unlike addresses from the API, they may be private. `max_parallel` limits the deliveries
    that are sent at the same time, `per_target` those that all engines send to one target. `on_attempt` is called with
    "delivered" or "failed" after each attempt.
    """

    def __init__(
        self,
        ledger: Ledger,
        sender: Sender,
        *,
        owner: str,
        trusted_urls: Collection[str] = (),
        max_parallel: int = 16,
        per_target: int = 1,
        random: Callable[[], float] = randomness.random,
        on_attempt: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._ledger = ledger
        self._sender = sender
        self._owner = owner
        self._trusted_urls = frozenset(trusted_urls)
        self._max_parallel = max_parallel
        self._per_target = per_target
        self._random = random
        self._on_attempt = on_attempt
        self._claim_lock = threading.Lock()
        self._changed = threading.Condition()
        self._busy: Counter[str] = Counter()  # deliveries that are being sent, by target
        self._in_flight: set[str] = set()  # their ids
        self._failing: set[str] = set()  # targets whose last attempt failed
        self._finished = 0
        self._stopping = False
        # Attempts that could not be recorded because the ledger was locked or its disk full.
        self._unsettled: deque[tuple[Delivery, Outcome]] = deque()

    def recover(self) -> int:
        """Release the claims of dead engines and of dead threads of this one, and return how many there were."""
        return self._ledger.deliveries.release_orphans(
            self._owner, in_flight=self._in_flight_ids, living=self._ledger.engines.living
        )

    def _in_flight_ids(self) -> set[str]:
        # With the claim lock, so that a claim which the ledger shows is already listed here.
        with self._claim_lock, self._changed:
            return self._in_flight | {delivery.delivery_id for delivery, _ in self._unsettled}

    def run_due(self) -> int:
        """Send deliveries until none is due, and return the number of attempts that were started.

        Does not wait for targets that another call is sending to. Raises StorageUnavailable and DiskFull of the ledger;
        no outcome is lost then.
        """
        self._record_unsettled()
        mine: set[str] = set()
        started = 0
        try:
            while True:
                with self._changed:
                    finished = self._finished
                while (delivery := self._claim()) is not None:
                    started += 1
                    self._start(delivery, mine)
                with self._changed:
                    if not mine:
                        return started
                    if self._finished == finished:
                        self._changed.wait(_TICK_SECONDS)
        finally:
            self._wait(lambda: not mine)

    def next_due(self) -> int | None:
        """Return the time of the next delivery, in ms since 1970, or None if none is pending."""
        if self._unsettled:
            return now_ms() + _UNSETTLED_RETRY_MS
        with self._changed:
            if self._stopping:
                return None
            excluded = self._excluded_targets()
        return self._ledger.deliveries.next_due(exclude=excluded)

    def stop(self, timeout: float = 5) -> bool:
        """Cancel the running attempts, and return True if all have ended within `timeout` seconds.

        A cancelled attempt does not count as a failure. Its row stays claimed and is sent again after the next start.
        """
        with self._changed:
            self._stopping = True
        self._sender.close()
        return self._wait(lambda: not self._busy, timeout)

    def _claim(self) -> Delivery | None:
        # Serialised, so that two calls do not exceed the limits.
        with self._claim_lock:
            with self._changed:
                if self._stopping or self._busy.total() >= self._max_parallel:
                    return None
                excluded = self._excluded_targets()
            claimed = self._ledger.deliveries.claim_due(
                exclude=excluded, limit=1, owner=self._owner, per_target=self._per_target
            )
            for delivery in claimed:
                with self._changed:
                    self._busy[delivery.target] += 1
                    self._in_flight.add(delivery.delivery_id)
                return delivery
        return None

    def _excluded_targets(self) -> set[str]:
        """Return the targets that get no delivery now. The caller holds the lock."""
        failing = sum(number for target, number in self._busy.items() if target in self._failing)
        full = {target for target, number in self._busy.items() if number >= self._per_target}
        # A target that fails gets one delivery at a time: its timeouts must not fill the threads.
        full |= self._busy.keys() & self._failing
        return full | self._failing if failing >= max(1, self._max_parallel // 2) else full

    def _start(self, delivery: Delivery, mine: set[str]) -> None:
        def run() -> None:
            try:
                self._deliver(delivery)
            finally:
                with self._changed:
                    mine.discard(delivery.delivery_id)
                    self._busy -= Counter([delivery.target])  # keeps positive counts only
                    self._in_flight.discard(delivery.delivery_id)
                    self._finished += 1
                    self._changed.notify_all()

        mine.add(delivery.delivery_id)
        try:
            threading.Thread(target=run, name=f"webhook-{delivery.delivery_id}", daemon=True).start()
        except RuntimeError:  # no more threads can be started
            run()

    def _deliver(self, delivery: Delivery) -> None:
        with delivery_job(delivery, engine=self._owner):
            self._complete(delivery)

    def _complete(self, delivery: Delivery) -> None:
        """Send the delivery once and record the outcome."""
        try:
            outcome = self._attempt(delivery)
        except SenderClosed:
            return
        except Exception as error:  # a bug must not leave the row claimed forever
            logger.exception("delivery %s could not be attempted", delivery.delivery_id)
            outcome = Outcome(False, None, f"internal: {type(error).__name__}", None, False, 0)
        if outcome.error is not None:
            tracing.set_error(outcome.error.partition(":")[0])
        self._on_attempt("delivered" if outcome.ok else "failed")
        with self._changed:
            if outcome.ok:
                self._failing.discard(delivery.target)
            elif len(self._failing) < _MAX_FAILING:
                self._failing.add(delivery.target)
        try:
            self._record(delivery, outcome)
        except ClipEngineError as error:
            logger.warning("delivery %s: the attempt is not recorded yet: %s", delivery.delivery_id, error.message)
            self._unsettled.append((delivery, outcome))

    def _attempt(self, delivery: Delivery) -> Outcome:
        headers = sign(delivery.body, event_id=delivery.event_id, secrets=delivery.secrets, timestamp=now_ms() // 1000)
        if (traceparent := tracing.current(otherwise=delivery.traceparent)) is not None:
            headers["traceparent"] = traceparent
        trusted = delivery.endpoint_id is not None and delivery.url in self._trusted_urls
        return self._sender.send(delivery.url, delivery.body, headers, trusted=trusted)

    def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        delay = None
        if not (outcome.ok or outcome.gone):
            delay = next_delay_seconds(delivery.attempt, retry_after=outcome.retry_after_seconds, random=self._random)
        outcome_name: Literal["delivered", "retry", "failed"] = "delivered" if outcome.ok else "failed"
        self._ledger.deliveries.record(
            delivery,
            outcome=outcome_name if delay is None else "retry",
            status_code=outcome.status_code,
            error=outcome.error,
            duration_ms=outcome.duration_ms,
            next_at=None if delay is None else now_ms() + round(delay * 1000),
        )
        logger.info(
            "delivery %s of %s to %s, attempt %d: %s in %d ms%s",
            delivery.delivery_id,
            delivery.event_id,
            delivery.endpoint_id or "the address of the clip",
            delivery.attempt,
            outcome.error or "accepted",
            outcome.duration_ms,
            "" if delay is None else f", next in {delay:.0f} s",
        )

    def _record_unsettled(self) -> None:
        for _ in range(len(self._unsettled)):
            with self._changed:
                if not self._unsettled:  # another call has taken it
                    return
                delivery, outcome = self._unsettled.popleft()
                self._in_flight.add(delivery.delivery_id)
            try:
                self._record(delivery, outcome)
            except ClipEngineError:
                self._unsettled.append((delivery, outcome))
                raise
            finally:
                with self._changed:
                    self._in_flight.discard(delivery.delivery_id)

    def _wait(self, until: Callable[[], bool], timeout: float | None = None) -> bool:
        with self._changed:
            return self._changed.wait_for(until, timeout)
