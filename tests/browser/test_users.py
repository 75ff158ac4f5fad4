"""Users on the page: operators change roles and end sessions, and a user sees the own ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.page import choose_account, opened, until
from tests.support.proxy_users import PROXY, page_of, show, signed_in
from tests.support.server import RunningServer, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("users") / "data", env=PROXY) as server:
        yield server


def test_operator_changes_a_role_and_ends_a_session(browser: Any, server: RunningServer) -> None:
    client = server.client()
    with opened(browser, server) as page:
        show(page, server, "system")
        page.get_by_role("tab", name="Keys").wait_for()
        assert not page.get_by_role("tab", name="Users").count()  # one key alone, and no word of roles
    with page_of(browser, server, "olga") as page:
        show(page, server, "recordings")
    client.users.update(signed_in(client, "olga").user_id, role="operator")
    with (
        page_of(browser, server, "vera", expected="401") as of_vera,
        page_of(browser, server, "olga") as page,
    ):
        show(of_vera, server, "recordings")
        assert not of_vera.get_by_role("button", name="Upload").count()
        choose_account(of_vera, "Your sessions")
        of_vera.get_by_role("button", name="End").wait_for()
        of_vera.keyboard.press("Escape")

        show(page, server, "system?tab=users")
        role = page.get_by_role("combobox", name="Role of vera")
        role.evaluate("(choice) => choice.classList.add('former')")
        role.select_option("editor")
        until(page, "document.querySelector('select:not(.former)[aria-label=\"Role of vera\"]')?.value === 'editor'")
        assert not page.get_by_role("combobox", name="Role of olga").count()
        page.get_by_role("button", name="More actions for vera").click()
        page.get_by_role("menuitem", name="Sessions…").click()
        page.get_by_role("dialog").get_by_role("button", name="End").wait_for()
        page.get_by_role("dialog").get_by_role("button", name="End").click()
        page.get_by_text("No sessions").wait_for()
        assert signed_in(client, "vera").role == "editor"
        assert client.users.sessions(user_id=signed_in(client, "vera").user_id).data == []

        of_vera.reload()  # the proxy signs in again
        of_vera.get_by_role("button", name="Upload", exact=True).wait_for()
