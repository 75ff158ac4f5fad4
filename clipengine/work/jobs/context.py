"""Context of a job, bound where the job begins: the fields of its log lines, and its span in the clip's trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from clipengine.basis import tracing
from clipengine.clips.clip import Clip
from clipengine.ledger.webhooks.deliveries import Delivery

Name = Literal["clip.cut", "clip.upload"]


@contextmanager
def clip_job(name: Name, clip: Clip, *, engine: str) -> Iterator[None]:
    """Bind the context in which the engine cuts or uploads the clip. A cut ends the wait in the queue."""
    ids = {"clip_id": clip.clip_id, "recording_id": clip.recording_id, "request_id": clip.request_id}
    with tracing.bind(**ids, attempt=clip.attempt, engine=engine):
        if name == "clip.cut":
            tracing.record_wait("clip.queue", clip.traceparent, tracing.bound(), since_ms=clip.queued_at)
        with tracing.span(name, clip.traceparent, "consumer", tracing.bound()):
            yield


@contextmanager
def delivery_job(delivery: Delivery, *, engine: str) -> Iterator[None]:
    """Bind the context of one attempt to deliver a webhook."""
    ids = {"delivery_id": delivery.delivery_id, "clip_id": delivery.clip_id, "recording_id": delivery.recording_id}
    with (
        tracing.bind(**ids, attempt=delivery.attempt, engine=engine, request_id=delivery.request_id),
        tracing.span("webhook.deliver", delivery.traceparent, "client", tracing.bound()),
    ):
        yield
