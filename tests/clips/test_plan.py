"""Tracks and size of a clip, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.clips.options.framing import output_size
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.frames import kept_tracks
from clipengine.recordings.facts import AudioFacts


@pytest.mark.parametrize(
    ("width", "height", "rotation", "max_height", "size"),
    [
        (1920, 1080, 0, None, (1920, 1080)),
        (1920, 1080, 90, None, (1080, 1920)),
        (1920, 1080, 180, None, (1920, 1080)),
        (1920, 1080, 0, 720, (1280, 720)),
        (1920, 1080, 270, 720, (406, 720)),
        (1920, 1080, 0, 361, (640, 360)),
        (640, 361, 0, 361, (638, 360)),
        (641, 361, 0, None, (642, 362)),
        (1, 1, 0, None, (2, 2)),
        (640, 360, 0, 720, (640, 360)),
    ],
)
def test_output_size_is_upright_even_and_never_enlarged(
    width: int, height: int, rotation: int, max_height: int | None, size: tuple[int, int]
) -> None:
    assert output_size(width, height, rotation=rotation, max_height=max_height) == size


def track(index: int) -> AudioFacts:
    return AudioFacts(index=index, codec="aac", channels=2, sample_rate=48_000, language=None)


@pytest.mark.parametrize(
    ("profile", "kept"),
    [
        ({}, [1, 2]),
        ({"audio": "none"}, []),
        ({"audio_tracks": 1}, [2]),
        ({"audio_tracks": 5}, []),
        ({"audio_tracks": "mix"}, [1, 2]),
        ({"container": "mp3", "video": "none", "audio": "mp3"}, [1]),
    ],
)
def test_profile_selects_the_audio_tracks(profile: dict[str, Any], kept: list[int]) -> None:
    chosen = Profile.model_validate(profile)
    assert [each.index for each in kept_tracks(chosen, [track(1), track(2)])] == kept
