"""Several engines that share a PostgreSQL and an S3 store, while a random one of them fails again and again."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import click

from clipengine.client import ApiError, Client, ServerUnreachable
from clipengine.ledger.database.compatibility import LEASE_MS
from scripts.sample import make_sample
from tests.support.hosts import Hosts
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.receiver import Receiver
from tests.support.s3 import free_port, running_s3
from tests.support.server import RunningServer
from tests.support.waiting import until

_WORKERS = 3
_FREEZE_SECONDS = LEASE_MS / 1000 + 3
_END_SECONDS = 900


def fleet(folder: Path, clips: int, seconds: float) -> None:
    """Create `clips` clips while engines and the database fail for about `seconds`, and check the results.

    Every clip must be complete, as one object with one event and one webhook.
    """
    with _hosts(folder) as (hosts, postgres):
        engines = _Engines(hosts)
        server = engines.server
        with server.client() as api:
            recording_id = hosts.recording(api, folder / "film.mp4")
        created: list[str] = []
        key, url = server.key, server.url
        client = threading.Thread(target=_create, args=(url, key, recording_id, clips, seconds, created), daemon=True)
        client.start()
        faults: Counter[str] = Counter()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(random.uniform(1, 5))
            fault = random.choice(("kill -9", "stop", "freeze", "database"))
            faults[fault] += 1
            engines.fail(fault, postgres)
        client.join(_END_SECONDS)
        assert len(created) == clips, f"{len(created)} of {clips} clips were created"
        with Client(url, key) as api:
            until(lambda: not _unfinished(api), _END_SECONDS)
            attempts = Counter(clip.attempt for clip in api.clips.each())
        hosts.check(created)
        click.echo(f"{clips} clips complete, one object, one event and one webhook each; faults {dict(faults)};")
        click.echo(f"attempts {dict(sorted(attempts.items()))}; webhook requests {len(hosts.receiver.requests)}")


class _Engines:
    """A server and its workers, which are replaced when they end."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._port = ("--port", str(free_port()))
        self.server: RunningServer = hosts.server("server", self._port)
        self._workers = [hosts.worker(f"worker-{number}") for number in range(_WORKERS)]

    def fail(self, fault: str, postgres: PostgresServer) -> None:
        """Let the fault happen to the database or a random engine, and bring it back."""
        if fault == "database":
            postgres.stop("immediate")
            time.sleep(random.uniform(0.5, 3))
            postgres.start()
            return
        number = random.randrange(_WORKERS + 1)
        engine = self.server if number == _WORKERS else self._workers[number]
        if fault == "freeze":
            engine.process.send_signal(signal.SIGSTOP)
            time.sleep(_FREEZE_SECONDS)
            engine.process.send_signal(signal.SIGCONT)
            return
        engine.process.send_signal(signal.SIGKILL if fault == "kill -9" else signal.SIGTERM)
        engine.process.wait(60)
        if number == _WORKERS:
            self.server = self._hosts.server("server", self._port)
        else:
            self._workers[number] = self._hosts.worker(f"worker-{number}")


def _create(url: str, key: str, recording_id: str, clips: int, seconds: float, created: list[str]) -> None:
    """Create the clips in `seconds`. Each request is repeated with its idempotency key until it succeeds."""
    with Client(url, key) as api:
        for number in range(clips):
            token, start = str(uuid4()), random.uniform(0, 5)
            while True:
                try:
                    clip = api.clips.create(recording_id, f"clip {number}", start, start + 2, idempotency_key=token)
                except (ApiError, ServerUnreachable) as error:
                    click.echo(f"  create {number}: {str(error)[:80]}; again")
                    time.sleep(1)
                    continue
                created.append(clip.clip_id)
                break
            time.sleep(seconds / clips)


def _unfinished(api: Client) -> bool:
    try:
        return any(api.clips.each(status="processing"))
    except (ApiError, ServerUnreachable):
        return True


@contextmanager
def _hosts(folder: Path) -> Iterator[tuple[Hosts, PostgresServer]]:
    make_sample(folder / "film.mp4", seconds=8)
    with ExitStack() as stack:
        s3 = stack.enter_context(running_s3(folder))
        bucket = f"soak-{uuid4().hex[:12]}"
        s3.client.make_bucket(bucket)
        postgres = stack.enter_context(running_postgres())
        url = stack.enter_context(postgres.database())
        receiver = stack.enter_context(Receiver())
        running = stack.enter_context(ExitStack())
        yield Hosts(folder, url, s3, bucket, receiver, running), postgres
