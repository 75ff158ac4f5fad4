"""Tests of kill -9, exactly once and exact frames are marked `proof`, so that no failure of theirs is forgiven."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# Words in the names of tests, by the folder whose tests prove it.
SUBJECTS = {
    "e2e": r"kill(_9|ed|s)?|once",
    "ledger": r"kill(_9|ed|s)?|(?<!at_)once(?!_a_)",
    "media": r"exact(ly)?|each_frame|every_frame",
}
OTHERS = {"test_obs.py", "test_producers.py"}  # what they kill are the programs of others


def _is_proof(tree: ast.Module) -> bool:
    marks = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    return any(re.search(r"\bmark\.proof\b", ast.unparse(mark)) for mark in marks)


def _subject(path: Path, tree: ast.Module) -> list[str]:
    words = re.compile(rf"(?:^|_)(?:{SUBJECTS[path.parent.name]})(?:_|$)")
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("test_") and words.search(name.removeprefix("test"))]


@pytest.mark.parametrize("folder", SUBJECTS)
def test_modules_of_the_subjects_are_marked_proof(folder: str) -> None:
    modules = {
        path: ast.parse(path.read_bytes())
        for path in sorted((TESTS / folder).glob("test_*.py"))
        if path.name not in OTHERS
    }
    found = {path.name: _subject(path, tree) for path, tree in modules.items()}
    assert sum(map(bool, found.values())) >= 5
    missing = {
        path.name: found[path.name] for path, tree in modules.items() if found[path.name] and not _is_proof(tree)
    }
    assert not missing, f"add `pytestmark = pytest.mark.proof` to these modules: {missing}"
