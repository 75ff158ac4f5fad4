"""The choice of groups is a function of the tracked costs, the hashes of the inputs, and the commit."""

from __future__ import annotations

from pathlib import Path

from tests.support.group_choice import UNPROVED, Proof, choose, read_proofs, write_proofs

PROOFS = {f"tests/test_{n:02}.py": Proof("same", 10) for n in range(12)}
SAME = dict.fromkeys(PROOFS, ("same", 5))


def test_third_of_the_proved_groups_runs_and_each_has_its_turn() -> None:
    choices = [choose(PROOFS, SAME, f"commit {n}", 1000) for n in range(20)]
    assert {len(choice.share) for choice in choices} == {4}
    assert all({*choice.share, *choice.unchanged} == PROOFS.keys() for choice in choices)
    assert {group for choice in choices for group in choice.share} == PROOFS.keys()
    assert choose(PROOFS, SAME, "commit 3", 1000) == choices[3]


def test_changed_and_unproved_groups_run_before_the_share() -> None:
    first, second, *_ = PROOFS
    choice = choose(PROOFS | {first: Proof(UNPROVED, 10)}, SAME | {second: ("changed", 5)}, "commit", 40)
    assert choice.changed == [first, second]
    assert choice.left_out == []
    assert len(choice.share) == 2  # of four, for which the budget does not suffice
    assert choice.resting == {*choice.unchanged}


def test_budget_is_for_narrow_groups_first_and_a_third_for_each_in_turn() -> None:
    inputs = {group: ("changed", size) for size, group in enumerate(PROOFS)}
    narrow = {*list(PROOFS)[:4]}
    choices = [choose(PROOFS, inputs, f"commit {n}", 60) for n in range(20)]
    for choice in choices:
        assert narrow < {*choice.changed}
        assert len(choice.changed) == 6
        assert (choice.share, choice.unchanged) == ([], [])
        assert choice.resting == {*choice.left_out} == PROOFS.keys() - {*choice.changed}
    assert {group for choice in choices for group in choice.changed} == PROOFS.keys()


def test_group_that_exceeds_the_budget_does_not_keep_others_out() -> None:
    first, *others = PROOFS
    proofs = PROOFS | {first: Proof("other", 500)}
    choice = choose(proofs, dict.fromkeys(proofs, ("changed", 1)), "commit", 300)
    assert choice.left_out == [first]
    assert choice.changed == others


def test_file_has_a_sorted_line_for_each_group(tmp_path: Path) -> None:
    file = tmp_path / "proof" / "3.11.txt"
    proofs = {"tests/test_b.py": Proof(UNPROVED, 3), "tests/test_a.py": Proof("0123456789abcdef", 120)}
    assert read_proofs(file) == {}
    write_proofs(file, proofs)
    assert file.read_text() == "tests/test_a.py 0123456789abcdef 120\ntests/test_b.py - 3\n"
    assert read_proofs(file) == proofs
    assert [path.name for path in file.parent.iterdir()] == ["3.11.txt"]
