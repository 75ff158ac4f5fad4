"""Links in webhooks of a running server: they open the clip without a key, and Slack gets a message with them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest

from tests.support.ports import free_port
from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, running_server


@pytest.mark.outage
def test_webhook_has_links_that_open_the_clip(film: Path, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environ = {"CLIPENGINE_SERVER__PUBLIC_URL": url, "CLIPENGINE_WEBHOOKS__LINKS": "true", **LOOPBACK_ALLOWED}
    options = ["--port", str(port)]
    with Receiver() as receiver, running_server(tmp_path / "data", env=environ, options=options) as server:
        client = server.client()
        client.webhooks.create(f"{receiver.url}/json")
        client.webhooks.create(f"{receiver.url}/slack", format="slack")
        recording = client.recordings.upload(film, name="meeting.mp4").wait()
        clip = client.clips.create(recording.recording_id, "Key moment", 3.0, 5.5).wait().raise_for_error()
        requests = {request.path.rpartition("/")[2]: request for request in receiver.wait_for(2)}
        data = json.loads(requests["json"].body)["data"]
        assert data["share_url"].startswith(f"{url}/s/")
        assert "Key moment" in httpx.get(data["share_url"], trust_env=False).text
        saved = httpx.get(data["download_url"], trust_env=False)
        assert clip.result is not None
        assert hashlib.sha256(saved.content).hexdigest() == clip.result.sha256
        blocks = json.loads(requests["slack"].body)["blocks"]
        assert blocks[0]["text"]["text"] == f"*<{data['share_url']}|Clip ready>*"
        assert "Key moment" in json.dumps(blocks[1:])
        (share,) = client.clips.shares(clip.clip_id).data
        client.clips.unshare(clip.clip_id, share.share_id)
        assert httpx.get(data["download_url"], trust_env=False).status_code == 404
        assert not re.search(data["share_url"].rpartition("/")[2], server.log.read_text())
