"""A recording that is still written on the page: its mark, a clip of its last seconds, and its newest part."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.support.page import opened, studio, until
from tests.support.playlists import first_segments, ts_playlist
from tests.support.server import RunningServer


def write(made: Path, store: Path, count: int, end: str = "") -> None:
    """Store so many segments of a playlist, and the playlist that lists them."""
    store.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        shutil.copy(made / f"index{number:03d}.ts", store)
    temporary = store / "index.tmp"
    temporary.write_text(first_segments(made / "index.m3u8", count) + end)
    temporary.replace(store / "index.m3u8")


def test_live_recording_is_shown_and_cut(browser: Any, server: RunningServer, tmp_path: Path) -> None:
    ts_playlist(tmp_path / "index.m3u8")
    store = server.data / "store" / "browser-live"
    write(tmp_path, store, 3)
    api = server.client()
    added = api.recordings.add("browser-live/index.m3u8", name="Live", live=True)
    recording = api.recordings.wait(added.recording_id)
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/recordings")
        until(page, "document.querySelector('li.recording .pill.bad')?.textContent === 'Recording'")
    with studio(browser, server, recording) as page:
        page.get_by_role("button", name="Last 30 s").click()
        until(page, "document.querySelector('.beside li .pill.good')")
        (clip,) = api.clips.list(recording_id=recording.recording_id).data
        assert (clip.start_seconds, clip.end_seconds) == (0, recording.duration_seconds)
        write(tmp_path, store, 5)
        page.get_by_role("button", name="Show up to").click()
        until(page, "document.querySelector('.whole')?.textContent.includes('0:09')")
        write(tmp_path, store, 6, "#EXT-X-ENDLIST\n")
        until(page, "!document.querySelector('.head .pill') || document.querySelector('.head .pill').hidden")
