"""Reading of a recording's playlists from the store, and of the ETags and sizes of the objects that they name."""

from __future__ import annotations

import logging
import posixpath
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, suppress
from dataclasses import dataclass, field
from heapq import merge
from typing import NamedTuple

from clipengine.basis.budget import Allowance
from clipengine.basis.documents import ReadDocument, read_here
from clipengine.basis.moments import note_left_out
from clipengine.errors import (
    EngineError,
    InvalidBucketPath,
    ObjectMissing,
    PlaylistInvalid,
    RecordingError,
    RecordingNotReady,
    TooManyPieces,
)
from clipengine.recordings.assembly import ListedText, ListedTrack, StoredPiece, StoredPieces, assemble, is_stored
from clipengine.recordings.discovery import audio_playlist_of, is_of_clip, is_recording
from clipengine.recordings.packed_playlist import PLAYLIST, segments_allowance
from clipengine.recordings.pieces import PieceIndex, TrackKind
from clipengine.recordings.playlist import (
    LARGEST,
    MAX_PLAYLIST_BYTES,
    MasterPlaylist,
    MediaPlaylist,
    VariantChoice,
    is_playlist,
    ranged_keys,
    segment_keys,
)
from clipengine.stores.base import ObjectReader, Store, StoredObject

log = logging.getLogger(__name__)

_HEAD_BYTES = 16
_NOT_ENDED = "the playlist has no EXT-X-ENDLIST: it is still written, or its producer was killed"
# Up to so many objects are looked up one by one. More are listed, which is one request for a thousand of them.
_FEW_OBJECTS = 20
_MAX_NAMED = 500_000  # segments
_MAX_TEXT_SEGMENTS = 20_000  # of all texts: each is a request
_LISTED_FOR_EACH = 10  # other objects that may lie between them, before they are looked up after all


def names_pieces(reader: ObjectReader) -> bool:
    """Return True if the object is a playlist. One with the extension of a media file is not."""
    return not is_recording(reader.info.key) and is_playlist(reader.read_at(0, _HEAD_BYTES))


@dataclass(frozen=True)
class ReadPlaylist:
    """The index of a recording, and its texts, which are not read yet.

    `written` are the tracks of a recording that is still written, with the number of the segment that follows in
    each; it is empty for a finished one.
    """

    index: PieceIndex
    texts: list[ListedText]
    written: list[tuple[str, int]] = field(default_factory=list)


def read_pieces(
    store: Store,
    reader: ObjectReader,
    variant: VariantChoice = LARGEST,
    *,
    base_url: str = "",
    live: bool = False,
    read: ReadDocument = read_here,
) -> ReadPlaylist:
    """Return the pieces and the texts of a playlist's recording, at the places that the playlist states.

    URLs that begin with `base_url`, unless it is empty, name the objects of the store. A `live` recording may still be
    written; of its last segments, those are left out that are not in the store yet. `read` parses the playlists.

    Raises PlaylistInvalid, PlaylistUnsupported, PlaylistOutside, RecordingEncrypted, RecordingNotReady or
    TooManyPieces.
    """
    key = reader.info.key
    folder = key.rpartition("/")[0]
    playlists = _Playlists(store, f"{folder}/" if folder else "", base_url, read)
    parsed = playlists.parse(reader)
    listed = playlists.tracks(parsed, variant, key)
    is_written = not all(each.playlist.ended for each in listed)
    if is_written and not live:
        raise RecordingNotReady(_NOT_ENDED)
    growing = {key for each in listed for key in ranged_keys(each.playlist.segments)} if is_written else set()
    stored = stored_pieces(store, [key for each in listed for key in segment_keys(each.playlist)], growing=growing)
    if is_written:
        for each in listed:
            _drop_late(each.playlist, stored)
            _drop_early(each, listed[0])
        if not all(each.playlist.segments for each in listed):
            raise PlaylistInvalid("no object that a playlist names is in the store yet")
        written = [(each.key, each.playlist.first + len(each.playlist.segments)) for each in listed]
        return ReadPlaylist(assemble(listed, stored), [], written)
    texts = playlists.texts(parsed, variant) if isinstance(parsed, MasterPlaylist) else []
    return ReadPlaylist(assemble(listed, stored), texts)


def read_texts_of(
    store: Store, key: str, variant: VariantChoice, *, base_url: str = "", read: ReadDocument = read_here
) -> list[ListedText]:
    """Return the texts of a playlist's recording, which are not read yet. Raises RecordingError or StorageError."""
    playlists = _Playlists(store, key.rpartition("/")[0] + "/", base_url, read)
    with closing(store.open(key)) as reader:
        parsed = playlists.parse(reader)
    return playlists.texts(parsed, variant) if isinstance(parsed, MasterPlaylist) else []


def _drop_late(playlist: MediaPlaylist, stored: Mapping[str, StoredPiece]) -> None:
    """Remove the last segments, which are listed and not in the store yet."""
    while playlist.segments and not is_stored(playlist.segments[-1].data, stored):
        playlist.segments.pop()


def _drop_early(track: ListedTrack, first: ListedTrack) -> None:
    """Remove the last segments if the first track has not reached their discontinuity, which they are placed by."""
    segments = [each for each in track.playlist.segments if each.discontinuity <= _last_discontinuity(first.playlist)]
    if segments and not (first.own_clock or first.playlist.ended):
        del track.playlist.segments[len(segments) :]


def _last_discontinuity(playlist: MediaPlaylist) -> int:
    return max((each.discontinuity for each in playlist.segments), default=0)


class NamedObjects(NamedTuple):
    """The keys that a playlist and the playlists in it name, or None if it cannot be read. `ended`: it is finished."""

    keys: frozenset[str] | None
    ended: bool


def named_segments() -> Allowance:
    """Return the budget of the segments of all versions of a recording, of which only the keys are kept."""
    return segments_allowance(_MAX_NAMED, of="the set of playlists")


def named_objects(
    store: Store,
    key: str,
    *,
    base_url: str = "",
    read: ReadDocument = read_here,
    segments: Allowance | None = None,
) -> NamedObjects:
    """Return the objects that belong to a playlist, whose segments are spent from `segments`. Raises StorageError."""
    folder = key.rpartition("/")[0]
    budget = named_segments() if segments is None else segments
    playlists = _Playlists(store, f"{folder}/" if folder else "", base_url, read, budget)
    try:
        with closing(store.open(key)) as reader:
            found = playlists.parse(reader)
        if isinstance(found, MediaPlaylist):
            audio = playlists.beside(key)
            if audio is None:
                return NamedObjects(frozenset(segment_keys(found)), found.ended)
            named = {audio[0], *segment_keys(found), *segment_keys(audio[1])}
            return NamedObjects(frozenset(named), found.ended and audio[1].ended)
        return playlists.all_named(found)
    except (RecordingError, EngineError) as error:  # it is registered, and fails with its code
        log.warning("the objects beside the playlist %s are not registered: %s", key, error.message)
        return NamedObjects(None, ended=True)


class _Playlists:
    """The playlists of a recording, all of which lie in the folder of the registered one.

    A master may name one playlist many times: it is read once, and its segments count for each track that has them.
    """

    def __init__(
        self, store: Store, folder: str, base_url: str, read: ReadDocument, segments: Allowance | None = None
    ) -> None:
        self._store = store
        self._folder = folder
        self._base_url = base_url
        self._parse = read
        self._segments = segments_allowance() if segments is None else segments
        self._known: dict[str, MediaPlaylist] = {}

    def parse(self, reader: ObjectReader) -> MediaPlaylist | MasterPlaylist:
        segments = self._segments
        segments.spend(0)
        data = reader.read_at(0, MAX_PLAYLIST_BYTES + 1)
        found = self._parse(
            PLAYLIST, data, key=reader.info.key, folder=self._folder, base_url=self._base_url, segments=segments.state
        )
        segments.spend(len(found.segments) if isinstance(found, MediaPlaylist) else 0)
        if isinstance(found, MediaPlaylist) and found.invalid_date is not None:
            note_left_out(f"the playlist {reader.info.key}", "a date", found.invalid_date)
        return found

    def tracks(self, playlist: MediaPlaylist | MasterPlaylist, choice: VariantChoice, key: str) -> list[ListedTrack]:
        """Return the tracks of the recording: the chosen variant, and the audio tracks beside it."""
        if isinstance(playlist, MediaPlaylist):
            beside_it = self.beside(key)
            if beside_it is None:
                return [ListedTrack("muxed", playlist, key=key)]
            video = ListedTrack("video", playlist, key=key, own_clock=True)
            return [video, ListedTrack("audio", beside_it[1], key=beside_it[0], own_clock=True)]
        variant = playlist.variant(choice)
        renditions = playlist.audio_of(variant)
        beside = [each for each in renditions if each.key is not None]
        kind: TrackKind = "video" if beside and len(beside) == len(renditions) else "muxed"
        audio = [
            ListedTrack("audio", self._read(each.key), each.name, each.language, each.key)
            for each in beside
            if each.key is not None
        ]
        return [ListedTrack(kind, self._read(variant.key), key=variant.key), *audio]

    def beside(self, key: str) -> tuple[str, MediaPlaylist] | None:
        """Return the playlist with the audio of the picture in this one, and its key, if the store has it."""
        audio = audio_playlist_of(key)
        try:
            return None if audio is None else (audio, self._stored(audio))
        except (ObjectMissing, InvalidBucketPath):
            return None

    def texts(self, master: MasterPlaylist, choice: VariantChoice) -> list[ListedText]:
        """Return the texts of the chosen variant. One whose playlist cannot be used is logged and left out."""
        found = []
        self._segments = segments_allowance(_MAX_TEXT_SEGMENTS, of="the set of texts")
        for each in master.texts_of(master.variant(choice)):
            try:
                found.append(ListedText(_ended(self._read(each.key or "")), each.name, each.language))
            except RecordingError as error:
                log.warning("the text %s of a playlist is not used: %s", each.name or each.key, error.message)
        return found

    def all_named(self, master: MasterPlaylist) -> NamedObjects:
        """Return all playlists of a master playlist, also the unused ones, and the objects that they name.

        Raises TooManyPieces.
        """
        inner = [*(each.key for each in master.variants), *(each.key for each in master.renditions if each.key)]
        keys, ended = set(inner), True
        for key in dict.fromkeys(inner):
            try:
                playlist = self._stored(key)
            except TooManyPieces:
                raise
            except (RecordingError, ObjectMissing, InvalidBucketPath):
                continue
            keys.update(segment_keys(playlist))
            ended = ended and playlist.ended
        return NamedObjects(frozenset(keys), ended)

    def _read(self, key: str) -> MediaPlaylist:
        """Return a playlist that the master names, and keep it: other tracks may have the same one."""
        if (known := self._known.get(key)) is not None:
            self._segments.spend(len(known.segments))
            return known
        try:
            self._known[key] = self._stored(key)
        except (ObjectMissing, InvalidBucketPath):
            raise PlaylistInvalid(f"the playlist {key}, which the master playlist names, is not in the store") from None
        return self._known[key]

    def _stored(self, key: str) -> MediaPlaylist:
        with closing(self._store.open(key)) as reader:
            found = self.parse(reader)
        if isinstance(found, MasterPlaylist):
            raise PlaylistInvalid(f"the playlist {key} is a master playlist in a master playlist")
        return found


def _ended(playlist: MediaPlaylist) -> MediaPlaylist:
    if not playlist.ended:
        raise RecordingNotReady(_NOT_ENDED)
    return playlist


def stored_pieces(store: Store, keys: Iterable[str], *, growing: Set[str] = frozenset()) -> StoredPieces:
    """Return the ETags and sizes of these objects, if they are in the store and no clips of ours.

    Objects that are `growing` may still be written, and are pinned as such.
    """
    wanted = sorted({key for key in keys if not is_of_clip(key)})
    written = list(_looked_up(store.growing, [key for key in wanted if key in growing]))
    known = {key for key, _ in written}
    others = [key for key in wanted if key not in known] if known else wanted
    found = _looked_up(store.head, others) if len(others) <= _FEW_OBJECTS else _listed(store, others)
    return StoredPieces(merge(written, found))


def _looked_up(
    look_up: Callable[[str], StoredObject | None], wanted: Iterable[str]
) -> Iterator[tuple[str, StoredPiece]]:
    for key in wanted:
        with suppress(ObjectMissing, InvalidBucketPath):
            if (info := look_up(key)) is not None:
                yield key, StoredPiece(info.etag, info.size)


def _listed(store: Store, wanted: Sequence[str]) -> Iterator[tuple[str, StoredPiece]]:
    """Yield the objects that are in their common folder, or look them up if that has too many others. In key order."""
    folder = posixpath.commonpath({posixpath.dirname(key) for key in wanted})
    before, at = wanted[0][:-1], 0  # `before` precedes all of them
    for number, info in enumerate(store.list(f"{folder}/" if folder else "", after=before)):
        at = bisect_left(wanted, info.key, at)
        if at < len(wanted) and wanted[at] == info.key:
            yield wanted[at], StoredPiece(info.etag, info.size)
            at += 1
        if at == len(wanted):
            return
        if number > _LISTED_FOR_EACH * len(wanted):
            yield from _looked_up(store.head, wanted[at:])
            return
