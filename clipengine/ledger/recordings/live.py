"""Recordings that are still written: their refreshes, which one engine at a time does, and their growth.

A recording has a row here from the end of its first probe until it has ended. The engine that knows its playlists
refreshes it; another one does if that is overdue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from clipengine.basis.timecode import now_ms
from clipengine.errors import RecordingChanged, RecordingNotFound
from clipengine.ledger.clips.clips import Clips
from clipengine.ledger.database.database import Bound, Database, Row, Statement, param
from clipengine.ledger.database.schema import LiveRow, RecordingRow
from clipengine.ledger.database.updates import Updates
from clipengine.ledger.engines.fences import FENCE_MS, is_due, set_aside
from clipengine.ledger.recordings.recordings import Recordings, probed_columns, times_of
from clipengine.ledger.rows.lease import InFlight, Leases, Living, owned_rows
from clipengine.ledger.rows.live_row import is_known, safe_seconds
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.piece_pages import format_of
from clipengine.recordings.pieces import MICROSECONDS, PieceIndex, continued_etag
from clipengine.recordings.recording import Recording, Seen
from clipengine.recordings.seek_index import SeekIndex
from clipengine.recordings.timeline.clock import Clock
from clipengine.recordings.timeline.growing import GROWTH_FORMAT, Growth, unread

_OVERDUE_MS = 10_000  # after which another engine does a refresh
_WANTED_MS = 60_000  # for which a recording is measured at each refresh, after a request for it
_ASKED_MS = 20_000  # at most so often a row is changed because of that
_DUE = Statement(
    LiveRow.select(LiveRow.recording_id)
    .where(
        LiveRow.owner.is_null(),
        is_due(LiveRow, param(LiveRow.next_at, "now"), param(LiveRow.next_at, "fenced_now")),
        (LiveRow.kept_by == param(LiveRow.kept_by, "owner"))
        | LiveRow.kept_by.is_null()
        | (LiveRow.next_at <= param(LiveRow.next_at, "overdue"))
        | LiveRow.next_at.between(FENCE_MS, param(LiveRow.next_at, "fenced_overdue")),
    )
    .order_by(LiveRow.next_at, LiveRow.recording_id)
    .limit(1)
)
_OWNED = owned_rows(LiveRow)
_KEEPERS = Statement(LiveRow.select(LiveRow.kept_by).where(LiveRow.kept_by.is_null(False)).distinct())


@dataclass(frozen=True)
class Refresh:
    """A claimed refresh. `lease` is the fencing token of this claim; times are in ms since 1970.

    It is `ending` if a request ends the recording, and `wanted` if one waits for it or was made lately.
    """

    recording: Recording
    growth: Growth
    owner: str
    lease: int
    wanted_at: int
    ending: bool
    wanted: bool


@dataclass(frozen=True)
class Added:
    """Additions to the index of a recording: `tail` begins with its last pieces. `clock` is None if unchanged."""

    tail: PieceIndex
    growth: Growth
    facts: SourceFacts
    clock: Clock | None = None


@dataclass(frozen=True)
class Closed:
    """Results of the probe of a file that is no longer written."""

    facts: SourceFacts
    etag: str
    size: int
    digest: str | None
    seek_index: SeekIndex | None


class Live:
    def __init__(self, database: Database, recordings: Recordings, clips: Clips) -> None:
        self._database = database
        self._recordings = recordings
        self._clips = clips
        self._leases = Leases(database, LiveRow.recording_id, LiveRow.lease)
        self._updates = Updates(RecordingRow, RecordingRow.recording_id)

    def claim(self, owner: str) -> Refresh | None:
        """Claim the refresh that is longest due, or return None."""
        while claimed := self._leases.claim(lambda: _due(owner), owner):
            row = claimed[0]
            try:
                growth = Growth.from_object(row["growth"])
            except (ValueError, TypeError, KeyError) as error:
                self._set_aside(row, error)
            else:
                return self._refresh(row, growth, owner)
        return None

    def _set_aside(self, row: Row, error: Exception) -> None:
        id = row["recording_id"]
        change = {"owner": None, **set_aside("live recording", id, f"its growth cannot be read ({error})")}
        with self._database.transaction(ordered=False):
            self._leases.transition(id, change, fence=row["lease"], owner=row["owner"])

    def _refresh(self, row: Row, growth: Growth, owner: str) -> Refresh | None:
        try:
            recording = self._recordings.get(row["recording_id"])
        except RecordingNotFound:  # it was deleted meanwhile
            return None
        wanted_at = row["wanted_at"]
        wanted = wanted_at > now_ms() - _WANTED_MS or self._clips.is_waiting_for(recording.recording_id)
        return Refresh(recording, growth, owner, row["lease"], wanted_at, row["ending"], wanted)

    def is_due(self, owner: str) -> bool:
        return self._database.row(_due(owner)) is not None

    def is_known(self, recording_id: str) -> bool:
        """Return False if the recording was not read since the engine's start, see `live_row.is_known`."""
        return is_known(self._database, recording_id)

    def want(self, recording_id: str, *, at_once: bool = False) -> None:
        """Have the recording measured at each refresh for a minute, and now if it is wanted `at_once`."""
        row = self._database.by_key(LiveRow, recording_id)
        now = now_ms()
        if row is None or (not at_once and row["wanted_at"] > now - _ASKED_MS):
            return
        next_at = now if at_once or row["wanted_at"] < now - _WANTED_MS else row["next_at"]
        self._change(recording_id, {"wanted_at": now, "next_at": min(next_at, row["next_at"])})

    def end(self, recording_id: str) -> Recording:
        """Have the recording end with its next refresh, if it is still written. Raises RecordingNotFound."""
        self._change(recording_id, {"ending": True, "next_at": now_ms()})
        return self._recordings.get(recording_id)

    def holds(self, refresh: Refresh) -> bool:
        """Return True if the claim is held, and the recording was not deleted."""
        row = self._database.by_key(LiveRow, refresh.recording.recording_id)
        return row is not None and (row["lease"], row["owner"]) == (refresh.lease, refresh.owner)

    def _change(self, recording_id: str, values: dict[str, Any]) -> None:
        with self._database.transaction(ordered=False):
            if self._database.change(LiveRow.update(values).where(LiveRow.recording_id == recording_id)):
                self._database.enqueue("live", recording_id)

    def later(
        self, refresh: Refresh, next_at: int, *, listed_seconds: float | None = None, seen: Seen | None = None
    ) -> bool:
        """Release the refresh until the next one. Return False if the claim was lost.

        With its listed pieces, the recording is probably written up to `listed_seconds`. `seen` is its growth, here and
        below, or None if that is unchanged.
        """
        with self._locked(refresh, durable=False) as row:
            if not self._release(refresh, next_at, {}):
                return False
            has_grown = listed_seconds is not None and listed_seconds != refresh.recording.safe_seconds
            values: dict[str, Any] = {"safe_seconds": listed_seconds} if has_grown else {}
            if has_grown or _goes_on_differently(refresh, seen):
                self._update(refresh, row, values | _changed(refresh, seen))
            return True

    def append(self, refresh: Refresh, next_at: int, added: Added, seen: Seen | None = None) -> bool:
        """Add pieces, release the refresh, and queue the clips that waited for them. Return False for a lost claim."""
        with self._locked(refresh) as row:
            if not self._release(refresh, next_at, {"growth": added.growth.to_object(), "needs": GROWTH_FORMAT}):
                return False
            self._add(refresh, row, added, safe_seconds=safe_seconds(added.growth), **_changed(refresh, seen))
            self._clips.queue_reached(refresh.recording.recording_id)
            return True

    def complete(
        self,
        refresh: Refresh,
        added: Added,
        etags: Mapping[tuple[str, str], str] | None = None,
        seen: Seen | None = None,
    ) -> bool:
        """Set the recording `complete`, write its event and queue its clips. Return False for a lost claim.

        `etags` replace the ETags of objects that were still written, see `PieceIndex.pinned`.
        """
        id = refresh.recording.recording_id
        with self._locked(refresh) as row:
            held = self._leases.held([id], fence=refresh.lease, owner=refresh.owner)
            if not self._database.change(LiveRow.delete().where(held)):
                return False
            self._add(refresh, row, added, **_ended(refresh, seen))
            self._recordings.pieces.pin(id, etags or {})
            self._clips.queue_reached(id)
            self._recordings.record_end(id)
            return True

    def close(self, refresh: Refresh, closed: Closed, seen: Seen | None = None) -> bool:
        """Set the recording of a file `complete`, as if it had been registered now. Return False for a lost claim."""
        id = refresh.recording.recording_id
        with self._locked(refresh) as row:
            held = self._leases.held([id], fence=refresh.lease, owner=refresh.owner)
            if not self._database.change(LiveRow.delete().where(held)):
                return False
            self._recordings.pieces.remove(id)
            self._recordings.put_seek_index(id, closed.seek_index)
            found = probed_columns(closed.facts, etag=closed.etag, size=closed.size, digest=closed.digest)
            self._update(refresh, row, found | _ended(refresh, seen), closed.facts)
            self._clips.queue_reached(id)
            self._recordings.record_end(id)
            return True

    def end_session(self, refresh: Refresh, left: PieceIndex | None, seen: Seen) -> bool:
        """End a recording whose producer overwrites it, and register its next session. Return False for a lost claim.

        Its status is `complete` with the pieces that are `left`, or `failed` if `left` is None.
        """
        recording = refresh.recording
        id = recording.recording_id
        with self._locked(refresh) as row:
            held = self._leases.held([id], fence=refresh.lease, owner=refresh.owner)
            if not self._database.change(LiveRow.delete().where(held)):
                return False
            ended, facts = _ended(refresh, seen) | {"replaced_at": now_ms()}, recording.facts
            if left is None or facts is None:
                error = RecordingChanged("a producer that was started again has overwritten all of the recording")
                self._update(refresh, row, ended | {"state": "failed", "error": error.to_object()})
            else:
                last = max(run.pieces[-1].end for _, run in left.runs())
                duration = min(refresh.growth.end, Fraction(last, MICROSECONDS))
                facts = facts.model_copy(update={"duration": duration})
                self._recordings.pieces.remove(id)
                self._recordings.pieces.put(id, left)
                found = probed_columns(facts, etag=left.etag, size=left.counts.bytes, pieces=left)
                del found["found_clock"]
                self._update(refresh, row, found | ended, facts)
            self._recordings.register_again(recording)
            self._clips.queue_reached(id)
            self._recordings.record_end(id)
            return True

    def release_orphans(self, owner: str, *, in_flight: InFlight, living: Living) -> int:
        """Release abandoned refreshes and return their number, see `Leases.orphans`.

        The recordings that engines kept which are not `living` are due at once: no other engine would refresh them
        before they are overdue.
        """
        due = {"next_at": now_ms(), "kept_by": None}
        released = self._leases.release_orphans(_OWNED, owner, due, in_flight=in_flight, living=living)
        keepers = {row["kept_by"] for row in self._database.rows(_KEEPERS)}
        if gone := keepers - {owner, *living()}:
            left = LiveRow.owner.is_null() & LiveRow.kept_by.in_(sorted(gone))
            with self._database.transaction(ordered=False):
                self._database.change(LiveRow.update(due).where(left))
        return released

    @contextmanager
    def _locked(self, refresh: Refresh, *, durable: bool = True) -> Iterator[Row | None]:
        """Begin a transaction that locks the recording first, as those do that create clips of it. Yield its row."""
        with self._database.transaction(durable=durable, ordered=False):
            yield self._database.by_key(RecordingRow, refresh.recording.recording_id, lock=True)

    def _release(self, refresh: Refresh, next_at: int, values: dict[str, Any]) -> bool:
        """Release the claim. A request that came meanwhile gets another refresh at once."""
        release = partial(
            self._leases.transition, refresh.recording.recording_id, fence=refresh.lease, owner=refresh.owner
        )
        values = {**values, "owner": None, "kept_by": refresh.owner}
        asked = {"wanted_at": refresh.wanted_at, "ending": refresh.ending}
        return release({**values, "next_at": next_at}, unchanged=asked) or release({**values, "next_at": now_ms()})

    def _add(self, refresh: Refresh, row: Row | None, added: Added, **values: Any) -> None:
        recording, tail = refresh.recording, added.tail
        new = unread(tail)
        if new.tracks:
            self._recordings.pieces.append(recording.recording_id, tail)
        gaps = [gap.to_object() for gap in tail.gaps if gap.start > 0]  # the gap before the last pieces is known
        if added.clock is not None:
            values["found_clock"] = added.clock.to_object()
        if (needs := format_of(tail)) > recording.needs:
            values["needs"] = needs
            self._clips.need(recording.recording_id, needs)
        self._update(
            refresh,
            row,
            {
                **values,
                "facts": added.facts.model_dump(mode="json"),
                "duration_seconds": float(added.facts.duration),
                "etag": continued_etag(recording.etag, new.ranges()),
                "file_size_bytes": recording.file_size_bytes + new.counts.bytes,
                "pieces": _counts(recording, tail, new),
                "gaps": [*(recording.gaps or []), *gaps],
            },
            added.facts,
        )

    def _update(
        self, refresh: Refresh, row: Row | None, values: dict[str, Any], facts: SourceFacts | None = None
    ) -> None:
        """Change the locked `row` of the recording, unless it was deleted.

        `facts` are the facts in `values`, if it has any.
        """
        if row is None:
            return
        recording = refresh.recording
        given = {name: (row | values)[name] for name in ("safe_seconds", "found_clock", "given_start")}
        changed = values | times_of(replace(recording, facts=facts or recording.facts, **given))
        id = recording.recording_id
        self._database.change(self._updates.of([id], changed, increments=["revision"]))
        self._database.record_progress("recording", id)


def _due(owner: str) -> Bound:
    """Return the query of the refresh that is longest due."""
    now = now_ms()
    times = {"now": now, "overdue": now - _OVERDUE_MS}
    return _DUE.bind(owner=owner, **times, **{f"fenced_{name}": FENCE_MS + time for name, time in times.items()})


def _changed(refresh: Refresh, seen: Seen | None) -> dict[str, Any]:
    """Return the columns of `seen`, or none if they have not changed."""
    return {} if seen in (None, refresh.recording.seen) else seen.to_columns()


def _goes_on_differently(refresh: Refresh, seen: Seen | None) -> bool:
    """Return True if the recording became silent, is no longer silent, or has other warnings."""
    before = refresh.recording.seen
    return seen is not None and (seen.silent_since, seen.warnings) != (before.silent_since, before.warnings)


def _ended(refresh: Refresh, seen: Seen | None) -> dict[str, Any]:
    """Return the columns of a recording that has ended."""
    seen = replace(seen or refresh.recording.seen, silent_since=None)
    return {**seen.to_columns(), "safe_seconds": None, "live": False, "completed_at": now_ms()}


def _counts(recording: Recording, tail: PieceIndex, new: PieceIndex) -> dict[str, int]:
    known, added = recording.pieces or {}, asdict(new.counts)
    runs = sum(len(track.runs) - 1 for track in tail.tracks)
    return {name: known.get(name, 0) + {**added, "runs": runs, "tracks": 0}[name] for name in added}
