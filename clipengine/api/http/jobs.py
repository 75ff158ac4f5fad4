"""Jobs of children that requests wait for. No thread is blocked meanwhile."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from clipengine.api.http.operation import Call
from clipengine.basis.documents import Document
from clipengine.errors import Busy
from clipengine.work.documents import unpacked

T = TypeVar("T")


async def finished(call: Call[Any, Any], requested: AbstractContextManager[Future[bytes]]) -> bytes:
    """Return the result of a job, which ends if the client disconnects or the server stops."""
    stopping = asyncio.Event()
    with call.changes.closing(stopping.set), requested as shared:
        making = asyncio.wrap_future(shared)
        stopped = asyncio.create_task(stopping.wait())
        gone = asyncio.create_task(_disconnected(call.request))
        try:
            await asyncio.wait((making, stopped, gone), return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                return making.result()
            if gone.done():
                raise ClientDisconnect("the client disconnected before the job was done")
            raise Busy("The server is stopping", retry_after=5)
        finally:
            for waiting in (making, stopped, gone):
                waiting.cancel()


async def read_document(call: Call[Any, Any], document: Document[T], data: bytes, **values: Any) -> T:
    """Return what a document of a request says. Raises the errors of `Document.parse`, DecoderCrashed and Busy."""
    if len(data) <= document.small_bytes:
        return await run_in_threadpool(document.parse, data, **values)
    packed = await finished(call, call.engine.documents.requested(document, data, values, owner=call.caller.id))
    return await run_in_threadpool(unpacked, document, packed, values)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
