"""Real recordings of many makers, cut and held against a slow reference that decodes them from their first byte.

Nobody has written down what these recordings hold; the reference (`tests.films.reference`) finds it in another way
than the cutter does. Broken ones end with the code that says what is wrong with them.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from clipengine.errors import ClipEngineError, RecordingEncrypted, RecordingTruncated, RecordingUnreadable
from tests.films.cutting import cut_file, facts_of
from tests.films.likeness import faults_of
from tests.films.reference import Reference, watch
from tests.support.selection import cases

_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "media"
# One for each way of timing that the films lack.
TYPICAL = ("bear.opus", "handheld_vfr_h264_videoonly.mp4", "ts_no_initial_keyframe.ts")
NAMES = sorted(path.name for path in _FOLDER.glob("*") if path.suffix not in {".tsv", ".md"}) or ["none"]

BROKEN: dict[str, type[ClipEngineError]] = {
    "android_rot90_truncated.mp4": RecordingTruncated,
    "m4b_truncated_991s.m4b": RecordingTruncated,
    "mp4_chunk_out_of_range.mp4": RecordingUnreadable,
    "mp4_fuzz_nokey.mp4": RecordingTruncated,
    "mp4_malformed_free_box.mp4": RecordingUnreadable,
    "nostreams.mp4": RecordingUnreadable,
    "vp9_invalid_bitstream.webm": RecordingUnreadable,
    "webm_encrypted.webm": RecordingEncrypted,
    "zero_bytes.mp4": RecordingUnreadable,
}
SAID = {
    "mp4_chunk_out_of_range.mp4": "an MP4 or MOV file, and the index in it is damaged",
    "mp4_fuzz_nokey.mp4": "the recording has 3250 bytes, and its index names media up to byte 9837",
    "mp4_malformed_free_box.mp4": "not in a media format that can be read",
}
# Their last frame has not all of its bytes, which a plain decode conceals: what is whole ends before it.
TRUNCATED = {"truncated_vfr_screencast.mp4": Fraction(463, 1000)}
# Sound whose own timestamps contradict its samples: no place in it can be told to the millisecond.
UNTIMED_SOUND = {
    "editlist_preroll_only_sync.mp4": "1024 samples every 960: a frame's time says that they overlap",
}
# Sound that is continuous from 0, although a plain demuxer counts thousands of empty packets in its times.
CONTINUOUS_SOUND = {"screencast_theora_vorbis.ogg"}
# Decoding all of it takes minutes; its first half minute stands for it.
_LONG = {"long_1080p60_av1_362s.mp4": Fraction(24)}

Range = tuple[Fraction, Fraction]


def ranges(seen: Reference, until: Fraction | None) -> list[Range]:
    """The beginning, somewhere off the grid, across the largest gap or the middle, and across the end."""
    length = until - 2 if until else seen.duration
    third, middle = _ms(length * Fraction(37, 100)) + Fraction(7, 1000), _ms(length / 2)
    large = bool(seen.frames) and seen.frames[0].size[0] * seen.frames[0].size[1] > 1_000_000
    span = Fraction(4, 10) if large else Fraction(11, 10)
    wanted = [(Fraction(0), span), (third, third + span), (middle, middle + Fraction(1, 10))]
    steps = [(b.time - a.time, a.time, b.time) for a, b in zip(seen.frames, seen.frames[1:], strict=False)]
    widest, low, high = max(steps, default=(Fraction(0),) * 3)
    if widest > 3 * seen.frame_seconds and high < length:
        wanted.append((_ms(low + widest * Fraction(6, 10)), _ms(high + Fraction(3, 10))))
    if until is None:
        wanted.append((max(Fraction(0), _ms(length - span)), _ms(length + Fraction(7, 10))))
    return wanted


def _ms(time: Fraction) -> Fraction:
    return Fraction(round(time * 1000), 1000)


@pytest.mark.parametrize("name", cases((name for name in NAMES if name not in {*BROKEN, *TRUNCATED}), TYPICAL))
@pytest.mark.typical(2)
def test_clips_equal_a_plain_decode(recordings: Path, tmp_path: Path, name: str) -> None:
    path, until = recordings / name, _LONG.get(name)
    seen, output = watch(path, until), tmp_path / "clip.mp4"
    for track in seen.tracks if name in CONTINUOUS_SOUND else ():
        track.pieces = [(Fraction(0), np.concatenate([samples for _, samples in track.pieces]))]
    faults = []
    for start, end in ranges(seen, until):
        clip = cut_file(path, start, end, output)
        found = faults_of(seen, watch(output), start, end, sound=name not in UNTIMED_SOUND)
        ends = min(end, seen.duration) if until is None else end
        if abs(clip.made.actual_end - ends) > Fraction(1, 1000) + max(seen.frame_seconds, seen.packet_seconds):
            found.append(f"actual end {float(clip.made.actual_end):.3f}, is {float(ends):.3f}")
        faults += [f"[{float(start):.3f}, {float(end):.3f}): {fault}" for fault in found]
    assert not faults, "\n".join(faults)


def test_range_without_video_has_audio_and_a_warning(recordings: Path, tmp_path: Path) -> None:
    path = recordings / "ts_no_initial_keyframe.ts"  # its only keyframe lies at 2.136 s
    if not path.exists():
        pytest.skip("this recording is not here")
    for end, seen in ((Fraction(2), False), (Fraction(5, 2), True)):
        made = cut_file(path, Fraction(1), end, tmp_path / "clip.mp4").made
        assert (made.frames > 0) is seen
        assert any("no video" in warning for warning in made.warnings) is not seen


@pytest.mark.parametrize("name", TRUNCATED)
def test_recording_that_was_cut_off_ends_before_its_first_frame_that_is_not_whole(
    recordings: Path, tmp_path: Path, name: str
) -> None:
    if not (recordings / name).exists():
        pytest.skip("this recording is not here")
    facts = facts_of(recordings / name)
    assert facts.duration == TRUNCATED[name]
    assert [each.partition(":")[0] for each in facts.warnings] == ["recording_cut_off"]
    assert cut_file(recordings / name, Fraction(0), facts.duration, tmp_path / "clip.mp4").made.frames == 5


@pytest.mark.parametrize("name", BROKEN)
def test_error_of_a_broken_recording_names_the_cause(recordings: Path, name: str) -> None:
    if not (recordings / name).exists():
        pytest.skip("this recording is not here")
    with pytest.raises(BROKEN[name]) as failed:
        facts_of(recordings / name)
    assert "Errno" not in failed.value.message
    assert SAID.get(name, "") in failed.value.message
