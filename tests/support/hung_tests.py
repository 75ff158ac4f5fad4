"""A plugin of pytest that has the worker of a test killed after `kill_test_seconds`, with all that the test started.

The test has then failed, and xdist goes on with a new worker. Without xdist nothing is killed: a person may be in a
debugger.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("kill_test_seconds", "seconds after which the worker of a test is killed", default="900")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(_Watched(config))


class _Watched:
    """Tells the watching process which test runs."""

    def __init__(self, config: pytest.Config) -> None:
        program = [sys.executable, "-P", "-m", "tests.support.hung_worker"]
        with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():  # it writes to stderr
            self._watching = subprocess.Popen(
                [*program, str(os.getpid()), config.getini("kill_test_seconds")],
                stdin=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                start_new_session=True,
            )
        assert self._watching.stdin is not None
        self._pipe = self._watching.stdin.fileno()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        os.write(self._pipe, f"{item.nodeid[:1000]}\n".encode())
        try:
            return (yield)
        finally:
            os.write(self._pipe, b"\n")

    def pytest_unconfigure(self) -> None:
        self._watching.kill()
        self._watching.communicate()
