"""The unit file of `config/` under a real systemd, booted in a container with the files of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.outage

ROOT = Path(__file__).parents[2]
BOOT_SECONDS = 240
PLACE = "/try"  # the folder of the test, in the container

TARGET = """\
[Unit]
Requires=basic.target clipengine-try.service
AllowIsolate=yes
"""
SERVICE = f"""\
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/opt/clipengine/bin/python {PLACE}/inside.py
StandardOutput=file:{PLACE}/output
StandardError=inherit
ExecStopPost=systemctl --no-block poweroff
"""
SETTINGS = """\
[server]
port = 18377
[limits]
min_free_bytes = 1
[encoding]
sandbox = "required"
[profiles.default]
preset = "veryslow"
"""

# Runs as root in the container and writes its results to `found.json`.
INSIDE = """\
import json, subprocess, time
from pathlib import Path

from clipengine.client import Client, ServerUnreachable

FOUND, HERE = {}, Path("/try")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def shown(*names):
    lines = run("systemctl", "show", "clipengine", *(f"--property={name}" for name in names)).splitlines()
    return dict(line.split("=", 1) for line in lines)


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def listening():
    try:
        return client.recordings.list() is not None
    except ServerUnreachable:
        return False


def complete(ids):
    return [client.clips.wait(each, timeout=300).status for each in ids]


run("ip", "link", "set", "lo", "up")
run("useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "clipengine")
Path("/etc/clipengine").mkdir()
Path("/etc/clipengine/clipengine.toml").write_text((HERE / "settings.toml").read_text())
run("systemctl", "start", "clipengine")
until(lambda: Path("/var/lib/clipengine/ledger.db").exists())
command = ["/opt/clipengine/bin/clipengine", "keys", "create", "test", "--data", "/var/lib/clipengine"]
client = Client("http://127.0.0.1:18377", run("runuser", "-u", "clipengine", "--", *command))
until(listening)

recording = client.recordings.upload(HERE / "film.mp4").wait().recording_id
clips = [client.clips.create(recording, "one", 1.0, 3.0).clip_id]
FOUND["clip"] = complete(clips)

clips += [client.clips.create(recording, "long", 0.0, 12.0).clip_id for _ in range(3)]
until(lambda: any(client.clips.get(each).step == "encoding" for each in clips))
run("systemctl", "stop", "clipengine")
FOUND["stop"] = shown("ActiveState", "Result", "ExecMainStatus")
FOUND["left"] = subprocess.run(["pgrep", "-u", "clipengine"], capture_output=True, text=True).stdout

run("systemctl", "start", "clipengine")
until(listening)
FOUND["started again"] = complete(clips)

run("systemctl", "kill", "--signal=KILL", "clipengine")
until(lambda: shown("NRestarts")["NRestarts"] == "1" and listening())
FOUND["killed"] = complete(clips)
FOUND["log"] = run("journalctl", "--unit=clipengine", "--output=cat", "--no-pager")
(HERE / "found.json").write_text(json.dumps(FOUND))
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Path]:
    """Return the mounts that give the container the files of this machine, writable in an overlay."""
    if os.getuid() != 0 or shutil.which("systemd-nspawn") is None:
        pytest.skip("no container can be booted here (apt install systemd-container, as root)")
    for place in (Path(sys.base_prefix).resolve(), Path(sys.prefix), ROOT):
        if any(place.is_relative_to(hidden) for hidden in ("/root", "/home", "/run/user", "/tmp")):
            pytest.skip(f"the unit hides {place}, where this Python or clipengine lies")
    layer = tmp_path / "layer"
    layer.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(layer)], check=True)
    try:
        for name in ("upper", "work", "root"):
            (layer / name).mkdir()
        options = f"lowerdir=/,upperdir={layer / 'upper'},workdir={layer / 'work'}"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, str(layer / "root")]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("an overlay cannot be mounted here")
        try:
            yield layer / "root"
        finally:
            subprocess.run(["umount", "--lazy", str(layer / "root")], check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(layer)], check=True)


def test_unit_file_works_unchanged(machine: Path, film: Path, tmp_path: Path) -> None:
    """It cuts with the full sandbox of the encoders, requeues clips on a stop, and restarts."""
    here = tmp_path / "try"
    here.mkdir()
    shutil.copyfile(film, here / "film.mp4")
    units = {"clipengine.service": ROOT / "config" / "clipengine.service"}
    for name, text in (("clipengine-try.target", TARGET), ("clipengine-try.service", SERVICE)):
        units[name] = here / name
        units[name].write_text(text)
    (here / "inside.py").write_text(INSIDE)
    (here / "settings.toml").write_text(SETTINGS)
    command = ["systemd-nspawn", "--quiet", f"--directory={machine}", "--register=no", "--keep-unit", "--console=pipe"]
    command += [
        f"--machine=clipengine-{os.getpid()}",
        "--private-network",
        "--link-journal=no",
        f"--bind={here}:{PLACE}",
    ]
    command += [f"--bind-ro={sys.prefix}:/opt/clipengine"]
    command += [f"--bind-ro={unit}:/etc/systemd/system/{name}" for name, unit in units.items()]
    booted = subprocess.run(
        [*command, "--boot", "systemd.unit=clipengine-try.target"],
        env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=BOOT_SECONDS,
        check=False,
    )
    output = here / "output"
    if not output.exists():
        pytest.skip(f"the container did not boot here: {(booted.stdout + booted.stderr)[-500:]}")
    assert (here / "found.json").exists(), output.read_text()
    found = json.loads((here / "found.json").read_text())
    assert found["clip"] == ["complete"]
    assert found["stop"] == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
    assert found["left"] == ""
    assert found["started again"] == found["killed"] == ["complete"] * 4
    assert "sandbox lacks" not in found["log"]
    assert "Traceback" not in found["log"]
