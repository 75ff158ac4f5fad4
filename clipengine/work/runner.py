"""The runner: takes one clip from the ledger and brings it to an end.

Claim, open the recording, have a child cut it, put the clip into the store, commit. Guarantee: a clip is cut at least
once and visible once. Every change of state is conditional on the attempt; who loses a claim stops, and has what it
had stored removed. Nothing is published that the child has not read back to its end.
"""

from __future__ import annotations

import hashlib
import io
import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from clipengine.clips.clip import Clip, ClipResult, Recording, Step
from clipengine.errors import (
    ClipEngineError,
    ClipNotFound,
    DecoderCrashed,
    Internal,
    ObjectChanged,
    ObjectMissing,
    RecordingChanged,
    RecordingMissing,
    RecordingNotFound,
    StorageUnavailable,
    UnknownProfile,
)
from clipengine.ledger.ledger import Ledger
from clipengine.settings import Settings
from clipengine.stores.base import Store
from clipengine.timecode import exact, now_ms
from clipengine.work.encoder import ChildDied, EncoderPool, EncoderProcess
from clipengine.work.faults import Faults
from clipengine.work.jobs import Message, cut_job
from clipengine.work.scratch import Scratch

log = logging.getLogger(__name__)

_REPORT_SECONDS = 0.4  # progress goes into the ledger at least twice a second
_MAX_CRASHES = 3
_MAX_OUTAGE_MS = 24 * 3600 * 1000
_OUTAGE_DELAYS_MS = (2_000, 10_000, 30_000, 60_000, 300_000)
# Where the parts of the work lie on the way from 0 to 1.
_ENCODED, _VERIFIED = 0.95, 0.97


class _ClaimLost(Exception):
    """The clip was cancelled or deleted: stop, and leave nothing."""


class _Stopping(Exception):
    """The engine stops: the clip goes back into the queue, uncounted."""


class ClipRunner:
    """Runs clips, one for each call of `run_next`; several threads may call it at once."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: Store,
        encoders: EncoderPool,
        scratch: Scratch,
        faults: Faults,
        *,
        owner: str,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._encoders = encoders
        self._scratch = scratch
        self.faults = faults
        self._owner = owner
        self._lock = threading.Lock()
        self._running: dict[str, EncoderProcess] = {}
        self._stopping = threading.Event()

    def run_next(self) -> bool:
        """Cut the clip that is next in line. False when none waits."""
        if self._stopping.is_set():
            return False
        clip = self._ledger.clips.claim(self._owner, workers=self._settings.encoding.workers)
        if clip is None:
            return False
        log.info("clip %s: attempt %d", clip.clip_id, clip.attempt)
        try:
            self.faults.at("claimed")
            self._run(clip)
        except _ClaimLost:
            log.info("clip %s: the claim was lost, attempt %d stops", clip.clip_id, clip.attempt)
            self._ledger.removals.discard(clip)
        except _Stopping:
            self._ledger.clips.requeue(clip.clip_id, clip.attempt, uncounted=True)
        except ClipEngineError as error:
            self._settle(clip, error)
        except Exception as error:  # a job ends here, whatever happened to it
            log.exception("clip %s: attempt %d failed", clip.clip_id, clip.attempt)
            self._settle(clip, Internal(f"{type(error).__name__} while the clip was cut"))
        return True

    def abandon(self, clip_id: str) -> None:
        """Kill the child that cuts this clip, if there is one. The ledger has been told before."""
        with self._lock:
            child = self._running.get(clip_id)
        if child is not None:
            child.kill()

    def stop(self) -> None:
        """Begin nothing more and kill what runs; its clips go back into the queue."""
        self._stopping.set()
        with self._lock:
            children = list(self._running.values())
        for child in children:
            child.kill()

    def _run(self, clip: Clip) -> None:
        try:
            recording = self._ledger.recordings.get(clip.recording_id)
        except RecordingNotFound as error:
            raise RecordingMissing("the recording was deleted") from error
        profile = self._settings.profiles.get(clip.profile)
        if profile is None:
            raise UnknownProfile(f"the profile {clip.profile!r} is no longer in the settings")
        with self._scratch.folder(clip.clip_id, clip.attempt) as folder:
            path = folder / f"clip.{profile.extension}"
            message, poster = self._cut(clip, recording, path)
            result = self._upload(clip, message["cut"], path, poster, profile.content_type)
        self.faults.at("uploaded")
        if not self._ledger.clips.complete(clip.clip_id, clip.attempt, result):
            raise _ClaimLost
        self.faults.at("committed")
        log.info("clip %s: complete, %d frames, %d bytes", clip.clip_id, result.frames, result.size_bytes)

    # ---- cutting

    def _cut(self, clip: Clip, recording: Recording, path: Path) -> tuple[Message, bytes]:
        assert recording.facts is not None
        job = cut_job(
            self._settings,
            recording.facts,
            clip.profile,
            start=exact(clip.start_seconds),
            end=exact(clip.end_seconds),
            poster=clip.poster,
        )
        watch = _Watch(self, clip)
        try:
            reader = self._store.open(recording.bucket_path, etag=recording.etag)
        except ObjectMissing as error:
            raise RecordingMissing(error.message) from error
        except ObjectChanged as error:
            raise RecordingChanged(error.message) from error
        with closing(reader), open(path, "x+b") as output, self._child(clip) as child:
            try:
                return child.run(job, reader=reader, output=output.fileno(), watch=watch)
            except ChildDied:
                watch(None)  # it may have died because we killed it
                raise
            except ObjectChanged as error:
                raise RecordingChanged(error.message) from error
            except ObjectMissing as error:
                raise RecordingMissing(error.message) from error

    @contextmanager
    def _child(self, clip: Clip) -> Iterator[EncoderProcess]:
        child = self._encoders.take()
        with self._lock:
            self._running[clip.clip_id] = child
        try:
            yield child
        finally:
            with self._lock:
                self._running.pop(clip.clip_id, None)
            child.close()

    # ---- publishing

    def _upload(self, clip: Clip, cut: dict[str, Any], path: Path, poster: bytes, content_type: str) -> ClipResult:
        self.report(clip, "uploading", _VERIFIED)
        self.faults.at("uploading")
        with path.open("rb") as body:
            sha256 = hashlib.file_digest(body, "sha256").hexdigest()
            body.seek(0)
            self._check_claim(clip)
            self._store.put(clip.object_key, body, size=cut["size_bytes"], content_type=content_type, sha256=sha256)
        if poster:
            digest = hashlib.sha256(poster).hexdigest()
            self._store.put(
                clip.poster_key, io.BytesIO(poster), size=len(poster), content_type="image/jpeg", sha256=digest
            )
        return clip_result(cut, sha256=sha256, poster_path=clip.poster_key if poster else None)

    def report(self, clip: Clip, step: Step, progress: float) -> None:
        """Note progress. Raises _ClaimLost where the clip is no longer this attempt's, _Stopping at a stop."""
        if self._stopping.is_set():
            raise _Stopping
        if not self._ledger.clips.progress(clip.clip_id, clip.attempt, step=step, progress=progress):
            raise _ClaimLost

    def _check_claim(self, clip: Clip) -> None:
        try:
            now = self._ledger.clips.get(clip.clip_id)
        except ClipNotFound:
            raise _ClaimLost from None
        if (now.state, now.attempt) != ("running", clip.attempt):
            raise _ClaimLost
        if self._stopping.is_set():
            raise _Stopping

    # ---- when it goes wrong

    def _settle(self, clip: Clip, error: ClipEngineError) -> None:
        """Queue the clip again where that may help, else end it as failed."""
        clips = self._ledger.clips
        if isinstance(error, DecoderCrashed):
            if clips.crashes(clip.clip_id) + 1 < _MAX_CRASHES:
                clips.requeue(clip.clip_id, clip.attempt, crashed=True, delay_ms=500)
                return
        elif isinstance(error, StorageUnavailable) and now_ms() - clip.created_at < _MAX_OUTAGE_MS:
            delay = _OUTAGE_DELAYS_MS[min(clip.attempt - 1, len(_OUTAGE_DELAYS_MS) - 1)]
            log.warning("clip %s: %s; trying again in about %d s", clip.clip_id, error.message, delay // 1000)
            clips.requeue(clip.clip_id, clip.attempt, delay_ms=round(delay * random.uniform(0.7, 1.3)))
            return
        log.warning("clip %s: failed with %s: %s", clip.clip_id, error.code, error.message)
        if not clips.fail(clip.clip_id, clip.attempt, error):
            self._ledger.removals.discard(clip)


def clip_result(cut: dict[str, Any], *, sha256: str, poster_path: str | None) -> ClipResult:
    """What the API tells of a clip, from the child's report."""
    start, end = exact(cut["actual_start"]), exact(cut["actual_end"])
    return ClipResult(
        actual_start_seconds=round(float(start), 6),
        actual_end_seconds=round(float(end), 6),
        duration_seconds=round(float(end - start), 6),
        frames=cut["frames"],
        width=cut["width"],
        height=cut["height"],
        video_codec=cut["video_codec"],
        audio_codec=cut["audio_codec"],
        size_bytes=cut["size_bytes"],
        sha256=sha256,
        poster_path=poster_path,
        encode_seconds=cut["encode_seconds"],
        bytes_read=cut["bytes_read"],
        warnings=list(cut["warnings"]),
    )


class _Watch:
    """Supervises one child: its progress into the ledger, a lost claim, a stop."""

    def __init__(self, runner: ClipRunner, clip: Clip) -> None:
        self._runner = runner
        self._clip = clip
        self._reported = time.monotonic()
        self._step: Step = "reading"
        self._progress = 0.0

    def __call__(self, message: Message | None) -> None:
        now = time.monotonic()
        changed = False
        if message is not None:
            changed = message["step"] != self._step
            self._step = message["step"]
            self._progress = _ENCODED * message["part"]
        if changed or now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            self._runner.report(self._clip, self._step, round(self._progress, 4))
        if message is not None:
            self._runner.faults.at(message["step"])
