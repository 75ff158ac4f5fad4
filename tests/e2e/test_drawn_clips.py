"""Burnt-in subtitles and watermarks through a real server, with its sandboxed children."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.client import Client, Clip, Recording
from tests.support.png import png
from tests.support.server import run_command, running_server

pytestmark = pytest.mark.exhaustive

_TRANSCRIPTS = {
    "en": [{"start_seconds": 1.0, "end_seconds": 3.0, "text": "The BUDGET", "speaker": "Ana"}],
    "und": [{"start_seconds": 1.0, "end_seconds": 3.0, "text": "\U00017000"}],  # Tangut, which few fonts have
}


def _config(folder: Path, *, watermark: bool = True) -> Path:
    path = folder / "clipengine.toml"
    table = '[watermarks.logo]\npath = "logo.png"\nposition = "top-left"\nmargin = 0\n'
    path.write_text(table if watermark else "")
    return path


def _registered(client: Client, film: Path) -> Recording:
    recording = client.recordings.wait(client.recordings.upload(film).recording_id, timeout=300)
    for language, cues in _TRANSCRIPTS.items():
        client.transcripts.put(recording.recording_id, language, cues)
    return recording


def _luma(clip: Clip, folder: Path) -> Any:
    """Return the luma of the first frame of a finished clip."""
    target = folder / f"{clip.clip_id}.mp4"
    clip.download(target)
    with av.open(str(target)) as container:
        plane: Any = next(container.decode(video=0)).planes[0]
        return np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width].astype(int)


def test_clips_show_subtitles_and_watermark(film: Path, tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(png(2, 1, bytes((255, 255, 255, 255) * 2)))
    with running_server(tmp_path / "data", config=_config(tmp_path)) as server:
        client = server.client()
        recording = _registered(client, film)

        def made(**options: Any) -> Clip:
            created = client.clips.create(recording.recording_id, "drawn", 1.0, 2.0, **options)
            return client.clips.wait(created.clip_id, timeout=300)

        burning = {"mode": "burn", "language": "en"}
        plain = made(subtitles={"mode": "none"})
        drawn = made(subtitles=burning, output={"watermark": "logo"}, render="smart")
        assert drawn.result is not None, drawn.error
        assert drawn.result.subtitles == []
        assert [each.partition(":")[0] for each in drawn.result.warnings] == ["encoded_instead"]
        changed = np.abs(_luma(drawn, tmp_path) - _luma(plain, tmp_path)) > 60
        height, width = changed.shape
        assert changed[int(0.85 * height) :].sum() > 200  # the text
        assert changed[: height // 20, : width // 8].mean() > 0.5  # the watermark
        assert changed[height // 5 : height // 2].sum() == 0

        styled = made(subtitles={**burning, "style": {"name": "word", "size": 0.1, "height": 0.5}})
        assert styled.result is not None, styled.error
        assert [each.partition(":")[0] for each in styled.result.warnings] == ["words_not_marked"]
        changed = np.abs(_luma(styled, tmp_path) - _luma(plain, tmp_path)) > 60
        assert changed[height // 4 : height // 2].sum() > 200
        assert changed[int(0.6 * height) :].sum() == 0

        failed = made(subtitles={"mode": "burn", "language": "und"})
        if failed.status == "failed":  # no font of the machine has the letter
            assert failed.error is not None
            assert (failed.error.code, failed.error.retryable) == ("fonts_missing", False)
            assert "fonts-noto-core" in (failed.error.hint or "")

        waiting = client.clips.create(
            recording.recording_id, "x", 0.0, 12.0, output={"watermark": "logo", "speed": 0.25}
        )
        server.stop(signal.SIGKILL)
    with running_server(tmp_path / "data", config=_config(tmp_path, watermark=False)) as server:
        ended = server.client().clips.wait(waiting.clip_id, timeout=300)
        assert ended.error is not None
        assert ended.error.code == "unknown_watermark"


@pytest.mark.parametrize("content", [None, b"GIF89a"])
def test_server_does_not_start_with_an_unusable_watermark(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "logo.png").write_bytes(content)
    options = ["--port", "0", "--data", str(tmp_path / "data"), "--config", str(_config(tmp_path))]
    done = run_command("serve", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert "error: watermarks.logo.path: logo.png cannot be used" in done.stderr
    assert "Name a PNG file" in done.stderr
    assert "Traceback" not in done.stderr
