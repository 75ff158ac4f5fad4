"""Mutated documents of each kind, as `make fuzz DOCUMENTS=20000` reads them."""

from __future__ import annotations

import pytest

from scripts.fuzzing.documents import TARGETS, mutants, outcome


@pytest.mark.parametrize("kind", TARGETS)
def test_mutated_document_is_read_or_refused(kind: str) -> None:
    outcomes = {outcome(kind, data) for data in mutants(kind, 150, seed=1)}
    assert "read" in outcomes
    assert not outcomes & {"internal", "decoder_crashed"}
