"""Expiry: ended clips are deleted at their time, with their objects and an event; others are not."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from clipengine.api.routes.uploads import upload_key
from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import ClipNotFound, EncoderFailed
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.ledger.stored_objects.needed_objects import FileVersion, Unwanted
from clipengine.objects.clip import ClipObject
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.recording import Recording, RecordingSpec

pytestmark = pytest.mark.proof

Queue = Callable[..., Clip]
DAY = 24 * 3600 * 1000


def complete(ledger: Ledger, clip: Clip, result: ClipResult) -> Clip:
    claimed = ledger.clips.claim("me")
    assert claimed is not None
    assert claimed.clip_id == clip.clip_id
    assert ledger.clips.complete(clip.clip_id, claimed.attempt, result)
    return ledger.clips.get(clip.clip_id)


def test_clip_expires_at_its_own_time(
    ledger: Ledger, queue: Queue, result: ClipResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.endpoints.create("https://a.test", ["clip.expired"], "s" * 16)
    clip = complete(ledger, queue(expires_at=now_ms() + DAY, webhook_url="https://own.test/"), result)
    kept = complete(ledger, queue(), result)
    waits = queue(expires_at=now_ms() + DAY)
    assert ledger.expiry.run(keep_ms=None) == 0
    monkeypatch.setattr("clipengine.ledger.retention.expiry.now_ms", lambda: now_ms() + DAY + 1)
    seen: list[tuple[str, str]] = []
    ledger.on_change(lambda kind, id: seen.append((kind, id)))
    assert ledger.expiry.run(keep_ms=None) == 1
    assert ledger.expiry.run(keep_ms=None) == 0
    with pytest.raises(ClipNotFound):
        ledger.clips.get(clip.clip_id)
    assert set(ledger.removals.due()) == {clip.object_key, clip.poster_key}
    assert ("clip", clip.clip_id) in seen
    event = ledger.events.after(0)[-1]
    assert (event.type, event.clip_id) == ("clip.expired", clip.clip_id)
    assert event.payload["data"] == ClipObject.of(clip).to_object() | {"reason": "expired"}
    told = [each for each in ledger.deliveries.list(limit=9).data if each.event_type == "clip.expired"]
    assert [each.url for each in told] == ["https://a.test"]
    assert ledger.clips.get(kept.clip_id).state == "complete"
    assert ledger.clips.get(waits.clip_id).state == "queued"  # it is cut first


def test_clip_without_its_own_time_expires_after_the_retention_time(
    ledger: Ledger, queue: Queue, result: ClipResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [complete(ledger, queue(), result)]
    longer = complete(ledger, queue(expires_at=now_ms() + 9 * DAY), result)
    failed = queue()
    claimed = ledger.clips.claim("me")
    assert claimed is not None
    assert ledger.clips.fail(failed.clip_id, claimed.attempt, EncoderFailed("no"))
    queue()
    assert ledger.expiry.run(keep_ms=DAY) == 0
    monkeypatch.setattr("clipengine.ledger.retention.expiry.now_ms", lambda: now_ms() + DAY + 1)
    assert ledger.expiry.run(keep_ms=None) == 0
    assert ledger.expiry.run(keep_ms=DAY) == len(clips) + 1
    left = {clip.clip_id: clip.state for clip in ledger.clips.list(ClipFilter(limit=9)).data}
    assert sorted(left.values()) == ["complete", "queued"]
    assert longer.clip_id in left


def _complete_many(ledger: Ledger, queue: Queue, result: ClipResult, count: int) -> list[Clip]:
    with ledger.transaction():
        return [complete(ledger, queue(expires_at=now_ms()), result) for _ in range(count)]


def test_batch_of_many_clips_takes_as_many_statements_as_one_clip(
    ledger: Ledger, queue: Queue, result: ClipResult
) -> None:
    ledger.endpoints.create("https://a.test", ["clip.expired"], "s" * 16)
    statements: list[str] = []
    ledger.database._connections.query_hooks.append(lambda query: statements.append(query.sql))
    counts = []
    for number in (1, 40):
        clips = _complete_many(ledger, queue, result, number)
        statements.clear()
        assert ledger.expiry.run(keep_ms=None) == number
        counts.append(len(statements))
        told = [each for each in ledger.events.after(0, limit=1000) if each.type == "clip.expired"][-number:]
        assert {each.clip_id for each in told} == {clip.clip_id for clip in clips}
        assert {key for clip in clips for key in (clip.object_key, clip.poster_key)} <= set(ledger.removals.due(1000))
    assert counts[0] == counts[1]
    assert len([each for each in ledger.deliveries.list(limit=100).data if each.event_type == "clip.expired"]) == 41


@pytest.mark.exhaustive
def test_engines_that_expire_clips_at_the_same_time_delete_each_clip_once(
    ledger: Ledger, open_ledger: Callable[..., Ledger], queue: Queue, result: ClipResult
) -> None:
    clips = _complete_many(ledger, queue, result, 250)
    barrier = threading.Barrier(3)

    def expire(of: Ledger) -> None:
        barrier.wait(300)
        while of.clips.list(ClipFilter(status="complete", limit=1)).data:
            of.expiry.run(keep_ms=None)

    threads = [threading.Thread(target=expire, args=[of]) for of in (ledger, open_ledger(), open_ledger())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = Counter(each.clip_id for each in ledger.events.after(0, limit=1000) if each.type == "clip.expired")
    assert told == {clip.clip_id: 1 for clip in clips}


def test_recording_expires_when_its_clips_have_ended(
    ledger: Ledger, queue: Queue, recording: Recording, result: ClipResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = queue()
    kept, _ = ledger.recordings.register("kept.mp4", etag="e", size=1)
    ledger.recordings.update(recording.recording_id, {"expires_at": now_ms() + DAY}, {})
    assert ledger.expiry.run_recordings(keep_ms=None) == 0
    monkeypatch.setattr("clipengine.ledger.retention.expiry.now_ms", lambda: now_ms() + DAY + 1)
    assert ledger.expiry.run_recordings(keep_ms=None) == 0
    complete(ledger, clip, result)
    assert ledger.expiry.run_recordings(keep_ms=None) == 1
    assert [each.recording_id for each in ledger.recordings.list(RecordingFilter(limit=9)).data] == [kept.recording_id]
    with pytest.raises(ClipNotFound):
        ledger.clips.get(clip.clip_id)
    assert ledger.removals.due() == []  # another program stored it


def test_recording_without_its_own_time_expires_after_the_retention_time(
    ledger: Ledger, recording: Recording, facts: SourceFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, _ = ledger.recordings.register("kept.mp4", etag="e", size=1)
    probe = ledger.recordings.claim_probe("me")
    assert probe is not None
    assert ledger.recordings.probe_complete(probe, facts, etag="e", size=1)
    ledger.recordings.update(kept.recording_id, {"expires_at": now_ms() + 9 * DAY}, {})
    unread, _ = ledger.recordings.register("unread.mp4", etag="e", size=1)
    assert ledger.expiry.run_recordings(keep_ms=DAY) == 0
    (_, due, _) = ledger.storage_use.removed((0, 2, 30), keep_clips_ms=None, keep_recordings_ms=DAY)
    assert due.recordings.count == 1
    monkeypatch.setattr("clipengine.ledger.retention.expiry.now_ms", lambda: now_ms() + DAY + 1)
    assert ledger.expiry.run_recordings(keep_ms=None) == 0
    assert ledger.expiry.run_recordings(keep_ms=DAY) == 1
    left = {each.recording_id for each in ledger.recordings.list(RecordingFilter(limit=9)).data}
    assert left == {kept.recording_id, unread.recording_id}


def test_object_of_an_uploaded_recording_is_deleted_on_expiry(ledger: Ledger) -> None:
    recording_id = new_id("rec")
    key = upload_key(recording_id, "talk.mp4")
    ledger.recordings.register(key, etag="e", size=1, recording_id=recording_id)
    ledger.recordings.update(recording_id, {"expires_at": 1}, {})
    assert ledger.expiry.run_recordings(keep_ms=None) == 1
    assert ledger.removals.due() == [key]


def test_many_recordings_that_wait_do_not_hold_up_the_expiry_of_others(
    ledger: Ledger, queue: Queue, recording: Recording, result: ClipResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clipengine.ledger.retention.expiry._BATCH", 1)
    complete(ledger, queue(), result)
    ledger.recordings.update(recording.recording_id, {"expires_at": 1, "expires_by": "user_1"}, {})
    due, _ = ledger.recordings.register("due.mp4", etag="e", size=1)
    ledger.recordings.update(due.recording_id, {"expires_at": 2}, {})
    assert ledger.expiry.run_recordings(keep_ms=None) == 1
    assert [each.recording_id for each in ledger.recordings.list(RecordingFilter(limit=9)).data] == [
        recording.recording_id
    ]


def _is_unneeded(ledger: Ledger, deleted: Recording) -> bool:
    file = Unwanted.of(deleted.bucket_path, FileVersion(deleted.etag, deleted.created_at))
    return ledger.needed_objects.without_needed([file]) == [file]


def _failed_upload(ledger: Ledger) -> Recording:
    """Return a failed recording that was uploaded and is due."""
    recording_id = new_id("rec")
    ledger.recordings.register(upload_key(recording_id, "talk.mp4"), etag="e", size=1, recording_id=recording_id)
    probe = ledger.recordings.claim_probe("me")
    assert probe is not None
    assert ledger.recordings.probe_failed(probe, EncoderFailed("no"))
    return ledger.recordings.update(recording_id, {"expires_at": 1}, {})


@pytest.mark.parametrize("etag", ["e", "e of the next version"])
def test_object_of_a_failed_upload_is_kept_if_it_was_registered_again(ledger: Ledger, etag: str) -> None:
    failed = _failed_upload(ledger)
    again, is_new = ledger.recordings.register(failed.bucket_path, etag=etag, size=1)
    assert is_new
    assert ledger.expiry.run_recordings(keep_ms=None) == 1
    assert ledger.removals.due() == []
    ledger.recordings.update(again.recording_id, {"expires_at": 1}, {})
    assert ledger.expiry.run_recordings(keep_ms=None) == 1
    assert ledger.removals.due() == [failed.bucket_path]


def test_object_of_a_failed_upload_is_kept_for_the_recording_of_a_folder(ledger: Ledger) -> None:
    failed = _failed_upload(ledger)
    of_other_names = FolderSource("recordings/", "{camera}/%Y%m%d%H%M%S.mp4", camera="a", day="2025-04-05")
    ledger.recordings.register_folder(of_other_names, RecordingSpec())
    folder, _ = ledger.recordings.register_folder(FolderSource("", "recordings/{camera}/*-{n}.mp4"), RecordingSpec())
    assert _is_unneeded(ledger, failed)
    named = failed.bucket_path.replace("talk.mp4", "talk-1.mp4")
    assert not _is_unneeded(ledger, replace(failed, bucket_path=named))
    ledger.recordings.delete(folder.recording_id)
    assert _is_unneeded(ledger, replace(failed, bucket_path=named))
