"""The plan of a clip's file, compared with reports of what a file holds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.clips.file_comparison import FilePlan
from clipengine.clips.file_reports import CutReport, FileReport
from clipengine.clips.options.profiles import Profile
from clipengine.errors import VerificationFailed
from clipengine.recordings.facts import AudioFacts, SourceFacts

PACKET_BYTES = 300


def _check(seconds: str, packets: int, *, profile: Profile, **changes: Any) -> None:
    """Compare a clip of one audio track of this profile, with so many packets, with its plan."""
    start, length = Fraction(1), Fraction(seconds)
    audio = AudioFacts(index=0, codec="mp2", channels=1, sample_rate=48_000)
    facts = SourceFacts(container="mpegts", origin=Fraction(0), duration=Fraction(60), audio=(audio,))
    frame = {"opus": 960, "mp3": 1152, "aac": 1024}[profile.audio] / 48_000
    size = 1000 + packets * PACKET_BYTES
    cut = {
        "parts": [{"actual_start": str(start), "actual_end": str(start + length)}],
        "frames": 0, "width": None, "height": None,
        "video_codec": None, "audio_codec": profile.audio, "size_bytes": size, "encode_seconds": 0.1,
        "bytes_read": 1, "render": "encode", "copied_seconds": 0.0, "encoded_seconds": float(length), "warnings": [],
    }  # fmt: skip
    track = {
        "kind": "audio", "codec": profile.audio, "width": None, "height": None, "sample_rate": 48_000,
        "packets": packets, "bytes": packets * PACKET_BYTES, "first_seconds": 0.0 if packets else None,
        "last_seconds": packets * frame if packets else None,
        "shortest_step_seconds": frame if packets > 1 else None,
        "longest_step_seconds": frame if packets > 1 else None, "begins_with_keyframe": bool(packets),
    }  # fmt: skip
    found = {"container": profile.container, "seconds": float(length), "tracks": [track | changes]}
    plan = FilePlan([PlannedPart(facts, start, start + length)], profile)
    plan.check(CutReport.of(cut), FileReport.of(found), size)


AAC = Profile(container="m4a", video="none")
MP3 = Profile(container="mp3", video="none", audio="mp3")
OPUS = Profile(container="mkv", video="none", audio="opus")


@pytest.mark.parametrize(
    ("profile", "seconds", "packets"),
    [
        (AAC, "2", 95),
        (AAC, "2", 96),
        (AAC, "1/1000", 2),
        (MP3, "2", 85),
        (MP3, "1/1000", 2),
        (OPUS, "2", 101),
        (OPUS, "1/1000", 1),
        (OPUS, "1/12000", 0),  # four samples are less than the encoder's delay
    ],
)
def test_audio_of_every_codec_fits_its_plan(profile: Profile, seconds: str, packets: int) -> None:
    _check(seconds, packets, profile=profile)


@pytest.mark.parametrize(
    ("packets", "changes"),
    [
        (0, {}),
        (50, {}),
        (200, {}),
        (95, {"codec": "mp3"}),
        (95, {"kind": "data"}),
        (95, {"sample_rate": None}),
        (95, {"sample_rate": 8000}),
        (95, {"first_seconds": 0.5}),
        (95, {"longest_step_seconds": 0.5}),
        (95, {"bytes": 95 * 100_000}),
    ],
)
def test_audio_that_cannot_come_from_the_plan_is_rejected(packets: int, changes: dict[str, Any]) -> None:
    with pytest.raises(VerificationFailed) as failed:
        _check("2", packets, profile=AAC, **changes)
    assert not failed.value.retryable  # the request and the recording decide it
