"""The pieces of recordings of many files in the ledger."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Any

import pytest

from clipengine.ledger.ledger import Ledger
from clipengine.ledger.stored_objects import pieces as pieces_module
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.piece_pages import unpack
from clipengine.recordings.piece_seek_index import PieceSeekIndex
from clipengine.recordings.pieces import ObjectRange, Piece, PieceIndex, Run, Track

pytestmark = pytest.mark.proof

FACTS = SourceFacts(container="pieces", origin=Fraction(0), duration=Fraction(86400))


def a_day() -> PieceIndex:
    """Return 24 hours of segments of 10 s, with the ETags of S3."""
    pieces = []
    for number in range(8640):
        etag = hashlib.md5(str(number).encode()).hexdigest()
        data = ObjectRange(f"egress/room/part_{number:05}.ts", etag, 0, 1_000_000 + number * 7919 % 100_000)
        pieces.append(Piece(data, number * 10_000_000, 10_000_000))
    return PieceIndex([Track("muxed", [Run(0, None, None, pieces, Fraction(-7, 5))])])


def probed(ledger: Ledger, index: PieceIndex, key: str = "egress/room/index.m3u8") -> str:
    recording, _ = ledger.recordings.register(key, etag="e1", size=5)
    probe = ledger.recordings.claim_probe("me")
    assert probe is not None
    assert ledger.recordings.probe_complete(probe, FACTS, etag=index.etag, size=index.counts.bytes, pieces=index)
    return recording.recording_id


def test_pieces_of_a_day_are_kept_in_few_bytes(ledger: Ledger) -> None:
    index = a_day()
    id = probed(ledger, index)
    assert ledger.recordings.pieces.get(id) == index
    recording = ledger.recordings.get(id)
    assert recording.pieces == {"count": 8640, "runs": 1, "tracks": 1, "bytes": index.counts.bytes}
    assert (recording.etag, recording.file_size_bytes) == (index.etag, index.counts.bytes)
    assert isinstance(ledger.recordings.seek_index(id), PieceSeekIndex)
    [(rows, size)] = ledger.database.run("SELECT COUNT(*), SUM(LENGTH(data)) FROM piece_pages")
    assert rows == 34
    assert size < 400_000


def test_index_is_unpacked_once_for_a_clip(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    index, unpacked = a_day(), []
    id, other = probed(ledger, index), probed(ledger, index, "egress/other/index.m3u8")
    monkeypatch.setattr(pieces_module, "unpack", lambda *args: unpacked.append(1) or unpack(*args))
    assert isinstance(ledger.recordings.seek_index(id), PieceSeekIndex)
    assert ledger.recordings.pieces.get(id) == index
    assert len(unpacked) == 1
    assert ledger.recordings.pieces.get(other) == index
    assert len(unpacked) == 2


def test_pinned_etags_replace_those_that_were_read_before(ledger: Ledger) -> None:
    recording_id = probed(ledger, a_day())
    index = ledger.recordings.pieces.get(recording_id)
    assert index is not None
    with ledger.transaction():
        ledger.recordings.pieces.pin(recording_id, {(each.key, each.etag): "closed" for each in index.ranges()})
    pinned = ledger.recordings.pieces.get(recording_id)
    assert pinned is not None
    assert {each.etag for each in pinned.ranges()} == {"closed"}


def test_index_that_is_removed_while_it_is_read_is_none(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a file that was still written is closed, and becomes a recording of one file."""
    pieces, recording_id = ledger.recordings.pieces, probed(ledger, a_day())
    pages = pieces._pages

    def removed(*where: Any) -> Any:
        with ledger.transaction():
            pieces.remove(recording_id)
        return pages(*where)

    monkeypatch.setattr(pieces, "_pages", removed)
    assert pieces.get(recording_id) is None


def test_pieces_are_deleted_with_their_recording(ledger: Ledger) -> None:
    id = probed(ledger, a_day())
    ledger.recordings.delete(id)
    assert ledger.recordings.pieces.get(id) is None
    assert ledger.database.run("SELECT COUNT(*) FROM piece_pages") == [(0,)]


def test_recording_of_one_file_has_no_pieces(ledger: Ledger) -> None:
    recording, _ = ledger.recordings.register("a.mp4", etag="e1", size=5)
    assert recording.pieces is None
    assert ledger.recordings.pieces.get(recording.recording_id) is None
    assert ledger.recordings.seek_index(recording.recording_id) is None
