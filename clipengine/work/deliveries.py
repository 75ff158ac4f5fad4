"""Deliveries being made: from the ledger's outbox to the receivers, each at least once.

A row is marked before it is sent and settled after; a crash in between repeats it with the same `webhook-id`. Per
target one delivery is under way at a time, so that a receiver meets its events one by one. Targets do not wait for
each other: each delivery has a thread while it is sent, and those whose last attempt failed never take more than half
of the places.
"""

from __future__ import annotations

import logging
import random as randomness
import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Literal

from clipengine.errors import ClipEngineError
from clipengine.ledger.deliveries import Delivery
from clipengine.ledger.ledger import Ledger
from clipengine.timecode import now_ms
from clipengine.webhooks.schedule import next_delay_seconds
from clipengine.webhooks.send import Outcome, Sender, SenderClosed
from clipengine.webhooks.sign import sign

logger = logging.getLogger(__name__)

# While something is being sent, what has newly become due is looked for this often.
_TICK_SECONDS = 0.25
_UNSETTLED_RETRY_MS = 1000
_MAX_DOUBTFUL = 10_000


class DeliveryWorker:
    """Sends what is due. `run_due` and `next_due` may be called from any thread, several at once.

    `owner` is this run of the engine: what it had marked and did not settle is due again after `recover` of the next.
    `trusted_urls` are those that the operator wrote into the settings; they may lead to private addresses, which
    endpoints and clips that came through the API may not. `places` is how many deliveries are under way at most.
    `on_attempt` is told "delivered" or "failed" after each.
    """

    def __init__(
        self,
        ledger: Ledger,
        sender: Sender,
        *,
        owner: str,
        trusted_urls: Collection[str] = (),
        places: int = 16,
        random: Callable[[], float] = randomness.random,
        on_attempt: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._ledger = ledger
        self._sender = sender
        self._owner = owner
        self._trusted_urls = frozenset(trusted_urls)
        self._places = places
        self._random = random
        self._on_attempt = on_attempt
        self._claiming = threading.Lock()
        self._changed = threading.Condition()
        self._busy: set[str] = set()
        self._under_way: set[str] = set()  # the deliveries that targets are busy with
        self._doubtful: set[str] = set()  # targets whose last attempt failed
        self._ended = 0
        self._stopping = False
        # Attempts that the ledger could not take down, because its disk was full or it was held by somebody else.
        self._unsettled: deque[tuple[Delivery, Outcome]] = deque()

    def recover(self) -> int:
        """Make due again what an engine that is dead left half done, or a thread of this one; how many those were."""
        return self._ledger.deliveries.release_orphans(
            self._owner, in_flight=self._sending, living=self._ledger.engines.living
        )

    def _sending(self) -> set[str]:
        # Not between a claim and its note: who has seen the claim in the ledger finds it here.
        with self._claiming, self._changed:
            return self._under_way | {delivery.delivery_id for delivery, _ in self._unsettled}

    def run_due(self) -> int:
        """Send what is due and what becomes due meanwhile; returns when nothing is. How many attempts it began.

        What another call is sending is that call's business: a target that is busy does not hold this one up.
        Raises StorageUnavailable and DiskFull of the ledger, with nothing lost.
        """
        self._settle_left_over()
        mine: set[str] = set()
        begun = 0
        try:
            while True:
                with self._changed:
                    ended = self._ended
                while (delivery := self._claim()) is not None:
                    begun += 1
                    self._begin(delivery, mine)
                with self._changed:
                    if not mine:
                        return begun
                    if self._ended == ended:
                        self._changed.wait(_TICK_SECONDS)
        finally:
            self._wait(lambda: not mine)

    def next_due(self) -> int | None:
        """When `run_due` is to be called again, in ms since 1970; None where nothing waits."""
        if self._unsettled:
            return now_ms() + _UNSETTLED_RETRY_MS
        with self._changed:
            if self._stopping:
                return None
            barred = self._barred()
        return self._ledger.deliveries.next_due(exclude=barred)

    def stop(self, timeout: float = 5) -> bool:
        """Begin nothing more and cut what is being sent; whether everything has ended within `timeout` seconds.

        What was cut is not a failure of its receiver: it stays marked, and is sent again after the next start.
        """
        with self._changed:
            self._stopping = True
        self._sender.close()
        return self._wait(lambda: not self._busy, timeout)

    def _claim(self) -> Delivery | None:
        # One at a time, so that no two calls take deliveries of one target.
        with self._claiming:
            with self._changed:
                if self._stopping or len(self._busy) >= self._places:
                    return None
                barred = self._barred()
            claimed = self._ledger.deliveries.claim_due(exclude=barred, limit=1, owner=self._owner)
            for delivery in claimed:
                with self._changed:
                    self._busy.add(delivery.target)
                    self._under_way.add(delivery.delivery_id)
                return delivery
        return None

    def _barred(self) -> set[str]:
        """The targets to which nothing may be begun now. Call it with the lock held."""
        crowded = len(self._busy & self._doubtful) >= max(1, self._places // 2)
        return self._busy | self._doubtful if crowded else set(self._busy)

    def _begin(self, delivery: Delivery, mine: set[str]) -> None:
        def run() -> None:
            try:
                self._deliver(delivery)
            finally:
                with self._changed:
                    mine.discard(delivery.delivery_id)
                    self._busy.discard(delivery.target)
                    self._under_way.discard(delivery.delivery_id)
                    self._ended += 1
                    self._changed.notify_all()

        mine.add(delivery.delivery_id)
        try:
            threading.Thread(target=run, name=f"webhook-{delivery.delivery_id}", daemon=True).start()
        except RuntimeError:  # the system has no more threads for us
            run()

    def _deliver(self, delivery: Delivery) -> None:
        try:
            outcome = self._attempt(delivery)
        except SenderClosed:
            return
        except Exception as error:  # a defect of ours must not leave the delivery marked for ever
            logger.exception("delivery %s could not be attempted", delivery.delivery_id)
            outcome = Outcome(False, None, f"internal: {type(error).__name__}", None, False, 0)
        self._on_attempt("delivered" if outcome.ok else "failed")
        with self._changed:
            if outcome.ok:
                self._doubtful.discard(delivery.target)
            elif len(self._doubtful) < _MAX_DOUBTFUL:
                self._doubtful.add(delivery.target)
        try:
            self._settle(delivery, outcome)
        except ClipEngineError as error:
            logger.warning("delivery %s: the attempt is not recorded yet: %s", delivery.delivery_id, error.message)
            self._unsettled.append((delivery, outcome))

    def _attempt(self, delivery: Delivery) -> Outcome:
        headers = sign(delivery.body, event_id=delivery.event_id, secrets=delivery.secrets, timestamp=now_ms() // 1000)
        trusted = delivery.endpoint_id is not None and delivery.url in self._trusted_urls
        return self._sender.send(delivery.url, delivery.body, headers, trusted=trusted)

    def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        delay = None
        if not (outcome.ok or outcome.gone):
            delay = next_delay_seconds(delivery.attempt, retry_after=outcome.retry_after_seconds, random=self._random)
        word: Literal["delivered", "retry", "failed"] = "delivered" if outcome.ok else "failed"
        self._ledger.deliveries.record(
            delivery,
            outcome=word if delay is None else "retry",
            status_code=outcome.status_code,
            error=outcome.error,
            duration_ms=outcome.duration_ms,
            next_at=None if delay is None else now_ms() + round(delay * 1000),
        )
        logger.info(
            "delivery %s of %s to %s, attempt %d: %s in %d ms%s",
            delivery.delivery_id,
            delivery.event_id,
            delivery.endpoint_id or "the clip's own address",
            delivery.attempt,
            outcome.error or "taken",
            outcome.duration_ms,
            "" if delay is None else f", next in {delay:.0f} s",
        )

    def _settle_left_over(self) -> None:
        for _ in range(len(self._unsettled)):
            with self._changed:
                if not self._unsettled:  # another call was faster
                    return
                delivery, outcome = self._unsettled.popleft()
                self._under_way.add(delivery.delivery_id)
            try:
                self._settle(delivery, outcome)
            except ClipEngineError:
                self._unsettled.append((delivery, outcome))
                raise
            finally:
                with self._changed:
                    self._under_way.discard(delivery.delivery_id)

    def _wait(self, until: Callable[[], bool], timeout: float | None = None) -> bool:
        with self._changed:
            return self._changed.wait_for(until, timeout)
