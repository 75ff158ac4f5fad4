"""The server makes the previews of new recordings ahead, also after clips have been cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipengine.clips.plan.preview_pyramid import coarse_filmstrips, whole_waveform
from tests.support.server import running_server
from tests.support.waiting import until


@pytest.mark.outage
def test_server_makes_previews_of_new_recordings(tmp_path: Path, film: Path) -> None:
    with running_server(tmp_path / "data", env={"CLIPENGINE_PREVIEWS__AHEAD": "true"}) as server:
        client = server.client()
        recording = client.recordings.wait(client.recordings.upload(film).recording_id)
        clip = client.clips.create(recording.recording_id, "at the same time", 1, 2)
        duration = recording.duration_seconds or 0
        wanted = [*coarse_filmstrips(duration), *whole_waveform(duration)]
        folder = tmp_path / "data" / "previews"
        until(
            lambda: folder.exists() and len([each for each in folder.iterdir() if each.name[0] != "."]) >= len(wanted)
        )
        clip.wait().raise_for_error()
