"""Draining: after a signal, an engine finishes its jobs, takes no new ones, and stops."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.client import Client
from tests.support.hosts import NO_CUTS, SECONDS, Hosts
from tests.support.postgres import database_url, postgres  # noqa: F401 - fixtures
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage

_DRAIN = ("--drain-seconds", "300")


def one_held(go: Path) -> dict[str, str]:
    """Return the settings of an engine whose first clip is held while it is cut, until `go` exists."""
    return {"CLIPENGINE_ENCODING__WORKERS": "1", "CLIPENGINE_FAULT": f"encoding:until={go}"}


def failing(url: str) -> list[str]:
    answer = httpx.get(f"{url}/readyz", trust_env=False)
    failed = [check["name"] for check in answer.json()["checks"] if not check["ok"]]
    assert (answer.status_code == 200) == (not failed)
    return failed


def two_clips(server: RunningServer, film: Path) -> tuple[Client, list[str]]:
    """Queue two clips and wait until the first is being cut."""
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(film).recording_id)
    clips = [client.clips.create(recording.recording_id, f"clip {number}", 1, 3).clip_id for number in range(2)]
    until(lambda: client.clips.get(clips[0]).step == "encoding", SECONDS)
    return client, clips


def test_server_finishes_the_clip_and_leaves_the_queue(film: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with running_server(tmp_path / "data", env=one_held(go), options=_DRAIN) as server:
        client, clips = two_clips(server, film)
        assert failing(server.url) == []
        server.process.send_signal(signal.SIGTERM)
        until(lambda: failing(server.url) == ["jobs"], SECONDS)
        added = client.clips.create(client.clips.get(clips[0]).recording_id, "added", 1, 2)  # requests are served
        go.touch()
        assert server.process.wait(SECONDS) == 0
    with running_server(tmp_path / "data", env=NO_CUTS) as server:
        states = {each.clip_id: (each.status, each.attempt) for each in server.client().clips.each()}
    assert states == {clips[0]: ("complete", 1), clips[1]: ("processing", 0), added.clip_id: ("processing", 0)}


@pytest.mark.parametrize("how", ["timeout", "second signal"])
def test_draining_ends_early(film: Path, tmp_path: Path, how: str) -> None:
    env = one_held(tmp_path / "never")
    options = ("--drain-seconds", "0.5") if how == "timeout" else _DRAIN
    with running_server(tmp_path / "data", env=env, options=options) as server:
        two_clips(server, film)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "draining for at most" in server.log.read_text(), SECONDS)
        if how == "second signal":
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(300) == 0
        assert ("draining took longer" in server.log.read_text()) == (how == "timeout")


def test_worker_drains_before_it_stops(hosts: Hosts, film: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    server = hosts.server("server", **NO_CUTS)
    leaving = hosts.worker("leaving", options=_DRAIN, **one_held(go))
    answer: dict[str, Any] = httpx.get(f"{leaving.url}/livez", trust_env=False).json()
    assert answer == {"status": "ok"}
    assert failing(leaving.url) == []
    assert httpx.get(f"{leaving.url}/v1/clips", trust_env=False).status_code == 404
    assert httpx.get(f"{leaving.url}/metrics", trust_env=False).status_code == 401
    headers = {"Authorization": f"Bearer {server.key}"}
    assert "clipengine_clips{" in httpx.get(f"{leaving.url}/metrics", headers=headers, trust_env=False).text
    with server.client() as api:
        recording = hosts.recording(api, film)
        clips = [api.clips.create(recording, f"clip {number}", 1, 3).clip_id for number in range(2)]
        until(lambda: api.clips.get(clips[0]).step == "encoding", SECONDS)
        leaving.process.terminate()
        until(lambda: failing(leaving.url) == ["jobs"], SECONDS)
        go.touch()
        assert leaving.process.wait(SECONDS) == 0
        first, second = (api.clips.get(each) for each in clips)
        assert (first.status, first.attempt) == ("complete", 1)
        assert (second.step, second.attempt) == ("queued", 0)
        hosts.worker("staying")
        assert api.clips.wait(clips[1], timeout=SECONDS).status == "complete"
        hosts.receiver.wait_for(2, timeout=300)
    hosts.check(clips)
