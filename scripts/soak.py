"""A long time of everything at once: load, kill -9, a store and receivers that fail; nothing may be lost.

    python scripts/soak.py --minutes 30          # make soak ARGS="--minutes 30"
    python scripts/soak.py --outage-hours 23     # a day without the store, its waits compressed

Three fifths of the time are storms: rounds in which the engine is killed every few seconds while the store and the
webhook receiver fail at random. The rest is one engine under the same load that is left alone, to see whether its
memory, descriptors or WAL grow. After each round everything has to settle, and the invariants are checked against the
store itself. Exit 1 with what was found wrong. The store is the one of S3_ENDPOINT, else moto's.

In `--outage-hours` the waits between tries pass 1440 times as fast as the engine was told to wait, so that a day of
them takes a minute; the tries themselves take as long as they do.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import click
import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from clipengine.clips.clip import Clip
from clipengine.stores.s3 import S3Store
from scripts.sample import make_sample
from tests.support.invariants import check_invariants, children_of
from tests.support.receiver import Answer, Receiver, Request
from tests.support.s3 import S3Server, free_port, open_uploads, running_s3
from tests.support.s3_faults import FaultyS3, cut_after_commit, cut_before_commit, cut_body, refuse
from tests.support.server import RunningServer, running_server

_FILM_SECONDS = 8
_STORE_FAULTS = [
    ("PUT", refuse(503, "SlowDown")),
    ("PUT", cut_before_commit),
    ("PUT", cut_after_commit),
    ("HEAD", refuse(500, "InternalError")),
    ("GET", cut_body(1000)),
    ("DELETE", refuse(503, "SlowDown")),
]
_STILL_SECONDS = 180
_PACE, _DAY_PACE = 20, 1440


@dataclass
class Told:
    """What the engine has promised, and what it was asked to undo."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    accepted: list[str] = field(default_factory=list)
    undone: set[str] = field(default_factory=set)  # cancelled or deleted, perhaps: the answer may be lost
    answers: Counter[str] = field(default_factory=Counter)


@dataclass
class Place:
    """A data folder, its store behind a proxy, its receiver and the port on which the engine is found."""

    data: Path
    s3: S3Server
    bucket: str
    proxy: FaultyS3
    receiver: Receiver
    port: int = field(default_factory=free_port)
    key: str = ""
    recording: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def engine(self, **env: str) -> Iterator[RunningServer]:
        settings = {
            "CLIPENGINE_STORAGE__KIND": "s3",
            "CLIPENGINE_STORAGE__ENDPOINT": self.proxy.endpoint,
            "CLIPENGINE_STORAGE__BUCKET": self.bucket,
            "CLIPENGINE_STORAGE__REGION": self.s3.region,
            "CLIPENGINE_STORAGE__ACCESS_KEY": self.s3.access_key,
            "CLIPENGINE_STORAGE__SECRET_KEY": self.s3.secret_key,
            "CLIPENGINE_WEBHOOKS__ENDPOINTS": f'[{{url = "{self.receiver.url}", secret = "a secret of tests"}}]',
            "CLIPENGINE_FAULT": f"outage:pace={_PACE}",
            **env,
        }
        with running_server(self.data, env=settings, options=["--port", str(self.port)]) as server:
            self.key = self.key or server.key
            yield server

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

    def prepare(self, film: Path) -> None:
        """Put a recording into the bucket and register it."""
        self.s3.client.fput_object(self.bucket, "h_01/meeting.mp4", str(film))
        with self.engine() as server, server.client() as api:
            made = api.recordings.add("h_01/meeting.mp4")
            self.recording = api.recordings.wait(made.recording_id, timeout=120).recording_id
            server.stop()

    def check(self) -> dict[str, Clip]:
        store = S3Store(self.s3.location(self.bucket), journal=self.data / "uploads")
        clips = check_invariants(self.data, store=store, open_uploads=open_uploads(self.s3, self.bucket))
        return {clip.clip_id: clip for clip in clips}


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    film = folder / "film.mp4"
    make_sample(film, seconds=_FILM_SECONDS)
    with ExitStack() as stack:
        s3 = stack.enter_context(running_s3(folder))
        bucket = f"soak-{uuid4().hex[:12]}"
        s3.client.make_bucket(bucket)
        proxy = stack.enter_context(FaultyS3(s3.endpoint, remember=False))
        receiver = stack.enter_context(Receiver())
        made = Place(folder / "data", s3, bucket, proxy, receiver)
        made.prepare(film)
        yield made


# ---- the load


class Load:
    """Clients that post, look and undo, each in a thread, until it ends."""

    def __init__(self, place: Place, told: Told, *, posters: int, gap: float) -> None:
        self._place = place
        self._told = told
        self._gap = gap
        self._over = threading.Event()
        jobs = [self._post] * posters + [self._undo, self._look]
        self._threads = [threading.Thread(target=self._repeat, args=(job,), daemon=True) for job in jobs]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _repeat(self, job: Callable[[httpx.Client], None]) -> None:
        while not self._over.is_set():
            with suppress(httpx.HTTPError), self._place.http() as http:
                while not self._over.wait(random.uniform(0, 2 * self._gap)):
                    job(http)
            self._over.wait(0.2)

    def _post(self, http: httpx.Client) -> None:
        """One clip, asked for under one key until the engine has said yes or no."""
        start = random.uniform(0, _FILM_SECONDS - 3)
        body = {"label": "soak", "start_seconds": start, "end_seconds": start + random.uniform(0.2, 2)}
        key = uuid4().hex
        while not self._over.is_set():
            try:
                answer = http.post(
                    f"/v1/recordings/{self._place.recording}/clips", json=body, headers={"Idempotency-Key": key}
                )
            except httpx.HTTPError:
                self._over.wait(0.3)
                continue
            with self._told.lock:
                self._told.answers[str(answer.status_code)] += 1
            if answer.status_code == 202:
                with self._told.lock:
                    self._told.accepted.append(answer.json()["clip_id"])
                return
            self._over.wait(0.5)

    def _undo(self, http: httpx.Client) -> None:
        """Cancel or delete one of the last clips, or one from long ago."""
        if random.random() < 0.5 or not self._told.accepted:
            return
        with self._told.lock:
            id = random.choice(self._told.accepted[-20:] if random.random() < 0.5 else self._told.accepted)
            self._told.undone.add(id)
        if random.random() < 0.5:
            http.post(f"/v1/clips/{id}/cancel")
        else:
            http.delete(f"/v1/clips/{id}")

    def _look(self, http: httpx.Client) -> None:
        http.get("/v1/clips", params={"limit": 100})
        http.get("/metrics")
        with suppress(httpx.ReadTimeout), http.stream("GET", "/v1/events", timeout=1) as stream:
            next(stream.iter_lines(), None)


class Trouble:
    """A store and a receiver that fail for seconds at a time."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Trouble:
        self._place.receiver.answer = _moody
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._place.proxy.clear()
        self._place.receiver.answer = lambda request: Answer()

    def _run(self) -> None:
        while not self._over.wait(random.uniform(1, 5)):
            method, fault = random.choice(_STORE_FAULTS)
            self._place.proxy.fail(fault, method=method, times=random.choice([1, 3, 10**6]))
            self._over.wait(random.uniform(1, 8))
            self._place.proxy.clear()


def _moody(request: Request) -> Answer:
    return random.choices([Answer(), Answer(500), Answer(hang_up=True), Answer(delay=0.5)], [85, 5, 5, 5])[0]


# ---- what is watched


@dataclass
class Sample:
    at: float
    rss: int  # bytes
    descriptors: int
    wal: int  # bytes
    scratch: int  # entries


class Watch:
    """Looks at a running engine every two seconds."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        process = Path("/proc") / str(self._server.process.pid)
        data = self._server.data
        while not self._over.wait(2):
            with suppress(OSError, StopIteration):
                status = (process / "status").read_text().splitlines()
                rss = int(next(line for line in status if line.startswith("VmRSS")).split()[1]) * 1024
                wal = data / "ledger.db-wal"
                self.samples.append(
                    Sample(
                        time.monotonic(),
                        rss,
                        len(list((process / "fd").iterdir())),
                        wal.stat().st_size if wal.exists() else 0,
                        len(list((data / "scratch").iterdir())),
                    )
                )


def slope(samples: list[Sample]) -> float:
    """By how many bytes the memory grew in an hour: least squares over all but the first quarter."""
    late = samples[len(samples) // 4 :]
    if len(late) < 3:
        return 0.0
    middle = sum(each.at for each in late) / len(late)
    mean = sum(each.rss for each in late) / len(late)
    spread = sum((each.at - middle) ** 2 for each in late)
    return 3600 * sum((each.at - middle) * (each.rss - mean) for each in late) / spread


# ---- the rounds


def storm(place: Place, told: Told, seconds: float) -> int:
    """Kill the engine every few seconds under load and trouble; how often that was."""
    kills = 0
    end = time.monotonic() + seconds
    with Load(place, told, posters=2, gap=1.5), Trouble(place):
        while time.monotonic() < end:
            with place.engine() as server:
                time.sleep(random.uniform(1, 8))
                children = children_of(place.data)
                if children and random.random() < 0.1:
                    with suppress(ProcessLookupError):
                        os.kill(random.choice(children), signal.SIGKILL)
                    time.sleep(1)
                server.process.kill()
                server.process.wait()
                kills += 1
    return kills


def settle(place: Place, told: Told) -> dict[str, Clip]:
    """Let everything end, stop, and prove that nothing is lost. Raises AssertionError."""
    with place.engine() as server, server.client(timeout=60) as api:
        moved, seen = time.monotonic(), None
        while left := _left(place):
            if left != seen:
                moved, seen = time.monotonic(), left
            if time.monotonic() - moved > _STILL_SECONDS:
                clips = [vars(clip) for clip in api.clips.each(status="processing")]
                shutil.copytree(place.data, f"{place.data.parent}.failed")
                raise AssertionError(f"nothing moves any more: {left}; {clips}; see {place.data.parent}.failed")
            time.sleep(1)
        assert server.stop() == 0
    clips = place.check()
    for id in told.accepted:
        if id in told.undone:
            continue
        assert id in clips, f"{id} was accepted and is gone"
        assert clips[id].state == "complete", f"{id} was accepted and is {clips[id].state}: {clips[id].error}"
    return clips


def _left(place: Place) -> tuple[int, int, int] | None:
    """Clips that have not ended, objects that are not removed, folders in scratch; None where there are none."""
    connection = sqlite3.connect(place.data / "ledger.db", timeout=20)
    try:
        (clips,) = connection.execute("SELECT COUNT(*) FROM clips WHERE state IN ('queued', 'running')").fetchone()
        (removals,) = connection.execute("SELECT COUNT(*) FROM removals").fetchone()
    finally:
        connection.close()
    left = (clips, removals, len(list((place.data / "scratch").iterdir())))
    return left if any(left) else None


def calm(place: Place, told: Told, seconds: float) -> list[Sample]:
    """The same load and trouble on one engine that is left alone."""
    with place.engine() as server, Watch(server) as watch, Load(place, told, posters=2, gap=1.5), Trouble(place):
        time.sleep(seconds)
        assert server.process.poll() is None
    return watch.samples


def outage(place: Place, hours: float) -> None:
    """So many hours without the store, in compressed waits, with kills in between: each clip cut once, none lost."""
    env = {"CLIPENGINE_FAULT": f"outage:pace={_DAY_PACE}", "CLIPENGINE_ENCODING__WORKERS": "8"}
    place.proxy.fail(refuse(503, "SlowDown"), method="PUT", times=10**9)
    ids: list[str] = []
    began = time.monotonic()
    kills = 0
    waited = 0.0
    while waited < hours:
        with place.engine(**env) as server, server.client() as api:
            if len(ids) < 8:
                made = [api.clips.create(place.recording, "day", float(n % 4), n % 4 + 1.5) for n in range(4)]
                ids += [clip.clip_id for clip in made]
            end = time.monotonic() + 90
            while time.monotonic() < end and waited < hours:
                time.sleep(2)
                waited = _waited_hours(place)
            assert all(api.clips.get(id).status == "processing" for id in ids), "a clip ended in the outage"
            click.echo(f"  {waited:5.1f} h waited, {kills} kills, {time.monotonic() - began:5.0f} s of real time")
            server.process.kill()
            server.process.wait()
            kills += 1
    place.proxy.clear()
    with place.engine(**env) as server, server.client() as api:
        for id in ids:
            clip = api.clips.wait(id, timeout=120)
            assert clip.status == "complete", clip.error
        attempts = Counter(api.clips.get(id).attempt for id in ids)
        assert server.stop() == 0
    tries = (place.data.with_name("data.log")).read_text().count("its upload is tried again")
    place.check()
    click.echo(f"  {len(ids)} clips, {tries} tries, {kills} kills, attempts {dict(attempts)}: all complete")


def _waited_hours(place: Place) -> float:
    connection = sqlite3.connect(place.data / "ledger.db", timeout=20)
    try:
        return float(connection.execute("SELECT MAX(outage_ms) FROM clips").fetchone()[0] or 0) / 3_600_000
    finally:
        connection.close()


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long.")
@click.option("--outage-hours", default=0.0, help="Instead: so many hours without the store, in compressed waits.")
@click.option("--seed", default=0, help="Of what is chosen at random; 0 takes a new one.")
def main(minutes: float, outage_hours: float, seed: int) -> None:
    """Run everything at once for a long time and prove that nothing was lost."""
    seed = seed or random.randrange(1, 10**6)
    random.seed(seed)
    click.echo(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, place(Path(folder)) as made:
        if outage_hours:
            outage(made, outage_hours)
            return
        told = Told()
        end = time.monotonic() + minutes * 60 * 0.6
        kills = rounds = 0
        while time.monotonic() < end:
            kills += storm(made, told, min(60, max(10, end - time.monotonic())))
            clips = settle(made, told)
            rounds += 1
            states = Counter(clip.state for clip in clips.values())
            click.echo(
                f"round {rounds}: {kills} kills, {len(told.accepted)} accepted, {dict(states)}, nothing lost;"
                f" answers {dict(told.answers)}"
            )
        samples = calm(made, told, minutes * 60 * 0.4)
        clips = settle(made, told)
        states = Counter(clip.state for clip in clips.values())
        attempts = Counter(clip.attempt for clip in clips.values())
        click.echo(f"calm: {len(told.accepted)} accepted, {dict(states)}, nothing lost; attempts {dict(attempts)}")
        ends = [samples[0], *samples[len(samples) // 4 :: max(1, len(samples) // 8)], samples[-1]]
        for each in ends:
            click.echo(
                f"  {each.at - samples[0].at:6.0f} s  {each.rss / 1e6:6.1f} MB  {each.descriptors:4} descriptors"
                f"  WAL {each.wal / 1e6:5.2f} MB  {each.scratch} in scratch"
            )
        most = max(each.wal for each in samples)
        click.echo(f"  memory {slope(samples) / 1e6:+.2f} MB an hour; WAL at most {most / 1e6:.2f} MB")
        assert most < 64e6, "the WAL grew beyond 64 MB"


if __name__ == "__main__":
    main()
