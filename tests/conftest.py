"""Fixtures shared by all tests: the folders of real recordings, and the object store."""

from __future__ import annotations

import functools
import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx._transports.default
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG, create_ssl_context

from clipengine.work.children import process
from clipengine.work.children.launch import Launch, launch_program
from tests.support.forked_children import forking
from tests.support.privileges import give_up_real_time_priority
from tests.support.s3 import bucket, s3, true_s3  # noqa: F401 - fixtures
from tests.support.temporary import temporary_root

# Seconds for requests of tests that name none: five are not enough on a machine under load.
DEFAULT_TIMEOUT_CONFIG.connect = DEFAULT_TIMEOUT_CONFIG.read = DEFAULT_TIMEOUT_CONFIG.write = 60.0
# Thousands of clients are created, and each would load the certificates of all authorities, which takes 10 ms.
httpx._transports.default.create_ssl_context = functools.cache(create_ssl_context)  # type: ignore[attr-defined]
give_up_real_time_priority()
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(temporary_root()))  # of pytest's tmp_path
os.environ["XDG_STATE_HOME"] = str(temporary_root() / "state")  # of uploads by the command

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "media"
_WITH_CHILDREN = {"api", "cli", "e2e", "media", "work"}  # folders of tests that start children
_launch: list[Launch] = [launch_program]  # as the last test has set it
DEFECTS = RECORDINGS.with_name("media-defects")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder of real recordings beside the checkout. Skip the test if it is missing."""
    if not RECORDINGS.is_dir():
        pytest.skip("the real recordings are not here (../shared/media)")
    return RECORDINGS


@pytest.fixture(scope="session")
def defects() -> Path:
    """Return the folder of recordings that earlier versions cut wrongly. Skip the test if it is missing."""
    if not DEFECTS.is_dir():
        pytest.skip("the defect recordings are not here (../shared/media-defects)")
    return DEFECTS


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fork the children of this process, unless the test is about their programs."""
    if process.launch_program is not _launch[0]:  # a fixture of the module starts others
        return
    programs = item.get_closest_marker("programs") is not None or item.path.parent.name not in _WITH_CHILDREN
    _launch[0] = process.launch_program = launch_program if programs else forking()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect tests without garbage collection, and exclude the objects that exist then from later collections.

    They are half a million and last until the end; each full collection would take a quarter of a second longer.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the variants of a test beyond the first ones that `typical` names as exhaustive."""
    seen: Counter[str] = Counter()
    for item in items:
        if (typical := item.get_closest_marker("typical")) is not None:
            function = item.nodeid.partition("[")[0]
            seen[function] += 1
            if seen[function] > typical.args[0]:
                item.add_marker(pytest.mark.exhaustive)
