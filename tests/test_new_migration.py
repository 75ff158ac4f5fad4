"""`make new-migration`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from scripts.new_migration import added

MIGRATIONS = Path(__file__).parents[1] / "clipengine" / "ledger" / "database" / "migrations.py"


def test_migration_is_added_and_listed_last() -> None:
    before = MIGRATIONS.read_text()
    after, number = added(before, "Add the camera of a recording.")
    names = [each.name for each in ast.parse(after).body if isinstance(each, ast.FunctionDef)]
    listed = after.partition("MIGRATIONS: ")[2].partition(")")[0].split()
    assert listed[-1] == f"migration_{number},"
    assert [name for name in names if name.startswith("migration_")][-1] == f"migration_{number}"
    assert '"""Add the camera of a recording."""' in after
    assert f"migration_{number}" not in before


@pytest.mark.parametrize("name", ["", "  ", 'a "quoted" one', "back\\slash"])
def test_name_that_is_no_sentence_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="NAME must say in words"):
        added(MIGRATIONS.read_text(), name)
