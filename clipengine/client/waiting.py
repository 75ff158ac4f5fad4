"""Waiting for the end of a clip or a recording: the server answers when it has ended, or as it is after a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from clipengine.client.errors import WaitTimeout
from clipengine.client.exchange import Api, Steps
from clipengine.client.models import Object

_LONGEST_WAIT = 25  # seconds of one `?wait=`, below what proxies usually allow
_PROGRESS_SECONDS = 0.5


class _Ending(Protocol):
    @property
    def ended(self) -> bool: ...


E = TypeVar("E", bound=_Ending)


def until_ended(
    api: Api,
    path: str,
    make: Callable[[Object], E],
    *,
    timeout: float | None,
    on_progress: Callable[[E], None] | None,
) -> Steps[E]:
    """What is at `path` once it has ended. Raises WaitTimeout after `timeout` seconds.

    With `on_progress` it is fetched twice a second and handed to it.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _LONGEST_WAIT if deadline is None else min(_LONGEST_WAIT, max(0.0, deadline - time.monotonic()))
        seconds = min(left, _PROGRESS_SECONDS) if on_progress else left
        found = make((yield from api.get(path, {"wait": f"{seconds:.3f}"}, longer=seconds)))
        if on_progress:
            on_progress(found)
        if found.ended:
            return found
        if deadline is not None and time.monotonic() >= deadline:
            raise WaitTimeout(f"{path.rpartition('/')[2]} had not ended after {timeout:g} s")
