"""A ZIP archive of several clips, streamed while the clips are read from the store.

The clips are stored as they are, because compression does not make them smaller. The size of the archive is known
before the first byte is sent, so that a client notices an archive that ended early.
"""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from zipstream import ZipStream

from clipengine.api.http.open_streams import open_stream
from clipengine.api.http.operation import Answer, Call, Operation
from clipengine.api.http.requests.clips import ArchiveClips
from clipengine.api.http.requests.fields import NoQuery
from clipengine.api.http.send_timeout import with_send_timeout
from clipengine.api.http.validation import check_each
from clipengine.api.routes.downloads import SEND_SECONDS, content_disposition, file_name, stored_clip
from clipengine.clips.clip import Clip
from clipengine.errors import (
    ClipNotComplete,
    ClipNotFound,
    ObjectNotFound,
    StorageDenied,
    StorageUnavailable,
)
from clipengine.recordings.media_types import ending
from clipengine.stores.base import ObjectReader, Store, StoredObject

_ZIP = "application/zip"
_READ_BYTES = 512 * 1024  # of one request to an S3 store


class ArchiveResponse(StreamingResponse):
    """The archive, made in the thread pool a chunk at a time. Reads no more after the client has disconnected."""

    def __init__(self, store: Store, clips: Sequence[tuple[Clip, StoredObject]]) -> None:
        """`clips` have their objects as they were before the archive began."""
        self._store = store
        self._reader: ObjectReader | None = None
        archive = ZipStream(sized=True)
        for name, (_, stored) in zip(unique_names([clip for clip, _ in clips]), clips, strict=True):
            archive.add(self._read(stored), name, size=stored.size)
        headers = {
            "Content-Length": str(len(archive)),
            "Content-Disposition": content_disposition("attachment", "clips.zip"),
            "Cache-Control": "private, no-store",
        }
        super().__init__(self._chunks(iter(archive)), headers=headers, media_type=_ZIP)

    def _read(self, stored: StoredObject) -> Iterator[bytes]:
        """Yield the object. Raise ObjectChanged or ObjectMissing if it was replaced or deleted."""
        self._reader = self._store.open(stored.key, etag=stored.etag)
        for start in range(0, stored.size, _READ_BYTES):
            yield self._reader.read_at(start, _READ_BYTES)
        self._close()

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    async def _chunks(self, archive: Iterator[bytes]) -> AsyncIterator[bytes]:
        while chunk := await run_in_threadpool(next, archive, b""):
            yield chunk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with open_stream(scope, "downloads"):
                await super().__call__(scope, receive, with_send_timeout(scope, send, SEND_SECONDS))
        finally:
            self._close()


def unique_names(clips: Sequence[Clip]) -> Iterator[str]:
    """Yield a file name for each clip, of its label. Names that differ only in case are numbered: `goal (2).mp4`."""
    used: set[str] = set()
    for clip in clips:
        extension = ending(clip.object_key)
        number, name = 1, file_name(unicodedata.normalize("NFC", clip.label), extension)
        stem = name.removesuffix(f".{extension}")
        while name.casefold() in used:
            number += 1
            name = f"{stem} ({number}).{extension}"
        used.add(name.casefold())
        yield name


async def archive_clips(call: Call[NoQuery, ArchiveClips]) -> Response:
    """Respond with the archive. The faults of all clips are reported together, before it begins."""
    call.concerns(call.body.clip_ids)
    check = partial(check_each, pointer="/clip_ids")
    clips = await call.in_session(lambda: check(call.body.clip_ids, partial(_complete_clip, call)))
    store = call.engine.store
    stored = await run_in_threadpool(check, clips, partial(stored_clip, store))
    return ArchiveResponse(store, list(zip(clips, stored, strict=True)))


def _complete_clip(call: Call[NoQuery, ArchiveClips], clip_id: str) -> Clip:
    clip = call.ledger.clips.get(clip_id)
    if clip.state != "complete":
        raise ClipNotComplete.of(clip.clip_id, ended=clip.ended)
    return clip


OPERATIONS = [
    Operation(
        "POST",
        "/v1/clips/archive",
        "read",
        archive_clips,
        "Download several clips as a ZIP archive",
        [
            Answer(
                200,
                "The archive: files with the names of the labels, in the order of the request.",
                media_type=_ZIP,
            )
        ],
        (ClipNotFound, ClipNotComplete, ObjectNotFound, StorageDenied, StorageUnavailable),
        body=ArchiveClips,
        audit="clip.download",
    ),
]
