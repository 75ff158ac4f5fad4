"""Listing of a camera's files: which objects belong to a recording, their order, and the limits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clipengine.errors import PatternInvalid, RecordingMissing, TooManyPieces
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.stores import folders
from clipengine.stores.folder import FolderStore
from clipengine.stores.folders import read_folder

FRIGATE = "%Y-%m-%d/%H/{camera}/%M.%S.mp4"


def store(root: Path, *keys: str) -> FolderStore:
    for key in keys:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"media")
    return FolderStore(root, "")


def keys(found: folders.FolderFiles) -> list[str]:
    return [each.key for each in found.index.ranges()]


def test_files_of_a_camera_and_a_day_are_in_the_order_of_their_times(tmp_path: Path) -> None:
    names = ["23/front/59.50", "00/front/00.01", "12/front/30.00", "12/yard/30.00"]
    found = store(tmp_path, *(f"f/2026-11-28/{name}.mp4" for name in names), "f/2026-11-29/00/front/00.00.mp4")
    (tmp_path / "f/2026-11-28/12/front/31.00.mp4").touch()  # is empty, because it was just created
    day = FolderSource("f/", FRIGATE, camera="front", day="2026-11-28")
    assert keys(read_folder(found, day)) == [f"f/2026-11-28/{name}.mp4" for name in (names[1], names[2], names[0])]
    assert len(keys(read_folder(found, FolderSource("f/", FRIGATE, camera="front")))) == 4


def test_numbers_give_the_order(tmp_path: Path) -> None:
    found = read_folder(store(tmp_path, "p10.mkv", "p9.mkv", "p1.txt"), FolderSource("", "p{n}.mkv"))
    assert keys(found) == ["p9.mkv", "p10.mkv"]
    assert not found.dated


def test_clips_of_the_engine_are_no_files(tmp_path: Path) -> None:
    clip = f"f/clips/x-clip_{'0' * 26}-12.mp4"
    found = read_folder(store(tmp_path, clip, "f/clips/a-12.mp4"), FolderSource("f/", "clips/*-%H.mp4"))
    assert keys(found) == ["f/clips/a-12.mp4"]


def test_hour_that_occurs_twice_is_told_apart_by_when_files_were_stored(tmp_path: Path) -> None:
    found = store(tmp_path, "2026-10-25_02-10-00.mp4", "2026-10-25_02-20-00.mp4")
    first, second = 1_792_887_060, 1_792_890_060  # a minute after the first, and 41 minutes later
    for name, stored in (("2026-10-25_02-20-00.mp4", first + 600), ("2026-10-25_02-10-00.mp4", second + 1200)):
        os.utime(tmp_path / name, (stored, stored))
    read = read_folder(found, FolderSource("", "%Y-%m-%d_%H-%M-%S.mp4", "Europe/Berlin"))
    assert keys(read) == ["2026-10-25_02-20-00.mp4", "2026-10-25_02-10-00.mp4"]


def test_folder_without_such_names_has_no_recording(tmp_path: Path) -> None:
    with pytest.raises(RecordingMissing):
        read_folder(store(tmp_path, "a.mp4"), FolderSource("", "%H.mp4"))
    with pytest.raises(PatternInvalid):
        read_folder(store(tmp_path), FolderSource("", "*.mp4"))


def test_first_file_that_is_still_written_is_not_taken_for_a_wrong_name(tmp_path: Path) -> None:
    with pytest.raises(RecordingMissing, match="may still be written"):
        read_folder(store(tmp_path, "12.mp4"), FolderSource("", "%H.mp4"), settle_seconds=3600)


@pytest.mark.parametrize("limit", ["MAX_FILES", "MAX_LISTED"])
def test_number_of_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    found = store(tmp_path, *(f"{number:02d}.mp4" for number in range(4)))
    monkeypatch.setattr(folders, limit, 3)
    with pytest.raises(TooManyPieces):
        read_folder(found, FolderSource("", "%H.mp4"))
