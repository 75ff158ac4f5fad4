"""The Go example of the documents, compiled, as a webhook receiver."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clipengine.webhooks.sign import sign
from tests.support.server import RunningServer
from tests.support.waiting import until

DOCS = Path(__file__).parents[2] / "clipengine" / "docs"
SECRETS = ["0123456789abcdef", "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="]
RECEIVER = """\
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	panic(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if verify(body, r.Header, os.Args[1]) {
			w.WriteHeader(204)
		} else {
			w.WriteHeader(401)
		}
	})))
}
"""

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("go")
    (block,) = re.findall(r"```go\n(.+?)```", (DOCS / "webhooks.md").read_text("utf-8"), re.DOTALL)
    (folder / "verify.go").write_text(f"package main\n\n{block}")
    (folder / "main.go").write_text(RECEIVER)
    offline = {"GO111MODULE": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": ""}
    for verb in (["vet"], ["build", "-o", "receiver"]):
        done = subprocess.run(
            ["go", *verb, "verify.go", "main.go"],
            cwd=folder,
            env=os.environ | offline,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return folder / "receiver"


@pytest.fixture(params=SECRETS, ids=["plain", "whsec"])
def receiver(program: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Start the receiver and return its URL and secret."""
    with subprocess.Popen([program, request.param], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://{process.stdout.readline().strip()}/hook", request.param
        finally:
            process.kill()


def test_webhook_of_the_engine_is_accepted(server: RunningServer, receiver: tuple[str, str]) -> None:
    url, secret = receiver
    client = server.client()
    webhook = client.webhooks.create(url, secret=secret)
    delivery = client.webhooks.test(webhook.webhook_id)
    until(lambda: client.webhooks.delivery(delivery.delivery_id).last_status_code is not None)
    now = client.webhooks.delivery(delivery.delivery_id)
    client.webhooks.delete(webhook.webhook_id)
    assert (now.status, now.last_status_code) == ("delivered", 204)


def test_invalid_signatures_are_rejected(receiver: tuple[str, str]) -> None:
    url, secret = receiver
    body, now = b'{"event": "clip.ready"}', int(time.time())
    headers = sign(body, event_id="evt_1", secrets=[secret], timestamp=now)
    others = sign(body, event_id="evt_1", secrets=["another secret of 16"], timestamp=now)
    old = sign(body, event_id="evt_1", secrets=[secret], timestamp=now - 301)
    unsigned = {name: value for name, value in headers.items() if name.lower() != "webhook-signature"}
    with httpx.Client(trust_env=False) as http:
        answers = [
            http.post(url, content=content, headers=given).status_code
            for content, given in [
                (body, headers),
                (body + b" ", headers),
                (body, others),
                (body, old),
                (body, unsigned),
                (body, {**headers, "webhook-timestamp": "soon"}),
                (body, {**headers, "webhook-id": "evt_2"}),
            ]
        ]
    assert answers == [204, 401, 401, 401, 401, 401, 401]
