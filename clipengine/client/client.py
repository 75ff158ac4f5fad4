"""`Client` and `AsyncClient`: the resources of the API as attributes that share a connection pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakSet

import httpx

from clipengine.client.batches import AsyncBatches, Batches
from clipengine.client.clips import AsyncClip, AsyncClips, Clip, Clips
from clipengine.client.events import Event, EventStream, afollow, follow
from clipengine.client.exchange import Api, Request
from clipengine.client.files import Progress, save
from clipengine.client.installation import AsyncInstallation, Installation
from clipengine.client.models import Object
from clipengine.client.profiles import AsyncProfiles, Profiles
from clipengine.client.recordings import AsyncRecording, AsyncRecordings, Recording, Recordings
from clipengine.client.rules import AsyncRules, Rules
from clipengine.client.transcripts import AsyncTranscripts, Transcripts
from clipengine.client.transport import AsyncTransport, Transport
from clipengine.client.users import AsyncUsers, Users
from clipengine.client.webhooks import AsyncWebhooks, Webhooks

DEFAULT_URL = "http://127.0.0.1:8377"


class Client:
    """Client for one engine. Thread-safe. Use it as a context manager, or call `close`.

    `timeout` is in seconds and limits each step of a request (connect, send, receive). Requests that are safe to repeat
    are retried up to `retries` times.
    """

    def __init__(self, url: str = DEFAULT_URL, api_key: str = "", *, timeout: float = 30, retries: int = 2) -> None:
        self._transport = Transport(url, api_key, timeout=timeout)
        self._api = Api(retries=retries)
        # Python 3.13 can crash at its end if a stream is still open.
        self._followed: WeakSet[Any] = WeakSet()
        self.recordings = Recordings(self._transport, self._api)
        self.clips = Clips(self._transport, self._api)
        self.transcripts = Transcripts(self._transport, self._api)
        self.profiles = Profiles(self._transport, self._api)
        self.webhooks = Webhooks(self._transport, self._api)
        self.rules = Rules(self._transport, self._api)
        self.batches = Batches(self._transport, self._api)
        self.installation = Installation(self._transport, self._api)
        self.users = Users(self._transport, self._api)

    def events(
        self,
        *,
        clip_id: str | None = None,
        recording_id: str | None = None,
        last_event_id: str | None = None,
        patience: float | None = 300,
    ) -> Iterator[Event[Clip, Recording]]:
        """Yield new events: of all objects, of a clip, or of a recording and its clips.

        With `last_event_id`, begin with the events after it. A broken connection is opened again and resumes after the
        last event. Raises ServerUnreachable or ApiError after `patience` seconds without a connection (None: never),
        and at once if the request is invalid. `close` of the client ends it.
        """
        stream = EventStream(
            lambda obj: Clip.from_object(obj, _clips=self.clips),
            lambda obj: Recording.from_object(obj, _recordings=self.recordings),
            clip_id=clip_id,
            recording_id=recording_id,
            last_event_id=last_event_id,
            patience=patience,
        )
        events = follow(self._transport, stream)
        self._followed.add(events)
        return events

    def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: object = None
    ) -> Object:
        """Call a route that has no method here and return its JSON object. Only GET requests are retried.

        `params` are added to the query of `path`, and replace its parameters of the same name.
        """
        request = Request(method, path, params=params or {}, json=json, idempotent=method == "GET")
        return self._transport.run(self._api.call(request))

    def save(
        self,
        path: str,
        target: str | Path,
        *,
        params: Mapping[str, Any] | None = None,
        on_progress: Progress | None = None,
    ) -> int:
        """Write the response of a GET request atomically to the file `target` and return its size."""
        return self._transport.run(save(path, target, on_progress, params))

    def close(self) -> None:
        for events in list(self._followed):
            with suppress(ValueError):  # another thread reads it; its connection is closed below
                events.close()
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """Asynchronous client for one event loop. Use it as an async context manager, or call `close`.

    `transport` replaces the connections, for example with `httpx.ASGITransport`.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        api_key: str = "",
        *,
        timeout: float = 30,
        retries: int = 2,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._transport = AsyncTransport(url, api_key, timeout=timeout, transport=transport)
        self._api = Api(retries=retries)
        self.recordings = AsyncRecordings(self._transport, self._api)
        self.clips = AsyncClips(self._transport, self._api)
        self.transcripts = AsyncTranscripts(self._transport, self._api)
        self.profiles = AsyncProfiles(self._transport, self._api)
        self.webhooks = AsyncWebhooks(self._transport, self._api)
        self.rules = AsyncRules(self._transport, self._api)
        self.batches = AsyncBatches(self._transport, self._api)
        self.installation = AsyncInstallation(self._transport, self._api)
        self.users = AsyncUsers(self._transport, self._api)

    def events(
        self,
        *,
        clip_id: str | None = None,
        recording_id: str | None = None,
        last_event_id: str | None = None,
        patience: float | None = 300,
    ) -> AsyncIterator[Event[AsyncClip, AsyncRecording]]:
        """Yield new events: of all objects, of a clip, or of a recording and its clips.

        With `last_event_id`, begin with the events after it. A broken connection is opened again and resumes after the
        last event. Raises ServerUnreachable or ApiError after `patience` seconds without a connection (None: never),
        and at once if the request is invalid.
        """
        stream = EventStream(
            lambda obj: AsyncClip.from_object(obj, _clips=self.clips),
            lambda obj: AsyncRecording.from_object(obj, _recordings=self.recordings),
            clip_id=clip_id,
            recording_id=recording_id,
            last_event_id=last_event_id,
            patience=patience,
        )
        return afollow(self._transport, stream)

    async def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: object = None
    ) -> Object:
        """Call a route that has no method here and return its JSON object. Only GET requests are retried.

        `params` are added to the query of `path`, and replace its parameters of the same name.
        """
        request = Request(method, path, params=params or {}, json=json, idempotent=method == "GET")
        return await self._transport.run(self._api.call(request))

    async def save(
        self,
        path: str,
        target: str | Path,
        *,
        params: Mapping[str, Any] | None = None,
        on_progress: Progress | None = None,
    ) -> int:
        """Write the response of a GET request atomically to the file `target` and return its size."""
        return await self._transport.run(save(path, target, on_progress, params))

    async def close(self) -> None:
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
