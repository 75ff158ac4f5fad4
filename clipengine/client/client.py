"""`Client` and `AsyncClient`: the resources of the API as attributes, over one connection pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from clipengine.client.clips import AsyncClip, AsyncClips, Clip, Clips
from clipengine.client.events import Event, Feed, afollow, follow
from clipengine.client.exchange import Api, Request
from clipengine.client.files import Progress, save
from clipengine.client.models import Object
from clipengine.client.profiles import AsyncProfiles, Profiles
from clipengine.client.recordings import AsyncRecording, AsyncRecordings, Recording, Recordings
from clipengine.client.transport import AsyncTransport, Transport
from clipengine.client.webhooks import AsyncWebhooks, Webhooks

DEFAULT_URL = "http://127.0.0.1:8377"


class Client:
    """Speaks to one engine. Use it as a context manager or `close` it; it may be shared by threads.

    `timeout` is in seconds and holds for each step of a request (connect, send, receive). What may be sent again is
    sent again up to `retries` times.
    """

    def __init__(self, url: str = DEFAULT_URL, api_key: str = "", *, timeout: float = 30, retries: int = 2) -> None:
        self._transport = Transport(url, api_key, timeout=timeout)
        self._api = Api(retries=retries)
        self.recordings = Recordings(self._transport, self._api)
        self.clips = Clips(self._transport, self._api)
        self.profiles = Profiles(self._transport, self._api)
        self.webhooks = Webhooks(self._transport, self._api)

    def events(
        self,
        *,
        clip_id: str | None = None,
        recording_id: str | None = None,
        last_event_id: str | None = None,
        patience: float | None = 300,
    ) -> Iterator[Event[Clip, Recording]]:
        """What happens from now on, or after `last_event_id`: to all, to one clip, or to one recording and its clips.

        A connection that breaks is made again, and goes on after the last event; ServerUnreachable or ApiError is
        raised once there has been none for `patience` seconds (None: never), or where the request itself is wrong.
        """
        feed = Feed(
            lambda obj: Clip.from_object(obj, _clips=self.clips),
            lambda obj: Recording.from_object(obj, _recordings=self.recordings),
            clip_id=clip_id,
            recording_id=recording_id,
            last_event_id=last_event_id,
            patience=patience,
        )
        return follow(self._transport, feed)

    def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: object = None
    ) -> Object:
        """Any route of the API that has no method here: the object that it answers. Sent again only where it is GET."""
        request = Request(method, path, params=params or {}, json=json, again=method == "GET")
        return self._transport.run(self._api.call(request))

    def save(
        self,
        path: str,
        target: str | Path,
        *,
        params: Mapping[str, Any] | None = None,
        on_progress: Progress | None = None,
    ) -> int:
        """The bytes of any route, written to `target`, whole or not at all; how many those are."""
        return self._transport.run(save(path, target, on_progress, params))

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """The same, awaited. Use it as an async context manager or `close` it; it belongs to one event loop."""

    def __init__(self, url: str = DEFAULT_URL, api_key: str = "", *, timeout: float = 30, retries: int = 2) -> None:
        self._transport = AsyncTransport(url, api_key, timeout=timeout)
        self._api = Api(retries=retries)
        self.recordings = AsyncRecordings(self._transport, self._api)
        self.clips = AsyncClips(self._transport, self._api)
        self.profiles = AsyncProfiles(self._transport, self._api)
        self.webhooks = AsyncWebhooks(self._transport, self._api)

    def events(
        self,
        *,
        clip_id: str | None = None,
        recording_id: str | None = None,
        last_event_id: str | None = None,
        patience: float | None = 300,
    ) -> AsyncIterator[Event[AsyncClip, AsyncRecording]]:
        """What happens from now on, or after `last_event_id`: to all, to one clip, or to one recording and its clips.

        A connection that breaks is made again, and goes on after the last event; ServerUnreachable or ApiError is
        raised once there has been none for `patience` seconds (None: never), or where the request itself is wrong.
        """
        feed = Feed(
            lambda obj: AsyncClip.from_object(obj, _clips=self.clips),
            lambda obj: AsyncRecording.from_object(obj, _recordings=self.recordings),
            clip_id=clip_id,
            recording_id=recording_id,
            last_event_id=last_event_id,
            patience=patience,
        )
        return afollow(self._transport, feed)

    async def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: object = None
    ) -> Object:
        """Any route of the API that has no method here: the object that it answers. Sent again only where it is GET."""
        request = Request(method, path, params=params or {}, json=json, again=method == "GET")
        return await self._transport.run(self._api.call(request))

    async def save(
        self,
        path: str,
        target: str | Path,
        *,
        params: Mapping[str, Any] | None = None,
        on_progress: Progress | None = None,
    ) -> int:
        """The bytes of any route, written to `target`, whole or not at all; how many those are."""
        return await self._transport.run(save(path, target, on_progress, params))

    async def close(self) -> None:
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
