"""Downloads: a redirect to a presigned link if the store has them, otherwise the bytes, whole or one range.

The file name comes from a label or name that a user chose. Content-Disposition has it in two forms (RFC 6266): letters,
digits and `._-` only, and UTF-8 with everything else percent-encoded (RFC 8187). Neither can end the header, leave the
folder or hide the real extension.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from functools import partial
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from clipengine.api.http.open_streams import open_stream
from clipengine.api.http.operation import Answer, Call, Operation
from clipengine.api.http.problems import problem
from clipengine.api.http.ranges import matches, requested_range
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.api.http.send_timeout import with_send_timeout
from clipengine.api.routes.lookups import find_clip
from clipengine.clips.clip import Clip
from clipengine.errors import (
    ClipNotComplete,
    ClipNotFound,
    ObjectChanged,
    ObjectMissing,
    ObjectNotFound,
    RangeNotSatisfiable,
    RecordingChanged,
    RecordingHasPieces,
    RecordingMissing,
    RecordingNotFound,
    StorageDenied,
    StorageUnavailable,
)
from clipengine.recordings.media_types import ending, media_type, without_ending
from clipengine.stores.base import Disposition, ObjectReader, Store, StoredObject
from clipengine.stores.object_errors import as_recording_errors, check_etag
from clipengine.work.recording_files import open_recording

CHUNK_BYTES = 128 * 1024  # the server buffers one or two of them for a client that does not read
SEND_SECONDS = 60  # a client that reads nothing for this long is disconnected
_NAME_BYTES = 180


def file_name(title: str, extension: str) -> str:
    """Return a title as a file name without separators, control or direction characters, or a leading dot."""
    kept = "".join(
        "_" if c in '/\\:*?"<>|' or unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} else c
        for c in title
    )
    stem = re.sub(r"\s+", " ", kept).strip(" .")
    stem = stem.encode()[:_NAME_BYTES].decode(errors="ignore").strip(" .") or "clip"
    return f"{stem}.{extension}" if extension else stem


def content_disposition(kind: Disposition, name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode())
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


class ObjectResponse(StreamingResponse):
    """Bytes `[start, end)` of an open object, read in the thread pool a chunk at a time. Closes the reader."""

    def __init__(self, reader: ObjectReader, start: int, end: int, status: int, headers: dict[str, str]) -> None:
        self._reader = reader
        headers["Content-Length"] = str(end - start)
        super().__init__(self._chunks(start, end), status_code=status, headers=headers)

    async def _chunks(self, start: int, end: int) -> AsyncIterator[bytes]:
        while start < end:
            chunk = await run_in_threadpool(self._reader.read_at, start, min(CHUNK_BYTES, end - start))
            start += len(chunk)
            yield chunk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await Response(status_code=self.status_code, headers=dict(self.headers))(scope, receive, send)
            else:
                with open_stream(scope, "downloads"):
                    await super().__call__(scope, receive, with_send_timeout(scope, send, SEND_SECONDS))
        finally:
            self._reader.close()


def serve_object(
    store: Store,
    request: Request,
    key: str,
    *,
    name: str,
    kind: Disposition = "attachment",
    etag: str | None = None,
    link_seconds: int | None = None,
) -> Response:
    """Respond with the object. Raise ObjectMissing, RangeNotSatisfiable, or ObjectChanged if its ETag differs.

    The object is checked before a link is given, because an error behind the link would be the store's own. HEAD is
    answered here, because links are signed for GET only.
    """
    content_type = media_type(key)
    head = request.method == "HEAD"
    link = None
    if not head:
        link = store.link(key, filename=name, content_type=content_type, kind=kind, seconds=link_seconds)
    if link is not None:
        check_etag(store.head(key), etag)
        return RedirectResponse(link, status_code=302)
    reader = store.open(key, etag=etag)
    try:
        return _answer(request, reader, content_type, content_disposition(kind, name))
    except BaseException:
        reader.close()
        raise


def _answer(request: Request, reader: ObjectReader, content_type: str, disposition: str) -> Response:
    info = reader.info
    etag = f'"{info.etag}"'
    headers = {
        "Content-Type": content_type,
        "Content-Disposition": disposition,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Last-Modified": formatdate(info.modified // 1000, usegmt=True),
        "Cache-Control": "private, no-cache",
    }
    given = request.headers
    if matches(given.get("if-none-match"), etag):
        reader.close()
        return Response(status_code=304, headers={name: headers[name] for name in ("ETag", "Cache-Control")})
    if_range = given.get("if-range")
    wanted = None
    if if_range is None or if_range.strip() in (etag, headers["Last-Modified"]):
        try:
            wanted = requested_range(given.get("range"), info.size)
        except RangeNotSatisfiable as error:
            reader.close()
            return problem(request.scope, error, {"Content-Range": f"bytes */{info.size}"})
    if wanted is None:
        return ObjectResponse(reader, 0, info.size, 200, headers)
    start, end = wanted
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.size}"
    return ObjectResponse(reader, start, end, 206, headers)


def download_clip(call: Call[NoQuery, NoBody]) -> Response:
    clip = find_clip(call)
    if clip.state != "complete":
        raise ClipNotComplete.of(clip.clip_id, ended=clip.ended)
    return serve_clip(call.engine.store, call.request, clip)


def get_poster(call: Call[NoQuery, NoBody]) -> Response:
    clip = find_clip(call)
    if clip.state != "complete":
        raise ClipNotComplete.of(clip.clip_id, ended=clip.ended)
    return serve_poster(call.engine.store, call.request, clip)


def serve_clip(
    store: Store,
    request: Request,
    clip: Clip,
    *,
    kind: Disposition = "attachment",
    link_seconds: int | None = None,
) -> Response:
    """Respond with the file of a complete clip. Raise ObjectNotFound or RangeNotSatisfiable."""
    name = file_name(clip.label, ending(clip.object_key))
    with _made_by_the_engine():
        return serve_object(store, request, clip.object_key, name=name, kind=kind, link_seconds=link_seconds)


def serve_poster(store: Store, request: Request, clip: Clip, *, link_seconds: int | None = None) -> Response:
    """Respond with the poster of a complete clip. Raise ObjectNotFound."""
    key = clip.result.poster_path if clip.result else None
    if key is None:
        raise ObjectNotFound("The clip has no poster", hint="It was not requested, or the clip has no video.")
    name = file_name(clip.label, "jpg")
    with _made_by_the_engine():
        return serve_object(store, request, key, name=name, kind="inline", link_seconds=link_seconds)


def stored_clip(store: Store, clip: Clip) -> StoredObject:
    """Return the store's entry of the file of a complete clip. Raise ObjectNotFound."""
    with _made_by_the_engine():
        return store.head(clip.object_key)


@contextmanager
def _made_by_the_engine() -> Iterator[None]:
    try:
        yield
    except ObjectMissing:
        raise ObjectNotFound("The object is no longer in the store", hint="It was deleted there.") from None


def download_recording(call: Call[NoQuery, NoBody]) -> Response:
    recording = call.ledger.recordings.get(call.path("recording_id"))
    if recording.pieces is not None or recording.folder is not None:
        number = "many" if recording.pieces is None else recording.pieces["count"]
        raise RecordingHasPieces(f"The recording consists of {number} files")
    base = recording.bucket_path.rpartition("/")[2]
    extension = ending(base)
    title = recording.name or base
    if extension and title.lower().endswith(f".{extension}"):
        title = without_ending(title)
    # Until it is probed, the object in the store is the recording.
    etag = recording.etag if recording.ended else None
    name, store = file_name(title, extension), call.engine.store
    with as_recording_errors():
        try:
            return serve_object(store, call.request, recording.bucket_path, name=name, etag=etag)
        except ObjectChanged:
            with closing(open_recording(store, call.ledger.recordings, recording)) as reader:
                etag = reader.info.etag
        return serve_object(store, call.request, recording.bucket_path, name=name, etag=etag)


def _bytes(media_type: str) -> list[Answer]:
    return [
        Answer(200, "The bytes.", media_type=media_type),
        Answer(206, "The range that was asked for.", media_type=media_type),
        Answer(302, "Where the store itself serves the bytes, for a limited time."),
        Answer(304, "The client has these bytes already."),
    ]


_FILES = _bytes("video/*, audio/*, image/jpeg, application/octet-stream")
_POSTERS = _bytes("image/jpeg")
_operation = partial(Operation, "GET", action="read")
_STORE_ERRORS = (RangeNotSatisfiable, StorageDenied, StorageUnavailable)
_CLIP_ERRORS = (ClipNotFound, ClipNotComplete, ObjectNotFound, *_STORE_ERRORS)

OPERATIONS = [
    _operation(
        "/v1/recordings/{recording_id}/download",
        handler=download_recording,
        summary="Download a recording",
        answers=_FILES,
        errors=(RecordingNotFound, RecordingHasPieces, RecordingMissing, RecordingChanged, *_STORE_ERRORS),
        audit="recording.download",
    ),
    _operation(
        "/v1/clips/{clip_id}/download",
        handler=download_clip,
        summary="Download a clip",
        answers=_FILES,
        errors=_CLIP_ERRORS,
        audit="clip.download",
    ),
    _operation(
        "/v1/clips/{clip_id}/poster",
        handler=get_poster,
        summary="Download a clip's poster",
        answers=_POSTERS,
        errors=_CLIP_ERRORS,
    ),
]
