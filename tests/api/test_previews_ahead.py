"""Previews of new recordings, made ahead by real child processes and giving way to everything else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from clipengine.clips.clip import Recording
from clipengine.clips.plan.preview_pyramid import Piece, coarse_filmstrips, whole_waveform
from clipengine.work.previews.ahead import PreviewsAhead
from tests.api.test_previews import _LONG, children_at, registered, shelf
from tests.films.catalogue import Shelf
from tests.support.api import ApiServer, RecordedEngine
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
