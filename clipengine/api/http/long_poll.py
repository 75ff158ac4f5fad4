"""Long polling (`?wait=`): respond when the object has reached a terminal state, or after the given seconds.

A waiting request holds no thread; the row is read again after each commit that changed it. The request is refused
within five seconds after the rights of its caller have ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.responses import Response

from clipengine.api.http.open_streams import open_stream
from clipengine.api.http.operation import Call, json_response
from clipengine.api.http.requests.fields import NoBody, WaitQuery
from clipengine.api.http.rights import RIGHTS_SECONDS
from clipengine.objects.base import JobObject

W = TypeVar("W", bound=WaitQuery)
# Minimum interval between two reads by one waiting request.
_READ_SECONDS = 0.1


def answer_when_ended(
    call: Call[W, NoBody], ident: str, read: Callable[[], JobObject]
) -> Response | Awaitable[Response]:
    """Respond with the object when it has ended, when `wait` is over, or when the server stops.

    Raises RateLimited if too many requests of the key wait. `read` is called inside a session of the ledger.
    """
    found = read()
    if found.ended or not call.query.wait:
        return json_response(found.to_object())
    return _wait(call, ident, read)


async def _wait(call: Call[W, NoBody], ident: str, read: Callable[[], JobObject]) -> Response:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + call.query.wait
    with open_stream(call.request.scope, "waiting requests"), call.changes.woken_by(ident) as woken:
        while True:
            woken.clear()
            read_at = loop.time()
            found = await call.in_session(read)
            if found.ended or loop.time() >= deadline or call.changes.closed:
                return json_response(found.to_object())
            while not woken.is_set() and loop.time() < deadline:
                try:
                    async with asyncio.timeout_at(min(deadline, loop.time() + RIGHTS_SECONDS)):
                        await woken.wait()
                except TimeoutError:
                    await call.check_rights()
            if loop.time() < deadline:
                await asyncio.sleep(min(read_at + _READ_SECONDS, deadline) - loop.time())
