"""Free space on the disk of the data folder: what each writer leaves free, and the reserve for deletions."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from clipengine.basis.disk_reserve import DiskReserve
from clipengine.basis.disk_space import UNLIMITED, WRITE_BYTES, DiskSpace, Writing
from clipengine.errors import DiskFull, DiskLow, StorageUnavailable
from tests.support.full_disk import MEGABYTE, disk, fill, free, grow

FLOOR = 5 * MEGABYTE
CHUNK = bytes(WRITE_BYTES)


def test_reservation_counts_against_later_ones_until_it_is_released(tmp_path: Path) -> None:
    space = DiskSpace(tmp_path, 0)
    half = space.free() * 6 // 10
    assert space.reserve("clip_1", half)
    assert not space.reserve("clip_2", half)
    space.release("clip_1")
    assert space.reserve("clip_2", half)


def test_second_reservation_of_a_clip_replaces_the_first(tmp_path: Path) -> None:
    space = DiskSpace(tmp_path, 0)
    half = space.free() * 6 // 10
    assert space.reserve("clip_1", half)
    assert space.reserve("clip_1", half)


def test_floor_is_never_reserved(tmp_path: Path) -> None:
    space = DiskSpace(tmp_path, 1 << 60)
    assert space.is_low()
    assert not space.reserve("clip_1", 1)
    with pytest.raises(DiskLow, match="min_free_bytes"):
        space.check()


def test_missing_folder_counts_as_a_full_disk(tmp_path: Path) -> None:
    assert DiskSpace(tmp_path / "missing", 0).is_low()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a small disk of 24 MB."""
    with disk(tmp_path / "disk", 24):
        yield tmp_path / "disk"


def write_until_full(writing: Writing, path: Path) -> None:
    def write() -> None:
        with writing(file.fileno(), len(CHUNK)):
            file.write(CHUNK)

    def write_all() -> None:
        while True:
            write()

    with path.open("wb", buffering=0) as file, pytest.raises(DiskFull, match="min_free_bytes"):
        write_all()


def test_bytes_that_arrive_leave_the_floor_free_and_new_work_is_refused_then(folder: Path) -> None:
    space = DiskSpace(folder, FLOOR)
    space.check()
    write_until_full(space.incoming, folder / "upload")
    assert FLOOR <= space.free() < FLOOR + WRITE_BYTES
    assert space.is_low()
    with pytest.raises(DiskLow):
        space.check()


def test_accepted_work_leaves_half_of_the_floor_free(folder: Path) -> None:
    space = DiskSpace(folder, FLOOR)
    write_until_full(space.accepted, folder / "clip")
    assert FLOOR // 2 <= space.free() < FLOOR // 2 + WRITE_BYTES


def test_bytes_of_all_writers_that_are_not_written_yet_count(folder: Path) -> None:
    space = DiskSpace(folder, FLOOR)
    room = space.free() - FLOOR
    with (folder / "upload").open("wb") as file, ExitStack() as granted:
        for _ in range(room // WRITE_BYTES):
            granted.enter_context(space.incoming(file.fileno(), WRITE_BYTES))
        with pytest.raises(DiskFull), space.incoming(file.fileno(), WRITE_BYTES):
            pass
        granted.close()
        with space.incoming(file.fileno(), WRITE_BYTES):
            pass


def test_many_writers_at_once_leave_the_floor_free(folder: Path) -> None:
    space, barrier = DiskSpace(folder, FLOOR), threading.Barrier(16)

    def write(number: int) -> None:
        barrier.wait()
        write_until_full(space.incoming, folder / f"upload{number}")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(16)))
    assert space.free() >= FLOOR


def test_files_on_other_disks_and_without_a_floor_are_not_limited(folder: Path, tmp_path: Path) -> None:
    fill(folder, leave=WRITE_BYTES)
    with (tmp_path / "elsewhere").open("wb") as elsewhere, (folder / "here").open("wb") as here:
        limited = DiskSpace(folder, FLOOR)
        with limited.incoming(elsewhere.fileno(), 1 << 60):
            assert limited.kept_free(elsewhere.fileno()) == 0
            assert limited.kept_free(here.fileno()) == FLOOR // 2
        with pytest.raises(DiskFull), limited.incoming(here.fileno(), 1):
            pass
        for space in (DiskSpace(folder, 0), UNLIMITED):
            with space.incoming(here.fileno(), 1 << 60):
                pass


# ---- the reserve


@pytest.fixture
def reserved(folder: Path) -> DiskSpace:
    """Return the space of a disk with a reserve of 4 MiB, and no floor."""
    space = DiskSpace(folder, 0, reserve=DiskReserve(folder / "reserve", 4 << 20))
    space.restore()
    return space


def allocated(folder: Path) -> int:
    return (folder / "reserve").stat().st_blocks * 512


def written(path: Path, size: int) -> int:
    """Write a file as the ledger does on a full disk."""
    try:
        with path.open("ab", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise DiskFull("the disk of the ledger is full") from error
    return size


def test_deletion_on_a_full_disk_uses_the_reserve_and_allocates_it_again(folder: Path, reserved: DiskSpace) -> None:
    assert allocated(folder) == 4 << 20
    (folder / "upload").write_bytes(bytes(6 << 20))
    fill(folder, leave=0)
    with pytest.raises(DiskFull):
        written(folder / "wal", 1 << 20)

    def delete() -> int:
        size = written(folder / "wal", 1 << 20)
        (folder / "upload").unlink()
        return size

    assert reserved.freeing(delete) == 1 << 20
    assert allocated(folder) == 4 << 20


def test_deletion_that_frees_nothing_leaves_the_rest_of_the_reserve(folder: Path, reserved: DiskSpace) -> None:
    fill(folder, leave=0)
    for number in range(3):
        assert reserved.freeing(lambda name=f"wal{number}": written(folder / name, 1 << 20))
    assert allocated(folder) == 1 << 20
    with pytest.raises(DiskFull):
        reserved.freeing(lambda: written(folder / "wal3", 2 << 20))
    assert allocated(folder) == 1 << 20
    free(folder)
    reserved.restore()
    assert allocated(folder) == 4 << 20


def test_reserve_is_used_for_no_other_error(folder: Path, reserved: DiskSpace) -> None:
    calls = []

    def fail() -> None:
        calls.append(allocated(folder))
        raise StorageUnavailable("the ledger was busy for too long")

    with pytest.raises(StorageUnavailable):
        reserved.freeing(fail)
    assert calls == [4 << 20]
    fill(folder, leave=0)  # SQLite cannot extend its files, and says so in many ways
    with pytest.raises(StorageUnavailable):
        reserved.freeing(fail)
    assert calls == [4 << 20, 4 << 20, 0]
    assert allocated(folder) == 4 << 20


def test_bytes_that_arrive_do_not_take_the_reserve_from_a_deletion(folder: Path, reserved: DiskSpace) -> None:
    refused = []

    def delete() -> None:
        if not refused:
            refused.append("")
            raise DiskFull("the disk of the ledger is full")
        upload = stack.enter_context((folder / "upload").open("ab"))
        with pytest.raises(DiskFull) as error, reserved.incoming(upload.fileno(), 2 << 20):
            pass
        refused.append(error.value.hint)

    fill(folder, leave=1 << 20)
    with ExitStack() as stack:
        reserved.freeing(delete)
    assert "continues at its offset" in refused[1]


def test_reserve_is_released_until_the_last_deletion_has_ended(folder: Path) -> None:
    reserve = DiskReserve(folder / "reserve", 4 << 20)
    reserve.allocate(4 << 20)
    with reserve.released():
        with reserve.released():
            assert allocated(folder) == 0
        reserve.allocate(4 << 20)
        assert allocated(folder) == 0
        assert reserve.is_released
    assert allocated(folder) == 4 << 20
    assert not reserve.is_released


def test_writer_that_is_faster_than_the_allocation_leaves_no_reserve_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve, found = DiskReserve(folder / "reserve", 4 << 20), os.fstatvfs
    fill(folder, leave=3 << 20)

    def late(descriptor: int) -> os.statvfs_result:
        before = found(descriptor)
        if not (folder / "wal").exists():
            written(folder / "wal", 1 << 20)
        return before

    monkeypatch.setattr(os, "fstatvfs", late)
    reserve.allocate(4 << 20)
    assert allocated(folder) > 1 << 20


def test_reserve_of_an_earlier_engine_is_kept_on_a_full_disk(folder: Path, reserved: DiskSpace) -> None:
    fill(folder, leave=0)
    again = DiskReserve(folder / "reserve", 4 << 20)
    assert again.missing == 0
    DiskSpace(folder, FLOOR, reserve=again).restore()
    assert allocated(folder) == 4 << 20


def test_sparse_file_is_no_reserve(folder: Path) -> None:
    with (folder / "reserve").open("wb") as file:
        file.truncate(4 << 20)
    reserve = DiskReserve(folder / "reserve", 4 << 20)
    assert reserve.missing == 4 << 20
    reserve.allocate(4 << 20)
    assert (reserve.missing, allocated(folder)) == (0, 4 << 20)


def test_small_disk_has_no_reserve_until_it_grows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "disk"
    with disk(folder, 6):
        space = DiskSpace(folder, 0, reserve=DiskReserve(folder / "reserve", 4 << 20))
        for _ in range(3):
            space.restore()
        assert caplog.text.count("deletions have no reserve on the disk of the data folder") == 1
        assert not (folder / "reserve").exists()
        grow(folder, 20)
        space.restore()
        assert allocated(folder) == 4 << 20


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOSPC, errno.EFBIG])
def test_file_system_that_cannot_reserve_space_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    def fail(*_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", fail)
    space = DiskSpace(tmp_path, 0, reserve=DiskReserve(tmp_path / "reserve"))
    for _ in range(3):
        space.restore()
    assert caplog.text.count(os.strerror(code)) == 1
    assert space.freeing(lambda: 7) == 7


def test_fault_of_the_reserve_does_not_hide_the_error_of_a_deletion(tmp_path: Path) -> None:
    space = DiskSpace(tmp_path, 0, reserve=DiskReserve(tmp_path / "missing" / "reserve"))
    space.restore()

    def fail() -> None:
        raise DiskFull("the disk of the ledger is full")

    with pytest.raises(DiskFull, match="of the ledger"):
        space.freeing(fail)
