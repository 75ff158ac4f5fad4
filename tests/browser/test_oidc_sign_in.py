"""Sign-in with `oidc-provider` from npm in a browser, for which provider and engine are different sites."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.page import SECONDS
from tests.support.ports import free_port
from tests.support.server import running_server

PROGRAM = Path(__file__).parent.parent / "support" / "openid_provider.mjs"
MODULE = Path(__file__).parent.parent.parent / "scripts/typescript/node_modules/oidc-provider/lib/index.js"

pytestmark = [
    pytest.mark.outage,
    pytest.mark.skipif(
        not MODULE.exists() or shutil.which("node") is None,
        reason="oidc-provider is not installed: run `make check`; it needs node and npm",
    ),
]


@contextmanager
def openid_provider(engine: str) -> Iterator[str]:
    """Run the provider and yield its issuer."""
    command = ["node", str(PROGRAM), str(MODULE), f"{engine}/session/oidc/callback", f"{engine}/"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stderr is not None
            issuer = running.stdout.readline().strip()
            assert issuer, running.stderr.read()
            yield issuer
        finally:
            running.kill()


def at_provider(page: Any, issuer: str) -> None:
    """Fill in the form of the provider, and consent."""
    page.wait_for_url(f"{issuer}/interaction/**")
    page.fill("input[name=login]", "anna")
    page.fill("input[name=password]", "any")
    page.click("button[type=submit]")
    page.get_by_role("button", name="Continue").click()


def test_user_signs_in_and_out_in_a_browser(browser: Any, tmp_path: Path) -> None:
    port = free_port()
    engine = f"http://localhost:{port}"
    with openid_provider(engine) as issuer:
        settings = {
            "ENABLED": "true",
            "NAME": "Authelia",
            "ISSUER": issuer,
            "CLIENT_ID": "clips",
            "CLIENT_SECRET": "a secret of the client",
            "SCOPES": '["openid", "profile", "groups"]',
            "EDITORS": '["cutters"]',
            "ALLOW_CIDRS": '["127.0.0.0/8"]',
        }
        env = {f"CLIPENGINE_AUTH__OIDC__{name}": value for name, value in settings.items()}
        env |= {"CLIPENGINE_SERVER__PUBLIC_URL": engine}
        with running_server(tmp_path / "data", options=("--port", str(port)), env=env) as server:
            context = browser.new_context(locale="en")
            page = context.new_page()
            page.set_default_timeout(SECONDS * 1000)
            page.goto(f"{engine}/#/clips")
            page.get_by_role("link", name="Sign in with Authelia").click()
            at_provider(page, issuer)
            page.wait_for_url(f"{engine}/#/clips")
            page.get_by_text("No clips yet").first.wait_for()
            cookies = {each["name"]: each for each in context.cookies(engine)}
            session = cookies["clipengine_session"]
            assert (session["sameSite"], session["httpOnly"]) == ("Strict", True)
            assert "clipengine_flow" not in cookies
            (user,) = server.client().users.list().data
            assert (user.name, user.role, user.subject) == ("anna of the house", "editor", f"{issuer}#anna")
            assert "secret of the client" not in server.log.read_text()
            page.locator("button.account").click()
            page.get_by_role("menuitem", name="Sign out").click()
            page.wait_for_url(f"{issuer}/session/end**")
            assert server.client().users.sessions(all=True).data == []
            page.get_by_role("button", name="Yes, sign me out").click()
            page.wait_for_url(f"{engine}/**")
            page.get_by_role("link", name="Sign in with Authelia").wait_for()
            context.close()
