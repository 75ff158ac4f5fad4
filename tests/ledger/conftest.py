"""A real ledger, and fixtures for it.

Tests of the ledger run on SQLite and PostgreSQL. Those that use `path`, the file of SQLite, run on SQLite only, and
those of a module that sets KINDS run on these kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.clips.request import ClipRequest
from clipengine.ledger.database.backend import Location, PostgresLocation
from clipengine.ledger.ledger import Ledger
from clipengine.recordings.facts import AudioFacts, SourceFacts
from clipengine.recordings.recording import Recording, RecordingSpec
from tests.support.ledgers import copy_ledger
from tests.support.postgres import (  # noqa: F401 - fixtures
    database_url,
    kinds_of_ledger,
    migrated_location,
    postgres,
)
from tests.support.results import clip_result

Open = Callable[..., Ledger]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "ledger_kind" in metafunc.fixturenames:
        kinds = ("sqlite",) if "path" in metafunc.fixturenames else kinds_of_ledger()
        metafunc.parametrize("ledger_kind", getattr(metafunc.module, "KINDS", kinds))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.db"


@pytest.fixture
def place(ledger_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Location:
    """Location of the ledger of this test: migrated if the test uses `ledger`, else empty."""
    migrated = "ledger" in request.fixturenames
    if ledger_kind == "sqlite":
        path = tmp_path / "data" / "ledger.db"
        if migrated:
            copy_ledger(path)
        return path
    if migrated:
        return request.getfixturevalue("migrated_location")  # type: ignore[no-any-return]
    return PostgresLocation(request.getfixturevalue("database_url"), tmp_path / "data" / "secrets.key")


@pytest.fixture
def open_ledger(place: Location) -> Iterator[Open]:
    """Open the ledger of this test, any number of times; all are closed at the end."""
    opened: list[Ledger] = []

    def open_it(*, max_queued: int = 10_000, rule_failures: int = 10, at: Location = place) -> Ledger:
        ledger = Ledger.open(
            at, key_prefix="relay_live", organisation_id="org_local", max_queued=max_queued, rule_failures=rule_failures
        )
        opened.append(ledger)
        return ledger

    yield open_it
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Open) -> Ledger:
    return open_ledger()


@pytest.fixture
def facts() -> SourceFacts:
    return SourceFacts(
        container="mp4",
        origin=Fraction(1001, 30000),
        duration=Fraction(5400),
        audio=(AudioFacts(index=1, codec="aac", channels=2, sample_rate=48000, language="eng"),),
        warnings=("late audio",),
    )


@pytest.fixture
def recording(ledger: Ledger, facts: SourceFacts) -> Recording:
    """A complete recording."""
    made, _ = ledger.recordings.register(
        "relay/h_01/recording.mp4", RecordingSpec(name="meeting"), etag="e1", size=1000
    )
    probe = ledger.recordings.claim_probe("me")
    assert probe
    assert ledger.recordings.probe_complete(probe, facts, etag="e1", size=1000)
    return ledger.recordings.get(made.recording_id)


@pytest.fixture
def queue(ledger: Ledger, recording: Recording) -> Callable[..., Clip]:
    """Queue a clip of the recording, `seconds` long, with keywords of ClipRequest."""

    def make(label: str = "key moment", *, seconds: float = 30.0, **values: object) -> Clip:
        request = ClipRequest(label, 120.0, 120.0 + seconds, **values)  # type: ignore[arg-type]
        return ledger.clips.create(recording, request, extension="mp4")

    return make


@pytest.fixture
def result() -> ClipResult:
    return clip_result(
        sha256="ab" * 32,
        poster_path="relay/h_01/clips/key-moment.jpg",
        encode_seconds=3.5,
        bytes_read=9_000_000,
        warnings=["one packet skipped"],
    )
