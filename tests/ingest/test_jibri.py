"""The metadata that Jibri writes beside a recording: its name and participants, and files that are not Jibri's."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest

from clipengine.ingest.jibri import MAX_BYTES, described
from clipengine.stores.folder import FolderStore
from tests.support.events import recorded

KEY = "recordings/qxkwapdbrtjmbsnz/board_2026-01-31-09-00-00.mp4"
BESIDE = "recordings/qxkwapdbrtjmbsnz/metadata.json"
FOUND = {
    "source": "jibri",
    "meeting_url": "https://meet.example.org/Board%20meeting",
    "participants": "Anna, Ben, u3",
}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def put(store: FolderStore, key: str, body: bytes) -> None:
    sha256 = hashlib.sha256(body).hexdigest()
    store.put(key, io.BytesIO(body), size=len(body), content_type="application/json", sha256=sha256)


def test_name_and_participants_are_read(store: FolderStore) -> None:
    put(store, BESIDE, recorded("jibri-metadata"))
    assert described(store, KEY, None, {}) == ("Board meeting", FOUND)


def test_control_characters_are_replaced(store: FolderStore) -> None:
    """Row 84 of the faults: PostgreSQL cannot store U+0000."""
    put(store, BESIDE, json.dumps({"meeting_url": "a\0b", "participants": [{"user": {"name": "c\0d"}}]}).encode())
    found = {"source": "jibri", "meeting_url": "a b", "participants": "c d"}
    assert described(store, KEY, "x", {}) == ("x", found)


def test_given_values_take_precedence(store: FolderStore) -> None:
    put(store, BESIDE, recorded("jibri-metadata"))
    given = {"team": "blue", "participants": "all"}
    assert described(store, KEY, "Monday", given) == ("Monday", {**FOUND, **given})
    full = {str(number): "" for number in range(99)}
    assert described(store, KEY, None, full)[1] == {**full, "source": "jibri"}


def test_room_of_the_file_names_it_without_a_url(store: FolderStore) -> None:
    put(store, BESIDE, b'{"participants": []}')
    assert described(store, KEY, None, {}) == ("board", {"source": "jibri"})


@pytest.mark.parametrize(
    "key", ["recordings/x/talk.mp4", "recordings/x/2026-01-31-09-00-00.mp4", "talk_2026-01-31.mp4"]
)
def test_other_recordings_are_not_looked_up(store: FolderStore, key: str) -> None:
    put(store, "recordings/x/metadata.json", recorded("jibri-metadata"))
    put(store, "metadata.json", recorded("jibri-metadata"))
    assert described(store, key, None, {"a": "b"}) == (None, {"a": "b"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 60_000,
        b'{"meeting_url": 5}',
        b'{"participants": [5]}',
        json.dumps({"participants": [{}] * 1001}).encode(),
        recorded("jibri-metadata") + b" " * MAX_BYTES,
    ],
)
def test_other_and_oversized_files_are_ignored_with_a_warning(
    store: FolderStore, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, BESIDE, body)
    assert described(store, KEY, None, {}) == (None, {})
    assert f"{BESIDE} is ignored" in caplog.text


def test_missing_file_is_no_error(store: FolderStore) -> None:
    assert described(store, KEY, "x", {}) == ("x", {})


def test_long_list_of_participants_is_cut(store: FolderStore) -> None:
    people = [{"user": {"name": f"participant number {number}"}} for number in range(1000)]
    put(store, BESIDE, json.dumps({"participants": people}).encode())
    text = described(store, KEY, None, {})[1]["participants"]
    assert len(text) == 2000
    assert text.endswith("…")
