"""Hooks of the tests of jobs, which start children."""

from tests.support.forked_children import pytest_runtest_setup, pytest_runtest_teardown  # noqa: F401 - hooks
