"""The tracked file of proofs, and the choice of the groups that a build runs.

A line of the file names a group, the hash of its inputs when all of its tests last passed (`-` if one was skipped or
failed since), and the CPU seconds that it costs. The budget counts these, so that a choice depends on the commit only.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

UNPROVED = "-"
_NARROW_SHARE = 2 / 3  # of the budget, for the groups closest to the change
_SHARE_OF_UNCHANGED = 1 / 3


class Proof(NamedTuple):
    """A line of the file: the hash of the group's inputs at its last complete pass, and its cost in CPU seconds."""

    inputs: str
    cost: int


def read_proofs(file: Path) -> dict[str, Proof]:
    """Return the proofs by group; none if there is no file."""
    if not file.exists():
        return {}
    lines = (line.split() for line in file.read_text("utf-8").splitlines())
    return {group: Proof(inputs, int(cost)) for group, inputs, cost in lines}


def write_proofs(file: Path, proofs: Mapping[str, Proof]) -> None:
    """Replace the file, with one line for each group."""
    file.parent.mkdir(exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text("".join(f"{group} {inputs} {cost}\n" for group, (inputs, cost) in sorted(proofs.items())), "utf-8")
    new.replace(file)


@dataclass(frozen=True)
class Choice:
    """The groups of a file: those with changed inputs that run and that do not, and the same of all others."""

    changed: list[str]
    left_out: list[str]
    share: list[str]
    unchanged: list[str]

    @property
    def resting(self) -> set[str]:
        """Return the groups that do not run."""
        return {*self.left_out, *self.unchanged}


def choose(proofs: Mapping[str, Proof], inputs: Mapping[str, tuple[str, int]], commit: str, budget: float) -> Choice:
    """Choose groups as far as the budget in CPU seconds goes. `inputs` has their hashes, and how many files each needs.

    Two thirds are for the changed groups with the fewest inputs, of which the change is the largest part. The rest is
    for the other changed groups, and then for a third of the unchanged ones, in an order that the commit's hash gives,
    so that each has its turn in time.
    """
    changed = {group for group in proofs if proofs[group].inputs != inputs[group][0]}
    unchanged = _in_turn(proofs.keys() - changed, commit)
    narrow = _within(sorted(changed, key=lambda group: (inputs[group][1], group)), proofs, budget * _NARROW_SHARE)
    left = budget - sum(proofs[group].cost for group in narrow)
    candidates = _in_turn(changed - {*narrow}, commit) + unchanged[: math.ceil(len(unchanged) * _SHARE_OF_UNCHANGED)]
    chosen = {*narrow, *_within(candidates, proofs, left)}
    return Choice(
        sorted(changed & chosen), sorted(changed - chosen), sorted(chosen - changed), sorted({*unchanged} - chosen)
    )


def _in_turn(groups: Iterable[str], commit: str) -> list[str]:
    return sorted(groups, key=lambda group: hashlib.sha256(f"{commit} {group}".encode()).digest())


def _within(groups: Iterable[str], proofs: Mapping[str, Proof], budget: float) -> list[str]:
    """Return the groups, in this order, without those that would exceed the budget."""
    found = []
    for group in groups:
        if proofs[group].cost <= budget:
            found.append(group)
            budget -= proofs[group].cost
    return found
