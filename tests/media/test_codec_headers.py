"""Recordings whose codec header changes on the way: clips show the recording's pictures, encoded and copied."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet

from clipengine.clips.options.profiles import Profile
from clipengine.media.input.containers import codec_headers
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.input.containers.codec_headers import HeaderChanges
from clipengine.media.previews.frame import filmstrip
from clipengine.media.probe import ProbeResult, probe
from clipengine.recordings.facts import MAX_HEADER_BYTES
from tests.films.cutting import DEFAULT, SMART, cut_file
from tests.films.likeness import faults_of
from tests.films.reference import watch
from tests.support.changed_headers import (
    changed_in_packets,
    reconnected_flv,
    seconds_of,
    sets_in_two_keyframes,
    two_entries,
)
from tests.support.selection import cases

_SMART_HEVC = Profile(video="hevc", render="smart")
_BOTH = pytest.mark.parametrize("profile", [DEFAULT, SMART], ids=["encode", "smart"])


def _faults(path: Path, start: Fraction, end: Fraction, profile: Profile) -> list[str]:
    """Return the deviations of a clip and its warnings, except that nothing was copied."""
    clip = cut_file(path, start, end, path.with_name("clip.mp4"), profile)
    warnings = [each for each in clip.made.warnings if "its parameter sets change" not in each]
    return [*faults_of(watch(path), watch(clip.path), start, end), *warnings]


def _probe(path: Path) -> ProbeResult:
    with path.open("rb") as file:
        return probe(DescriptorSource(file.fileno()))


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    """Return an MP4 whose second sample entry applies from 2 to 6 s."""
    path = tmp_path / "two_entries.mp4"
    path.write_bytes(two_entries(range(5, 15)))
    return path


@pytest.fixture
def flv(tmp_path: Path) -> Path:
    """Return an FLV with another sequence header from 3.2 s on."""
    path = tmp_path / "reconnected.flv"
    path.write_bytes(reconnected_flv(8))
    return path


@_BOTH
@pytest.mark.parametrize("cut", cases(["4 5", "3.3 4", "1.7 2.5", "5.6 6.5", "6.4 7"], ["4 5", "1.7 2.5"]))
@pytest.mark.exhaustive
def test_clip_of_an_mp4_with_two_sample_entries_shows_the_pictures_of_both(
    mp4: Path, cut: str, profile: Profile
) -> None:
    start, end = map(Fraction, cut.split())
    assert not _faults(mp4, start, end, profile)


@_BOTH
@pytest.mark.parametrize("cut", ["5 6", "3.5 4", "2.9 3.6", "1 2"])
@pytest.mark.typical(2)
def test_clip_of_an_flv_with_a_second_sequence_header_shows_its_pictures(flv: Path, cut: str, profile: Profile) -> None:
    start, end = map(Fraction, cut.split())
    assert not _faults(flv, start, end, profile)


def test_filmstrip_of_an_flv_shows_the_pictures_of_its_second_sequence_header(flv: Path) -> None:
    facts, seen = _probe(flv).facts, watch(flv)
    with flv.open("rb") as file:
        source = DescriptorSource(file.fileno())
        strip = filmstrip(source, facts, start=Fraction(4), end=Fraction(8), count=2, width=96, threads=1)
    with av.open(io.BytesIO(strip)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="gray")
    for tile in np.hsplit(picture, 2):
        luma = tile.reshape(32, 3, 32, 3).mean((1, 3)) / 255
        assert min(float(np.sqrt(np.mean((luma - shown.luma) ** 2))) for shown in seen.frames) < 0.08


def test_probe_notes_when_the_codec_header_of_an_flv_changes(flv: Path) -> None:
    facts = _probe(flv).facts
    assert [change.time for change in facts.header_changes] == [seconds_of(8)]
    assert facts.header_at(0, seconds_of(8) - Fraction(1, 25)) is None
    assert facts.header_at(0, seconds_of(8)) == bytes.fromhex(facts.header_changes[0].extradata)


@pytest.mark.parametrize("limit", ["MAX_HEADER_CHANGES", "MAX_HEADER_BYTES"])
def test_recording_with_too_many_or_too_long_codec_headers_is_read_from_its_start(
    flv: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(codec_headers, limit, 0)
    found = _probe(flv)
    assert (found.facts.seekable, found.seek_index, found.facts.header_changes) == (False, None, ())
    assert not _faults(flv, Fraction(5), Fraction(6), DEFAULT)


_CODECS = pytest.mark.parametrize(
    ("codec", "profile"),
    [
        pytest.param("libx264", SMART, id="h264"),
        pytest.param("libx265", _SMART_HEVC, id="hevc", marks=pytest.mark.exhaustive),
    ],
)


@_CODECS
@pytest.mark.parametrize("cut", cases(["2.5 3.2", "1 1.5", "1.7 2.2"], ["2.5 3.2"]))
def test_keyframes_of_mpeg_ts_need_not_repeat_parameter_sets(
    tmp_path: Path, codec: str, profile: Profile, cut: str
) -> None:
    """The sets change in a keyframe before the one at which a clip is read from."""
    path = tmp_path / "changed.ts"
    path.write_bytes(sets_in_two_keyframes(codec, gop=4))
    start, end = map(Fraction, cut.split())
    assert not _faults(path, start, end, profile)
    assert not _faults(path, start, end, profile.model_copy(update={"render": "encode"}))
    assert [change.time for change in _probe(path).facts.header_changes] == [seconds_of(5)]


def test_repeated_parameter_sets_of_mpeg_ts_are_not_noted(tmp_path: Path) -> None:
    path = tmp_path / "unchanged.ts"
    path.write_bytes(sets_in_two_keyframes("libx264", gop=0))
    assert _probe(path).facts.header_changes == ()


@_CODECS
def test_gops_after_a_parameter_set_that_changed_are_not_copied(tmp_path: Path, codec: str, profile: Profile) -> None:
    """Row 85 of the faults: a set with a known id changes in the last packet of a GOP before the first copied one."""
    path = tmp_path / "changed.mp4"
    path.write_bytes(changed_in_packets(codec, gop=4))
    made = cut_file(path, Fraction("1.3"), Fraction(3), tmp_path / "clip.mp4", profile).made
    assert made.render == "encode"
    assert any("its parameter sets change" in each for each in made.warnings)
    assert not _faults(path, Fraction("1.3"), Fraction(3), profile)
    unchanged = cut_file(path, Fraction("0.3"), Fraction("1.5"), tmp_path / "clip.mp4", profile).made
    assert unchanged.render == "smart"


def test_memory_for_parameter_sets_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "sets.ts"
    path.write_bytes(sets_in_two_keyframes("libx264", gop=0))
    with av.open(str(path)) as container:
        changes = HeaderChanges(container.streams.video)
        for number in range(2000):  # each keyframe has another set, and none repeats those before
            packet = Packet(b"\0\0\0\1\x68" + number.to_bytes(4) + bytes(100).replace(b"\0", b"\x55"))
            packet.stream, packet.is_keyframe = container.streams.video[0], True
            changes.add(packet, Fraction(number))
        assert changes.overflows
        assert len(changes.found) < 50
        assert sum(len(sets.header) for sets in changes._in_band.values()) < 2 * MAX_HEADER_BYTES
