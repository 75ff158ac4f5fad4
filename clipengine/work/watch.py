"""The watch: what appears under a prefix of the store is registered by itself, once it has stopped growing.

A look lists the prefix and compares it with what was registered before. In a folder the file system's events say when
a look is worth while; everywhere a look comes after `seconds` anyway, so that a lost event loses nothing. It has a
thread of its own and stands back: a look that took long is followed by a longer pause, and while many recordings wait
to be read no further ones are added, so that a request does not wait behind a whole archive.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import watchfiles

from clipengine.clips.discovery import is_recording, is_upload, recording_name
from clipengine.errors import ClipEngineError
from clipengine.ledger.ledger import Ledger
from clipengine.stores.base import Store, StoredObject
from clipengine.timecode import now_ms

log = logging.getLogger(__name__)

_MOST_WAITING = 20  # recordings that are being read while further ones are added
_ROOM_SECONDS = 1.0
_REST = 4.0  # a pause is at least so many times as long as the look before it
_SHORTEST_PAUSE = 1.0
_EVENT_STEP_MS = 200  # between two questions whether to stop


@dataclass(frozen=True)
class _Growing:
    """An object that is not yet old enough, and since when it has looked as it does."""

    etag: str
    since: float


def _matters(change: watchfiles.Change, path: str) -> bool:
    """Whether an event is worth a look. What a new folder had in it already makes no event of its own."""
    return is_recording(path) or (change == watchfiles.Change.added and Path(path).is_dir())


class Watch:
    """`prefixes` of the store are looked at until `stop`. `on_found` is called after something was registered.

    `settle_seconds` is how long an object must not have changed; 0 where objects appear whole (S3). `folder` is where
    the store's keys begin, for events; None where there are none.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        *,
        prefixes: tuple[str, ...],
        rule: str,
        seconds: float,
        settle_seconds: float,
        folder: Path | None,
        on_found: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._prefixes = prefixes
        self._rule = rule
        self._seconds = seconds
        self._settle_seconds = settle_seconds
        self._folder = folder
        self._on_found = on_found
        self._known: dict[str, str] | None = None
        self._growing: dict[str, _Growing] = {}
        self._stopped = threading.Event()
        self._nudged = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="watch", daemon=True)] if prefixes else []
        if prefixes and folder is not None:
            self._threads.append(threading.Thread(target=self._listen, name="watch-events", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> None:
        self._stopped.set()
        self._nudged.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        failing = ""
        while not self._stopped.is_set():
            self._nudged.clear()
            began = time.monotonic()
            try:
                for prefix in self._prefixes:
                    self._look(prefix)
                failing = ""
            except ClipEngineError as error:
                if error.message != failing and not self._stopped.is_set():  # said once, not with every look
                    log.warning("the watch cannot look: %s; it goes on", error.message)
                failing = error.message
            except Exception:
                if not self._stopped.is_set():
                    log.exception("the watch failed; it goes on")
            rest = max(_SHORTEST_PAUSE, _REST * (time.monotonic() - began))
            if not self._stopped.wait(rest):
                self._nudged.wait(max(0.0, self._pause() - rest))

    def _pause(self) -> float:
        """Seconds until the next look is due: sooner where something is about to have settled."""
        first = min((each.since for each in self._growing.values()), default=None)
        if first is None:
            return self._seconds
        return min(self._seconds, max(0.0, first + self._settle_seconds - time.monotonic()))

    def _look(self, prefix: str) -> None:
        if self._known is None:
            self._known = self._ledger.watched.all()
        known = self._known
        seen: set[str] = set()
        settled: list[StoredObject] = []
        for found in self._store.list(prefix):
            if self._stopped.is_set():
                return
            if not is_recording(found.key) or is_upload(found.key):
                continue
            seen.add(found.key)
            if known.get(found.key) == found.etag:
                self._growing.pop(found.key, None)
            elif self._has_settled(found):
                settled.append(found)
        gone = [key for key in known if key.startswith(prefix) and key not in seen]
        self._ledger.watched.forget(gone)
        for key in gone:
            del known[key]
        for key in [key for key in self._growing if key.startswith(prefix) and key not in seen]:
            del self._growing[key]
        for found in self._as_there_is_room(settled):
            self._register(found, known)

    def _has_settled(self, found: StoredObject) -> bool:
        """Whether the object has been as it is for long enough: by its own time, or by what was seen of it."""
        now = time.monotonic()
        growing = self._growing.get(found.key)
        if growing is None or growing.etag != found.etag:
            growing = self._growing[found.key] = _Growing(found.etag, now)
        age = (now_ms() - found.modified) / 1000
        return age >= self._settle_seconds or now - growing.since >= self._settle_seconds

    def _as_there_is_room(self, settled: list[StoredObject]) -> Iterator[StoredObject]:
        for found in settled:
            while self._ledger.recordings.waiting(limit=_MOST_WAITING) >= _MOST_WAITING:
                if self._stopped.wait(_ROOM_SECONDS):
                    return
            if self._stopped.is_set():
                return
            yield found

    def _register(self, found: StoredObject, known: dict[str, str]) -> None:
        with self._ledger.transaction():
            recording, new = self._ledger.recordings.register(
                found.key, etag=found.etag, size=found.size, name=recording_name(found.key, self._rule)
            )
            self._ledger.watched.mark(found.key, found.etag)
        replaced = found.key in known
        known[found.key] = found.etag
        self._growing.pop(found.key, None)
        if new:
            what = "was replaced" if replaced else "appeared"
            log.info("recording %s: %s %s", recording.recording_id, found.key, what)
            self._on_found()

    def _listen(self) -> None:
        """Nudge the watch when something under the prefixes changes; without events the looks alone go on."""
        assert self._folder is not None
        said = False
        while not self._stopped.is_set():
            try:
                for _ in watchfiles.watch(
                    *self._event_folders(),
                    watch_filter=_matters,
                    step=_EVENT_STEP_MS,
                    stop_event=self._stopped,
                    raise_interrupt=False,
                ):
                    self._nudged.set()
            except OSError as error:  # no inotify here, no watches left, the folder has gone
                if not said:
                    log.info("the watch has no events of the file system (%s) and looks from time to time", error)
                said = True
            self._stopped.wait(self._seconds)

    def _event_folders(self) -> list[Path]:
        """The folders that hold the prefixes, or all of the store while one is still to be made."""
        assert self._folder is not None
        folders = {self._folder / prefix.rpartition("/")[0] for prefix in self._prefixes}
        return sorted(folders) if all(each.is_dir() for each in folders) else [self._folder]
