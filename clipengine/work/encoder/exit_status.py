"""An encoder child that is gone before its job: why, what that is called, and when its work is tried again."""

from __future__ import annotations

import contextlib
import signal
from typing import Literal

from clipengine.errors import ClipEngineError, DecoderCrashed, DecoderKilled, Timeout, UnsupportedMedia

# What a process does to itself by what it runs. Every other signal was sent by somebody else.
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGILL, signal.SIGBUS, signal.SIGSYS, signal.SIGFPE, signal.SIGTRAP}
)
# The ms before the second and the third attempt. A machine without memory needs time; a recording does not change.
_PAUSES_MS: dict[type[ClipEngineError], tuple[int, ...]] = {
    DecoderCrashed: (500, 500),
    DecoderKilled: (2_000, 10_000),
}
LOST_CHILD = tuple(_PAUSES_MS)
_SUSPENDED_PAUSES_MS = (500, 500)

Cause = Literal["crashed", "killed", "cpu_time", "stopped"]


def exit_cause(code: int | None, *, on_purpose: bool) -> Cause:
    """Why a child ended with this return code (None: it has not); `on_purpose` where this engine has killed it."""
    if on_purpose:
        return "stopped"
    if code == -signal.SIGXCPU:
        return "cpu_time"
    return "killed" if code is not None and code < 0 and -code not in _CRASHES else "crashed"


def exit_error(cause: Cause, code: int | None, *, no_memory: bool) -> ClipEngineError:
    """What a clip or a recording ends with; `no_memory` where the child has said that it got no more."""
    if cause == "cpu_time":
        return Timeout("the encoder used more CPU time than its deadline allows")
    if cause == "stopped":
        return DecoderKilled("the engine has ended the decoder process itself")
    if no_memory:
        return UnsupportedMedia.out_of_memory()
    if cause == "killed":
        return DecoderKilled(f"the decoder process was killed from outside, with {_name(code)}")
    return DecoderCrashed(f"the decoder process ended with {_name(code)}")


def retry_delay_ms(error: ClipEngineError, lost_before: int) -> int | None:
    """Return the ms after which work that lost its child is tried again, None if it is not tried again.

    `lost_before` counts the children that the same work has lost before this one, whatever the cause.
    """
    pauses = _PAUSES_MS.get(type(error), ())
    if isinstance(error, Timeout) and error.suspended:
        pauses = _SUSPENDED_PAUSES_MS
    return pauses[lost_before] if lost_before < len(pauses) else None


def _name(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
