"""Choice of the seeker for a recording: in its file, or in its pieces."""

from __future__ import annotations

from collections.abc import Sequence

from clipengine.clips.cut_range import CutRange
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.seeking.chain_seeker import ChainSeeker
from clipengine.media.input.seeking.seek import Seeker
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.piece_seek_index import PieceSeekIndex
from clipengine.recordings.seek_index import KeyframeIndex, SeekIndex

AnySeeker = Seeker | ChainSeeker


def open_seeker(
    reader: MediaReader,
    facts: SourceFacts,
    cut: CutRange,
    *,
    video: bool,
    audio: Sequence[int],
    seek_index: SeekIndex | None = None,
) -> AnySeeker:
    """Return the seeker that yields the packets of a clip from a recording."""
    if isinstance(seek_index, PieceSeekIndex):
        return ChainSeeker(reader, facts, cut, video=video, audio=audio, pieces=seek_index)
    assert seek_index is None or isinstance(seek_index, KeyframeIndex)
    return Seeker(reader, facts, cut, video=video, audio=audio, seek_index=seek_index)
