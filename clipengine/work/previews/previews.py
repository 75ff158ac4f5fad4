"""Previews of recordings (frames, filmstrips, waveforms, proxies …), made by child processes and cached in a folder.

Previews do not share the queue or the children of clips, and run at a lower CPU priority. A cached file that was
deleted is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from clipengine.basis.disk_space import UNLIMITED, DiskSpace
from clipengine.clips.plan.preview_pyramid import tile_moments
from clipengine.clips.plan.proxy import proxy_segment
from clipengine.clips.plan.read_jobs import FILMSTRIP, PROXY, WAVEFORM, ReadJob
from clipengine.errors import Busy, DecoderKilled, DecoderNotStarted, DiskFull, Internal, Timeout
from clipengine.ledger.recordings.recordings import Recordings
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.recording import Recording
from clipengine.recordings.seek_index import SeekIndex
from clipengine.settings.settings import Encoding
from clipengine.stores.base import ObjectReader, Store
from clipengine.stores.object_errors import as_recording_errors
from clipengine.work.children.fonts import ChosenFont
from clipengine.work.children.jobs import read_job
from clipengine.work.children.kept_children import KeptChildren, Key
from clipengine.work.children.pool import ChildPool
from clipengine.work.previews.copies import LocalCopies
from clipengine.work.previews.queue import Check, PreviewQueue
from clipengine.work.recording_files import open_recording

log = logging.getLogger(__name__)

_MAX_BYTES = 16 * 1024 * 1024  # of one preview; a hundred large tiles have a quarter of it
_EVICT_TO = 0.9  # the part of the limit that eviction leaves
_VERSION = 9  # increase it if the same request gets another response than before
# Rough costs on one slow core, to tell short jobs from long ones.
_SHORT_SECONDS = 1.0
_READ_BYTES_PER_SECOND = 50e6
_AUDIO_SECONDS_PER_SECOND = 200.0
_TILE_PIXELS_PER_SECOND = 50e6


@dataclass(frozen=True)
class Preview:
    """A requested preview. `values` are the other fields of the child's job."""

    kind: ReadJob
    recording: Recording = field(repr=False)
    values: dict[str, str | int]
    seek_index: SeekIndex | None = field(default=None, repr=False)
    fonts: tuple[ChosenFont, ...] = ()  # of captions

    @classmethod
    def filmstrip(
        cls,
        recording: Recording,
        start: Fraction,
        end: Fraction,
        *,
        count: int,
        width: int,
        seek_index: SeekIndex | None = None,
    ) -> Preview:
        """Return the request of a filmstrip. `seek_index` is the seek index of the recording."""
        values: dict[str, str | int] = {"start": str(start), "end": str(end), "count": count, "width": width}
        return cls(FILMSTRIP, recording, values, seek_index and seek_index.around(tile_moments(start, end, count)))

    @classmethod
    def waveform(
        cls, recording: Recording, start: Fraction, end: Fraction, *, points: int, seek_index: SeekIndex | None
    ) -> Preview:
        """Return the request of a waveform. `seek_index` is the seek index of the recording."""
        values: dict[str, str | int] = {"start": str(start), "end": str(end), "points": points}
        return cls(WAVEFORM, recording, values, seek_index and seek_index.between(start, end))

    @property
    def name(self) -> str:
        """File name and ETag, which depend on the request and on the bytes of the recording."""
        parts = [_VERSION, self.recording.bucket_path, self.recording.etag, self.kind.name, self.values]
        parts += [[str(font.path), font.index] for font in self.fonts]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]

    def readers(self, etag: str) -> Key:
        """Return the key of the children that may make it, if they read a file of this ETag."""
        return self.recording.bucket_path, etag, self.kind.name

    @property
    def expected_seconds(self) -> float:
        """Estimated duration of the job."""
        facts = self.recording.facts
        assert facts is not None
        if self.kind == WAVEFORM:
            part = Fraction(self.values["end"]) - Fraction(self.values["start"])
            decoding = float(part) * len(facts.audio) / _AUDIO_SECONDS_PER_SECOND
            return decoding + self._reading(facts, part)
        if self.kind == FILMSTRIP and facts.video is not None:
            decoding = int(self.values["count"]) * facts.video.width * facts.video.height / _TILE_PIXELS_PER_SECOND
            return decoding + (0 if facts.seekable else self._reading(facts, Fraction(self.values["end"])))
        if self.kind == PROXY and self.values["segment"] != "init" and not facts.seekable:
            return _SHORT_SECONDS + self._reading(facts, proxy_segment(facts.duration, int(self.values["segment"])).end)
        return _SHORT_SECONDS

    def _reading(self, facts: SourceFacts, part: Fraction) -> float:
        return self.recording.file_size_bytes * float(part / facts.duration) / _READ_BYTES_PER_SECOND


class Previews:
    """Makes previews and caches them. Thread-safe."""

    def __init__(
        self,
        encoding: Encoding,
        store: Store,
        recordings: Recordings,
        pool: ChildPool,
        folder: Path,
        copies: LocalCopies,
        *,
        max_bytes: int,
        disk: DiskSpace = UNLIMITED,
    ) -> None:
        """Cache previews in `folder`, of at most `max_bytes`, as long as the `disk` has room.

        `stop` closes `pool` as well.
        """
        self.copies = copies
        self._recordings = recordings
        self._encoding = encoding
        self._store = store
        self._pool = pool
        self._children = KeptChildren(pool)
        self._cache = _Cache(folder, max_bytes, disk)
        self._queue = PreviewQueue()

    def find(self, preview: Preview) -> bytes | None:
        """Return the cached bytes, or None."""
        return self._cache.read(preview.name)

    def stored(self) -> tuple[int, int]:
        """Return the number of cached previews and their bytes."""
        sizes = [size for _, size, _ in self._cache.files()]
        return len(sizes), sum(sizes)

    @contextmanager
    def requested(self, preview: Preview, *, owner: str = "") -> Iterator[Future[bytes]]:
        """Make a preview, for the duration of the context; afterwards the job ends if no other request waits for it.

        The future raises RecordingError, StorageError or Busy. Raises Busy if too many are queued, or RateLimited if
        too many of this owner are.
        """
        with self._queue.requested(
            preview.name, preview.kind, preview.expected_seconds, lambda check: self._make(preview, check), owner=owner
        ) as future:
            yield future

    def make_ahead(self, preview: Preview, may_run: Callable[[], bool]) -> Future[bytes] | None:
        """Make a preview that no request waits for, as long as `may_run` returns True.

        Return None if other previews are queued or running. The future raises the same errors as in `requested`, and
        Busy if another preview needed the lane.
        """
        return self._queue.in_background(
            preview.name, preview.kind, preview.expected_seconds, lambda check: self._make(preview, check), may_run
        )

    def stop(self) -> None:
        """End the running children, reject new requests, and delete the local copies."""
        self._queue.stop()
        self._children.close()
        self._pool.close()
        self.copies.clear()

    def _make(self, preview: Preview, check: Check) -> bytes:
        made = self._cache.read(preview.name)  # it may have been finished since the caller looked
        if made is not None:
            return made
        recording = preview.recording
        assert recording.facts is not None
        job = read_job(
            self._encoding,
            preview.kind,
            recording.facts,
            preview.values,
            seek_index=preview.seek_index,
            fonts=preview.fonts,
        )
        check()
        copy = self.copies.open(recording)
        # A child that has read a file cannot read ranges of the store later.
        readers = preview.readers(recording.etag if copy is None else copy.info.etag)
        # A reader that was opened before the seek index was read may not know pieces that were added since.
        grows = recording.state == "recording"
        try:
            with (
                as_recording_errors(),
                self._children.lent(
                    readers, lambda: copy or self._open(recording), preview.kind.program, keeps_reader=not grows
                ) as lent,
            ):
                child, reader = lent
                child.add_nice(preview.kind.nice)
                _, made = child.run(job, reader, watch=lambda message: check(), keep=True)
        except Timeout as error:
            raise Busy(f"This {preview.kind.name} takes too long to make now", retry_after=60) from error
        except (DecoderKilled, DecoderNotStarted) as error:
            raise Busy(f"This {preview.kind.name} cannot be made now: {error.message}", retry_after=60) from error
        if not 0 < len(made) <= _MAX_BYTES:  # the child is not trusted
            raise Internal(f"the child has returned a {preview.kind.name} of {len(made)} bytes")
        self._cache.write(preview.name, made)
        return made

    def _open(self, recording: Recording) -> ObjectReader:
        return open_recording(self._store, self._recordings, recording)


class _Cache:
    """Cache folder of at most `max_bytes`, without the least recently used files. mtime is the time of the last use."""

    def __init__(self, folder: Path, max_bytes: int, disk: DiskSpace = UNLIMITED) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._disk = disk
        self._lock = threading.Lock()
        self._size: int | None = None  # None until the files were counted

    def read(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            found = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return found

    def write(self, name: str, made: bytes) -> None:
        """Write the file atomically. A failure, such as a full disk, is logged and otherwise ignored."""
        if len(made) > self._max_bytes:
            return
        temporary = self._folder / f".{name}"
        with self._lock:
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                with temporary.open("wb") as file, self._disk.incoming(file.fileno(), len(made)):
                    file.write(made)
                temporary.replace(self._folder / name)
                self._evict(len(made))
            except (OSError, DiskFull) as error:
                log.warning("a preview could not be cached: %s", error)
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def files(self) -> list[tuple[int, int, str]]:
        """Return time, size and path of each file."""
        files = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._folder):
                with contextlib.suppress(FileNotFoundError):
                    stat = entry.stat()
                    files.append((stat.st_mtime_ns, stat.st_size, entry.path))
        return files

    def _evict(self, added: int) -> None:
        if self._size is not None:
            self._size += added
            if self._size <= self._max_bytes:
                return
        files = self.files()
        self._size = sum(size for _, size, _ in files)
        if self._size <= self._max_bytes:
            return
        for _, size, path in sorted(files):
            if self._size <= self._max_bytes * _EVICT_TO:
                break
            Path(path).unlink(missing_ok=True)
            self._size -= size
