"""Previews of new recordings, made ahead by real child processes and giving way to everything else."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from clipengine.clips.plan.preview_pyramid import Piece, coarse_filmstrips, whole_waveform
from clipengine.errors import RecordingUnreadable
from clipengine.recordings.recording import Recording
from clipengine.stores.s3 import S3Store
from clipengine.work.previews.ahead import PreviewsAhead
from tests.api.test_previews import _LONG, children_at, probed, registered, shelf
from tests.films.catalogue import Shelf
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.s3 import QUICK, S3Server, faulty_s3  # noqa: F401 - fixture
from tests.support.s3_faults import FaultyS3
from tests.support.tus import append, begin
from tests.support.waiting import until

__all__ = ["shelf"]  # a fixture


@contextmanager
def making_ahead(engine: RecordedEngine, is_busy: Callable[[], bool] = lambda: False) -> Iterator[None]:
    ahead = PreviewsAhead(engine.ledger, engine.previews, is_busy=is_busy)
    ahead.start()
    yield
    ahead.stop()


def kept(engine: RecordedEngine) -> set[str]:
    folder = engine.settings.data.folder / "previews"
    return {path.name for path in folder.iterdir() if path.name[0] != "."} if folder.exists() else set()


def requested(recording: Recording) -> list[str]:
    """Return the requests for the previews that are made ahead."""
    duration = recording.duration_seconds or 0

    def path(kind: str, piece: Piece, rest: str) -> str:
        return f"{kind}?start_seconds={piece.start}{'' if piece.end is None else f'&end_seconds={piece.end}'}&{rest}"

    films = [path("filmstrip", each, f"count={each.parts}&width=160") for each in coarse_filmstrips(duration)]
    has_video = recording.facts is not None and recording.facts.video
    return films * bool(has_video) + [
        path("waveform", each, f"points={each.parts}") for each in whole_waveform(duration)
    ]


def test_previews_of_a_new_recording_are_there_before_they_are_requested(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf
) -> None:
    with making_ahead(engine):
        film = registered(engine, shelf.get("mp4_24").path)
        wanted = requested(film)
        until(lambda: len(kept(engine)) == len(wanted))
        made = kept(engine)
        for path in wanted:
            answer = http.get(f"/v1/recordings/{film.recording_id}/{path}")
            assert answer.status_code == 200, answer.text
            assert answer.headers["etag"].strip('"') in made
        assert kept(engine) == made


@pytest.mark.exhaustive
def test_nothing_is_made_ahead_while_the_engine_is_busy(engine: RecordedEngine, shelf: Shelf) -> None:
    busy = threading.Event()
    with making_ahead(engine, busy.is_set):
        long = registered(engine, shelf.get("audio_only_mp3").path, key="long.mp3", copies=_LONG)
        until(lambda: children_at(engine, long))
        busy.set()  # as when a clip starts
        until(lambda: not children_at(engine, long))
        done = kept(engine)
        busy.clear()
        until(lambda: len(kept(engine)) > len(done))


@pytest.mark.exhaustive
def test_request_joins_the_preview_that_is_made_ahead(server: ApiServer, engine: RecordedEngine, shelf: Shelf) -> None:
    with making_ahead(engine), server.client() as http:
        long = registered(engine, shelf.get("audio_only_mp3").path, key="long.mp3", copies=_LONG)
        children: list[int] = []

        def noticed() -> bool:
            children[:] = children_at(engine, long)
            return bool(children)

        until(noticed)
        path = requested(long)[0]
        assert http.get(f"/v1/recordings/{long.recording_id}/{path}").status_code == 200
        assert set(children_at(engine, long)) <= set(children)  # no other child made the preview
        assert len(kept(engine)) <= 2


def bytes_read(proxy: FaultyS3) -> int:
    """Return the number of bytes that were requested from the store."""
    asked = [request.headers.get("range", "") for request in proxy.seen if request.method == "GET"]
    ranges = (re.fullmatch(r"bytes=(\d+)-(\d+)", each) for each in asked)
    return sum(int(each[2]) - int(each[1]) + 1 for each in ranges if each)


def test_previews_of_an_upload_are_made_without_reading_the_store(
    s3: S3Server,
    bucket: str,
    faulty_s3: FaultyS3,  # noqa: F811
    tmp_path: Path,
    shelf: Shelf,
) -> None:
    """The waveform equals that from the store, for which most of it is read: audio is interleaved."""
    film = shelf.get("mp4_24").path
    location = s3.location(bucket, endpoint=faulty_s3.endpoint)
    store = S3Store(location, journal=tmp_path / "journal", link_seconds=60, retries=QUICK)
    with (
        recorded_engine(tmp_path / "data", store=store) as engine,
        api_server(engine) as server,
        server.client() as http,
        making_ahead(engine),
    ):
        engine.previews.copies.enable()
        answer = http.put("/v1/recordings/upload?name=film.mp4", content=film.read_bytes())
        assert answer.status_code == 202, answer.text
        copies = engine.settings.data.folder / "copies"
        assert [each.stat().st_size for each in copies.iterdir()] == [film.stat().st_size]
        recording = probed(engine, film)
        wanted = requested(recording)
        until(lambda: len(kept(engine)) == len(wanted) and not [*copies.iterdir()])
        assert bytes_read(faulty_s3) == 0

        waveform = f"/v1/recordings/{recording.recording_id}/{wanted[-1]}"
        made = http.get(waveform).json()
        assert bytes_read(faulty_s3) == 0
        shutil.rmtree(engine.settings.data.folder / "previews")
        assert http.get(waveform).json() == made
        assert bytes_read(faulty_s3) > film.stat().st_size / 2


def test_copy_of_a_recording_without_previews_is_deleted(http: httpx.Client, engine: RecordedEngine) -> None:
    """One that cannot be read, or was deleted before its probe."""
    engine.previews.copies.enable()
    copies = engine.settings.data.folder / "copies"
    with making_ahead(engine):
        for ends in ("fails", "deleted"):
            if ends == "fails":
                id = http.put("/v1/recordings/upload?name=a.mp4", content=b"no film").json()["recording_id"]
            else:
                id = begin(http, 7, content=b"no film").json()["recording_id"]
            assert len([*copies.iterdir()]) == 1
            if ends == "deleted":
                assert http.delete(f"/v1/recordings/{id}").status_code == 204
            else:
                probing = engine.ledger.recordings.claim_probe("test")
                assert probing is not None
                engine.ledger.recordings.probe_failed(probing, RecordingUnreadable("no film"))
            until(lambda: not [*copies.iterdir()])
        path = begin(http, 7, content=b"no").headers["location"]
        assert append(http, path, 2, b" film").headers["upload-recording"]
        assert not [*copies.iterdir()]  # an upload of two requests has none
