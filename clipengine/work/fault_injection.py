"""Fault points: places in a clip's way where a test can have the engine die, wait or fail.

Inert unless CLIPENGINE_FAULT is set, as `point:action` pairs with commas between them. An action is `kill9`,
`sleep=SECONDS`, `raise`, or `die`, which ends the thread; each pair acts once. `outage:pace=N` makes the waits for a
store out of reach pass N times as fast, so that a day of them fits into a test. For tests of recovery only.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from typing import Literal, get_args

from clipengine.errors import Internal, SettingsError

log = logging.getLogger(__name__)

Point = Literal[
    "accepting",  # inside the transaction that makes a clip
    "accepted",  # after its commit, before anybody is told
    "nudged",  # a worker has woken up and claimed nothing yet
    "claimed",
    "reading",
    "encoding",
    "verifying",
    "finished",  # in scratch and written down
    "uploading",
    "uploaded",
    "committed",
]
_PACE = "outage:pace="


class Faults:
    """What is to go wrong, and where. Raises SettingsError for words that it does not know."""

    def __init__(self, text: str) -> None:
        self._lock = threading.Lock()
        self._actions: dict[str, str] = {}
        self._pace = 1.0
        for pair in filter(None, text.split(",")):
            if pair.startswith(_PACE):
                self._pace = float(pair.removeprefix(_PACE))
                continue
            point, _, action = pair.partition(":")
            if point not in get_args(Point) or action.partition("=")[0] not in ("kill9", "sleep", "raise", "die"):
                raise SettingsError(f"CLIPENGINE_FAULT: {pair!r} is not point:action")
            self._actions[point] = action

    def at(self, point: Point) -> None:
        if not self._actions:
            return
        with self._lock:
            action = self._actions.pop(point, None)
        if action is None:
            return
        log.warning("fault point %s: %s", point, action)
        if action == "kill9":
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == "raise":
            raise Internal(f"the fault point {point}")
        elif action == "die":
            raise SystemExit
        else:
            time.sleep(float(action.partition("=")[2]))

    def paced(self, milliseconds: int) -> int:
        """How long a wait for the store is to last in truth."""
        return round(milliseconds / self._pace)
