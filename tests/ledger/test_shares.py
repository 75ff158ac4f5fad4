"""Shares in the ledger: found by their token only while they are valid, and deleted with their clip."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import ClipNotComplete, ShareNotFound
from clipengine.ledger.clips import shares as shares_module
from clipengine.ledger.clips.shares import Share
from clipengine.ledger.ledger import Ledger


@pytest.fixture
def clip(ledger: Ledger, queue: Callable[..., Clip], result: ClipResult) -> Clip:
    clip = queue(expires_at=now_ms())
    ledger.clips.claim("me")
    assert ledger.clips.complete(clip.clip_id, 1, result)
    return clip


def _create(ledger: Ledger, clip: Clip, *, expires_at: int | None = None) -> tuple[Share, str]:
    return ledger.shares.create(clip.clip_id, expires_at=expires_at, download=True, embed=False)


def test_share_is_found_by_its_token_until_it_is_deleted(ledger: Ledger, clip: Clip) -> None:
    share, token = _create(ledger, clip)
    other, _ = _create(ledger, clip)
    assert ledger.shares.find(token) == share
    assert [each.share_id for each in ledger.shares.list(clip.clip_id, limit=9).data] == [
        *sorted((share.share_id, other.share_id), reverse=True)
    ]
    for wrong in ("", token[:-1], token + "x", token.swapcase(), f"{token}\n", share.share_id, "é" * 43, "\udcff" * 43):
        assert ledger.shares.find(wrong) is None
    ledger.shares.delete(clip.clip_id, share.share_id)
    assert ledger.shares.find(token) is None
    with pytest.raises(ShareNotFound):
        ledger.shares.delete(clip.clip_id, share.share_id)


def test_expired_share_is_not_found(ledger: Ledger, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    share, token = _create(ledger, clip, expires_at=now_ms() + 60_000)
    assert ledger.shares.find(token) == share
    monkeypatch.setattr(shares_module, "now_ms", lambda: now_ms() + 60_000)
    assert ledger.shares.find(token) is None
    assert [each.expired for each in ledger.shares.list(clip.clip_id, limit=9).data] == [True]


def test_shares_are_deleted_with_their_clip(ledger: Ledger, clip: Clip) -> None:
    _, token = _create(ledger, clip)
    assert ledger.expiry.run(keep_ms=None) == 1
    assert ledger.shares.find(token) is None
    assert ledger.database.run("SELECT COUNT(*) FROM shares") == [(0,)]


def test_unfinished_clip_is_not_shared(ledger: Ledger, queue: Callable[..., Clip]) -> None:
    with pytest.raises(ClipNotComplete):
        _create(ledger, queue())


def test_views_are_counted(ledger: Ledger, clip: Clip) -> None:
    share, token = _create(ledger, clip)
    for _ in range(3):
        ledger.shares.count_view(share.share_id)
    found = ledger.shares.find(token)
    assert found is not None
    assert found.views == 3
    assert found.last_viewed_at is not None
