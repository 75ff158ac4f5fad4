"""Users of the page whom a trusted proxy signs in, each by a header."""

from __future__ import annotations

from typing import Any

from clipengine.client import Client
from tests.support.page import give_own_stream, opened
from tests.support.server import RunningServer

PROXY = {
    "CLIPENGINE_AUTH__PROXY__ENABLED": "true",
    "CLIPENGINE_AUTH__PROXY__PEERS": '["127.0.0.1"]',
    "CLIPENGINE_AUTH__PROXY__GROUPS_HEADER": "",
    "CLIPENGINE_AUTH__PROXY__DEFAULT_ROLE": "viewer",
}


def page_of(browser: Any, server: RunningServer, user: str, **options: Any) -> Any:
    """Return a context with the page of a user whom the proxy signs in."""
    return opened(browser, server, signed_in=False, extra_http_headers={"Remote-User": user}, **options)


def show(page: Any, server: RunningServer, address: str) -> None:
    give_own_stream(page)  # a worker sends no headers of the test
    page.goto(f"{server.url}/#/{address}")
    page.locator(".account").wait_for()


def signed_in(client: Client, name: str) -> Any:
    return next(user for user in client.users.list().data if user.subject == name)
