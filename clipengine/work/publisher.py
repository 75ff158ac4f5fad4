"""The publisher: puts clips that are cut into the store and brings them to their end.

A finished clip waits in scratch, named by its row, for as long as the store is out of reach: up to a day, through
restarts, and never cut again for it. Guarantee: complete is said of what a HEAD has proved, and an object that an
earlier try has left there whole is not sent again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from pathlib import Path
from typing import BinaryIO, cast

from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import ClipEngineError, ClipNotFound, Internal, ObjectMissing, VerificationFailed
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.uploads import Finished
from clipengine.settings import Settings
from clipengine.stores.base import Store
from clipengine.work.fault_injection import Faults
from clipengine.work.in_flight import Busy
from clipengine.work.retry import Stopping, insist, next_wait
from clipengine.work.scratch import Scratch

log = logging.getLogger(__name__)

POSTER = "poster.jpg"
_POSTER_TYPE = "image/jpeg"


class _Abandoned(Exception):
    """The clip was cancelled or deleted: stop, and leave nothing."""


class _Damaged(Exception):
    """What is in scratch is not what was finished: the clip has to be cut again."""


class Publisher:
    """Uploads one clip at a time for each call of `run_due`; several threads may call it at once."""

    def __init__(
        self, settings: Settings, ledger: Ledger, store: Store, scratch: Scratch, faults: Faults, *, owner: str
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._scratch = scratch
        self._faults = faults
        self._owner = owner
        self._stopping = threading.Event()
        self._abandoned: set[str] = set()
        self.busy = Busy()

    def run_due(self) -> None:
        """Upload until nothing is due."""
        while not self._stopping.is_set():
            with self.busy.taking(lambda: self._ledger.uploads.claim(self._owner), lambda each: each[0].clip_id) as due:
                if due is None:
                    return
                self._publish(*due)

    def abandon(self, clip_id: str) -> None:
        """Cut short the upload of this clip, if there is one. The ledger has been told before."""
        if clip_id in self.busy.ids():
            self._abandoned.add(clip_id)

    def stop(self) -> None:
        """Begin nothing more and cut short what is sent; it is sent again after the next start."""
        self._stopping.set()

    def _publish(self, clip: Clip, finished: Finished) -> None:
        began = time.monotonic()
        try:
            self._upload(clip, finished)
            self._faults.at("uploaded")
            if not insist(
                lambda: self._ledger.clips.complete(clip.clip_id, clip.attempt, finished.result), self._stopping
            ):
                raise _Abandoned
            self._scratch.remove(clip.clip_id, clip.attempt)
            self._faults.at("committed")
            result = finished.result
            log.info("clip %s: complete, %d frames, %d bytes", clip.clip_id, result.frames, result.size_bytes)
            self._ledger.uploads.retry_now()
        except _Abandoned:
            log.info("clip %s: the claim was lost, its upload stops", clip.clip_id)
            self._forget(clip)
        except Stopping:
            pass  # the next start finds it held by an engine that is gone
        except _Damaged as error:
            log.warning("clip %s: %s; it is cut again", clip.clip_id, error)
            insist(lambda: self._ledger.clips.requeue(clip.clip_id, clip.attempt), self._stopping)
            self._scratch.remove(clip.clip_id, clip.attempt)
        except ClipEngineError as error:
            self._settle(clip, error, tried_ms=round(1000 * (time.monotonic() - began)))
        except Exception as error:  # a job ends here, whatever happened to it
            log.exception("clip %s: the upload failed", clip.clip_id)
            self._settle(clip, Internal(f"{type(error).__name__} while the clip was uploaded"), tried_ms=0)
        finally:
            self._abandoned.discard(clip.clip_id)

    # ---- into the store

    def _upload(self, clip: Clip, finished: Finished) -> None:
        self._faults.at("uploading")
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
            if not self._holds(key, sha256):
                raise _Damaged(f"its file in scratch is lost or damaged ({error})") from error

    def _holds(self, key: str, sha256: str) -> bool:
        """Whether the store has it already, from a try whose answer or whose engine was lost."""
        try:
            return self._store.head(key).sha256 == sha256
        except ObjectMissing:
            return False

    # ---- when it goes wrong

    def _settle(self, clip: Clip, error: ClipEngineError, *, tried_ms: int) -> None:
        """Wait for the store where that may help, else end the clip as failed."""
        id, attempt, ledger = clip.clip_id, clip.attempt, self._ledger
        try:
            delay = next_wait(error, insist(lambda: ledger.clips.outage_ms(id), self._stopping))
            if delay is not None:
                log.warning("clip %s: %s; its upload is tried again in %.1f s", id, error.message, delay / 1000)
                waited, delay = delay + tried_ms, self._faults.paced(delay)
                wanted = insist(
                    lambda: ledger.uploads.later(id, attempt, delay_ms=delay, outage_ms=waited), self._stopping
                )
            else:
                log.warning("clip %s: failed with %s: %s", id, error.code, error.message)
                wanted = insist(lambda: ledger.clips.fail(id, attempt, error), self._stopping)
                self._scratch.remove(id, attempt)
        except ClipNotFound:
            wanted = False
        except Stopping:
            return
        if not wanted:
            self._forget(clip)

    def _forget(self, clip: Clip) -> None:
        """Nobody wants the clip any more: nothing of it stays, here or in the store."""
        self._scratch.remove(clip.clip_id, clip.attempt)
        self._ledger.removals.discard(clip)


class _Body:
    """The clip's file on its way into the store, for as long as somebody wants it there."""

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
    """Where in its folder the clip is made; the extension is that of its object."""
    return folder / f"clip.{clip.object_key.rpartition('.')[2]}"


def finish(folder: Path, result: ClipResult, poster: bytes) -> Finished:
    """What is to be written down of a clip that was cut into its folder; its poster is put beside it."""
    if not poster:
        return Finished(result, None)
    (folder / POSTER).write_bytes(poster)
    return Finished(result, hashlib.sha256(poster).hexdigest())
