"""Probe of a local recording: a file, or a playlist with its pieces."""

from __future__ import annotations

from typing import Any, NamedTuple

from clipengine.clips.texts.subtitles import TextTrack
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.playlist import LARGEST, VariantChoice
from clipengine.recordings.seek_index import SeekIndex
from clipengine.recordings.timeline.clock import Clock
from clipengine.stores.base import ObjectReader, Store
from clipengine.stores.playlists import names_pieces
from clipengine.work.children.jobs import Job, Message, probe_result, probe_texts
from clipengine.work.children.process import Child
from clipengine.work.jobs.folder_probe import read_folder_facts
from clipengine.work.jobs.piece_probe import read_piece_facts


class LocalProbe(NamedTuple):
    """The facts of a recording, and the reader of its file or of its pieces."""

    facts: SourceFacts
    seek_index: SeekIndex | None
    texts: list[TextTrack]
    reader: ObjectReader
    gaps: list[dict[str, Any]] | None = None
    clock: Clock | None = None


def probe_local(
    store: Store,
    source: ObjectReader | FolderSource,
    job: Job,
    encoder: Child,
    variant: VariantChoice = LARGEST,
    *,
    base_url: str = "",
) -> LocalProbe:
    """Probe the recording whose file or playlist is open, or that is in a folder. The encoder is kept for a cut.

    URLs of the playlist that begin with `base_url`, unless it is empty, name objects of the store. Raises
    RecordingError.
    """

    def run(job: Job, pieces: ObjectReader) -> Message:
        return encoder.run(job, pieces, watch=lambda message: None, keep=True)[0]

    if isinstance(source, FolderSource):
        probed = read_folder_facts(store, source, job, run)
    elif names_pieces(source):
        probed = read_piece_facts(store, source, variant, job, run, base_url=base_url)
    else:
        found, embedded = encoder.run(job, source, watch=lambda message: None, keep=True)
        return LocalProbe(*probe_result(found), probe_texts(embedded), source)
    gaps = [gap.to_object() for gap in probed.index.gaps]
    return LocalProbe(probed.facts, probed.seek_index, probed.texts, probed.reader, gaps, probed.clock)
