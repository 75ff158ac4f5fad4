"""An encoder that runs out of memory: its clip fails with a hint, and no other clip is affected."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.children import working
from tests.support.damage import film as square
from tests.support.invariants import check_invariants
from tests.support.server import running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage

ENVIRON = {
    "CLIPENGINE_ENCODING__MEMORY_MB": "250",
    "CLIPENGINE_ENCODING__WORKERS": "2",
    "CLIPENGINE_ENCODING__THREADS_PER_CLIP": "2",
    "CLIPENGINE_ENCODING__NICE": "0",
    "CLIPENGINE_PROFILES__HUNGRY__PRESET": "veryslow",
    "CLIPENGINE_PROFILES__MODEST__PRESET": "ultrafast",
    "CLIPENGINE_PROFILES__MODEST__MAX_HEIGHT": "120",
}


def test_encoder_out_of_memory_fails_only_its_clip(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = data / "store" / "h_01"
    store.mkdir(parents=True)
    (store / "large.mp4").write_bytes(square(size=1600, seconds=2))
    (store / "small.mp4").write_bytes(square(size=128, seconds=4))
    with running_server(data, env=ENVIRON, fork=False) as server, server.client() as api:
        large, small = (
            api.recordings.wait(api.recordings.add(f"h_01/{name}.mp4").recording_id, timeout=300)
            for name in ("large", "small")
        )
        assert (large.status, small.status) == ("complete", "complete"), (large.error, small.error)
        hungry = [api.clips.create(large.recording_id, "hungry", 0.0, 2.0, profile="hungry").clip_id for _ in range(3)]
        modest = [api.clips.create(small.recording_id, f"{n}", 0.0, 4.0, profile="modest").clip_id for n in range(6)]
        for clip_id in hungry:
            clip = api.clips.wait(clip_id, timeout=300)
            assert clip.error is not None
            assert (clip.error.code, clip.error.retryable, clip.attempt) == ("unsupported_media", False, 1)
            assert "memory" in clip.error.message
            assert "encoding.memory_mb" in clip.error.hint
        for clip_id in modest:
            clip = api.clips.wait(clip_id, timeout=300)
            assert (clip.status, clip.attempt) == ("complete", 1), clip.error
        assert httpx.get(f"{server.url}/readyz", timeout=300).status_code == 200
        until(lambda: not working(server.process.pid))
        # Following the hint (smaller frames) the clip completes.
        again = api.clips.create(large.recording_id, "modest", 0.0, 2.0, profile="modest")
        assert api.clips.wait(again.clip_id, timeout=300).status == "complete"
        server.stop()
    check_invariants(data)
