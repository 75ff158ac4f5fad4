"""Webhook delivery from the ledger's outbox, at least once.

A row is claimed before it is sent and its outcome recorded afterwards; a crash in between repeats the delivery with
the same `webhook-id`. Each target gets a few deliveries at a time. Targets do not wait for each other: each delivery
has a thread, and targets whose last attempt failed use at most half of the threads.
"""

from __future__ import annotations

import logging
import random as randomness
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Literal

from clipengine.basis import tracing
from clipengine.basis.timecode import now_ms
from clipengine.errors import ClipEngineError
from clipengine.ledger.webhooks.deliveries import Delivery
from clipengine.outbound.network import SenderClosed
from clipengine.webhooks.messages import rendered, with_links
from clipengine.webhooks.schedule import next_delay_seconds
from clipengine.webhooks.send import Outcome, Sender
from clipengine.webhooks.sign import sign
from clipengine.work.jobs.context import delivery_job
from clipengine.work.retry import Stopping, retry_until_written
from clipengine.work.worker import JobContext, Jobs, Retry

logger = logging.getLogger(__name__)

PARALLEL = 16  # deliveries that one engine sends at the same time
_MAX_FAILING = 10_000


class Courier(Jobs[Delivery]):
    """The deliveries of webhooks.

    `trusted_urls` come from the settings: unlike addresses from the API, they may be private. `max_parallel` is the
    number of threads, `per_target` the number of deliveries that all engines send to one target at the same time.
    With `links`, `clip.ready` contains links to the clip below `public_url`; without, only if a rule has shared it.
    `on_attempt` is called with "delivered" or "failed" after each attempt.
    """

    activity = "the webhook was sent"

    def __init__(
        self,
        context: JobContext,
        sender: Sender,
        *,
        trusted_urls: Collection[str] = (),
        max_parallel: int = PARALLEL,
        per_target: int = 1,
        public_url: str = "",
        links: bool = False,
        random: Callable[[], float] = randomness.random,
        on_attempt: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        super().__init__(context)
        self._sender = sender
        self._trusted_urls = frozenset(trusted_urls)
        self._max_parallel = max_parallel
        self._per_target = per_target
        self._public_url = public_url
        self._links = links
        self._random = random
        self._on_attempt = on_attempt
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()  # deliveries that are being sent, by target
        self._failing: set[str] = set()  # targets whose last attempt failed

    def claim(self) -> Delivery | None:
        claimed = self._ledger.deliveries.claim_due(
            exclude=self._excluded_targets(), limit=1, owner=self._owner, per_target=self._per_target
        )
        if not claimed:
            return None
        with self._lock:
            self._busy[claimed[0].target] += 1
        return claimed[0]

    def _excluded_targets(self) -> set[str]:
        """Return the targets that get no delivery now."""
        with self._lock:
            failing = sum(number for target, number in self._busy.items() if target in self._failing)
            full = {target for target, number in self._busy.items() if number >= self._per_target}
            # A target that fails gets one delivery at a time: its timeouts must not fill the threads.
            full |= self._busy.keys() & self._failing
            return full | self._failing if failing >= max(1, self._max_parallel // 2) else full

    def is_due(self) -> bool:
        due = self._ledger.deliveries.next_due(exclude=self._excluded_targets())
        return due is not None and due <= now_ms()

    def ids(self, item: Delivery) -> list[str]:
        return [item.delivery_id]

    def label(self, item: Delivery) -> str:
        return f"delivery {item.delivery_id}"

    @contextmanager
    def context(self, item: Delivery) -> Iterator[None]:
        try:
            with delivery_job(item, engine=self._owner):
                yield
        finally:
            with self._lock:
                self._busy -= Counter([item.target])  # keeps positive counts only

    def run(self, item: Delivery) -> None:
        """Send the delivery once and record the outcome."""
        try:
            outcome = self._send(item)
        except SenderClosed:
            raise Stopping from None
        retry_until_written(lambda: self._record(item, outcome, self._delay_ms(item, outcome)), self.stopping)

    def retry(self, item: Delivery, error: ClipEngineError) -> Retry | None:
        delay_ms = self._delay_ms(item, _failure(error))
        return None if delay_ms is None else Retry(delay_ms)

    def later(self, item: Delivery, error: ClipEngineError, retry: Retry) -> bool:
        return self._record(item, _failure(error), retry.delay_ms)

    def fail(self, item: Delivery, error: ClipEngineError) -> bool:
        return self._record(item, _failure(error), None)

    def interrupt(self) -> None:
        """Cancel the running attempts. They do not count as failures, and are repeated after the next start."""
        self._sender.close()

    def _send(self, delivery: Delivery) -> Outcome:
        body = self._body(delivery)
        headers = sign(body, event_id=delivery.event_id, secrets=delivery.secrets, timestamp=now_ms() // 1000)
        if (traceparent := tracing.current(otherwise=delivery.traceparent)) is not None:
            headers["traceparent"] = traceparent
        trusted = delivery.endpoint_id is not None and delivery.url in self._trusted_urls
        outcome = self._sender.send(delivery.url, body, headers, trusted=trusted)
        if outcome.error is not None:
            tracing.set_error(outcome.error.partition(":")[0])
        self._on_attempt("delivered" if outcome.ok else "failed")
        with self._lock:
            if outcome.ok:
                self._failing.discard(delivery.target)
            elif len(self._failing) < _MAX_FAILING:
                self._failing.add(delivery.target)
        return outcome

    def _body(self, delivery: Delivery) -> bytes:
        """Return the request body: the event in the format of the endpoint, with the links of its share."""
        body = delivery.body
        if self._public_url and delivery.event_type == "clip.ready" and delivery.clip_id is not None:
            shares = self._ledger.shares
            token = shares.token_of_rule(delivery.clip_id)
            if token is None and self._links:
                token = shares.token_of_event(delivery.event_id)
            if token is not None or self._links:
                page = None if token is None else f"{self._public_url}/s/{token}"
                body = with_links(body, page, page and f"{page}/download")
        return rendered(body, delivery.format)

    def _delay_ms(self, delivery: Delivery, outcome: Outcome) -> int | None:
        """Return the delay before the next attempt, or None if there is none."""
        if outcome.ok or outcome.gone:
            return None
        delay = next_delay_seconds(delivery.attempt, retry_after=outcome.retry_after_seconds, random=self._random)
        return None if delay is None else round(1000 * delay)

    def _record(self, delivery: Delivery, outcome: Outcome, delay_ms: int | None) -> bool:
        outcome_name: Literal["delivered", "retry", "failed"] = "delivered" if outcome.ok else "failed"
        held = self._ledger.deliveries.record(
            delivery,
            outcome=outcome_name if delay_ms is None else "retry",
            status_code=outcome.status_code,
            error=outcome.error,
            duration_ms=outcome.duration_ms,
            next_at=None if delay_ms is None else now_ms() + delay_ms,
        )
        logger.info(
            "delivery %s of %s to %s, attempt %d: %s in %d ms%s",
            delivery.delivery_id,
            delivery.event_id,
            delivery.endpoint_id or "the address of the clip",
            delivery.attempt,
            outcome.error or "accepted",
            outcome.duration_ms,
            "" if delay_ms is None else f", next in {delay_ms / 1000:.0f} s",
        )
        return held


def _failure(error: ClipEngineError) -> Outcome:
    """Return the outcome of an attempt that a defect of this program has ended."""
    return Outcome(False, None, f"internal: {error.message}", None, False, 0)
