"""Runner of clips: claims a clip, has one child cut it into scratch and another verify it.

    queued --> cutting --> uploading --> ready
      ^           |
      +-- retry --+--> failed

While the clip is `cutting`, the child "maker", or "burner" if subtitles are burnt in, writes its file, and the child
"inspector" verifies it. The publisher (`clipengine.work.jobs.uploads`) uploads the file. A clip is cut at least once
and published once: each change of state is conditional on the attempt, and an attempt that has lost its claim stops and
deletes its files.

A clip is queued again after an outage of the store, a stop of the engine, a crash of its child, or a full disk if
another engine may have more space. Only crashes and full disks count towards the limit of its attempts.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace

from clipengine.clips.clip import Clip, ClipSubtitles, Step
from clipengine.clips.manifest import ReadRecording, make_manifest
from clipengine.clips.resolve import ClipSource, planned_parts
from clipengine.errors import (
    Cancelled,
    ClipEngineError,
    DiskFull,
    RecordingChanged,
    RecordingClosing,
    RecordingMissing,
    RecordingNotFound,
    StorageError,
    StorageUnavailable,
    UnknownProfile,
)
from clipengine.ledger.clips.uploads import Finished
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import Settings
from clipengine.stores.base import ObjectReader, Store
from clipengine.stores.object_errors import as_recording_errors
from clipengine.stores.pieces_reader import PiecesReader
from clipengine.work.children.exit_status import LOST_CHILD, retry_delay_ms
from clipengine.work.children.jobs import Job, Message, Program
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.process import Child
from clipengine.work.children.watermarks import WatermarkFile
from clipengine.work.cutting.clip_maker import ClipMaker
from clipengine.work.cutting.clip_texts import LedgerTexts
from clipengine.work.cutting.preparation import Making
from clipengine.work.jobs.clip_size_estimate import estimate_bytes
from clipengine.work.jobs.context import clip_job
from clipengine.work.jobs.scratch import Scratch
from clipengine.work.jobs.uploads import clip_file, save_finished
from clipengine.work.recording_files import open_recording
from clipengine.work.retry import Stopping, next_delay, retry_until_written
from clipengine.work.worker import ClaimLost, JobContext, Jobs, Retry

log = logging.getLogger(__name__)

_REPORT_SECONDS = 0.4  # between two writes of the progress
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DISAPPEARED_HINT = "Keep other programs from deleting files in the data folder; the engine retries automatically."
_FULL_DISKS = 2  # attempts that may fill a disk before the clip fails, if other engines may have more space
_CLOSING_MS = 2_000  # before the next attempt while a program finishes the file of a recording
# The progress at the end of encoding and of the verification.
_ENCODED, _VERIFIED = 0.95, 0.97
_FIRST_STEP: dict[Program, tuple[Step, float]] = {
    "maker": ("reading", 0.0),
    "burner": ("reading", 0.0),
    "inspector": ("verifying", _ENCODED),
}


class ClipRunner(Jobs[Clip]):
    """The jobs that cut and verify clips.

    `suspects_allowed` returns True if clips that may have killed an engine may be claimed. `on_claimed` is called for
    each attempt that begins, and `on_finished` after each clip that waits for the publisher.
    """

    activity = "the clip was cut"

    def __init__(
        self,
        context: JobContext,
        settings: Settings,
        store: Store,
        pool: ChildPool,
        scratch: Scratch,
        *,
        watermarks: Mapping[str, WatermarkFile],
        suspects_allowed: Callable[[], bool],
        on_claimed: Callable[[Clip], None],
        on_finished: Callable[[], None],
    ) -> None:
        super().__init__(context)
        self._settings = settings
        self._store = store
        self._pool = pool
        self._scratch = scratch
        self._maker = ClipMaker(settings.encoding, settings.clip_rules, watermarks, kept_free=self.disk.kept_free)
        self._suspects_allowed = suspects_allowed
        self._on_claimed = on_claimed
        self._on_finished = on_finished
        self._lock = threading.Lock()
        self._running: dict[str, Child] = {}
        self._finished: set[str] = set()  # clips whose files are kept for their upload
        self._filled: dict[str, int] = {}  # clips that filled the disk of this engine, and the free bytes after that
        self._unrecorded: set[str] = set()  # clips whose latest progress the ledger could not record

    def claim(self) -> Clip | None:
        """Claim the next clip, unless the disk is low or engines of an older version live."""
        if self.disk.is_low():
            return None
        workers, suspects = self._settings.encoding.workers, self._suspects_allowed()
        clip = self._ledger.clips.claim(self._owner, workers=workers, fits=self._fits, suspects=suspects)
        if clip is not None:
            self._on_claimed(clip)
        return clip

    def is_due(self) -> bool:
        return self._ledger.clips.is_due()

    def _fits(self, clip: Clip) -> bool:
        try:
            size = estimate_bytes(clip, self._ledger.recordings.get(clip.recording_id))
        except RecordingNotFound:
            return True  # the attempt fails without using the disk
        if self._is_left_to_others(clip, size):
            return False
        if self.disk.reserve(clip.clip_id, size):
            return True
        log.warning("clip %s waits for disk space: it may need %d MB", clip.clip_id, size // 1_000_000)
        return False

    def _is_left_to_others(self, clip: Clip, size: int) -> bool:
        """Return True if the clip has filled this disk before, and less than `size` bytes were freed since."""
        if clip.clip_id not in self._filled:
            return False
        if self._ledger.engines.count() > 1 and self._scratch.free() < self._filled[clip.clip_id] + size:
            return True
        del self._filled[clip.clip_id]
        return False

    def ids(self, item: Clip) -> list[str]:
        return [item.clip_id]

    def label(self, item: Clip) -> str:
        return f"clip {item.clip_id}"

    @contextmanager
    def context(self, item: Clip) -> Iterator[None]:
        try:
            with clip_job("clip.cut", item, engine=self._owner):
                yield
        finally:
            # Only after the end is recorded, because the data folder may have been moved away until then.
            if item.clip_id not in self._finished:
                self._scratch.remove(item.clip_id, item.attempt)
            self._finished.discard(item.clip_id)
            self._unrecorded.discard(item.clip_id)
            self.disk.release(item.clip_id)

    def run(self, item: Clip) -> None:
        """Cut and verify the clip, and queue it for upload."""
        log.info("clip %s: attempt %d", item.clip_id, item.attempt)
        self.faults.reach("claimed")
        finished = self._make(item)
        id, attempt, owner = item.clip_id, item.attempt, self._owner
        if not retry_until_written(
            lambda: self._ledger.uploads.add(id, attempt, finished, progress=_VERIFIED, owner=owner), self.stopping
        ):
            raise ClaimLost
        self._finished.add(item.clip_id)
        self.faults.reach("finished")
        self._on_finished()

    def retry(self, item: Clip, error: ClipEngineError) -> Retry | None:
        clips = self._ledger.clips
        if (delay := next_delay(error, clips.outage_ms(item.clip_id))) is not None:
            return Retry(delay)
        if isinstance(error, RecordingClosing) and self._is_being_closed(item):
            return Retry(_CLOSING_MS)
        crashes = clips.crashes(item.clip_id)
        if isinstance(error, DiskFull) and crashes < _FULL_DISKS and self._ledger.engines.count() > 1:
            self._scratch.remove(item.clip_id, item.attempt)
            self._filled[item.clip_id] = self._scratch.free()
            return Retry(0, crashed=True)
        delay = retry_delay_ms(error, crashes)
        return None if delay is None else Retry(delay, crashed=True)

    def _is_being_closed(self, clip: Clip) -> bool:
        """Return True if a file of the clip is being finished, or was finished after the clip was queued.

        The clip was planned with the growing file, which its program changes when it finishes the file.
        """
        with suppress(RecordingNotFound):
            for id in dict.fromkeys(part.recording_id for part in clip.ranges):
                recording = self._ledger.recordings.get(id)
                if recording.state == "recording" or (recording.completed_at or 0) > clip.queued_at:
                    return True
        return False

    def later(self, item: Clip, error: ClipEngineError, retry: Retry) -> bool:
        id, attempt, clips = item.clip_id, item.attempt, self._ledger.clips
        if retry.crashed:
            return clips.requeue(id, attempt, delay_ms=retry.delay_ms, crashed=True)
        delay = self.faults.scale_delay(retry.delay_ms)
        return clips.requeue(id, attempt, delay_ms=delay, outage_ms=retry.delay_ms)

    def fail(self, item: Clip, error: ClipEngineError) -> bool:
        if isinstance(error, RecordingClosing):  # the file was not finished, but replaced
            error = RecordingChanged(error.message)
        return self._ledger.clips.fail(item.clip_id, item.attempt, error)

    def was_cancelled(self, item: Clip) -> bool:
        error = self._ledger.clips.get(item.clip_id).error
        return error is not None and error["code"] == Cancelled.code

    def release(self, item: Clip) -> None:
        self._ledger.clips.requeue(item.clip_id, item.attempt)

    def interrupt(self) -> None:
        """Kill the running children. Their clips return to the queue."""
        with self._lock:
            children = list(self._running.values())
        for child in children:
            child.kill()

    def abandon(self, clip_id: str) -> None:
        """Kill the child of this clip, if it has one. Call it after the ledger has been updated."""
        with self._lock:
            child = self._running.get(clip_id)
        if child is not None:
            child.kill()

    def _make(self, clip: Clip) -> Finished:
        """Make the file of the clip in scratch."""
        sources = self._sources(clip)
        recordings = [source.recording for source in sources]
        if clip.profile not in self._settings.profiles:
            raise UnknownProfile(f"the profile {clip.profile!r} is no longer in the settings")
        profile = self._settings.profiles[clip.profile].rendered(clip.render, clip.output)
        ids = [recording.recording_id for recording in recordings]
        texts = LedgerTexts(self._ledger.transcripts, ids, clip.subtitles, clip.subtitle_language, clip.caption_style)
        with self._scratch_errors():
            folder = self._scratch.make(clip.clip_id, clip.attempt)
            path = clip_file(folder, clip)
            path.touch(exist_ok=False)
            parts = planned_parts(clip.ranges, sources)
            making = Making(parts, profile, texts, clip.snap, clip.output, clip.poster, clip.without)
            files: list[ObjectReader] = []
            made = self._maker.make(
                making, path, self._encoder(clip, recordings, files), lambda: self._child(clip, "inspector")
            )
            result = made.result(
                clip.parts,
                recording_id=clip.recording_id,
                poster_path=clip.poster_key if made.poster else None,
                subtitles=[ClipSubtitles(track.language, clip.subtitle_key(track.language)) for track in made.tracks],
            )
            result = replace(result, warnings=[*clip.warnings, *result.warnings])
            manifest = None
            if self._settings.storage.manifests:
                result = replace(result, manifest_path=clip.manifest_key)
                read = [_read_recording(*each) for each in zip(recordings, files, strict=True)]
                manifest = make_manifest(clip, read, result, ffmpeg=made.cut.ffmpeg, key=self._ledger.manifest_key)
            return save_finished(folder, result, made.poster, made.tracks, manifest)

    def _sources(self, clip: Clip) -> list[ClipSource]:
        """Return the recordings of the clip's parts, each once."""
        recordings, ids = self._ledger.recordings, dict.fromkeys(part.recording_id for part in clip.ranges)
        try:
            return [ClipSource(recordings.get(id), seek_index=recordings.seek_index(id)) for id in ids]
        except RecordingNotFound as error:
            raise RecordingMissing("the recording was deleted") from error

    @contextmanager
    def _scratch_errors(self) -> Iterator[None]:
        """Convert the errors of this process in scratch to DiskFull and StorageUnavailable."""
        try:
            yield
        except OSError as error:
            self._scratch.check()
            if error.errno in _DISK_FULL:
                raise DiskFull(f"the disk of the scratch folder is full ({error.strerror})") from error
            if self._scratch.lost(error):  # another process deleted it, or the data folder was moved and is back again
                message = f"{error.filename} disappeared while the clip was cut"
                raise StorageUnavailable(message, hint=_DISAPPEARED_HINT) from error
            raise

    @contextmanager
    def _encoder(self, clip: Clip, recordings: Sequence[Recording], files: list[ObjectReader]) -> Iterator[_Encoder]:
        """Open the recordings, and yield a child for them. At the end, add their readers to `files`."""
        with ExitStack() as stack:
            stack.enter_context(as_recording_errors())
            readers = [
                stack.enter_context(closing(open_recording(self._store, self._ledger.recordings, each)))
                for each in recordings
            ]
            program: Program = "burner" if clip.subtitles == "burn" else "maker"
            child, watch = stack.enter_context(self._child(clip, program))
            yield _Encoder(child, watch, readers)
            files += readers

    @contextmanager
    def _child(self, clip: Clip, program: Program) -> Iterator[tuple[Child, _Watch]]:
        """Yield a child for the clip and its watch. `abandon` and `interrupt` kill the child."""
        child, watch = self._pool.take(program), _Watch(self, clip, *_FIRST_STEP[program])
        with self._lock:
            self._running[clip.clip_id] = child
        try:
            yield child, watch
        except LOST_CHILD:
            watch.report()  # raises if the child was killed by `abandon` or `interrupt`
            raise
        finally:
            with self._lock:
                self._running.pop(clip.clip_id, None)
            child.close()

    def report(self, clip: Clip, step: Step, progress: float) -> None:
        """Record the progress. Raises ClaimLost if the attempt is no longer current, Stopping if the engine stops."""
        if self.stopping.is_set():
            raise Stopping
        try:
            if not self._ledger.clips.progress(clip.clip_id, clip.attempt, step=step, progress=progress):
                raise ClaimLost
        except StorageError as error:  # progress is not essential
            if clip.clip_id not in self._unrecorded:  # once for each outage
                log.warning("clip %s: the progress cannot be recorded: %s", clip.clip_id, error.message)
            self._unrecorded.add(clip.clip_id)
        else:
            self._unrecorded.discard(clip.clip_id)

    def announce(self, clip: Clip) -> None:
        """Tell webhook endpoints that another quarter of the clip is done."""
        with suppress(StorageError):  # progress is not essential
            self._ledger.clips.announce_progress(clip.clip_id, clip.attempt)


def _read_recording(recording: Recording, reader: ObjectReader) -> ReadRecording:
    """Return what the manifest says about a recording. A copied file has a new ETag."""
    pieces = reader.used if isinstance(reader, PiecesReader) else ()
    return ReadRecording(replace(recording, etag=reader.info.etag), reader.info.sha256, pieces)


@dataclass(frozen=True)
class _Encoder:
    """A child for a clip, with its watch and the readers of the clip's recordings."""

    child: Child
    watch: _Watch
    readers: Sequence[ObjectReader]

    def run(self, job: Job, *, output: int | None = None, keep: bool = False) -> tuple[Message, bytes]:
        return self.child.run(job, *self.readers, output=output, watch=self.watch, keep=keep)


class _Watch:
    """Watches one child: records its progress, and stops it if the claim is lost or the engine stops."""

    def __init__(self, runner: ClipRunner, clip: Clip, step: Step, progress: float) -> None:
        self._runner = runner
        self._clip = clip
        self._reported = time.monotonic()
        self._step = step
        self._progress = progress
        self._quarters = int(4 * progress)

    def __call__(self, message: Message | None) -> None:
        now = time.monotonic()
        changed = False
        if message is not None:
            changed = message["step"] != self._step
            self._step = message["step"]
            self._progress = _ENCODED * message["part"]
        if changed or now - self._reported >= _REPORT_SECONDS:
            self.report()
        if message is not None:
            self._runner.faults.reach(message["step"])

    def report(self) -> None:
        """Record the progress now. Raises the errors of `ClipRunner.report`."""
        self._reported = time.monotonic()
        self._runner.report(self._clip, self._step, round(self._progress, 4))
        if (quarters := int(4 * self._progress)) > self._quarters:
            self._quarters = quarters
            self._runner.announce(self._clip)
