"""Upload of finished clips to the store.

If the store is unavailable, the clip stays in scratch for up to a day, also through restarts, and is not cut again. A
clip becomes `complete` only after a HEAD request has confirmed the object. An object that an earlier attempt uploaded
completely is not sent again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from clipengine import tracing
from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import ClipEngineError, ClipNotFound, Internal, ObjectMissing, VerificationFailed
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.uploads import Finished
from clipengine.settings import Settings
from clipengine.stores.base import Store
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.in_flight import InFlight
from clipengine.work.job_context import clip_job
from clipengine.work.retry import Stopping, next_delay, retry_until_written
from clipengine.work.scratch import Scratch

log = logging.getLogger(__name__)

POSTER = "poster.jpg"
_POSTER_TYPE = "image/jpeg"


class _Abandoned(Exception):
    """The clip was cancelled or deleted: stop the upload and delete the files."""


class _Damaged(Exception):
    """The file in scratch is missing or damaged: the clip must be cut again."""


class Publisher:
    """Uploads finished clips. Thread-safe; each call of `run_due` uploads one clip at a time."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: Store,
        scratch: Scratch,
        faults: FaultInjection,
        *,
        owner: str,
        on_uploaded: Callable[[float], None],
    ) -> None:
        """Call `on_uploaded` with the seconds of each upload that succeeded."""
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._scratch = scratch
        self._faults = faults
        self._owner = owner
        self._on_uploaded = on_uploaded
        self._stopping = threading.Event()
        self._abandoned: set[str] = set()
        self.in_flight = InFlight()

    def run_due(self) -> None:
        """Upload clips until none is due."""
        while not self._stopping.is_set():
            with self.in_flight.track(self._claim, lambda due: due[0].clip_id) as due:
                if due is None:
                    return
                self._publish(*due)

    def _claim(self) -> tuple[Clip, Finished] | None:
        return self._ledger.uploads.claim(self._owner)

    def abandon(self, clip_id: str) -> None:
        """Cancel the upload of this clip, if it is running. Call it after the ledger has been updated."""
        if clip_id in self.in_flight.ids():
            self._abandoned.add(clip_id)

    def stop(self) -> None:
        """Cancel all uploads. They are repeated after the next start."""
        self._stopping.set()

    def _publish(self, clip: Clip, finished: Finished) -> None:
        with clip_job("clip.upload", clip, engine=self._owner):
            self._complete(clip, finished)

    def _complete(self, clip: Clip, finished: Finished) -> None:
        """Upload the clip and record the outcome."""
        began = time.monotonic()
        try:
            self._upload(clip, finished)
            self._on_uploaded(time.monotonic() - began)
            self._faults.reach("uploaded")
            if not retry_until_written(
                lambda: self._ledger.clips.complete(clip.clip_id, clip.attempt, finished.result), self._stopping
            ):
                raise _Abandoned
            self._scratch.remove(clip.clip_id, clip.attempt)
            self._faults.reach("committed")
            result = finished.result
            log.info("clip %s: complete, %d frames, %d bytes", clip.clip_id, result.frames, result.size_bytes)
            self._ledger.uploads.retry_now()
        except _Abandoned:
            log.info("clip %s: the claim was lost, the upload stops", clip.clip_id)
            self._discard(clip)
        except Stopping:
            pass  # the next start releases it as an orphan
        except _Damaged as error:
            log.warning("clip %s: %s; the clip is cut again", clip.clip_id, error)
            retry_until_written(lambda: self._ledger.clips.requeue(clip.clip_id, clip.attempt), self._stopping)
            self._scratch.remove(clip.clip_id, clip.attempt)
        except ClipEngineError as error:
            self._retry_or_fail(clip, error, tried_ms=round(1000 * (time.monotonic() - began)))
        except Exception as error:  # a bug must not end the worker thread
            log.exception("clip %s: the upload failed", clip.clip_id)
            self._retry_or_fail(clip, Internal(f"{type(error).__name__} while the clip was uploaded"), tried_ms=0)
        finally:
            self._abandoned.discard(clip.clip_id)

    def _upload(self, clip: Clip, finished: Finished) -> None:
        self._faults.reach("uploading")
        result = finished.result
        folder = self._scratch.folder(clip.clip_id, clip.attempt)
        profile = self._settings.profiles.get(clip.profile)
        content_type = profile.content_type if profile else "application/octet-stream"
        self._put(clip, clip.object_key, clip_file(folder, clip), result.size_bytes, content_type, result.sha256)
        if finished.poster_sha256 is not None:
            poster = folder / POSTER
            size = poster.stat().st_size if poster.exists() else 0
            self._put(clip, clip.poster_key, poster, size, _POSTER_TYPE, finished.poster_sha256)

    def _put(self, clip: Clip, key: str, path: Path, size: int, content_type: str, sha256: str) -> None:
        try:
            if path.stat().st_size != size:
                raise VerificationFailed(f"{path.name} is not {size} bytes long")
            with path.open("rb") as file:
                body = cast(BinaryIO, _Body(self, clip, file))
                self._store.put(key, body, size=size, content_type=content_type, sha256=sha256)
        except (VerificationFailed, OSError) as error:
            self._scratch.check()
            if not self._is_stored(key, sha256):
                raise _Damaged(f"the file in scratch is missing or damaged ({error})") from error

    def _is_stored(self, key: str, sha256: str) -> bool:
        """Return True if an earlier attempt, whose response or engine was lost, has stored the object."""
        try:
            return self._store.head(key).sha256 == sha256
        except ObjectMissing:
            return False

    def _retry_or_fail(self, clip: Clip, error: ClipEngineError, *, tried_ms: int) -> None:
        """Queue the upload again if a retry may succeed, else fail the clip."""
        tracing.set_error(error.code)
        id, attempt, ledger = clip.clip_id, clip.attempt, self._ledger
        try:
            delay = next_delay(error, retry_until_written(lambda: ledger.clips.outage_ms(id), self._stopping))
            if delay is not None:
                log.warning("clip %s: %s; its upload is tried again in %.1f s", id, error.message, delay / 1000)
                waited_ms, delay = delay + tried_ms, self._faults.scale_delay(delay)
                is_current = retry_until_written(
                    lambda: ledger.uploads.later(id, attempt, delay_ms=delay, outage_ms=waited_ms), self._stopping
                )
            else:
                log.warning("clip %s: failed with %s: %s", id, error.code, error.message)
                is_current = retry_until_written(lambda: ledger.clips.fail(id, attempt, error), self._stopping)
                self._scratch.remove(id, attempt)
        except ClipNotFound:
            is_current = False
        except Stopping:
            return
        if not is_current:
            self._discard(clip)

    def _discard(self, clip: Clip) -> None:
        """Delete the clip's files in scratch, and queue the deletion of its objects."""
        self._scratch.remove(clip.clip_id, clip.attempt)
        self._ledger.removals.discard(clip)


class _Body:
    """The file being uploaded. Reading fails as soon as the upload is cancelled."""

    def __init__(self, publisher: Publisher, clip: Clip, file: BinaryIO) -> None:
        self._publisher = publisher
        self._clip_id = clip.clip_id
        self._file = file

    def read(self, length: int = -1) -> bytes:
        if self._publisher._stopping.is_set():
            raise Stopping
        if self._clip_id in self._publisher._abandoned:
            raise _Abandoned
        return self._file.read(length)


def clip_file(folder: Path, clip: Clip) -> Path:
    """Return the path of the clip in its scratch folder, with the extension of its object key."""
    return folder / f"clip.{clip.object_key.rpartition('.')[2]}"


def save_finished(folder: Path, result: ClipResult, poster: bytes) -> Finished:
    """Write the poster next to the clip, and return the record of the finished clip for the ledger."""
    if not poster:
        return Finished(result, None)
    (folder / POSTER).write_bytes(poster)
    return Finished(result, hashlib.sha256(poster).hexdigest())
