"""Fault points: places in a clip's way where a test can have the engine die, wait or fail.

Inert unless CLIPENGINE_FAULT is set, as `point:action` pairs with commas between them. An action is `kill9`,
`sleep=SECONDS` or `raise`; each pair acts once. For tests of recovery only.
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

Point = Literal["claimed", "reading", "encoding", "verifying", "uploading", "uploaded", "committed"]


class Faults:
    """What is to go wrong, and where. Raises SettingsError for words that it does not know."""

    def __init__(self, text: str) -> None:
        self._lock = threading.Lock()
        self._actions: dict[str, str] = {}
        for pair in filter(None, text.split(",")):
            point, _, action = pair.partition(":")
            if point not in get_args(Point) or action.partition("=")[0] not in ("kill9", "sleep", "raise"):
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
        else:
            time.sleep(float(action.partition("=")[2]))
