"""Behaviour common to all lists of the API."""

from __future__ import annotations

import httpx

from clipengine.recordings.recording import Recording
from tests.support.api import RecordedEngine


def test_cursor_of_another_list_is_rejected(http: httpx.Client, engine: RecordedEngine, recording: Recording) -> None:
    """Every list accepts its own cursors and rejects those of the other lists."""
    other = engine.make_recording("other.mp4")
    webhooks = [http.post("/v1/webhooks", json={"url": f"http://127.0.0.1:9/{name}"}).json() for name in "ab"]
    for each in (recording, recording, other, other):
        engine.make_clip(each)
    lists = [
        "/v1/clips",
        "/v1/recordings",
        "/v1/webhooks",
        f"/v1/recordings/{recording.recording_id}/clips",
        f"/v1/recordings/{other.recording_id}/clips",
    ]
    for webhook in webhooks:
        for _ in range(2):
            http.post(f"/v1/webhooks/{webhook['webhook_id']}/test")
        lists.append(f"/v1/webhooks/{webhook['webhook_id']}/deliveries")
    cursors = {path: http.get(path, params={"limit": 1}).json()["next_cursor"] for path in lists}
    assert all(cursors.values())
    for path in lists:
        for origin, cursor in cursors.items():
            answer = http.get(path, params={"cursor": cursor})
            assert answer.status_code == (200 if origin == path else 422), (path, origin)
            if origin != path:
                (fault,) = answer.json()["errors"]
                assert (fault["parameter"], fault["detail"]) == ("cursor", "cursor belongs to another list")
