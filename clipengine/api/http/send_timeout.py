"""Send timeout: abort the connection of a client that does not read its response.

Closing the connection is not enough: the kernel would keep the unsent bytes, and the socket, until the client reads.
"""

from __future__ import annotations

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope, Send

CUT_OFF = "clipengine.cut_off"  # ASGI extension; `call` aborts the connection and drops unsent bytes


def with_send_timeout(scope: Scope, send: Send, seconds: float) -> Send:
    """Return a `send` that raises ClientDisconnect if the client does not accept a message within `seconds`."""

    async def send_in_time(message: Message) -> None:
        with anyio.move_on_after(seconds) as waiting:
            await send(message)
        if waiting.cancelled_caught:
            if cut_off := scope.get("extensions", {}).get(CUT_OFF):
                cut_off["call"]()
            raise ClientDisconnect(f"the client read nothing for {seconds:g} s; connection aborted")

    return send_in_time
