"""Disk reservations of running clips, and the scratch folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipengine.errors import DiskLow
from clipengine.work.jobs.disk_reservation import DiskReservation
from clipengine.work.jobs.scratch import Scratch


def test_reservation_counts_against_later_ones_until_it_is_released(tmp_path: Path) -> None:
    disk = DiskReservation(tmp_path, 0)
    half = disk.free() * 6 // 10
    assert disk.reserve("clip_1", half)
    assert not disk.reserve("clip_2", half)
    disk.release("clip_1")
    assert disk.reserve("clip_2", half)


def test_second_reservation_of_a_clip_replaces_the_first(tmp_path: Path) -> None:
    disk = DiskReservation(tmp_path, 0)
    half = disk.free() * 6 // 10
    assert disk.reserve("clip_1", half)
    assert disk.reserve("clip_1", half)


def test_floor_is_never_reserved(tmp_path: Path) -> None:
    disk = DiskReservation(tmp_path, 1 << 60)
    assert disk.is_low()
    assert not disk.reserve("clip_1", 1)
    with pytest.raises(DiskLow, match="min_free_bytes"):
        disk.check()


def test_missing_folder_counts_as_a_full_disk(tmp_path: Path) -> None:
    assert DiskReservation(tmp_path / "missing", 0).is_low()


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
