"""A fleet of 0.2.0 on PostgreSQL is upgraded as the Helm chart and the compose file do it, and goes back.

Meanwhile clips are made, from the first new server on also with options that 0.2.0 does not know.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.past_release import installed, shared_releases
from tests.support.postgres import database_url, postgres, skip_without_postgres  # noqa: F401 - fixtures
from tests.support.server import RunningServer, RunningWorker, running_server, running_worker, shared_folder
from tests.support.waiting import until

pytestmark = [pytest.mark.outage, pytest.mark.proof]

skip_without_postgres()
SECONDS = 300
WORKERS = 2
# Options that 0.2.0 ignored or could not read, and the seconds of the clip without them.
CUES = [{"start_seconds": 0, "end_seconds": 8, "text": "hello there"}]
NEW_OPTIONS: list[dict[str, Any]] = [
    {"output": {"aspect": "1:1", "focus": [{"recording_seconds": t, "x": 0.2, "y": 0.5} for t in (1, 4)]}},
    {"without": ["silence"], "keep_ranges": [{"start_seconds": 1, "end_seconds": 4}]},
    {"subtitles": {"mode": "burn", "language": "en", "style": {"name": "box"}}},
]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("0.2.0", shared_releases(tmp_path_factory))


@dataclass
class Fleet:
    """Engines in the order in which they were started. `address` is the server to which requests go."""

    folder: Path
    env: dict[str, str]
    release: Path
    stack: ExitStack
    address: str = ""
    key: str = ""
    has_new_server: bool = False
    logs: list[Path] = field(default_factory=list)

    def server(self, name: str, *, old: bool = False) -> RunningServer:
        command = {"command": [str(self.release)]} if old else {}
        server = self.stack.enter_context(running_server(self.folder / name, env=self.env, **command))
        self.key = self.key or server.key
        until(lambda: self._is_ready(server.url), SECONDS)
        self.address, self.has_new_server = server.url, not old
        self.logs.append(server.log)
        return server

    def worker(self, name: str, *, old: bool = False) -> RunningWorker:
        command = {"command": [str(self.release)]} if old else {}
        worker = self.stack.enter_context(running_worker(self.folder / name, env=self.env, **command))
        until(lambda: self._is_ready(worker.url), SECONDS)
        self.logs.append(worker.log)
        return worker

    def _is_ready(self, url: str) -> bool:
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=300).status_code == 200

    def create(self, recording_id: str, options: dict[str, Any]) -> Any:
        body = {"label": "cut", "start_seconds": 1, "end_seconds": 4, **options}
        return self.send("POST", f"/v1/recordings/{recording_id}/clips", json=body)

    def upload(self, film: Path) -> str:
        """Upload a recording with a transcript, and return its id."""
        uploaded = str(self.send("PUT", "/v1/recordings/upload?name=a.mp4", content=film.read_bytes())["recording_id"])
        until(lambda: self.send("GET", f"/v1/recordings/{uploaded}")["status"] == "complete", SECONDS)
        self.send("PUT", f"/v1/recordings/{uploaded}/transcripts/en", json=CUES)
        return uploaded

    def ended(self, clip_id: str) -> dict[str, Any]:
        """Wait for the end of a clip and return it."""
        until(lambda: self.send("GET", f"/v1/clips/{clip_id}")["status"] != "processing", SECONDS)
        return dict(self.send("GET", f"/v1/clips/{clip_id}"))

    def send(self, method: str, path: str, **options: Any) -> Any:
        """Send a request, to the next server if this one has just stopped, and return the object."""
        headers = {"Authorization": f"Bearer {self.key}"}
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                url = self.address + path
                response = httpx.request(method, url, headers=headers, timeout=300, trust_env=False, **options)
                assert response.status_code < 300, response.text
                return response.json()
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


class Load:
    """Threads that create clips, read each until it has ended, and list all, until the block ends."""

    def __init__(self, fleet: Fleet, recording_id: str) -> None:
        self._fleet, self._recording_id = fleet, recording_id
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._create) for _ in range(3)]
        self.created = 0
        self.ended: list[dict[str, Any]] = []
        self.errors: list[BaseException] = []

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(SECONDS)

    def wait_for_more(self, number: int) -> None:
        """Wait until so many more clips have ended."""
        wanted = len(self.ended) + number
        until(lambda: self.errors or len(self.ended) >= wanted, SECONDS)
        assert not self.errors, self.errors

    def _create(self) -> None:
        try:
            while not self._enough.is_set():
                self._make({})
                if self._fleet.has_new_server:
                    self._make(NEW_OPTIONS[self.created % len(NEW_OPTIONS)])
                self._fleet.send("GET", "/v1/clips?limit=100")
        except BaseException as error:
            self.errors.append(error)

    def _make(self, options: dict[str, Any]) -> None:
        clip = self._fleet.create(self._recording_id, options)
        self.created += 1
        while clip["status"] == "processing":
            clip = self._fleet.send("GET", f"/v1/clips/{clip['clip_id']}")
            time.sleep(0.05)
        self.ended.append(clip)


def _as_chart_server_first(fleet: Fleet, server: RunningServer, workers: list[RunningWorker]) -> None:
    """RollingUpdate: a new pod is ready before an old one is stopped."""
    fleet.server("new server")
    assert server.stop() == 0
    _roll_workers(fleet, workers)


def _as_chart_workers_first(fleet: Fleet, server: RunningServer, workers: list[RunningWorker]) -> None:
    _roll_workers(fleet, workers)
    fleet.server("new server")
    assert server.stop() == 0


def _roll_workers(fleet: Fleet, workers: list[RunningWorker]) -> None:
    for number, worker in enumerate(workers):
        fleet.worker(f"new worker {number}")
        worker.process.terminate()
        assert worker.process.wait(300) == 0


def _as_compose(fleet: Fleet, server: RunningServer, workers: list[RunningWorker]) -> None:
    """`up`: the server is replaced, and the workers when the new one is healthy."""
    assert server.stop() == 0
    fleet.server("new server")
    for worker in workers:
        worker.process.terminate()
        assert worker.process.wait(300) == 0
    for number in range(WORKERS):
        fleet.worker(f"new worker {number}")


@pytest.fixture
def fleet(tmp_path: Path, release: Path, database_url: str) -> Iterator[Fleet]:  # noqa: F811
    env = shared_folder(tmp_path, database_url)
    with ExitStack() as stack:
        yield Fleet(tmp_path, env, release, stack)


@pytest.mark.parametrize("upgrade", [_as_chart_server_first, _as_chart_workers_first, _as_compose])
def test_fleet_of_0_2_0_is_upgraded_while_clips_are_made(
    fleet: Fleet, film: Path, upgrade: Callable[[Fleet, RunningServer, list[RunningWorker]], None]
) -> None:
    server = fleet.server("old server", old=True)
    workers = [fleet.worker(f"old worker {number}", old=True) for number in range(WORKERS)]
    uploaded = fleet.upload(film)
    with Load(fleet, uploaded) as load:
        load.wait_for_more(4)
        upgrade(fleet, server, workers)
        load.wait_for_more(6)
    assert not load.errors
    assert {clip["status"] for clip in load.ended} == {"complete"}
    new = [clip for clip in load.ended if _is_new(clip)]
    assert new
    assert [clip for clip in new if not _has_options(clip)] == []
    assert len(load.ended) == load.created
    ids = [clip["clip_id"] for clip in load.ended]
    listed, cursor = [], ""
    while cursor is not None:
        page = fleet.send("GET", f"/v1/clips?limit=100&cursor={cursor}" if cursor else "/v1/clips?limit=100")
        listed += [clip["clip_id"] for clip in page["data"]]
        cursor = page["next_cursor"]
    assert sorted(listed) == sorted(ids)
    keys, store = {clip["bucket_path"] for clip in load.ended}, fleet.folder / "store"
    until(lambda: keys == {str(path.relative_to(store)) for path in store.rglob("*clip_*.mp4")}, SECONDS)
    logs = {log.name: log.read_text() for log in fleet.logs}
    assert [name for name, text in logs.items() if "Traceback" in text] == []


def _is_new(clip: dict[str, Any]) -> bool:
    return bool(clip["output"] or clip["without"] or clip["subtitles"])


def _has_options(clip: dict[str, Any]) -> bool:
    """Return True if the file of a clip has what 0.2.0 would have left out."""
    result = clip["result"]
    if clip["output"]:
        return bool(result["width"] == result["height"])
    if clip["without"]:
        return bool(result["duration_seconds"] == 3 and not result["removed_seconds"])
    return bool(clip["subtitles"]["style"])


def test_fleet_goes_back_to_0_2_0_with_clips_that_it_does_not_know(fleet: Fleet, film: Path) -> None:
    """0.2.0 cuts everything else, lists all, and leaves these clips queued for the next new engine."""
    server = fleet.server("new server")
    uploaded = fleet.upload(film)
    assert fleet.ended(fleet.create(uploaded, NEW_OPTIONS[0])["clip_id"])["status"] == "complete"
    created = [fleet.create(uploaded, options)["clip_id"] for options in NEW_OPTIONS]
    server.stop(signal.SIGKILL)  # it has hardly begun; 0.2.0 queues what it was cutting
    old = fleet.server("old server", old=True)
    plain = [fleet.create(uploaded, {})["clip_id"] for _ in range(3)]
    assert [fleet.ended(clip_id)["status"] for clip_id in plain] == ["complete"] * 3
    listed = fleet.send("GET", "/v1/clips?limit=100")["data"]
    assert {clip["clip_id"] for clip in listed} >= {*created, *plain}
    waiting = [clip_id for clip_id in created if fleet.send("GET", f"/v1/clips/{clip_id}")["status"] == "processing"]
    assert waiting
    until(lambda: {fleet.send("GET", f"/v1/clips/{each}")["step"] for each in waiting} == {"queued"}, SECONDS)
    assert "Traceback" not in old.log.read_text()
    fleet.server("newer server")
    ended = [fleet.ended(clip_id) for clip_id in created]
    assert [clip["status"] for clip in ended] == ["complete"] * 3
    assert [clip for clip in ended if not _has_options(clip)] == []


def test_rules_make_each_clip_once_while_both_releases_run(fleet: Fleet, film: Path) -> None:
    """0.2.0 registers recordings and cuts clips, and the new engine makes the clips of the rule."""
    fleet.server("old server", old=True)
    fleet.worker("old worker", old=True)
    old = fleet.address
    fleet.upload(film)  # complete before there is a rule
    proxy = {"ENABLED": "true", "PEERS": '["127.0.0.1"]', "DEFAULT_ROLE": "viewer"}
    fleet.env |= {f"CLIPENGINE_AUTH__PROXY__{name}": value for name, value in proxy.items()}
    server = fleet.server("new server")
    signed_in = httpx.get(f"{server.url}/session", headers={"Remote-User": "anna"}, trust_env=False, timeout=300)
    assert signed_in.status_code == 409  # 0.2.0 would not accept the session
    assert f"0.2.0 run, which know no users: {socket.gethostname()} pid " in signed_in.json()["detail"]
    rule = {"name": "start", "ranges": {"kind": "first", "seconds": 2}, "clip": {"label": "$name", "share": {}}}
    rule_id = fleet.send("POST", "/v1/rules", json=rule)["rule_id"]
    uploaded = [fleet.upload(film)]
    fleet.address = old
    uploaded.append(fleet.upload(film))
    assert _made(fleet, 2) == sorted(uploaded)
    server.stop(signal.SIGKILL)
    uploaded.append(fleet.upload(film))  # only 0.2.0 runs, which knows no rules
    fleet.server("newer server")
    assert _made(fleet, 3) == sorted(uploaded)
    found = fleet.send("GET", f"/v1/rules/{rule_id}")
    assert (found["made"], found["skipped"], found["failed"]) == (3, 0, 0)
    batches = fleet.send("GET", f"/v1/rules/{rule_id}/batches")["data"]
    links = [item["share_url"] for batch in batches for item in batch["items"]]
    assert [httpx.get(link, trust_env=False, timeout=300).status_code for link in links] == [200] * 3
    assert [log.name for log in fleet.logs if "Traceback" in log.read_text()] == []


def _made(fleet: Fleet, number: int) -> list[str]:
    """Wait until so many clips are complete. Return their recordings in order."""

    def listed() -> list[dict[str, Any]]:
        return list(fleet.send("GET", "/v1/clips?limit=100")["data"])

    until(lambda: len(listed()) >= number and {clip["status"] for clip in listed()} == {"complete"}, SECONDS)
    return sorted(clip["recording_id"] for clip in listed())
