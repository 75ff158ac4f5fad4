"""`clipengine serve` as a process: start, output, shutdown and errors."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from scripts.sample import make_sample
from tests.support.selection import cases
from tests.support.server import COMMAND, clean_environ, run_command, running_server
from tests.support.waiting import until


def get(url: str, key: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.get(url, headers=headers, trust_env=False, timeout=300)


def test_start_prints_the_address_and_example_commands(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", fork=False) as server:
        assert get(f"{server.url}/livez").status_code == 200
        assert get(f"{server.url}/v1/clips").status_code == 401
        assert server.greeting.splitlines()[-1] == f"listening on {server.url}"
        assert f"data     {tmp_path / 'data'}\n" in server.greeting
        command = r'export API=\S+/v1; export KEY="\$\(\S*clipengine keys create NAME --data (.+)\)"'
        made = re.search(command, server.greeting)
        assert made is not None
        assert made[1] == str(tmp_path / "data")
        assert f"export API={server.url}/v1" in server.greeting
        assert 'curl -H "Authorization: Bearer $KEY" -T meeting.mp4 "$API/recordings/upload' in server.greeting


@pytest.mark.exhaustive
def test_printed_command_runs_the_same_program(tmp_path: Path) -> None:
    other = tmp_path / "bin" / "clipengine"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    for folder, command in ((other.parent, COMMAND), (Path(COMMAND).parent, "clipengine")):
        with running_server(tmp_path / "data", env={"PATH": f"{folder}:{os.environ['PATH']}"}) as server:
            assert f'KEY="$({command} keys create NAME ' in server.greeting


def test_first_key_is_created_once_and_valid(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", options=["--first-key"]) as server:
        found = re.search(r"export API=\S+ KEY=(\S+)", server.greeting)
        assert found is not None
        assert get(f"{server.url}/v1/clips", found[1]).status_code == 200
        assert server.stop() == 0
        assert found[1] not in server.log.read_text()
    with running_server(tmp_path / "data", options=["--first-key"]) as again:
        assert "KEY=relay_live" not in again.greeting
        assert get(f"{again.url}/v1/clips", found[1]).status_code == 200


@pytest.mark.exhaustive
def test_key_changes_take_effect_at_once(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        assert get(f"{server.url}/v1/clips", server.key).status_code == 200
        assert run_command("keys", "revoke", "test", "--data", str(server.data)).returncode == 0
        assert get(f"{server.url}/v1/clips", server.key).status_code == 401


@pytest.mark.exhaustive
def test_all_files_are_private(tmp_path: Path) -> None:
    with running_server(tmp_path / "deep" / "data") as server:
        assert server.key
        modes = {}
        for path in [server.data, *server.data.rglob("*")]:
            with suppress(FileNotFoundError):  # the server has replaced it
                modes[path] = stat.S_IMODE(path.stat().st_mode)
    assert not {path for path, mode in modes.items() if mode & 0o077}


@pytest.mark.parametrize("sig", cases([signal.SIGTERM, signal.SIGINT], [signal.SIGTERM]))
def test_signal_stops_the_server_with_open_streams(tmp_path: Path, sig: signal.Signals) -> None:
    with running_server(tmp_path / "data", fork=False) as server:
        headers = {"Authorization": f"Bearer {server.key}"}
        with httpx.stream("GET", f"{server.url}/v1/events", headers=headers, trust_env=False) as stream:
            assert stream.status_code == 200
            began = time.monotonic()
            assert server.stop(sig) == 0
            assert time.monotonic() - began < 30


@pytest.mark.exhaustive
def test_stalled_upload_does_not_block_shutdown(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as idle:
            idle.sendall(b"PUT /v1/recordings/upload?name=a.mp4 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n")
            idle.sendall(f"Authorization: Bearer {server.key}\r\n\r\nhalf".encode())
            time.sleep(0.3)
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began < 30


@pytest.mark.exhaustive
def test_connections_that_do_not_read_are_aborted_at_shutdown(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server, ExitStack() as clients:
        with (tmp_path / "data" / "store" / "large.mp4").open("wb") as large:
            large.truncate(1 << 30)  # larger than any socket buffer
        recording = server.client().recordings.add("large.mp4").recording_id
        host, port = server.url.removeprefix("http://").split(":")
        for path in ("/v1/events", f"/v1/recordings/{recording}/download"):
            client = clients.enter_context(socket.create_connection((host, int(port)), timeout=300))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n\r\n".encode())
            assert client.recv(12) == b"HTTP/1.1 200"
        assert server.stop() == 0
        log = server.log.read_text()
        assert "aborting connections still open" in log
        assert "ERROR" not in log
        assert "Traceback" not in log


@pytest.mark.exhaustive
def test_interrupted_clips_are_cut_after_the_next_start(tmp_path: Path) -> None:
    film = tmp_path / "long.mp4"
    make_sample(film, seconds=10)
    slow = {"CLIPENGINE_PROFILES__DEFAULT__PRESET": "veryslow", "CLIPENGINE_PROFILES__DEFAULT__FPS": "120"}
    with running_server(tmp_path / "data", env=slow) as server:
        client = server.client()
        recording = client.recordings.wait(client.recordings.upload(film).recording_id)
        clips = [client.clips.create(recording.recording_id, f"clip {number}", 1, 9).clip_id for number in range(3)]
        until(lambda: any(client.clips.get(clip).step == "encoding" for clip in clips))
        assert server.stop() == 0
    with running_server(tmp_path / "data") as server:
        client = server.client()
        ended = [client.clips.wait(clip, timeout=300) for clip in clips]
        assert [clip.status for clip in ended] == ["complete"] * 3
    objects = [path for path in (tmp_path / "data" / "store").rglob("*.mp4") if path.parent.name == "clips"]
    assert len(objects) == 3


def test_server_restarts_with_its_data(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        key = server.key
    with running_server(tmp_path / "data") as server:
        assert get(f"{server.url}/v1/clips", key).status_code == 200


@pytest.mark.exhaustive
def test_second_server_on_the_same_folder_is_rejected(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        second = run_command("serve", "--port", "0", "--data", str(server.data))
        assert second.returncode == 1
        assert "(data_folder_in_use)" in second.stderr
        assert str(server.process.pid) in second.stderr
        assert get(f"{server.url}/livez").status_code == 200


@pytest.mark.exhaustive
def test_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_command("serve", "--port", str(port), "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert f"error: cannot listen on 127.0.0.1 port {port}: Address already in use (startup_failed)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--port", "70000"], 2, "--port"),
        (["--config", "nowhere.toml"], 1, "nowhere.toml does not exist (invalid_settings)"),
        (["--host", "no such host", "--port", "0"], 1, "cannot listen on no such host"),
    ],
)
@pytest.mark.typical(1)
def test_invalid_options_are_reported(tmp_path: Path, options: list[str], code: int, message: str) -> None:
    done = run_command("serve", *options, "--data", str(tmp_path / "data"), cwd=tmp_path)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.exhaustive
def test_options_override_the_file(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[server]\nport = 1\nlog_format = "json"\n')
    with running_server(tmp_path / "data", config=config) as server:
        assert not server.url.endswith(":1")
        server.stop()
        assert all(line.startswith("{") for line in server.log.read_text().splitlines())


def test_signal_during_startup_stops_the_server(tmp_path: Path) -> None:
    # Before the handlers are installed, the signal ends the process.
    command = [COMMAND, "serve", "--port", "0", "--data", str(tmp_path / "data")]
    for delay in (0.35, 0.6, 0.9):
        with subprocess.Popen(
            command, env=clean_environ(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            time.sleep(delay)
            process.terminate()
            assert process.stderr is not None
            errors = process.stderr.read()
            assert process.wait(300) in (0, -signal.SIGTERM)
        assert "Traceback" not in errors
