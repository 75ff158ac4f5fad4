"""Restarts of producers: one that is started again may overwrite the playlist and the files of its last session.

The recording of the last session then ends with the pieces that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice

from clipengine.errors import ObjectChanged, ObjectMissing
from clipengine.recordings.pieces import ObjectRange, PieceIndex, Run
from clipengine.recordings.playlist import GrowingPlaylist
from clipengine.recordings.timeline.growing import Growth
from clipengine.stores.base import Store
from clipengine.stores.growing_etag import is_growing
from clipengine.stores.playlists import stored_pieces

OVERWRITTEN = "files_overwritten: since {}, a producer that was started again overwrites the files of the recording"
_MOST_LOOKED_UP = 20  # objects of a playlist that does not continue, the last ones first

Pin = tuple[str, str]  # the key and the ETag of an object


def is_replaced(store: Store, data: ObjectRange) -> bool:
    """Return True if the object of a piece is another one. Raises StorageError."""
    return _state(store, (data.key, data.etag)) == "replaced"


def is_other_session(
    store: Store,
    growth: Growth,
    playlists: Sequence[GrowingPlaylist],
    end: PieceIndex,
    index: Callable[[], PieceIndex | None],
) -> bool:
    """Return True if one of the playlists of a recording lists another session.

    It is then shorter than before, or its last known segment was replaced, and none of its segments is a piece of the
    recording. `end` is the end of the recording's `index`. Raises StorageError.
    """
    for track, known, playlist in zip(end.tracks, growth.tracks, playlists, strict=True):
        last = track.runs[-1].pieces[-1].data
        is_shorter = playlist.next_number < known.next_number
        if not is_shorter and (is_growing(last.etag) or not is_replaced(store, last)):
            continue
        whole = index()
        pinned = {} if whole is None else {data.key: data.etag for data in whole.ranges()}
        listed = list(dict.fromkeys(each.data.key for each in reversed(playlist.listed) if each.data.key))
        known_keys = [(key, pinned[key]) for key in listed if key in pinned]
        if listed and not any(_state(store, pin) == "same" for pin in islice(known_keys, _MOST_LOOKED_UP)):
            return True
    return False


def is_overwritten(store: Store, end: PieceIndex, index: Callable[[], PieceIndex | None]) -> bool:
    """Return True if the last pieces of a track were replaced by a session whose playlist continues the known one.

    It has the same names and durations, so `is_other_session` does not notice it. `end` is the end of the recording's
    `index`. Raises StorageError.
    """
    for number, track in enumerate(end.tracks):
        last = track.runs[-1].pieces[-1].data
        if is_growing(last.etag) or not is_replaced(store, last):
            continue
        whole = index()
        runs = [] if whole is None else whole.tracks[number].runs
        pins = dict.fromkeys(piece.data[:2] for run in reversed(runs) for piece in reversed(run.pieces))
        if not any(_state(store, pin) == "same" for pin in islice(pins, _MOST_LOOKED_UP)):
            return True
    return False


def left_of(store: Store, index: PieceIndex) -> PieceIndex | None:
    """Return the pieces of an index that were not replaced, or None if a track has none left. Raises StorageError."""
    pins = {(data.key, data.etag) for data in index.ranges()}
    stored = stored_pieces(store, [key for key, etag in pins if not is_growing(etag)])
    same = {
        (key, etag)
        for key, etag in pins
        if (_state(store, (key, etag)) == "same" if is_growing(etag) else key in stored and stored[key].etag == etag)
    }
    tracks = [replace(track, runs=[part for run in track.runs for part in _left(run, same)]) for track in index.tracks]
    return PieceIndex(tracks) if all(track.runs for track in tracks) else None


def _left(run: Run, same: set[Pin]) -> Iterator[Run]:
    """Yield the unbroken parts of a run whose objects are the same. One after missing pieces follows a gap."""
    if run.init is not None and run.init[:2] not in same:
        return
    is_first = True
    for is_same, group in groupby(range(len(run.pieces)), lambda number: run.pieces[number].data[:2] in same):
        numbers = list(group)
        if is_same:
            part = run.part(numbers[0], numbers[-1])
            yield part if is_first else replace(part, gap="missing")
        is_first = False


def _state(store: Store, pin: Pin) -> str:
    """Return whether an object is still the `same`, was `replaced`, or is `missing`."""
    try:
        store.open(pin[0], etag=pin[1]).close()
    except ObjectChanged:
        return "replaced"
    except ObjectMissing:
        return "missing"
    return "same"
