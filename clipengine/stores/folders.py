"""Reading of a folder of a camera's files: what the store lists, and what its names say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clipengine.basis.moments import note_left_out
from clipengine.basis.timecode import now_ms
from clipengine.errors import PatternInvalid, RecordingMissing, TooManyPieces
from clipengine.recordings.discovery import is_of_clip
from clipengine.recordings.file_name_pattern import FolderSource, InvalidPattern, Named, NamePattern
from clipengine.recordings.pieces import ObjectRange, Piece, PieceIndex, Run, Track
from clipengine.recordings.timeline.folder_files import FolderOrder
from clipengine.stores.base import Store, StoredObject

MAX_FILES = 50_000  # of a recording: each is opened by the probe
MAX_LISTED = 500_000  # objects that begin like the files
_GLANCED = 1000  # objects that are listed while a request waits: one page of S3
_CLOSING_SECONDS = 2  # in which a recorder finishes a file after it has begun the next one
_SHRINK_HINT = "Give the day, so that each day is a recording."

_NamedFile = tuple[Named, StoredObject]


@dataclass(frozen=True)
class FolderFiles:
    """The index of a folder in the order of its names, whose files are not placed yet, and their times.

    `resolution` is the resolution of the names, in microseconds; the names are `dated` if they have a day. `last` is
    the order of the last file. The newest file, which may still be written, was stored at `modified`, in ms since 1970.
    In a folder store, `closed` are the times of the last changes of the files, in microseconds since 1970.
    """

    index: PieceIndex
    times: list[int | None]
    resolution: int
    dated: bool
    last: FolderOrder
    modified: int
    closed: list[int | None]


def read_folder(
    store: Store, source: FolderSource, *, after: FolderOrder | None = None, settle_seconds: float | None = None
) -> FolderFiles:
    """Return the files of a folder, or those `after` the last one that was read before.

    With `settle_seconds` the folder may still be written: the last file counts if it has not changed for so long, which
    is 0 if files appear complete. Raises RecordingMissing without any file, PatternInvalid, TooManyPieces.
    """
    pattern = compiled(source)
    found = sorted(_named(store, source, pattern, after), key=_order)
    modified = max((info.modified for _, info in found), default=0)
    if settle_seconds is not None:
        found = _written(found, settle_seconds)
    if not found and after is None:
        if modified:
            raise RecordingMissing(
                "the first file of the folder may still be written", hint="Wait until it is complete."
            )
        raise RecordingMissing("the folder has no files with such names", hint="Check the folder and the pattern.")
    runs = [
        Run(number, None, None, [Piece(ObjectRange(info.key, info.etag, 0, info.size), number, 0)])
        for number, (_, info) in enumerate(found)
    ]
    times = [named.time for named, _ in found]
    # S3 dates an object by its upload, not by the last change of the file.
    is_local = bool(found) and store.growing(found[-1][1].key) is not None
    closed = [info.modified * 1000 if is_local else None for _, info in found]
    last = _order(found[-1]) if found else after or (0, 0, "")
    index = PieceIndex([Track("muxed", runs)])
    return FolderFiles(index, times, pattern.resolution, pattern.has_date, last, modified, closed)


def files_left_out(store: Store, source: FolderSource, index: PieceIndex) -> list[str]:
    """Return the keys of the files of a folder that are not in the index of its recording, in the order of their names.

    They may be more than a recording has. Raises PatternInvalid, TooManyPieces.
    """
    known, pattern = {data.key for data in index.ranges()}, compiled(source)
    found = matching(store, source.folder, source.folder + pattern.prefix, pattern)
    return [each[1].key for each in sorted(found, key=_order) if each[1].key not in known]


def _written(found: Sequence[_NamedFile], settle_seconds: float) -> list[_NamedFile]:
    """Return the files up to one that is probably still being written."""
    now = now_ms()
    for number, (_, info) in enumerate(found):
        is_last = number == len(found) - 1
        needed = settle_seconds if is_last else min(settle_seconds, _CLOSING_SECONDS)
        if now - info.modified < needed * 1000:
            return list(found[:number])
    return list(found)


def compiled(source: FolderSource) -> NamePattern:
    """Return the pattern of a folder. Raises PatternInvalid."""
    try:
        return source.name_pattern()
    except InvalidPattern as error:
        raise PatternInvalid(f"the pattern {error}") from None


def matching(store: Store, folder: str, prefix: str, pattern: NamePattern, *, after: str = "") -> Iterator[_NamedFile]:
    """Yield the files whose names match, without our clips. Raises TooManyPieces."""
    for number, info in enumerate(store.list(prefix, after=after)):
        if number == MAX_LISTED:
            raise TooManyPieces(f"more than {MAX_LISTED} objects begin with {prefix!r}", hint=_SHRINK_HINT)
        if info.size == 0 or is_of_clip(info.key):
            continue
        name = info.key.removeprefix(folder)
        if (named := pattern.match(name)) is not None:
            yield named, info
        elif (reason := pattern.misfit(name)) is not None:
            note_left_out(f"the folder {folder}", "a file", f"{info.key}: {reason}")


def lacks_files(store: Store, source: FolderSource) -> bool:
    """Return True if the folder has no files with such names, False if its first objects do not say. Fast.

    Raises PatternInvalid.
    """
    pattern = compiled(source)
    for number, info in enumerate(store.list(source.folder + pattern.prefix)):
        if number == _GLANCED or pattern.match(info.key.removeprefix(source.folder)) is not None:
            return False
    return True


def _named(store: Store, source: FolderSource, pattern: NamePattern, after: FolderOrder | None) -> Iterator[_NamedFile]:
    count, last = 0, after[2] if after is not None and pattern.is_ordered else ""
    for named, info in matching(store, source.folder, source.folder + pattern.prefix, pattern, after=last):
        each = _settled(named, info), info
        if after is not None and _order(each) <= after:
            continue
        yield each
        count += 1
        if count > MAX_FILES:
            raise TooManyPieces(f"the folder has more than {MAX_FILES} files", hint=_SHRINK_HINT)


def _settled(named: Named, info: StoredObject) -> Named:
    """Return the name with one time.

    If its local time occurs twice, it is the later time, unless the file was stored before that.
    """
    if named.time is None or named.other is None or info.modified * 1000 < named.other:
        return named
    return named._replace(time=named.other)


def _order(file: _NamedFile) -> FolderOrder:
    named, info = file
    return named.time or 0, named.number or 0, info.key
