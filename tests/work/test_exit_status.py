"""Why a child was lost, what that is called, and when its work is tried again."""

from __future__ import annotations

import signal

import pytest

from clipengine.errors import DecoderCrashed, DecoderKilled, Timeout, UnsupportedMedia
from clipengine.work.encoder.exit_status import exit_cause, exit_error, retry_delay_ms


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (-signal.SIGKILL, "killed"),
        (-signal.SIGTERM, "killed"),
        (-signal.SIGHUP, "killed"),
        (-signal.SIGSEGV, "crashed"),
        (-signal.SIGABRT, "crashed"),
        (-signal.SIGILL, "crashed"),
        (-signal.SIGBUS, "crashed"),
        (-signal.SIGSYS, "crashed"),
        (-signal.SIGFPE, "crashed"),
        (-signal.SIGXCPU, "cpu_time"),
        (0, "crashed"),  # it ended by itself, without a result
        (1, "crashed"),
        (None, "crashed"),  # it says no more and has not ended
    ],
)
def test_each_end_has_its_cause(code: int | None, cause: str) -> None:
    assert exit_cause(code, on_purpose=False) == cause
    assert exit_cause(code, on_purpose=True) == "stopped"


def test_each_cause_has_its_error() -> None:
    killed = exit_error("killed", -signal.SIGKILL, no_memory=False)
    assert isinstance(killed, DecoderKilled)
    assert "SIGKILL" in killed.message
    assert "encoding.memory_mb" in killed.hint
    assert killed.to_object()["retryable"] is True
    crashed = exit_error("crashed", -signal.SIGSEGV, no_memory=False)
    assert isinstance(crashed, DecoderCrashed)
    assert crashed.to_object()["retryable"] is False
    assert isinstance(exit_error("cpu_time", -signal.SIGXCPU, no_memory=True), Timeout)
    for cause in ("killed", "crashed"):
        assert isinstance(exit_error(cause, -signal.SIGABRT, no_memory=True), UnsupportedMedia)


def test_what_was_killed_is_tried_twice_more_ever_later() -> None:
    first, second, third = (retry_delay_ms(DecoderKilled("killed"), lost) for lost in range(3))
    assert first is not None
    assert second is not None
    assert first < second
    assert third is None


def test_what_crashed_is_tried_twice_more_and_nothing_else_ever() -> None:
    assert [retry_delay_ms(DecoderCrashed("crashed"), lost) is None for lost in range(4)] == [False, False, True, True]
    assert retry_delay_ms(Timeout("too long"), 0) is None


def test_work_whose_child_was_suspended_is_tried_twice_more() -> None:
    suspended = Timeout("no progress", suspended=True)
    assert [retry_delay_ms(suspended, lost) is None for lost in range(4)] == [False, False, True, True]
