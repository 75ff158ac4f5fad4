"""The page in a browser: open it, sign in, find elements, and wait for conditions."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from clipengine.client import Recording
from tests.support.server import RunningServer

SECONDS = 300.0
STILL = "document.querySelector('.timeline')?.getAttribute('aria-busy') === 'false'"
PICTURED = (  # every visible image has loaded
    "[...document.images].every((image) => image.complete && "
    "(!image.matches('.coming') || image.getBoundingClientRect().top > innerHeight))"
)
READY = "document.querySelector('.stage :is(video, audio)')?.readyState > 1"


def sign_in(context: Any, server: RunningServer) -> None:
    """Give the browser context a session without using the form."""
    answer = context.request.post(f"{server.url}/session", data={"key": server.key})
    assert answer.ok, answer.text()


def by_name(server: RunningServer, name: str = "clips.test") -> str:
    """Return the address of the server under a host name. Over plain HTTP, this is no secure context."""
    return server.url.replace("127.0.0.1", name)


def until(page: Any, expression: str, *, seconds: float = SECONDS) -> None:
    """Wait until the expression is true. Playwright's method needs `eval`, which the page's policy forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(f"() => Boolean({expression})"):
        assert time.monotonic() < deadline, f"in vain: {expression}"
        page.wait_for_timeout(30)


def wait_for(page: Any, condition: Callable[[], object]) -> None:
    """Wait until a condition holds; the page goes on meanwhile."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(30)


@contextmanager
def opened(
    browser: Any, server: RunningServer, *, signed_in: bool = True, expected: str | None = None, **options: Any
) -> Iterator[Any]:
    """Yield a page of a new browser context, which may use the clipboard. Exceptions and console errors fail the test.

    A failing request is such an error, unless `expected` matches it; its response is shown with it.
    """
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    faults: list[str] = []
    refused: list[Any] = []
    page.on("response", lambda response: refused.append(response) if response.status >= 400 else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(_told(message)) if message.type == "error" else None)
    try:
        if signed_in:
            sign_in(context, server)
        yield page
    finally:
        said = [_said(response) for response in refused] if _unexpected(faults, expected) else []
        context.close()
    unexpected = _unexpected(faults, expected)
    assert not unexpected, (unexpected, said)


def give_own_stream(page: Any) -> None:
    """Let the page open its own event stream, which tests can hold: not the worker that all tabs share."""
    page.add_init_script("delete window.SharedWorker;")


@contextmanager
def held(page: Any, pattern: str) -> Iterator[None]:
    """Hold back the requests that match the pattern until the block ends."""
    routes: list[Any] | None = []
    page.route(pattern, lambda route: route.continue_() if routes is None else routes.append(route))
    yield
    coming, routes = routes, None
    for route in coming:
        route.continue_()


def _unexpected(faults: list[str], expected: str | None) -> list[str]:
    return [fault for fault in faults if not (expected and re.search(expected, fault))]


def _said(response: Any) -> str:
    with suppress(Exception):  # the page may be closed
        return f"{response.url}: {response.text()[:300]}"
    return str(response.url)


def _told(message: Any) -> str:
    return f"{message.text} {message.location['url']}"


@contextmanager
def studio(browser: Any, server: RunningServer, recording: Recording, **options: Any) -> Iterator[Any]:
    """Yield the screen of the recording, ready for selecting."""
    with opened(browser, server, **options) as page:
        page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
        page.get_by_role("heading", name=recording.name).wait_for()
        until(page, READY)
        until(page, STILL)
        yield page


def choose_account(page: Any, item: str) -> None:
    """Choose an item of the menu of the account."""
    page.locator(".account").click()
    page.get_by_role("menuitem", name=item).click()


def point(page: Any, name: str) -> Any:
    return page.get_by_role("textbox", name=f"{name} point")


def row(page: Any, label: str) -> Any:
    return page.locator(".clip-row").filter(has=page.locator(f".name:text-is('{label}')"))


class Hands:
    """The actions of a person: a click, a drag, a key, or a text that is typed into a field."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self.actions = 0

    def press(self, key: str) -> None:
        self.actions += 1
        self._page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.actions += 1
        self._page.keyboard.type(text)

    def click(self, node: Any) -> None:
        self.actions += 1
        node.click()

    def drag_over(self, node: Any) -> None:
        """Select words of a node in its first line."""
        self.actions += 1
        self._page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        box = node.evaluate("(node) => { const {x, y, height} = node.getClientRects()[0]; return {x, y, height}; }")
        y = box["y"] + box["height"] / 2
        self._page.mouse.move(box["x"] + 8, y)
        self._page.mouse.down()
        self._page.mouse.move(box["x"] + 60, y, steps=4)
        self._page.mouse.up()
