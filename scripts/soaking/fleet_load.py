"""Load of a fleet: clips, some with options that the release before does not know, and uploads in parts."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import click

from clipengine.client import ApiError, Client, Clip, ServerUnreachable
from clipengine.stores.s3_upload import PART_BYTES
from tests.films.film import Film
from tests.support.server import RunningServer

CLIP_SECONDS = Fraction(2)
END_SECONDS = 900
Answer = TypeVar("Answer")
Cut = tuple[Film, Fraction, Fraction]  # the range of a film


class Engines(Protocol):
    """Engines of a fleet, of which the server may be replaced."""

    server: RunningServer

    @property
    def has_new_server(self) -> bool: ...


class FleetLoad:
    """Two threads: one creates clips, one uploads recordings of several parts. Each request is repeated if it fails.

    `created` has the clips that were accepted, `optional` those with new options, and `uploaded` the recordings.
    """

    def __init__(self, engines: Engines, recording_id: str, film: Film, clips: int, seconds: float) -> None:
        self._engines = engines
        self._url, self._key = engines.server.url, engines.server.key
        self.created: dict[str, Cut] = {}
        self.optional: dict[str, dict[str, Any]] = {}
        self.uploaded: list[str] = []
        self._created_all = threading.Event()
        self._threads = [
            threading.Thread(target=self._create, args=(recording_id, film, clips, seconds / clips), daemon=True),
            threading.Thread(target=self._upload, args=(_in_parts(film),), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def client(self) -> Client:
        return Client(self._url, self._key)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(END_SECONDS)
            assert not thread.is_alive()

    def _create(self, recording_id: str, film: Film, clips: int, pause: float) -> None:
        with self.client() as api:
            for number in range(clips):
                start = Fraction(random.randrange(int(1000 * (film.duration - CLIP_SECONDS))), 1000)
                end = start + CLIP_SECONDS
                options = _new_options(number // 2, start, end) if number % 2 and self._engines.has_new_server else {}
                clip = create_clip(api, recording_id, f"clip {number}", start, **options)
                if options:
                    self.optional[clip.clip_id] = options
                else:
                    self.created[clip.clip_id] = film, start, end
                time.sleep(pause)
        self._created_all.set()

    def _upload(self, path: Path) -> None:
        """Upload slowly, one recording after the other, so that most faults of the server hit an upload."""
        with self.client() as api:
            while not self._created_all.is_set():
                upload = accepted(lambda: api.recordings.upload(path, on_progress=lambda *_: time.sleep(0.2)))
                self.uploaded.append(upload.recording_id)


def _new_options(number: int, start: Fraction, end: Fraction) -> dict[str, Any]:
    """Return options that engines of 0.2.0 ignore or cannot read."""
    low, high = float(start), float(end)
    moving = [{"recording_seconds": each, "x": 0.5, "y": 0.5} for each in (low, high)]
    return (
        {"output": {"aspect": "1:1", "focus": moving}},
        {"without": ["silence"], "keep_ranges": [{"start_seconds": low, "end_seconds": high}]},
        {"subtitles": {"mode": "burn", "language": "en", "style": {"name": "box"}}},
    )[number % 3]


def create_clip(api: Client, recording_id: str, label: str, start: Fraction, **options: Any) -> Clip:
    """Create a clip, with requests of one idempotency key."""
    where, key = (recording_id, label, float(start), float(start + CLIP_SECONDS)), str(uuid4())
    return accepted(lambda: api.clips.create(*where, **options, idempotency_key=key))


def accepted(request: Callable[[], Answer]) -> Answer:
    """Repeat the request until it succeeds."""
    while True:
        try:
            return request()
        except (ApiError, ServerUnreachable) as error:
            click.echo(f"          {str(error)[:100]}; again")
            time.sleep(1)


def _in_parts(film: Film) -> Path:
    """Return a copy of the film that is uploaded in two parts: with a box of zeros at the end."""
    path = film.path.with_name("in_parts.mp4")
    path.write_bytes(film.path.read_bytes() + PART_BYTES.to_bytes(4, "big") + b"free" + bytes(PART_BYTES - 8))
    return path
