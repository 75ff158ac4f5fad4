"""`clipengine ledger copy`: an engine on PostgreSQL continues with a ledger that began in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from tests.support.postgres import database_url, postgres, skip_without_postgres  # noqa: F401 - fixtures
from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, run_command, running_server

pytestmark = pytest.mark.outage

skip_without_postgres()
SECONDS = 300


def test_engine_continues_with_the_copied_ledger(tmp_path: Path, film: Path, database_url: str) -> None:  # noqa: F811
    data = tmp_path / "data"
    shared = {**LOOPBACK_ALLOWED, "CLIPENGINE_DATABASE__URL": database_url}
    with Receiver() as receiver:
        with running_server(data, env=LOOPBACK_ALLOWED) as server:
            api, key = server.client(), server.key
            webhook = api.webhooks.create(receiver.url, events=["clip.ready", "recording.complete"])
            recording = api.recordings.wait(api.recordings.upload(film).recording_id, timeout=SECONDS)
            first = api.clips.create(recording.recording_id, label="first", start_seconds=1, end_seconds=3)
            first = api.clips.wait(first.clip_id, timeout=SECONDS)
            receiver.wait_for(2, timeout=300)
            refused = run_command("ledger", "copy", "--to", database_url, "--data", str(data))
            assert refused.returncode == 1
            assert "data_folder_in_use" in refused.stderr
            assert server.stop() == 0
        copied = run_command("ledger", "copy", "--json", "--data", str(data), env=shared)
        assert copied.returncode == 0, copied.stderr
        counts = {each["table"]: each["rows"] for each in json.loads(copied.stdout)}
        assert (counts["clips"], counts["recordings"], counts["events"], counts["endpoints"]) == (1, 1, 2, 1)
        assert str(data / "secrets.key") in copied.stderr
        again = run_command("ledger", "copy", "--data", str(data), env=shared)
        assert again.returncode == 1
        assert "is not empty" in again.stderr
        forgotten = run_command("serve", "--port", "0", "--data", str(data))
        assert forgotten.returncode == 1
        assert "Set database.url to that database" in forgotten.stderr
        with running_server(data, env=shared) as server:
            server._key.append(key)  # the key of the first engine is valid for the second
            api = server.client()
            assert api.clips.get(first.clip_id) == first
            api.clips.get(first.clip_id).download(tmp_path / "first.mp4")
            second = api.clips.create(recording.recording_id, label="second", start_seconds=2, end_seconds=4)
            assert api.clips.wait(second.clip_id, timeout=SECONDS).status == "complete"
            request = receiver.wait_for(3, timeout=300)[-1]
            assert webhook.secret
            Webhook(webhook.secret).verify(request.body.decode(), request.headers)
            assert [json.loads(each.body)["event"] for each in receiver.requests] == [
                "recording.complete",
                "clip.ready",
                "clip.ready",
            ]
            for event in api.events(last_event_id="2"):  # the stream of the first engine ended here
                if event.event == "clip.ready":
                    assert (event.last_event_id, event.clip and event.clip.clip_id) == ("3", second.clip_id)
                    break
