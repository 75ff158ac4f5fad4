"""Previews of recordings: frames, frame times, filmstrips, waveforms; made by encoder children, kept in a folder.

The same one is made once, however many ask. What is kept is bounded: the longest unused goes first. Previews have
places and children of their own, so they never take a clip's; a frame never waits for a filmstrip or a waveform. A
kept file can vanish at any time: it is made again.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import logging
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from clipengine.clips.clip import Recording
from clipengine.clips.landmarks import Landmarks
from clipengine.errors import (
    Busy,
    DecoderKilled,
    Internal,
    Timeout,
)
from clipengine.settings import Encoding
from clipengine.stores.base import Store
from clipengine.stores.object_errors import as_recording_errors
from clipengine.work.encoder import EncoderPool, EncoderProcess
from clipengine.work.jobs import Message, PreviewKind, preview_job

log = logging.getLogger(__name__)

_PLACES = {"frame": 2, "times": 1, "filmstrip": 1, "waveform": 1}
_SECONDS = {"frame": 60, "times": 120, "filmstrip": 300, "waveform": 900}
_MAX_WAITING = 64  # of each kind
_MAX_BYTES = 16 * 1024 * 1024  # of one: a hundred large tiles have a quarter of it
_KEPT_PART = 0.9  # of the limit, after older files were removed
_PICTURES = ("frame", "filmstrip")
_MAX_TONES_BYTES = 1024 * 1024
_FORM = 2  # raised when the same request is answered with other bytes than before


@dataclass(frozen=True)
class Preview:
    """What is asked for; `values` are the parts of the child's job beside the recording and its landmarks."""

    kind: PreviewKind
    recording: Recording = field(repr=False)
    values: dict[str, str | int]
    landmarks: Landmarks | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The same for the same bytes of the same recording: its file's name and its ETag."""
        asked: list[object] = [_FORM, self.recording.bucket_path, self.recording.etag, self.kind, self.values]
        return _digest(asked)

    @property
    def tones_name(self) -> str:
        """Of what pictures of the recording leave for the next: a child may spoil those of its own recording alone."""
        return _digest([_FORM, self.recording.bucket_path, self.recording.etag, "tones"])


def _digest(asked: list[object]) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:40]


class Previews:
    """Every method may be called from any thread."""

    def __init__(
        self, encoding: Encoding, store: Store, encoders: EncoderPool, folder: Path, *, max_bytes: int
    ) -> None:
        """`encoders` is closed with this."""
        self._encoding = encoding
        self._store = store
        self._encoders = encoders
        self._kept = _Kept(folder, max_bytes)
        self._lock = threading.Lock()
        self._making: dict[str, Future[bytes]] = {}
        self._waiting = dict.fromkeys(_PLACES, 0)
        self._children: set[EncoderProcess] = set()
        self._stopping = threading.Event()
        self._threads = {
            kind: ThreadPoolExecutor(places, thread_name_prefix=f"preview-{kind}") for kind, places in _PLACES.items()
        }

    def find(self, preview: Preview) -> bytes | None:
        """The bytes, where they are kept."""
        return self._kept.read(preview.name)

    def make(self, preview: Preview) -> Future[bytes]:
        """Have it made. The future raises RecordingError and its kinds, StorageError or Busy; so does this, Busy."""
        with self._lock:
            known = self._making.get(preview.name)
            if known is not None:
                return known
            if self._stopping.is_set() or self._waiting[preview.kind] >= _MAX_WAITING:
                raise Busy(f"{_MAX_WAITING} previews of this kind wait", retry_after=2)
            self._waiting[preview.kind] += 1
            made = self._making[preview.name] = self._threads[preview.kind].submit(self._make, preview)
        made.add_done_callback(lambda _: self._forget(preview))
        return made

    def stop(self) -> None:
        """Kill what runs and begin nothing more."""
        self._stopping.set()
        with self._lock:
            children = list(self._children)
        for child in children:
            child.kill()
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)
        self._encoders.close()

    def _forget(self, preview: Preview) -> None:
        with self._lock:
            self._waiting[preview.kind] -= 1
            self._making.pop(preview.name, None)

    def _make(self, preview: Preview) -> bytes:
        recording = preview.recording
        assert recording.facts is not None
        tones = self._kept.read(preview.tones_name) if preview.kind in _PICTURES else None
        job = preview_job(
            self._encoding,
            preview.kind,
            recording.facts,
            preview.values | ({"tones": base64.b64encode(tones).decode()} if tones else {}),
            landmarks=preview.landmarks,
            seconds=_SECONDS[preview.kind],
        )
        try:
            with as_recording_errors(), closing(self._store.open(recording.bucket_path, etag=recording.etag)) as reader:
                child = self._encoders.take()
                with self._lock:
                    self._children.add(child)
                try:
                    result, made = child.run(job, reader=reader, watch=self._watch)
                finally:
                    with self._lock:
                        self._children.discard(child)
        except Timeout as error:
            raise Busy(f"This {preview.kind} takes too long to make now", retry_after=60) from error
        except DecoderKilled as error:
            raise Busy(f"This {preview.kind} cannot be made now: {error.message}", retry_after=60) from error
        length = result.get("tones")
        if preview.kind in _PICTURES and isinstance(length, int) and 0 < length < len(made):
            made, tones = made[:-length], made[-length:]
            if length <= _MAX_TONES_BYTES:
                self._kept.write(preview.tones_name, tones)
        if not 0 < len(made) <= _MAX_BYTES:  # the child is not to be trusted
            raise Internal(f"a {preview.kind} of {len(made)} bytes was made")
        self._kept.write(preview.name, made)
        return made

    def _watch(self, message: Message | None) -> None:
        if self._stopping.is_set():
            raise Busy("The server is stopping", retry_after=5)


class _Kept:
    """Files of a folder, at most `max_bytes` of them; a file's mtime is when it was last wanted."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._size: int | None = None  # None: not counted yet

    def read(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            found = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return found

    def write(self, name: str, made: bytes) -> None:
        """Keep it, whole or not at all. A disk that is full keeps nothing, and nobody is told but the log."""
        if len(made) > self._max_bytes:
            return
        temporary = self._folder / f".{name}"
        with self._lock:
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                temporary.write_bytes(made)
                temporary.replace(self._folder / name)
                self._make_room(len(made))
            except OSError as error:
                log.warning("a preview is not kept: %s", error)
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _make_room(self, added: int) -> None:
        if self._size is not None:
            self._size += added
            if self._size <= self._max_bytes:
                return
        files = []
        for entry in os.scandir(self._folder):
            with contextlib.suppress(FileNotFoundError):
                stat = entry.stat()
                files.append((stat.st_mtime_ns, stat.st_size, entry.path))
        self._size = sum(size for _, size, _ in files)
        if self._size <= self._max_bytes:
            return
        for _, size, path in sorted(files):
            if self._size <= self._max_bytes * _KEPT_PART:
                break
            Path(path).unlink(missing_ok=True)
            self._size -= size
