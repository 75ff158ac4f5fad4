"""Shares of callers."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from clipengine.errors import Busy, RateLimited
from clipengine.limits.shares import LIMITS, Limited, Shares, check_share


@pytest.mark.parametrize("kind", [kind for kind, limit in LIMITS.items() if limit.of_caller is not None])
def test_caller_has_at_most_its_share_and_others_have_theirs(kind: Limited) -> None:
    most = LIMITS[kind].of_caller or 0
    shares = Shares()
    with ExitStack() as held:
        for _ in range(most):
            held.enter_context(shares.one_more("greedy", kind))
        with pytest.raises(RateLimited), shares.one_more("greedy", kind):
            pass
        held.enter_context(shares.one_more("modest", kind))
        assert shares.used(kind) == most + 1
    assert shares.used(kind) == 0


@pytest.mark.parametrize("kind", [kind for kind, limit in LIMITS.items() if limit.of_all is not None])
def test_caller_without_any_is_busy_if_others_have_all(kind: Limited) -> None:
    with pytest.raises(Busy) as caught:
        check_share(kind, held=0, used=LIMITS[kind].of_all or 0)
    assert not isinstance(caught.value, RateLimited)
    assert caught.value.retry_after == LIMITS[kind].retry_after


def test_caller_without_an_own_limit_leaves_as_many_as_it_has() -> None:
    check_share("uploads", held=7, used=7)
    with pytest.raises(RateLimited):
        check_share("uploads", held=8, used=8)
    check_share("uploads", held=2, used=12)
    with pytest.raises(RateLimited):
        check_share("uploads", held=4, used=12)
