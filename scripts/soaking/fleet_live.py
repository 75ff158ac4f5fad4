"""Live load of a fleet: a recording that grows while clips of it are created."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from clipengine.client import Client
from scripts.soaking.fleet_load import CLIP_SECONDS, END_SECONDS, Cut, accepted, create_clip
from scripts.soaking.fleet_site import Site
from tests.films.parts import AudioPart, every
from tests.support.playlists import AUDIO, VIDEO, first_segments, ts_playlist
from tests.support.waiting import until

_SEGMENT_SECONDS = 2
_PAUSE_SECONDS = 5
_AHEAD_SECONDS = 3


class LiveLoad:
    """Two threads: one writes a segment every two seconds, one creates clips of what is recorded, and of what will be.

    `created` has the clips, and `recording_id` the recording.
    """

    def __init__(self, site: Site, client: Callable[[], Client], folder: Path, seconds: float) -> None:
        length = int(seconds) // _SEGMENT_SECONDS * _SEGMENT_SECONDS
        video = replace(VIDEO, times=every(25, length))
        audio = AudioPart(start=AUDIO.start, seconds=Fraction(length) - Fraction(1, 10))
        self._film = ts_playlist(folder / "live.m3u8", video=video, audio=audio)
        self._site, self._client = site, client
        self._key = f"h_01/{self._film.path.name}"
        self.created: dict[str, Cut] = {}
        self.recording_id = ""
        self._enough, self._ended = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._write, self._create)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Create no more clips, end the recording when all are complete, and wait until the engines know it."""
        self._enough.set()
        writer, creator = self._threads
        creator.join(END_SECONDS)
        assert not creator.is_alive()
        with self._client() as api:
            for clip_id in self.created:
                until(partial(_has_ended, api, clip_id), END_SECONDS)
            self._ended.set()
            writer.join(END_SECONDS)
            until(lambda: accepted(lambda: api.recordings.get(self.recording_id)).status == "complete", END_SECONDS)

    def _write(self) -> None:
        path, number = self._film.path, 0
        names = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        for number, name in enumerate(names, 1):
            self._put(f"h_01/{name}", path.with_name(name).read_bytes())
            self._put(self._key, first_segments(path, number).encode())
            if self._ended.wait(_SEGMENT_SECONDS):
                break
        self._put(self._key, f"{first_segments(path, number)}#EXT-X-ENDLIST\n".encode())

    def _put(self, key: str, data: bytes) -> None:
        self._site.store.client.put_object(self._site.hosts.bucket, key, io.BytesIO(data), len(data))

    def _create(self) -> None:
        client = self._site.store.client
        until(lambda: any(client.list_objects(self._site.hosts.bucket, self._key)))
        with self._client() as api:
            self.recording_id = accepted(lambda: api.recordings.add(self._key, live=True)).recording_id
            while not self._enough.wait(_PAUSE_SECONDS):
                recorded = accepted(lambda: api.recordings.get(self.recording_id)).duration_seconds or 0
                now = Fraction(int(1000 * recorded), 1000)
                for start in (now - CLIP_SECONDS, now + _AHEAD_SECONDS):
                    if 0 <= start <= self._film.duration - CLIP_SECONDS:
                        clip = create_clip(api, self.recording_id, "live", start)
                        self.created[clip.clip_id] = (self._film, start, start + CLIP_SECONDS)


def _has_ended(api: Client, clip_id: str) -> bool:
    return accepted(lambda: api.clips.get(clip_id)).status != "processing"
