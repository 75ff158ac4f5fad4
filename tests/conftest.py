"""What all tests share: the folders of real recordings, the object store, and the time after which a test is stopped.

What is imported here is an input of every group of tests (`tests/support/group_inputs.py`).
"""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import httpx._transports.default
import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG, create_ssl_context

from tests.support.privileges import give_up_real_time_priority
from tests.support.s3 import bucket, s3, true_s3  # noqa: F401 - fixtures
from tests.support.selection import pytest_collection_modifyitems  # noqa: F401 - hook
from tests.support.temporary import temporary_root

# Seconds for requests of tests that name none: five are not enough on a machine under load.
DEFAULT_TIMEOUT_CONFIG.connect = DEFAULT_TIMEOUT_CONFIG.read = DEFAULT_TIMEOUT_CONFIG.write = 60.0
# Thousands of clients are created, and each would load the certificates of all authorities, which takes 10 ms.
httpx._transports.default.create_ssl_context = functools.cache(create_ssl_context)  # type: ignore[attr-defined]
give_up_real_time_priority()
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(temporary_root()))  # of pytest's tmp_path
os.environ["XDG_STATE_HOME"] = str(temporary_root() / "state")  # of uploads by the command

pytest_plugins = ("tests.support.hung_tests",)
RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "media"
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
