"""Cost of fifty recordings that are still written: EVENT playlists with segments of 6 s, of an hour and of a day.

They are in a folder with the ledger in SQLite, and in S3 with the ledger in PostgreSQL: the store at S3_ENDPOINT, or
moto's server, and a server from the installed binaries, whose own CPU is not counted.

CPU is that of the server and its children in parts of one core, without that of an idle server. Beside it are the bare
requests: each playlist is read once in a target duration. Nobody asks for the recordings, so that their segments are
measured many at a time: one measurement of each recording is timed, and counts for as many segments. Playlists and
ledger are changed by this program, so that neither waiting nor requests of the API are part of it.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from clipengine.recordings.playlist import MAX_PLAYLIST_BYTES
from clipengine.stores.base import Store
from clipengine.stores.folder import FolderStore
from clipengine.stores.s3 import S3Store
from scripts.benchmarks import sources
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.measuring import resident_bytes, run
from tests.support.postgres import kinds_of_ledger, running_postgres
from tests.support.s3 import running_s3, s3_settings
from tests.support.server import running_server
from tests.support.stored import Objects

_RECORDINGS = 50
_SEGMENT_SECONDS = 6
_MEASURED_AT_ONCE = 600  # segments, see clipengine.work.jobs.refreshes
_SETTLING_SECONDS = 3 * _SEGMENT_SECONDS
_BARE_PASSES = 20
_HOUR = 3600
_AIMS = {_HOUR: 2, 24 * _HOUR: 5}  # percent of a core
_HEAD = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{_SEGMENT_SECONDS}\n#EXT-X-PLAYLIST-TYPE:EVENT\n"


def figures(bench: Bench) -> Iterator[Figure]:
    if (reason := sources.lacking()) is not None:
        bench.say(f"  {reason}")
        return
    lengths = bench.sized((_HOUR, 24 * _HOUR), (_HOUR,), (_HOUR // 60,))
    made = _segments(bench.cache, lengths[-1] + bench.sized(2 * _HOUR, 2 * _HOUR, _HOUR // 30))
    for place in (_in_folder, _in_s3):
        for length in lengths:
            with tempfile.TemporaryDirectory(dir=bench.cache) as folder, place(Path(folder)) as found:
                if found is None:
                    bench.say("  PostgreSQL is not installed")
                    continue
                yield from _cost(found, made, length, bench.sized(60, 24, 2))


class _Ledger:
    """The table of the recordings that are still written, in SQLite or PostgreSQL."""

    def __init__(self, connection: Any, mark: str) -> None:
        self._connection = connection
        self._mark = mark

    def change(self, assignments: str, *values: object) -> None:
        self._connection.execute(f"UPDATE live_recordings SET {assignments}".replace("?", self._mark), values)

    def growths(self) -> dict[str, str]:
        return dict(self._connection.execute("SELECT recording_id, growth FROM live_recordings").fetchall())

    def close(self) -> None:
        self._connection.close()


@dataclass
class _Place:
    """The data folder of an engine, its objects and their store, and its database, if that is PostgreSQL."""

    name: str
    data: Path
    objects: Objects
    store: Store
    env: Mapping[str, str]
    database_url: str = ""

    def ledger(self) -> _Ledger:
        if self.database_url:
            return _Ledger(psycopg.connect(self.database_url, autocommit=True), "%s")
        return _Ledger(sqlite3.connect(self.data / "ledger.db", isolation_level=None, timeout=60), "?")


@contextmanager
def _in_folder(folder: Path) -> Iterator[_Place]:
    data = folder / "data"
    (data / "store").mkdir(parents=True)
    yield _Place("folder, SQLite", data, Objects(data / "store"), FolderStore(data / "store"), {})


@contextmanager
def _in_s3(folder: Path) -> Iterator[_Place | None]:
    if "postgres" not in kinds_of_ledger():
        yield None
        return
    with running_s3(folder) as s3, running_postgres() as server, server.database() as url:
        bucket = f"bench-{uuid4().hex}"
        s3.client.make_bucket(bucket)
        data = folder / "data"
        data.mkdir()
        ledger = {"CLIPENGINE_DATABASE__URL": url, "CLIPENGINE_DATABASE__SECRETS_KEY": str(folder / "secrets.key")}
        objects, store = Objects(data, s3, bucket), S3Store(s3.location(bucket), journal=folder / "journal")
        yield _Place("S3, PostgreSQL", data, objects, store, {**s3_settings(s3, bucket), **ledger}, url)


def _segments(cache: Path, seconds: int) -> Path:
    """Return a folder of so many seconds of small segments."""
    folder = cache / f"live-{_SEGMENT_SECONDS}s-{seconds}s"
    if not folder.exists():
        temporary = folder.with_suffix(".tmp")
        temporary.mkdir(exist_ok=True)
        film = f"color=size=64x36:rate=1:duration={seconds}"
        codec = ["-c:v", "libx264", "-preset", "ultrafast", "-g", str(_SEGMENT_SECONDS), "-f", "segment"]
        form = ["-segment_time", str(_SEGMENT_SECONDS), "-segment_format", "mpegts", str(temporary / "s%05d.ts")]
        run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", film, *codec, *form])
        temporary.rename(folder)
    return folder


class _Recorder:
    """Fifty playlists of the same segments, to which a segment is added every 6 seconds."""

    def __init__(self, objects: Objects, made: Path, count: int) -> None:
        self.keys = [f"live/p{number:02d}.m3u8" for number in range(_RECORDINGS)]
        self._objects = objects
        self._made = made
        self._next = count
        objects.put_many({f"live/{_name(number)}": made / _name(number) for number in range(count)})
        self._text = _HEAD + "".join(_line(number) for number in range(count))
        self._write()
        self._added_at = time.monotonic()

    def _write(self) -> None:
        for key in self.keys:
            self._objects.put(key, self._text.encode())

    def record(self, seconds: float) -> None:
        """Add segments at their rate."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if time.monotonic() >= self._added_at + _SEGMENT_SECONDS:
                self._added_at += _SEGMENT_SECONDS
                self._objects.put_many({f"live/{_name(self._next)}": self._made / _name(self._next)})
                self._text += _line(self._next)
                self._next += 1
                self._write()
            time.sleep(0.05)


def _name(number: int) -> str:
    return f"s{number:05d}.ts"


def _line(number: int) -> str:
    return f"#EXTINF:{_SEGMENT_SECONDS}.000,\n{_name(number)}\n"


def _cost(place: _Place, made: Path, length: int, seconds: float) -> Iterator[Figure]:
    recorder = _Recorder(place.objects, made, length // _SEGMENT_SECONDS)
    name = f"{place.name}: {_RECORDINGS} live recordings of {length // _HOUR} h"
    with running_server(place.data, env=place.env) as server, server.client() as api:
        pid = server.process.pid
        began_bytes = resident_bytes(pid)
        ids = [api.recordings.add(key, live=True).recording_id for key in recorder.keys]
        while any(api.recordings.get(id).status == "processing" for id in ids):
            recorder.record(1)
        with closing(place.ledger()) as ledger:
            ledger.change("wanted_at = 0")  # as a minute after the last request
            recorder.record(_SETTLING_SECONDS)
            used, grown_bytes = _spent(pid, recorder, seconds), resident_bytes(pid)
            for _ in range(2):  # a refresh that runs meanwhile changes it
                ledger.change("next_at = ?", round((time.time() + 5 * seconds) * 1000))
                recorder.record(2)
            idle = _spent(pid, recorder, seconds / 2)  # not earlier: the server starts children ahead
            ledger.change("next_at = ?", round(time.time() * 1000))
            recorder.record(_SETTLING_SECONDS)
            measuring = _measurement(pid, recorder, ledger, used=used)
    refreshing = used - idle
    amortised = 100 * measuring / (_MEASURED_AT_ONCE * _SEGMENT_SECONDS)
    bare = _bare(place.store, recorder)
    yield Figure(f"{name}: refreshes", refreshing, "% of a core", beside=bare)
    yield Figure(f"{name}: measurements", amortised, "% of a core")
    yield Figure(
        f"{name}: beside the bare requests", refreshing + amortised - bare, "% of a core", at_most=_AIMS.get(length)
    )
    yield Figure(f"{name}: memory / without recordings", grown_bytes / 1e6, "MB", beside=began_bytes / 1e6)


def _spent(pid: int, recorder: _Recorder, seconds: float) -> float:
    """Return the percents of a core that the server uses while the recordings grow."""
    began, before = time.monotonic(), _cpu_seconds(pid)
    recorder.record(seconds)
    return 100 * (_cpu_seconds(pid) - before) / (time.monotonic() - began)


def _measurement(pid: int, recorder: _Recorder, ledger: _Ledger, *, used: float) -> float:
    """Return the CPU seconds of one measurement of each recording, of a server that uses so many percents anyway."""
    before = ledger.growths()
    began, spent = time.monotonic(), _cpu_seconds(pid)
    now = round(time.time() * 1000)
    ledger.change("wanted_at = ?, next_at = ?", now, now)
    while before:
        recorder.record(0.2)
        after = ledger.growths()
        for id in [id for id, growth in before.items() if after[id] != growth]:
            ledger.change("wanted_at = 0 WHERE recording_id = ?", id)
            del before[id]
    return _cpu_seconds(pid) - spent - used / 100 * (time.monotonic() - began)


def _bare(store: Store, recorder: _Recorder) -> float:
    """Return the percents of a core that only reading the playlists takes, once in each target duration."""
    before = time.process_time()
    for _ in range(_BARE_PASSES):
        for key in recorder.keys:
            store.read(key, limit=MAX_PLAYLIST_BYTES)
    return 100 * (time.process_time() - before) / (_BARE_PASSES * _SEGMENT_SECONDS)


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and its children, those that run and those that have ended."""
    ticks = 0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children += [each for task in tasks if task.name != str(pid) for each in (task / "children").read_text().split()]
    for each in [str(pid), *children]:
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15] if each == str(pid) else fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")
