"""Resource limits that a child inherits from the shell or the unit that started the engine (setrlimit(2)).

A child only lowers its limits, so an inherited limit that is lower than the limit of a job applies instead. If a job
then fails, it is not the fault of the recording.
"""

from __future__ import annotations

import resource

from clipengine.errors import ClipEngineError, LimitTooLow, UnsupportedMedia
from clipengine.media.sandbox.limits import MAX_DESCRIPTORS, JobLimits, soft_limits
from clipengine.work.children.exit_status import CPU_TIME_USED

# The failures that a limit can cause, by their message.
_CAUSES = {
    UnsupportedMedia.out_of_memory().message: (resource.RLIMIT_AS, resource.RLIMIT_DATA),
    UnsupportedMedia.TOO_LARGE: (resource.RLIMIT_FSIZE,),
    CPU_TIME_USED: (resource.RLIMIT_CPU,),
}
# Option and unit of `ulimit`, name in a systemd unit.
_NAMES = {
    resource.RLIMIT_AS: ("-v", 1024, "LimitAS"),
    resource.RLIMIT_DATA: ("-d", 1024, "LimitDATA"),
    resource.RLIMIT_FSIZE: ("-f", 1024, "LimitFSIZE"),
    resource.RLIMIT_CPU: ("-t", 1, "LimitCPU"),
    resource.RLIMIT_NOFILE: ("-n", 1, "LimitNOFILE"),
}


def check_open_files() -> None:
    """Raise LimitTooLow if this process may open fewer files than one child needs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < MAX_DESCRIPTORS:
        raise _too_low(resource.RLIMIT_NOFILE, soft, "the encoder process cannot be started", str(MAX_DESCRIPTORS))


def blamed(error: ClipEngineError, limits: JobLimits) -> ClipEngineError:
    """Return the error of a job, or LimitTooLow if an inherited limit that is lower than the job's has caused it."""
    wanted = soft_limits(limits)
    for which in _CAUSES.get(error.message, ()):
        _, hard = resource.getrlimit(which)  # a child raises the soft limit as far as it needs
        if hard != resource.RLIM_INFINITY and hard < wanted[which]:
            return _too_low(which, hard, "the clip was not cut", "unlimited")
    return error


def _too_low(which: int, value: int, failure: str, enough: str) -> LimitTooLow:
    option, unit, name = _NAMES[which]
    systemd = "infinity" if enough == "unlimited" else enough
    return LimitTooLow(
        f"{failure}: the engine was started with the limit `ulimit {option} {value // unit}`",
        hint=f"Start it with `ulimit {option} {enough}`, or with {name}={systemd} in a systemd unit; then try again.",
    )
