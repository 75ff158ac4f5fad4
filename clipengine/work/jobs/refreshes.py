"""Refreshes of recordings that are still written: read what was added to them, and measure it if needed.

A refresh requests each playlist, lists the files of a folder after the last known one, or reads the new bytes of a
file. If a request waits for the recording, or was made lately, a child measures new pieces at once. Otherwise it
measures many together, later:

    claim --> read --+-- playlists list another session -----------------------> `live.end_session`
                     +-- nothing new, or few pieces and no request waits ------> `live.later`
                     +-- the file has ended --> probe all of it ---------------> `live.close`
                     +-- new pieces --+-- the last known ones are overwritten -> `live.end_session`
                                      +-- measure and place them --+-----------> `live.append`
                                                                   +-- the last -> `live.complete`

A recording ends if its playlists or its file state the end (`Followed.states_end`), if a request ends it
(`Refresh.ending`), or if its producer is silent for too long. In the last two cases, listed pieces that are missing in
the store are gaps at once. `clipengine.recordings.timeline.growing` describes how pieces are placed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import replace
from fractions import Fraction
from functools import partial

from clipengine.basis.documents import ReadDocument, read_here
from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.basis.tracing import bind
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import (
    ClipEngineError,
    ObjectChanged,
    ObjectMissing,
    RecordingError,
    StorageError,
)
from clipengine.ledger.recordings.live import Added, Closed, Refresh
from clipengine.recordings.assembly import check_runs
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.growing_file import GrowingFile
from clipengine.recordings.pieces import PieceIndex, Track
from clipengine.recordings.playlist import GrowingPlaylist, VariantChoice
from clipengine.recordings.recording import Recording
from clipengine.recordings.timeline.clock import Clock
from clipengine.recordings.timeline.clock_resets import split_at_clock_resets
from clipengine.recordings.timeline.growing import check_gaps, continue_index, grown, held_back, known_extents, unread
from clipengine.settings.settings import Encoding
from clipengine.stores.base import ObjectReader, Store
from clipengine.stores.folders import MAX_FILES, FolderFiles, read_folder
from clipengine.stores.growing_etag import is_growing
from clipengine.stores.pieces_reader import PiecesReader
from clipengine.stores.playlists import read_texts_of
from clipengine.stores.producer_restarts import OVERWRITTEN, is_other_session, is_overwritten, left_of
from clipengine.work.camera_files_left_out import report_left_out
from clipengine.work.children.jobs import Job, Message, probe_job, probe_result, probe_texts
from clipengine.work.children.kept_children import KeptChildren
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.running import RunningChildren
from clipengine.work.claim_watch import ClaimWatch
from clipengine.work.jobs.folder_probe import read_added_files
from clipengine.work.jobs.followed import USUAL_TARGET_SECONDS, Followed, FollowedRecordings, Found, NumberedSegment
from clipengine.work.jobs.measuring import Measuring, valid_reports, with_sizes
from clipengine.work.jobs.piece_texts import read_texts, store_texts
from clipengine.work.jobs.silent_producers import SILENCE_SECONDS, is_silent, is_written_out, longest_silence
from clipengine.work.recording_files import digest_of_file
from clipengine.work.retry import retry_until_written
from clipengine.work.worker import ClaimLost, JobContext, Jobs, Retry

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_SECONDS = 2  # between two refreshes of a recording
_UNWATCHED_SECONDS = 60  # between the listings of a folder without requests for it
_LONGEST_FILE_SECONDS = 20  # a folder is listed at least twice as often if a request waits
_CLOSING_SECONDS = 2  # in which a program finishes a file after its last bytes
_KEPT_SECONDS = 15.0  # for which a child waits for more pieces: longer than most segments
_MOST_KEPT = 8  # idle children
_MOST_LISTED = 600  # pieces that are not measured yet


class Refresher(Jobs[Refresh]):
    """Jobs that refresh recordings that are still written."""

    activity = "the recording was refreshed"

    def __init__(
        self,
        context: JobContext,
        store: Store,
        pool: ChildPool,
        *,
        encoding: Encoding,
        playlist_base_url: str = "",
        settle_seconds: float = 0,
        read: ReadDocument = read_here,
    ) -> None:
        super().__init__(context)
        self._read_document = read
        self._store = store
        self._settle_seconds = settle_seconds  # of files in a folder
        self._encoding = encoding
        self._base_url = playlist_base_url
        self._followed = FollowedRecordings(playlist_base_url)
        self._children = RunningChildren(pool.take)
        self._kept = KeptChildren(pool, idle_seconds=_KEPT_SECONDS, most_idle=_MOST_KEPT)

    def claim(self) -> Refresh | None:
        return self._ledger.live.claim(self._owner)

    def is_due(self) -> bool:
        return self._ledger.live.is_due(self._owner)

    def ids(self, item: Refresh) -> list[str]:
        return [item.recording.recording_id]

    def label(self, item: Refresh) -> str:
        return f"recording {item.recording.recording_id}"

    def context(self, item: Refresh) -> AbstractContextManager[None]:
        return bind(recording_id=item.recording.recording_id, attempt=item.lease, engine=self._owner)

    def run(self, item: Refresh) -> None:
        """Read what was added to a folder, a file or playlists. Append it, or complete the recording at its end."""
        followed = self._followed.of(item)
        if item.recording.folder is not None:
            self._refresh_folder(item, followed, FolderSource.from_object(item.recording.folder))
            return
        followed.read(self._store, item)
        if followed.may_be_other and self._is_other_session(item, followed):
            self._end_session(item)
            return
        listed = followed.take(item)
        end_is_assumed = item.ending or self._silent_for(followed) > longest_silence(item.growth)
        has_ended = end_is_assumed or followed.states_end
        if not has_ended and not self._is_due_now(item, followed, listed):
            self._later(item, followed, followed.listed_seconds(self._awaited(item, followed)))
        elif followed.file is not None:
            self._refresh_file(item, followed, followed.file, listed, has_ended=has_ended)
        else:
            self._refresh_playlists(item, followed, listed, has_ended=has_ended, awaits_late=not end_is_assumed)

    def retry(self, item: Refresh, error: ClipEngineError) -> Retry | None:
        return Retry(round(USUAL_TARGET_SECONDS * 1000))

    def later(self, item: Refresh, error: ClipEngineError, retry: Retry) -> bool:
        self._followed.forget(item.recording.recording_id)  # the time of an outage does not count as silence
        return self._ledger.live.later(item, now_ms() + retry.delay_ms)

    def fail(self, item: Refresh, error: ClipEngineError) -> bool:
        return self._ledger.live.later(item, now_ms() + USUAL_TARGET_SECONDS * 1000)

    def release(self, item: Refresh) -> None:
        self._ledger.live.later(item, now_ms())

    def lost(self, item: Refresh) -> None:
        self._followed.forget(item.recording.recording_id)

    def interrupt(self) -> None:
        """Kill the running children. Their recordings are refreshed again."""
        self._kept.close()
        self._children.kill()

    @staticmethod
    def _is_due_now(item: Refresh, followed: Followed, listed: Sequence[Sequence[NumberedSegment]]) -> bool:
        """Return True if there are new pieces, and they are measured now instead of together with later ones."""
        count = max(len(segments) for segments in listed)
        is_wanted = item.wanted and not followed.is_behind
        return count >= (1 if is_wanted else _MOST_LISTED)

    # ---- playlists

    def _refresh_playlists(
        self,
        item: Refresh,
        followed: Followed,
        listed: Sequence[Sequence[NumberedSegment]],
        *,
        has_ended: bool,
        awaits_late: bool,
    ) -> None:
        """Append the listed pieces, or end the recording if its producer was started again.

        If it `awaits_late` pieces, a track is appended up to its first piece that is not in the store yet.
        """
        # The playlist of a producer that was started again may continue the known one, with the same names and
        # durations. Then `_is_other_session` is not asked, and only the objects in the store are different.
        end = self._ledger.recordings.pieces.end(item.recording.recording_id)
        if is_overwritten(self._store, end, partial(self._index, item)):
            self._end_session(item)
            return
        found = followed.find(self._store, listed, awaits_late=awaits_late)
        self._append_found(item, followed, end, found, is_last=has_ended and not any(found.late))

    def _append_found(self, item: Refresh, followed: Followed, end: PieceIndex, found: Found, *, is_last: bool) -> None:
        """Measure the pieces that were found, and append them. With `is_last`, set the recording complete."""
        added = self._measure(item, followed, end, found, is_last=is_last)
        if added is None:
            self._later(item, followed)
        elif is_last:
            self._complete(item, followed, added)
        else:
            followed.note(found, added.growth.safe_end - item.growth.safe_end)
            self._append(item, followed, added)

    # ---- folders of files

    def _refresh_folder(self, item: Refresh, followed: Followed, source: FolderSource) -> None:
        """Append new files to the index, or set the recording complete if it has ended."""
        assert item.growth.folder_end is not None
        known, after = (item.recording.pieces or {}).get("count", 0), item.growth.folder_end.order
        listed = read_folder(self._store, source, after=after, settle_seconds=self._settle_seconds)
        new = len(listed.times)
        followed.seen_at = max(followed.seen_at, listed.modified)
        if new:
            followed.grown_at = [time.monotonic()]
        is_full = known + new > MAX_FILES
        if is_full:
            followed.warn(f"it ends, because its folder has more than {MAX_FILES} files")
        is_last = item.ending or is_full or is_written_out(source, item.growth, self._silent_for(followed))
        if is_last and not is_full:
            listed = read_folder(self._store, source, after=after)  # with the last file, which was still written
        added = self._measure_if_any(item, followed, listed, is_last=is_last)
        if added is None:
            self._later(item, followed)
        elif is_last:
            self._save(partial(self._ledger.live.complete, item, added, seen=followed.seen(item, ended=True)))
            self._log_end(item, added.facts)
            report_left_out(self._store, self._ledger.recordings, item.recording.recording_id, source)
        else:
            self._append(item, followed, added)

    def _measure_if_any(self, item: Refresh, followed: Followed, listed: FolderFiles, *, is_last: bool) -> Added | None:
        """Return the additions, or None if there are none.

        New files that children cannot read are tried again for SILENCE_SECONDS, or until the recording ends, and then
        left out.
        """
        if not listed.times and not is_last:
            return None
        try:
            added = self._measure_files(item, listed, is_last=is_last)
        except RecordingError as error:
            followed.warn(f"its new files cannot be read: {error.message}")
            since = followed.missing.setdefault("", time.monotonic())
            if not is_last and time.monotonic() - since < SILENCE_SECONDS:
                return None
            nothing = replace(listed, index=PieceIndex([Track("muxed", [])]), times=[])
            added = self._measure_files(item, nothing, is_last=is_last)
        followed.missing.clear()
        return added

    def _measure_files(self, item: Refresh, listed: FolderFiles, *, is_last: bool) -> Added:
        """Have a child read the new files, and place them. Raises RecordingError."""
        recording = item.recording
        assert recording.facts is not None
        clock = None if recording.found_clock is None else Clock.from_object(recording.found_clock)
        (end,) = self._ledger.recordings.pieces.end(recording.recording_id).tracks
        probe, report = probe_job(self._encoding), partial(self._report, item)
        with valid_reports(recording.recording_id):
            found = read_added_files(self._store, listed, item.growth, clock, probe, report, end.runs[-1])
            facts = with_sizes(recording.facts, found.sizes)
        tail = PieceIndex([Track(end.kind, [*end.runs, *found.index.tracks[0].runs])])
        duration = found.growth.end if is_last else found.growth.safe_end
        return Added(tail, found.growth, facts.model_copy(update={"duration": duration}), found.clock)

    def _silent_for(self, followed: Followed) -> float:
        """Return the seconds since the last addition. Tests scale them."""
        return followed.silent_seconds / self.faults.scale_delay(1000) * 1000

    def _awaited(self, item: Refresh, followed: Followed) -> list[bool]:
        """Return True for each track for which the other tracks wait, see `Followed.awaited`."""
        found = followed.awaited(longest_silence(item.growth) * self.faults.scale_delay(1000) / 1000)
        for track, playlist, more in zip(item.growth.tracks, followed.playlists, found, strict=True):
            if not (more or playlist.ended):
                followed.warn(f"{track.key} has nothing new, and clips do not wait for it any more")
        return found

    def _next_at(self, item: Refresh, followed: Followed) -> int:
        """Return the time of the next refresh: after a target duration, or half of it if a request waits.

        A file that was not read to its end, because it is large, is due at once.
        """
        if followed.is_behind and not followed.states_end:
            return now_ms()
        target = followed.target_seconds
        if item.recording.folder is not None:
            target = min(int(item.growth.longest), _LONGEST_FILE_SECONDS) if item.wanted else _UNWATCHED_SECONDS
        return now_ms() + max(_SHORTEST_PAUSE_SECONDS * 1000, target * (500 if item.wanted else 1000))

    def _later(self, item: Refresh, followed: Followed, listed: Fraction = Fraction(0)) -> None:
        """Release the refresh. `listed` is the duration of listed pieces that are not measured yet."""
        seconds = float((item.growth.safe_end + listed) * 1000 // 1) / 1000 if listed else None
        next_at = self._next_at(item, followed)
        self._save(partial(self._ledger.live.later, item, next_at, listed_seconds=seconds, seen=followed.seen(item)))

    def _append(self, item: Refresh, followed: Followed, added: Added) -> None:
        next_at, seen = self._next_at(item, followed), followed.seen(item)
        self._save(partial(self._ledger.live.append, item, next_at, added, seen))

    # ---- growth of the index

    def _measure(
        self, item: Refresh, followed: Followed, end: PieceIndex, found: Found, *, is_last: bool
    ) -> Added | None:
        """Return the additions, or None if there are none, or if they cannot be read.

        When the recording ends, additions that cannot be read are left out.
        """
        try:
            for listed in found.ready:
                check_gaps(listed, found.stored, followed.most_seconds)
            segments = [[segment for _, segment in each] for each in found.ready]
            tail = continue_index(end, segments, found.stored)
            self._check_runs(item.recording, tail)
            if not unread(tail).tracks and not is_last:
                return None
            return self._scanned(item, followed, tail, found, is_last=is_last)
        except RecordingError as error:
            followed.refuse(error)
        if not is_last:
            return None
        nothing = Found([[] for _ in end.tracks], {}, [False] * len(end.tracks))
        return self._scanned(item, followed, continue_index(end, [()] * len(end.tracks), {}), nothing, is_last=True)

    def _scanned(
        self,
        item: Refresh,
        followed: Followed,
        tail: PieceIndex,
        found: Found,
        *,
        is_last: bool,
    ) -> Added | None:
        """Have a child read the new pieces, and place them. Return None if none can be placed yet.

        Raises RecordingError.
        """
        recording = item.recording
        may_grow = [
            not is_last and (more or late) for more, late in zip(self._awaited(item, followed), found.late, strict=True)
        ]
        reader = PiecesReader(self._store, recording.bucket_path, tail, etag=tail.etag)
        with closing(reader), valid_reports(recording.recording_id):
            measuring = Measuring(tail, reader, probe_job(self._encoding), partial(self._scan, item))
            known = known_extents(item.growth, tail, measuring.extents)
            measure = measuring.extents if followed.file is None else None
            tail, scans = split_at_clock_resets(tail, known, measure, measuring.samples)
            self._check_runs(recording, tail)
            tail, scans, numbers = held_back(item.growth, tail, scans, found.ready, may_grow=may_grow[0])
            if not unread(tail).tracks and not is_last:
                return None
            growth = grown(item.growth, tail, scans, numbers, may_grow)
            growth = replace(growth, file_end=None if followed.file is None else followed.file.end)
            assert recording.facts is not None
            facts = with_sizes(recording.facts, measuring.sizes)
        duration = growth.end if is_last else growth.safe_end
        followed.missing.clear()
        return Added(tail, growth, facts.model_copy(update={"duration": duration}))

    @staticmethod
    def _check_runs(recording: Recording, tail: PieceIndex) -> None:
        """Raise TooManyPieces if a recording would have too many runs with a continued index."""
        check_runs((recording.pieces or {}).get("runs", 0) + len(list(tail.runs())) - len(tail.tracks))

    def _scan(self, item: Refresh, job: Job, reader: ObjectReader) -> Message:
        """Have a child read pieces. If a request waits for the recording, keep the child for more pieces."""
        if not item.wanted:
            return self._report(item, job, reader)
        key, watch = (item.recording.recording_id, "", "scan"), self._watch(item)
        with (
            self._kept.lent(key, lambda: reader, keeps_reader=False) as (child, _),
            self._children.running(child, watch),
        ):
            return child.run(job, reader, watch=watch, keep=True)[0]

    def _report(self, item: Refresh, job: Job, reader: ObjectReader) -> Message:
        return self._children.run(job, reader, watch=self._watch(item))[0]

    def _watch(self, item: Refresh) -> ClaimWatch:
        return ClaimWatch(partial(self._ledger.live.holds, item), self.stopping)

    def _complete(self, item: Refresh, followed: Followed, added: Added) -> None:
        texts = self._texts(item, added) if item.growth.file_end is None else []
        store_texts(self._ledger.transcripts, item.recording.recording_id, texts)
        if not (item.ending or followed.states_end or followed.file):
            followed.note_stalled(self._store, item, added.tail.tracks[0].runs[-1].pieces[-1].data.key)
        etags, seen = self._final_etags(item, added), followed.seen(item, ended=True)
        self._save(partial(self._ledger.live.complete, item, added, etags, seen))
        self._log_end(item, added.facts)

    def _final_etags(self, item: Refresh, added: Added) -> dict[tuple[str, str], str]:
        """Return the final ETags of objects that were pinned while they were written, and are no longer.

        They are objects with several segments. Other objects keep the pinned ETag: if one of them was replaced, its
        clips fail.
        """
        found: dict[tuple[str, str], str] = {}
        if item.growth.file_end is not None or not any(is_growing(data.etag) for data in added.tail.ranges()):
            return found
        index = self._index(item)
        known = [*([] if index is None else index.ranges()), *added.tail.ranges()]
        for key, etag in {(each.key, each.etag) for each in known if is_growing(each.etag)}:
            with suppress(ObjectMissing, ObjectChanged):
                self._store.open(key, etag=etag).close()
                stored = self._store.head(key)
                if is_silent(stored, _CLOSING_SECONDS):
                    found[key, etag] = stored.etag
        return found

    def _log_end(self, item: Refresh, facts: SourceFacts) -> None:
        self._followed.forget(item.recording.recording_id)
        log.info("recording %s: complete, %.3f s", item.recording.recording_id, facts.duration)

    # ---- the end of a session

    def _is_other_session(self, item: Refresh, followed: Followed) -> bool:
        """Return True if a playlist belongs to another session, see `is_other_session`."""
        end = self._ledger.recordings.pieces.end(item.recording.recording_id)
        playlists = [each for each in followed.playlists if isinstance(each, GrowingPlaylist)]
        found = is_other_session(self._store, item.growth, playlists, end, partial(self._index, item))
        followed.may_be_other = False
        return found

    def _end_session(self, item: Refresh) -> None:
        """End the recording with the pieces that a producer has not overwritten, and register its new session."""
        index = self._index(item)
        left = None if index is None else left_of(self._store, index)
        seen = item.recording.seen
        seen = replace(seen, warnings=(*seen.warnings, OVERWRITTEN.format(rfc3339(now_ms()))))
        self._save(partial(self._ledger.live.end_session, item, left, seen))
        self._followed.forget(item.recording.recording_id)
        log.warning("recording %s: its producer was started again, and overwrites it", item.recording.recording_id)

    # ---- a file

    def _refresh_file(
        self,
        item: Refresh,
        followed: Followed,
        file: GrowingFile,
        listed: Sequence[Sequence[NumberedSegment]],
        *,
        has_ended: bool,
    ) -> None:
        """Append the new pieces of a file. Close it if it has ended, and nothing new is left.

        A large file of which a part is unread is closed too, because `_close_file` reads all of it anyway.
        """
        if has_ended and (not any(listed) or followed.is_behind):
            self._close_file(item, followed, file)
            return
        end = self._ledger.recordings.pieces.end(item.recording.recording_id)
        found = followed.find(self._store, listed, awaits_late=False)
        self._append_found(item, followed, end, found, is_last=False)

    def _close_file(self, item: Refresh, followed: Followed, file: GrowingFile) -> None:
        """Probe the whole file, which is no longer written, and set the recording complete.

        If it was replaced, deleted or cannot be read, the recording ends with the pieces that are in its index.
        """
        try:
            stored = self._store.head(file.key)
            if not is_silent(stored, _CLOSING_SECONDS):
                self._later(item, followed)
                return
            with closing(self._store.open(file.key, etag=stored.etag)) as reader:
                if not file.is_same(reader, stored.size):
                    raise ObjectChanged(f"{file.key} was replaced, or written anew")
                result, texts = self._children.run(probe_job(self._encoding), reader, watch=self._watch(item))
                digest = digest_of_file(reader)
            with valid_reports(item.recording.recording_id):
                facts, seek_index = probe_result(result)
                tracks = probe_texts(texts)
        except (RecordingError, ObjectMissing, ObjectChanged) as error:
            log.warning("recording %s: its file is not read as a whole: %s", item.recording.recording_id, error.message)
            end = self._ledger.recordings.pieces.end(item.recording.recording_id)
            assert item.recording.facts is not None
            facts = item.recording.facts.model_copy(update={"duration": item.growth.safe_end})
            self._complete(item, followed, Added(end, item.growth, facts))
            return
        store_texts(self._ledger.transcripts, item.recording.recording_id, tracks)
        closed = Closed(facts, stored.etag, stored.size, digest, seek_index)
        self._save(partial(self._ledger.live.close, item, closed, followed.seen(item, ended=True)))
        self._log_end(item, facts)

    def _texts(self, item: Refresh, added: Added) -> list[TextTrack]:
        """Read the texts of a recording that has ended, and return them."""
        variant = VariantChoice(**item.recording.variant or {})
        try:
            key, read = item.recording.bucket_path, self._read_document
            texts = read_texts_of(self._store, key, variant, base_url=self._base_url, read=read)
            known = self._index(item) if texts else None
            return [] if known is None else read_texts(self._store, _joined(known, added.tail), texts, read=read)
        except (RecordingError, StorageError) as error:
            log.warning("recording %s: its texts are not used: %s", item.recording.recording_id, error.message)
            return []

    def _index(self, item: Refresh) -> PieceIndex | None:
        return self._ledger.recordings.pieces.get(item.recording.recording_id)

    def _save(self, write: partial[bool]) -> None:
        if not retry_until_written(write, self.stopping):
            raise ClaimLost


def _joined(index: PieceIndex, tail: PieceIndex) -> PieceIndex:
    """Return an index with the runs that follow it."""
    return PieceIndex(
        [
            Track(known.kind, [*known.runs, *added.runs[1:]], known.title, known.language)
            for known, added in zip(index.tracks, tail.tracks, strict=True)
        ]
    )
