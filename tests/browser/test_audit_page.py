"""The audit log on the page: who did what, filters that are kept in the address, and pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from clipengine.client import Recording
from clipengine.ledger.database.act import Act, Actor
from tests.films.film import Film
from tests.support.ledgers import open_ledger
from tests.support.page import held, until
from tests.support.proxy_users import PROXY, page_of, show, signed_in
from tests.support.server import RunningServer, running_server

ROWS = "document.querySelectorAll('.audit tbody tr').length"
SIGNED_IN = "(cell) => cell.innerText === 'Signed in'"
IDLE = "!document.querySelector('.audit [aria-busy]')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("audit") / "data", env=PROXY) as server:
        yield server


@pytest.fixture(scope="module")
def recording(server: RunningServer, film: Film) -> Recording:
    client = server.client()
    return client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)


@pytest.fixture(autouse=True)
def _without_segments() -> None:
    """Replace the fixture for the recording that other modules share."""


@pytest.fixture(scope="module")
def olga(browser: Any, server: RunningServer) -> Iterator[Any]:
    """Yield the page of an operator."""
    with page_of(browser, server, "olga") as page:
        show(page, server, "recordings")
    client = server.client()
    client.users.update(signed_in(client, "olga").user_id, role="operator")
    with page_of(browser, server, "olga") as page:
        yield page


def entries(page: Any) -> Any:
    return page.locator(".audit tbody tr")


def choice(page: Any, name: str) -> Any:
    return page.get_by_role("combobox", name=name, exact=True)


def test_operator_finds_who_deleted_a_clip(olga: Any, server: RunningServer, recording: Recording) -> None:
    client, page = server.client(), olga
    clip = client.clips.create(recording.recording_id, "gone", 0.2, 0.8).wait()
    kept = client.clips.create(recording.recording_id, "kept", 0.2, 0.8).wait()
    client.clips.delete(clip.clip_id)
    show(page, server, "system")
    page.get_by_role("tab", name="Audit").click()
    deleted = entries(page).filter(has_text="Clip deleted").first
    deleted.get_by_text(clip.clip_id).wait_for()
    assert "key" in deleted.locator(".who").inner_text()
    assert deleted.locator(".outcome").inner_text() == "done"
    assert deleted.locator(".peer").inner_text() == "127.0.0.1"
    assert not deleted.locator(".object").get_by_role("button").count()  # a deleted clip cannot be opened
    created = entries(page).filter(has_text=kept.clip_id)
    created.get_by_role("link", name="meeting.mp4").wait_for()
    created.get_by_role("button", name=kept.clip_id).click()
    page.get_by_role("dialog").get_by_text("kept", exact=True).wait_for()
    page.keyboard.press("Escape")

    deleted.get_by_role("button", name="More actions for Clip deleted").click()
    page.get_by_role("menuitem", name="Only with this object").click()
    until(page, f"{ROWS} === 2 && {IDLE}")
    assert [each.inner_text() for each in entries(page).locator(".what").all()] == ["Clip deleted", "Clip created"]
    assert page.get_by_label("Id of the object").input_value() == clip.clip_id
    assert page.evaluate("document.activeElement.textContent") == "Reset"
    until(page, "document.querySelector('#said').textContent === '2 rows'")
    choice(page, "Action").select_option(label="Clip created")
    until(page, f"{ROWS} === 1")
    page.reload()
    until(page, f"{ROWS} === 1 && {IDLE}")
    assert choice(page, "Action").input_value() == "clip.create"
    page.get_by_label("Until").fill("2020-01-01")
    page.get_by_text("No entries").wait_for()
    page.get_by_role("button", name="Reset").click()
    until(page, f"{ROWS} > 2")
    assert choice(page, "Who").evaluate("(node) => node === document.activeElement")
    assert page.url.endswith("#/system?tab=audit")


def test_rows_of_a_user_are_found_from_the_list_of_users(olga: Any, server: RunningServer) -> None:
    page, user = olga, signed_in(server.client(), "olga").user_id
    headers = {"Authorization": f"Bearer {server.key}"}
    body = {"name": "of olga", "scopes": ["read"], "user_id": user}
    httpx.post(f"{server.url}/v1/keys", json=body, headers=headers).raise_for_status()
    show(page, server, "system?tab=users")
    page.get_by_role("button", name="More actions for olga").click()
    page.get_by_role("menuitem", name="Audit log").click()
    entries(page).first.wait_for()
    assert choice(page, "Who").input_value() == user
    assert {each.inner_text() for each in entries(page).locator(".who bdi").all()} == {"olga"}
    choice(page, "Who").select_option(label="Anyone")
    entries(page).filter(has_text="Key created").locator(".object", has_text="of olga").wait_for()


def test_caller_without_the_right_sees_no_log(
    browser: Any, olga: Any, server: RunningServer, recording: Recording
) -> None:
    with page_of(browser, server, "vera", expected="403") as page:
        show(page, server, "system?tab=audit")
        page.get_by_role("tab", name="Work").wait_for()
        assert not page.get_by_role("tab", name="Audit").count()
        assert page.evaluate("fetch('/v1/audit').then((answer) => answer.status)") == 403
    vera = signed_in(server.client(), "vera").user_id
    with closing(open_ledger(server.data / "ledger.db")) as ledger:  # as the server does after a minute
        for _ in range(3):
            ledger.audit.count("recording.delete", Actor("user", vera), recording.recording_id, outcome="refused")
        ledger.audit.flush()
    show(olga, server, f"system?tab=audit&actor={vera}&action=recording.delete")
    row = entries(olga).filter(has_text="Recording removed")
    row.get_by_text("refused × 3").wait_for()
    row.get_by_role("link", name="meeting.mp4").wait_for()  # it was not deleted


def test_further_rows_are_loaded_and_take_the_focus(olga: Any, server: RunningServer) -> None:
    page, names = olga, [f"clip_{number:03}" for number in range(450)]
    actor = Actor("source", "camera", "signature", peer="192.0.2.7")
    with closing(open_ledger(server.data / "ledger.db")) as ledger:
        act = Act("clip.create", actor)
        act.name(names)
        with ledger.transaction():
            ledger.audit.record(act)
    show(page, server, "system?tab=audit&actor=camera")
    more = page.get_by_role("button", name="Show more")
    for count in (100, 200, 300, 400):
        until(page, f"{ROWS} === {count} && {IDLE}")
        more.press("Enter")
    until(page, f"{ROWS} === 450")
    more.wait_for(state="detached")
    focused = "document.activeElement.closest('tr')"
    assert page.evaluate(f"[...{focused}.parentElement.children].indexOf({focused})") == 400  # the first new row
    shown = page.evaluate("[...document.querySelectorAll('.audit .object')].map((each) => each.innerText.trim())")
    assert sorted(shown) == names


def test_late_answer_of_a_former_filter_is_not_shown(olga: Any, server: RunningServer) -> None:
    page, late = olga, "**/v1/audit*action=key.create*"
    show(page, server, "system?tab=audit")
    entries(page).first.wait_for()
    with page.expect_response(late) as answer, held(page, late):
        choice(page, "Action").select_option("key.create")
        choice(page, "Action").select_option("session.begin")
        until(page, f"{ROWS} && {IDLE} && [...document.querySelectorAll('.what')].every({SIGNED_IN})")
    answer.value.finished()
    assert {each.inner_text() for each in entries(page).locator(".what").all()} == {"Signed in"}
