"""Previews over HTTP: made once by a real child process, cached up to the limit, rejected with a reason."""

from __future__ import annotations

import io
import os
import select
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import av
import httpx
import pytest

from clipengine.basis.disk_space import DiskSpace
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.probe import probe
from clipengine.recordings.recording import Recording
from clipengine.work.children import process
from clipengine.work.children.kept_children import KeptChildren
from clipengine.work.previews.previews import _Cache
from clipengine.work.previews.queue import _GRACE_SECONDS
from tests.films.catalogue import Shelf
from tests.support.api import ApiServer, RecordedEngine
from tests.support.children import holding, working
from tests.support.hostile_child import launch_unstarted
from tests.support.waiting import until

_LONG = 1200  # copies of a 6 s recording: two hours, whose waveform takes at least half a minute


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shelf:
    folder = tmp_path_factory.getbasetemp()
    return Shelf(folder if worker_id == "master" else folder.parent)


@pytest.fixture
def film(engine: RecordedEngine, shelf: Shelf) -> Recording:
    return registered(engine, shelf.get("mp4_25").path)


def registered(engine: RecordedEngine, film_file: Path, *, key: str = "film.mp4", copies: int = 1) -> Recording:
    """Return a complete recording: the file, or an MP3 made of many copies of it."""
    engine.put(key, film_file.read_bytes() * copies)
    stored = engine.store.head(key)
    engine.ledger.recordings.register(key, etag=stored.etag, size=stored.size)
    return probed(engine, film_file, copies=copies)


def probed(engine: RecordedEngine, film_file: Path, *, copies: int = 1) -> Recording:
    """Probe the recording that waits for it, and return it."""
    probing = engine.ledger.recordings.claim_probe("test")
    assert probing
    with film_file.open("rb") as file:
        facts = probe(DescriptorSource(file.fileno())).facts
    facts = facts.model_copy(update={"duration": facts.duration * copies})
    found = probing.recording
    engine.ledger.recordings.probe_complete(probing, facts, etag=found.etag, size=found.file_size_bytes)
    return engine.ledger.recordings.get(found.recording_id)


def test_preview_is_made_once_and_cached(http: httpx.Client, film: Recording, engine: RecordedEngine) -> None:
    kept = engine.settings.data.folder / "previews"
    base = f"/v1/recordings/{film.recording_id}"
    for path, media_type in (
        ("frame?at_seconds=1&width=64", "image/jpeg"),
        ("filmstrip?count=4&width=64", "image/jpeg"),
        ("frames", "application/json"),
        ("waveform?points=50", "application/json"),
    ):
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _, path=path: http.get(f"{base}/{path}"), range(4)))  # type: ignore[misc]
        assert {(answer.status_code, answer.headers["content-type"]) for answer in answers} == {(200, media_type)}
        assert len({answer.content for answer in answers}) == 1
        assert answers[0].headers["cache-control"] == "private, max-age=31536000, immutable"
        known = http.get(f"{base}/{path}", headers={"If-None-Match": answers[0].headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
    assert len(list(kept.iterdir())) == 4
    with av.open(io.BytesIO(http.get(f"{base}/filmstrip?count=4&width=64").content)) as strip:
        assert next(strip.decode(video=0)).width == 256
    assert len(http.get(f"{base}/waveform?points=50").json()["peaks"]) == 50
    part = http.get(f"{base}/frames?start_seconds=1.01&end_seconds=1.1").json()
    assert part == {"start_seconds": 1.01, "end_seconds": 1.1, "frames": [1.0, 1.04, 1.08]}


def test_frames_of_one_recording_are_made_by_one_child(
    http: httpx.Client, film: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeptChildren, "idle_seconds", 300)
    path, children = f"/v1/recordings/{film.recording_id}/frame", []
    others = set(working(os.getpid()))  # that an earlier test has left for a few seconds
    for at in (1, 2, 3):
        assert http.get(path, params={"at_seconds": at}).status_code == 200
        children.append(set(working(os.getpid())) - others)
    assert len(children[0]) == 1
    assert children == [children[0]] * 3


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("frame?at_seconds=1e6", "invalid_time_range"),
        ("frame", "invalid_request"),
        ("frame?at_seconds=nan", "invalid_request"),
        ("frame?at_seconds=1&width=100000", "invalid_request"),
        ("filmstrip?start_seconds=2&end_seconds=1", "invalid_time_range"),
        ("waveform?start_seconds=1e6", "invalid_time_range"),
        ("frames?start_seconds=1e6", "invalid_time_range"),
        ("moments?to=keyframe&at_seconds=1e6", "invalid_time_range"),
        ("moments?to=keyframe&at_seconds=1&within_seconds=300.5", "invalid_request"),
        ("moments?to=keyframe&at_seconds=1&within_seconds=0", "invalid_request"),
        ("moments?to=sentence&at_seconds=1", "invalid_request"),
        ("moments?to=keyframe&at_seconds=1&direction=up", "invalid_request"),
        ("moments?to=keyframe", "invalid_request"),
    ],
)
def test_impossible_preview_is_rejected(http: httpx.Client, film: Recording, path: str, code: str) -> None:
    answer = http.get(f"/v1/recordings/{film.recording_id}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("start_seconds=1e6", "start_seconds"),
        ("start_seconds=1e6&end_seconds=2e6", "start_seconds"),
        ("start_seconds=2&end_seconds=1", "end_seconds"),
        ("start_seconds=2&end_seconds=2", "end_seconds"),
    ],
)
def test_error_of_an_impossible_part_names_the_wrong_parameter(
    http: httpx.Client, film: Recording, query: str, parameter: str
) -> None:
    answer = http.get(f"/v1/recordings/{film.recording_id}/frames?{query}").json()
    assert [each["parameter"] for each in answer["errors"]] == [parameter]
    assert answer["detail"].startswith(f"{parameter} ")


def test_next_moment_is_found_or_the_searched_range_is_told(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf
) -> None:
    film = registered(engine, shelf.get("mp4_bframes").path)  # keyframes are 1.6 s apart
    path = f"/v1/recordings/{film.recording_id}/moments"

    def found(**query: str | float) -> tuple[float | None, float, float, bool]:
        answer = http.get(path, params={"to": "keyframe", **query})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body.pop("to") == "keyframe"
        return body["seconds"], body["searched_from_seconds"], body["searched_to_seconds"], body["more"]

    assert found(at=0) == (1.6, 0, 1.6, True)
    assert found(at=1.6) == (3.2, 1.6, 3.2, True)
    assert found(at=1.6, direction="previous") == (0, 1.6, 0, False)
    assert found(at=0, within=1) == (None, 0, 1, True)
    assert found(at=0, direction="previous") == (None, 0, 0, False)
    end = film.duration_seconds
    assert end is not None
    assert found(at=5.5) == (None, 5.5, end, False)
    known = http.get(path, params={"to": "keyframe", "at_seconds": 0})
    again = http.get(path, params={"to": "keyframe", "at_seconds": 0}, headers={"If-None-Match": known.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("name", "to"), [("video_only_mp4", "silence"), ("audio_only_m4a", "keyframe"), ("audio_only_m4a", "scene")]
)
def test_moments_that_a_recording_cannot_have_are_rejected(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf, name: str, to: str
) -> None:
    made = registered(engine, shelf.get(name).path)
    answer = http.get(f"/v1/recordings/{made.recording_id}/moments", params={"to": to, "at_seconds": 0})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_media_in_range")


def test_preview_whose_child_cannot_start_is_made_later(
    http: httpx.Client, film: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/recordings/{film.recording_id}/frame?at_seconds=1"
    with monkeypatch.context() as patched:
        patched.setattr(process, "launch_program", launch_unstarted)
        refused = http.get(path)
    assert (refused.status_code, refused.json()["code"], "retry-after" in refused.headers) == (503, "busy", True)
    # A child that was started ahead before the patch ended may be the next one.
    until(lambda: http.get(path).status_code == 200)


def test_preview_of_incomplete_or_unknown_recording_is_rejected(http: httpx.Client, engine: RecordedEngine) -> None:
    engine.put("new.mp4", b"x")
    made, _ = engine.ledger.recordings.register("new.mp4", etag="e", size=1)
    assert http.get(f"/v1/recordings/{made.recording_id}/frame?at_seconds=0").json()["code"] == "recording_not_complete"
    assert http.get("/v1/recordings/rec_x/frame?at_seconds=0").json()["code"] == "recording_not_found"


def test_preview_of_replaced_object_is_rejected(http: httpx.Client, film: Recording, engine: RecordedEngine) -> None:
    path = f"/v1/recordings/{film.recording_id}/waveform"
    assert http.get(path).status_code == 200
    engine.put("film.mp4", b"another film")
    answer = http.get(path, params={"points": 50})  # the child of the first request has not ended yet
    assert (answer.status_code, answer.json()["code"]) == (422, "recording_changed")


@pytest.fixture
def long(engine: RecordedEngine, shelf: Shelf) -> Recording:
    return registered(engine, shelf.get("audio_only_mp3").path, key="long.mp3", copies=_LONG)


@contextmanager
def asking(server: ApiServer, recording: Recording) -> Iterator[socket.socket]:
    """Request the waveform on a separate connection; closing it disconnects the client."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"GET /v1/recordings/{recording.recording_id}/waveform HTTP/1.1\r\nHost: test\r\n"
        connection.sendall(f"{head}Authorization: Bearer {server.key}\r\n\r\n".encode())
        yield connection


def answered(connection: socket.socket, seconds: float = 0.0) -> bool:
    return bool(select.select([connection], [], [], seconds)[0])


def children_at(engine: RecordedEngine, recording: Recording) -> list[int]:
    return holding(os.getpid(), engine.settings.store_folder / recording.bucket_path)


@pytest.mark.exhaustive
def test_short_waveform_is_made_while_a_long_one_runs(
    server: ApiServer, engine: RecordedEngine, shelf: Shelf, long: Recording
) -> None:
    short = registered(engine, shelf.get("audio_only_mp3").path, key="short.mp3")
    with asking(server, long) as waiting:
        until(lambda: children_at(engine, long))
        with server.client() as http:
            assert http.get(f"/v1/recordings/{short.recording_id}/waveform").status_code == 200
        assert not answered(waiting)


@pytest.mark.exhaustive
def test_waveform_is_cancelled_when_the_last_client_disconnects(
    server: ApiServer, engine: RecordedEngine, long: Recording
) -> None:
    with asking(server, long) as staying:
        with asking(server, long):
            until(lambda: children_at(engine, long))
            child = children_at(engine, long)
            assert len(child) == 1  # shared by both
        assert not answered(staying, _GRACE_SECONDS + 1)
        assert children_at(engine, long) == child
    until(lambda: not children_at(engine, long))
    kept = engine.settings.data.folder / "previews"
    assert not kept.exists() or not list(kept.iterdir())  # the job was not finished


@pytest.mark.exhaustive
def test_client_that_comes_back_soon_joins_the_running_job(
    server: ApiServer, engine: RecordedEngine, long: Recording
) -> None:
    with asking(server, long):
        until(lambda: children_at(engine, long))
        child = children_at(engine, long)
    with asking(server, long) as back:
        assert not answered(back, _GRACE_SECONDS + 1)
        assert children_at(engine, long) == child


def test_least_recently_used_previews_are_evicted(tmp_path: Path) -> None:
    cache = _Cache(tmp_path / "previews", 100)
    for at in range(10):
        cache.write(f"{at}", b"x" * 10)
        os.utime(tmp_path / "previews" / f"{at}", (at, at))
    assert cache.read("0") == b"x" * 10  # now the most recently used
    cache.write("new", b"x" * 10)
    assert sorted(path.name for path in (tmp_path / "previews").iterdir()) == [
        "0",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "new",
    ]
    cache.write("huge", b"x" * 101)
    assert cache.read("huge") is None


def test_previews_leave_free_what_is_kept_free_on_their_disk(tmp_path: Path) -> None:
    cache = _Cache(tmp_path / "previews", 100, DiskSpace(tmp_path, 1 << 60))
    cache.write("new", b"x" * 10)
    assert list((tmp_path / "previews").iterdir()) == []


def test_profiles_are_listed(server: ApiServer) -> None:
    with server.client() as http:
        listed = http.get("/v1/profiles").json()
    assert listed["data"][0] == {
        "name": "default", "container": "mp4", "video": "h264", "audio": "aac", "max_height": None, "fps": None,
        "render": "encode", "output": {},
    }  # fmt: skip
