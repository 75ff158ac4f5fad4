"""A plugin of pytest that runs each failed test once more, alone, after the others.

A test that passes then counts as passed and is listed with its message and log, unless it is marked `proof`, stands in
the tracked list `tests/proof/failed_once.txt`, or more than three tests failed. `--failed-once FILE` adds the tests to
a file and prints it: the tracked list, or that of a build whose runs may have three such tests together.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

MOST = 3
_LOG_LINES = 40
_RERUN = "rerun"  # the closing line's word for them, as of pytest-rerunfailures: "120 passed, 1 rerun"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("failed once").addoption("--failed-once", type=Path, metavar="FILE", help="list them in FILE too")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_FailedOnce(config))


class _FailedOnce:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._tracked = read_list(config.rootpath / "tests" / "proof" / "failed_once.txt")
        self._list: Path | None = config.option.failed_once
        self._terminal: pytest.TerminalReporter = config.pluginmanager.getplugin("terminalreporter")
        self._failed: dict[str, pytest.TestReport] = {}  # the first report of each test that failed
        self._others = False  # such as errors of the collection
        self._entries = ""
        self._lines: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.setdefault(report.nodeid, report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._others = self._others or report.failed

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Run the failed tests again, after xdist has ended its workers and before the terminal prints the summary."""
        if session.exitstatus != pytest.ExitCode.TESTS_FAILED or self._others:
            return
        earlier = set(read_list(self._list)) - {*self._tracked} if self._list else set()
        if len(self._failed) + len(earlier) > MOST:
            self._lines.append(
                f"failed: {len(self._failed)}, earlier in this build: {len(earlier)}; more than {MOST} "
                "are not run again"
            )
            return
        passed = [nodeid for nodeid in self._failed if self._may_fail_once(nodeid, earlier)]
        for nodeid in passed:
            self._forgive(nodeid)
            self._entries += self._entry(nodeid)
        if passed and self._list:
            add_to_list(self._list, self._entries)
        if len(passed) == len(self._failed):
            session.exitstatus = pytest.ExitCode.OK

    def _may_fail_once(self, nodeid: str, earlier: set[str]) -> bool:
        if nodeid in earlier or nodeid in self._tracked:
            self._lines.append(f"{nodeid} is not run again: it has failed once before")
            return False
        reason = _run_again(nodeid, self._config.rootpath)
        if reason:
            self._lines.append(f"{nodeid} {reason}")
        return not reason

    def _forgive(self, nodeid: str) -> None:
        """Count the test as passed, and as run again."""
        stats = self._terminal.stats
        for key in ("failed", "error", "passed"):
            stats[key] = [each for each in stats.get(key, ()) if each.nodeid != nodeid]
        stats["passed"].append(self._failed[nodeid])
        stats.setdefault(_RERUN, []).append(self._failed[nodeid])

    def _entry(self, nodeid: str) -> str:
        """Return the test's entry in the list: its id, and indented the day, the message and the end of the log."""
        report = self._failed[nodeid]
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash else report.longreprtext
        log = "\n".join([report.longreprtext, *(f"{title}:\n{text}" for title, text in report.sections)])
        when = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {report.when}"
        lines = [when, *message.splitlines()[:3], *log.splitlines()[-_LOG_LINES:]]
        text = "\n".join(f"    {line}".rstrip() for line in lines)
        return f"{nodeid}\n{text.replace(str(self._config.rootpath), '.')}\n"

    def pytest_terminal_summary(self) -> None:
        entries = self._list.read_text("utf-8") if self._list and self._list.exists() else self._entries
        if entries:
            self._terminal.section("failed once, and passed when run again alone: mend or explain", sep="=")
            self._terminal.write_line(entries)
        for line in self._lines:
            self._terminal.write_line(line)


def read_list(file: Path) -> list[str]:
    """Return the ids of the listed tests: the lines that are not indented."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [line for line in lines if line and not line.startswith((" ", "#"))]


def add_to_list(file: Path, entries: str) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write(entries)


def _run_again(nodeid: str, root: Path) -> str:
    """Run a test in a new process, in one worker, which is killed if it hangs. Return why it did not pass, or ""."""
    line = [sys.executable, "-m", "pytest", "-n", "1", "-m", "not proof", "-p", "no:cacheprovider", nodeid]
    done = subprocess.run(line, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED:
        return "is not run again: it is marked `proof`"
    last = done.stdout.rstrip().rpartition("\n")[2]
    if done.returncode == 0 and re.search(r"\b1 passed\b", last):
        return ""
    return f"failed again, run alone: {last}"
