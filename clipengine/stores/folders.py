"""Reading of a folder of a camera's files: what the store lists, and what its names say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from clipengine.errors import PatternInvalid, RecordingMissing, TooManyPieces
from clipengine.recordings.discovery import is_of_clip
from clipengine.recordings.folder_pattern import FolderSource, InvalidPattern, Named, NamePattern
from clipengine.recordings.pieces import ObjectRange, Piece, PieceIndex, Run, Track
from clipengine.stores.base import Store, StoredObject

MAX_FILES = 50_000  # of a recording: each is opened by the probe
MAX_LISTED = 500_000  # objects that begin like the files
_SHRINK_HINT = "Give the day, so that each day is a recording."


@dataclass(frozen=True)
class FolderFiles:
    """The index of a folder in the order of its names, whose files are not placed yet, and their times.

    `resolution` is that of the names, in microseconds; they are `dated` if they have a day.
    """

    index: PieceIndex
    times: list[int | None]
    resolution: int
    dated: bool


def read_folder(store: Store, source: FolderSource) -> FolderFiles:
    """Return the files of a folder. Raises RecordingMissing without any, PatternInvalid, TooManyPieces."""
    pattern = compiled(source)
    found = _sorted(_named(store, source, pattern))
    if not found:
        raise RecordingMissing("the folder has no files with such names", hint="Check the folder and the pattern.")
    runs = [
        Run(number, None, None, [Piece(ObjectRange(info.key, info.etag, 0, info.size), number, 0)])
        for number, (_, info) in enumerate(found)
    ]
    times = [named.time for named, _ in found]
    return FolderFiles(PieceIndex([Track("muxed", runs)]), times, pattern.resolution, pattern.has_date)


def compiled(source: FolderSource) -> NamePattern:
    """Return the pattern of a folder. Raises PatternInvalid."""
    try:
        return source.name_pattern()
    except InvalidPattern as error:
        raise PatternInvalid(f"the pattern {error}") from None


def matching(store: Store, folder: str, prefix: str, pattern: NamePattern) -> Iterator[tuple[Named, StoredObject]]:
    """Yield the files whose names match, without our clips. Raises TooManyPieces."""
    for number, info in enumerate(store.list(prefix)):
        if number == MAX_LISTED:
            raise TooManyPieces(f"more than {MAX_LISTED} objects begin with {prefix!r}", hint=_SHRINK_HINT)
        if info.size == 0 or is_of_clip(PurePosixPath(info.key)):
            continue
        named = pattern.match(info.key.removeprefix(folder))
        if named is not None:
            yield named, info


def _named(store: Store, source: FolderSource, pattern: NamePattern) -> list[tuple[Named, StoredObject]]:
    found = []
    for named, info in matching(store, source.folder, source.folder + pattern.prefix, pattern):
        found.append((_settled(named, info), info))
        if len(found) > MAX_FILES:
            raise TooManyPieces(f"the folder has more than {MAX_FILES} files", hint=_SHRINK_HINT)
    return found


def _settled(named: Named, info: StoredObject) -> Named:
    """Return the name with one time: of a local time that occurs twice, the one before the file was stored."""
    if named.time is None or named.other is None or info.modified * 1000 < named.other:
        return named
    return named._replace(time=named.other)


def _sorted(found: list[tuple[Named, StoredObject]]) -> list[tuple[Named, StoredObject]]:
    return sorted(found, key=lambda each: (each[0].time or 0, each[0].number or 0, each[1].key))
