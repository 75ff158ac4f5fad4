"""A running engine finds clips by what is said in them, without a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clipengine.client import Client
from tests.support.moments_film import make_moments_film
from tests.support.server import running_server
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive


def test_clip_is_found_by_a_transcript_that_comes_later_and_not_when_it_is_gone(tmp_path: Path) -> None:
    film = make_moments_film(tmp_path / "film.mp4")
    with running_server(tmp_path / "data") as server:
        client = server.client()
        recording_id = client.recordings.wait(client.recordings.upload(film).recording_id, timeout=300).recording_id
        clip_id = client.clips.create(recording_id, "goal", 1, 3).clip_id
        client.transcripts.put(recording_id, "en", [{"start_seconds": 1.5, "end_seconds": 2, "text": "What a shot"}])
        until(lambda: _found(client, "goal shot") == [clip_id])
        listed = server.command("clips", "list", "--search", "shot", "--json")
        assert [each["clip_id"] for each in json.loads(listed.stdout)] == [clip_id]
        client.transcripts.delete(recording_id, "en")
        assert _found(client, "shot") == []
        assert _found(client, "goal") == [clip_id]


def _found(client: Client, q: str) -> list[str]:
    return [clip.clip_id for clip in client.clips.list(q=q).data]
