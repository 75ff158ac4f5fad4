"""Fetches of recordings from URLs into the store. Interrupted fetches are resumed, also after a crash."""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from clipengine.basis.backoff import Backoff
from clipengine.basis.timecode import now_ms
from clipengine.basis.tracing import bind
from clipengine.errors import (
    Busy,
    ClipEngineError,
    FetchFailed,
    FetchInterrupted,
    RecordingNotFound,
    StorageError,
    Timeout,
)
from clipengine.ledger.recordings.fetches import Fetch, Origin
from clipengine.outbound.download import Downloader, Response
from clipengine.outbound.network import SenderClosed
from clipengine.recordings.media_types import media_type
from clipengine.settings.settings import Fetching
from clipengine.stores.base import Store
from clipengine.work.jobs.partial_file import PartialFile, delete_part, recordings_with_parts
from clipengine.work.previews.copies import LocalCopies
from clipengine.work.retry import Stopping, retry_until_written
from clipengine.work.worker import ClaimLost, JobContext, Jobs, Retry

log = logging.getLogger(__name__)

_BACKOFF_MS = Backoff(2_000, 300_000)
_SYNC_BYTES, _SYNC_SECONDS = 64 * 1024 * 1024, 2.0
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19})\Z", re.ASCII)
_LENGTH = re.compile(r"\d{1,19}\Z", re.ASCII)


class Fetcher(Jobs[Fetch]):
    """The fetches of recordings.

    Parts are kept in `folder`, and `copies` takes the whole files. `check_disk` raises DiskLow if its disk is nearly
    full, and StorageUnavailable if the data folder was moved.
    """

    activity = "the recording was fetched"

    def __init__(
        self,
        context: JobContext,
        store: Store,
        downloader: Downloader,
        folder: Path,
        copies: LocalCopies,
        *,
        settings: Fetching,
        check_disk: Callable[[], None],
    ) -> None:
        super().__init__(context)
        self._store = store
        self._downloader = downloader
        self._folder = folder
        self._copies = copies
        self._settings = settings
        self._check_disk = check_disk

    def claim(self) -> Fetch | None:
        return self._ledger.fetches.claim(self._owner)

    def is_due(self) -> bool:
        return self._ledger.fetches.is_due()

    def ids(self, item: Fetch) -> list[str]:
        return [item.recording_id]

    def label(self, item: Fetch) -> str:
        return f"fetch of recording {item.recording_id}"

    def context(self, item: Fetch) -> AbstractContextManager[None]:
        return bind(recording_id=item.recording_id, attempt=item.lease, engine=self._owner)

    def run(self, item: Fetch) -> None:
        """Fetch the rest of the recording, store it and queue its probe."""
        origin = self._ledger.fetches.origin(item)
        if origin is None:
            raise ClaimLost
        self._check_disk()
        with closing(PartialFile(self._folder, item.recording_id, disk=self.disk)) as part:
            try:
                self._fetch(item, origin, part)
            except SenderClosed:
                raise Stopping from None
            self._report(item, part)
            body = cast(BinaryIO, _Guarded(part.reader(), partial(self._check_running, part)))
            stored = self._store.put_stream(item.key, body, content_type=media_type(item.key), limit=part.received)
        complete = partial(self._ledger.fetches.complete, item, etag=stored.etag, size=stored.size)
        if not retry_until_written(complete, self.stopping):
            raise ClaimLost
        self._copies.take(part.path, item.recording_id, stored)
        delete_part(self._folder, item.recording_id)
        log.info("recording %s: fetched, %d bytes", item.recording_id, stored.size)

    def retry(self, item: Fetch, error: ClipEngineError) -> Retry | None:
        if not isinstance(error, FetchInterrupted | StorageError | Busy) or not error.retryable:
            return None
        delay = round(_BACKOFF_MS.after(item.attempts))
        return Retry(delay) if now_ms() + delay < self._deadline_ms(item) else None

    def later(self, item: Fetch, error: ClipEngineError, retry: Retry) -> bool:
        return self._ledger.fetches.later(item, delay_ms=retry.delay_ms)

    def fail(self, item: Fetch, error: ClipEngineError) -> bool:
        failed = self._ledger.fetches.fail(item, error)
        if failed:
            delete_part(self._folder, item.recording_id)
        return failed

    def release(self, item: Fetch) -> None:
        self._ledger.fetches.later(item, delay_ms=0, counts=False)

    def lost(self, item: Fetch) -> None:
        """Delete the part and the object of a deleted recording. Otherwise another engine has claimed the fetch."""
        try:
            self._ledger.recordings.get(item.recording_id)
        except RecordingNotFound:
            delete_part(self._folder, item.recording_id)
            self._ledger.removals.add(item.key, looks=2)

    def interrupt(self) -> None:
        self._downloader.close()

    def end_deleted(self) -> None:
        """End the fetches of deleted recordings, and delete their parts; others have ended or moved on since then."""
        parts = recordings_with_parts(self._folder)  # before the ids: a part is made after its row
        for recording_id in parts - self._ledger.fetches.ids() if parts else ():
            delete_part(self._folder, recording_id)
            self._downloader.abort(recording_id)

    def _deadline_ms(self, item: Fetch) -> int:
        return item.created_at + round(self._settings.seconds * 1000)

    def _check_running(self, part: PartialFile) -> None:
        if self.stopping.is_set():
            raise Stopping
        if part.is_deleted():
            raise ClaimLost

    def _fetch(self, item: Fetch, origin: Origin, part: PartialFile) -> None:
        """Complete the part."""
        left = (self._deadline_ms(item) - now_ms()) / 1000
        if left <= 0:
            raise Timeout(
                f"the recording was not fetched within {self._settings.seconds:g} seconds",
                hint="Raise fetch.seconds, or register it when its host is faster.",
            )
        url, token = origin.url, origin.token
        if origin.link_field is not None:
            url, token = self._link(item, origin, left), None
        headers = {}
        if part.received and part.validator:
            headers = {"Range": f"bytes={part.received}-", "If-Range": part.validator}
        if part.received and part.received == part.total:
            return  # complete, but not stored yet
        with self._downloader.get(
            url, seconds=left, token=token, headers=headers, purpose=item.recording_id
        ) as response:
            self._begin(response, part)
            self._receive(item, response, part)
        if part.total and part.received != part.total:
            raise FetchInterrupted(f"the response ended after {part.received} of {part.total} bytes")
        if not part.received:
            raise FetchFailed("the URL returned an empty file")
        part.total = part.received

    def _link(self, item: Fetch, origin: Origin, seconds: float) -> str:
        """Return the URL that the service gives for its recording."""
        answer = self._downloader.get_json(origin.url, seconds=seconds, token=origin.token, purpose=item.recording_id)
        link = answer.get(origin.link_field) if isinstance(answer, dict) else None
        if not isinstance(link, str):
            raise FetchFailed(f"the service returned no {origin.link_field} for the recording")
        return link

    def _begin(self, response: Response, part: PartialFile) -> None:
        """Place the part at the first byte of the response. Raises FetchFailed if the response is not a media file."""
        headers = response.headers
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/html":
            raise FetchFailed("the URL returned a web page instead of a media file")
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise FetchFailed("the host compresses the file although it was asked not to")
        if response.status == 206:
            found = _CONTENT_RANGE.match(headers.get("content-range", ""))
            if found is None or int(found[1]) != part.received or int(found[3]) != (part.total or int(found[3])):
                part.restart(total=0, validator="")
                raise FetchInterrupted("the host returned another range than the requested one")
            part.total = int(found[3])
        elif response.status == 416:
            part.restart(total=0, validator="")
            raise FetchInterrupted("the host does not have the requested range any more")
        else:
            length = headers.get("content-length", "")
            part.restart(total=int(length) if _LENGTH.match(length) else 0, validator=_validator(response))
        self._check_size(part.total)

    def _receive(self, item: Fetch, response: Response, part: PartialFile) -> None:
        """Append the body of the response to the part. Keeps the bytes that arrive before an interruption."""
        self._report(item, part)
        synced_at, synced = time.monotonic(), part.received
        try:
            for chunk in response.chunks:
                self._check_running(part)
                self._check_size(part.received + len(chunk))
                part.append(chunk)
                if part.received - synced >= _SYNC_BYTES or time.monotonic() - synced_at >= _SYNC_SECONDS:
                    self._report(item, part)
                    synced_at, synced = time.monotonic(), part.received
        finally:
            part.sync()

    def _report(self, item: Fetch, part: PartialFile) -> None:
        """Make the part durable and record the progress. Raises ClaimLost, DiskLow and Stopping."""
        self._check_disk()
        part.sync()
        progress = partial(self._ledger.fetches.progress, item, received=part.received, total=part.total)
        if not retry_until_written(progress, self.stopping):
            raise ClaimLost

    def _check_size(self, size: int) -> None:
        if size > self._settings.max_bytes:
            raise FetchFailed(
                f"the recording is larger than {self._settings.max_bytes} bytes",
                hint="The operator can raise fetch.max_bytes; or upload the recording to the store directly.",
            )


def _validator(response: Response) -> str:
    """Return the value for If-Range: a strong ETag or the time of the last change, or "" if there is neither."""
    etag = response.headers.get("etag", "")
    if etag.startswith('"') and len(etag) <= 1024:
        return etag
    return response.headers.get("last-modified", "")[:100]


class _Guarded(io.RawIOBase):
    """A stream that calls `check` before each read, to end an upload."""

    def __init__(self, stream: BinaryIO, check: Callable[[], None]) -> None:
        super().__init__()
        self._stream = stream
        self._check = check

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self._check()
        return self._stream.read(size)
