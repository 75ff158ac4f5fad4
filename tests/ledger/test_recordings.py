"""Recordings: registered once, probed by one engine, ended with one event."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import ClipNotFound, RecordingBusy, RecordingNotFound, RecordingTruncated
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings import recordings as recordings_module
from clipengine.ledger.recordings.recordings import Probe, RecordingFilter
from clipengine.ledger.rows.pages import Page
from clipengine.objects.recording import RecordingObject
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.recording import Recording, RecordingSpec
from clipengine.recordings.seek_index import KeyframeIndex

pytestmark = pytest.mark.proof

Queue = Callable[..., Clip]


def _register(ledger: Ledger, path: str = "a/b.mp4", etag: str = "e1") -> tuple[Recording, bool]:
    return ledger.recordings.register(path, RecordingSpec(name="b", metadata={"room": "5"}), etag=etag, size=10)


def _claim(ledger: Ledger, owner: str = "me") -> Probe:
    probe = ledger.recordings.claim_probe(owner)
    assert probe
    return probe


def test_object_is_registered_once(ledger: Ledger) -> None:
    first, created = _register(ledger)
    assert created
    assert (first.state, first.name, first.metadata, first.facts) == ("processing", "b", {"room": "5"}, None)
    assert _register(ledger) == (first, False)
    assert _register(ledger, etag="e2")[1]
    assert _register(ledger, path="a/c.mp4")[1]
    assert ledger.recordings.get(first.recording_id) == first


@pytest.mark.typical(1)
def test_rewritten_playlist_is_one_recording_for_each_variant(ledger: Ledger) -> None:
    first, _ = _register(ledger, path="a/index.m3u8")
    for number in range(1000):
        assert _register(ledger, path="a/index.m3u8", etag=f"e{number}") == (first, False)
    small = {"max_height": 360}
    other, created = ledger.recordings.register("a/index.m3u8", RecordingSpec(variant=small), etag="e", size=1)
    assert (created, other.variant) == (True, small)
    assert ledger.recordings.register("a/index.m3u8", RecordingSpec(variant=small), etag="f", size=1) == (other, False)


def test_concurrent_registrations_create_one_recording(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(_register, ledger) for _ in range(24)]]
    assert sum(created for _, created in found) == 1
    assert len({recording.recording_id for recording, _ in found}) == 1


def test_object_of_a_failed_recording_is_registered_again(ledger: Ledger) -> None:
    first, _ = _register(ledger)
    assert ledger.recordings.probe_failed(_claim(ledger), RecordingTruncated("cut off"))
    second, created = _register(ledger)
    assert created
    assert second.recording_id != first.recording_id


def test_facts_are_stored_exactly(ledger: Ledger, recording: Recording, facts: SourceFacts) -> None:
    assert recording.state == "complete"
    assert recording.facts == facts
    assert recording.completed_at is not None
    assert recording.duration_seconds == 5400.0


def test_probe_ends_once_with_one_event(ledger: Ledger, facts: SourceFacts) -> None:
    made, _ = _register(ledger)
    probe = _claim(ledger)
    marks = KeyframeIndex(
        tick=Fraction(1, 1000),
        shifts=(Fraction(-7, 3),),
        head_bytes=800,
        exact=True,
        offsets=(800, 90_000),
        stamps=(2333, 5000),
        parts=(0, 0),
    )
    assert ledger.recordings.seek_index(made.recording_id) is None
    assert ledger.recordings.probe_complete(probe, facts, etag="e9", size=99, seek_index=marks)
    assert ledger.recordings.seek_index(made.recording_id) == marks
    ended = ledger.recordings.get(made.recording_id)
    assert (ended.etag, ended.file_size_bytes) == ("e9", 99)
    assert not ledger.recordings.probe_complete(probe, facts, etag="e9", size=99)
    assert not ledger.recordings.probe_failed(probe, RecordingTruncated("cut off"))
    assert not ledger.recordings.probe_later(probe, delay_ms=1)
    [event] = ledger.events.after(0)
    assert (event.type, event.recording_id, event.clip_id) == ("recording.complete", made.recording_id, None)
    assert event.payload["data"] == RecordingObject.of(ended).to_object()
    ledger.recordings.delete(made.recording_id)
    assert ledger.recordings.seek_index(made.recording_id) is None


def test_failed_probe_has_its_error(ledger: Ledger) -> None:
    made, _ = _register(ledger)
    assert ledger.recordings.probe_failed(_claim(ledger), RecordingTruncated("cut off"))
    failed = ledger.recordings.get(made.recording_id)
    assert failed.error == RecordingTruncated("cut off").to_object()
    [event] = ledger.events.after(0)
    assert event.type == "recording.failed"
    assert event.payload["data"]["error"]["code"] == "recording_truncated"


def test_probes_are_claimed_once_and_oldest_first(ledger: Ledger) -> None:
    made = [_register(ledger, path=f"a/{number}.mp4")[0] for number in range(3)]
    claimed = [ledger.recordings.claim_probe("me") for _ in range(4)]
    assert [found and found.recording.recording_id for found in claimed] == [*(one.recording_id for one in made), None]
    assert ledger.recordings.probe_attempts(made[0].recording_id) == 1


def test_delayed_probe_is_due_after_its_delay(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    _register(ledger)
    assert ledger.recordings.probe_later(_claim(ledger), delay_ms=60_000)
    assert ledger.recordings.claim_probe("me") is None
    now = recordings_module.now_ms()
    monkeypatch.setattr(recordings_module, "now_ms", lambda: now + 60_000)
    assert ledger.recordings.claim_probe("me")


def test_only_crashes_of_the_probe_are_counted(ledger: Ledger) -> None:
    """Outages, stops and engine deaths during a probe are not counted."""
    made, _ = _register(ledger)
    recordings = ledger.recordings
    for number in range(5):
        probe = _claim(ledger)
        assert recordings.probe_attempts(made.recording_id) == 1
        if number % 2:
            assert recordings.probe_later(probe, delay_ms=0)
        else:
            assert recordings.release_orphans("its successor") == 1
    for crashes in (1, 2, 3):
        probe = _claim(ledger)
        assert recordings.probe_attempts(made.recording_id) == crashes
        assert recordings.probe_later(probe, delay_ms=0, crashed=True)
    assert recordings.claim_probe("me")
    assert recordings.release_orphans("me", in_flight=list) == 1
    assert recordings.claim_probe("me")
    assert recordings.probe_attempts(made.recording_id) == 4


def test_probes_of_a_dead_engine_are_released(ledger: Ledger) -> None:
    _register(ledger)
    _register(ledger, path="a/c.mp4")
    ledger.recordings.claim_probe("dead")
    ledger.recordings.claim_probe("me")
    assert ledger.recordings.release_orphans("me") == 1
    assert ledger.recordings.claim_probe("me")
    assert ledger.recordings.claim_probe("me") is None


def test_stale_owner_settles_no_probe(ledger: Ledger, facts: SourceFacts) -> None:
    made, _ = _register(ledger)
    recordings = ledger.recordings
    stale = _claim(ledger, "a")
    assert recordings.release_orphans("b") == 1
    current = _claim(ledger, "b")
    heard: list[tuple[str, str]] = []
    ledger.on_change(lambda kind, ident: heard.append((kind, ident)))
    assert not recordings.probe_failed(stale, RecordingTruncated("cut off"))
    assert not recordings.probe_later(stale, delay_ms=60_000, crashed=True)
    assert not recordings.probe_complete(stale, facts, etag="e9", size=99)
    assert (heard, ledger.events.after(0), recordings.claim_probe("a")) == ([], [], None)
    assert recordings.get(made.recording_id).state == "processing"
    assert recordings.probe_complete(current, facts, etag="e1", size=10)


def test_lease_of_an_earlier_claim_by_the_same_engine_is_stale(ledger: Ledger, facts: SourceFacts) -> None:
    made, _ = _register(ledger)
    earlier = _claim(ledger)
    assert ledger.recordings.release_orphans("me", in_flight=list) == 1
    later = _claim(ledger)
    assert not ledger.recordings.probe_failed(earlier, RecordingTruncated("cut off"))
    assert ledger.recordings.probe_attempts(made.recording_id) == 1
    assert ledger.recordings.probe_complete(later, facts, etag="e1", size=10)


def test_deletion_deletes_ended_clips_but_not_their_history(
    ledger: Ledger, recording: Recording, queue: Queue, result: ClipResult
) -> None:
    ledger.endpoints.create("https://example.test/hook", ["clip.ready"], "s" * 16)
    clip = queue()
    with pytest.raises(RecordingBusy):
        ledger.recordings.delete(recording.recording_id)
    ledger.clips.claim("me")
    with pytest.raises(RecordingBusy):
        ledger.recordings.delete(recording.recording_id)
    ledger.clips.complete(clip.clip_id, 1, result)

    assert ledger.recordings.delete(recording.recording_id) == recording
    with pytest.raises(RecordingNotFound):
        ledger.recordings.get(recording.recording_id)
    with pytest.raises(ClipNotFound):
        ledger.clips.get(clip.clip_id)
    with pytest.raises(RecordingNotFound):
        queue()
    assert ledger.removals.due() == []
    assert ledger.events.after(0)[-1].clip_id == clip.clip_id
    [delivery] = ledger.deliveries.claim_due()
    assert delivery.clip_id == clip.clip_id
    assert delivery.body


def test_probe_of_a_deleted_recording_has_lost_its_lease(ledger: Ledger, facts: SourceFacts) -> None:
    made, _ = _register(ledger)
    probe = _claim(ledger)
    ledger.recordings.delete(made.recording_id)
    assert not ledger.recordings.probe_complete(probe, facts, etag="e1", size=1)
    assert ledger.events.after(0) == []
    with pytest.raises(RecordingNotFound):
        ledger.recordings.delete(made.recording_id)
    with pytest.raises(RecordingNotFound):
        ledger.recordings.probe_attempts(made.recording_id)


def test_recordings_are_listed_by_each_filter(ledger: Ledger, recording: Recording) -> None:
    other, _ = _register(ledger)

    def lists(**filters: Any) -> Page[Recording]:
        return ledger.recordings.list(RecordingFilter(**filters))

    assert lists(limit=9).data == [other, recording]
    assert lists(limit=9, status="processing").data == [other]
    assert lists(limit=9, name="meeting").data == [recording]
    assert lists(limit=9, created_before=recording.created_at).data == []
    assert lists(limit=9, created_after=recording.created_at, status="complete").data == [recording]
    page = lists(limit=1)
    assert lists(limit=1, cursor=page.next_cursor).data == [recording]


def test_clips_are_counted_up_to_a_limit(
    ledger: Ledger, queue: Queue, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = _register(ledger, path="a/other.mp4")
    for _ in range(3):
        queue()
    ids = [recording.recording_id, other.recording_id]
    assert ledger.recordings.clips_counts(ids) == dict(zip(ids, (3, 0), strict=True))
    assert ledger.recordings.clips_counts([]) == {}
    limited = recordings_module._COUNT_CLIPS.replace("1000", "2")
    monkeypatch.setattr(recordings_module, "_COUNT_CLIPS", limited)
    assert ledger.recordings.clips_counts(ids) == dict(zip(ids, (2, 0), strict=True))
