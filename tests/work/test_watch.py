"""The watch with a folder store and a ledger."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import watchfiles

from clipengine.errors import RecordingUnreadable, StorageDenied, StorageUnavailable
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.recordings.discovery import check_name_rule, is_recording, is_upload, recording_name
from clipengine.recordings.folder_rules import FolderRule, FolderRules
from clipengine.work.upkeep.watch import Watch
from tests.support.api import RecordedEngine, recorded_engine
from tests.support.waiting import until


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RecordedEngine]:
    with recorded_engine(tmp_path / "data") as engine:
        yield engine


def store_of(engine: RecordedEngine) -> Path:
    return engine.settings.store_folder


@contextmanager
def watching(
    engine: RecordedEngine,
    *,
    events: bool = False,
    seconds: float = 0.05,
    settle: float = 0,
    live: bool = False,
    folders: tuple[FolderRule, ...] = (),
) -> Iterator[Watch]:
    watch = Watch(
        engine.ledger,
        engine.store,
        prefixes=("in/",),
        rule="$folder: $stem",
        seconds=seconds,
        settle_seconds=settle,
        folder=store_of(engine) if events else None,
        live=live,
        folders=FolderRules(folders),
    )
    watch.start()
    try:
        yield watch
    finally:
        watch.stop(300)


def drop(engine: RecordedEngine, key: str, body: bytes = b"film") -> Path:
    path = store_of(engine) / key
    path.parent.mkdir(parents=True, exist_ok=True)
    complete = path.with_name(f"{path.name}.part")  # the watch must not see the file while it is empty
    complete.write_bytes(body)
    return complete.replace(path)


def registered(engine: RecordedEngine) -> list[tuple[str, str | None, int]]:
    """Return path, name and size of all recordings."""
    found = engine.ledger.recordings.list(RecordingFilter(limit=100)).data
    return sorted((each.bucket_path, each.name, each.file_size_bytes) for each in found)


def read(engine: RecordedEngine) -> None:
    """Fail all queued probes, as the prober would."""
    while probe := engine.ledger.recordings.claim_probe("test"):
        engine.ledger.recordings.probe_failed(probe, RecordingUnreadable("not a film"))


def test_new_object_is_registered_once_also_after_a_restart(engine: RecordedEngine) -> None:
    drop(engine, "in/h_01/talk.mp4")
    drop(engine, "elsewhere/other.mp4")
    with watching(engine):
        until(lambda: len(registered(engine)) == 1)
        drop(engine, "in/h_02/talk.MKV", b"longer")
        until(lambda: len(registered(engine)) == 2)
    assert registered(engine) == [("in/h_01/talk.mp4", "h_01: talk", 4), ("in/h_02/talk.MKV", "h_02: talk", 6)]
    assert {queue for queue, _ in engine.calls} == {"probes"}
    read(engine)  # one has failed, the other is deleted: neither is registered again
    engine.ledger.recordings.delete(engine.ledger.recordings.list(RecordingFilter(limit=1)).data[0].recording_id)
    with watching(engine):
        drop(engine, "in/new.mp4")
        until(lambda: len(registered(engine)) == 2)
    assert [path for path, _, _ in registered(engine)] == ["in/h_01/talk.mp4", "in/new.mp4"]


def test_replaced_or_recreated_object_is_a_new_recording(engine: RecordedEngine) -> None:
    with watching(engine):
        drop(engine, "in/a.mp4", b"one")
        until(lambda: len(registered(engine)) == 1)
        drop(engine, "in/a.mp4", b"three")
        until(lambda: len(registered(engine)) == 2)
        assert [size for _, _, size in registered(engine)] == [3, 5]
        path = store_of(engine) / "in/a.mp4"
        times = path.stat().st_mtime_ns
        path.unlink()
        until(lambda: engine.ledger.watched.all() == {})
        read(engine)
        os.utime(drop(engine, "in/a.mp4", b"three"), ns=(times, times))
        until(lambda: len(registered(engine)) == 3)


def test_copied_object_is_the_same_recording(engine: RecordedEngine) -> None:
    recording = engine.make_recording("in/a.mp4")
    path = store_of(engine) / "in/a.mp4"
    with watching(engine):
        until(lambda: "in/a.mp4" in engine.ledger.watched.all())
        now = time.time_ns()
        os.utime(path, ns=(now, now))
        etag = engine.store.head("in/a.mp4").etag
        until(lambda: engine.ledger.watched.all() == {"in/a.mp4": etag})
    (found,) = engine.ledger.recordings.list(RecordingFilter(limit=10)).data
    assert (found.recording_id, found.etag) == (recording.recording_id, etag)


@pytest.mark.exhaustive
def test_recordings_of_an_older_version_are_known_after_an_upgrade(engine: RecordedEngine) -> None:
    """Their rows have no digest, and their ETags are still those of their files."""
    for number in range(100):
        engine.make_recording(key := f"in/{number}.mp4", digest=False)
        engine.ledger.watched.mark(key, engine.store.head(key).etag)
    with watching(engine):
        drop(engine, "in/new.mp4")
        until(lambda: "in/new.mp4" in engine.ledger.watched.all())
    assert len(engine.ledger.recordings.list(RecordingFilter(limit=200)).data) == 101


def test_clips_uploads_and_partial_files_are_not_registered(engine: RecordedEngine) -> None:
    uploaded = f"in/recordings/rec_{'0' * 26}/meeting.mp4"
    for key in (
        "in/clips/x-clip_01m886xhz2erp9djh57vgmdagd.mp4",
        "in/.part.mp4",
        "in/notes.txt",
        "in/a.mp4.part",
        uploaded,
    ):
        drop(engine, key)
    with watching(engine):
        drop(engine, "in/b.mp4")
        until(lambda: len(registered(engine)) == 1)
    assert [path for path, _, _ in registered(engine)] == ["in/b.mp4"]


def test_growing_file_is_registered_after_it_has_settled(engine: RecordedEngine) -> None:
    with watching(engine, settle=3600):
        path = drop(engine, "in/live.mp4", b"x")
        for _ in range(3):
            time.sleep(0.2)
            with path.open("ab") as file:
                file.write(b"x")
            assert registered(engine) == []
        written = time.time() - 3601
        os.utime(path, (written, written))
        until(lambda: len(registered(engine)) == 1)
    assert registered(engine)[0][2] == 4


def test_file_with_a_time_in_the_future_settles_after_it_was_first_seen(engine: RecordedEngine) -> None:
    with watching(engine, settle=0.2):
        later = time.time() + 86_400
        os.utime(drop(engine, "in/a.mp4"), (later, later))
        until(lambda: len(registered(engine)) == 1)


def is_watched(folder: Path) -> bool:
    """Return True if the kernel tells this process of changes in the folder."""
    watched = f" ino:{folder.stat().st_ino:x} "
    for opened in Path("/proc/self/fdinfo").iterdir():
        with suppress(OSError):
            if any(line.startswith("inotify") and watched in line for line in opened.read_text().splitlines()):
                return True
    return False


def test_file_system_events_cause_a_scan(engine: RecordedEngine) -> None:
    (store_of(engine) / "in").mkdir(parents=True)
    with watching(engine, events=True, seconds=3600):
        until(lambda: is_watched(store_of(engine) / "in"))
        time.sleep(0.5)  # the first scan has ended, the next one is due in an hour
        drop(engine, "in/sub/a.mp4")
        until(lambda: len(registered(engine)) == 1)
        drop(engine, "in/b.mp4")
        until(lambda: len(registered(engine)) == 2)
    assert not [each for each in threading.enumerate() if each.name.startswith("watch")]


def test_watch_limits_the_number_of_unprobed_recordings(engine: RecordedEngine) -> None:
    for number in range(30):
        drop(engine, f"in/{number:02}.mp4")
    with watching(engine):
        until(lambda: len(registered(engine)) == 20)
        time.sleep(0.3)
        assert len(registered(engine)) == 20
        read(engine)
        until(lambda: len(registered(engine)) == 30)


@pytest.mark.parametrize(
    ("rule", "name"),
    [("$stem", "talk"), ("$folder", "h_01"), ("${file}", "talk.mp4"), ("$path", "in/h_01/talk.mp4"), ("", None)],
)
def test_name_rule_derives_the_name_from_the_key(rule: str, name: str | None) -> None:
    assert recording_name("in/h_01/talk.mp4", check_name_rule(rule)) == name


def test_invalid_name_rule_is_rejected_and_names_have_one_line() -> None:
    for rule in ("$nothing", "$", "$stem $1", "${stem"):
        with pytest.raises(ValueError, match="not a valid name rule"):
            check_name_rule(rule)
    assert recording_name("a\nb/c.mp4", "$folder") == "a b"
    assert len(recording_name("x" * 500 + ".mp4", "$stem") or "") == 200


def test_recordings_are_recognised_by_their_keys() -> None:
    assert is_recording("a/clips/mine.mp4")
    assert not is_recording("a/clips/mine-clip_1.mp4")
    assert is_recording("a/b.bin", everything=True)
    assert not is_upload("recordings/rec_short/a.mp4")


FRIGATE = FolderRule("in/frigate/", "%Y-%m-%d/%H/{camera}/%M.%S.mp4", series="house-{camera}")
TODAY = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%d")  # is not over in the tests


def cameras(engine: RecordedEngine) -> list[tuple[str | None, str | None, bool]]:
    """Return name, series and liveness of all recordings of folders."""
    found = engine.ledger.recordings.list(RecordingFilter(limit=100)).data
    return sorted((each.name, each.series, each.live) for each in found if each.folder is not None)


def test_cameras_of_a_rule_are_a_recording_for_each_day(engine: RecordedEngine) -> None:
    for day in ("2026-01-31", TODAY):
        for name in ("front/00.00", "front/10.00", "yard/00.05"):
            drop(engine, f"in/frigate/{day}/12/{name}.mp4")
    drop(engine, "in/frigate/export.mp4")
    drop(engine, f"in/frigate/{TODAY}/12/front/clips/x-clip_01m886xhz2erp9djh57vgmdagd.mp4")
    expected = [(f"{each} {day}", f"house-{each}", True) for each in ("front", "yard") for day in ("2026-01-31", TODAY)]
    with watching(engine, folders=(FRIGATE,)) as watch:
        until(lambda: len(registered(engine)) == 5)
        drop(engine, f"in/frigate/{TODAY}/12/front/20.00.mp4")
        for _ in range(3):
            watch._scan("in/")
        drop(engine, "in/frigate/other.mp4")
        until(lambda: len(registered(engine)) == 6)
    assert cameras(engine) == sorted(expected)
    assert [path for path, _, _ in registered(engine)] == ["in/frigate/"] * 4 + [
        "in/frigate/export.mp4",
        "in/frigate/other.mp4",
    ]
    first = engine.ledger.recordings.list(RecordingFilter(limit=100, series="house-front")).data[0]
    read(engine)
    engine.ledger.recordings.delete(first.recording_id)
    with watching(engine, folders=(FRIGATE,)):
        drop(engine, f"in/frigate/{TODAY}/13/new/00.00.mp4")
        until(lambda: len(cameras(engine)) == 4)
    assert (f"new {TODAY}", "house-new", True) in cameras(engine)


def test_past_day_is_registered_when_it_is_no_longer_copied(engine: RecordedEngine) -> None:
    day, old = "in/frigate/2026-01-31", time.time() - 1000
    with watching(engine, seconds=3600, settle=3600, folders=(FRIGATE,)) as watch:
        for number in range(3):
            path = drop(engine, f"{day}/12/front/{number:02}.00.mp4")
            os.utime(path, (old, old))
            watch._scan("in/")
        assert cameras(engine) == []
    with watching(engine, folders=(FRIGATE,)):
        until(lambda: len(cameras(engine)) == 1)
    assert set(engine.ledger.watched.all()) == {f"{day}/%H/front/%M.%S.mp4"}


def test_rule_beside_the_watched_prefixes_registers_only_its_own_files(engine: RecordedEngine) -> None:
    rules = (FolderRule("cams/", "{camera}/part{n}.mkv"), FolderRule("dash/", "*_%Y%m%d_%H%M%S.mp4", series="car"))
    for key in ("cams/a/part9.mkv", "cams/a/part10.mkv", "cams/film.mkv", "in/talk.mp4"):
        drop(engine, key)
    drop(engine, "dash/DVR_20260131_120000.mp4")
    with watching(engine, folders=rules, events=True, seconds=60):
        until(lambda: len(registered(engine)) == 3)
        drop(engine, "cams/b/part1.mkv")  # the event of a new folder starts a scan
        until(lambda: len(registered(engine)) == 4)
    assert cameras(engine) == [("2026-01-31", "car", True), ("a", "a", True), ("b", "b", True)]


def test_events_of_known_cameras_start_no_scan(engine: RecordedEngine) -> None:
    part = drop(engine, f"in/frigate/{TODAY}/12/front/00.00.mp4")
    with watching(engine, events=True, seconds=60, folders=(FRIGATE,)) as watch:
        until(lambda: not watch._is_relevant(watchfiles.Change.modified, str(part)))  # when the first scan has ended
        assert len(cameras(engine)) == 1
        assert watch._is_relevant(watchfiles.Change.added, str(part).replace("front", "yard"))
        assert watch._is_relevant(watchfiles.Change.added, str(store_of(engine) / "in" / "talk.mp4"))


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.getMessage().startswith("the watch leaves out")]


CAMERAS = FolderRule("cams/", "{camera}/%Y-%m-%d/%H.%M.%S.ts")


@pytest.mark.exhaustive
def test_file_that_is_not_understood_costs_only_itself(
    engine: RecordedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Row 106 of the faults."""
    misfits = [
        "cams/a/9999-12-31/23.59.59.ts",
        "cams/a/2026-02-30/10.00.00.ts",
        f"cams/a/{TODAY}/24.00.00.ts",
        f"cams/{'c' * 101}/{TODAY}/10.00.00.ts",
        f"cams/..../{TODAY}/10.00.60.ts",
    ]
    for key in [*misfits, f"cams/a/{TODAY}/other.txt", f"cams/front/{TODAY}/10.00.00.ts", "in/talk.mp4"]:
        drop(engine, key)
    with watching(engine, events=True, folders=(CAMERAS,)) as watch:
        until(lambda: len(registered(engine)) == 2)
        until(lambda: watch.left_out == len(misfits))
        assert all(watch._is_relevant(watchfiles.Change.added, str(store_of(engine) / "in/x.mp4")) for _ in misfits)
        drop(engine, "in/later.mp4")  # which a further scan registers
        until(lambda: len(registered(engine)) == 3)
        until(lambda: watch.left_out == len(misfits))
        for key in misfits:
            (store_of(engine) / key).unlink()
        until(lambda: watch.left_out == 0)
    assert cameras(engine) == [(f"front {TODAY}", "front", True)]
    assert [sum(key in each for each in _warnings(caplog)) for key in misfits] == [1] * len(misfits)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read each folder")
def test_folder_that_cannot_be_read_costs_only_itself_as_a_user(engine: RecordedEngine) -> None:
    path = drop(engine, "in/b/talk.mp4").parent
    drop(engine, "in/c/talk.mp4")
    path.chmod(0)
    with watching(engine) as watch:
        until(lambda: len(registered(engine)) == 1)
        assert watch.left_out == 1
    path.chmod(0o700)


def test_folder_that_cannot_be_read_costs_only_itself(
    engine: RecordedEngine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recordings stay known: they are not new when it can be read again."""
    for key in ("in/a/talk.mp4", "in/b/talk.mp4"):
        drop(engine, key)
    scandir = os.scandir
    denied: list[str] = []

    def scan(path: Path) -> object:
        if Path(path).name in denied:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("clipengine.stores.folder.os.scandir", scan)
    with watching(engine) as watch:
        until(lambda: len(engine.ledger.watched.all()) == 2)
        denied.append("b")
        until(lambda: watch.left_out == 1)
        drop(engine, "in/c/talk.mp4")
        until(lambda: len(registered(engine)) == 3)
        assert "in/b/talk.mp4" in engine.ledger.watched.all()
    (warning,) = _warnings(caplog)
    assert "'in/b/'" in warning


@pytest.mark.parametrize(
    "error", [StorageDenied("no"), OverflowError("date value out of range"), RecordingUnreadable("x")]
)
def test_recording_that_cannot_be_registered_costs_only_itself(
    engine: RecordedEngine, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("in/a.mp4", "in/b.mp4", "in/c.mp4"):
        drop(engine, key)

    def name(key: str, rule: str) -> str | None:
        if key == "in/b.mp4":
            raise error
        return recording_name(key, rule)

    monkeypatch.setattr("clipengine.work.upkeep.watch.recording_name", name)
    with watching(engine) as watch:
        until(lambda: len(registered(engine)) == 2)
        until(lambda: watch.left_out == 1)
    assert len(_warnings(caplog)) == 1


def test_files_beside_a_playlist_that_cannot_be_read_are_counted(
    engine: RecordedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("in/a/one.ts", "in/a/two.mp4", "in/b/talk.mp4"):
        drop(engine, key)
    drop(engine, "in/a/index.m3u8", b"#EXTM3U\n#EXT-X-MAP:\n")
    with watching(engine) as watch:
        until(lambda: [path for path, _, _ in registered(engine)] == ["in/a/index.m3u8", "in/b/talk.mp4"])
        until(lambda: watch.left_out == 2)
    assert "2 files beside it" in _warnings(caplog)[0]


def test_prefix_that_cannot_be_scanned_costs_only_itself(
    engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    drop(engine, f"cams/front/{TODAY}/10.00.00.ts")
    drop(engine, "in/talk.mp4")
    scan = Watch._scan

    def broken(watch: Watch, prefix: str) -> None:
        if prefix == "cams/":
            raise StorageUnavailable("no answer")
        scan(watch, prefix)

    monkeypatch.setattr(Watch, "_scan", broken)
    with watching(engine, folders=(CAMERAS,)):
        until(lambda: len(registered(engine)) == 1)
    assert sum("cannot scan" in each.getMessage() for each in caplog.records) == 1


@pytest.mark.exhaustive
def test_days_beyond_the_limit_are_counted_and_cost_no_other_camera(
    engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("clipengine.work.upkeep.watch._MAX_DAYS", 2)
    for day in range(1, 6):
        drop(engine, f"cams/a/2026-01-0{day}/10.00.00.ts")
    drop(engine, "cams/b/2026-01-01/10.00.00.ts")
    with watching(engine, folders=(CAMERAS,)) as watch:
        until(lambda: len(registered(engine)) >= 3)
        assert [name for name, _, _ in cameras(engine)][-1] == "b 2026-01-01"
        until(lambda: len(registered(engine)) == 6 and watch.left_out == 0)  # what is registered is not counted again
    assert "the camera 'a' has more than 2 days that are new" in _warnings(caplog)[0]
