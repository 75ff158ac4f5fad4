"""Messages for invalid requests, in the terms of the client."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from clipengine.api.routes.downloads import file_name
from clipengine.client import Client
from clipengine.clips.clip import Recording
from clipengine.clips.request import slug
from tests.support.api import ApiServer


def fault(answer: httpx.Response) -> str:
    assert answer.status_code == 422
    return str(answer.json()["errors"][0]["detail"])


def test_messages_hide_the_validator(http: httpx.Client) -> None:
    assert fault(http.get("/v1/clips?limit=x")) == "must be a valid integer"
    assert fault(http.get("/v1/clips?bar=1")) == "is not a known parameter"
    webhook = {"url": "http://127.0.0.1:9/hook", "events": []}
    assert fault(http.post("/v1/webhooks", json=webhook)) == "must have at least 1 item"


def test_url_as_bucket_path_gets_a_hint(http: httpx.Client) -> None:
    said = fault(http.post("/v1/recordings", json={"bucket_path": "s3://bucket/a/b.mp4"}))
    assert said.endswith("give only the key, without s3:// and the bucket's name")


def test_unknown_method_is_rejected(server: ApiServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"not valid HTTP/1.1" in connection.makefile("rb").read()


@pytest.mark.parametrize("character", [chr(each) for each in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))])
def test_bidirectional_controls_are_removed_from_file_names(character: str) -> None:
    assert file_name(f"a{character}gpj.exe", "mp4") == "a_gpj.exe.mp4"
    assert character not in slug(f"a{character}gpj")


def test_client_errors_name_the_argument(server: ApiServer, recording: Recording, tmp_path: Path) -> None:
    target = tmp_path / "nope" / "x.mp4"
    with Client(server.url, server.key) as client:
        with pytest.raises(ValueError, match="end_seconds must be a finite number"):
            client.clips.create(recording.recording_id, "a", 0, float("nan"))
        with pytest.raises(FileNotFoundError) as missing:
            client.recordings.download(recording.recording_id, target)
    assert missing.value.filename == str(target)
