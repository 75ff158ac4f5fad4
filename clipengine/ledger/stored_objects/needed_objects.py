"""Policy: an object of the store may be deleted only if no row needs it.

An object is needed by

- a recording of it that has not failed, unless the file to delete has replaced the recording's file,
- a recording of many files of which it is a piece, or may become one when the recording is read,
- a clip that has not failed, as its file, poster, subtitles or manifest,
- an upload of it that is not complete.

`removals` asks when it queues an object and again when an engine claims it, so that a row that is added in between
keeps the object.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeVar

from clipengine.ledger.database.database import Database
from clipengine.ledger.stored_objects.pieces import Pieces
from clipengine.recordings.discovery import is_of_clip, is_playlist, may_be_piece
from clipengine.recordings.file_name_pattern import FolderSource

T = TypeVar("T")

_AT_ONCE = 500  # keys of one statement
_PIECE_SUFFIXES = {".ts", ".m4s", ".cmfv", ".cmfa", ".aac"}
# In every key of a clip, see `clip_key`, also if other letters surround it.
_CLIP_ID = re.compile(r"(?=(clip_[0-9a-z]{26}))")
# The folder of an object, with a slash at its end, and the recordings that may take objects below theirs as pieces.
FOLDER_OF = "RTRIM(bucket_path, REPLACE(bucket_path, '/', ''))"
UNREAD = (
    "((state = 'processing' OR live)"
    " AND (folder IS NOT NULL OR REPLACE(LOWER(bucket_path), '.m3u', '') <> LOWER(bucket_path)))"
)
_RECORDINGS = (
    "SELECT bucket_path, etag, created_at, live FROM recordings"
    " WHERE bucket_path IN ({}) AND state <> 'failed' AND replaced_at IS NULL"
)
_UPLOADS = (
    "SELECT bucket_path FROM resumable_uploads WHERE bucket_path IN ({}) AND completed_at IS NULL AND touched_at > 0"
)
_CLIPS = "SELECT clip_id, object_key FROM clips WHERE clip_id IN ({}) AND state <> 'failed'"
_UNREAD = f"SELECT bucket_path, folder, state FROM recordings WHERE {FOLDER_OF} IN ({{}}) AND {UNREAD}"


class ObjectAddress(NamedTuple):
    """Address of an object of the store."""

    key: str


@dataclass(frozen=True)
class FileVersion:
    """The file that a deleted recording has read: its ETag, and the time (ms) at which the recording was registered.

    Older recordings of other files at the same address do not need it.
    """

    etag: str
    registered_at: int


@dataclass(frozen=True)
class Unwanted:
    """An object to delete. Without a `version`, any file at the address is meant."""

    address: ObjectAddress
    version: FileVersion | None = None

    @classmethod
    def of(cls, key: str, version: FileVersion | None = None) -> Unwanted:
        return cls(ObjectAddress(key), version)

    @property
    def key(self) -> str:
        return self.address.key


class NeededObjects:
    """The objects that rows of the ledger need."""

    def __init__(self, database: Database, pieces: Pieces) -> None:
        self._database = database
        self._pieces = pieces

    def without_needed(self, objects: Iterable[Unwanted]) -> list[Unwanted]:
        """Return the objects that no row needs. Call it in the transaction that decides on their deletion."""
        unwanted = list(objects)
        needed: set[Unwanted] = set()
        for chunk in _chunks(unwanted):
            for find in (self._of_recordings, self._of_clips, self._of_uploads, self._as_pieces, self._of_unread):
                needed.update(find(chunk))
        return [each for each in unwanted if each not in needed]

    def _of_recordings(self, objects: Collection[Unwanted]) -> Iterator[Unwanted]:
        found = defaultdict(list)
        for key, etag, created_at, live in self._rows(_RECORDINGS, (each.key for each in objects)):
            found[key].append((etag, created_at, live))
        for each in objects:
            version = None if is_playlist(each.key) else each.version
            for etag, created_at, live in found[each.key]:
                if version is None or live or etag == version.etag or created_at >= version.registered_at:
                    yield each

    def _of_clips(self, objects: Collection[Unwanted]) -> Iterator[Unwanted]:
        """Yield the objects of clips that have not failed: all keys of an attempt share one stem.

        `subtitle_keys` may have keys of former attempts as well, which no row needs.
        """
        by_clip = defaultdict(list)
        for each in objects:
            for clip_id in _CLIP_ID.findall(each.key):
                by_clip[clip_id].append(each)
        for clip_id, object_key in self._rows(_CLIPS, by_clip):
            stem = f"{object_key.rsplit('.', 1)[0]}."
            yield from (each for each in by_clip[clip_id] if each.key.startswith(stem))

    def _of_uploads(self, objects: Collection[Unwanted]) -> Iterator[Unwanted]:
        found = {key for (key,) in self._rows(_UPLOADS, (each.key for each in objects))}
        return (each for each in objects if each.key in found)

    def _as_pieces(self, objects: Collection[Unwanted]) -> Iterator[Unwanted]:
        found = self._pieces.among([each.key for each in objects])
        return (each for each in objects if each.key in found)

    def _of_unread(self, objects: Collection[Unwanted]) -> Iterator[Unwanted]:
        """Yield objects below the folder of recordings whose pieces are not all known: their index lacks some."""
        above = {folder for each in objects for folder in _folders_above(each.key)}
        is_piece = _pieces_of_unread(self._rows(_UNREAD, above))
        return (each for each in objects if is_piece(each.key))

    def _rows(self, select: str, values: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        for chunk in _chunks([*dict.fromkeys(values)]):
            yield from self._database.run(select.format(", ".join("?" * len(chunk))), tuple(chunk))


def _pieces_of_unread(rows: Iterable[tuple[Any, ...]]) -> Callable[[str], bool]:
    """Return the test whether a key may become a piece of one of these recordings."""
    playlists: set[str] = set()
    sources: dict[FolderSource, set[str | None]] = defaultdict(set)
    for bucket_path, folder, state in rows:
        if folder is not None:
            source = FolderSource.from_object(json.loads(folder))
            sources[replace(source, day=None)].add(source.day)  # the recordings of a camera have one pattern
        elif state == "processing" and is_playlist(bucket_path):
            playlists.add(_folders_above(bucket_path)[0])
    patterns = [(each.folder, each.name_pattern(), days) for each, days in sources.items()]

    def is_piece(key: str) -> bool:
        if _is_named_as_piece(key) and not playlists.isdisjoint(_folders_above(key)):
            return True
        for folder, pattern, days in patterns:
            named = pattern.group_of(key[len(folder) :]) if key.startswith(folder) else None
            if named is not None and (named[1] is None or not days.isdisjoint((None, named[1].isoformat()))):
                return True
        return False

    return is_piece


def _is_named_as_piece(key: str) -> bool:
    """Return True if a playlist that is not read yet may name the object, so that other files are deleted meanwhile."""
    return not is_of_clip(key) and (may_be_piece(key) or PurePosixPath(key).suffix.lower() in _PIECE_SUFFIXES)


def _folders_above(key: str) -> list[str]:
    """Return the folders of a key as `FOLDER_OF` writes them, the nearest first: `a/b/`, `a/`, an empty text, `/`."""
    above = [f"{each}/" for each in PurePosixPath(key).parents if str(each) != "."]
    return [*above, "", "/"]


def _chunks(items: list[T]) -> Iterator[list[T]]:
    for first in range(0, len(items), _AT_ONCE):
        yield items[first : first + _AT_ONCE]
