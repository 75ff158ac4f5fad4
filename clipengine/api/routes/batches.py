"""Batches of requests: read, wait, list, cancel."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from starlette.responses import Response

from clipengine.api.http.long_poll import answer_when_ended
from clipengine.api.http.operation import Answer, Call, Operation, once, page_response
from clipengine.api.http.requests.fields import NoBody, NoQuery, PageQuery
from clipengine.api.http.requests.selections import GetBatch
from clipengine.errors import BatchEnded, BatchNotFound
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.objects.batch import BatchObject

_ITEMS = 100


def get_batch(call: Call[GetBatch, NoBody]) -> Response | Awaitable[Response]:
    batch_id = call.path("batch_id")
    return answer_when_ended(call, batch_id, lambda: _read(call, batch_id))


def _read(call: Call[GetBatch, NoBody], batch_id: str) -> BatchObject:
    batches, query = call.ledger.requested_batches, call.query
    batch = batches.get(batch_id)
    return BatchObject.of(batch, batches.items(batch_id, state=query.items, after=query.after, limit=_ITEMS))


def list_batches(call: Call[PageQuery, NoBody]) -> Response:
    page = call.ledger.requested_batches.list(limit=call.query.limit, cursor=call.query.cursor)
    return page_response(call, [BatchObject.of(each) for each in page.data], page.next_cursor)


def cancel_batch(call: Call[NoQuery, NoBody]) -> Response:
    def work() -> StoredAnswer:
        batch = call.ledger.requested_batches.cancel(call.path("batch_id"), permit=call.permit("batches"))
        return StoredAnswer(200, BatchObject.of(batch).to_object(), {})

    return once(call, work)


_ONE = "/v1/batches/{batch_id}"
_BATCH = Answer(200, "The batch.", BatchObject)
_MISSING: Any = (BatchNotFound,)

OPERATIONS = [
    Operation(
        "GET",
        "/v1/batches",
        "read",
        list_batches,
        "List the batches of requests for many clips",
        [Answer(200, "One page of batches, newest first, without their items.", BatchObject, page=True)],
        query=PageQuery,
    ),
    Operation("GET", _ONE, "read", get_batch, "Get a batch", [_BATCH], _MISSING, query=GetBatch),
    Operation(
        "POST",
        f"{_ONE}/cancel",
        "delete",
        cancel_batch,
        "Cancel what a batch has not done yet",
        [_BATCH],
        (*_MISSING, BatchEnded),
        creates=True,
        own=True,
        audit="batch.cancel",
    ),
]
