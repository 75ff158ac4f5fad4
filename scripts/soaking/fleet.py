"""Several engines that share a PostgreSQL and an S3 store, while a random one of them fails again and again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import click

from clipengine.client import ApiError, Client, ServerUnreachable
from clipengine.ledger.database.compatibility import LEASE_MS
from scripts.soaking.fleet_live import LiveLoad
from scripts.soaking.fleet_load import Cut, FleetLoad
from scripts.soaking.fleet_site import Site, running_site
from tests.films.catalogue import Shelf
from tests.films.judge import judge
from tests.films.reader import read_clip
from tests.support.hosts import Hosts
from tests.support.ports import free_port
from tests.support.s3 import open_uploads
from tests.support.server import COMMAND, RunningServer, RunningWorker
from tests.support.waiting import until

_WORKERS = 3
_FREEZE_SECONDS = LEASE_MS / 1000 + 3
_END_SECONDS = 900
_ON_DISK = "worker-1"  # the engine whose disk can be filled
_FAULTS = ("kill -9", "stop", "freeze", "database", "child", "store")
_CUES = [{"start_seconds": 0, "end_seconds": 3600, "text": "hello there"}]


def fleet(folder: Path, clips: int, seconds: float, release: Path | None = None) -> None:
    """Create `clips` clips while engines and the database fail for about `seconds`, and check the results.

    Every clip must be complete and exact, as one object with one event and one webhook. If the command of a past
    release is given, the engines begin with it, and are replaced one after the other in the second half of the time,
    the server first. From then on, clips have options that the past release does not know. A worker goes back once.
    A live recording grows meanwhile.
    """
    film = Shelf(folder).get("mp4_25")
    with running_site(folder, _ON_DISK) as site:
        hosts = site.hosts
        engines = _Engines(site, release)
        with engines.server.client() as api:
            recording_id = hosts.recording(api, film.path)
            api.transcripts.put(recording_id, "en", _CUES)
        load = FleetLoad(engines, recording_id, film, clips, seconds)
        live = LiveLoad(site, load.client, folder / "live", seconds)
        faults = _fail(engines, seconds)
        load.join()
        live.join()
        with load.client() as api:
            until(lambda: not _unfinished(api), _END_SECONDS)
            attempts = Counter(clip.attempt for clip in api.clips.each())
            states = {api.recordings.get(each).status for each in load.uploaded}
        hosts.check([*load.created, *live.created, *load.optional])
        until(lambda: not open_uploads(site.store, hosts.bucket))
        assert states <= {"complete"}, states
        _check_frames(hosts, load.created | live.created)
        _check_options(hosts, load.optional)
    requests = Counter(each.headers["webhook-id"] for each in hosts.receiver.requests)
    click.echo(f"{clips} clips, and {len(live.created)} of a live recording, complete and exact,")
    click.echo(f"one object, one event and one webhook each; faults {dict(faults)};")
    click.echo(f"{len(load.optional)} of them with options that the past release does not know;")
    click.echo(f"attempts {dict(sorted(attempts.items()))}; {len(load.uploaded)} uploads in parts, none left open;")
    click.echo(f"webhooks {len(requests)}, sent twice {sum(requests.values()) - len(requests)}")


def _fail(engines: _Engines, seconds: float) -> Counter[str]:
    """Let faults happen for `seconds`, and upgrade an engine after some of the second half, until none is old."""
    faults: Counter[str] = Counter()
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        time.sleep(random.uniform(1, 5))
        fault = random.choice(engines.faults)
        faults[f"{fault}, mixed releases" if engines.mixed else fault] += 1
        click.echo(f"  {passed:4.0f} s: {fault} {engines.fail(fault)}")
        if passed > seconds / 2 and random.random() < 0.3:
            engines.upgrade_one()
        if passed > seconds * 3 / 4:
            engines.go_back_once()
    while engines.mixed:
        engines.upgrade_one()
    return faults


class _Engines:
    """A server, which is number 0, and its workers. One that ends is replaced."""

    def __init__(self, site: Site, release: Path | None) -> None:
        self._site = site
        self.faults = (*_FAULTS, "disk") if site.disk else _FAULTS
        self._port = ("--port", str(free_port()))
        self._command = COMMAND if release is None else str(release)
        self._release = self._command
        self._old = {*range(_WORKERS + 1)} if release else set()
        self._went_back = release is None
        self.server = self._start_server()
        self._workers = [self._start_worker(number) for number in range(1, _WORKERS + 1)]

    @property
    def mixed(self) -> bool:
        """True while engines of both releases run."""
        return 0 < len(self._old) <= _WORKERS

    @property
    def has_new_server(self) -> bool:
        return 0 not in self._old

    def fail(self, fault: str) -> str:
        """Let the fault happen to what engines share or a random engine, undo it, and return the engine's name."""
        shared = {
            "database": self._site.restart_database,
            "store": self._site.freeze_store,
            "disk": self._site.fill_disk,
        }
        if fault in shared:
            shared[fault]()
            return ""
        number = random.randrange(_WORKERS + 1)
        if fault == "child":
            with suppress(ProcessLookupError, IndexError):
                os.kill(random.choice(_children(self._engine(number).process.pid)), signal.SIGKILL)
        elif fault == "freeze":
            process = self._engine(number).process
            process.send_signal(signal.SIGSTOP)
            time.sleep(_FREEZE_SECONDS)
            process.send_signal(signal.SIGCONT)
        else:
            self._replace(number, signal.SIGKILL if fault == "kill -9" else signal.SIGTERM)
        return self._engine(number).data.name

    def upgrade_one(self) -> None:
        """Replace an engine of the past release. From the first call on, all engines start as the current one."""
        self._command = COMMAND
        if self._old:
            number = 0 if 0 in self._old else random.choice([*self._old])
            click.echo(f"        upgrade {self._engine(number).data.name}")
            self._replace(number, signal.SIGTERM)

    def go_back_once(self) -> None:
        """Replace a worker of the current release by one of the past release, once."""
        new = {*range(1, _WORKERS + 1)} - self._old
        if new and not self._went_back:
            self._went_back = True
            number = random.choice([*new])
            click.echo(f"        {self._engine(number).data.name} goes back")
            self._command, command = self._release, self._command
            self._old.add(number)
            self._replace(number, signal.SIGTERM)
            self._command = command

    def _engine(self, number: int) -> RunningServer | RunningWorker:
        return self._workers[number - 1] if number else self.server

    def _replace(self, number: int, sig: signal.Signals) -> None:
        process = self._engine(number).process
        if process.poll() is not None:
            click.echo(f"        it had ended with {process.returncode}")
        process.send_signal(sig)
        process.wait(60)
        if self._command == COMMAND:
            self._old.discard(number)
        if number:
            self._workers[number - 1] = self._start_worker(number)
        else:
            self.server = self._start_server()

    def _start_server(self) -> RunningServer:
        return self._site.hosts.server("server", self._port, command=[self._command])

    def _start_worker(self, number: int) -> RunningWorker:
        small = {"CLIPENGINE_LIMITS__MIN_FREE_BYTES": "1000000"} if number == 1 else {}
        return self._site.hosts.worker(f"worker-{number}", command=[self._command], **small)


def _children(pid: int) -> list[int]:
    """Return the child processes of an engine."""
    return [
        int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()
    ]


def _unfinished(api: Client) -> bool:
    try:
        return any(api.clips.each(status="processing")) or any(api.recordings.each(status="processing"))
    except (ApiError, ServerUnreachable):
        return True


def _check_frames(hosts: Hosts, created: dict[str, Cut]) -> None:
    """Decode every clip in the bucket, and check that it has the frames and the sound of its range."""
    path = hosts.folder / "clip.mp4"
    with closing(hosts.ledger()) as ledger:
        keys = {clip_id: ledger.clips.get(clip_id).object_key for clip_id in created}
    for clip_id, (film, start, end) in created.items():
        hosts.s3.client.fget_object(hosts.bucket, keys[clip_id], str(path))
        faults = judge(film, read_clip(path), start, end)
        assert not faults, f"{clip_id}, {float(start)} to {float(end)}: {faults}"


def _check_options(hosts: Hosts, optional: dict[str, dict[str, Any]]) -> None:
    """Check that the clips have what the options ask for."""
    with closing(hosts.ledger()) as ledger:
        for clip_id, options in optional.items():
            result = ledger.clips.get(clip_id).result
            assert result is not None, clip_id
            if "output" in options:
                assert result.width == result.height, clip_id
            elif "without" in options:
                assert result.removed_seconds == 0, clip_id
            else:
                assert result.subtitles == [], clip_id
