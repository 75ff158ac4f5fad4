"""Registration of recordings that appear under the watched prefixes of the store.

A scan lists each prefix and compares it with the objects that were registered before. Scans run periodically, and in
a folder store also after events of the file system. A slow scan is followed by a longer pause, and while many
recordings wait for their probe no more are registered, so that requests do not wait behind a whole archive.

Files that a rule of the settings owns are not registered one by one: the files of a camera and a day are one recording,
which grows by itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import watchfiles

from clipengine.basis.budget import Allowance
from clipengine.basis.documents import ReadDocument, read_here
from clipengine.basis.timecode import now_ms
from clipengine.errors import ClipEngineError, TooManyPieces
from clipengine.ingest.jibri import described
from clipengine.ledger.ledger import Ledger
from clipengine.recordings.discovery import (
    belongs_to,
    is_playlist,
    is_recording,
    is_segment,
    is_sidecar,
    is_upload,
    recording_name,
    sidecar_prefix,
)
from clipengine.recordings.file_name_pattern import UNREAD
from clipengine.recordings.folder_rules import FolderRules, RuledFolder
from clipengine.recordings.recording import RecordingSpec
from clipengine.stores.base import Store, StoredObject
from clipengine.work.camera_files_left_out import report_left_out
from clipengine.work.jobs.sidecars import Sidecars
from clipengine.work.recording_files import recognise
from clipengine.work.upkeep.skipped_objects import SkippedObjects
from clipengine.work.upkeep.watched_playlists import WatchedPlaylists

log = logging.getLogger(__name__)

_MAX_FOLDERS = 50_000  # of cameras and days that are not registered yet, in one scan
_MAX_DAYS = 10_000  # of them, of one camera
_MAX_UNPROBED = 20  # registered recordings that wait for their probe
_RECHECK_SECONDS = 1.0
_PAUSE_FACTOR = 4.0  # the pause after a scan is at least this many times as long as the scan
_MIN_PAUSE_SECONDS = 1.0
_SEGMENT_SECONDS = 30.0
_EVENT_STEP_MS = 200  # how often watchfiles checks its stop event


_Registered = TypeVar("_Registered")


@dataclass(frozen=True)
class _Unsettled:
    """An object that may still be growing, and the time at which it is settled if its ETag stays."""

    etag: str
    settles: float


@dataclass(frozen=True)
class _CameraFolder:
    """The files of a folder that a scan has found: their number, their bytes, and when the newest was stored."""

    folder: RuledFolder
    count: int
    size: int
    modified: int

    def with_file(self, found: StoredObject) -> _CameraFolder:
        if not found.size:  # it was just created
            return self
        return replace(
            self, count=self.count + 1, size=self.size + found.size, modified=max(self.modified, found.modified)
        )

    @property
    def is_over(self) -> bool:
        day_ends = self.folder.source.day_ends
        return day_ends is not None and now_ms() >= day_ends

    def as_object(self) -> StoredObject:
        """Return an entry that changes with each file. Files of a past day are copied, and may keep their times."""
        modified = now_ms() if self.is_over else self.modified
        return StoredObject(self.folder.key, self.size, f"{self.count} {self.modified}", modified)


class _Cameras:
    """The folders of cameras that a scan has found. Those that are `known` are not limited in their number."""

    def __init__(self, known: Container[str]) -> None:
        self.found: dict[str, _CameraFolder] = {}
        self._known = known
        self._all = Allowance(_MAX_FOLDERS, "folders of cameras that are new", of="the store", refusal=TooManyPieces)
        self._days: dict[tuple[str, str | None], Allowance] = {}

    def add(self, folder: RuledFolder, found: StoredObject) -> None:
        """Add a file. Raises TooManyPieces for one of a folder beyond the limits."""
        camera = self.found.get(folder.key)
        if camera is None:
            if folder.key not in self._known:
                self._spend(folder)
            camera = _CameraFolder(folder, 0, 0, 0)
        self.found[folder.key] = camera.with_file(found)

    def _spend(self, folder: RuledFolder) -> None:
        source = folder.source
        own = (source.folder, source.camera)
        self._all.spend()
        if own not in self._days:
            name = f"the camera {source.camera!r}"
            self._days[own] = Allowance(_MAX_DAYS, "days that are new", of=name, refusal=TooManyPieces)
        self._days[own].spend()


class _Listing(NamedTuple):
    files: dict[str, StoredObject]
    playlists: dict[str, StoredObject]
    sidecars: list[StoredObject]
    cameras: dict[str, _CameraFolder]


class Watch:
    """Scans the `prefixes` of the store, and the folders of the rules `folders`, until `stop`.

    An object must not have changed for `settle_seconds`: 0 for S3, where objects appear complete. `folder` is the root
    of a folder store, whose events cause scans, or None. With `live`, playlists that are still written are registered.
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
        playlist_base_url: str = "",
        live: bool = False,
        folders: FolderRules | None = None,
        read: ReadDocument = read_here,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._prefixes = prefixes
        self._folders = folders or FolderRules()
        self._scanned = _outermost([*prefixes, *self._folders.folders])
        self._rule = rule
        self._seconds = seconds
        self._settle_seconds = settle_seconds
        self._folder = folder
        self._known: dict[str, str] | None = None
        self._unsettled: dict[str, _Unsettled] = {}
        self._compared: dict[str, dict[str, int]] = {}  # by prefix: files of each camera's folder
        self._playlists = WatchedPlaylists(
            store, base_url=playlist_base_url, trusts_times=folder is None, live=live, read=read
        )
        self._sidecars = Sidecars(ledger, store, read=read)
        self._attached: dict[str, tuple[str, str]] = {}  # ETag of a sidecar and id of its recording, by key
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._skipped = SkippedObjects()
        self._unread: set[str] = set()  # folders that the last scan of a prefix could not list
        self._threads = [threading.Thread(target=self._run, name="watch", daemon=True)] if self._scanned else []
        if self._scanned and folder is not None:
            self._threads.append(threading.Thread(target=self._listen, name="watch-events", daemon=True))

    @property
    def left_out(self) -> int:
        """The number of objects and folders that the last scans could not understand or read."""
        return self._skipped.count

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> None:
        self._stopped.set()
        self._wake.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        failing: dict[str, str] = {}
        while not self._stopped.is_set():
            self._wake.clear()
            began = time.monotonic()
            for prefix in self._scanned:
                message = self._scan_alone(prefix)
                if message and message not in failing.values():  # logged once, not for each scan and each prefix
                    log.warning("the watch cannot scan the store and retries: %s", message)
                failing[prefix] = message
            rest = max(_MIN_PAUSE_SECONDS, _PAUSE_FACTOR * (time.monotonic() - began))
            if not self._stopped.wait(rest):
                self._wake.wait(max(0.0, self._pause() - rest))

    def _scan_alone(self, prefix: str) -> str:
        """Scan a prefix, and return the error, if there is one. Others are scanned all the same."""
        try:
            with self._skipped.scan(prefix):
                self._scan(prefix)
        except ClipEngineError as error:
            return "" if self._stopped.is_set() else error.message
        except Exception:
            if not self._stopped.is_set():
                log.exception("the watch of %r failed and is repeated", prefix)
        return ""

    def _pause(self) -> float:
        """Return the seconds until the next scan, which is sooner if an object is about to settle."""
        first = min((each.settles for each in self._unsettled.values()), default=None)
        if first is None:
            return self._seconds
        return min(self._seconds, max(0.0, first - time.monotonic()))

    def _scan(self, prefix: str) -> None:
        if self._known is None:
            self._known = self._ledger.watched.all()
        known = self._known
        found = self._list(prefix, known)
        if self._stopped.is_set():
            return
        sidecars, cameras = found.sidecars, found.cameras
        listed = self._playlists.recordings(prefix, found.files, found.playlists, known)
        for playlist, count in self._playlists.hidden(found.files, listed):
            self._skipped.add(playlist, f"it cannot be read, and {count} files beside it may belong to it", count)
        self._forget_missing(prefix, {*listed, *cameras, *(each.key for each in sidecars)}, known)
        new = (each for key, each in cameras.items() if key not in known and each.count)
        for camera in self._throttled(sorted(new, key=lambda each: each.modified, reverse=True)):
            with self._skipped.alone(camera.folder.key):
                self._register_camera(camera, known)
        self._report_left_out(prefix, cameras, known)
        for each in self._throttled(self._settled(listed.values(), known)):
            with self._skipped.alone(each.key):
                self._register(each, known)
        self._attach(prefix, sidecars, listed)

    def _list(self, prefix: str, known: Container[str]) -> _Listing:
        """Return the objects below a prefix by kind. Of files of cameras, only their folders are kept."""
        listing, cameras = _Listing({}, {}, [], {}), _Cameras(known)
        self._unread = set()
        for found in self._store.list(prefix, skipped=self._skip):
            if self._stopped.is_set():
                break
            with self._skipped.alone(found.key):
                self._sort(found, listing, cameras)
        listing.cameras.update(cameras.found)
        return listing

    def _skip(self, key: str, reason: str) -> None:
        self._skipped.add(key, reason)
        if key.endswith("/"):
            self._unread.add(key)

    def _sort(self, found: StoredObject, listing: _Listing, cameras: _Cameras) -> None:
        if (owner := self._folders.owner(found.key)) is not None:
            cameras.add(owner, found)
        elif not found.key.startswith(self._prefixes):
            if (reason := self._folders.misfit(found.key)) is not None:
                self._skipped.add(found.key, reason)
        elif is_recording(found.key) and not is_upload(found.key):
            listing.files[found.key] = found
        elif is_sidecar(found.key):
            listing.sidecars.append(found)
        elif is_playlist(found.key):
            listing.playlists[found.key] = found

    def _attach(self, prefix: str, sidecars: Iterable[StoredObject], listed: Mapping[str, StoredObject]) -> None:
        """Read the sidecars that appeared or changed after the probe of their recording had read sidecars."""
        by_stem = {sidecar_prefix(key): key for key in listed}
        attached = {key: each for key, each in self._attached.items() if not key.startswith(prefix)}
        for found in sidecars:
            stem = found.key.rpartition(".")[0]
            key = by_stem.get(f"{stem}.") or by_stem.get(f"{stem.rpartition('.')[0]}.")
            recording = None if key is None else self._ledger.recordings.find(key, listed[key].etag)
            if recording is None or not belongs_to(found.key, recording.bucket_path):
                continue
            this = (found.etag, recording.recording_id)
            if self._attached.get(found.key) != this:
                if not self._has_settled(found):
                    continue
                with self._skipped.alone(found.key):
                    self._sidecars.attach(found, recording)
                self._unsettled.pop(found.key, None)
            attached[found.key] = this
        self._attached = attached

    def _settled(self, listed: Iterable[StoredObject], known: Mapping[str, str]) -> list[StoredObject]:
        """Return the objects that are new or changed, and no longer growing."""
        settled = []
        for found in listed:
            if known.get(found.key) == found.etag:
                self._unsettled.pop(found.key, None)
            elif self._playlists.is_written(found.key) or self._has_settled(found):
                settled.append(found)
        return settled

    def _forget_missing(self, prefix: str, listed: Container[str], known: dict[str, str]) -> None:
        def missing(keys: Iterable[str]) -> list[str]:
            unread = tuple(self._unread)
            return [key for key in keys if key.startswith(prefix) and key not in listed and not key.startswith(unread)]

        deleted = missing(known)
        self._ledger.watched.forget(deleted)
        for key in deleted:
            del known[key]
        for key in missing(self._unsettled):
            del self._unsettled[key]

    def _has_settled(self, found: StoredObject) -> bool:
        """Return True if the object has not changed for `settle_seconds`, by its mtime or since it was first seen."""
        now, needed = time.monotonic(), self._seconds_to_settle(found)
        unsettled = self._unsettled.get(found.key)
        if unsettled is None or unsettled.etag != found.etag:
            unsettled = self._unsettled[found.key] = _Unsettled(found.etag, now + needed)
        return (now_ms() - found.modified) / 1000 >= needed or now >= unsettled.settles

    def _seconds_to_settle(self, found: StoredObject) -> float:
        """Return how long an object must not have changed. A segment appears before the playlist that names it."""
        return max(self._settle_seconds, _SEGMENT_SECONDS) if is_segment(found.key) else self._settle_seconds

    def _register_camera(self, camera: _CameraFolder, known: dict[str, str]) -> None:
        """Register a folder in which a file is complete. The recording itself adds later files."""
        folder, is_growing = camera.folder, camera.count > 1 and not camera.is_over
        if not is_growing and not self._has_settled(camera.as_object()):
            return
        with self._ledger.transaction():
            recording, new = self._ledger.recordings.register_folder(
                folder.source, RecordingSpec(series=folder.series, live=True), retry_failed=False
            )
            self._ledger.watched.mark(folder.key, UNREAD)
        known[folder.key] = UNREAD
        self._unsettled.pop(folder.key, None)
        if new:
            log.info("recording %s: %s appeared", recording.recording_id, folder.key)

    def _report_left_out(self, prefix: str, cameras: Mapping[str, _CameraFolder], known: Mapping[str, str]) -> None:
        """Report files that were stored after the end of their recording, once for each change of a folder."""
        compared, self._compared[prefix] = self._compared.get(prefix, {}), {}
        for key, camera in cameras.items():
            if compared.get(key) != camera.count and key in known:
                recording = self._ledger.recordings.find_folder(camera.folder.source)
                if recording is None or recording.state != "complete":
                    continue
                pieces = recording.pieces or {}
                if camera.count != pieces.get("count", 0) + pieces.get("left_out", 0):
                    report_left_out(self._store, self._ledger.recordings, recording.recording_id, camera.folder.source)
            self._compared[prefix][key] = camera.count

    def _throttled(self, settled: list[_Registered]) -> Iterator[_Registered]:
        for found in settled:
            while self._ledger.recordings.waiting(limit=_MAX_UNPROBED) >= _MAX_UNPROBED:
                if self._stopped.wait(_RECHECK_SECONDS):
                    return
            if self._stopped.is_set():
                return
            yield found

    def _register(self, found: StoredObject, known: dict[str, str]) -> None:
        recognise(self._store, self._ledger.recordings, found)
        name, metadata = described(self._store, found.key, None, {})
        name = name or recording_name(found.key, self._rule)
        is_written = self._playlists.is_written(found.key)
        with self._ledger.transaction():
            recording, new = self._ledger.recordings.register(
                found.key,
                RecordingSpec(name=name, metadata=metadata, live=is_written),
                etag=found.etag,
                size=found.size,
                retry_failed=not is_written,
            )
            self._ledger.watched.mark(found.key, found.etag)
        replaced = found.key in known
        known[found.key] = found.etag
        self._unsettled.pop(found.key, None)
        if new:
            change = "was replaced" if replaced else "appeared"
            log.info("recording %s: %s %s", recording.recording_id, found.key, change)

    def _listen(self) -> None:
        """Start a scan after each relevant event. If events are unavailable, only the periodic scans remain."""
        assert self._folder is not None
        logged = False
        while not self._stopped.is_set():
            try:
                for _ in watchfiles.watch(
                    *self._event_folders(),
                    watch_filter=self._is_relevant,
                    step=_EVENT_STEP_MS,
                    stop_event=self._stopped,
                    raise_interrupt=False,
                ):
                    self._wake.set()
            except OSError as error:  # no inotify, no watches left, or the folder is missing
                if not logged:
                    log.info("the watch gets no events of the file system (%s) and scans periodically only", error)
                logged = True
            self._stopped.wait(self._seconds)

    def _is_relevant(self, change: watchfiles.Change, path: str) -> bool:
        """Return True if an event requires a scan. The files that a new folder already contains cause no events."""
        owner = self._folders.owner(path[len(str(self._folder)) + 1 :])
        if owner is not None:  # cameras write all the time
            return owner.key not in (self._known or {})
        is_folder = change == watchfiles.Change.added and Path(path).is_dir()
        return is_recording(path) or is_sidecar(path) or is_playlist(path) or is_folder

    def _event_folders(self) -> list[Path]:
        """Return the folders of the prefixes, or the root of the store if one of them does not exist yet."""
        assert self._folder is not None
        folders = {self._folder / prefix.rpartition("/")[0] for prefix in self._scanned}
        return sorted(folders) if all(each.is_dir() for each in folders) else [self._folder]


def _outermost(prefixes: Iterable[str]) -> list[str]:
    """Return the prefixes without prefixes that begin with another one."""
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept
