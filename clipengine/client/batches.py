"""Batches of requests, which make or delete many clips in the background."""

from __future__ import annotations

from collections.abc import Callable

from clipengine.client.exchange import Api, Steps, route
from clipengine.client.long_poll import wait_until_ended
from clipengine.client.methods import AsyncResource, Resource, aiterating, awaiting, blocking, iterating
from clipengine.client.models import Batch, Page
from clipengine.client.transport import AsyncTransport, Transport


class BatchCalls:
    """The calls about batches of requests. Batches of rules are listed by `rules.batches`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Steps[Page[Batch]]:
        """Return a page of batches, newest first, without their items."""
        answer = yield from self._api.get("/v1/batches", {"limit": limit, "cursor": cursor})
        return Page.of(answer, Batch.from_object)

    def get(self, batch_id: str, *, items: str | None = None, after: int | None = None) -> Steps[Batch]:
        """Return a batch with up to 100 of its items: those with the state `items`, and a number above `after`."""
        answer = yield from self._api.get(route("batches", batch_id), {"items": items, "after": after})
        return Batch.from_object(answer)

    def wait(
        self, batch_id: str, *, timeout: float | None = None, on_progress: Callable[[Batch], None] | None = None
    ) -> Steps[Batch]:
        """Wait until all clips are queued or deleted. Raises WaitTimeout after `timeout` seconds.

        `on_progress` is called with the batch twice a second.
        """
        path = route("batches", batch_id)
        return wait_until_ended(self._api, path, Batch.from_object, timeout=timeout, on_progress=on_progress)

    def cancel(self, batch_id: str) -> Steps[Batch]:
        """Cancel what the batch has not done yet."""
        return Batch.from_object((yield from self._api.send("POST", route("batches", batch_id, "cancel"))))


class Batches(Resource[BatchCalls]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, BatchCalls(api))

    list = blocking(BatchCalls.list)
    each = iterating(BatchCalls.list)
    get = blocking(BatchCalls.get)
    wait = blocking(BatchCalls.wait)
    cancel = blocking(BatchCalls.cancel)


class AsyncBatches(AsyncResource[BatchCalls]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, BatchCalls(api))

    list = awaiting(BatchCalls.list)
    each = aiterating(BatchCalls.list)
    get = awaiting(BatchCalls.get)
    wait = awaiting(BatchCalls.wait)
    cancel = awaiting(BatchCalls.cancel)
