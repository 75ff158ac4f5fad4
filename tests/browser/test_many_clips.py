"""Variants of selected clips, and the deletion of all clips that match a filter, with their progress."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.client import Recording
from tests.support.page import opened, row, wait_for
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive

LABELS = ("manifold one", "manifold two")


def test_variants_are_made_and_all_matches_deleted(browser: Any, server: RunningServer, recording: Recording) -> None:
    client = server.client()
    made = [client.clips.create(recording.recording_id, label, 0.2, 0.8).wait() for label in LABELS]
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/clips?q=manifold")
        for label in LABELS:
            row(page, label).get_by_role("checkbox").check()
        page.get_by_role("button", name="Variants…").click()
        dialog = page.get_by_role("dialog", name="Variants of 2 clips")
        dialog.get_by_text("Choose what differs.").wait_for()
        assert dialog.get_by_role("button", name="Make variants").is_disabled()
        dialog.get_by_label("Aspect ratio").select_option("1:1")
        dialog.get_by_text("2 variants of clips").wait_for()
        dialog.get_by_role("button", name="Make variants").click()
        page.locator(".toast").filter(has_text="2 of 2 clips").wait_for()
        found = [clip for clip in client.clips.each(q="manifold") if clip.raw["variant_of"] is not None]
        assert {clip.raw["variant_of"] for clip in found} == {clip.clip_id for clip in made}
        assert {clip.raw["output"]["aspect"] for clip in found} == {"1:1"}
        for clip in found:
            client.clips.wait(clip.clip_id)

        page.get_by_role("button", name="Delete all matches…").click()
        confirm = page.get_by_role("dialog", name="Delete all 4 clips that match?")
        confirm.get_by_text("“manifold”").wait_for()
        confirm.get_by_role("button", name="Delete").click()
        page.locator(".toast").filter(has_text="4 of 4 clips").wait_for()
        wait_for(page, lambda: not list(client.clips.each(q="manifold")))
        wait_for(page, lambda: not row(page, LABELS[0]).count())  # the clip and its variant have the same label
