"""Recordings: register, upload, wait for and inspect them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypedDict, TypeVar, Unpack

from clipengine.client.errors import ApiError, ClientError
from clipengine.client.exchange import Api, Steps, filters, given_fields, route, without_none
from clipengine.client.files import Progress, chunks_of, name_of, opened, read_chunks, save
from clipengine.client.long_poll import wait_until_ended
from clipengine.client.methods import AsyncResource, Resource, aiterating, awaiting, blocking, iterating
from clipengine.client.models import (
    Captions,
    Frames,
    Framing,
    ListedPieces,
    NextMoment,
    Object,
    Page,
    Proxy,
    Ranges,
    RecordingData,
    Segments,
    Suggestions,
    Waveform,
    format_time,
)
from clipengine.client.transport import AsyncTransport, Transport
from clipengine.client.uploads import PATIENCE_SECONDS, SourceFile, Upload

_WAVEFORM_SECONDS, _MOMENT_SECONDS = 900, 300  # the server's own deadline for one
_MODEL_SECONDS = 600  # the longest one that its settings allow

R = TypeVar("R", bound=RecordingData)


class RecordingFields(TypedDict, total=False):
    """Fields of a new recording besides its place. The API's defaults replace None.

    A test compares them with the body of the API.
    """

    name: str | None
    metadata: Mapping[str, str] | None
    tags: Sequence[str] | None
    started_at: str | datetime | None
    series: str | None


class RecordingCalls(Generic[R]):
    """The calls about recordings. `make` creates the client's recording class from a JSON object."""

    def __init__(self, api: Api, make: Callable[[Object], R]) -> None:
        self._api = api
        self._make = make

    def add(
        self,
        bucket_path: str,
        *,
        variant: Mapping[str, Any] | None = None,
        live: bool | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[RecordingFields],
    ) -> Steps[R]:
        """Register an object of the store. Registering an unchanged object again returns the same recording.

        `variant` chooses one of a master playlist: `{"max_height": 720}` or `{"name": "medium"}`. A playlist, or a
        file, that is `live` may still be written: its recording has the status "recording" until it ends. `started_at`
        is for a file that does not state it; recordings of one camera have the same `series`.
        """
        place = {"bucket_path": bucket_path, "variant": variant and dict(variant), "live": live}
        return self._register(place, fields, idempotency_key)

    def fetch(
        self,
        url: str,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[RecordingFields],
    ) -> Steps[R]:
        """Register a recording that the server fetches from a URL into its store. `wait` waits for that as well."""
        return self._register({"url": url}, fields, idempotency_key)

    def add_folder(
        self,
        folder: str,
        pattern: str,
        *,
        camera: str | None = None,
        day: str | None = None,
        timezone: str | None = None,
        live: bool | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[RecordingFields],
    ) -> Steps[R]:
        """Register the files of a camera below a key, such as the files of a `day`, as one recording.

        `pattern` describes their names, such as `%Y-%m-%d/%H/{camera}/%M.%S.mp4`, with times in the `timezone`. Files
        may be added to a `live` recording: it has the status "recording" until the day is over.
        """
        files = {"folder": folder, "pattern": pattern, "camera": camera, "day": day, "timezone": timezone}
        return self._register({**files, "live": live}, fields, idempotency_key)

    def _register(self, place: Object, fields: RecordingFields, idempotency_key: str | None) -> Steps[R]:
        body = without_none(place) | given_fields(fields, RecordingFields)
        return self._make((yield from self._api.create("/v1/recordings", body, idempotency_key=idempotency_key)))

    def upload(
        self,
        source: str | Path | BinaryIO,
        *,
        on_progress: Progress | None = None,
        idempotency_key: str | None = None,
        patience: float = PATIENCE_SECONDS,
        **fields: Unpack[RecordingFields],
    ) -> Steps[R]:
        """Upload a file, or a file that is open in binary mode, and register it. `name` defaults to the file's name.

        After an interruption the upload continues, until `patience` seconds have passed without a connection or a
        stored byte. With an `idempotency_key`, a later call with the same file, key and fields continues it as well.
        Raises FileChanged if the file changes. A file that cannot seek, such as a pipe, is sent once, from its start.
        """
        with opened(source) as file:
            name = fields.get("name") or name_of(file)
            rest = given_fields({**fields, "name": None}, RecordingFields)
            if not file.seekable():
                return (yield from self._upload_once(file, name, rest, on_progress))
            whole = SourceFile(file)
            if not whole.size:
                raise ClientError(f"{name} is empty")
            key = idempotency_key or str(uuid.uuid4())
            try:
                recording_id = yield from Upload(self._api, whole, name, rest, on_progress, key, patience).send()
            except ApiError as error:
                if error.code != "not_found":
                    raise
                whole.rewind()  # a server of release 0.2 has no uploads that resume
                return (yield from self._upload_once(file, name, rest, on_progress, whole.size))
        return (yield from self.get(recording_id))

    def _upload_once(
        self, file: BinaryIO, name: str, fields: Object, on_progress: Progress | None, size: int | None = None
    ) -> Steps[R]:
        """Send a file in one request that is not repeated."""
        length = {} if size is None else {"Content-Length": str(size)}
        answer = yield from self._api.send(
            "PUT",
            "/v1/recordings/upload",
            params={"name": name},
            headers={"Content-Type": "application/octet-stream", **length},
            content=chunks_of(file, on_progress, size),
        )
        if fields:
            answer = yield from self._api.send("PATCH", route("recordings", answer["recording_id"]), json=fields)
        return self._make(answer)

    def update(
        self,
        recording_id: str,
        *,
        name: str | None = None,
        metadata: Mapping[str, str | None] | None = None,
        tags: Sequence[str] | None = None,
        started_at: str | datetime | None = None,
        series: str | None = None,
        expires_at: str | datetime | None = None,
    ) -> Steps[R]:
        """Change the values that are not None. `metadata` is merged; None removes a key. `tags` replaces all tags."""
        values = {
            "name": name,
            "metadata": metadata,
            "tags": None if tags is None else [*tags],
            "started_at": format_time(started_at),
            "series": series,
            "expires_at": format_time(expires_at),
        }
        body = without_none(values)
        return self._make((yield from self._api.send("PATCH", route("recordings", recording_id), json=body)))

    def end(self, recording_id: str) -> Steps[R]:
        """End a recording that is still written. It is complete a moment later; one that has ended does not change."""
        return self._make((yield from self._api.send("POST", route("recordings", recording_id, "end"))))

    def get(self, recording_id: str) -> Steps[R]:
        return self._make((yield from self._api.get(route("recordings", recording_id))))

    def list(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        recording_ids: Sequence[str] | None = None,
        series: str | None = None,
        created_after: str | datetime | None = None,
        created_before: str | datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        q: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        sort: str | None = None,
        mine: bool = False,
    ) -> Steps[Page[R]]:
        """Return one page of recordings, newest first unless `sort` is given.

        They are among `recording_ids` (at most 40), and have the words of `q`, all `tags` and all pairs of `metadata`.
        `sort` is `created_at`, `name`, `duration` or `size`, after a `-` if descending.
        """
        params = {
            "status": status,
            "name": name,
            "recording_id": recording_ids,
            "series": series,
            "created_after": format_time(created_after),
            "created_before": format_time(created_before),
            "limit": limit,
            "cursor": cursor,
            **filters(q, tags, metadata, sort, mine),
        }
        return Page.of((yield from self._api.get("/v1/recordings", params)), self._make)

    def wait(self, recording_id: str, *, timeout: float | None = None) -> Steps[R]:
        """Wait until the recording is `complete` or `failed` and return it. Raises WaitTimeout."""
        return wait_until_ended(self._api, route("recordings", recording_id), self._make, timeout=timeout)

    def download(self, recording_id: str, path: str | Path, *, on_progress: Progress | None = None) -> Steps[int]:
        """Write the recording atomically to the file `path` and return its size."""
        return save(route("recordings", recording_id, "download"), path, on_progress)

    def frame(self, recording_id: str, path: str | Path, at_seconds: float, *, width: int | None = None) -> Steps[int]:
        """Write the frame on screen at `at_seconds` as a JPEG, at most `width` pixels wide, to the file `path`."""
        params = without_none({"at_seconds": at_seconds, "width": width})
        return save(route("recordings", recording_id, "frame"), path, None, params)

    def frames(self, recording_id: str, *, start: float | None = None, end: float | None = None) -> Steps[Frames]:
        """Return the start times of the frames in a range of at most ten minutes. A clip can begin at each of them."""
        params = {"start_seconds": start, "end_seconds": end}
        return Frames.from_object((yield from self._api.get(route("recordings", recording_id, "frames"), params)))

    def pieces(self, recording_id: str, *, start: float | None = None, limit: int | None = None) -> Steps[ListedPieces]:
        """Return the files of a recording of many files that end after `start`, at most `limit` (default 100)."""
        params = {"start_seconds": start, "limit": limit}
        return ListedPieces.from_object((yield from self._api.get(route("recordings", recording_id, "pieces"), params)))

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
        """Write `count` small frames of the recording or a range, side by side in one JPEG, to the file `path`."""
        params = without_none({"count": count, "width": width, "start_seconds": start, "end_seconds": end})
        return save(route("recordings", recording_id, "filmstrip"), path, None, params)

    def waveform(
        self, recording_id: str, *, points: int | None = None, start: float | None = None, end: float | None = None
    ) -> Steps[Waveform]:
        """Return the peak level of each part of the recording, or of the range. A long one takes minutes."""
        params = {"points": points, "start_seconds": start, "end_seconds": end}
        path = route("recordings", recording_id, "waveform")
        return Waveform.from_object((yield from self._api.get(path, params, extra_time=_WAVEFORM_SECONDS)))

    def ranges(self, recording_id: str, path: str | Path) -> Steps[Ranges]:
        """Return the ranges of a CSV, EDL or OpenTimelineIO file. No clip is made of them."""
        path = Path(path)
        headers = {"Content-Type": "text/plain", "Content-Length": str(path.stat().st_size)}
        target = route("recordings", recording_id, "ranges")
        return Ranges.from_object(
            (yield from self._api.send("POST", target, headers=headers, content=read_chunks(path)))
        )

    def write_ranges(
        self, recording_id: str, ranges: Sequence[Mapping[str, Any]], path: str | Path, *, format: str | None = None
    ) -> Steps[int]:
        """Write ranges with `start_seconds`, `end_seconds` and, if they have one, `label` to a file; return its size.

        `format` is `csv`, `losslesscut`, `edl`, `otio`, `fcpxml` or `xmeml`, by default the file's suffix.
        """
        body = {"format": format or Path(path).suffix[1:].lower(), "ranges": [dict(each) for each in ranges]}
        return save(route("recordings", recording_id, "ranges", "file"), path, None, method="POST", json=body)

    def segments(self, recording_id: str) -> Steps[Segments]:
        """Return the list of segments of the recording, which is empty with the version 0 if none is stored."""
        return Segments.from_object((yield from self._api.get(route("recordings", recording_id, "segments"))))

    def put_segments(
        self,
        recording_id: str,
        segments: Sequence[Mapping[str, Any]],
        *,
        title: str = "",
        look: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> Steps[Segments]:
        """Replace the list of `version`, of segments with `start_seconds`, `end_seconds` and, if given, `label`.

        `look` has the options of clips, such as `output`. Raises ApiError with the code `segments_changed` if the
        stored list has another version. Without a version, any stored list is replaced.
        """
        body = {"title": title, "segments": [dict(each) for each in segments], "look": dict(look or {})}
        headers = {"If-Match": "*" if version is None else f'"{version}"'}
        path = route("recordings", recording_id, "segments")
        return Segments.from_object((yield from self._api.send("PUT", path, headers=headers, json=body)))

    def next_moment(
        self,
        recording_id: str,
        to: str,
        at_seconds: float,
        *,
        direction: str | None = None,
        within_seconds: float | None = None,
    ) -> Steps[NextMoment]:
        """Return the next `keyframe`, `silence` or `scene` after a time, or the `previous` one before it.

        At most `within_seconds` (default 60, at most 300) are searched.
        """
        params = {"to": to, "at_seconds": at_seconds, "direction": direction, "within_seconds": within_seconds}
        path = route("recordings", recording_id, "moments")
        return NextMoment.from_object((yield from self._api.get(path, params, extra_time=_MOMENT_SECONDS)))

    def suggestions(
        self, recording_id: str, *, language: str | None = None, limit: int | None = None, source: str | None = None
    ) -> Steps[Suggestions]:
        """Return suggested moments, ranges that may be worth a clip, the best one first.

        They are found in the transcript in this language, by default in the recording's first one with words. With the
        `source` "url", the language model of the server's settings chooses them, which may take minutes. Raises
        ApiError with the code `transcript_not_found` if the recording has none.
        """
        params = {"kind": "suggestion", "language": language, "limit": limit, "source": source}
        path, extra_time = route("recordings", recording_id, "moments"), _MODEL_SECONDS if source == "url" else 0
        return Suggestions.from_object((yield from self._api.get(path, params, extra_time=extra_time)))

    def framing(self, recording_id: str, output: Mapping[str, Any] | None = None) -> Steps[Framing]:
        """Return the part of the picture that a clip with these options would show, and the size of the clip."""
        body = {"output": dict(output or {})}
        path = route("recordings", recording_id, "framing")
        return Framing.from_object((yield from self._api.send("POST", path, json=body)))

    def captions(
        self,
        recording_id: str,
        language: str,
        start_seconds: float,
        end_seconds: float,
        *,
        style: Mapping[str, Any] | None = None,
        output: Mapping[str, Any] | None = None,
        removed: Sequence[Mapping[str, Any]] = (),
        part: Mapping[str, Any] | None = None,
    ) -> Steps[Captions]:
        """Return pictures of the captions of a range, of at most a minute, as a clip with these options shows them.

        `removed` are ranges that are removed from the clip, as in its plan, and `part` is the range of the clip itself.
        """
        body = {"language": language, "start_seconds": start_seconds, "end_seconds": end_seconds}
        body |= without_none({"style": style and dict(style), "output": output and dict(output)})
        body |= without_none({"part": part and dict(part)})
        body |= {"removed": [dict(each) for each in removed]} if removed else {}
        path = route("recordings", recording_id, "captions")
        return Captions.from_object((yield from self._api.send("POST", path, json=body)))

    def proxy(self, recording_id: str) -> Steps[Proxy]:
        """Return the number of segments of the recording's proxy, which every browser plays. None of them is made."""
        return Proxy.from_object((yield from self._api.get(route("recordings", recording_id, "proxy"))))

    def proxy_segment(self, recording_id: str, path: str | Path, number: int | None = None) -> Steps[int]:
        """Write a segment of the proxy to the file `path`; the initialization segment if `number` is None.

        Segments that are joined behind the initialization segment are an MP4 file.
        """
        name = "init.mp4" if number is None else f"{number}.m4s"
        return save(route("recordings", recording_id, "proxy", name), path, None)

    def delete(self, recording_id: str, *, object: bool = False, pieces: bool = False) -> Steps[None]:
        """Delete the recording from the database and, with `object`, its object from the store.

        With `pieces` as well, the files of a recording of many files are deleted with their playlist.
        """
        params = {name: "true" for name, given in (("object", object), ("pieces", pieces)) if given}
        yield from self._api.send("DELETE", route("recordings", recording_id), params=params)


@dataclass(frozen=True)
class Recording(RecordingData):
    """A recording of a Client."""

    _recordings: Recordings | None = field(default=None, repr=False, compare=False)

    def wait(self, *, timeout: float | None = None) -> Recording:
        """Wait until the recording is `complete` or `failed` and return it. `raise_for_error` raises if it failed."""
        if self._recordings is None:
            raise ClientError("this recording did not come from a Client: fetch it with recordings.get")
        return self._recordings.wait(self.recording_id, timeout=timeout)


class Recordings(Resource[RecordingCalls[Recording]]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, RecordingCalls(api, lambda obj: Recording.from_object(obj, _recordings=self)))

    add = blocking(RecordingCalls[Recording].add)
    fetch = blocking(RecordingCalls[Recording].fetch)
    add_folder = blocking(RecordingCalls[Recording].add_folder)
    upload = blocking(RecordingCalls[Recording].upload)
    end = blocking(RecordingCalls[Recording].end)
    get = blocking(RecordingCalls[Recording].get)
    update = blocking(RecordingCalls[Recording].update)
    list = blocking(RecordingCalls[Recording].list)
    each = iterating(RecordingCalls[Recording].list)
    wait = blocking(RecordingCalls[Recording].wait)
    download = blocking(RecordingCalls[Recording].download)
    frame = blocking(RecordingCalls[Recording].frame)
    frames = blocking(RecordingCalls[Recording].frames)
    pieces = blocking(RecordingCalls[Recording].pieces)
    filmstrip = blocking(RecordingCalls[Recording].filmstrip)
    waveform = blocking(RecordingCalls[Recording].waveform)
    next_moment = blocking(RecordingCalls[Recording].next_moment)
    suggestions = blocking(RecordingCalls[Recording].suggestions)
    framing = blocking(RecordingCalls[Recording].framing)
    captions = blocking(RecordingCalls[Recording].captions)
    ranges = blocking(RecordingCalls[Recording].ranges)
    write_ranges = blocking(RecordingCalls[Recording].write_ranges)
    segments = blocking(RecordingCalls[Recording].segments)
    put_segments = blocking(RecordingCalls[Recording].put_segments)
    proxy = blocking(RecordingCalls[Recording].proxy)
    proxy_segment = blocking(RecordingCalls[Recording].proxy_segment)
    delete = blocking(RecordingCalls[Recording].delete)


@dataclass(frozen=True)
class AsyncRecording(RecordingData):
    """A recording of an AsyncClient."""

    _recordings: AsyncRecordings | None = field(default=None, repr=False, compare=False)

    async def wait(self, *, timeout: float | None = None) -> AsyncRecording:
        """Wait until the recording is `complete` or `failed` and return it. `raise_for_error` raises if it failed."""
        if self._recordings is None:
            raise ClientError("this recording did not come from an AsyncClient: fetch it with recordings.get")
        return await self._recordings.wait(self.recording_id, timeout=timeout)


class AsyncRecordings(AsyncResource[RecordingCalls[AsyncRecording]]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, RecordingCalls(api, lambda obj: AsyncRecording.from_object(obj, _recordings=self)))

    add = awaiting(RecordingCalls[AsyncRecording].add)
    fetch = awaiting(RecordingCalls[AsyncRecording].fetch)
    add_folder = awaiting(RecordingCalls[AsyncRecording].add_folder)
    upload = awaiting(RecordingCalls[AsyncRecording].upload)
    end = awaiting(RecordingCalls[AsyncRecording].end)
    get = awaiting(RecordingCalls[AsyncRecording].get)
    update = awaiting(RecordingCalls[AsyncRecording].update)
    list = awaiting(RecordingCalls[AsyncRecording].list)
    each = aiterating(RecordingCalls[AsyncRecording].list)
    wait = awaiting(RecordingCalls[AsyncRecording].wait)
    download = awaiting(RecordingCalls[AsyncRecording].download)
    frame = awaiting(RecordingCalls[AsyncRecording].frame)
    frames = awaiting(RecordingCalls[AsyncRecording].frames)
    pieces = awaiting(RecordingCalls[AsyncRecording].pieces)
    filmstrip = awaiting(RecordingCalls[AsyncRecording].filmstrip)
    waveform = awaiting(RecordingCalls[AsyncRecording].waveform)
    next_moment = awaiting(RecordingCalls[AsyncRecording].next_moment)
    suggestions = awaiting(RecordingCalls[AsyncRecording].suggestions)
    framing = awaiting(RecordingCalls[AsyncRecording].framing)
    captions = awaiting(RecordingCalls[AsyncRecording].captions)
    ranges = awaiting(RecordingCalls[AsyncRecording].ranges)
    write_ranges = awaiting(RecordingCalls[AsyncRecording].write_ranges)
    segments = awaiting(RecordingCalls[AsyncRecording].segments)
    put_segments = awaiting(RecordingCalls[AsyncRecording].put_segments)
    proxy = awaiting(RecordingCalls[AsyncRecording].proxy)
    proxy_segment = awaiting(RecordingCalls[AsyncRecording].proxy_segment)
    delete = awaiting(RecordingCalls[AsyncRecording].delete)
