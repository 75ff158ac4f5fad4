"""Use of the store: sums of many rows read an index only."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipengine.ledger.stored_objects import storage_use
from tests.support.ledgers import open_copied_ledger

_SUMS = "SUM(CASE WHEN {0} <= 5 THEN {1} ELSE 0 END)"


@pytest.mark.parametrize(
    "query",
    [
        storage_use._CLIPS,
        storage_use._RECORDINGS,
        storage_use._OWN.format(_SUMS.format("expires_at", "size_bytes")).replace("?", "5"),
        storage_use._KEPT.format(_SUMS.format("completed_at", "size_bytes")).replace("?", "5"),
        storage_use._OWN_RECORDINGS.format(_SUMS.format("expires_at", "file_size_bytes")).replace("?", "5"),
    ],
)
def test_sums_read_an_index_only(query: str, tmp_path: Path) -> None:
    ledger = open_copied_ledger(tmp_path / "ledger.db")
    ((*_, plan),) = ledger.database.run(f"EXPLAIN QUERY PLAN {query}")
    assert "USING COVERING INDEX" in plan
    ledger.close()
