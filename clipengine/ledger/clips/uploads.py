"""Uploads of clips: state `uploading`, with the file in scratch and the result in the row.

No encoder owns them; an uploader owns the row while it uploads. Its claim keeps the attempt, so that a clip is cut once
even if its upload needs several tries. Every transition out of `uploading` clears `finished`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult
from clipengine.ledger.clips.clip_state import entering
from clipengine.ledger.clips.clips import Clips
from clipengine.ledger.database.database import Bound, Database, Statement, param
from clipengine.ledger.database.schema import ClipRow

# The state `uploading`, by a CHECK of the table, in the form that uses the partial index.
_UPLOADING = ClipRow.finished.is_null(False)


def _waiting(*where: Any) -> Any:
    return ClipRow.select(ClipRow.clip_id, ClipRow.attempt, ClipRow.finished).where(
        _UPLOADING, ClipRow.owner.is_null(), *where
    )


def _due(*where: Any) -> Statement:
    waiting = _waiting(ClipRow.next_at <= param(ClipRow.next_at, "now"), *where)
    return Statement(waiting.order_by(ClipRow.next_at, ClipRow.clip_id).limit(1))


_DUE, _OWN_DUE = _due(), _due(ClipRow.cut_by == param(ClipRow.cut_by, "owner"))
_ATTEMPTS = Statement(ClipRow.select(ClipRow.clip_id, ClipRow.attempt).where(ClipRow.state == "uploading"))


@dataclass(frozen=True)
class Finished:
    """Result of a verified clip. `poster_sha256` is None if it has no poster."""

    result: ClipResult
    poster_sha256: str | None
    subtitles_sha256: dict[str, str] = field(default_factory=dict)  # by language
    manifest_sha256: str | None = None


class Uploads:
    def __init__(self, database: Database, clips: Clips) -> None:
        self._database = database
        self._clips = clips

    def add(self, id: str, attempt: int, finished: Finished, *, progress: float, owner: str) -> bool:
        """Queue a clip that `owner` has cut for upload, due now. Return False if the claim was lost.

        Durable if engines share the ledger: the attempt must not begin again while its file is uploaded, see `lease`.
        Otherwise a power cut may lose the file as well, and the clip is then cut again.
        """
        values = entering("uploading", finished=asdict(finished), progress=progress, cut_by=owner, next_at=now_ms())
        keys = [each.path for each in finished.result.subtitles]
        if finished.result.manifest_path is not None:
            keys.append(finished.result.manifest_path)
        with self._database.transaction(durable=self._database.shared, ordered=False):
            if keys:  # an earlier attempt may have stored other ones under the same key of the clip
                row = self._database.by_key(ClipRow, id, lock=True)
                values["subtitle_keys"] = [*dict.fromkeys([*((row and row["subtitle_keys"]) or ()), *keys])]
            return self._clips.transition(id, "cutting", attempt, values)

    def claim(self, owner: str) -> tuple[Clip, Finished] | None:
        """Claim the clip that has waited longest for its upload, or return None.

        Engines that share a ledger upload only files from their own scratch folder.
        """
        for row in self._clips.leases.claim(lambda: self._due(owner), owner, new_fence=False, notify=True):
            return self._clips.get(row["clip_id"]), _finished(row["finished"])
        return None

    def later(self, id: str, attempt: int, *, delay_ms: int, outage_ms: int) -> bool:
        """Release the clip; it is due again after `delay_ms`. Add `outage_ms` to its time of waiting for the store."""
        values = {"owner": None, "next_at": now_ms() + delay_ms, "outage_ms": ClipRow.outage_ms + outage_ms}
        with self._database.transaction(ordered=False):
            return self._clips.transition(id, "uploading", attempt, values)

    def retry_now(self) -> None:
        """Make all waiting uploads due now, because the store is available again."""
        waiting = (_UPLOADING, ClipRow.owner.is_null(), ClipRow.next_at > now_ms())
        with self._database.session():
            if self._database.row(ClipRow.select(ClipRow.clip_id).where(*waiting).limit(1)) is not None:
                with self._database.transaction(ordered=False):
                    self._database.change(ClipRow.update(next_at=now_ms()).where(*waiting))

    def is_due(self, owner: str) -> bool:
        """Return True if an upload is due that `owner` may claim."""
        return self._database.row(self._due(owner)) is not None

    def has_waiting(self, owner: str) -> bool:
        """Return True if uploads wait, due or not, that `owner` may claim."""
        waiting = _waiting(*([ClipRow.cut_by == owner] if self._database.shared else []))
        return self._database.row(waiting.limit(1)) is not None

    def _due(self, owner: str) -> Bound:
        return (_OWN_DUE if self._database.shared else _DUE).bind(owner=owner, now=now_ms())

    def waiting(self) -> dict[str, int]:
        """Return the attempts of all finished clips that are not yet in the store, by clip id."""
        return {row["clip_id"]: row["attempt"] for row in self._database.rows(_ATTEMPTS)}


def _finished(stored: dict[str, Any]) -> Finished:
    result = ClipResult.from_object(stored["result"])
    return Finished(result, stored["poster_sha256"], stored.get("subtitles_sha256", {}), stored.get("manifest_sha256"))
