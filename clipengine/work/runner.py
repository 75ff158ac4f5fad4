"""The runner: takes one clip from the ledger and has a child cut it.

Claim, open the recording, have a child cut it into scratch, write down that it is finished; from there on it is the
publisher's. Guarantee: a clip is cut at least once and visible once. Every change of state is conditional on the
attempt; who loses a claim stops and leaves nothing. Nothing is finished that the child has not read back to its end.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from clipengine.clips.clip import Clip, Recording, Step
from clipengine.clips.clip_file import CutReport, FilePlan
from clipengine.errors import (
    ClipEngineError,
    ClipNotFound,
    DiskFull,
    Internal,
    RecordingMissing,
    RecordingNotFound,
    StorageError,
    UnknownProfile,
)
from clipengine.ledger.ledger import Ledger
from clipengine.settings import Settings
from clipengine.stores.base import Store
from clipengine.stores.object_errors import as_recording_errors
from clipengine.timecode import exact
from clipengine.work.disk_reservation import Room, likely_bytes
from clipengine.work.encoder.exit_status import LOST, next_try
from clipengine.work.encoder.jobs import Message, clip_result, cut_job
from clipengine.work.encoder.process import EncoderPool, EncoderProcess, Program
from clipengine.work.fault_injection import Faults
from clipengine.work.in_flight import Busy
from clipengine.work.publisher import clip_file, finish
from clipengine.work.retry import Stopping, insist, next_wait
from clipengine.work.scratch import Scratch
from clipengine.work.verification import verify_clip

log = logging.getLogger(__name__)

_REPORT_SECONDS = 0.4  # progress goes into the ledger at least twice a second
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Where the parts of the work lie on the way from 0 to 1.
_ENCODED, _VERIFIED = 0.95, 0.97
_BEGINS: dict[Program, tuple[Step, float]] = {"encoder": ("reading", 0.0), "inspector": ("verifying", _ENCODED)}


class _ClaimLost(Exception):
    """The clip was cancelled or deleted: stop, and leave nothing."""


class ClipRunner:
    """Runs clips, one for each call of `run_next`; several threads may call it at once.

    `suspects` returns True if clips that may have killed engines may be claimed. `on_finished` is called after each
    clip that is now the publisher's.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: Store,
        encoders: EncoderPool,
        scratch: Scratch,
        room: Room,
        faults: Faults,
        *,
        owner: str,
        suspects: Callable[[], bool],
        on_finished: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._encoders = encoders
        self._scratch = scratch
        self._room = room
        self.faults = faults
        self._owner = owner
        self._suspects = suspects
        self._on_finished = on_finished
        self._lock = threading.Lock()
        self._running: dict[str, EncoderProcess] = {}
        self._stopping = threading.Event()
        self.busy = Busy()

    def run_next(self) -> bool:
        """Cut the clip that is next in line. False when none waits, or when there is no room on the disk."""
        self.faults.at("nudged")
        if self._stopping.is_set() or self._room.low():
            return False
        with self.busy.taking(self._claim, lambda clip: clip.clip_id) as clip:
            if clip is None:
                return False
            log.info("clip %s: attempt %d", clip.clip_id, clip.attempt)
            finished = False
            try:
                finished = self._attempt(clip)
            finally:
                if not finished:
                    self._scratch.remove(clip.clip_id, clip.attempt)
                self._room.give_back(clip.clip_id)
        return True

    def _claim(self) -> Clip | None:
        workers, suspects = self._settings.encoding.workers, self._suspects()
        return self._ledger.clips.claim(self._owner, workers=workers, fits=self._fits, suspects=suspects)

    def _fits(self, clip: Clip) -> bool:
        try:
            size = likely_bytes(clip, self._ledger.recordings.get(clip.recording_id))
        except RecordingNotFound:
            return True  # it needs no room to fail
        if self._room.take(clip.clip_id, size):
            return True
        log.warning("clip %s waits for room on the disk: it may need %d MB", clip.clip_id, size // 1_000_000)
        return False

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

    def _attempt(self, clip: Clip) -> bool:
        """Whether the clip is finished; where it is not, the ledger has been told what becomes of it."""
        try:
            self.faults.at("claimed")
            self._run(clip)
            self.faults.at("finished")
            self._on_finished()
            return True
        except _ClaimLost:
            log.info("clip %s: the claim was lost, attempt %d stops", clip.clip_id, clip.attempt)
        except Stopping:
            self._ledger.clips.requeue(clip.clip_id, clip.attempt)
        except ClipEngineError as error:
            self._settle(clip, error)
        except Exception as error:  # a job ends here, whatever happened to it
            log.exception("clip %s: attempt %d failed", clip.clip_id, clip.attempt)
            self._settle(clip, Internal(f"{type(error).__name__} while the clip was cut"))
        return False

    def _run(self, clip: Clip) -> None:
        try:
            recording = self._ledger.recordings.get(clip.recording_id)
        except RecordingNotFound as error:
            raise RecordingMissing("the recording was deleted") from error
        if clip.profile not in self._settings.profiles:
            raise UnknownProfile(f"the profile {clip.profile!r} is no longer in the settings")
        with self._scratch_faults():
            folder = self._scratch.make(clip.clip_id, clip.attempt)
            path = clip_file(folder, clip)
            cut, poster = self._cut(clip, recording, path)
            self._verify(clip, recording, path, cut, poster)
            with path.open("rb") as body:
                sha256 = hashlib.file_digest(body, "sha256").hexdigest()
            result = clip_result(cut, sha256=sha256, poster_path=clip.poster_key if poster else None)
            finished = finish(folder, result, poster)
        id, attempt, uploads, owner = clip.clip_id, clip.attempt, self._ledger.uploads, self._owner
        if not insist(lambda: uploads.add(id, attempt, finished, progress=_VERIFIED, owner=owner), self._stopping):
            raise _ClaimLost

    @contextmanager
    def _scratch_faults(self) -> Iterator[None]:
        """A full disk under scratch, met by this process, in the words that its child has for it too."""
        try:
            yield
        except OSError as error:
            self._scratch.check()
            if error.errno not in _FULL:
                raise
            raise DiskFull(f"the disk of the scratch folder is full ({error.strerror})") from error

    # ---- cutting

    def _cut(self, clip: Clip, recording: Recording, path: Path) -> tuple[CutReport, bytes]:
        assert recording.facts is not None
        job = cut_job(
            self._settings,
            recording.facts,
            clip.profile,
            start=exact(clip.start_seconds),
            end=exact(clip.end_seconds),
            poster=clip.poster,
            landmarks=self._ledger.recordings.seek_index(recording.recording_id),
        )
        with (
            as_recording_errors(),
            closing(self._store.open(recording.bucket_path, etag=recording.etag)) as reader,
            open(path, "x+b") as output,
            self._child(clip, "encoder") as (child, watch),
        ):
            message, poster = child.run(job, reader=reader, output=output.fileno(), watch=watch)
        return CutReport.of(message.get("cut")), poster if clip.poster else b""

    def _verify(self, clip: Clip, recording: Recording, path: Path, cut: CutReport, poster: bytes) -> None:
        """Have a second child inspect the file. Raises VerificationFailed if it is not the clip that was planned."""
        assert recording.facts is not None
        profile = self._settings.profiles[clip.profile]
        plan = FilePlan(recording.facts, profile, exact(clip.start_seconds), exact(clip.end_seconds))
        if poster:
            plan.check_poster(cut, poster)
        with self._child(clip, "inspector") as (inspector, watch):
            verify_clip(inspector, path, plan, cut, encoding=self._settings.encoding, watch=watch)

    @contextmanager
    def _child(self, clip: Clip, program: Program) -> Iterator[tuple[EncoderProcess, _Watch]]:
        """A child for the clip, and its watch; `abandon` and `stop` end it."""
        child, watch = self._encoders.take(program), _Watch(self, clip, *_BEGINS[program])
        with self._lock:
            self._running[clip.clip_id] = child
        try:
            yield child, watch
        except LOST:
            watch.report()  # it may have died because we killed it
            raise
        finally:
            with self._lock:
                self._running.pop(clip.clip_id, None)
            child.close()

    def report(self, clip: Clip, step: Step, progress: float) -> None:
        """Note progress. Raises _ClaimLost where the clip is no longer this attempt's, Stopping at a stop."""
        if self._stopping.is_set():
            raise Stopping
        try:
            if not self._ledger.clips.progress(clip.clip_id, clip.attempt, step=step, progress=progress):
                raise _ClaimLost
        except StorageError as error:  # the next report, or the end, will find the ledger usable again
            log.warning("clip %s: its progress is not written down: %s", clip.clip_id, error.message)

    # ---- when it goes wrong

    def _settle(self, clip: Clip, error: ClipEngineError) -> None:
        """Queue the clip again where that may help, else end it as failed."""
        id, attempt, clips = clip.clip_id, clip.attempt, self._ledger.clips
        try:
            delay = next_wait(error, insist(lambda: clips.outage_ms(id), self._stopping))
            if delay is not None:
                log.warning("clip %s: %s; trying again in %.1f s", id, error.message, delay / 1000)
                paced = self.faults.paced(delay)
                insist(lambda: clips.requeue(id, attempt, delay_ms=paced, outage_ms=delay), self._stopping)
            elif (pause := next_try(error, clips.crashes(id))) is not None:
                log.warning("clip %s: %s; trying again in %.1f s", id, error.message, pause / 1000)
                insist(lambda: clips.requeue(id, attempt, crashed=True, delay_ms=pause), self._stopping)
            else:
                log.warning("clip %s: failed with %s: %s", id, error.code, error.message)
                insist(lambda: clips.fail(id, attempt, error), self._stopping)
        except (ClipNotFound, Stopping):
            pass  # it was deleted; or the next start finds it held by an engine that is gone


class _Watch:
    """Supervises one child: its progress into the ledger, a lost claim, a stop."""

    def __init__(self, runner: ClipRunner, clip: Clip, step: Step, progress: float) -> None:
        self._runner = runner
        self._clip = clip
        self._reported = time.monotonic()
        self._step = step
        self._progress = progress

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
            self._runner.faults.at(message["step"])

    def report(self) -> None:
        """Note where the child is, now. Raises what `ClipRunner.report` does."""
        self._reported = time.monotonic()
        self._runner.report(self._clip, self._step, round(self._progress, 4))
