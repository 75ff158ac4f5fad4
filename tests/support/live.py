"""Recordings that are still written, in a ledger."""

from __future__ import annotations

from fractions import Fraction

from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.live import Added, Refresh
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.pieces import MICROSECONDS, ObjectRange, Piece, PieceIndex, Run, Track
from clipengine.recordings.recording import RecordingSpec
from clipengine.recordings.timeline.growing import GrowingTrack, Growth
from clipengine.recordings.timeline.run_placing import Extent
from tests.support.api import FACTS

SECONDS = 4  # of a piece
LAG = Fraction(1, 10)  # of the safe end


def facts(seconds: Fraction | int) -> SourceFacts:
    return FACTS.model_copy(update={"container": "pieces", "duration": Fraction(seconds)})


def index_of(first: int, count: int) -> PieceIndex:
    numbers = range(first, first + count)
    length = SECONDS * MICROSECONDS
    pieces = [Piece(ObjectRange(f"live/{each}.ts", f"e{each}", 0, 1000), each * length, length) for each in numbers]
    return PieceIndex([Track("muxed", [Run(0, None, None, pieces)])])


def growth_of(count: int) -> Growth:
    end = Fraction(SECONDS * count)
    last = Extent(end - SECONDS, end, end - SECONDS, end, end - LAG)
    return Growth((GrowingTrack("live/index.m3u8", count, last),), end - LAG, end, Fraction(SECONDS))


def written(ledger: Ledger, key: str = "live/index.m3u8", *, count: int = 10) -> str:
    """Create a recording that is still written, of so many pieces of 4 seconds, and return its id."""
    recording, _ = ledger.recordings.register(key, RecordingSpec(live=True), etag="e", size=5)
    probe = ledger.recordings.claim_probe("me")
    assert probe is not None
    index, growth = index_of(0, count), growth_of(count)
    found = {"etag": index.etag, "size": index.counts.bytes, "pieces": index, "growth": growth}
    assert ledger.recordings.probe_complete(probe, facts(growth.safe_end), **found)
    return recording.recording_id


def refreshed(ledger: Ledger, owner: str = "me") -> Refresh:
    """Claim the refresh that is due."""
    refresh = ledger.live.claim(owner)
    assert refresh is not None
    return refresh


def added(before: int, count: int, *, ended: bool = False) -> Added:
    """Return what makes a recording of `before` pieces one of `count` pieces."""
    growth = growth_of(count)
    return Added(index_of(before - 1, count - before + 1), growth, facts(growth.end if ended else growth.safe_end))
