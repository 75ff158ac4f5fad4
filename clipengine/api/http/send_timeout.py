"""How long an answer may wait for its client: one that takes nothing is cut off, and its connection with it.

To close a connection is not enough: what the client has not taken is kept for it, and the socket with it, for ever.
"""

from __future__ import annotations

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import Message, Scope, Send

CUT_OFF = "clipengine.cut_off"  # the ASGI extension whose `call` ends the connection at once, unsent bytes and all


def in_time(scope: Scope, send: Send, seconds: float) -> Send:
    """`send`, each of whose messages the client must take within so many seconds. Raises ClientDisconnect else."""

    async def send_in_time(message: Message) -> None:
        with anyio.move_on_after(seconds) as waiting:
            await send(message)
        if waiting.cancelled_caught:
            if cut_off := scope.get("extensions", {}).get(CUT_OFF):
                cut_off["call"]()
            raise ClientDisconnect(f"the client took nothing for {seconds:g} s and was cut off")

    return send_in_time
