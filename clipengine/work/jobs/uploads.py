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
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from clipengine.clips.clip import Clip, ClipResult
from clipengine.clips.texts.cues import MEDIA_TYPES
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import ClipEngineError, ObjectMissing, VerificationFailed
from clipengine.ledger.clips.uploads import Finished
from clipengine.settings.settings import Settings
from clipengine.stores.base import Store
from clipengine.work.jobs.context import clip_job
from clipengine.work.jobs.scratch import Scratch
from clipengine.work.retry import Stopping, next_delay, retry_until_written
from clipengine.work.worker import ClaimLost, JobContext, Jobs, Retry

log = logging.getLogger(__name__)

POSTER = "poster.jpg"
MANIFEST = "manifest.json"
_POSTER_TYPE = "image/jpeg"
_MANIFEST_TYPE = "application/json"


class _Damaged(Exception):
    """The file in scratch is missing or damaged: the clip must be cut again."""


@dataclass(frozen=True)
class Upload:
    """A claimed upload, and the monotonic time of the claim."""

    clip: Clip
    finished: Finished
    claimed_at: float


class Publisher(Jobs[Upload]):
    """The uploads of finished clips."""

    activity = "the clip was uploaded"

    def __init__(
        self,
        context: JobContext,
        settings: Settings,
        store: Store,
        scratch: Scratch,
        *,
        on_uploaded: Callable[[float], None],
    ) -> None:
        """Call `on_uploaded` with the seconds of each upload that succeeded."""
        super().__init__(context)
        self._settings = settings
        self._store = store
        self._scratch = scratch
        self._on_uploaded = on_uploaded
        self._running: dict[str, _Body] = {}  # by clip id

    def claim(self) -> Upload | None:
        claimed = self._ledger.uploads.claim(self._owner)
        return None if claimed is None else Upload(*claimed, time.monotonic())

    def is_due(self) -> bool:
        return self._ledger.uploads.is_due(self._owner)

    def ids(self, item: Upload) -> list[str]:
        return [item.clip.clip_id]

    def label(self, item: Upload) -> str:
        return f"upload of clip {item.clip.clip_id}"

    def context(self, item: Upload) -> AbstractContextManager[None]:
        return clip_job("clip.upload", item.clip, engine=self._owner)

    def run(self, item: Upload) -> None:
        """Upload the clip, its poster, its subtitles and its manifest, and complete the clip."""
        clip, result = item.clip, item.finished.result
        try:
            self._upload(clip, item.finished)
        except _Damaged as error:
            log.warning("clip %s: %s; the clip is cut again", clip.clip_id, error)
            retry_until_written(lambda: self._ledger.clips.requeue(clip.clip_id, clip.attempt), self.stopping)
            self._scratch.remove(clip.clip_id, clip.attempt)
            return
        self._on_uploaded(time.monotonic() - item.claimed_at)
        self.faults.reach("uploaded")
        if not retry_until_written(
            lambda: self._ledger.clips.complete(clip.clip_id, clip.attempt, result), self.stopping
        ):
            raise ClaimLost
        self._scratch.remove(clip.clip_id, clip.attempt)
        self.faults.reach("committed")
        log.info("clip %s: complete, %d frames, %d bytes", clip.clip_id, result.frames, result.size_bytes)
        self._ledger.uploads.retry_now()

    def retry(self, item: Upload, error: ClipEngineError) -> Retry | None:
        delay = next_delay(error, self._ledger.clips.outage_ms(item.clip.clip_id))
        return None if delay is None else Retry(delay)

    def later(self, item: Upload, error: ClipEngineError, retry: Retry) -> bool:
        tried_ms = round(1000 * (time.monotonic() - item.claimed_at))
        delay = self.faults.scale_delay(retry.delay_ms)
        return self._ledger.uploads.later(
            item.clip.clip_id, item.clip.attempt, delay_ms=delay, outage_ms=retry.delay_ms + tried_ms
        )

    def fail(self, item: Upload, error: ClipEngineError) -> bool:
        failed = self._ledger.clips.fail(item.clip.clip_id, item.clip.attempt, error)
        self._scratch.remove(item.clip.clip_id, item.clip.attempt)
        return failed

    def lost(self, item: Upload) -> None:
        """Delete the clip's files in scratch, and queue its objects for deletion, unless the clip needs them."""
        self._scratch.remove(item.clip.clip_id, item.clip.attempt)
        self._ledger.removals.add_clips([item.clip])

    def abandon(self, clip_id: str) -> None:
        """Cancel the upload of this clip, if it is running. Call it after the ledger has been updated."""
        body = self._running.get(clip_id)
        if body is not None:
            body.abandoned = True

    def _upload(self, clip: Clip, finished: Finished) -> None:
        self.faults.reach("uploading")
        result = finished.result
        folder = self._scratch.folder(clip.clip_id, clip.attempt)
        profile = self._settings.profiles.get(clip.profile)
        content_type = profile.content_type if profile else "application/octet-stream"
        file = clip_file(folder, clip)
        self._put(clip, clip.object_key, file, content_type, result.sha256, size=result.size_bytes)
        if finished.poster_sha256 is not None:
            self._put(clip, clip.poster_key, folder / POSTER, _POSTER_TYPE, finished.poster_sha256)
        for each in result.subtitles:
            path = subtitle_file(folder, each.language)
            self._put(clip, each.path, path, MEDIA_TYPES["vtt"], finished.subtitles_sha256[each.language])
        if result.manifest_path is not None and finished.manifest_sha256 is not None:
            self._put(clip, result.manifest_path, folder / MANIFEST, _MANIFEST_TYPE, finished.manifest_sha256)

    def _put(
        self, clip: Clip, key: str, path: Path, content_type: str, sha256: str, *, size: int | None = None
    ) -> None:
        """Upload a file. Raises _Damaged if its SHA-256, or its `size` if that is given, is wrong."""
        try:
            found = path.stat().st_size
            if size is not None and found != size:
                raise VerificationFailed(f"{path.name} is not {size} bytes long")
            with path.open("rb") as file:
                body = self._running[clip.clip_id] = _Body(file, self.stopping)
                self._store.put(key, cast(BinaryIO, body), size=found, content_type=content_type, sha256=sha256)
        except (VerificationFailed, OSError) as error:
            self._scratch.check()
            if not self._is_stored(key, sha256):
                raise _Damaged(f"the file in scratch is missing or damaged ({error})") from error
        finally:
            self._running.pop(clip.clip_id, None)

    def _is_stored(self, key: str, sha256: str) -> bool:
        """Return True if an earlier attempt, whose response or engine was lost, has stored the object."""
        try:
            return self._store.head(key).sha256 == sha256
        except ObjectMissing:
            return False


class _Body:
    """The file being uploaded. Reading fails as soon as the upload is cancelled."""

    def __init__(self, file: BinaryIO, stopping: threading.Event) -> None:
        self._file = file
        self._stopping = stopping
        self.abandoned = False

    def read(self, length: int = -1) -> bytes:
        if self._stopping.is_set():
            raise Stopping
        if self.abandoned:
            raise ClaimLost
        return self._file.read(length)


def clip_file(folder: Path, clip: Clip) -> Path:
    """Return the path of the clip in its scratch folder, with the extension of its object key."""
    return folder / f"clip.{clip.object_key.rpartition('.')[2]}"


def subtitle_file(folder: Path, language: str) -> Path:
    """Return the path of the subtitles in the scratch folder of a clip."""
    return folder / f"{language}.vtt"


def save_finished(
    folder: Path, result: ClipResult, poster: bytes, texts: Iterable[TextTrack], manifest: bytes | None
) -> Finished:
    """Write the other objects next to the clip, and return the record of the finished clip for the ledger."""
    digests = {}
    for track in texts:
        body = track.vtt()
        digests[track.language] = _save(subtitle_file(folder, track.language), body)
    return Finished(
        result,
        _save(folder / POSTER, poster) if poster else None,
        digests,
        None if manifest is None else _save(folder / MANIFEST, manifest),
    )


def _save(path: Path, body: bytes) -> str:
    """Write a file and return its SHA-256."""
    path.write_bytes(body)
    return hashlib.sha256(body).hexdigest()
