"""Rules on the page: a rule is tried, added, runs, is disabled and enabled again, edited and deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Recording
from tests.support.page import opened, wait_for
from tests.support.server import LOOPBACK_ALLOWED, RunningServer, running_server

pytestmark = pytest.mark.exhaustive

TAG = "rules-page"  # other recordings of the server are not cut


def test_rule_is_tried_added_stopped_enabled_edited_and_deleted(
    browser: Any, server: RunningServer, recording: Recording
) -> None:
    client = server.client()
    with opened(browser, server, expected="422.*/v1/rules$") as page:
        page.goto(f"{server.url}/#/rules")
        page.get_by_text("No rules yet").wait_for()
        page.get_by_role("button", name="Add rule").click()
        dialog = page.get_by_role("dialog", name="Add rule")
        dialog.get_by_label("Name", exact=True).fill("Openings")
        dialog.get_by_label("Tag", exact=True).fill(TAG)
        dialog.get_by_label("Ranges").select_option("first")
        dialog.get_by_label("Label, such as").fill("$unknown")
        dialog.get_by_role("button", name="Add").click()
        dialog.get_by_role("alert").filter(has_text="label").wait_for()
        dialog.get_by_label("Label, such as").fill("")
        dialog.get_by_label("Seconds", exact=True).fill("1.5")
        dialog.get_by_role("button", name="Try…").click()
        tried = page.get_by_role("dialog", name="What the rule would make")
        tried.get_by_label("Recording").select_option(recording.recording_id)
        tried.get_by_text("1 clip would be made").wait_for()
        tried.get_by_text("does not meet the conditions").wait_for()
        tried.get_by_role("button", name="Close").click()
        dialog.get_by_role("button", name="Add").click()
        row = page.locator(".rule").filter(has_text="Openings")
        row.get_by_text("On", exact=True).wait_for()
        (rule,) = client.rules.list().data
        assert (rule.when, rule.clip) == ({"event": "recording.complete", "tag": TAG}, {"label": "$name $number"})
        assert rule.ranges == {"kind": "first", "seconds": 1.5}

        client.recordings.update(recording.recording_id, tags=[TAG])
        client.rules.backfill(rule.rule_id)
        row.get_by_role("link", name="Openings").click()
        log = page.locator(".batch")
        log.get_by_text("1 clip made").wait_for()
        log.locator("summary").click()
        log.get_by_role("link", name="Open the recording").wait_for()
        page.get_by_role("button", name="More actions for Openings").click()
        page.get_by_role("menuitem", name="Disable").click()
        page.get_by_text("disabled by request").wait_for()
        page.get_by_role("link", name="All rules").click()
        row.get_by_text("disabled by request").wait_for()
        row.get_by_role("button", name="Enable").click()
        row.get_by_text("On", exact=True).wait_for()
        assert client.rules.get(rule.rule_id).stopped_reason is None

        row.get_by_role("button", name="More actions").click()
        page.get_by_role("menuitem", name="Edit").click()
        edited = page.get_by_role("dialog", name="Edit rule")
        assert edited.get_by_label("Tag", exact=True).input_value() == TAG
        edited.get_by_label("At most clips").fill("3")
        edited.get_by_role("button", name="Save").click()
        edited.wait_for(state="detached")
        wait_for(page, lambda: client.rules.get(rule.rule_id).max_clips == 3)
        now = client.rules.get(rule.rule_id)
        assert (now.when, now.ranges, now.clip) == (rule.when, rule.ranges, rule.clip)

        row.get_by_role("button", name="More actions").click()
        page.get_by_role("menuitem", name="Delete").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_text("No rules yet").wait_for()
    assert client.rules.list().data == []
    client.recordings.update(recording.recording_id, tags=[])


def test_webhook_gets_the_clips_of_one_rule(browser: Any, tmp_path: Path) -> None:
    # Other tests add webhooks and rules to the server that they share.
    with running_server(tmp_path / "data", env=LOOPBACK_ALLOWED) as server, opened(browser, server) as page:
        client = server.client()
        rule = client.rules.create("Highlights", ranges={"kind": "first", "seconds": 2}, when={"tag": TAG})
        other = client.rules.create("Others", ranges={"kind": "first", "seconds": 2}, when={"tag": TAG})
        page.goto(f"{server.url}/#/rules/{rule.rule_id}")
        page.get_by_text("No webhook gets its clips.").wait_for()
        page.goto(f"{server.url}/#/webhooks")
        page.get_by_role("button", name="Add webhook").click()
        dialog = page.get_by_role("dialog", name="Add webhook")
        dialog.get_by_label("URL").fill(f"{server.url}/highlights")
        dialog.get_by_text("Only some clips and recordings").click()
        dialog.get_by_label("Highlights").check()
        dialog.get_by_label("One of these tags").fill(" best, keep,")
        dialog.get_by_role("button", name="Add", exact=True).click()
        page.get_by_text("whsec_").wait_for()
        page.keyboard.press("Escape")
        (webhook,) = client.webhooks.list().data
        assert webhook.wants == {"tags": ["best", "keep"], "rules": [rule.rule_id]}
        page.get_by_text("only of 1 rule, with the tag best, keep").first.wait_for()
        page.goto(f"{server.url}/#/rules/{rule.rule_id}")
        page.get_by_text("Its clips are sent to:").wait_for()
        page.goto(f"{server.url}/#/rules/{other.rule_id}")
        page.get_by_text("No webhook gets its clips.").wait_for()

        client.rules.delete(rule.rule_id)
        page.goto(f"{server.url}/#/webhooks")
        page.get_by_role("button", name="More actions").click()
        page.get_by_role("menuitem", name="Edit").click()
        edited = page.get_by_role("dialog", name="Edit webhook")
        assert edited.get_by_label(rule.rule_id).is_checked()  # or the webhook would get the clips of all rules
        edited.get_by_label(rule.rule_id).uncheck()
        edited.get_by_label("Others").check()
        edited.get_by_label("One of these tags").fill("")
        edited.get_by_role("button", name="Save").click()
        edited.wait_for(state="detached")
        assert client.webhooks.get(webhook.webhook_id).wants == {"rules": [other.rule_id]}
