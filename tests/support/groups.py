"""A plugin of pytest that proves groups of tests, or leaves out those that are proved.

`--record-groups` writes the file of `tests/proof` after the last test of each group. `--groups-budget` reads it, and
runs the groups that `group_choice.py` chooses; groups that the file does not name run too. The process that gets the
reports does the one or the other; the processes with the tests, its workers, leave tests out and measure.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.group_choice import UNPROVED, Proof, choose, read_proofs, write_proofs
from tests.support.group_inputs import GroupInputs, versions
from tests.support.process_tree import process_tree

_MARKS = ("exhaustive", "outage")
_RESTING = "groups that do not run"  # input of workers
_COUNT, _CPU = "tests of the group", "CPU seconds"  # properties of reports


def pytest_addoption(parser: pytest.Parser) -> None:
    options = parser.getgroup("groups")
    options.addoption("--record-groups", action="store_true", help="write the groups that pass to tests/proof")
    options.addoption("--groups-budget", type=float, metavar="CPU_SECONDS", help="run changed groups, and a share")


def pytest_configure(config: pytest.Config) -> None:
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    resting = worker.get(_RESTING, ()) if worker else ()
    if config.option.groups_budget is not None and worker is None:
        build = _Build(config)
        resting = build.choice.resting
        config.pluginmanager.register(build)
    elif config.option.record_groups and worker is None:
        config.pluginmanager.register(_Records(config))
    if worker is not None or not config.option.numprocesses:
        config.pluginmanager.register(_Tests(config, frozenset(resting)))


class _Tests:
    """Leaves out tests, and adds to the reports what the records need."""

    def __init__(self, config: pytest.Config, resting: frozenset[str]) -> None:
        self._config = config
        self._resting = resting
        self._members: dict[pytest.Item, str] = {}
        self._measured: tuple[str, float] | None = None  # the group whose tests run, and the CPU time at its begin
        self._next: str | None = None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Count the tests of each group: after `selection.py` has marked some, and before `-k` and `-m` select some."""
        groups: dict[str, list[pytest.Item]] = defaultdict(list)
        for item in items:
            if any(item.get_closest_marker(mark) for mark in _MARKS):
                groups[_group(item.nodeid)].append(item)
        deselected = tuple(self._config.option.deselect or ())
        for group, members in groups.items():
            count = sum(not item.nodeid.startswith(deselected) for item in members)
            for item in members:
                item.user_properties.append((_COUNT, count))
                self._members[item] = group
        resting = [item for item in items if self._members.get(item) in self._resting]
        if resting:
            items[:] = [item for item in items if self._members.get(item) not in self._resting]
            self._config.hook.pytest_deselected(items=resting)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        self._next = self._members.get(nextitem) if nextitem else None
        if self._measured is None and item in self._members:
            self._measured = self._members[item], _cpu_seconds()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[pytest.TestReport]:
        """Add the CPU time of consecutive tests of a group to the last of them."""
        if call.when == "teardown" and self._measured is not None and self._next != self._measured[0]:
            item.user_properties.append((_CPU, max(0.0, _cpu_seconds() - self._measured[1])))
            self._measured = None
        return (yield)


@dataclass
class _Group:
    """What the reports of a group have said."""

    ended: int = 0
    passed: bool = True
    cpu: float = 0.0


class _Records:
    """Writes each group when its last test has ended, so that an interrupted run keeps what it has proved."""

    def __init__(self, config: pytest.Config) -> None:
        self._file = proofs_file(config)
        inputs = GroupInputs(config.rootpath, versions())
        self._inputs = {group: inputs.hash(group, _deselected(config, group)) for group in inputs.tests()}
        self._groups: dict[str, _Group] = defaultdict(_Group)
        self._some = any("::" in each for each in config.args) or getattr(
            config.option, "lf", False
        )  # counts are then too low

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        group, properties = _group(report.nodeid), dict(report.user_properties)
        if report.failed:
            self._write(group, UNPROVED)
        if _COUNT not in properties or self._some:
            return
        seen = self._groups[group]
        seen.passed = seen.passed and (report.passed or hasattr(report, "wasxfail"))
        if report.when == "teardown":
            seen.ended += 1
            seen.cpu += properties.get(_CPU, 0.0)
            if seen.ended == properties[_COUNT]:
                self._write(group, self._inputs[group] if seen.passed else UNPROVED, round(seen.cpu))

    def _write(self, group: str, inputs: str, cost: int | None = None) -> None:
        """Replace the group's line. Its cost stays unless it has changed much, because each change is committed."""
        proofs = read_proofs(self._file)
        before = proofs.get(group)
        if before is None and cost is None:
            return
        if before and (cost is None or abs(cost - before.cost) <= max(2, before.cost / 2)):
            cost = before.cost
        proofs[group] = Proof(inputs, cost or 0)
        if proofs[group] != before:
            write_proofs(self._file, proofs)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Delete the lines of modules that are gone, and after a run of everything those without tests."""
        config = session.config
        option = config.option
        everything = config.args_source is config.ArgsSource.TESTPATHS and not (option.markexpr or option.keyword)
        kept = self._groups if everything and not option.deselect and session.exitstatus in (0, 1) else self._inputs
        proofs = read_proofs(self._file)
        if gone := proofs.keys() - kept.keys():
            write_proofs(self._file, {group: proofs[group] for group in proofs.keys() - gone})


class _Build:
    """Chooses the groups of a build, and prints which ran and why."""

    def __init__(self, config: pytest.Config) -> None:
        self._file = proofs_file(config)
        self._budget: float = config.option.groups_budget
        inputs = GroupInputs(config.rootpath, versions())
        existing = set(inputs.tests())
        self._proofs = {group: proof for group, proof in read_proofs(self._file).items() if group in existing}
        self._commit = _commit(config.rootpath)
        known = {group: (inputs.hash(group, _deselected(config, group)), inputs.size(group)) for group in self._proofs}
        self.choice = choose(self._proofs, known, self._commit, self._budget)
        self._new: set[str] = set()
        self._config = config

    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[_RESTING] = sorted(self.choice.resting)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        self._print()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if _COUNT in dict(report.user_properties) and (group := _group(report.nodeid)) not in self._proofs:
            self._new.add(group)

    def pytest_terminal_summary(self) -> None:
        self._print()

    @property
    def _terminal(self) -> pytest.TerminalReporter:
        found: pytest.TerminalReporter = self._config.pluginmanager.getplugin("terminalreporter")
        return found

    def _print(self) -> None:
        choice = self.choice
        cost = sum(self._proofs[group].cost for group in (*choice.changed, *choice.share))
        self._terminal.section("groups of exhaustive and outage tests", sep="-")
        self._terminal.write_line(f"ran for {cost} CPU seconds of a budget of {self._budget:g}, as measured before:")
        self._write("changed inputs, or not proved", choice.changed)
        self._write(f"share of commit {self._commit[:12] or '(unknown)'}", choice.share)
        self._write(f"not in {self._file.name}", sorted(self._new))
        self._terminal.write_line("did not run:")
        self._write("LEFT OUT BY THE BUDGET though inputs changed", choice.left_out)
        self._terminal.write_line(f"  proved with the same inputs: {len(choice.unchanged)}")

    def _write(self, reason: str, groups: list[str]) -> None:
        names = ", ".join(group.removeprefix("tests/").removesuffix(".py") for group in groups)
        self._terminal.write_line(f"  {reason}: {len(groups)}{': ' if groups else ''}{names}")


def proofs_file(config: pytest.Config) -> Path:
    """Return the tracked file of this Python, `tests/proof/3.11.txt`."""
    return config.rootpath / "tests" / "proof" / f"{'.'.join(platform.python_version_tuple()[:2])}.txt"


def _group(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _deselected(config: pytest.Config, group: str) -> list[str]:
    """Return the tests of the group that `--deselect` excludes. They are not proved, so that they are an input."""
    return sorted(each for each in config.option.deselect or () if each.startswith(group))


def _cpu_seconds() -> float:
    return sum(process_tree(os.getpid()).values())


def _commit(root: Path) -> str:
    """Return the hash of the commit, or an empty text outside a repository."""
    command = ["git", "-c", f"safe.directory={root}", "rev-parse", "HEAD"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout.strip()
