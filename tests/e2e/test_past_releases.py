"""A user of a past release upgrades: the settings file, the data folder and the client of that release keep working.

The site was left by a killed server of that release, with clips in every state (`scripts/releases/build.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from clipengine.client import Client
from clipengine.client.webhooks import verify
from tests.support.clip_requests import FIXED_KEYS
from tests.support.past_release import PastSite, Replay, installed, missing_from, shared_releases, unpack
from tests.support.postgres import PostgresServer, kinds_of_ledger, postgres  # noqa: F401 - a fixture
from tests.support.receiver import Receiver, Request
from tests.support.server import RunningServer, run_command, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive  # a server that cuts ten clips
SECONDS = 300
RELEASES = ("0.1.0", "0.2.0")
ON_POSTGRES = "0.2.0 on PostgreSQL"  # the release itself copies its ledger
SITES: list[Any] = [*RELEASES]
if "postgres" in kinds_of_ledger():
    SITES.append(pytest.param(ON_POSTGRES, marks=pytest.mark.outage))


@dataclass
class Upgraded:
    """The site of the release, served by the current code."""

    site: PastSite
    server: RunningServer
    receiver: Receiver

    def client(self) -> Client:
        return Client(self.server.url, self.site.facts["keys"]["admin"], timeout=300, retries=0)

    def get(self, path: str, key: str = "admin") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.site.facts['keys'][key]}"}
        return httpx.get(self.server.url + path, headers=headers, timeout=300, trust_env=False)

    def clip(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/v1/clips/{self.site.facts['clips'][name]}").json()
        return found


Site = Callable[[str, Path], AbstractContextManager[Upgraded]]


@pytest.fixture(scope="module")
def upgraded_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    @contextmanager
    def upgraded(name: str, folder: Path) -> Iterator[Upgraded]:
        release, env = name.split()[0], {}
        with Receiver() as receiver, ExitStack() as stack:
            site = unpack(release, folder / "site", port=receiver.port)
            if name == ON_POSTGRES:
                postgres: PostgresServer = request.getfixturevalue("postgres")
                url = stack.enter_context(postgres.database())
                command = installed(release, shared_releases(tmp_path_factory))
                copy_ledger(command, site, url)
                env = {
                    "CLIPENGINE_DATABASE__URL": url,
                    "CLIPENGINE_DATABASE__SECRETS_KEY": str(site.data / "secrets.key"),
                }
            with running_server(site.data, config=site.config, env=env) as server:
                yield Upgraded(site, server, receiver)

    return upgraded


def copy_ledger(command: Path, site: PastSite, url: str) -> None:
    arguments = ["ledger", "copy", "--to", url, "--config", str(site.config), "--data", str(site.data)]
    copied = run_command(*arguments, cwd=site.folder, command=[str(command)])
    assert copied.returncode == 0, copied.stderr


@pytest.fixture(scope="module", params=SITES)
def upgraded(
    request: pytest.FixtureRequest, upgraded_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgraded]:
    with upgraded_site(request.param, tmp_path_factory.mktemp("upgrade")) as made:
        yield made


def bodies(requests: list[Request], path: str) -> list[dict[str, Any]]:
    return [json.loads(each.body) for each in requests if each.path == path]


@pytest.mark.parametrize("release", RELEASES)
def test_old_settings_file_is_accepted(release: str, tmp_path: Path) -> None:
    site = unpack(release, tmp_path / "site", port=1)
    checked = run_command("doctor", "--config", str(site.config), cwd=site.folder)
    assert "clipengine.toml" not in checked.stderr
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_upgraded_server_is_ready(upgraded: Upgraded) -> None:
    ready = upgraded.get("/readyz")
    assert ready.status_code == 200, ready.text


def test_old_keys_are_accepted_with_their_scopes_and_the_revoked_one_is_not(upgraded: Upgraded) -> None:
    body = {"label": "x", "start_seconds": 0, "end_seconds": 1}
    path = f"/v1/recordings/{upgraded.site.facts['recordings']['complete']}/clips"
    headers = {"Authorization": f"Bearer {upgraded.site.facts['keys']['reader']}"}
    assert upgraded.get("/v1/clips", "reader").status_code == 200
    assert httpx.post(upgraded.server.url + path, json=body, headers=headers, trust_env=False).status_code == 403
    assert upgraded.get("/v1/clips", "revoked").status_code == 401


def test_old_clips_have_their_ids_states_and_files(upgraded: Upgraded) -> None:
    clip = upgraded.clip("complete")
    assert list(clip)[:9] == FIXED_KEYS
    assert (clip["status"], clip["label"], clip["metadata"]) == ("complete", "opening", {"case": "4711"})
    for path in (f"/v1/clips/{clip['clip_id']}", f"/v1/recordings/{clip['recording_id']}/clips/{clip['clip_id']}"):
        downloaded = upgraded.get(f"{path}/download")
        assert hashlib.sha256(downloaded.content).hexdigest() == upgraded.site.facts["sha256"]
    assert upgraded.get(f"/v1/clips/{clip['clip_id']}/poster").headers["content-type"] == "image/jpeg"
    assert upgraded.clip("sound")["expires_at"] > "2098"
    assert upgraded.clip("failed")["error"]["code"] == "recording_changed"
    assert upgraded.clip("cancelled")["error"]["code"] == "cancelled"
    assert upgraded.clip("deleted")["status"] == 404


def test_old_recordings_are_read_and_cut(upgraded: Upgraded) -> None:
    ids = upgraded.site.facts["recordings"]
    with upgraded.client() as client:
        assert client.recordings.get(ids["failed"]).status == "failed"
        assert client.recordings.get(ids["replaced"]).metadata == {"room": "7"}
        assert client.recordings.frames(ids["complete"], start=0, end=1).frames[0] == 0
        clip = client.clips.create(ids["complete"], "after the upgrade", 1, 2)
        assert client.clips.wait(clip.clip_id, timeout=SECONDS).status == "complete"


def multiply_recording(site: PastSite, count: int) -> list[str]:
    """Give the site's watched folder `count` recordings that the old engine has registered, and return their ids."""
    film = next(site.data.rglob("lecture.mp4"))
    inbox = site.data / "store" / "inbox"
    inbox.mkdir()
    ids = [f"rec_{number:026}" for number in range(count)]
    with sqlite3.connect(site.data / "ledger.db") as ledger:
        for number, recording_id in enumerate(ids):
            (inbox / f"{number}.mp4").hardlink_to(film)  # the same file, so that the ETag is the same
            ledger.execute(
                "INSERT INTO recordings SELECT ?, state, ?, etag, file_size_bytes, created_at, completed_at, NULL,"
                " metadata, facts, error, owner, attempts, next_at, lease FROM recordings WHERE name = 'lecture.mp4'",
                (recording_id, path := f"inbox/{number}.mp4"),
            )
            ledger.execute("INSERT INTO watched SELECT ?, etag FROM recordings WHERE name = 'lecture.mp4'", (path,))
    ledger.close()
    return ids


def test_thousand_recordings_of_the_watch_are_known_and_cut_after_the_upgrade(tmp_path: Path) -> None:
    site = unpack("0.1.0", tmp_path / "site", port=1)
    ids = multiply_recording(site, 1000)
    with (
        running_server(site.data, config=site.config) as server,
        Client(server.url, site.facts["keys"]["admin"], timeout=300, retries=0) as client,
    ):
        shutil.copy(site.data / "store" / "inbox" / "0.mp4", site.data / "store" / "inbox" / "new.mp4")
        until(lambda: client.recordings.list(name="new").data)
        paths = [each.bucket_path for each in client.recordings.each()]
        assert sorted(path for path in paths if path.startswith("inbox/")) == sorted(
            ["inbox/new.mp4", *(f"inbox/{number}.mp4" for number in range(1000))]
        )
        clips = [client.clips.create(recording_id, "upgraded", 1, 2) for recording_id in ids[::100]]
        ended = [client.clips.wait(clip.clip_id, timeout=SECONDS) for clip in clips]
        assert [clip.status for clip in ended] == ["complete"] * 10


@pytest.mark.parametrize("name", ["cutting", "queued", "queued last"])
def test_clips_that_the_old_server_left_unfinished_complete(upgraded: Upgraded, name: str, tmp_path: Path) -> None:
    clip_id = upgraded.site.facts["clips"][name]
    with upgraded.client() as client:
        clip = client.clips.wait(clip_id, timeout=SECONDS)
        assert clip.status == "complete", clip.error
        clip.download(tmp_path / "clip")
    with av.open(str(tmp_path / "clip")) as container:
        assert sum(1 for _ in container.decode(video=0)) == round((clip.end_seconds - clip.start_seconds) * 25)


def test_webhooks_are_signed_with_the_old_secrets(upgraded: Upgraded) -> None:
    queued, secrets = upgraded.site.facts["clips"]["queued"], upgraded.site.facts["secrets"]

    def received(path: str) -> list[Request]:
        sent = [each for each in upgraded.receiver.requests if each.path == path]
        return [each for each in sent if json.loads(each.body)["data"].get("clip_id") == queued]

    for path in ("/settings", "/endpoint"):
        until(lambda path=path: received(path), SECONDS)  # type: ignore[misc]
        request, secret = received(path)[0], secrets[path[1:]]
        assert verify(request.body, request.headers, secret)["event"] == "clip.ready"
        relay = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
        assert request.headers["x-relay-signature"] == relay


def test_waiting_delivery_of_the_old_server_is_sent_and_an_ended_one_can_be_sent_again(upgraded: Upgraded) -> None:
    deliveries = upgraded.site.facts["deliveries"]
    with upgraded.client() as client:
        until(lambda: client.webhooks.delivery(deliveries["pending"]).status == "delivered", SECONDS)
        old = client.webhooks.delivery(deliveries["delivered"])
        client.webhooks.redeliver(old.delivery_id)
    until(lambda: old.payload in bodies(upgraded.receiver.requests, "/endpoint"), SECONDS)


def test_webhook_bodies_have_what_receivers_of_the_old_ones_read(upgraded: Upgraded) -> None:
    recorded = [each["body"] for each in upgraded.site.recorded("webhooks.json")]
    until(lambda: upgraded.clip("queued last")["status"] == "complete", SECONDS)
    new = [body for body in bodies(upgraded.receiver.requests, "/settings") if body["event"] == "clip.ready"]
    olds = [body for body in recorded if body["event"] == "clip.ready" and body["data"]["result"]["video_codec"]]
    assert new
    assert {lost for body in new for lost in missing_from(olds[-1], body)} == set()
    assert list(new[-1]["data"])[:9] == FIXED_KEYS


def test_repeated_request_of_the_old_client_gets_its_stored_response(upgraded: Upgraded) -> None:
    """Idempotency keys are valid for a week, so a client may repeat a request after the upgrade."""
    recorded = next(
        each for each in upgraded.site.recorded("session.json") if (each["body"] or {}).get("label") == "queued"
    )
    headers = recorded["headers"] | {"Authorization": f"Bearer {upgraded.site.facts['keys']['admin']}"}
    url = upgraded.server.url + recorded["path"]
    repeated = httpx.post(url, json=recorded["body"], headers=headers, timeout=300, trust_env=False)
    assert repeated.headers["idempotent-replayed"] == "true"
    assert repeated.json()["clip_id"] == recorded["response"]["clip_id"]


@pytest.mark.parametrize("site", SITES)
def test_every_recorded_request_of_the_old_client_gets_a_compatible_response(
    site: str, upgraded_site: Site, tmp_path: Path
) -> None:
    with upgraded_site(site, tmp_path) as upgraded:
        replay = Replay(upgraded.server.url, upgraded.site.facts["keys"]["admin"], upgraded.site.film())
        with upgraded.client() as client:  # the first clips must not wait behind these
            client.clips.wait(upgraded.site.facts["clips"]["queued last"], timeout=SECONDS)
        incompatible = []
        for recorded in upgraded.site.recorded("session.json"):
            response = replay.send(recorded)
            lost = [] if recorded["status"] == response.status_code else [f"{response.status_code}: {response.text}"]
            if not lost and recorded["response"] is not None:
                lost = missing_from(recorded["response"], response.json())
            incompatible += [f"{recorded['method']} {recorded['path']}: {each}" for each in lost]
        assert incompatible == []
