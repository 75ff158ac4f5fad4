"""Clips that are cut and wait for the store: running, with the file in scratch and its result in the row.

An encoder has let go of them; whoever uploads one owns its row for that long. They keep their attempt, so that a clip
is cut once, however often the store has to be asked. Every way out of `running` takes `finished` away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from clipengine.clips.clip import Clip, ClipResult
from clipengine.ledger.clips import Clips
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.schema import ClipRow
from clipengine.timecode import now_ms


@dataclass(frozen=True)
class Finished:
    """What the child has made and read back. `poster_sha256` is None where there is no poster."""

    result: ClipResult
    poster_sha256: str | None


class Uploads:
    def __init__(self, database: Database, clips: Clips) -> None:
        self._database = database
        self._clips = clips

    def add(self, id: str, attempt: int, finished: Finished, *, progress: float, owner: str) -> bool:
        """Record that `owner` has cut the clip, which waits for its upload, due at once. False: the claim was lost.

        Not durable: after a power cut the clip is cut again, and its file may be lost just as well.
        """
        values = {"finished": asdict(finished), "step": "uploading", "progress": progress, "cut_by": owner}
        values["engine_deaths"] = 0  # what ran to its end killed nobody
        with self._database.transaction(durable=False):
            return self._clips.transition(id, "running", attempt, {**values, "owner": None, "next_at": now_ms()})

    def claim(self, owner: str) -> tuple[Clip, Finished] | None:
        """The clip that has waited longest for its upload, now owned by `owner`, or None.

        Where engines share the ledger, each uploads what lies in its own scratch.
        """
        waiting = self._waiting_for(owner)
        due = ClipRow.select(ClipRow.clip_id, ClipRow.attempt, ClipRow.finished)
        due = due.where(*waiting, ClipRow.next_at <= now_ms()).order_by(ClipRow.next_at, ClipRow.clip_id).limit(1)
        with self._database.session():
            if self._database.row(due) is None:  # without the writer's lock: most calls find nothing
                return None
            with self._database.transaction(durable=False):
                row = self._database.row(due)
                if row is None:
                    return None
                id, attempt = row["clip_id"], row["attempt"]
                if not self._clips.transition(id, "running", attempt, {"owner": owner}):
                    return None
                return self._clips.get(id), _finished(row["finished"])

    def later(self, id: str, attempt: int, *, delay_ms: int, outage_ms: int) -> bool:
        """Wait again: due after `delay_ms`. `outage_ms` is added to what the clip has waited for the store."""
        values = {"owner": None, "next_at": now_ms() + delay_ms, "outage_ms": ClipRow.outage_ms + outage_ms}
        with self._database.transaction():
            return self._clips.transition(id, "running", attempt, values)

    def retry_now(self) -> None:
        """The store answers again: everything that waits for it is due now."""
        waiting = (ClipRow.finished.is_null(False), ClipRow.owner.is_null(), ClipRow.next_at > now_ms())
        with self._database.session():
            if self._database.row(ClipRow.select(ClipRow.clip_id).where(*waiting).limit(1)) is not None:
                self._database.change(ClipRow.update(next_at=now_ms()).where(*waiting))

    def due(self, owner: str) -> bool:
        """Whether an upload is due now that `owner` may claim."""
        waiting = (*self._waiting_for(owner), ClipRow.next_at <= now_ms())
        return self._database.row(ClipRow.select(ClipRow.clip_id).where(*waiting).limit(1)) is not None

    def _waiting_for(self, owner: str) -> tuple[Any, ...]:
        waiting = (ClipRow.finished.is_null(False), ClipRow.owner.is_null())
        return (*waiting, ClipRow.cut_by == owner) if self._database.shared else waiting

    def waiting(self) -> dict[str, int]:
        """The attempt of every clip that is finished and not yet in the store, by its id."""
        rows = self._database.rows(
            ClipRow.select(ClipRow.clip_id, ClipRow.attempt).where(ClipRow.finished.is_null(False))
        )
        return {row["clip_id"]: row["attempt"] for row in rows}


def _finished(stored: dict[str, Any]) -> Finished:
    return Finished(ClipResult(**stored["result"]), stored["poster_sha256"])
