"""Rights of a request. They may end while it sends its body, waits in a queue or is a long poll."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # readers of documents import this module, in children that need no database
    from clipengine.ledger.people.principals import Principal

CHECK_SECONDS = 0.4  # after which a request that goes on looks its rights up again
WAIT_SECONDS = 0.45  # for data before rights are looked up: longer, because the clock of an event loop may be behind
# Between two checks of what stays open without any work, so that it ends within 5 s: event streams and long polls.
RIGHTS_SECONDS = 4


class Rights:
    """The caller of a request, who was allowed to make it. Not thread-safe: one thread of a request uses it at a time.

    `find` returns the caller. It raises Unauthorized, or Forbidden if the caller may not make the request.
    """

    def __init__(self, caller: Principal, find: Callable[[], Principal]) -> None:
        self.caller = caller
        self._find = find
        self._checked_at = time.monotonic()

    @property
    def are_due(self) -> bool:
        """True if they have not been looked up for a while."""
        return time.monotonic() - self._checked_at >= CHECK_SECONDS

    def check(self) -> None:
        """Look the caller up again if that is due. Raises Unauthorized and Forbidden. Needs a session of the ledger."""
        if self.are_due:
            self._checked_at = time.monotonic()
            self.caller = self._find()
