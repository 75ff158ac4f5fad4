"""Format of the ledger's rows, by which engines of several releases share one ledger.

A row says which format it `needs`. An engine takes rows up to `ROW_FORMAT` and leaves the others to newer engines: it
lists them, but neither cuts, probes nor refreshes them. Increment it with each option that older engines must not miss.
"""

from __future__ import annotations

FIRST_FORMAT = 1  # of 0.2.0, whose rows do not state it
ROW_FORMAT = 2
