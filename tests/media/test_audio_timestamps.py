"""Audio whose timestamps do not mark a packet's first sample is cut like a continuous decode of the whole file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clipengine.clips.options.profiles import Profile
from clipengine.media.input.decoding.audio_timestamps import TimestampAnalyzer, _VorbisAnalyzer, _WmaAnalyzer
from clipengine.recordings.facts import AudioFacts, EndStamps, FrameStamps
from tests.films.cutting import cut_file, facts_of
from tests.films.sound import Samples

_TOLERANCE = 0.003  # seconds
_LEAST_CORRELATION = 0.97
_LOSSLESS_ENOUGH = Profile(container="mkv", audio_bitrate=256_000)


def _decoded(path: Path) -> tuple[float, int, Samples]:
    """Decode the first channel as one piece: the time of the first sample, the rate, all samples end to end."""
    pieces, first, rate = [], 0.0, 0
    with av.open(str(path)) as container:
        # A decoder rejects empty packets; the one without a position flushes it.
        packets = (packet for packet in container.demux(audio=0) if packet.size or packet.pos is None)
        for frame in (frame for packet in packets for frame in packet.decode()):
            if not pieces:
                assert frame.pts is not None
                assert frame.time_base is not None
                first, rate = float(frame.pts * frame.time_base), frame.sample_rate
            data = frame.to_ndarray()
            piece = data[0] if frame.format.is_planar else data.reshape(-1)[:: frame.layout.nb_channels]
            scale = float(np.iinfo(piece.dtype).max) if piece.dtype.kind == "i" else 1.0
            pieces.append((piece / scale).astype(np.float32))
    return first, rate, np.concatenate(pieces)


def _match(source: Samples, at: int, piece: Samples) -> tuple[int, float]:
    """Return by how many samples the piece lies off `at` in the source, and its correlation there."""
    low = max(0, at - 4000)
    around = source[low : at + piece.size + 4000].astype(np.float64)
    piece = (piece - piece.mean()).astype(np.float64)
    count = around.size - piece.size + 1
    spectrum = np.fft.rfft(around) * np.fft.rfft(piece, around.size).conj()
    product = np.fft.irfft(spectrum, around.size)[:count]  # the first `count` places do not wrap around
    sums = np.concatenate(([0.0], np.cumsum(around**2)))
    energies = np.sqrt(sums[piece.size :] - sums[:count])
    likeness = product / np.maximum(energies * np.sqrt(np.sum(piece**2)), 1e-9)
    best = int(np.argmax(likeness))
    return best + low - at, float(likeness[best])


@pytest.mark.parametrize(
    ("name", "ranges"),
    [
        pytest.param(
            "echo.webm", [("0.644", "2.844"), ("10.123", "12.5"), ("41", "44.5")], marks=pytest.mark.exhaustive
        ),
        pytest.param(
            "webrtc_chrome.webm", [("1", "2"), ("7.044", "11.044"), ("20", "23")], marks=pytest.mark.exhaustive
        ),
        pytest.param("wma_test.wma", [("0", "1"), ("1.1", "2.5")], marks=pytest.mark.exhaustive),
        ("wma_test.wma", [("0.5", "1.5")]),
    ],
)
@pytest.mark.exhaustive
def test_clips_hold_the_samples_of_a_continuous_decode(
    defects: Path, tmp_path: Path, name: str, ranges: list[tuple[str, str]]
) -> None:
    path = defects / name
    first, rate, source = _decoded(path)
    _hold_to_source(path, tmp_path, ranges, source, rate, first - float(facts_of(path).origin))


@pytest.mark.exhaustive
def test_empty_vorbis_packets_take_no_time(recordings: Path, tmp_path: Path) -> None:
    path = recordings / "screencast_theora_vorbis.ogg"
    if not path.exists():
        pytest.skip("this recording is not here")
    _, rate, source = _decoded(path)
    assert not facts_of(path).seekable
    _hold_to_source(path, tmp_path, [("0", "8.236"), ("1.677", "3.077"), ("4", "5.5")], source, rate, 0.0)


def _hold_to_source(
    path: Path, tmp_path: Path, ranges: list[tuple[str, str]], source: Samples, rate: int, first: float
) -> None:
    """Compare clips of the ranges with the source, whose first sample has the recording time `first`."""
    output = tmp_path / "clip.mkv"
    for start, end in ranges:
        made = cut_file(path, Fraction(start), Fraction(end), output, _LOSSLESS_ENOUGH).made
        audible = [each for each in made.warnings if "audio" in each and not each.startswith("audio_clipped")]
        assert not audible
        _, _, clip = _decoded(output)
        length = clip.size / rate
        for place in (0.0, length / 2 - 0.2, length - 0.45):
            piece = clip[round(place * rate) : round((place + 0.4) * rate)]
            off, likeness = _match(source, round((float(made.actual_start) + place - first) * rate), piece)
            assert likeness > _LEAST_CORRELATION, (start, place, likeness)
            assert abs(off) / rate < _TOLERANCE, (start, place, off)


def _packet(time: int, duration: int, data: bytes = b"\0") -> av.Packet[av.stream.Stream]:
    packet: av.Packet[av.stream.Stream] = av.Packet(data)
    packet.pts = packet.dts = time
    packet.duration, packet.time_base = duration, Fraction(1, 1000)
    return packet


def _surveyed(survey: TimestampAnalyzer, packets: list[tuple[int, int, bytes]]) -> EndStamps | FrameStamps | None:
    for time, duration, data in packets:
        survey.add(_packet(time, duration, data))
    return survey.stamps(Fraction(0))


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("samples", [128, 576, 1024])
def test_vorbis_with_end_timestamps_is_detected(ends: bool, samples: int) -> None:
    first = samples // 44
    lengths, time, packets = [first, first, 23, 23, 3, 23, 3, 3, 23, 23, 23, 3], 0, []
    for length in lengths:
        packets.append((time + length if ends else time, length, b"\0"))
        time += length
    stamps = EndStamps(shortest=samples, late=Fraction(1024 - samples, 44_100))
    assert _surveyed(_VorbisAnalyzer(128, 1024, 44_100), packets) == (stamps if ends else None)


def test_wma_frames_are_counted_from_packet_headers() -> None:
    counts, done, packets = [5, 7, 6, 7, 7], 0, []
    for number, count in enumerate(counts):
        early = (0, 40, 30, 45, 26)[number]
        packets.append((round(done * 2048 * 1000 / 44100) - early, 371, bytes([16 * number + count])))
        done += count - (number == 0)
    stamps = _surveyed(_WmaAnalyzer(44_100), packets)
    assert isinstance(stamps, FrameStamps)
    assert stamps.frame_seconds == Fraction(2048, 44_100)
    assert abs(stamps.lag + Fraction(355, 10_000)) < Fraction(1, 1000)


def test_wma_with_a_gap_keeps_its_timestamps() -> None:
    packets = [(number * 325 + (number > 4) * 700, 325, bytes([7 + (number == 0)])) for number in range(9)]
    assert _surveyed(_WmaAnalyzer(44_100), packets) is None


def test_empty_wma_packet_is_accepted() -> None:
    assert _surveyed(_WmaAnalyzer(44_100), [(0, 325, b""), (325, 325, b"")]) is None


def test_facts_without_timestamp_corrections_are_accepted() -> None:
    facts = AudioFacts.model_validate({"index": 0, "codec": "aac", "channels": 2, "sample_rate": 48000})
    assert facts.stamps is None
    for stamps in (
        EndStamps(shortest=128, late=Fraction(1, 50)),
        FrameStamps(first=Fraction(0), frame_seconds=Fraction(1, 21), lag=Fraction(-1, 30), late=Fraction(0)),
    ):
        noted = facts.model_copy(update={"stamps": stamps})
        assert AudioFacts.model_validate(noted.model_dump(mode="json")) == noted
