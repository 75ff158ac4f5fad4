"""`?wait=`: an answer that comes when what is asked about has ended, or after so many seconds.

No thread is held meanwhile: the row is read when a commit has changed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from starlette.responses import Response

from clipengine.api.http.operation import Call, json_response
from clipengine.api.http.requests import NoBody, WaitQuery

# What changes often is read at most this often by each of those who wait for it.
_READ_SECONDS = 0.1


class _Ending(Protocol):
    @property
    def ended(self) -> bool: ...
    def to_object(self) -> dict[str, Any]: ...


def answer_when_ended(
    call: Call[WaitQuery, NoBody], ident: str, read: Callable[[], _Ending]
) -> Response | Awaitable[Response]:
    """The object as `read` finds it, inside a session, once it has ended, `wait` is over or the server stops."""
    found = read()
    if found.ended or not call.query.wait:
        return json_response(found.to_object())
    return _wait(call, ident, read)


async def _wait(call: Call[WaitQuery, NoBody], ident: str, read: Callable[[], _Ending]) -> Response:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + call.query.wait
    with call.changes.woken_by(ident) as woken:
        while True:
            woken.clear()
            read_at = loop.time()
            found = await call.in_session(read)
            if found.ended or loop.time() >= deadline or call.changes.closed:
                return json_response(found.to_object())
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await woken.wait()
                    await asyncio.sleep(read_at + _READ_SECONDS - loop.time())
