"""The page in a browser: signing in beside it, and waiting for what it does."""

from __future__ import annotations

import time
from typing import Any

from tests.support.server import RunningServer

SECONDS = 20.0


def sign_in(context: Any, server: RunningServer) -> None:
    """Give the browser context a session, without the form."""
    answer = context.request.post(f"{server.url}/session", data={"key": server.key})
    assert answer.ok, answer.text()


def until(page: Any, expression: str, *, seconds: float = SECONDS) -> None:
    """Wait until the expression is true. Playwright's own way needs `eval`, which the page forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(f"() => Boolean({expression})"):
        assert time.monotonic() < deadline, f"in vain: {expression}"
        page.wait_for_timeout(30)
