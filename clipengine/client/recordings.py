"""Recordings: what clips are cut from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from clipengine.client.errors import ClientError
from clipengine.client.exchange import Api, Steps, at, given
from clipengine.client.files import Progress, pieces, save
from clipengine.client.methods import AsyncResource, Resource, aiterating, awaiting, blocking, iterating
from clipengine.client.models import Frames, Object, Page, RecordingData, Waveform, moment
from clipengine.client.transport import AsyncTransport, Transport
from clipengine.client.waiting import until_ended

R = TypeVar("R", bound=RecordingData)


class RecordingCalls(Generic[R]):
    """Every call about recordings; `make` is how the client makes its own kind of recording of an object."""

    def __init__(self, api: Api, make: Callable[[Object], R]) -> None:
        self._api = api
        self._make = make

    def add(
        self,
        bucket_path: str,
        *,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[R]:
        """Register an object that is already in the store. The same object, unchanged, is the same recording."""
        body: Object = {"bucket_path": bucket_path}
        if name is not None:
            body["name"] = name
        if metadata:
            body["metadata"] = dict(metadata)
        return self._make((yield from self._api.create("/v1/recordings", body, idempotency_key=idempotency_key)))

    def upload(self, path: str | Path, *, name: str | None = None, on_progress: Progress | None = None) -> Steps[R]:
        """Stream a file into the store and register it. `name` is the file's own unless given."""
        path = Path(path)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        answer = yield from self._api.send(
            "PUT",
            "/v1/recordings/upload",
            params={"name": name or path.name},
            headers=headers,
            content=pieces(path, on_progress),
        )
        return self._make(answer)

    def get(self, recording_id: str) -> Steps[R]:
        return self._make((yield from self._api.get(at("recordings", recording_id))))

    def list(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        created_after: str | datetime | None = None,
        created_before: str | datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Steps[Page[R]]:
        """One page, newest first."""
        params = {
            "status": status,
            "name": name,
            "created_after": moment(created_after),
            "created_before": moment(created_before),
            "limit": limit,
            "cursor": cursor,
        }
        return Page.of((yield from self._api.get("/v1/recordings", params)), self._make)

    def wait(self, recording_id: str, *, timeout: float | None = None) -> Steps[R]:
        """The recording when it is `complete` or `failed`. Raises WaitTimeout after `timeout` seconds."""
        return until_ended(self._api, at("recordings", recording_id), self._make, timeout=timeout, on_progress=None)

    def download(self, recording_id: str, path: str | Path, *, on_progress: Progress | None = None) -> Steps[int]:
        """Write the recording to `path`, whole or not at all; how many bytes it has."""
        return save(at("recordings", recording_id, "download"), path, on_progress)

    def frame(self, recording_id: str, path: str | Path, at_seconds: float, *, width: int | None = None) -> Steps[int]:
        """Write the frame that is on screen at `at_seconds`, a JPEG at most `width` pixels wide, to `path`."""
        return save(at("recordings", recording_id, "frame"), path, None, given({"at": at_seconds, "width": width}))

    def frames(self, recording_id: str, *, start: float | None = None, end: float | None = None) -> Steps[Frames]:
        """When the frames of a part begin, at most ten minutes of them: times that a clip can begin at."""
        params = {"start": start, "end": end}
        return Frames.from_object((yield from self._api.get(at("recordings", recording_id, "frames"), params)))

    def filmstrip(
        self,
        recording_id: str,
        path: str | Path,
        *,
        count: int | None = None,
        width: int | None = None,
        start: float | None = None,
        end: float | None = None,
    ) -> Steps[int]:
        """Write `count` small frames side by side, one JPEG, to `path`: of all of the recording, or of one part."""
        params = given({"count": count, "width": width, "start": start, "end": end})
        return save(at("recordings", recording_id, "filmstrip"), path, None, params)

    def waveform(
        self, recording_id: str, *, points: int | None = None, start: float | None = None, end: float | None = None
    ) -> Steps[Waveform]:
        """How loud it is, part by part: all of the recording, or one part of it."""
        params = {"points": points, "start": start, "end": end}
        return Waveform.from_object((yield from self._api.get(at("recordings", recording_id, "waveform"), params)))

    def delete(self, recording_id: str, *, object: bool = False) -> Steps[None]:
        """Forget the recording; with `object`, delete its object from the store too."""
        params = {"object": "true"} if object else {}
        yield from self._api.send("DELETE", at("recordings", recording_id), params=params)


@dataclass(frozen=True)
class Recording(RecordingData):
    """A recording of a Client: it can be waited for."""

    _recordings: Recordings | None = field(default=None, repr=False, compare=False)

    def wait(self, *, timeout: float | None = None) -> Recording:
        """This recording when it is `complete` or `failed`; `raise_for_error` tells them apart."""
        if self._recordings is None:
            raise ClientError("this recording did not come from a Client: fetch it with recordings.get")
        return self._recordings.wait(self.recording_id, timeout=timeout)


class Recordings(Resource[RecordingCalls[Recording]]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, RecordingCalls(api, lambda obj: Recording.from_object(obj, _recordings=self)))

    add = blocking(RecordingCalls[Recording].add)
    upload = blocking(RecordingCalls[Recording].upload)
    get = blocking(RecordingCalls[Recording].get)
    list = blocking(RecordingCalls[Recording].list)
    each = iterating(RecordingCalls[Recording].list)
    wait = blocking(RecordingCalls[Recording].wait)
    download = blocking(RecordingCalls[Recording].download)
    frame = blocking(RecordingCalls[Recording].frame)
    frames = blocking(RecordingCalls[Recording].frames)
    filmstrip = blocking(RecordingCalls[Recording].filmstrip)
    waveform = blocking(RecordingCalls[Recording].waveform)
    delete = blocking(RecordingCalls[Recording].delete)


@dataclass(frozen=True)
class AsyncRecording(RecordingData):
    """A recording of an AsyncClient."""

    _recordings: AsyncRecordings | None = field(default=None, repr=False, compare=False)

    async def wait(self, *, timeout: float | None = None) -> AsyncRecording:
        """This recording when it is `complete` or `failed`; `raise_for_error` tells them apart."""
        if self._recordings is None:
            raise ClientError("this recording did not come from an AsyncClient: fetch it with recordings.get")
        return await self._recordings.wait(self.recording_id, timeout=timeout)


class AsyncRecordings(AsyncResource[RecordingCalls[AsyncRecording]]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, RecordingCalls(api, lambda obj: AsyncRecording.from_object(obj, _recordings=self)))

    add = awaiting(RecordingCalls[AsyncRecording].add)
    upload = awaiting(RecordingCalls[AsyncRecording].upload)
    get = awaiting(RecordingCalls[AsyncRecording].get)
    list = awaiting(RecordingCalls[AsyncRecording].list)
    each = aiterating(RecordingCalls[AsyncRecording].list)
    wait = awaiting(RecordingCalls[AsyncRecording].wait)
    download = awaiting(RecordingCalls[AsyncRecording].download)
    frame = awaiting(RecordingCalls[AsyncRecording].frame)
    frames = awaiting(RecordingCalls[AsyncRecording].frames)
    filmstrip = awaiting(RecordingCalls[AsyncRecording].filmstrip)
    waveform = awaiting(RecordingCalls[AsyncRecording].waveform)
    delete = awaiting(RecordingCalls[AsyncRecording].delete)
