"""Exit status of a child that ended before its job: the cause, the error, and the delay of the retry."""

from __future__ import annotations

import contextlib
import signal
from typing import Literal

from clipengine.errors import (
    ClipEngineError,
    DecoderCrashed,
    DecoderKilled,
    DecoderNotStarted,
    Timeout,
    UnsupportedMedia,
)

# Signals caused by the code of the child itself. All others were sent by another process.
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGBUS, signal.SIGSYS, signal.SIGFPE, signal.SIGTRAP}
)
# The delays before the second and the third attempt. After a kill, the machine may need time to free memory.
_DELAYS_MS: dict[type[ClipEngineError], tuple[int, ...]] = {
    DecoderCrashed: (500, 500),
    DecoderKilled: (2_000, 10_000),
}
LOST_CHILD: tuple[type[ClipEngineError], ...] = (*_DELAYS_MS, DecoderNotStarted)
_SUSPENDED_DELAYS_MS = (500, 500)
CPU_TIME_USED = "the encoder used more CPU time than its deadline allows"

Cause = Literal["crashed", "killed", "cpu_time", "stopped"]


def exit_cause(code: int | None, *, on_purpose: bool) -> Cause:
    """Return why a child ended with this return code (None: it has not ended). `on_purpose`: the engine killed it."""
    if on_purpose:
        return "stopped"
    if code == -signal.SIGXCPU:
        return "cpu_time"
    return "killed" if code is not None and code < 0 and -code not in _CRASHES else "crashed"


def exit_error(cause: Cause, code: int | None, *, no_memory: bool, was_ready: bool) -> ClipEngineError:
    """Return the error of a job whose child ended.

    `no_memory`: the child reported that an allocation failed. `was_ready`: it had reported that it was ready for jobs;
    until then, the recording cannot be the cause.
    """
    if cause == "cpu_time":
        return Timeout(CPU_TIME_USED)
    if cause == "stopped":
        return DecoderKilled("the engine ended the decoder process")
    if no_memory:
        return UnsupportedMedia.out_of_memory()
    if cause == "killed":
        return DecoderKilled(f"the decoder process was killed from outside, with {_name(code)}")
    if not was_ready:
        return DecoderNotStarted(f"the decoder process could not be started: it ended with {_name(code)}")
    return DecoderCrashed(f"the decoder process ended with {_name(code)}")


def retry_delay_ms(error: ClipEngineError, lost_before: int) -> int | None:
    """Return the delay in ms before the retry of a job that lost its child, or None if it is not retried.

    `lost_before` is the number of children that earlier attempts lost, for any cause.
    """
    delays = _DELAYS_MS.get(type(error), ())
    if isinstance(error, Timeout) and error.suspended:
        delays = _SUSPENDED_DELAYS_MS
    return delays[lost_before] if lost_before < len(delays) else None


def _name(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return "an unknown exit code" if code is None else f"exit code {code}"
