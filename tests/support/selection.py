"""Which cases of a parametrized test `make test` runs: one for each mechanism. `make test-all` runs all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import pytest

# Films that differ in container, times, codec, picture and sound. Colours, sizes and texts have tests of their own.
TYPICAL_FILMS = frozenset(
    {
        "mp4_bframes",
        "mp4_vfr_gaps",
        "mp4_fragmented_edits",
        "edit_two_parts",
        "audio_gap_webm",
        "audio_only_opus",
        "ts_wraps",
        "still_with_sound",
    }
)
FEW_FILMS = frozenset({"mp4_bframes", "mkv_live_h264", "ts_wraps", "audio_only_opus"})


def cases(values: Iterable[Any], default: Collection[Any] = TYPICAL_FILMS) -> list[Any]:
    """Return the values as parameters of a test; those that are not in `default` are marked `exhaustive`."""
    return [pytest.param(value, marks=() if value in default else pytest.mark.exhaustive) for value in values]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the variants of a test beyond the first ones that `typical` names as exhaustive."""
    seen: Counter[str] = Counter()
    for item in items:
        if item.get_closest_marker("exhaustive"):  # as a value of `cases`
            continue
        if (typical := item.get_closest_marker("typical")) is not None:
            function = item.nodeid.partition("[")[0]
            seen[function] += 1
            if seen[function] > typical.args[0]:
                item.add_marker(pytest.mark.exhaustive)
