"""Runs the examples of the documents and of the API reference."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.api.reference.markdown import reference
from clipengine.client import ApiError, Clip
from tests.support.ports import free_port
from tests.support.server import RunningServer, clean_environ, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive

DOCS = Path(__file__).parent.parent.parent / "clipengine" / "docs"
SHOWN_URL = "http://127.0.0.1:8377"


@dataclass(frozen=True)
class Route:
    """A route of the reference with its examples and documented statuses."""

    address: str
    curl: str
    python: str
    statuses: set[int]


@pytest.fixture(scope="module")
def clip(server: RunningServer, film: Path) -> Clip:
    client = server.client()
    recording = client.recordings.upload(film).wait()
    return client.clips.create(recording.recording_id, "shown", 1.0, 2.0).wait().raise_for_error()


@pytest.fixture
def example_folder(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the recording of the examples."""
    (tmp_path / "meeting.mp4").symlink_to(film)
    (tmp_path / "meeting.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nThe budget\n")
    (tmp_path / "ranges.csv").write_text("label,start,end\nfirst,1,2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def ids(server: RunningServer, clip: Clip) -> dict[str, str]:
    webhook = server.client().webhooks.create("http://127.0.0.1:9/")
    delivery = server.client().webhooks.test(webhook.webhook_id)
    return {
        "clip_id": clip.clip_id,
        "recording_id": clip.recording_id,
        "webhook_id": webhook.webhook_id,
        "delivery_id": delivery.delivery_id,
        "language": "en",
        "name": "logo",
        "key_id": server.client().installation.create_key("example").key_id,
        "share_id": server.client().clips.share(clip.clip_id).share_id,
        "rule_id": server.client().rules.create("example", ranges={"kind": "all"}).rule_id,
        "batch_id": server.client().clips.variants({"render": "smart"}, clip_ids=["x"]).batch_id,
        "transcript_id": "trn_x",
        "upload_id": "upl_x",
        "user_id": "user_x",
        "session_id": "ses_x",
    }


@pytest.fixture(scope="module")
def routes(server: RunningServer) -> list[Route]:
    """Return all routes, deletions last."""
    document = httpx.get(f"{server.url}/v1/openapi.json").json()
    deletes = re.compile(r"DELETE|POST .*/delete$")
    text = "\n".join(reference(document).values())
    found = sorted(_routes(text), key=lambda route: bool(deletes.match(route.address)))
    assert len(found) > 25
    return found


def _routes(text: str) -> Iterator[Route]:
    for section in text.split("\n## ")[1:]:
        if shown := re.search(r"^`([A-Z]+ /\S+)`", section, re.MULTILINE):
            (curl,), (python,) = (
                re.findall(rf"```{kind} \w+\n(.+?)```", section, re.DOTALL) for kind in ("sh", "python")
            )
            statuses = {
                int(each)
                for each in re.findall(r"^\*\*(\d+)\*\*|(?<=[ :])(\d{3}) \[`", section, re.M)
                for each in each
                if each
            }
            yield Route(shown[1], curl, python, statuses)


def test_code_of_the_python_document_runs(server: RunningServer, example_folder: Path) -> None:
    names: dict[str, Any] = {"api_key": server.key}
    for block in re.findall(r"```python\n(.+?)```", (DOCS / "python.md").read_text("utf-8"), re.DOTALL):
        exec(block.replace(SHOWN_URL, server.url), names)
    names["client"].close()
    assert (example_folder / "key-moment.mp4").stat().st_size > 1000
    assert names["receive"](b"{}", {}, "0123456789abcdef") == 401


def test_local_webhook_receiver_of_the_document_works(tmp_path: Path) -> None:
    section = (DOCS / "webhooks.md").read_text("utf-8").partition("## Try it on this machine")[2].partition("\n## ")[0]
    (variable,) = re.findall(r"export (CLIPENGINE_WEBHOOKS__ALLOW_CIDRS=.+)", section)
    name, _, value = shlex.split(variable)[0].partition("=")
    port = str(free_port())
    (receiver,) = re.findall(r"```python\n(.+?)```", section, re.DOTALL)
    (tmp_path / "receiver.py").write_text(receiver.replace("9000", port))
    (add,) = re.findall(r"clipengine (webhooks add .+)", section)
    with (
        running_server(tmp_path / "data", env={name: value}) as server,
        subprocess.Popen(
            ["python3", tmp_path / "receiver.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process,
    ):
        try:
            until(lambda: _listens(int(port)))
            added = server.command(*add.replace("9000", port).split(), "--json")
            assert added.returncode == 0, added.stderr
            tested = server.command("webhooks", "test", json.loads(added.stdout)["webhook_id"], "--json")
            assert tested.returncode == 0, tested.stderr
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"evt_")
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_python_example_of_every_route_has_a_documented_result(
    server: RunningServer, routes: list[Route], ids: dict[str, str], example_folder: Path
) -> None:
    client = server.client()
    for route in routes:
        if "client.events" in route.python:
            continue  # an endless stream; the curl test covers it
        status = _status(route.python, {"client": client, **ids})
        assert status is None or status in route.statuses & {404, 409, 422}, f"{route.address}: {status}"


def _status(python: str, names: dict[str, Any]) -> int | None:
    """Run an example and return the status of an error response, or None."""
    try:
        exec(python, names)
    except ApiError as error:
        return error.status
    return None


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_example_of_every_route_has_a_documented_status(
    server: RunningServer, routes: list[Route], ids: dict[str, str], example_folder: Path
) -> None:
    env = clean_environ({name.upper(): value for name, value in ids.items()} | {"KEY": server.key})
    script = "\n".join(
        f"{route.curl.strip()} -s -w '%{{http_code}}\\n' --max-time {5 if ' -N' in route.curl else 60}"
        + ("" if " -o " in route.curl else " -o file")
        for route in routes
    ).replace(SHOWN_URL, server.url)
    done = subprocess.run(
        ["bash", "-c", script], env=env, cwd=example_folder, capture_output=True, text=True, timeout=300, check=False
    )
    answered = [int(line) for line in done.stdout.split()]
    assert len(answered) == len(routes), done.stderr
    wrong = {
        route.address: status for route, status in zip(routes, answered, strict=True) if status not in route.statuses
    }
    assert not wrong
    assert os.listdir(example_folder)
