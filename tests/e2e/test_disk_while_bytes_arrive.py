"""The limit of free space holds while bytes arrive, and deletions succeed on a full disk. Row 122.

The disk is a small tmpfs, so these tests need root.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.basis.disk_reserve import RESERVE_BYTES
from tests.support.full_disk import MEGABYTE, disk, fill, free, grow
from tests.support.origin_server import origin_server
from tests.support.server import RunningServer, running_server
from tests.support.tus import append, begin, offset
from tests.support.waiting import until

pytestmark = pytest.mark.proof

FLOOR = 12 * MEGABYTE
SPACE = 40 * MEGABYTE
BODY = bytes(SPACE)


def settings(**more: str) -> dict[str, str]:
    return {"CLIPENGINE_LIMITS__MIN_FREE_BYTES": str(FLOOR), "CLIPENGINE_PREVIEWS__AHEAD": "false", **more}


@contextmanager
def http_of(server: RunningServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=300, trust_env=False) as client:
        yield client


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    with disk(tmp_path / "data", SPACE / MEGABYTE):
        yield tmp_path / "data"


def left(data: Path) -> int:
    return shutil.disk_usage(data).free


def kept(data: Path) -> bool:
    """Return True if the engine has left the limit free. The ledger itself is written nevertheless."""
    return left(data) >= FLOOR - MEGABYTE


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def create_key(http: httpx.Client) -> int:
    return http.post("/v1/keys", json={"name": "another"}).status_code


def put(http: httpx.Client, content: Any = BODY) -> httpx.Response:
    headers = {"Content-Type": "application/octet-stream"}
    return http.put("/v1/recordings/upload?name=talk.mp4", content=content, headers=headers)


def test_upload_stops_before_the_disk_is_full_and_continues_when_it_has_room(data: Path) -> None:
    with running_server(data, env=settings()) as server, http_of(server) as http:
        path = begin(http, len(BODY)).headers["location"]
        answer = append(http, path, 0, BODY)
        assert refusal(answer) == (507, "disk_full")
        assert "limits.min_free_bytes" in answer.json()["detail"]
        assert "continues at its offset" in answer.json()["hint"]
        assert kept(data)
        assert left(data) < FLOOR + 2 * MEGABYTE
        at = offset(http, path)
        assert at > SPACE - FLOOR - RESERVE_BYTES - 4 * MEGABYTE  # what arrived is kept
        assert refusal(append(http, path, at, BODY[at:])) == (503, "disk_low")
        assert create_key(http) == 201
        until(lambda: not all(each["ok"] for each in http.get("/readyz").json()["checks"]))
        grow(data, 3 * SPACE / MEGABYTE)
        assert append(http, path, at, BODY[at:]).status_code == 204
        assert "recording_id" in http.get(path).json()
        server.stop()


@pytest.mark.outage
def test_limit_holds_with_many_uploads_at_once(data: Path) -> None:
    with running_server(data, env=settings()) as server, http_of(server) as http, ThreadPoolExecutor(8) as pool:
        paths = [begin(http, len(BODY)).headers["location"] for _ in range(4)]
        appended = [pool.submit(append, http, path, 0, BODY) for path in paths]
        stored = [pool.submit(put, http) for _ in range(4)]
        answers = [each.result() for each in appended + stored]
        assert {refusal(answer) for answer in answers} <= {(507, "disk_full"), (503, "disk_low")}
        assert kept(data)
        assert create_key(http) == 201
        assert [*data.rglob(".clipengine/tmp/*")] == []  # of interrupted PUTs
        for path in paths:
            assert http.delete(path).status_code == 204
        until(lambda: left(data) > SPACE - RESERVE_BYTES - 4 * MEGABYTE)
        assert put(http, b"small").status_code == 202
        server.stop()


@pytest.mark.outage
def test_fetch_stops_before_the_disk_is_full_and_continues_when_it_has_room(data: Path) -> None:
    env = settings(CLIPENGINE_WEBHOOKS__ALLOW_CIDRS='["127.0.0.0/8"]')
    with origin_server(BODY) as origin, running_server(data, env=env) as server, server.client() as api:
        made = api.recordings.fetch(f"{origin.url}/talk.mp4").recording_id
        part = data / "fetches" / f"{made}.part"
        until(lambda: part.exists() and left(data) < FLOOR + 2 * MEGABYTE)
        until(lambda: "are kept free" in server.log.read_text())
        assert kept(data)
        assert api.recordings.get(made).status == "processing"
        grow(data, 5 * SPACE / MEGABYTE)
        until(lambda: [*data.rglob(f"{made}/talk.mp4")] != [])
        assert len(origin.asked_ranges) >= 2
        assert origin.asked_ranges[-1] is not None  # the part is kept
        server.stop()


@pytest.mark.outage
def test_clip_stops_before_the_ledger_has_no_space(film: Path, data: Path, tmp_path: Path) -> None:
    env = settings(CLIPENGINE_FAULT=f"claimed:until={tmp_path / 'go'}")
    with running_server(data, env=env) as server, server.client() as api, http_of(server) as http:
        target = data / "store" / "h_01" / "meeting.mp4"
        target.parent.mkdir(parents=True)
        shutil.copy(film, target)
        recording = api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=300).recording_id
        clip = api.clips.create(recording, label="a", start_seconds=0, end_seconds=12)
        until(lambda: api.clips.get(clip.clip_id).step != "queued")
        fill(data, leave=FLOOR // 2 + MEGABYTE // 10)
        (tmp_path / "go").touch()
        failed = api.clips.wait(clip.clip_id, timeout=300)
        assert failed.error is not None
        assert (failed.status, failed.error.code) == ("failed", "disk_full")
        assert "min_free_bytes" in failed.error.message
        assert create_key(http) == 201
        free(data)
        assert api.clips.retry(clip.clip_id).status == "processing"
        assert api.clips.wait(clip.clip_id, timeout=300).status == "complete"
        server.stop()


# ---- deletions


@pytest.mark.parametrize("floor", [FLOOR, pytest.param(0, marks=pytest.mark.outage)])
def test_upload_and_recording_are_deleted_on_a_full_disk(data: Path, floor: int) -> None:
    env = settings(CLIPENGINE_LIMITS__MIN_FREE_BYTES=str(floor))
    with running_server(data, env=env) as server, http_of(server) as http:
        stored = put(http, bytes(MEGABYTE)).json()
        until(lambda: http.get(f"/v1/recordings/{stored['recording_id']}").json()["status"] == "failed")
        path = begin(http, len(BODY)).headers["location"]
        append(http, path, 0, bytes(4 * MEGABYTE))
        fill(data, leave=0)
        use_up_the_log(data, http)
        recording = f"/v1/recordings/{stored['recording_id']}?object=true"
        assert http.delete(recording).status_code == 204
        until(lambda: not [*data.rglob(f"{stored['recording_id']}/*.mp4")])
        until(lambda: not removals(data) and (data / "reserve").stat().st_blocks)  # allocated again
        fill_again(data)
        assert http.delete(path).status_code == 204
        assert [*data.rglob(".clipengine/uploads/*")] == []
        free(data)
        until(lambda: (data / "reserve").stat().st_blocks * 512 >= RESERVE_BYTES)
        assert create_key(http) == 201
        server.stop()


def use_up_the_log(data: Path, http: httpx.Client) -> None:
    """Write to the ledger until it cannot grow: the file of its write-ahead log has free space for a while."""
    until(lambda: create_key(http) in (507, 503))


def removals(data: Path) -> int:
    """Return the number of objects whose deletion is not recorded yet."""
    with closing(sqlite3.connect(f"file:{data / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        return int(ledger.execute("SELECT COUNT(*) FROM removals").fetchone()[0])


def fill_again(data: Path) -> None:
    """Fill the space that a deletion has freed."""
    with (data / "ballast").open("ab", buffering=0) as file, suppress(OSError):
        file.write(bytes(left(data)))


@pytest.mark.outage
def test_upload_that_a_killed_engine_left_is_ended_on_a_full_disk(data: Path) -> None:
    env = settings(CLIPENGINE_LIMITS__MIN_FREE_BYTES="0")
    with running_server(data, env=env | {"CLIPENGINE_FAULT": "appended:kill9"}) as server, http_of(server) as http:
        key = server.key
        path = begin(http, len(BODY)).headers["location"]
        with pytest.raises(httpx.TransportError):
            append(http, path, 0, bytes(4 * MEGABYTE))
        server.process.wait(300)
    fill(data, leave=0)
    with running_server(data, env=env) as server:
        server._key.append(key or "")
        with http_of(server) as http:
            until(lambda: http.delete(path).status_code == 204)
        free(data)
        server.stop()
