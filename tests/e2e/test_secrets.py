"""Secrets stay secret: a server is used, rejects, fails and cancels in many ways; then all its output is searched."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.client import ClientError
from tests.support.receiver import Answer, Receiver
from tests.support.s3 import S3Server
from tests.support.s3_faults import FaultyS3, refuse, say
from tests.support.server import RunningServer, run_command, running_server

pytestmark = pytest.mark.exhaustive

SETTINGS_SECRET = "whsec_" + base64.b64encode(b"a secret of the settings").decode()
ENDPOINT_SECRET = "whsec_" + base64.b64encode(b"a secret of an endpoint!").decode()
PLAIN_SECRET = "plain-secret-of-an-endpoint"
URL_TOKEN = "token-in-a-webhook-address"


class Watched(httpx.Client):
    """A transport that keeps every response with its headers."""

    def __init__(self, server: RunningServer, key: str | None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        super().__init__(base_url=server.url, headers=headers, timeout=300, trust_env=False)
        self.answers: list[str] = []

    def request(self, *args: Any, **kwargs: Any) -> httpx.Response:
        answer = super().request(*args, **kwargs)
        self.answers.append(f"{answer.status_code} {dict(answer.headers)} {answer.text}")
        return answer


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def test_no_output_contains_a_secret(s3: S3Server, bucket: str, film: Path, tmp_path: Path, receiver: Receiver) -> None:
    s3_id, s3_secret = s3.access_key, s3.secret_key
    if s3.moto:  # moto accepts any key: use keys that occur nowhere else
        s3_id, s3_secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
    receiver.answer = lambda request: Answer(500 if "hurt" in request.path else 200)
    told = f'{{url = "{receiver.url}?t={URL_TOKEN}", secret = "{SETTINGS_SECRET}"}}'
    with FaultyS3(s3.endpoint) as store:
        env = {
            "CLIPENGINE_STORAGE__KIND": "s3",
            "CLIPENGINE_STORAGE__ENDPOINT": store.endpoint,
            "CLIPENGINE_STORAGE__BUCKET": bucket,
            "CLIPENGINE_STORAGE__ACCESS_KEY": s3_id,
            "CLIPENGINE_STORAGE__SECRET_KEY": s3_secret,
            "CLIPENGINE_WEBHOOKS__ALLOW_CIDRS": '["127.0.0.0/8"]',
            "CLIPENGINE_WEBHOOKS__ENDPOINTS": f"[{told}]",
            "CLIPENGINE_SERVER__LOG_FORMAT": "json",
            "CLIPENGINE_SERVER__LOG_LEVEL": "debug",
        }
        client = s3.client
        client.put_object(bucket, "r/recording.mp4", io.BytesIO(film.read_bytes()), film.stat().st_size)
        client.put_object(bucket, "r/no.mp4", io.BytesIO(b"<html>" * 99), 594)
        with running_server(tmp_path / "data", env=env) as server:
            revoked = run_command("keys", "create", "old", "--data", str(server.data)).stdout.strip()
            run_command("keys", "revoke", "old", "--data", str(server.data))
            with Watched(server, server.key) as http, Watched(server, revoked) as refused:
                links = use(server, http, refused, store, receiver.url)
            assert server.stop() == 0
        log = server.log.read_text()
        said = log + "\n".join(http.answers + refused.answers) + server.greeting
    hidden = {
        "the S3 key's id": s3_id,
        "the S3 secret": s3_secret,
        "an API key": server.key.split("_")[-2],
        "a revoked API key": revoked.split("_")[-2],
        "a secret of the settings": SETTINGS_SECRET,
        "the other secret": SETTINGS_SECRET.removeprefix("whsec_"),
        "a secret of an endpoint": ENDPOINT_SECRET,
        "a plain secret of an endpoint": PLAIN_SECRET,
    }
    links_told = "\n".join(links)
    for what, secret in hidden.items():
        # Presigned links contain the access key id by design.
        assert said.replace(links_told, "").count(secret) == (len(links) if what == "the S3 key's id" else 0), what
    assert URL_TOKEN not in log
    assert "X-Amz-Signature=" not in log
    assert not re.findall(r"relay_live_\w{26}_(?!\[hidden\])", log)
    # Expected failures are not logged as errors.
    assert not [line for line in log.splitlines() if json.loads(line)["level"] == "error"]


def ended(http: Watched, path: str) -> dict[str, Any]:
    """Return the recording or the clip when it has ended."""
    while (found := http.get(f"{path}?wait=60").json())["status"] == "processing":
        pass
    return dict(found)


def use(server: RunningServer, http: Watched, refused: Watched, store: FaultyS3, receiver: str) -> list[str]:
    """Make every kind of request and most kinds of failure; return the signed links."""
    endpoint = http.post("/v1/webhooks", json={"url": f"{receiver}?u={URL_TOKEN}", "secret": "x" * 16}).json()
    at = f"/v1/webhooks/{endpoint['webhook_id']}"
    for secret in (ENDPOINT_SECRET, PLAIN_SECRET):
        assert http.patch(at, json={"secret": secret}).status_code == 200
    http.post("/v1/webhooks", json={"url": f"{receiver}/hurt?u={URL_TOKEN}", "secret": PLAIN_SECRET[:3]})
    for path in ("/v1/webhooks", at, f"{at}/deliveries", "/readyz", "/v1/openapi.json", "/v1/recordings", "/v1/clips"):
        http.get(path)
        refused.get(path)
    http.post(f"{at}/test")
    recording = http.post("/v1/recordings", json={"bucket_path": "r/recording.mp4"}).json()["recording_id"]
    bad = http.post("/v1/recordings", json={"bucket_path": "r/no.mp4"}).json()["recording_id"]
    assert ended(http, f"/v1/recordings/{recording}")["status"] == "complete"
    assert ended(http, f"/v1/recordings/{bad}")["status"] == "failed"
    clips = f"/v1/recordings/{recording}/clips"
    body = {"label": "a", "start_seconds": 1, "end_seconds": 3, "webhook_url": f"{receiver}/hurt?c={URL_TOKEN}"}
    done = http.post(clips, json=body).json()["clip_id"]
    assert ended(http, f"/v1/clips/{done}")["status"] == "complete"
    links = [http.get(f"/v1/clips/{done}/download").headers["location"] for _ in range(2)]
    store.fail(refuse(403, "AccessDenied"), method="PUT", times=9)
    denied = http.post(clips, json=body).json()["clip_id"]
    assert ended(http, f"/v1/clips/{denied}")["error"]["code"] == "storage_denied"
    for fault in (refuse(403, "InvalidAccessKeyId"), refuse(403, "SignatureDoesNotMatch"), say(502, "<html>")):
        store.fail(fault, method="HEAD", times=9)
        store.fail(fault, method="GET", times=9)
        assert http.post("/v1/recordings", json={"bucket_path": "r/recording.mp4"}).status_code in (502, 503)
        store.clear()
    running = http.post(clips, json={**body, "end_seconds": 12}).json()["clip_id"]
    http.post(f"/v1/clips/{running}/cancel")
    with contextlib.suppress(ClientError):
        server.client().clips.get("clip_nothing")
    http.post(clips, content=b"{", headers={"Content-Type": "application/json"})
    http.get("/v1/clips", headers={"Authorization": f"Basic {server.key}"})
    http.get(f"/v1/clips/{server.key.upper()}")
    http.get(f"/v1/clips/{done}/deliveries")
    http.delete(at)
    return links
