"""Playlists and files of recordings that are still written, as far as this engine has read them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import PurePosixPath

from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.errors import ClipEngineError, ObjectChanged, ObjectMissing, RecordingError
from clipengine.ledger.recordings.live import Refresh
from clipengine.recordings.assembly import StoredPiece, is_stored
from clipengine.recordings.growing_file import GrowingFile
from clipengine.recordings.playlist import MAX_PLAYLIST_BYTES, GrowingPlaylist, ranged_keys
from clipengine.recordings.recording import Seen
from clipengine.recordings.segments import ByteRange, Segment
from clipengine.recordings.timeline.growing import GrowingTrack
from clipengine.stores.base import Store
from clipengine.stores.playlists import stored_pieces
from clipengine.work.jobs.piece_probe import read_growing
from clipengine.work.jobs.silent_producers import longest_silence

log = logging.getLogger(__name__)

USUAL_TARGET_SECONDS = 6  # of a playlist that does not state it
_LATE_TARGETS = 3  # a listed piece that is missing for longer is a gap
_LEAST_PACE, _MOST_PACE = 0.5, 2.0  # of measured durations, relative to stated durations
_MOST_FOLLOWED = 10_000  # recordings
_CLOCK_SECONDS = 60  # by which a recorder may be ahead: it states durations that it has rounded, or writes in bursts
_MOST_LISTED = 10_000  # objects in the folder of a playlist that does not grow

NumberedSegment = tuple[int, Segment]


@dataclass(frozen=True)
class Found:
    """Listed segments of each track, and the objects in the store. `late`: others of a track may still appear there."""

    ready: list[list[NumberedSegment]]
    stored: Mapping[str, StoredPiece]
    late: list[bool]


@dataclass
class Followed:
    """The playlists of a recording, or its file, as far as this engine has read them. A folder has neither.

    `known` are the segments of each playlist, or the bytes of the file; `grown_at` are the monotonic times at which
    something was added to each, or to the folder. `measured_at` is when its last pieces were measured, or before. The
    newest media was stored at `seen_at`, in ms since 1970. `fault` is the time since which a playlist cannot be used,
    in ms since 1970, and the warning about it; `refused` is the same for new segments.
    """

    recording_id: str
    playlists: list[GrowingPlaylist | GrowingFile]
    etags: list[str | None]
    known: list[int]
    grown_at: list[float]
    measured_at: float
    seen_at: int = 0
    fault: tuple[int, str] | None = None
    may_be_other: bool = False  # a playlist may belong to another session
    missing: dict[ByteRange | str, float] = field(default_factory=dict)  # a listed piece -> since when it is missed
    refused: tuple[int, str] | None = None
    warned: bool = False
    measured_seconds: float = 0  # of the pieces that this engine has measured
    stated_seconds: float = 0  # of the same

    @classmethod
    def begin(cls, item: Refresh, base_url: str) -> Followed:
        """Return what is known of a recording that this engine has not read yet."""
        tracks = item.growth.tracks
        known = [each.next_number for each in tracks]
        id, grown_at = item.recording.recording_id, [time.monotonic()] * max(1, len(tracks))
        registered_at = time.monotonic() - (now_ms() - item.recording.created_at) / 1000
        playlists, seen_at = _new_playlists(item, base_url), item.recording.last_seen_at or now_ms()
        return cls(id, playlists, [None] * len(tracks), known, grown_at, registered_at, seen_at)

    @property
    def file(self) -> GrowingFile | None:
        """The file, if the recording is one."""
        found = next(iter(self.playlists), None)
        return found if isinstance(found, GrowingFile) else None

    @property
    def states_end(self) -> bool:
        """True if all playlists, or the file, state that nothing will be added."""
        return all(each.ended for each in self.playlists)

    @property
    def is_behind(self) -> bool:
        """True if the file was not read to its end, because it is large."""
        return self.file is not None and self.file.is_behind

    @property
    def silent_seconds(self) -> float:
        """The seconds since something was added."""
        return time.monotonic() - max(self.grown_at)

    @property
    def target_seconds(self) -> int:
        """The shortest target duration of the playlists."""
        return min((each.target_seconds for each in self.playlists), default=0) or USUAL_TARGET_SECONDS

    @property
    def most_seconds(self) -> float:
        """The most that can have been recorded since pieces were measured."""
        return time.monotonic() - self.measured_at + _CLOCK_SECONDS

    def awaited(self, silence: float) -> list[bool]:
        """Return for each track whether others wait: it has no end, and is at most `silence` seconds behind another."""
        latest = max(self.grown_at)
        return [
            not playlist.ended and latest - grown_at <= silence
            for playlist, grown_at in zip(self.playlists, self.grown_at, strict=False)
        ]

    def listed_seconds(self, awaited: Sequence[bool]) -> Fraction:
        """Return the duration of the segments that `read` returned last, of the `awaited` track that is behind.

        The stated duration is corrected by the ratio of measured to stated durations of the segments before. It is 0
        if the playlist states more than can have been recorded since these: only measurements show what is there.
        """
        taken = (each.taken_seconds for each, more in zip(self.playlists, awaited, strict=True) if more)
        stated = min(taken, default=Fraction(0))
        if self.file is None and stated > self.most_seconds:
            return Fraction(0)
        if not self.stated_seconds:
            return stated
        pace = min(max(self.measured_seconds / self.stated_seconds, _LEAST_PACE), _MOST_PACE)
        return stated * Fraction(pace).limit_denominator(1000)

    def note(self, found: Found, seconds: Fraction) -> None:
        """Note by how many seconds the recording has grown with segments that were found."""
        self.measured_at, self.refused = time.monotonic(), None
        self.measured_seconds += float(seconds)
        self.stated_seconds += float(sum((segment.seconds for _, segment in found.ready[0]), Fraction(0)))

    def seen(self, item: Refresh, *, ended: bool = False) -> Seen:
        """Return how the recording goes on: whether it is silent, and why it may be."""
        silence_ms, now = int(1000 * longest_silence(item.growth)), now_ms()
        warnings = item.recording.seen.warnings
        for since, warning in filter(None, (self.fault, self.refused)):
            if (ended or now - since > silence_ms) and warning not in warnings:
                warnings = (*warnings, warning)
        return Seen(self.seen_at, self.seen_at if now - self.seen_at > silence_ms else None, warnings)

    def refuse(self, error: ClipEngineError) -> None:
        """Note why new segments cannot be used, until some can."""
        self.warn(f"its new pieces cannot be read: {error.message}")
        if self.refused is None:
            since = now_ms()
            self.refused = since, f"segments_ignored: nothing is appended since {rfc3339(since)}: {error.message}"

    def warn(self, text: str) -> None:
        if not self.warned:  # once, not at each refresh
            log.warning("recording %s: %s", self.recording_id, text)
        self.warned = True

    def read(self, store: Store, item: Refresh) -> None:
        """Read the playlists, as far as they have changed, or what was added to the file. Raises StorageError."""
        tracks = item.growth.tracks
        for number, (track, playlist) in enumerate(zip(tracks, self.playlists, strict=True)):
            if playlist.ended:
                continue
            modified = now_ms()
            try:
                if isinstance(playlist, GrowingFile):
                    playlist.forget(track.next_number)
                    modified = self._read_file(store, playlist)
                else:
                    modified = self._read_playlist(store, number, playlist, track)
            except (RecordingError, ObjectMissing) as error:
                self._ignore(track, error)
            if playlist.next_number > self.known[number]:
                self.known[number], self.grown_at[number] = playlist.next_number, time.monotonic()
                self.seen_at = max(self.seen_at, modified)

    def take(self, item: Refresh) -> list[list[NumberedSegment]]:
        """Return the segments of each track that are not in the index yet."""
        tracks = item.growth.tracks
        return [playlist.take(track.next_number) for track, playlist in zip(tracks, self.playlists, strict=True)]

    def _read_playlist(self, store: Store, number: int, playlist: GrowingPlaylist, track: GrowingTrack) -> int:
        """Read the playlist of a track if it has changed, and return when it was stored, in ms since 1970."""
        found = store.read(track.key, limit=MAX_PLAYLIST_BYTES + 1, unless=self.etags[number])
        if found is not None:
            self.etags[number] = found[0].etag
            playlist.read(found[1])
            self.fault = None
            self.may_be_other |= not playlist.continues or playlist.next_number < track.next_number
        _check_length(track.next_number, playlist)
        return now_ms() if found is None else found[0].modified

    def _ignore(self, track: GrowingTrack, error: ClipEngineError) -> None:
        """Note why a playlist cannot be used, until it can. A file is read again when it is closed."""
        self.warn(f"its playlist is ignored: {error.message}")
        if self.fault is None and self.file is None:
            since = now_ms()
            name = PurePosixPath(track.key).name
            self.fault = since, f"playlist_ignored: {name} cannot be used since {rfc3339(since)}: {error.message}"

    def note_stalled(self, store: Store, item: Refresh, last: str) -> None:
        """Note that no playlist grows, while the folder of the `last` piece gets segments. Raises StorageError."""
        path, key = PurePosixPath(last), item.growth.tracks[0].key
        later = self.seen_at + int(2000 * item.growth.longest)  # one may have been written when the producer ended
        listed = islice(store.list(f"{path.parent}/"), _MOST_LISTED)
        newer = (each.key for each in listed if each.modified > later and each.key.endswith(path.suffix))
        if self.fault is None and (found := next(newer, None)) is not None:
            name, since = PurePosixPath(key).name, rfc3339(self.seen_at)
            text = f"{name} lists nothing new since {since}, but {PurePosixPath(found).name} is newer"
            self.fault = self.seen_at, f"playlist_stalled: {text}"

    def _read_file(self, store: Store, file: GrowingFile) -> int:
        """Find the units that were added to the file, and return when it was stored, in ms since 1970.

        It has ended if a program has written its header again.
        """
        modified = now_ms()
        try:
            modified = read_growing(store, file)
        except ObjectChanged:
            file.ended = True
        if file.jumps:
            self.warn("the clock of its file jumps: what follows can be cut when it has ended")
        return modified

    def find(self, store: Store, listed: Sequence[Sequence[NumberedSegment]], *, awaits_late: bool) -> Found:
        """Look up the listed segments in the store, up to one that may still appear there if it `awaits_late` ones."""
        keys = [key for segments in listed for _, segment in segments for key in _keys(segment)]
        growing = {key for segments in listed for key in ranged_keys(segment for _, segment in segments)}
        stored = self.file.stored() if self.file is not None else stored_pieces(store, keys, growing=growing)
        ready, late = [], []
        for segments in listed:
            count, is_late = 0, False
            for number, (_, segment) in enumerate(segments, 1):
                if _keys(segment) and is_stored(segment.data, stored):
                    count = number  # the last one is in the store: after a gap, there is always a piece
                elif _keys(segment) and awaits_late and self._is_late(segment):
                    is_late = True
                    break
            ready.append(list(segments[:count]))
            late.append(is_late)
        return Found(ready, stored, late)

    def _is_late(self, segment: Segment) -> bool:
        """Return True if a listed piece may still appear in the store."""
        now, target = time.monotonic(), max(each.target_seconds for each in self.playlists)
        since = self.missing.setdefault(segment.data, now)
        return now - since < _LATE_TARGETS * (target or USUAL_TARGET_SECONDS)


class FollowedRecordings:
    """The recordings that this engine follows. Each is refreshed by one thread at a time."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._known: dict[str, Followed] = {}

    def of(self, item: Refresh) -> Followed:
        """Return what is known of a recording."""
        id = item.recording.recording_id
        found = self._known.pop(id, None) or Followed.begin(item, self._base_url)
        self._known[id] = found
        if len(self._known) > _MOST_FOLLOWED:  # some were deleted, or belong to another engine by now
            del self._known[next(iter(self._known))]
        return found

    def forget(self, id: str) -> None:
        self._known.pop(id, None)


def _new_playlists(item: Refresh, base_url: str) -> list[GrowingPlaylist | GrowingFile]:
    tracks, end = item.growth.tracks, item.growth.file_end
    if end is not None:
        (track,) = tracks
        return [GrowingFile(track.key, end, offset=track.next_number)]
    folder = item.recording.bucket_path.rpartition("/")[0] + "/"
    return [GrowingPlaylist(each.key, folder, base_url=base_url) for each in tracks]


def _check_length(known: int, playlist: GrowingPlaylist) -> None:
    if playlist.next_number < known:
        raise RecordingError(f"it ends with the segment {playlist.next_number}, and had {known} before")


def _keys(segment: Segment) -> list[str]:
    if segment.gap or segment.encrypted:
        return []
    return [segment.data.key, *([] if segment.init is None else [segment.init.key])]
