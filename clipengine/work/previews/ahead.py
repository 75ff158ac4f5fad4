"""Previews of new recordings, made before a user opens them.

They are the pieces that the page requests first. One is made at a time, while the engine has nothing else to do: it
ends when a clip or a probe starts, or when a preview that a user waits for needs its place. Previews that were
not made, for example because the engine was stopped, are made on demand. An upload or a fetch leaves a local copy,
which is read instead of a remote store.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction

from clipengine.basis.timecode import exact, now_ms
from clipengine.clips.plan.preview_pyramid import TILE_WIDTH, coarse_filmstrips, whole_waveform
from clipengine.errors import Busy, ClipEngineError, NoMediaInRange, RecordingNotFound
from clipengine.ledger.ledger import Ledger
from clipengine.recordings.recording import Recording
from clipengine.work.previews.previews import Preview, Previews

log = logging.getLogger(__name__)

MAX_RECORDINGS = 100  # in the queue; older ones are dropped
_NEW_MS = 60_000  # later changes of a recording, such as of its name, make nothing
_POLL_SECONDS = 1.0
_PURGE_SECONDS = 60.0
_MAX_TRIES = 5  # of all pieces of one recording: a piece that always takes too long does not run forever


class PreviewsAhead:
    """Makes the coarse previews of recordings when their probe has completed, the newest recording first.

    `is_busy` returns True while the engine does something that must not be delayed.
    """

    def __init__(self, ledger: Ledger, previews: Previews, *, is_busy: Callable[[], bool]) -> None:
        self._ledger = ledger
        self._previews = previews
        self._is_busy = is_busy
        self._changed: deque[tuple[str, int]] = deque(maxlen=MAX_RECORDINGS)
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="previews-ahead", daemon=True)

    def start(self) -> None:
        self._ledger.on_change(self._note)
        self._thread.start()

    def stop(self) -> None:
        """End after the current preview, which `Previews.stop` ends."""
        self._stopped.set()
        self._wake.set()

    def _note(self, kind: str, id: str) -> None:
        if kind == "recording":
            self._changed.append((id, now_ms()))
            self._wake.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(_PURGE_SECONDS)
            self._wake.clear()
            self._previews.copies.purge()
            while self._changed and not self._stopped.is_set():
                id, at = self._changed.pop()
                try:
                    self._make_all(id, at)
                except ClipEngineError as error:
                    log.debug("recording %s: previews are made on demand: %s", id, error.message)
                except Exception:
                    if not self._stopped.is_set():
                        log.exception("recording %s: previews could not be made", id)

    def _make_all(self, id: str, at: int) -> None:
        recording = self._find(id)
        if recording is None or recording.facts is None or at - (recording.completed_at or 0) > _NEW_MS:
            return
        try:
            self._make_wanted(recording)
        finally:
            self._previews.copies.drop(id)

    def _find(self, id: str) -> Recording | None:
        """Return the recording, or None if it was deleted. Delete the copy of one that will have no previews."""
        try:
            recording = self._ledger.recordings.get(id)
        except RecordingNotFound:
            recording = None
        if recording is None or recording.state == "failed":
            self._previews.copies.drop(id)
        return recording

    def _make_wanted(self, recording: Recording) -> None:
        failures = 0
        wanted = deque(preview for preview in self._wanted(recording) if self._previews.find(preview) is None)
        while wanted and not self._stopped.is_set():
            try:
                with contextlib.suppress(NoMediaInRange):
                    self._make(wanted[0])
                wanted.popleft()
            except Busy:
                failures += 1
                if failures == _MAX_TRIES:
                    raise

    def _make(self, preview: Preview) -> None:
        """Make a preview while the engine is idle. Raises Busy if another job replaced it, and errors of previews."""
        while self._is_busy() or (made := self._previews.make_ahead(preview, lambda: not self._is_busy())) is None:
            if self._stopped.wait(_POLL_SECONDS):
                return
            self._previews.copies.purge()
        made.result()

    def _wanted(self, recording: Recording) -> Iterator[Preview]:
        facts = recording.facts
        assert facts is not None
        duration = float(recording.duration_seconds or 0)

        def part(start: float, end: float | None) -> tuple[Fraction, Fraction]:
            return exact(start), facts.duration if end is None else exact(end)

        seek_index = self._ledger.recordings.seek_index(recording.recording_id)
        for start, end, count in coarse_filmstrips(duration) if facts.video else ():
            yield Preview.filmstrip(recording, *part(start, end), count=count, width=TILE_WIDTH, seek_index=seek_index)
            if not facts.seekable:  # each piece reads the recording from its start
                break
        if facts.audio:
            for start, end, count in whole_waveform(duration):
                yield Preview.waveform(recording, *part(start, end), points=count, seek_index=seek_index)
