"""Trace context of requests and webhooks."""

from __future__ import annotations

import pytest

from clipengine.tracing import parse_traceparent

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("flags", ["00", "01", "03", "ff"])
def test_traceparent_of_version_00_is_accepted(flags: str) -> None:
    value = f"00-{TRACE}-{PARENT}-{flags}"
    assert parse_traceparent([value]) == value


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01"],
        [f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01"],
        [f"00-{'0' * 32}-{PARENT}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE.upper()}-{PARENT}-01"],
        [f"00-{TRACE[1:]}-{PARENT}-01"],
        [f"00-{TRACE}-{PARENT}0-01"],
        [f"00-{TRACE}-{PARENT}-1"],
        [f"00-{TRACE}-{PARENT}"],
        [f"00-{TRACE}-{PARENT}-01-more"],
        [f"01-{TRACE}-{PARENT}-01"],
        [f"ff-{TRACE}-{PARENT}-01"],
        [f" 00-{TRACE}-{PARENT}-01"],
        [f"00-{TRACE}-{PARENT}-01\n"],
        [f"00-{TRACE.replace('0', '٠')}-{PARENT}-01"],
        ["0" * 100_000],
    ],
    ids=lambda values: values[0][:60] if values else "none",
)
def test_any_other_traceparent_is_ignored(values: list[str]) -> None:
    assert parse_traceparent(values) is None
