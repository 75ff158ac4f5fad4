"""The watch and playlists: a finished one is one recording, and what it names is none."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

import pytest

from clipengine.errors import RecordingUnreadable
from clipengine.stores.base import ObjectReader
from clipengine.stores.folder import FolderStore
from clipengine.work.upkeep.watched_playlists import WatchedPlaylists
from tests.support.api import RecordedEngine
from tests.support.waiting import until
from tests.work.test_watch import drop, engine, registered, watching

__all__ = ["engine"]  # a fixture


def playlist(*uris: str, ended: bool = True) -> bytes:
    lines = [f"#EXTINF:4,\n{uri}" for uri in uris]
    return "\n".join(["#EXTM3U", *lines, "#EXT-X-ENDLIST" if ended else ""]).encode()


def master(*uris: str) -> bytes:
    return "\n".join(["#EXTM3U", *(f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{uri}" for uri in uris)]).encode()


def paths(engine: RecordedEngine) -> list[str]:
    return [path for path, _, _ in registered(engine)]


def test_finished_playlist_is_one_recording_and_its_pieces_are_none(engine: RecordedEngine) -> None:
    drop(engine, "in/r1/a/0.mp4")
    drop(engine, "in/r1/index.m3u8", playlist("a/0.mp4", "a/1.mp4"))
    with watching(engine):
        until(lambda: bool(registered(engine)))
        drop(engine, "in/r1/a/1.mp4")
        drop(engine, "in/film.mp4")
        until(lambda: len(registered(engine)) == 2)
    assert paths(engine) == ["in/film.mp4", "in/r1/index.m3u8"]


def test_playlist_is_registered_when_it_ends(engine: RecordedEngine) -> None:
    drop(engine, "in/r1/index.m3u8", playlist("0.mp4", ended=False))
    drop(engine, "in/r1/0.mp4")
    drop(engine, "in/film.mp4")
    with watching(engine):
        until(lambda: bool(registered(engine)))
        assert paths(engine) == ["in/film.mp4"]
        drop(engine, "in/r1/index.m3u8", playlist("0.mp4"))
        until(lambda: len(registered(engine)) == 2)
    assert paths(engine) == ["in/film.mp4", "in/r1/index.m3u8"]


@pytest.mark.exhaustive
def test_a_thousand_rewrites_make_one_recording(engine: RecordedEngine) -> None:
    register = engine.ledger.recordings.register
    made = [register("a/index.m3u8", etag=f"e{number}", size=number) for number in range(1000)]
    assert {recording.recording_id for recording, _ in made} == {made[0][0].recording_id}
    assert [created for _, created in made].count(True) == 1
    engine.ledger.recordings.delete(made[0][0].recording_id)
    assert register("a/index.m3u8", etag="e1", size=1)[1]


def test_segment_waits_for_the_playlist_that_may_name_it(engine: RecordedEngine) -> None:
    drop(engine, "in/r1/0.ts")
    drop(engine, "in/film.mp4")
    with watching(engine):
        until(lambda: bool(registered(engine)))
    assert paths(engine) == ["in/film.mp4"]


def recordings(folder: Path, contents: dict[str, bytes]) -> list[str]:
    """Return the keys that a scan of these objects registers."""
    for key, body in contents.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    store = FolderStore(folder)
    found = {each.key: each for each in store.list("")}
    playlists = {key: each for key, each in found.items() if key.endswith(".m3u8")}
    files = {key: each for key, each in found.items() if key not in playlists}
    return sorted(WatchedPlaylists(store).recordings("", files, playlists, {}))


def test_playlists_of_a_master_playlist_belong_to_it(tmp_path: Path) -> None:
    contents = {
        "r/master.m3u8": master("low.m3u8", "high/index.m3u8", "gone.m3u8"),
        "r/low.m3u8": playlist("low.mp4"),
        "r/high/index.m3u8": playlist("../high.mp4"),
        **dict.fromkeys(("r/low.mp4", "r/high.mp4", "r/other.mp4"), b"x"),
    }
    assert recordings(tmp_path, contents) == ["r/master.m3u8", "r/other.mp4"]


def test_files_beside_a_playlist_that_is_refused_are_its_own(tmp_path: Path) -> None:
    encrypted = b"#EXTM3U\n#EXT-X-KEY:METHOD=AES-128\n#EXTINF:4,\n0.mp4\n"
    contents = {"r/index.m3u8": encrypted, "r/0.mp4": b"x", "s/0.mp4": b"x"}
    assert recordings(tmp_path, contents) == ["r/index.m3u8", "s/0.mp4"]


def test_master_playlist_waits_for_all_of_its_playlists(tmp_path: Path) -> None:
    contents = {"r/master.m3u8": master("low.m3u8"), "r/low.m3u8": playlist("low.mp4", ended=False), "r/low.mp4": b"x"}
    assert recordings(tmp_path, contents) == []


def test_segments_that_a_sliding_playlist_has_dropped_are_its_own(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    watched, times = WatchedPlaylists(store, live=True), itertools.count(1)

    def found(watched: WatchedPlaylists, text: bytes, *files: str) -> list[str]:
        (tmp_path / "r").mkdir(exist_ok=True)
        for name in files:
            (tmp_path / "r" / name).write_bytes(b"x")
        rewritten = tmp_path / "r" / "index.m3u8"
        rewritten.write_bytes(text)
        os.utime(rewritten, (next(times),) * 2)  # two texts of the same length within a tick would have one ETag
        listed = {each.key: each for each in store.list("r/")}
        playlists = {key: each for key, each in listed.items() if key.endswith(".m3u8")}
        return sorted(watched.recordings("", {key: listed[key] for key in listed.keys() - playlists}, playlists, {}))

    assert found(watched, playlist("a.mp4", "b.mp4", ended=False), "a.mp4", "b.mp4") == ["r/index.m3u8"]
    assert found(watched, playlist("b.mp4", "c.mp4", ended=False), "c.mp4", "film.mp4") == [
        "r/film.mp4",
        "r/index.m3u8",
    ]
    assert found(watched, playlist("c.mp4"), "d.mp4") == ["r/d.mp4", "r/film.mp4", "r/index.m3u8"]
    # After a restart, names tell those of a playlist that is still written.
    names = ("s001.ts", "init0_1.mp4", "s002.ts")
    anew = found(WatchedPlaylists(store, live=True), playlist("s002.ts", ended=False), *names)
    assert anew == ["r/a.mp4", "r/b.mp4", "r/c.mp4", "r/d.mp4", "r/film.mp4", "r/index.m3u8"]


def agora(kind: str, *times: int, ended: bool = True) -> bytes:
    segments = (
        f"#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE=X,TIME={time}\n#EXTINF:4\n{kind}{time}.ts" for time in times
    )
    return "\n".join(["#EXTM3U", *segments, *(["#EXT-X-ENDLIST"] if ended else [])]).encode()


@pytest.mark.parametrize(
    ("outer", "inner", "written", "finished"),
    [
        ("r/master.m3u8", "r/low.m3u8", playlist("low.mp4", ended=False), playlist("low.mp4")),
        (
            "r/s_c__uid_s_1__uid_e_video.m3u8",
            "r/s_c__uid_s_1__uid_e_audio.m3u8",
            agora("a", 1, ended=False),
            agora("a", 1),
        ),
    ],
)
def test_playlist_is_registered_when_the_last_one_in_it_ends(
    tmp_path: Path, outer: str, inner: str, written: bytes, finished: bytes
) -> None:
    contents = {outer: master("low.m3u8") if "master" in outer else agora("v", 1), inner: written}
    watched = WatchedPlaylists(FolderStore(tmp_path))
    (tmp_path / "r").mkdir()

    def scan() -> list[str]:
        found = {each.key: each for each in FolderStore(tmp_path).list("") if each.key.endswith(".m3u8")}
        return sorted(watched.recordings("", {}, found, {}))

    for key, body in contents.items():
        (tmp_path / key).write_bytes(body)
    assert scan() == []
    (tmp_path / inner).write_bytes(finished)
    assert scan() == [outer]


class CountingStore(FolderStore):
    """A folder store that notes which objects are read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.opened: list[str] = []

    def open(self, key: str, *, etag: str | None = None) -> ObjectReader:
        self.opened.append(key)
        return super().open(key, etag=etag)


def test_registered_playlists_are_neither_read_nor_kept(tmp_path: Path) -> None:
    contents = {"r/index.m3u8": playlist("0.ts", "1.ts"), "r/0.ts": b"x", "r/1.ts": b"x", "s/film.mp4": b"x"}
    for key, body in contents.items():
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(body)
        age = 7200 if key == "r/index.m3u8" else 7300
        os.utime(tmp_path / key, (time.time() - age,) * 2)
    store = CountingStore(tmp_path)

    def scan(known: dict[str, str]) -> list[str]:
        found = {each.key: each for each in store.list("")}
        playlists = {key: each for key, each in found.items() if key.endswith(".m3u8")}
        files = {key: each for key, each in found.items() if key not in playlists}
        return sorted(watched.recordings("", files, playlists, known))

    watched = WatchedPlaylists(store, trusts_times=True)
    known = {"r/index.m3u8": store.head("r/index.m3u8").etag}
    assert scan(known) == ["r/index.m3u8", "s/film.mp4"]
    assert store.opened == []
    (tmp_path / "r" / "later.mp4").write_bytes(b"x")
    assert scan(known) == ["r/index.m3u8", "r/later.mp4", "s/film.mp4"]
    assert store.opened == ["r/index.m3u8"]
    known |= {key: store.head(key).etag for key in ("r/later.mp4", "s/film.mp4")}
    assert scan(known) == ["r/index.m3u8", "r/later.mp4", "s/film.mp4"]
    assert store.opened == ["r/index.m3u8"]
    assert watched._named == {}


def test_live_watch_registers_a_playlist_that_is_still_written_once(engine: RecordedEngine) -> None:
    drop(engine, "in/r1/index.m3u8", playlist("0.mp4", ended=False))
    drop(engine, "in/r1/0.mp4")
    with watching(engine, settle=60, live=True):
        until(lambda: bool(registered(engine)))
        probe = engine.ledger.recordings.claim_probe("test")
        assert probe is not None
        assert probe.recording.live
        engine.ledger.recordings.probe_failed(probe, RecordingUnreadable("not a film"))
        drop(engine, "in/r1/index.m3u8", playlist("0.mp4", "1.mp4", ended=False))
        drop(engine, "in/r2/index.m3u8", playlist("0.mp4", ended=False))
        until(lambda: len(registered(engine)) == 2)
    assert paths(engine) == ["in/r1/index.m3u8", "in/r2/index.m3u8"]
