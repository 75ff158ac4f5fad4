"""The recorded id of the folder store: written once, even by concurrent engines."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from clipengine.errors import StorageUnavailable
from clipengine.ledger.ledger import Ledger
from clipengine.recordings.recording import RecordingSpec

pytestmark = pytest.mark.proof

Open = Callable[..., Ledger]


def test_identity_is_recorded_once(ledger: Ledger, open_ledger: Open) -> None:
    assert ledger.store_identity.recorded() is None
    assert ledger.store_identity.id(lambda: "store_1") == "store_1"
    assert open_ledger().store_identity.id(lambda: "store_2") == "store_1"
    assert ledger.store_identity.recorded() == "store_1"


def test_identity_of_an_unusable_store_is_not_recorded(ledger: Ledger) -> None:
    def first() -> str:
        raise StorageUnavailable("it is away")

    with pytest.raises(StorageUnavailable, match="it is away"):
        ledger.store_identity.id(first)
    assert ledger.store_identity.recorded() is None
    assert ledger.store_identity.id(lambda: "store_1") == "store_1"


def test_concurrent_engines_record_one_identity(open_ledger: Open) -> None:
    engines = [open_ledger().store_identity for _ in range(4)]
    together, asked = Barrier(len(engines)), []

    def start(number: int) -> str:
        def first() -> str:
            asked.append(number)
            return f"store_{number}"

        together.wait()
        return engines[number].id(first)

    with ThreadPoolExecutor(len(engines)) as threads:
        found = set(threads.map(start, range(len(engines))))
    assert found == {f"store_{asked[0]}"}
    assert len(asked) == 1


def test_store_identity_knows_if_there_are_recordings(ledger: Ledger) -> None:
    assert not ledger.store_identity.has_recordings()
    ledger.recordings.register("h_01/meeting.mp4", RecordingSpec(name="meeting"), etag="1-1", size=1)
    assert ledger.store_identity.has_recordings()
