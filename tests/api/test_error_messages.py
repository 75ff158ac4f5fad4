"""Messages for invalid requests, in the terms of the client."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import httpx
import pytest

from clipengine.api.routes.downloads import file_name
from clipengine.client import Client
from clipengine.recordings.names import slug
from clipengine.recordings.recording import Recording
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


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "The body must have either bucket_path or url, or folder and pattern. Give one of them."),
        (
            {"bucket_pth": "a.mp4", "url": "https://example.org/"},
            "bucket_pth: is not a known field. Did you mean `bucket_path`?",
        ),
    ],
)
def test_detail_ends_with_the_useful_hint(http: httpx.Client, body: dict[str, str], said: str) -> None:
    problem = http.post("/v1/recordings", json=body).json()
    assert problem["detail"] == said
    assert said.endswith(problem["hint"])


def test_hint_of_several_faults_names_what_was_meant(http: httpx.Client, recording: Recording) -> None:
    body = {"lable": "a", "start_second": 1, "end_seconds": 2}
    problem = http.post(f"/v1/recordings/{recording.recording_id}/clips?waitt=1", json=body).json()
    assert problem["hint"] == "Did you mean `label`? Did you mean `start_seconds`?"
    problem = http.post(f"/v1/recordings/{recording.recording_id}/clips", json={"start": 1, "end": 2}).json()
    assert problem["hint"] == "Did you mean `start_seconds`? Did you mean `end_seconds`?"


def test_refused_url_of_a_recording_has_its_own_code(http: httpx.Client) -> None:
    for url in ("http://169.254.169.254/", "ftp://example.org/a.mp4"):
        problem = http.post("/v1/recordings", json={"url": url}).json()
        assert (problem["code"], problem["errors"][0]["code"]) == ("invalid_recording_url", "invalid_recording_url")
        assert "webhook URL" not in problem["detail"]


def test_missing_key_gets_a_hint_beside_the_text_of_the_hosted_api(server: ApiServer) -> None:
    with server.client("") as http:
        problem = http.get("/v1/clips").json()
    assert problem["detail"] == "Invalid or missing API key"
    assert problem["hint"].startswith("Send `Authorization: Bearer <key>`")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/recordings", "/v1/recordings"),
        ("/clips/clip_1/download", "/v1/clips/clip_1/download"),
        ("/v1/clips/", "/v1/clips"),
    ],
)
def test_unknown_path_names_the_route_that_was_meant(http: httpx.Client, path: str, meant: str) -> None:
    assert http.get(path).json()["hint"] == f"Did you mean {meant}?"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/recordings/clip_1", "This is the id of a clip: give that of a recording."),
        ("/v1/clips/rec_1", "This is the id of a recording: give that of a clip."),
        ("/v1/clips/clip_1", "Check the URL; GET the collection to list what exists."),
    ],
)
def test_id_of_another_kind_is_named(http: httpx.Client, path: str, hint: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()["hint"]) == (404, hint)


def test_browser_at_an_unknown_address_gets_a_page(server: ApiServer) -> None:
    with server.client("") as http:
        answer = http.get("/recording", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        for address in re.findall(r'href="(/[^"]*)"', answer.text):
            assert http.get(address).status_code == 200, address
