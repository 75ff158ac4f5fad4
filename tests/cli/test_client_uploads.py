"""Uploads of the Python client and the command, with a scripted server. Those of a real server: `test_with_server`."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import ApiError, Client, FileChanged, ServerUnreachable
from tests.support.receiver import Answer, Receiver, json_answer
from tests.support.server import run_command

UPLOAD = {"upload_id": "upl_1", "offset": 0, "size_bytes": 0, "created_at": "", "expires_at": ""}
RECORDING = {"recording_id": "rec_1", "status": "processing"}
LARGE = 17 << 20  # more than what is sent with the first request
PART = 6 << 20


def problem(status: int, code: str) -> Answer:
    return json_answer({"code": code, "detail": code, "hint": ""}, status)


def begun(offset: int = 0, recording_id: str | None = None) -> Answer:
    return json_answer(UPLOAD | {"offset": offset, "recording_id": recording_id}, 201)


REGISTERED = Answer(204, {"Upload-Recording": "rec_1"})


@pytest.fixture
def server() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def client(server: Receiver) -> Iterator[Client]:
    with Client(f"http://{server.host}:{server.port}", "relay_live_x", timeout=300) as client:
        yield client


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "böse & gut.mp4"
    path.write_bytes(os.urandom(3_000_000))
    return path


def described(header: str) -> dict[str, str]:
    pairs = (each.split(" ") for each in header.split(","))
    return {name: base64.b64decode(value).decode() for name, value in pairs}


def test_small_file_is_sent_with_the_request_that_begins_its_upload(
    server: Receiver, client: Client, film: Path
) -> None:
    moves: list[tuple[int, int | None]] = []
    server.script(begun(recording_id="rec_1"), json_answer(RECORDING))
    made = client.recordings.upload(film, tags=["a"], on_progress=lambda *move: moves.append(move))
    assert made.recording_id == "rec_1"
    sent, fetched = server.wait_for(2)
    assert (sent.method, sent.path, sent.headers["upload-length"]) == ("POST", "/v1/uploads", "3000000")
    assert described(sent.headers["upload-metadata"]) == {"filename": film.name, "recording": '{"tags": ["a"]}'}
    assert sent.body == film.read_bytes()
    assert fetched.path == "/v1/recordings/rec_1"
    assert moves == [(1 << 20, 3_000_000), (2 << 20, 3_000_000), (3_000_000, 3_000_000)]


def test_interrupted_upload_continues_at_the_stored_offset(server: Receiver, client: Client, film: Path) -> None:
    server.script(Answer(hang_up=True), begun(1_000_000), problem(423, "upload_locked"))
    server.script(
        json_answer(UPLOAD | {"offset": 2_000_000}), Answer(204), begun(3_000_000, "rec_1"), json_answer(RECORDING)
    )
    assert client.recordings.upload(film).recording_id == "rec_1"
    first, again, locked, asked, rest, last, _ = server.wait_for(7)
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert (len(first.body), again.body) == (3_000_000, b"")
    assert (locked.method, locked.path, locked.headers["upload-offset"]) == ("PATCH", "/v1/uploads/upl_1", "1000000")
    assert (asked.method, rest.method, rest.headers["upload-offset"]) == ("GET", "PATCH", "2000000")
    assert rest.body == film.read_bytes()[2_000_000:]
    assert (last.method, last.path) == ("GET", "/v1/uploads/upl_1")  # a server that does not name the recording


def test_upload_that_is_assembled_for_another_request_is_asked_for_until_it_has_its_recording(
    server: Receiver, client: Client, film: Path
) -> None:
    assembling = json_answer(UPLOAD | {"offset": 3_000_000})
    server.script(Answer(hang_up=True), begun(3_000_000), assembling, assembling)
    server.script(json_answer(UPLOAD | {"offset": 3_000_000, "recording_id": "rec_1"}), json_answer(RECORDING))
    assert client.recordings.upload(film).recording_id == "rec_1"
    assert [each.method for each in server.wait_for(6)] == ["POST", "POST", "GET", "GET", "GET", "GET"]
    server.script(begun(3_000_000), assembling)
    with pytest.raises(ApiError, match="upload_assembling"):
        client.recordings.upload(film, patience=0)


def test_open_file_is_sent_from_its_position(server: Receiver, client: Client) -> None:
    file = io.BytesIO(b"head" + bytes(LARGE))
    file.seek(4)
    server.script(begun(), REGISTERED, json_answer(RECORDING))
    client.recordings.upload(file, name="a.mp4", idempotency_key="mine")
    begin, sent, _ = server.wait_for(3)
    assert (begin.body, begin.headers["upload-length"], begin.headers["idempotency-key"]) == (b"", str(LARGE), "mine")
    assert sent.body == bytes(LARGE)
    with pytest.raises(TypeError, match="pass the name"):
        client.recordings.upload(io.BytesIO(b"x"))
    with pytest.raises(TypeError, match="text mode"):
        client.recordings.upload(io.StringIO("x"), name="a.mp4")  # type: ignore[arg-type]


def links(server: Receiver, *numbers: int, stored: int = 0) -> Answer:
    data = [
        {
            "number": number,
            "size_bytes": min(PART, LARGE - (number - 1) * PART),
            "url": None if number == stored else f"http://{server.host}:{server.port}/bucket?n={number}&s=a%2Fb%20c",
        }
        for number in numbers
    ]
    return json_answer({"part_bytes": PART, "offset": 0, "links_expire_at": "", "data": data})


def test_parts_that_the_store_lacks_are_sent_to_it_without_the_key(server: Receiver, client: Client) -> None:
    data, moves = os.urandom(LARGE), []
    server.script(json_answer(UPLOAD | {"part_bytes": PART}, 201), links(server, 1, 2, 3, stored=2))
    server.script(Answer(200), Answer(404), links(server, 3), Answer(200))
    server.script(json_answer(UPLOAD | {"offset": LARGE, "recording_id": "rec_1"}), json_answer(RECORDING))
    client.recordings.upload(io.BytesIO(data), name="a.mp4", on_progress=lambda done, _: moves.append(done))
    _, asked, first, refused, again, third, last, _ = server.wait_for(8)
    assert (asked.path, asked.body) == ("/v1/uploads/upl_1/parts", b'{"numbers":[1,2,3]}')
    assert again.body == b'{"numbers":[3]}'
    assert [each.body for each in (first, refused, third)] == [data[:PART], data[2 * PART :], data[2 * PART :]]
    assert {each.path for each in (refused, third)} == {"/bucket?n=3&s=a%2Fb%20c"}
    assert [each.headers.get("authorization") for each in (first, refused, third)] == [None] * 3
    assert (last.method, last.path) == ("GET", "/v1/uploads/upl_1")
    assert moves[-1] == LARGE


def test_parts_that_the_store_refuses_go_through_the_server(server: Receiver, client: Client) -> None:
    data = os.urandom(LARGE)
    begin = UPLOAD | {"part_bytes": PART}
    server.script(json_answer(begin, 201), links(server, 1, 2, 3), Answer(403), links(server, 1), Answer(403))
    server.script(links(server, 1), Answer(403), json_answer(begin), Answer(204, {"Upload-Offset": str(2 * PART)}))
    server.script(REGISTERED, json_answer(RECORDING))
    client.recordings.upload(io.BytesIO(data), name="a.mp4")
    *_, first, rest, _ = server.wait_for(11)
    assert [each.method for each in (first, rest)] == ["PATCH", "PATCH"]
    assert (first.headers["upload-offset"], first.body) == ("0", data[:PART])
    assert (rest.headers["upload-offset"], rest.body) == (str(2 * PART), data[2 * PART :])


def test_upload_gives_up_without_a_server_and_after_its_patience(server: Receiver, client: Client, film: Path) -> None:
    server.answer = lambda request: Answer(hang_up=True)
    with pytest.raises(ServerUnreachable):
        client.recordings.upload(film, patience=0)
    assert len(server.requests) == 1
    server.answer = lambda request: problem(507, "disk_full")
    with pytest.raises(ApiError, match="disk_full"):
        client.recordings.upload(film)
    server.answer = lambda request: problem(429, "rate_limited")  # before any bytes are sent
    with pytest.raises(ApiError, match="rate_limited"):
        client.recordings.upload(io.BytesIO(bytes(LARGE)), name="a.mp4")
    assert len(server.requests) == 2 + 3


@pytest.mark.parametrize("change", ["longer", "shorter", "written"])
def test_file_that_changes_is_not_registered(server: Receiver, client: Client, film: Path, change: str) -> None:
    def moved(done: int, total: int | None) -> None:
        if change == "written":
            os.utime(film, ns=(0, 0))
        else:
            os.truncate(film, 4_000_000 if change == "longer" else 2_500_000)

    # By the request, not in order: the receiver may notice the end of the first connection after the next request.
    server.answer = lambda request: Answer(204) if request.method == "DELETE" else begun(1_000_000)
    with pytest.raises(FileChanged, match="changed while it was uploaded"):
        client.recordings.upload(film, on_progress=moved)
    assert [each.path for each in server.requests if each.method == "DELETE"] == ["/v1/uploads/upl_1"]
    assert all(len(each.body) < 3_000_000 for each in server.requests)


def test_server_without_uploads_that_resume_gets_one_request(server: Receiver, client: Client, film: Path) -> None:
    server.script(problem(404, "not_found"), json_answer(RECORDING, 202))
    assert client.recordings.upload(film).recording_id == "rec_1"
    _, put = server.wait_for(2)
    assert (put.method, put.path) == ("PUT", "/v1/recordings/upload?name=b%C3%B6se+%26+gut.mp4")
    assert put.body == film.read_bytes()


def upload(server: Receiver, film: Path, *options: str, key: str = "relay_live_x") -> Any:
    env = {"CLIPENGINE_URL": f"http://{server.host}:{server.port}", "CLIPENGINE_API_KEY": key}
    return run_command("recordings", "add", "--upload", str(film), *options, env=env)


def keys(server: Receiver) -> list[str]:
    return [each.headers["idempotency-key"] for each in server.requests if each.method == "POST"]


def test_new_start_of_the_command_continues_the_upload(server: Receiver, film: Path) -> None:
    server.script(problem(507, "disk_full"))
    failed = upload(server, film)
    assert failed.returncode == 1
    assert "Run the same command again to continue it." in failed.stderr
    server.script(begun(1_000_000), REGISTERED, json_answer(RECORDING))
    assert upload(server, film).returncode == 0
    first, second = keys(server)
    assert first == second
    server.script(begun(3_000_000, "rec_2"), json_answer(RECORDING))
    assert upload(server, film).returncode == 0
    assert keys(server)[2] != first  # the first upload is complete


def test_upload_of_another_file_server_key_or_name_is_another_one(server: Receiver, film: Path) -> None:
    server.answer = lambda request: problem(507, "disk_full")
    upload(server, film)
    upload(server, film, key="relay_live_y")
    upload(server, film, "--name", "Board meeting")
    with Receiver() as other:
        other.answer = server.answer
        upload(other, film)
        server.requests += other.requests
    at = film.stat().st_mtime_ns
    with film.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(bytes([film.read_bytes()[-1] ^ 1]))
    os.utime(film, ns=(at, at))
    upload(server, film)
    assert len({*keys(server)}) == 5


def test_expired_upload_begins_again(server: Receiver, film: Path) -> None:
    server.script(problem(507, "disk_full"))
    upload(server, film)
    server.script(problem(404, "upload_not_found"), begun(3_000_000, "rec_1"), json_answer(RECORDING))
    done = upload(server, film)
    assert done.returncode == 0, done.stderr
    first, expired, again = keys(server)
    assert first == expired != again
