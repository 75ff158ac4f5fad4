"""Reception of uploads that resume: from a request's body into the store and the ledger, and the end of each upload."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast

from clipengine.basis.disk_space import UNLIMITED, DiskSpace
from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import (
    InvalidRequest,
    ObjectMissing,
    RequestError,
    StorageError,
    UploadNotFound,
    UploadOffsetConflict,
)
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.resumable_uploads import ResumableUpload
from clipengine.recordings.discovery import upload_key
from clipengine.recordings.media_types import media_type
from clipengine.recordings.partial_object import PartialObject
from clipengine.recordings.recording import RecordingSpec
from clipengine.settings.settings import Limits
from clipengine.stores.base import Store
from clipengine.work.direct_uploads import DirectUploads
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.previews.copies import CopiedBody, LocalCopies

_AT_ONCE = 100  # idle uploads of one query

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PartLinks:
    """Links to parts of an object by number, None for each part that the store has. They expire at a time in ms."""

    partial: PartialObject
    urls: Mapping[int, str | None]
    expires_at: int


class UploadReceiver:
    """The uploads that this engine receives. Thread-safe: each upload has one writer at a time in all engines.

    With `link_seconds`, clients may send parts to the store themselves, with links that are valid so long.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        copies: LocalCopies,
        limits: Limits,
        faults: FaultInjection,
        *,
        owner: str,
        link_seconds: int | None = None,
        disk: DiskSpace = UNLIMITED,
    ) -> None:
        self._uploads = ledger.resumable_uploads
        self._store = store
        self._copies = copies
        self._limits = limits
        self._faults = faults
        self._disk = disk
        self._owner = owner
        self._direct = DirectUploads(store, link_seconds)
        self._lock = threading.Lock()
        self._receiving: Counter[str] = Counter()

    @property
    def idle_ms(self) -> int:
        return round(self._limits.upload_idle_seconds * 1000)

    def begin(self, key_id: str, name: str, spec: RecordingSpec, *, size: int, description: str) -> ResumableUpload:
        """Begin an upload of `size` bytes. Nothing is stored until they arrive. Raises RateLimited."""
        recording_id, now = new_id("rec"), now_ms()
        key = upload_key(recording_id, name)
        begun = PartialObject(new_id("upl"), key, size, media_type(key))
        upload = ResumableUpload(key_id, recording_id, description, spec, begun, now, now)
        self._uploads.add(upload, most=self._limits.open_uploads)
        return upload

    def get(self, id: str) -> ResumableUpload:
        """Return an upload. Raises UploadNotFound, also if it has expired."""
        return self._uploads.get(id, since=now_ms() - self.idle_ms)

    def receive(
        self, id: str, body: BinaryIO, *, offset: int, check: Callable[[], None] | None = None
    ) -> ResumableUpload:
        """Append bytes from `offset` on until the body ends, and register the recording after the last one.

        Each state is recorded when the store has it, but with a `check` only the last one, unless the check of the
        whole body raises. If the body is the whole recording, a local copy of it is kept for the previews.
        Raises UploadNotFound, UploadLocked, UploadAssembling, UploadOffsetConflict, and the errors of body and store.
        """
        with self._claimed(id) as claimed, ExitStack() as stack:
            upload, _ = self._counted(claimed)
            if upload.partial.offset != offset:
                raise UploadOffsetConflict(f"The upload has {upload.partial.offset} bytes, not {offset}")
            is_copied = not (offset or upload.partial.part_bytes)
            copied = stack.enter_context(self._copies.copied(body)) if is_copied else None
            if not upload.partial.is_whole:
                upload = self._extend(upload, body if copied is None else cast(BinaryIO, copied), check)
                upload, _ = self._counted(upload)
            return self._completed(upload, copied)

    def count(self, id: str) -> ResumableUpload:
        """Return the upload, up to the offset that the parts which clients have sent to the store reach.

        Raises UploadNotFound, UploadLocked, UploadAssembling, and the errors of the store.
        """
        with self._claimed(id) as claimed:
            return self._counted(claimed)[0]

    def complete(self, id: str) -> ResumableUpload:
        """Register the recording of an upload that was counted, if the store has all bytes, and return the upload.

        Raises the errors of `count`.
        """
        with self._claimed(id) as claimed:
            return self._completed(claimed)

    @property
    def is_check_due(self) -> bool:
        """Whether `check_direct` would send requests to the store."""
        return self._direct.is_check_due

    def check_direct(self) -> None:
        """Find out whether clients may send parts to the store. Sends requests to it, so call it in no transaction."""
        self._direct.check()

    def part_bytes(self, upload: ResumableUpload) -> int | None:
        """Return the size of the parts that clients may send to the store themselves.

        None if they may not, or before a call of `check_direct` has found that they may.
        """
        direct, stored = self._direct.parts, upload.partial
        if direct is None or upload.completed_at is not None:
            return None
        if stored.part_bytes or stored.offset:
            return stored.part_bytes or None
        return direct.part_bytes(stored.size)

    def links(self, id: str, numbers: Collection[int]) -> PartLinks:
        """Return links to which a client sends parts of an upload.

        Raises UploadNotFound, UploadLocked, UploadAssembling, UploadNotDirect, InvalidRequest, and the errors of the
        store.
        """
        self._direct.check()
        with self._claimed(id) as upload:
            direct = self._direct.parts
            if direct is None or self.part_bytes(upload) is None:
                raise self._direct.refusal()
            if not upload.partial.part_bytes:
                upload = self._advance(upload, direct.begin(upload.partial))
            if (most := upload.partial.part_count) < max(numbers):
                raise InvalidRequest(f"numbers must be between 1 and {most}")
            upload, stored = self._counted(upload)
            seconds = max(1, min(self._direct.link_seconds, self.idle_ms // 1000))
            expires_at = now_ms() + seconds * 1000
            link = partial(direct.link, upload.partial, seconds=seconds)
            urls = {number: None if number in stored else link(number) for number in numbers}
            return PartLinks(upload.partial, urls, expires_at)

    def end(self, id: str) -> None:
        """Delete an upload and, unless it is a recording by now, its bytes.

        Raises UploadNotFound, UploadLocked, UploadAssembling.
        """
        self._disk.freeing(partial(self._end, id))

    def _end(self, id: str) -> None:
        with self._claimed(id) as upload:
            self._discard(upload)

    def remove_idle(self) -> int:
        """Delete the uploads that have not received bytes for too long, and return their number."""
        removed = 0
        while ids := self._uploads.idle(now_ms() - self.idle_ms, limit=_AT_ONCE):
            ended = sum(map(self._end_idle, ids))
            removed += ended
            if not ended:
                break
        return removed

    def _end_idle(self, id: str) -> bool:
        try:
            with self._claimed(id, since=0) as upload:
                return self._discard(upload)
        except RequestError:  # another engine deletes it
            return False

    def in_flight(self) -> Collection[str]:
        """Return the ids of the uploads that this engine receives."""
        with self._lock:
            return set(self._receiving)

    @contextmanager
    def _claimed(self, id: str, *, since: int | None = None) -> Iterator[ResumableUpload]:
        """Claim an upload for the duration of the context. One whose bytes the store has lost is deleted."""
        with self._in_flight(id):
            upload = self._uploads.claim(id, self._owner, since=now_ms() - self.idle_ms if since is None else since)
            try:
                yield upload
            except ObjectMissing as error:
                self._discard(upload)
                raise UploadNotFound(f"The store has lost bytes of the upload: {error.message}") from error
            finally:
                self._disk.freeing(partial(self._uploads.release, upload))

    @contextmanager
    def _in_flight(self, id: str) -> Iterator[None]:
        """List the upload in `in_flight`, from before its claim until after its release."""
        with self._lock:
            self._receiving[id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._receiving[id] -= 1
                if not self._receiving[id]:
                    del self._receiving[id]

    def _extend(self, upload: ResumableUpload, body: BinaryIO, check: Callable[[], None] | None) -> ResumableUpload:
        reached = upload.partial
        for reached in self._store.extend(upload.partial, body):
            if check is None:
                upload = self._advance(upload, reached)
        if check is not None:
            check()
            upload = self._advance(upload, reached)
        return upload

    def _counted(self, upload: ResumableUpload) -> tuple[ResumableUpload, Collection[int]]:
        """Return the upload with the parts that clients have sent to the store, and the numbers of these."""
        direct = self._store.direct
        if direct is None or not upload.partial.part_bytes or upload.completed_at is not None:
            return upload, ()
        reached, stored = direct.count(upload.partial)
        return (upload if reached == upload.partial else self._advance(upload, reached)), stored

    def _advance(self, upload: ResumableUpload, reached: PartialObject) -> ResumableUpload:
        if reached is upload.partial:
            return upload
        self._faults.reach("appended")
        advanced = self._uploads.advance(upload, reached)
        self._faults.reach("recorded")
        try:
            self._store.forget(upload.partial)
        except StorageError as error:
            log.warning("bytes of %s are deleted when its upload ends: %s", reached.key, error.message)
        return advanced

    def _completed(self, upload: ResumableUpload, copied: CopiedBody | None = None) -> ResumableUpload:
        if not upload.partial.is_whole or upload.completed_at is not None:
            return upload
        stored = self._store.finish(upload.partial)
        self._faults.reach("published")
        if copied is not None:
            copied.keep(upload.recording_id, stored)
        completed = self._uploads.complete(upload, etag=stored.etag)
        self._faults.reach("registered")
        log.info("recording %s: uploaded, %d bytes", upload.recording_id, upload.partial.size)
        return completed

    def _discard(self, upload: ResumableUpload) -> bool:
        """Delete an upload. Return False if the store is unavailable: it has expired then, and is deleted later."""
        self._uploads.expire(upload)
        if upload.completed_at is None:
            try:
                self._store.discard(upload.partial)
            except StorageError as error:
                log.warning("the bytes of upload %s cannot be deleted yet: %s", upload.upload_id, error.message)
                return False
        self._uploads.delete(upload)
        return True
