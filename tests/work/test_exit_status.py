"""Exit causes of children, their errors, and the delays of retries."""

from __future__ import annotations

import signal

import pytest

from clipengine.errors import DecoderCrashed, DecoderKilled, DecoderNotStarted, Timeout, UnsupportedMedia
from clipengine.work.children.exit_status import exit_cause, exit_error, retry_delay_ms


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
        (0, "crashed"),  # exited without a result
        (1, "crashed"),
        (None, "crashed"),  # closed its socket but has not ended
    ],
)
def test_exit_code_is_mapped_to_a_cause(code: int | None, cause: str) -> None:
    assert exit_cause(code, on_purpose=False) == cause
    assert exit_cause(code, on_purpose=True) == "stopped"


def test_exit_cause_is_mapped_to_an_error() -> None:
    killed = exit_error("killed", -signal.SIGKILL, no_memory=False, was_ready=True)
    assert isinstance(killed, DecoderKilled)
    assert "SIGKILL" in killed.message
    assert "encoding.threads_per_clip" in killed.hint
    assert killed.to_object()["retryable"] is True
    crashed = exit_error("crashed", -signal.SIGSEGV, no_memory=False, was_ready=True)
    assert isinstance(crashed, DecoderCrashed)
    assert crashed.to_object()["retryable"] is False
    assert isinstance(exit_error("cpu_time", -signal.SIGXCPU, no_memory=True, was_ready=True), Timeout)
    for cause in ("killed", "crashed"):
        assert isinstance(exit_error(cause, -signal.SIGABRT, no_memory=True, was_ready=True), UnsupportedMedia)
    assert isinstance(exit_error("killed", -signal.SIGKILL, no_memory=False, was_ready=False), DecoderKilled)
    unstarted = exit_error("crashed", 1, no_memory=False, was_ready=False)
    assert isinstance(unstarted, DecoderNotStarted)
    assert (unstarted.code, unstarted.retryable) == ("internal", True)


def test_killed_child_is_retried_twice_with_growing_delays() -> None:
    first, second, third = (retry_delay_ms(DecoderKilled("killed"), lost) for lost in range(3))
    assert first is not None
    assert second is not None
    assert first < second
    assert third is None


def test_crashed_child_is_retried_twice_and_a_timeout_is_not_retried() -> None:
    assert [retry_delay_ms(DecoderCrashed("crashed"), lost) is None for lost in range(4)] == [False, False, True, True]
    assert retry_delay_ms(Timeout("too long"), 0) is None


def test_suspended_child_is_retried_twice() -> None:
    suspended = Timeout("no progress", suspended=True)
    assert [retry_delay_ms(suspended, lost) is None for lost in range(4)] == [False, False, True, True]
