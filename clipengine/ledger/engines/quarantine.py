"""Quarantine of clips and probes that were held while an engine died.

An engine that is killed does not know the cause: a recording that broke out of its decoder, a kernel without memory,
an operator. `engine_deaths` counts how often a clip or a probe was held by an engine that died, without a finished
attempt in between; an engine that stops on purpose does not count. From the second death on it is a suspect: it is
retried alone, by an engine that has been up for a while. A third death is therefore attributed to it alone: clips that
only shared an engine with it survive, and so does everything in a storm of restarts.
"""

from __future__ import annotations

import logging
from typing import Literal

from clipengine.basis.timecode import now_ms
from clipengine.errors import DecoderCrashed
from clipengine.ledger.database.database import Database
from clipengine.ledger.engines.fences import DUE_SQL

log = logging.getLogger(__name__)

SUSPECT_DEATHS = 2
MAX_DEATHS = 3

Startable = Literal["all", "suspects", "others", "none"]

# Uses a partial index that is empty unless there are suspects.
_ANY = (
    "SELECT 1 FROM clips WHERE engine_deaths >= 2 UNION ALL SELECT 1 FROM recordings WHERE engine_deaths >= 2 LIMIT 1"
)
_DUE = (
    f"SELECT 1 FROM clips WHERE engine_deaths >= 2 AND state = 'queued' AND {DUE_SQL} UNION ALL "
    f"SELECT 1 FROM recordings WHERE engine_deaths >= 2 AND state = 'processing' AND owner IS NULL AND {DUE_SQL} "
    "LIMIT 1"
)
_HELD = (
    "SELECT 1 FROM clips WHERE state = 'cutting' AND owner = ? AND engine_deaths >= ? UNION ALL "
    "SELECT 1 FROM recordings WHERE state = 'processing' AND owner = ? AND engine_deaths >= ? LIMIT 1"
)


class Quarantine:
    """Decides which clips and probes an engine may start beside its current ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def startable(self, owner: str, *, suspects: bool) -> Startable:
        """Return the kind of work that `owner` may start. `suspects` is False until it has been up for a while.

        Suspects come first and run alone: nothing else is started while one is due or held. Call it in the
        transaction of the claim.
        """
        run = self._database.run
        if not run(_ANY):
            return "all"
        if run(_HELD, (owner, SUSPECT_DEATHS) * 2):
            return "none"
        if not suspects or not run(_DUE, (now_ms(),) * 4):
            return "others"
        return "none" if run(_HELD, (owner, 0) * 2) else "suspects"


def too_many_deaths(id: str, what: str) -> DecoderCrashed:
    """Return the error of a clip or a probe that was held during MAX_DEATHS deaths, and log it."""
    message = f"the engine died {MAX_DEATHS} times in a row while {what}"
    log.error("%s: %s", id, message)
    return DecoderCrashed(message)
