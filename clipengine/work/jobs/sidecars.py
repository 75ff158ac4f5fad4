"""Sidecars: transcripts and markers beside a recording in the store, as `talk.en.srt` and `talk.markers.json`.

They are read when the recording `talk.mp4` is probed, and by the watch when they appear or change later. A transcript
that was put through the API is never replaced; markers are only added.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from itertools import islice

from clipengine.basis.documents import ReadDocument, read_here
from clipengine.clips.texts.language_tags import language_in_name
from clipengine.clips.texts.text_documents import TRANSCRIPT
from clipengine.clips.texts.transcript_file import MAX_TRANSCRIPT_BYTES
from clipengine.errors import (
    InvalidRequest,
    ObjectChanged,
    ObjectMissing,
    RecordingNotFound,
    StorageDenied,
)
from clipengine.ingest.markers import MAX_FILE_BYTES, markers_of_file
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.texts.transcripts import MAX_TRANSCRIPTS
from clipengine.recordings.discovery import belongs_to, is_marker_file, sidecar_prefix
from clipengine.recordings.markers import MAX_ADDED
from clipengine.recordings.recording import Recording
from clipengine.stores.base import Store, StoredObject

log = logging.getLogger(__name__)

_MAX_LISTED = 1000  # objects whose keys begin like the recording's


class Sidecars:
    def __init__(self, ledger: Ledger, store: Store, *, read: ReadDocument = read_here) -> None:
        self._ledger = ledger
        self._store = store
        self._read = read

    def attach_all(self, recording: Recording) -> None:
        """Read all sidecars of a recording. One that cannot be read is logged. Raises StorageUnavailable."""
        try:
            listed = islice(self._store.list(sidecar_prefix(recording.bucket_path)), _MAX_LISTED)
            found = [each for each in listed if belongs_to(each.key, recording.bucket_path)]
        except StorageDenied as error:
            log.info("recording %s: its sidecars are not listed: %s", recording.recording_id, error.message)
            return
        markers = [each for each in found if is_marker_file(each.key)]
        texts = _preferred(each for each in found if not is_marker_file(each.key))
        for each in [*texts[:MAX_TRANSCRIPTS], *markers]:
            self.attach(each, recording)

    def attach(self, found: StoredObject, recording: Recording) -> None:
        """Read one sidecar of a recording, unless it was read before. Raises the errors of the store."""
        attach = self._attach_markers if is_marker_file(found.key) else self._attach_transcript
        try:
            attach(found, recording)
        except (InvalidRequest, RecordingNotFound, ObjectChanged, ObjectMissing) as error:
            log.warning(
                "recording %s: the sidecar %s is not used: %s", recording.recording_id, found.key, error.message
            )

    def _attach_markers(self, found: StoredObject, recording: Recording) -> None:
        markers, left_out = markers_of_file(self._bytes(found, MAX_FILE_BYTES))
        if left_out:
            values = recording.recording_id, len(left_out), found.key, left_out[0]
            log.warning("recording %s: %d markers of %s are left out: %s", *values)
        for first in range(0, len(markers), MAX_ADDED):
            added = self._ledger.markers.add(recording.recording_id, markers[first : first + MAX_ADDED])
            log.info("recording %s: %d new markers from %s", recording.recording_id, added, found.key)

    def _attach_transcript(self, found: StoredObject, recording: Recording) -> None:
        language = language_in_name(found.key.rpartition("/")[2])
        known = self._ledger.transcripts.find(recording.recording_id, language)
        if known is not None and (known.source == "upload" or known.etag == found.etag):
            return
        body = self._bytes(found, MAX_TRANSCRIPT_BYTES)
        cues = self._read(TRANSCRIPT, body, kind="srt" if found.key.lower().endswith(".srt") else "vtt")
        self._ledger.transcripts.put(recording.recording_id, language, cues, source="sidecar", etag=found.etag)
        log.info("recording %s: transcript %s from %s", recording.recording_id, language, found.key)

    def _bytes(self, found: StoredObject, most: int) -> bytes:
        """Return the bytes of a sidecar. Raises InvalidRequest for more than `most`, and the errors of the store."""
        if found.size > most:
            raise InvalidRequest(f"it has more than {most} bytes")
        with closing(self._store.open(found.key, etag=found.etag)) as reader:
            return reader.read_at(0, most)


def _preferred(found: Iterable[StoredObject]) -> list[StoredObject]:
    """Return one object for each language: WebVTT rather than SubRip."""
    chosen: dict[str, StoredObject] = {}
    for each in sorted(found, key=lambda each: (each.key.lower().endswith(".vtt"), each.key)):
        chosen[language_in_name(each.key.rpartition("/")[2])] = each
    return list(chosen.values())
