"""Builds the fixture of a release: what a user of that release has, to be upgraded by the tests.

    python -m scripts.releases.build v0.1.0 tests/releases/0.1.0.tar.xz

The archive contains a settings file and a data folder (ledger, secrets, store) with clips in every state, left by a
server that was killed; `facts.json` with the keys, ids and secrets; `session.json` with the requests and responses of
the release's own Python client; and `webhooks.json` with the deliveries that a receiver got. `/v1/openapi.json` of the
release is stored beside the archive. The release is installed with its lock file into a temporary environment.
Modification times are kept to the nanosecond, because they are part of the ETags of the folder store: extract the
archive with GNU tar.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.sample import make_sample
from tests.support.receiver import Answer, Receiver, Request

ROOT = Path(__file__).resolve().parents[2]
SESSION = Path(__file__).with_name("session.py")
SETTINGS_SECRET = "secret-of-the-settings-file"
ENDPOINT_SECRET = "whsec_b2xkLXNlY3JldC1vZi1hLXJlbGVhc2U="
_WAIT_SECONDS = 120
# Otherwise the release would import this checkout, or have other settings.
_ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CLIPENGINE_"))}


@dataclass
class Site:
    """A server of the release, in `folder`, with the keys and ids that the fixture records."""

    folder: Path
    command: Path
    url: str = ""
    key: str = ""

    def run(self, *arguments: str) -> str:
        command = [str(self.command), *arguments, "--config", "clipengine.toml"]
        done = subprocess.run(command, cwd=self.folder, env=_ENVIRON, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def send(self, method: str, path: str, *, status: int, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"}
        response = httpx.request(method, self.url + path, headers=headers, timeout=60, trust_env=False, **options)
        assert response.status_code == status, (method, path, response.status_code, response.text)
        return response.json() if response.content else None

    def clip(self, recording_id: str, label: str, start: float, end: float, **wanted: Any) -> str:
        body = {"label": label, "start_seconds": start, "end_seconds": end, **wanted}
        return str(self.send("POST", f"/v1/recordings/{recording_id}/clips", json=body, status=202)["clip_id"])

    def ended(self, path: str, status: str) -> dict[str, Any]:
        """Wait for the end of a clip or recording and return it."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while (found := self.send("GET", f"{path}?wait=25", status=200))["status"] == "processing":
            assert time.monotonic() < deadline, found
        assert found["status"] == status, found
        return dict(found)

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        """Serve until the block ends, then kill the server as a power cut would."""
        arguments = [str(self.command), "serve", "--config", "clipengine.toml"]
        log = (self.folder.parent / "server.log").open("a")
        process = subprocess.Popen(
            arguments, cwd=self.folder, env=_ENVIRON, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if found := re.match(r"listening on (\S+)", line):
                    self.url = found[1]
                    break
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            log.close()


def install(revision: str, folder: Path) -> Path:
    """Install a revision of this repository with its lock file, and return the path of its command."""
    checkout, venv = folder / "checkout", folder / "venv"
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", revision], capture_output=True, check=True).stdout
    checkout.mkdir()
    subprocess.run(["tar", "-xf", "-", "-C", str(checkout)], input=archive, check=True)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], env=_ENVIRON, check=True)
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--require-hashes", "--requirement", str(checkout / "requirements.lock")], env=_ENVIRON, check=True
    )
    subprocess.run([*pip, "--no-deps", str(checkout)], env=_ENVIRON, check=True)
    return venv / "bin" / "clipengine"


def small_film(folder: Path) -> Path:
    """Make a recording of eight seconds that keeps the fixture small."""
    large, small = folder / "large.mp4", folder / "film.mp4"
    make_sample(large, seconds=8)
    command = ["ffmpeg", "-loglevel", "error", "-i", str(large), "-vf", "scale=160:90", "-crf", "32", "-b:a", "24k"]
    subprocess.run([*command, str(small)], check=True)
    return small


def settings(default: str, port: int) -> str:
    """Return the release's own file with every setting, changed to a small site with an endpoint and profiles."""
    changes = {
        r"^port = \d+": "port = 0",
        r"^organisation_id = .*": 'organisation_id = "org_example"',
        r"^clips_days = \d+": "clips_days = 3650",
        r"^workers = \d+": "workers = 1",
        r"^nice = +\d+": "nice = 0",
        r"^prefixes = \[\]": 'prefixes = ["inbox/"]',
        r"^settle_seconds = \d+": "settle_seconds = 1",
        r"^allow_cidrs = \[\]": 'allow_cidrs = ["127.0.0.0/8"]',
        r"^# \[\[webhooks.endpoints\]\]$": "[[webhooks.endpoints]]",
        r"^# url = .*": f'url = "http://127.0.0.1:{port}/settings"',
        r"^# secret = \"\"": f'secret = "{SETTINGS_SECRET}"',
        r"^# events = \[\".*": 'events = ["clip.ready", "clip.failed", "recording.complete"]',
    }
    text = default
    for old, new in changes.items():
        text, count = re.subn(old, lambda _, new=new: new, text, flags=re.MULTILINE)  # type: ignore[misc]
        assert count == 1, (old, count)
    return (
        text + '\n[profiles.sound]\ncontainer = "m4a"\nvideo = "none"\n'
        '\n[profiles.slow]\ncontainer = "webm"\nvideo = "vp9"\naudio = "opus"\npreset = "veryslow"\n'
    )


def fill(site: Site, hook: str, film: Path) -> dict[str, Any]:
    """Leave recordings, clips, endpoints and deliveries in every state, and return what the tests must know of them."""
    store = site.folder / "clipengine-data" / "store"
    facts: dict[str, Any] = {"keys": {"admin": site.key}, "clips": {}, "recordings": {}}
    facts["keys"]["reader"] = site.run("keys", "create", "reader", "--scope", "read")
    facts["keys"]["revoked"] = site.run("keys", "create", "revoked")
    site.run("keys", "revoke", "revoked")
    endpoint = {"url": hook, "events": ["clip.ready", "clip.failed", "clip.expired"], "secret": ENDPOINT_SECRET}
    facts["webhook_id"] = site.send("POST", "/v1/webhooks", json=endpoint, status=201)["webhook_id"]
    body = film.read_bytes()
    uploaded = site.send("PUT", "/v1/recordings/upload?name=lecture.mp4", content=body, status=202)["recording_id"]
    text = site.send("PUT", "/v1/recordings/upload?name=notes.mp4", content=b"no film" * 99, status=202)["recording_id"]
    replaced = store / "relay" / "recordings" / "h_01" / "recording.mp4"
    replaced.parent.mkdir(parents=True, exist_ok=True)
    replaced.write_bytes(body)
    wanted = {"bucket_path": "relay/recordings/h_01/recording.mp4", "name": "replaced", "metadata": {"room": "7"}}
    registered = site.send("POST", "/v1/recordings", json=wanted, status=202)["recording_id"]
    facts["recordings"] = {"complete": uploaded, "failed": text, "replaced": registered}
    site.ended(f"/v1/recordings/{uploaded}", "complete")
    site.ended(f"/v1/recordings/{text}", "failed")
    site.ended(f"/v1/recordings/{registered}", "complete")
    clips = facts["clips"]
    clips["complete"] = site.clip(uploaded, "opening", 1, 3.5, metadata={"case": "4711"}, poster=True)
    clips["sound"] = site.clip(uploaded, "sound", 0, 2, profile="sound", expires_at="2099-01-01T00:00:00Z")
    clips["registered"] = site.clip(registered, "from the store", 2, 4)
    for name in ("complete", "sound", "registered"):
        site.ended(f"/v1/clips/{clips[name]}", "complete")
    replaced.write_bytes(body[:-1])
    clips["failed"] = site.clip(registered, "of a replaced recording", 2, 4)
    site.ended(f"/v1/clips/{clips['failed']}", "failed")
    clips["cancelled"] = site.clip(uploaded, "running", 0, 8, profile="slow")
    site.send("POST", f"/v1/clips/{clips['cancelled']}/cancel", status=200)
    site.ended(f"/v1/clips/{clips['cancelled']}", "failed")
    clips["deleted"] = site.clip(uploaded, "deleted", 4, 5)
    site.ended(f"/v1/clips/{clips['deleted']}", "complete")
    site.send("DELETE", f"/v1/clips/{clips['deleted']}", status=204)
    _settle(site, facts)
    listed = site.send("GET", f"/v1/clips/{clips['complete']}", status=200)
    facts["sha256"] = hashlib.sha256((store / listed["bucket_path"]).read_bytes()).hexdigest()
    _interrupt(site, uploaded, facts)
    return facts


def _settle(site: Site, facts: dict[str, Any]) -> None:
    """Wait until the endpoint has a delivered and a waiting delivery, and record their ids."""
    path, deadline = f"/v1/webhooks/{facts['webhook_id']}/deliveries", time.monotonic() + _WAIT_SECONDS
    while True:
        found = {each["status"]: each["delivery_id"] for each in site.send("GET", path, status=200)["data"]}
        if {"delivered", "pending"} <= set(found):
            facts["deliveries"] = found
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def _interrupt(site: Site, recording_id: str, facts: dict[str, Any]) -> None:
    """Return when one clip is being cut and others are queued behind it."""
    clips = facts["clips"]
    clips["cutting"] = site.clip(recording_id, "cutting", 0, 8, profile="slow")
    for name in ("queued", "queued last"):
        clips[name] = site.clip(recording_id, name, 5, 7, metadata={"case": "4712"})
    while site.send("GET", f"/v1/clips/{clips['cutting']}", status=200)["step"] == "queued":
        time.sleep(0.02)
    assert site.send("GET", f"/v1/clips/{clips['queued']}", status=200)["step"] == "queued"


@click.command()
@click.argument("revision")
@click.argument("archive", type=click.Path(path_type=Path))
def main(revision: str, archive: Path) -> None:
    """Write the fixture of REVISION to ARCHIVE."""
    received: list[Request] = []

    def answer(request: Request) -> Answer:
        received.append(request)
        return Answer(500 if b'"failed"' in request.body and request.path == "/endpoint" else 204)

    with tempfile.TemporaryDirectory(prefix="release-") as made, Receiver() as receiver:
        work = Path(made)
        command = install(revision, work)
        (site_folder := work / "site").mkdir()
        receiver.answer = answer
        film = small_film(work)
        default = (work / "checkout" / "clipengine.toml").read_text("utf-8")
        (site_folder / "clipengine.toml").write_text(settings(default, receiver.port), "utf-8")
        site = Site(site_folder, command)
        site.key = site.run("keys", "create", "admin")
        hooks = f"http://127.0.0.1:{receiver.port}"
        with site.serving():
            use = {"url": site.url, "key": site.key, "hook": f"{hooks}/session", "film": str(film), "folder": made}
            (work / "site.json").write_text(json.dumps(use))
            session = [str(command.with_name("python")), str(SESSION), str(work / "site.json")]
            subprocess.run([*session, str(site_folder / "session.json")], env=_ENVIRON, check=True)
            document = httpx.get(f"{site.url}/v1/openapi.json", timeout=60, trust_env=False).content
            facts = fill(site, f"{hooks}/endpoint", film)
        facts |= {"made_at": round(time.time() * 1000), "port": receiver.port, "release": revision}
        facts["secrets"] = {"settings": SETTINGS_SECRET, "endpoint": ENDPOINT_SECRET}
        (site_folder / "facts.json").write_text(json.dumps(facts, indent=1))
        bodies = [{"path": each.path, "headers": each.headers, "body": json.loads(each.body)} for each in received]
        (site_folder / "webhooks.json").write_text(json.dumps(bodies, indent=1))
        archive.parent.mkdir(parents=True, exist_ok=True)
        packed = [
            "tar",
            "--format=posix",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "-cf",
            "-",
            "-C",
            str(site_folder),
        ]
        stream = subprocess.run([*packed, "."], check=True, capture_output=True).stdout
        archive.write_bytes(lzma.compress(stream, preset=9))
        openapi = archive.with_name(archive.name.replace(".tar.xz", ".openapi.json.xz"))
        openapi.write_bytes(lzma.compress(document, preset=9))
    click.echo(f"{archive}: {archive.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
