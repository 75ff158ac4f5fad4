"""Cost of fifty recordings that are still written: EVENT playlists with segments of 6 s, of an hour and of a day.

CPU is that of the server and its children in parts of one core, beside the same reads of the playlists without an
engine. Nobody asks for the recordings, so that their segments are measured 200 at a time: the measurement of one
segment of each is timed too, and counts for 200 of them.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from clipengine.client import Client
from clipengine.stores.folder import FolderStore
from scripts.benchmarks import sources
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.measuring import run
from tests.support.server import RunningServer, running_server

_RECORDINGS = 50
_SEGMENT_SECONDS = 6
_MEASURED_AT_ONCE = 200  # segments, see clipengine.work.jobs.refreshes
_LOOK_SECONDS = 60  # for which a recording is measured at each refresh after a request for it
_HOUR = 3600
_AIMS = {_HOUR: 2, 24 * _HOUR: 5}  # percent of a core
_HEAD = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{_SEGMENT_SECONDS}\n#EXT-X-PLAYLIST-TYPE:EVENT\n"


def figures(bench: Bench) -> Iterator[Figure]:
    if (reason := sources.lacking()) is not None:
        bench.say(f"  {reason}")
        return
    seconds = 30 if bench.quick else 120
    made = _segments(bench.cache, (1 if bench.quick else 24) * _HOUR + 2 * _HOUR)
    for length in (_HOUR,) if bench.quick else (_HOUR, 24 * _HOUR):
        with tempfile.TemporaryDirectory(dir=bench.cache) as folder:
            yield from _cost(Path(folder), made, length, seconds)


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

    def __init__(self, folder: Path, made: Path, count: int) -> None:
        self.keys = [f"live/p{number:02d}.m3u8" for number in range(_RECORDINGS)]
        self._folder = folder
        self._made = made
        self._next = count
        live = folder / "live"
        live.mkdir(parents=True)
        for number in range(count):
            self._link(number)
        text = _HEAD + "".join(_line(number) for number in range(count))
        for key in self.keys:
            (folder / key).write_text(text)
        self._added_at = time.monotonic()

    def _link(self, number: int) -> None:
        os.link(self._made / f"s{number:05d}.ts", self._folder / "live" / f"s{number:05d}.ts")

    def record(self, seconds: float) -> None:
        """Add segments at their rate."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if time.monotonic() >= self._added_at + _SEGMENT_SECONDS:
                self._added_at += _SEGMENT_SECONDS
                self._link(self._next)
                for key in self.keys:
                    with (self._folder / key).open("a") as file:
                        file.write(_line(self._next))
                self._next += 1
            time.sleep(0.05)


def _line(number: int) -> str:
    return f"#EXTINF:{_SEGMENT_SECONDS}.000,\ns{number:05d}.ts\n"


def _cost(folder: Path, made: Path, length: int, seconds: float) -> Iterator[Figure]:
    data = folder / "data"
    recorder = _Recorder(data / "store", made, length // _SEGMENT_SECONDS)
    name = f"{_RECORDINGS} live recordings of {length // _HOUR} h"
    with running_server(data) as server, server.client() as api:
        idle = _spent(server, recorder, seconds / 2)
        ids = [api.recordings.add(key, live=True).recording_id for key in recorder.keys]
        while any(api.recordings.get(id).status == "processing" for id in ids):
            recorder.record(1)
        recorder.record(_LOOK_SECONDS + 2 * _SEGMENT_SECONDS)  # nobody asks for them any more
        refreshing = _spent(server, recorder, seconds) - idle
        measuring = _measurement(server, recorder, api, ids)
    amortised = 100 * measuring / (_MEASURED_AT_ONCE * _SEGMENT_SECONDS)
    bare = _bare(data / "store", recorder)
    yield Figure(f"{name}: refreshes", refreshing, "% of a core", beside=bare)
    yield Figure(f"{name}: measurements", amortised, "% of a core")
    yield Figure(f"{name}: beside the bare reads", refreshing + amortised - bare, "% of a core", at_most=_AIMS[length])


def _spent(server: RunningServer, recorder: _Recorder, seconds: float) -> float:
    """Return the percents of a core that the server uses while the recordings grow."""
    began, before = time.monotonic(), _cpu_seconds(server.process.pid)
    recorder.record(seconds)
    return 100 * (_cpu_seconds(server.process.pid) - before) / (time.monotonic() - began)


def _measurement(server: RunningServer, recorder: _Recorder, api: Client, ids: list[str]) -> float:
    """Return the CPU seconds of a measurement of each recording."""
    before = _cpu_seconds(server.process.pid)
    revisions = {id: api.recordings.get(id).revision for id in ids}  # each request has it measured
    counts = {id: (api.recordings.get(id).pieces or {})["count"] for id in ids}
    while any((api.recordings.get(id).pieces or {})["count"] == counts[id] for id in revisions):
        recorder.record(1)
    return _cpu_seconds(server.process.pid) - before


def _bare(store: Path, recorder: _Recorder) -> float:
    """Return the percents of a core that only reading the playlists takes, once in each target duration."""
    reading = FolderStore(store)
    before = time.process_time()
    for key in recorder.keys:
        reading.head(key)
        with closing(reading.open(key)) as reader:
            reader.read_at(0, reader.info.size)
    return 100 * (time.process_time() - before) / _SEGMENT_SECONDS


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
