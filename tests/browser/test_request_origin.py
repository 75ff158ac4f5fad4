"""Writes with a cookie and sign-ins: Chromium's own headers pass for the page, and fail for pages of other origins."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.file_server import serve_folder
from tests.support.page import by_name, wait_for
from tests.support.server import RunningServer

_SEND = """async ([path, body, keepalive]) => {
  const headers = {"Content-Type": "application/json", "X-Clipengine-Page": "1"};
  return (await fetch(path, {method: "POST", headers, body: JSON.stringify(body), keepalive})).status;
}"""
_EVIL = """<!doctype html><meta name="referrer" content="%s"><form method="post" enctype="text/plain"
action="%s/session"><input name='{"key":"x' value='"}'></form><script>document.forms[0].submit()</script>"""


@pytest.mark.parametrize("is_secure", [True, False])
@pytest.mark.typical(2)
def test_page_of_the_server_signs_in_and_writes(browser: Any, server: RunningServer, is_secure: bool) -> None:
    """Without a secure context, the browser sends no `Sec-Fetch-Site`."""
    context = browser.new_context()
    try:
        page = context.new_page()
        sent: list[dict[str, str]] = []
        page.on("request", lambda request: sent.append(request.all_headers()) if request.method == "POST" else None)
        page.goto(server.url if is_secure else by_name(server))
        assert page.evaluate(_SEND, ["/session", {"key": server.key}, False]) == 200
        for keepalive in (False, True):
            assert page.evaluate(_SEND, ["/v1/clips/delete", {"clip_ids": ["clip_x"]}, keepalive]) == 200
        wait_for(page, lambda: len(sent) == 3)
        assert [("sec-fetch-site" in each, "origin" in each) for each in sent] == [(is_secure, True)] * 3
    finally:
        context.close()


@pytest.mark.parametrize("policy", ["unsafe-url", "no-referrer"])
@pytest.mark.parametrize("is_secure", [True, False])
@pytest.mark.typical(2)
def test_form_of_another_port_is_refused(
    browser: Any, server: RunningServer, tmp_path: Path, is_secure: bool, policy: str
) -> None:
    """Another port is the same site: the browser sends the cookie there as well."""
    target = server.url if is_secure else by_name(server)
    (tmp_path / "evil.html").write_text(_EVIL % (policy, target))
    context = browser.new_context()
    try:
        page = context.new_page()
        with serve_folder(tmp_path) as address:
            port = urlsplit(address).port
            with page.expect_response(f"{target}/session") as answer:
                page.goto(f"http://{urlsplit(target).hostname}:{port}/evil.html")
            assert answer.value.status == 403
    finally:
        context.close()
