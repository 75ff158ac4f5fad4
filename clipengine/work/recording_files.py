"""Recordings as objects of the store: opened at their ETag, also after a file was copied back.

An ETag of the folder store contains the time of the file, so a copy of the same bytes has another one. The digest of
the probe then shows that the content is the same, and the recording gets the new ETag.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress

from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.errors import ObjectChanged, StorageError
from clipengine.ledger.recordings.recordings import Recordings
from clipengine.recordings.discovery import is_playlist
from clipengine.recordings.recording import Recording
from clipengine.stores.base import ObjectReader, Store, StoredObject
from clipengine.stores.content_digest import content_digest
from clipengine.stores.object_errors import as_recording_errors
from clipengine.stores.pieces_reader import PiecesReader
from clipengine.stores.producer_restarts import OVERWRITTEN, is_replaced


def open_recording(store: Store, recordings: Recordings, recording: Recording) -> ObjectReader:
    """Open the object of a probed recording. Raises RecordingMissing, and RecordingChanged if it has other content."""
    if recording.pieces is not None and (pieces := recordings.pieces.get(recording.recording_id)) is not None:
        return _RecordingPieces(store, recording.bucket_path, pieces, etag=recording.etag)
    with as_recording_errors():
        try:
            reader = store.open(recording.bucket_path, etag=recording.etag)
        except ObjectChanged:
            adopt_copy(store, recordings, store.head(recording.bucket_path))
            return store.open(recording.bucket_path, etag=recordings.get(recording.recording_id).etag)
        with suppress(StorageError):
            if recording.digest is None and (digest := digest_of_file(reader)) is not None:  # of an older version
                recordings.adopt([recording], etag=recording.etag, digest=digest)
        return reader


class _RecordingPieces(PiecesReader):
    """Reader of the pieces of a recording. Raises RecordingChanged if one was replaced."""

    def read_at(self, offset: int, length: int) -> bytes:
        with as_recording_errors():
            return super().read_at(offset, length)


def recognise(store: Store, recordings: Recordings, stored: StoredObject) -> None:
    """Find out what an object that is to be registered is to the recordings of its path. Raises StorageError."""
    if is_playlist(stored.key):
        _release_replaced(store, recordings, stored.key)
    else:
        adopt_copy(store, recordings, stored)


def _release_replaced(store: Store, recordings: Recordings, key: str) -> None:
    """Let a playlist be registered anew if the first or the last piece of its recording was replaced."""
    for recording in recordings.ended_of(key):
        index = recordings.pieces.get(recording.recording_id)
        pieces = [] if index is None else [run.pieces for run in index.tracks[0].runs]
        if pieces and any(is_replaced(store, each.data) for each in (pieces[0][0], pieces[-1][-1])):
            recordings.set_replaced(recording.recording_id, OVERWRITTEN.format(rfc3339(now_ms())))


def adopt_copy(store: Store, recordings: Recordings, stored: StoredObject) -> None:
    """Give recordings of this path the ETag of the object if it has their content. Raises StorageError."""
    candidates: Sequence[Recording] = recordings.of_other_etag(stored.key, etag=stored.etag, size=stored.size)
    if not candidates:
        return
    with closing(store.open(stored.key, etag=stored.etag)) as reader:
        digest = content_digest(reader)
    same = [each for each in candidates if each.digest == digest]
    recordings.adopt(same, etag=stored.etag, digest=digest)


def digest_of_file(reader: ObjectReader) -> str | None:
    """Return the digest, or None if the object is not a file: the ETag of an S3 object does not contain its time."""
    return None if reader.fileno() is None else content_digest(reader)
