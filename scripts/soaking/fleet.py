"""Several engines that share a PostgreSQL and an S3 store, while a random one of them fails again and again."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import click

from clipengine.client import ApiError, Client, ServerUnreachable
from clipengine.ledger.database.compatibility import LEASE_MS
from clipengine.stores.s3_upload import PART_BYTES
from tests.films.catalogue import Shelf
from tests.films.film import Film
from tests.films.judge import judge
from tests.films.reader import read_clip
from tests.support.hosts import Hosts
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.receiver import Receiver
from tests.support.s3 import free_port, open_uploads, running_s3
from tests.support.server import COMMAND, RunningServer, RunningWorker
from tests.support.waiting import until

_WORKERS = 3
_CLIP_SECONDS = Fraction(2)
_FREEZE_SECONDS = LEASE_MS / 1000 + 3
_END_SECONDS = 900
_FAULTS = ("kill -9", "stop", "freeze", "database")

Answer = TypeVar("Answer")


def fleet(folder: Path, clips: int, seconds: float, release: Path | None = None) -> None:
    """Create `clips` clips while engines and the database fail for about `seconds`, and check the results.

    Every clip must be complete and exact, as one object with one event and one webhook. If the command of a past
    release is given, the engines begin with it, and are replaced one after the other in the second half of the time.
    """
    film = Shelf(folder).get("mp4_25")
    with _hosts(folder) as (hosts, postgres):
        engines = _Engines(hosts, release)
        with engines.server.client() as api:
            recording_id = hosts.recording(api, film.path)
        load = _Load(engines.server, recording_id, film, clips, seconds)
        faults = _fail(engines, postgres, seconds)
        load.join()
        with load.client() as api:
            until(lambda: not _unfinished(api), _END_SECONDS)
            attempts = Counter(clip.attempt for clip in api.clips.each())
            states = {api.recordings.get(each).status for each in load.uploaded}
        hosts.check([*load.created])
        until(lambda: not open_uploads(hosts.s3, hosts.bucket))
        assert states <= {"complete"}, states
        _check_frames(hosts, film, load.created)
    requests = Counter(each.headers["webhook-id"] for each in hosts.receiver.requests)
    click.echo(f"{clips} clips complete and exact, one object, one event and one webhook each; faults {dict(faults)};")
    click.echo(f"attempts {dict(sorted(attempts.items()))}; {len(load.uploaded)} uploads in parts, none left open;")
    click.echo(f"webhooks {len(requests)}, sent twice {sum(requests.values()) - len(requests)}")


def _fail(engines: _Engines, postgres: PostgresServer, seconds: float) -> Counter[str]:
    """Let faults happen for `seconds`, and upgrade an engine after some of the second half, until none is old."""
    faults: Counter[str] = Counter()
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        time.sleep(random.uniform(1, 5))
        fault = random.choice(_FAULTS)
        faults[f"{fault}, mixed releases" if engines.mixed else fault] += 1
        click.echo(f"  {passed:4.0f} s: {fault} {engines.fail(fault, postgres)}")
        if passed > seconds / 2 and random.random() < 0.3:
            engines.upgrade_one()
    while engines.mixed:
        engines.upgrade_one()
    return faults


class _Engines:
    """A server, which is number 0, and its workers. One that ends is replaced."""

    def __init__(self, hosts: Hosts, release: Path | None) -> None:
        self._hosts = hosts
        self._port = ("--port", str(free_port()))
        self._command = COMMAND if release is None else str(release)
        self._old = {*range(_WORKERS + 1)} if release else set()
        self.server = self._start_server()
        self._workers = [self._start_worker(number) for number in range(1, _WORKERS + 1)]

    @property
    def mixed(self) -> bool:
        """True while engines of both releases run."""
        return 0 < len(self._old) <= _WORKERS

    def fail(self, fault: str, postgres: PostgresServer) -> str:
        """Let the fault happen to the database or a random engine, bring it back, and return the name of the engine."""
        if fault == "database":
            postgres.stop("immediate")
            time.sleep(random.uniform(0.5, 3))
            postgres.start()
            return ""
        number = random.randrange(_WORKERS + 1)
        if fault == "freeze":
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
            number = random.choice([*self._old])
            click.echo(f"        upgrade {self._engine(number).data.name}")
            self._replace(number, signal.SIGTERM)

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
        return self._hosts.server("server", self._port, command=[self._command])

    def _start_worker(self, number: int) -> RunningWorker:
        return self._hosts.worker(f"worker-{number}", command=[self._command])


class _Load:
    """Two threads: one creates clips, one uploads recordings of several parts. Each request is repeated if it fails.

    `created` has the ranges of the clips that were accepted, and `uploaded` the recordings.
    """

    def __init__(self, server: RunningServer, recording_id: str, film: Film, clips: int, seconds: float) -> None:
        self._url, self._key = server.url, server.key
        self.created: dict[str, tuple[Fraction, Fraction]] = {}
        self.uploaded: list[str] = []
        self._created_all = threading.Event()
        self._threads = [
            threading.Thread(target=self._create, args=(recording_id, film, clips, seconds / clips), daemon=True),
            threading.Thread(target=self._upload, args=(_in_parts(film),), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def client(self) -> Client:
        return Client(self._url, self._key)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(_END_SECONDS)
            assert not thread.is_alive()

    def _create(self, recording_id: str, film: Film, clips: int, pause: float) -> None:
        with self.client() as api:
            for number in range(clips):
                key, start = str(uuid4()), Fraction(random.randrange(int(1000 * (film.duration - _CLIP_SECONDS))), 1000)
                end = start + _CLIP_SECONDS
                where = (recording_id, f"clip {number}", float(start), float(end))
                clip = _accepted(lambda where=where, key=key: api.clips.create(*where, idempotency_key=key))
                self.created[clip.clip_id] = start, end
                time.sleep(pause)
        self._created_all.set()

    def _upload(self, path: Path) -> None:
        """Upload slowly, one recording after the other, so that most faults of the server hit an upload."""
        with self.client() as api:
            while not self._created_all.is_set():
                upload = _accepted(lambda: api.recordings.upload(path, on_progress=lambda *_: time.sleep(0.2)))
                self.uploaded.append(upload.recording_id)


def _accepted(request: Callable[[], Answer]) -> Answer:
    """Repeat the request until it succeeds."""
    while True:
        try:
            return request()
        except (ApiError, ServerUnreachable) as error:
            click.echo(f"          {str(error)[:100]}; again")
            time.sleep(1)


def _in_parts(film: Film) -> Path:
    """Return a copy of the film that is uploaded in two parts: with a box of zeros at the end."""
    path = film.path.with_name("in_parts.mp4")
    path.write_bytes(film.path.read_bytes() + PART_BYTES.to_bytes(4, "big") + b"free" + bytes(PART_BYTES - 8))
    return path


def _unfinished(api: Client) -> bool:
    try:
        return any(api.clips.each(status="processing")) or any(api.recordings.each(status="processing"))
    except (ApiError, ServerUnreachable):
        return True


def _check_frames(hosts: Hosts, film: Film, created: dict[str, tuple[Fraction, Fraction]]) -> None:
    """Decode every clip in the bucket, and check that it has the frames and the sound of its range."""
    path = film.path.with_name("clip.mp4")
    with closing(hosts.ledger()) as ledger:
        keys = {clip_id: ledger.clips.get(clip_id).object_key for clip_id in created}
    for clip_id, (start, end) in created.items():
        hosts.s3.client.fget_object(hosts.bucket, keys[clip_id], str(path))
        faults = judge(film, read_clip(path), start, end)
        assert not faults, f"{clip_id}, {float(start)} to {float(end)}: {faults}"


@contextmanager
def _hosts(folder: Path) -> Iterator[tuple[Hosts, PostgresServer]]:
    with ExitStack() as stack:
        s3 = stack.enter_context(running_s3(folder))
        bucket = f"soak-{uuid4().hex[:12]}"
        s3.client.make_bucket(bucket)
        postgres = stack.enter_context(running_postgres())
        url = stack.enter_context(postgres.database())
        receiver = stack.enter_context(Receiver())
        running = stack.enter_context(ExitStack())
        yield Hosts(folder, url, s3, bucket, receiver, running), postgres
