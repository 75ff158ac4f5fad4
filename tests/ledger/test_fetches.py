"""Fetches in the ledger: claimed by one engine, fenced, and before the probe of their recording."""

from __future__ import annotations

import threading

import pytest

from clipengine.errors import FetchFailed, Internal, RecordingNotFound
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.fetches import Fetch, Origin
from clipengine.objects.recording import RecordingObject
from clipengine.recordings.recording import Recording, RecordingSpec

pytestmark = pytest.mark.proof

ORIGIN = Origin("https://media.example/talk.mp4?signature=x", "t0ken", "link")


def added(ledger: Ledger, spec: RecordingSpec = RecordingSpec(), *, source_id: str | None = None) -> Recording:
    recording, new = ledger.fetches.add(ORIGIN, "talk.mp4", spec, source_id=source_id)
    assert new
    return recording


def claimed(ledger: Ledger, owner: str = "me") -> Fetch:
    fetch = ledger.fetches.claim(owner)
    assert fetch is not None
    return fetch


def test_recording_is_probed_after_its_fetch(ledger: Ledger) -> None:
    recording = added(ledger)
    assert ledger.fetches.is_due()
    assert not ledger.recordings.is_probe_due()
    fetch = claimed(ledger)
    assert (fetch.recording_id, fetch.key, fetch.attempts) == (recording.recording_id, recording.bucket_path, 1)
    assert ledger.fetches.claim("other") is None
    assert ledger.fetches.origin(fetch) == ORIGIN
    assert ledger.fetches.progress(fetch, received=5, total=9)
    state = ledger.recordings.get(recording.recording_id)
    assert (state.fetched_bytes, state.file_size_bytes, state.etag) == (5, 9, "")
    assert ledger.fetches.complete(fetch, etag="e1", size=9)
    assert ledger.fetches.ids() == set()
    state = ledger.recordings.get(recording.recording_id)
    assert (state.fetched_bytes, state.file_size_bytes, state.etag, state.state) == (9, 9, "e1", "processing")
    probe = ledger.recordings.claim_probe("me")
    assert probe is not None
    assert probe.recording == state


def test_lost_claim_changes_nothing(ledger: Ledger) -> None:
    recording = added(ledger)
    lost = claimed(ledger)
    assert ledger.fetches.release_orphans("other") == 1
    assert ledger.fetches.release_orphans("other") == 0
    current = claimed(ledger, "other")
    assert current.attempts == 2
    assert ledger.fetches.origin(lost) is None
    assert not ledger.fetches.progress(lost, received=5, total=9)
    assert not ledger.fetches.complete(lost, etag="e1", size=9)
    assert not ledger.fetches.fail(lost, FetchFailed("404"))
    assert not ledger.fetches.later(lost, delay_ms=0)
    assert ledger.recordings.get(recording.recording_id).fetched_bytes == 0
    assert ledger.fetches.complete(current, etag="e1", size=9)


def test_living_engine_keeps_what_it_works_on(ledger: Ledger) -> None:
    recording = added(ledger)
    claimed(ledger)
    assert ledger.fetches.release_orphans("other", living=lambda: ["me"]) == 0
    assert ledger.fetches.release_orphans("me", in_flight=lambda: [recording.recording_id]) == 0
    assert ledger.fetches.release_orphans("me", in_flight=list) == 1


def test_retry_waits_and_a_stop_does_not_count(ledger: Ledger) -> None:
    added(ledger)
    assert ledger.fetches.later(claimed(ledger), delay_ms=60_000)
    assert not ledger.fetches.is_due()
    with ledger.transaction():
        ledger.database.run("UPDATE fetches SET next_at = 0")
    assert ledger.fetches.later(claimed(ledger), delay_ms=0, counts=False)
    assert claimed(ledger).attempts == 2
    with ledger.transaction():
        ledger.database.run("UPDATE fetches SET owner = NULL, next_at = 9999999999999")
    assert ledger.reset_far_future_due() == 1
    assert ledger.fetches.is_due()


def test_failure_is_an_event(ledger: Ledger) -> None:
    recording = added(ledger)
    assert ledger.fetches.fail(claimed(ledger), FetchFailed("the host responded with status 404"))
    state = ledger.recordings.get(recording.recording_id)
    assert state.error is not None
    assert (state.state, state.error["code"]) == ("failed", "fetch_failed")
    (event,) = ledger.events.after(0)
    assert (event.type, event.payload["data"]) == ("recording.failed", RecordingObject.of(state).to_object())
    assert not ledger.fetches.is_due()


def test_deleted_recording_takes_its_fetch_along(ledger: Ledger) -> None:
    recording = added(ledger)
    fetch = claimed(ledger)
    ledger.recordings.delete(recording.recording_id)
    assert ledger.fetches.ids() == set()
    assert not ledger.fetches.complete(fetch, etag="e1", size=9)
    with pytest.raises(RecordingNotFound):
        ledger.recordings.get(recording.recording_id)


def test_source_is_added_once_by_racing_events(ledger: Ledger) -> None:
    found: list[str] = []

    def add() -> None:
        recording, _ = ledger.fetches.add(ORIGIN, "talk.mp4", source_id="zoom 1")
        found.append(recording.recording_id)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == len(ledger.fetches.ids()) == 1
    assert ledger.fetches.fail(claimed(ledger), FetchFailed("404"))
    assert ledger.fetches.add(ORIGIN, "talk.mp4", source_id="zoom 1")[1] is False
    added(ledger, source_id="zoom 2")


def test_origin_of_another_recording_is_refused(ledger: Ledger) -> None:
    added(ledger)
    added(ledger)
    with ledger.transaction():
        ledger.database.run("UPDATE fetches SET origin = (SELECT MAX(origin) FROM fetches)")
    fetches = [claimed(ledger), claimed(ledger)]
    refused = 0
    for fetch in fetches:
        try:
            ledger.fetches.origin(fetch)
        except Internal:
            refused += 1
    assert refused == 1
