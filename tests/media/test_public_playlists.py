"""Public HLS recordings (of shaka-player): each is read and cut whole, or refused with the code that says why."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from clipengine.cli.local.making import LocalClip, cut_once, open_source
from clipengine.cli.local.probe import LocalProbe, probe_local
from clipengine.errors import ClipEngineError, PlaylistInvalid, RecordingEncrypted
from clipengine.recordings.playlist import LARGEST
from clipengine.settings.settings import Settings
from clipengine.work.children.jobs import probe_job
from clipengine.work.children.process import Child
from tests.conftest import RECORDINGS
from tests.support.stored import store_kind, stored

__all__ = ["store_kind"]  # a fixture

PUBLIC = RECORDINGS.with_name("pieces") / "vectors"

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.usefixtures("store_kind"),
    pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public playlists are not here (../shared/pieces/vectors)"),
]


def probed(settings: Settings, source: str) -> LocalProbe:
    with (
        open_source(settings, source) as (store, opened),
        closing(Child(sandbox=settings.encoding.sandbox)) as child,
    ):
        found = probe_local(store, opened, probe_job(settings.encoding), child, LARGEST)
        found.reader.close()
    return found


@pytest.mark.parametrize(
    ("name", "seconds", "frames", "fps", "audio", "warnings"),
    [
        ("hls-ts-rollover/playlist.m3u8", 20, 480, 24, 1, []),  # over the wrap of the clock
        ("hls-text-offset/index.m3u8", "8.545", 205, 24, 1, ["audio_gap_filled"]),  # over a discontinuity
        ("hls-multivideo/master.m3u8", "4.067", 120, 30, 3, []),
        ("hls-raw-aac/manifest.m3u8", "39.985", 0, 0, 1, []),
        ("clear-encrypted-hls/audio-swapped.m3u8", 8, 0, 0, 1, []),  # the clear part
        ("hls-interstitial/main.m3u8", 20, 500, 25, 0, []),
        # Its second segment begins anew, and its sound ends 0.15 s before the picture.
        ("hls-text-no-discontinuity/index.m3u8", "12.021", 300, 25, 1, ["audio_gap_filled"]),
        ("hls-ts-b-frames/index.m3u8", "5.76", 144, 25, 0, []),
        ("hls-ts-muxed-aac-h264-with-overflow-samples/media.m3u8", "10.025", 299, 0, 1, []),
    ],
)
def test_public_playlist_is_cut_without_a_loss(
    name: str, seconds: str, frames: int, fps: int, audio: int, warnings: list[str], tmp_path: Path
) -> None:
    settings, source = stored(PUBLIC / name)
    facts = probed(settings, source).facts
    assert float(facts.duration) == pytest.approx(float(seconds), abs=0.001)
    assert len(facts.audio) == audio
    clip = LocalClip([(Fraction(0), facts.duration)])
    made = cut_once(settings, source, tmp_path / "clip.mp4", clip, on_progress=lambda done: None)
    assert made.frames == frames
    assert [text.partition(":")[0] for text in made.warnings] == warnings
    if fps:
        with av.open(str(tmp_path / "clip.mp4")) as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert all(later - earlier == pytest.approx(1 / fps, abs=0.0011) for earlier, later in pairwise(times))


def test_gap_of_a_public_playlist_is_held(tmp_path: Path) -> None:
    settings, source = stored(PUBLIC / "hls-gap/playlist.m3u8")
    gaps = probed(settings, source).gaps or []
    assert [(round(gap["start_seconds"], 2), round(gap["end_seconds"], 2)) for gap in gaps] == [
        (0, 4.0),
        (16.02, 20.02),
    ]
    clip = LocalClip([(Fraction(14), Fraction(26))])
    made = cut_once(settings, source, tmp_path / "clip.mp4", clip, on_progress=lambda done: None)
    assert made.duration_seconds == pytest.approx(12, abs=0.01)
    assert made.warnings == [
        "video_gap: gaps of 4.004 s between frames: the frame before each gap is held",
    ]


def test_texts_of_public_playlists_are_on_the_clock_of_their_pictures() -> None:
    (text,) = probed(*stored(PUBLIC / "hls-text-offset/index.m3u8")).texts
    assert text.language == "en-US"
    assert [cue.start_ms for cue in text.cues] == [0, 2000, pytest.approx(6000, abs=50)]
    (text,) = probed(*stored(PUBLIC / "hls-text-no-discontinuity/index.m3u8")).texts
    assert [cue.start_ms for cue in text.cues[:3]] == [0, 1421, 4901]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("hls-aes-256/media.m3u8", RecordingEncrypted),
        ("hls-sample-aes/index.m3u8", RecordingEncrypted),
        ("clear-encrypted-hls/manifest.m3u8", PlaylistInvalid),  # the playlist of its picture is missing
    ],
)
def test_public_playlist_that_cannot_be_read_is_refused(name: str, error: type[ClipEngineError]) -> None:
    with pytest.raises(error):
        probed(*stored(PUBLIC / name))
