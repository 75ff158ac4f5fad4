"""The scratch folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipengine.work.jobs.scratch import Scratch


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "scratch", lambda: None)


def test_scratch_folder_of_an_attempt_is_empty_and_private(scratch: Scratch) -> None:
    folder = scratch.make("clip_1", 1)
    (folder / "clip.mp4").write_bytes(b"old")
    again = scratch.make("clip_1", 1)
    assert again == folder
    assert list(again.iterdir()) == []
    assert again.stat().st_mode & 0o777 == 0o700


def test_tidy_deletes_only_what_is_neither_in_flight_nor_awaiting_upload(scratch: Scratch) -> None:
    for clip_id, attempt in (("clip_a", 1), ("clip_b", 1), ("clip_b", 2), ("clip_c", 1)):
        scratch.make(clip_id, attempt)
    (scratch.root / "stray").write_bytes(b"")
    deleted = scratch.tidy(lambda: {"clip_a"}, lambda: {"clip_b": 2})
    assert deleted == 3
    assert sorted(each.name for each in scratch.root.iterdir()) == ["clip_a-1", "clip_b-2"]


def test_tidy_of_a_missing_scratch_folder_deletes_nothing(scratch: Scratch) -> None:
    assert scratch.tidy(lambda: set(), dict) == 0
