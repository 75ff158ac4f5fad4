"""Long polling for the end of a clip or a recording."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from clipengine.client.errors import WaitTimeout
from clipengine.client.exchange import Api, Steps
from clipengine.client.models import Object

_MAX_WAIT = 25  # seconds of one `?wait=`, less than the usual timeout of proxies
_PROGRESS_SECONDS = 0.5


class _Endable(Protocol):
    @property
    def ended(self) -> bool: ...


E = TypeVar("E", bound=_Endable)


def wait_until_ended(
    api: Api,
    path: str,
    make: Callable[[Object], E],
    *,
    timeout: float | None,
    on_progress: Callable[[E], None] | None = None,
) -> Steps[E]:
    """Wait until the clip or recording at `path` has ended and return it. Raises WaitTimeout.

    If `on_progress` is given, it is called with the current state twice a second.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _MAX_WAIT if deadline is None else min(_MAX_WAIT, max(0.0, deadline - time.monotonic()))
        seconds = min(left, _PROGRESS_SECONDS) if on_progress else left
        found = make((yield from api.get(path, {"wait": f"{seconds:.3f}"}, extra_time=seconds)))
        if on_progress:
            on_progress(found)
        if found.ended:
            return found
        if deadline is not None and time.monotonic() >= deadline:
            raise WaitTimeout(f"{path.rpartition('/')[2]} did not end within {timeout:g} s")
