"""A crash of PostgreSQL undoes a claim: two engines hold the same attempt of a clip, and one of them ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.clips.request import ClipRequest
from clipengine.ledger.clips.uploads import Finished
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.ledger import Ledger
from clipengine.recordings.facts import SourceFacts
from tests.support.postgres import PostgresServer, running_postgres, skip_without_postgres

skip_without_postgres()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that writes commits that need not be durable after ten seconds only."""
    with running_postgres() as server:
        server.run("ALTER SYSTEM SET wal_writer_delay = '10s'")
        server.run("SELECT pg_reload_conf()")
        yield server


@pytest.fixture
def engines(server: PostgresServer, tmp_path: Path) -> Iterator[tuple[Ledger, Ledger]]:
    with server.database() as url:
        place = PostgresLocation(url, tmp_path / "secrets.key")
        keys = {"key_prefix": "relay_live", "organisation_id": "org_local", "max_queued": 10}
        with closing(Ledger.open(place, **keys)) as one, closing(Ledger.open(place, **keys)) as other:  # type: ignore[arg-type]
            yield one, other


@pytest.fixture
def queue(engines: tuple[Ledger, Ledger], facts: SourceFacts) -> Callable[[], Clip]:
    ledger = engines[0]
    made, _ = ledger.recordings.register("a.mp4", etag="e", size=1)
    probe = ledger.recordings.claim_probe("me")
    assert probe
    assert ledger.recordings.probe_complete(probe, facts, etag="e", size=1)
    recording = ledger.recordings.get(made.recording_id)
    return lambda: ledger.clips.create(recording, ClipRequest("cut", 1.0, 2.0), extension="mp4")


def _crash(server: PostgresServer) -> None:
    server.stop("immediate")
    server.start()


@pytest.mark.parametrize("first", [0, 1])
def test_one_of_two_engines_with_the_same_attempt_ends_the_clip(
    server: PostgresServer,
    engines: tuple[Ledger, Ledger],
    queue: Callable[[], Clip],
    result: ClipResult,
    first: int,
) -> None:
    owners, again = ("a", "b"), None
    while again is None:  # unless the writer of the WAL, which wakes up now and then, was faster than the crash
        clip_id = queue().clip_id
        claimed = engines[0].clips.claim("a")
        _crash(server)
        again = engines[1].clips.claim("b")
        if again is None:
            engines[0].clips.delete(clip_id)
    assert claimed is not None
    assert claimed.attempt == again.attempt == 1  # the crash has undone the first claim
    order = [(engines[each], owners[each]) for each in (first, 1 - first)]
    added = [
        ledger.uploads.add(clip_id, 1, Finished(result, None), progress=0.9, owner=owner) for ledger, owner in order
    ]
    assert added == [True, False]
    (winner, owner), (loser, other) = order
    assert not loser.clips.progress(clip_id, 1, step="encoding", progress=0.5)
    assert loser.uploads.claim(other) is None
    assert winner.uploads.claim(owner) is not None
    assert winner.clips.complete(clip_id, 1, result)
    assert [event.type for event in winner.events.after(0) if event.clip_id] == ["clip.ready"]


def test_attempt_whose_file_is_uploaded_does_not_begin_again_after_a_crash(
    server: PostgresServer, engines: tuple[Ledger, Ledger], queue: Callable[[], Clip], result: ClipResult
) -> None:
    clip_id, (one, other) = queue().clip_id, engines
    assert one.clips.claim("a")
    assert one.uploads.add(clip_id, 1, Finished(result, None), progress=0.9, owner="a")
    assert one.uploads.claim("a")
    _crash(server)
    assert other.clips.claim("b") is None
    assert other.clips.get(clip_id).state == "uploading"
    assert one.clips.complete(clip_id, 1, result)
