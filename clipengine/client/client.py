"""`Client`: the resources of the API as attributes, over one connection pool."""

from __future__ import annotations

from types import TracebackType

from clipengine.client.clips import Clips
from clipengine.client.recordings import Recordings
from clipengine.client.transport import Transport
from clipengine.client.webhooks import Webhooks

DEFAULT_URL = "http://127.0.0.1:8377"


class Client:
    """Speaks to one engine. Use it as a context manager or `close` it; it may be shared by threads.

    `timeout` is in seconds and holds for each step of a request (connect, send, receive).
    """

    def __init__(self, url: str = DEFAULT_URL, api_key: str = "", *, timeout: float = 30) -> None:
        self._transport = Transport(url, api_key, timeout=timeout)
        self.recordings = Recordings(self._transport)
        self.clips = Clips(self._transport)
        self.webhooks = Webhooks(self._transport)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
