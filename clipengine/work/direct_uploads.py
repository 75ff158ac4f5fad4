"""Policy: whether clients may send parts of uploads to the store themselves.

A link of a part signs its length, but no link can sign that a header is missing: with `x-amz-copy-source`, a store may
copy any object that the engine's key can read into the part. The engine therefore tries such a copy before it gives the
first link, and gives none if the store makes it.
"""

from __future__ import annotations

import logging
import threading
import time

from clipengine.errors import StorageError, UploadNotDirect
from clipengine.stores.base import DirectParts, Store

_RECHECK_SECONDS = 600  # after a refusal, because the operator may have denied copies since

log = logging.getLogger(__name__)


class DirectUploads:
    """The parts that clients may send, if `link_seconds` says that they may. Thread-safe."""

    def __init__(self, store: Store, link_seconds: int | None) -> None:
        self._store = store
        self.link_seconds = link_seconds or 0
        self._is_enabled = link_seconds is not None and store.direct is not None
        self._lock = threading.Lock()
        self._is_safe: bool | None = None  # None: not known yet
        self._checked_at = 0.0

    @property
    def parts(self) -> DirectParts | None:
        """The parts, or None if clients may not send them, or if that is not known yet."""
        return self._store.direct if self._is_enabled and self._is_safe else None

    @property
    def is_check_due(self) -> bool:
        """Whether `check` would send requests to the store."""
        is_known = self._is_safe or (self._is_safe is False and time.monotonic() < self._checked_at + _RECHECK_SECONDS)
        return self._is_enabled and not is_known

    def check(self) -> None:
        """Find out whether the store copies, unless that is known. If the store is away, the next call tries again."""
        direct = self._store.direct
        with self._lock:
            if direct is None or not self.is_check_due:
                return
            try:
                self._is_safe = not direct.takes_copies()
            except StorageError as error:
                log.warning("uploads go through the server until the store can be checked: %s", error.message)
                return
            self._checked_at = time.monotonic()
        if not self._is_safe:
            log.error(
                "storage.direct_uploads is off: the store lets clients copy other objects into the parts of their"
                " uploads. Deny s3:PutObject with x-amz-copy-source to the engine's key, see docs/direct-uploads"
            )

    def refusal(self) -> UploadNotDirect:
        """Return the error of a request for links."""
        if self._is_enabled and self._is_safe is False:
            return UploadNotDirect(
                "The store would let clients copy other objects into the parts of their uploads",
                hint="Send the bytes with PATCH. The operator can deny such copies, see docs/direct-uploads.",
            )
        return UploadNotDirect("The parts of this upload cannot be sent to the store directly")
