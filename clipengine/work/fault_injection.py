"""Fault injection for tests of recovery.

Inactive unless CLIPENGINE_FAULT is set to comma-separated `point:action` pairs. An action is `kill9`, `sleep=SECONDS`,
`until=FILE` (waits until the file exists), `raise` or `die` (ends the thread), and runs once. `outage:pace=N` divides
the delays of retries during a storage outage by N, so that a test need not wait for a day.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import Literal, get_args

from clipengine.errors import Internal, SettingsError

log = logging.getLogger(__name__)

Point = Literal[
    "accepting",  # inside the transaction that creates a clip
    "accepted",  # after its commit, before a worker is nudged
    "nudged",  # a worker has woken up, before it claims a clip
    "claimed",
    "reading",
    "encoding",
    "verifying",
    "finished",  # the clip is in scratch and the ledger knows
    "uploading",
    "uploaded",
    "committed",
    "expanding",  # the requests of a rule are decided and not stored yet
    "expanded",  # they are stored
    "made",  # a clip of a batch is queued
    "deleting",  # clips of a batch are deleted next
    "deleted",  # they are deleted, and their objects are not yet
    "appended",  # the store has bytes of an upload that are not recorded
    "recorded",  # they are recorded
    "published",  # the object of an upload is in the store, without a recording
    "registered",  # its recording is in the ledger
    "transcribed",  # a passage of a transcription is kept
]
_SPEED_UP = "outage:pace="
_ACTIONS = ("kill9", "sleep", "until", "raise", "die")
_MOST_SECONDS = 600  # of a wait for a file


class FaultInjection:
    """The faults to inject, parsed from `text`. Raises SettingsError for unknown points and actions."""

    def __init__(self, text: str) -> None:
        self._lock = threading.Lock()
        self._actions: dict[str, str] = {}
        self._speed_up = 1.0
        for pair in filter(None, text.split(",")):
            if pair.startswith(_SPEED_UP):
                self._speed_up = float(pair.removeprefix(_SPEED_UP))
                continue
            point, _, action = pair.partition(":")
            if point not in get_args(Point) or action.partition("=")[0] not in _ACTIONS:
                raise SettingsError(f"CLIPENGINE_FAULT: {pair!r} is not point:action")
            self._actions[point] = action

    def reach(self, point: Point) -> None:
        """Run the action of this point, if one is left."""
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
            raise Internal(f"fault injected at {point}")
        elif action == "die":
            raise SystemExit
        elif action.startswith("until="):
            _wait_for(Path(action.removeprefix("until=")))
        else:
            time.sleep(float(action.partition("=")[2]))

    def scale_delay(self, milliseconds: int) -> int:
        """Return the delay divided by the speed-up of the test."""
        return round(milliseconds / self._speed_up)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + _MOST_SECONDS
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
