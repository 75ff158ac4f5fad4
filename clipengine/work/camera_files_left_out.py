"""Files of a camera that are not in the recording of their day: reported, so that nothing disappears silently."""

from __future__ import annotations

import logging

from clipengine.errors import ClipEngineError
from clipengine.ledger.recordings.recordings import Recordings
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.stores.base import Store
from clipengine.stores.folders import files_left_out

log = logging.getLogger(__name__)


def report_left_out(store: Store, recordings: Recordings, recording_id: str, source: FolderSource) -> None:
    """Count the files that a complete recording lacks, and log a warning if there are others than before.

    They were stored after its end, sort before files that were there already, or cannot be read.
    """
    index = recordings.pieces.get(recording_id)
    if index is None:
        return
    try:
        keys = files_left_out(store, source, index)
    except ClipEngineError as error:
        log.warning("recording %s: its folder cannot be compared with it: %s", recording_id, error.message)
        return
    if recordings.set_left_out(recording_id, len(keys)) and keys:
        text = (
            "recording %s: %d files of its folder are not in it, the last of them %s: delete it and register it again"
        )
        log.warning(text, recording_id, len(keys), keys[-1])
