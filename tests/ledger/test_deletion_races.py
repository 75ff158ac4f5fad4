"""Deletions by limits and expiries beside requests that keep the clip or recording, in both orders."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import ClipNotFound, RecordingNotFound
from clipengine.ledger.database.schema import ClipRow
from clipengine.ledger.ledger import Ledger
from clipengine.recordings.recording import Recording

Act = Callable[[Ledger, str], object]
HOUR = 3_600_000


@pytest.fixture
def made(ledger: Ledger, queue: Callable[..., Clip], result: ClipResult) -> Clip:
    """A clip of 100 bytes that has been complete for two hours and is due."""
    clip = queue(expires_at=1)
    claimed = ledger.clips.claim("me")
    assert claimed is not None
    assert ledger.clips.complete(clip.clip_id, claimed.attempt, replace(result, size_bytes=100))
    ended = ClipRow.update(completed_at=now_ms() - 2 * HOUR).where(ClipRow.clip_id == clip.clip_id)
    with ledger.database.transaction():
        ledger.database.change(ended)
    return ledger.clips.get(clip.clip_id)


def _keep(ledger: Ledger, id: str) -> object:
    return ledger.clips.update(id, {"tags": ["keep"]}, {})


def _share(ledger: Ledger, id: str) -> object:
    return ledger.shares.create(id, expires_at=None, download=True, embed=True)


def _postpone(ledger: Ledger, id: str) -> object:
    return ledger.clips.update(id, {"expires_at": now_ms() + HOUR}, {})


def _postpone_recording(ledger: Ledger, id: str) -> object:
    return ledger.recordings.update(id, {"expires_at": now_ms() + HOUR}, {})


def _limit(ledger: Ledger) -> int:
    return ledger.clip_limit.run(1)


def _expire(ledger: Ledger) -> int:
    return ledger.expiry.run(keep_ms=None)


def _expire_recordings(ledger: Ledger) -> int:
    return ledger.expiry.run_recordings(keep_ms=None)


KEEPS_CLIP = [(_keep, _limit), (_share, _limit), (_postpone, _expire)]


class _Beside:
    """A call on a thread, with what it returned or raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self.found: object = None

    def _run(self) -> None:
        try:
            self.found = self._call()
        except Exception as error:
            self.found = error

    def start(self) -> None:
        self._thread.start()

    def join(self) -> object:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.found


@contextmanager
def _uncommitted(ledger: Ledger) -> Iterator[None]:
    """Hold the transaction of the block open until its end."""
    with ledger.database.transaction(ordered=False):
        yield


@pytest.mark.parametrize(("keep", "remove"), KEEPS_CLIP)
def test_clip_that_is_kept_first_is_not_deleted(
    ledger: Ledger, open_ledger: Callable[..., Ledger], made: Clip, keep: Act, remove: Callable[[Ledger], int]
) -> None:
    other = open_ledger()
    deletion = _Beside(lambda: remove(other))
    with _uncommitted(ledger):
        keep(ledger, made.clip_id)
        deletion.start()
        if ledger.database.shared:  # it leaves rows that are locked alone; SQLite lets it wait for the commit
            assert deletion.join() == 0
    assert deletion.join() == 0
    assert remove(other) == 0
    assert ledger.clips.get(made.clip_id).state == "complete"
    assert ledger.removals.due() == []


@pytest.mark.parametrize(("keep", "remove"), KEEPS_CLIP)
def test_clip_that_is_deleted_first_is_not_found_by_the_request_that_keeps_it(
    ledger: Ledger, open_ledger: Callable[..., Ledger], made: Clip, keep: Act, remove: Callable[[Ledger], int]
) -> None:
    other = open_ledger()
    request = _Beside(lambda: keep(other, made.clip_id))
    with _uncommitted(ledger):
        assert remove(ledger) == 1
        request.start()
    assert isinstance(request.join(), ClipNotFound)
    assert set(ledger.removals.due()) == set(made.keys)
    assert ledger.database.run("SELECT COUNT(*) FROM shares") == [(0,)]


def test_share_or_tag_between_the_search_and_the_deletion_keeps_the_clip(
    ledger: Ledger, open_ledger: Callable[..., Ledger], made: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    for keep in (_share, _keep):
        delete, other = ledger.clip_limit._delete, open_ledger()

        def late(*args: object, keep: Act = keep, delete: Callable[..., int] = delete, on: Ledger = other) -> int:
            keep(on, made.clip_id)
            return delete(*args)

        with monkeypatch.context() as patch:
            patch.setattr(ledger.clip_limit, "_delete", late)
            assert _limit(ledger) == 0
        assert ledger.clips.get(made.clip_id).state == "complete"
        ledger.database.run("DELETE FROM shares")


def test_recording_whose_expiry_is_postponed_first_is_not_deleted(
    ledger: Ledger, open_ledger: Callable[..., Ledger], recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = recording.recording_id
    ledger.recordings.update(id, {"expires_at": 1}, {})
    other = open_ledger()
    deletion = _Beside(lambda: _expire_recordings(other))
    with _uncommitted(ledger):
        _postpone_recording(ledger, id)
        deletion.start()  # it waits for the row, or for the commit
    assert deletion.join() == 0
    expire = ledger.expiry._expire
    ledger.recordings.update(id, {"expires_at": 1}, {})

    def late(*args: object) -> bool:
        _postpone_recording(ledger, id)
        return expire(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.expiry, "_expire", late)
    assert _expire_recordings(ledger) == 0
    assert ledger.recordings.get(id).state == "complete"


def test_recording_that_has_expired_first_is_not_found_by_the_request_that_postpones_it(
    ledger: Ledger, open_ledger: Callable[..., Ledger], recording: Recording
) -> None:
    ledger.recordings.update(recording.recording_id, {"expires_at": 1}, {})
    other = open_ledger()
    request = _Beside(lambda: _postpone_recording(other, recording.recording_id))
    with _uncommitted(ledger):
        assert _expire_recordings(ledger) == 1
        request.start()
    assert isinstance(request.join(), RecordingNotFound)


def test_clip_and_recording_of_its_file_that_go_at_once_leave_no_object_that_is_needed(
    ledger: Ledger, open_ledger: Callable[..., Ledger], made: Clip
) -> None:
    """On PostgreSQL, neither transaction sees the other; the engine that deletes the object sees both."""
    other = open_ledger()
    registration = _Beside(lambda: other.recordings.register(made.object_key, etag="e", size=1))
    with _uncommitted(ledger):
        ledger.clips.delete(made.clip_id)
        registration.start()
        if ledger.database.shared:
            registration.join()
    registration.join()
    assert made.object_key in ledger.removals.due()
    assert [each.key for each in ledger.removals.claim("me", limit=9)] == [made.poster_key]
