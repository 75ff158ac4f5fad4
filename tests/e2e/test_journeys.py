"""Journeys: pages that lead across several parts, walked from an empty installation with their own commands."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.support.receiver import Receiver
from tests.support.recipes import DOCS, blocks, run, settings, variables
from tests.support.server import COMMAND, LOOPBACK_ALLOWED, RunningServer, clean_environ, running_server
from tests.support.waiting import until

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(not all(map(shutil.which, ("curl", "jq"))), reason="curl or jq is not installed"),
]

VTT = "WEBVTT\n\n00:02.000 --> 00:04.000\nThe budget is approved.\n"


def walk(page: Path, server: RunningServer, folder: Path, **given: str) -> None:
    """Run the commands of a page as a reader does."""
    environ = clean_environ(
        {
            "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}",
            "KEY": server.key,
            "CLIPENGINE_URL": server.url,
            "CLIPENGINE_API_KEY": server.key,
            **given,
        }
    )
    script = "\n".join(blocks(page, "sh")).replace("http://127.0.0.1:8377", server.url)
    run(["bash", "-euo", "pipefail", "-c", script], environ, folder)


def test_meeting_becomes_a_short_in_slack(tmp_path: Path, film: Path) -> None:
    page = DOCS / "recipes" / "shorts.md"
    (tmp_path / "meeting.mp4").symlink_to(film)
    (tmp_path / "meeting.vtt").write_text(VTT)
    env = variables(settings(page)) | LOOPBACK_ALLOWED
    with Receiver() as slack, running_server(tmp_path / "data", env=env) as server, server.client() as client:
        walk(page, server, tmp_path, SLACK_URL=slack.url)
        (request,) = slack.wait_for(1)
        (short,) = [client.clips.wait(clip.clip_id) for clip in client.clips.each(tags=["short"])]
        assert short.result is not None
        assert (short.result.width, short.result.height) == (540, 960)
        (share,) = client.clips.each_share()
        ends = datetime.fromisoformat(share.expires_at or "") - datetime.now(UTC)
        assert timedelta(days=29) < ends <= timedelta(days=30)
        message = json.loads(request.body)
        assert short.label in message["text"]
        url = str(client.clips.share_link(short.clip_id, share.share_id).url)
        link = url.replace("https://clips.example.org", server.url)
        assert url in json.dumps(message)
        shown = httpx.get(link, trust_env=False)
        assert (shown.status_code, short.label in shown.text) == (200, True)
        (made,) = client.installation.audit(object=share.share_id, action="share.create").data
        assert (made.within_id, made.actor_kind) == (short.clip_id, "source")

        by_hand = client.clips.create(short.recording_id, "only for me", 0, 1).wait()
        again = client.clips.create(short.recording_id, "also for me", 0, 1, tags=["short"]).wait()
        until(lambda: client.clips.get(again.clip_id).status == "complete")
        assert len(slack.requests) == 1
        assert [each for each in client.clips.each_share() if each.clip_id == by_hand.clip_id] == []
        assert client.clips.unshare(short.clip_id, share.share_id) is None
        assert httpx.get(link, trust_env=False).status_code == 404
