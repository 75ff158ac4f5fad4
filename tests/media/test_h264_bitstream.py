"""The H.264 bitstream module: bits, NAL units, parameter sets, and slice headers rewritten for another stream."""

from __future__ import annotations

from random import Random

import av
import numpy as np
import pytest

from clipengine.media.bitstream.bits import BitReader, Bits, BitstreamError
from clipengine.media.bitstream.h264_parameter_sets import parse_sps, read_parameter_sets
from clipengine.media.bitstream.h264_stream import H264Rewriter, H264Stream
from clipengine.media.bitstream.nal import (
    escape,
    join_with_lengths,
    split_at_start_codes,
    split_by_lengths,
    unescape,
)
from scripts.fuzz_bitstream import Encoded, encode, run_one, seeds

_HEAD = "bframes=0:keyint=infinite:scenecut=0:ref=1:weightp=0:slices=1"


@pytest.mark.parametrize("value", [0, 1, 2, 6, 7, 254, 255, 65535, 2**32 - 2])
def test_unsigned_codes_are_read_as_they_were_written(value: int) -> None:
    reader = BitReader(Bits().u(3, 5).ue(value).with_stop_bit())
    assert reader.u(3) == 5
    assert reader.ue() == value
    assert reader.rest().count == 0


def test_signed_codes_are_read_in_the_standards_order() -> None:
    bits = Bits()
    for code in range(5):
        bits.ue(code)
    reader = BitReader(bits.with_stop_bit())
    assert [reader.se() for _ in range(5)] == [0, 1, -1, 2, -2]


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\0\0\0\0\0"])
def test_codes_that_do_not_end_are_rejected(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        BitReader(data).ue()
    with pytest.raises(BitstreamError):
        BitReader(data).rest()


@pytest.mark.parametrize("payload", [b"", b"\1\0\0", b"\0\0\0\0\0\1", b"\0\0\3\0\0\2", b"\0\0\1\0\0\0", b"\0\0\3"])
def test_escaped_payload_has_no_start_code_and_is_restored(payload: bytes) -> None:
    escaped = escape(payload)
    assert b"\0\0\0" not in escaped
    assert b"\0\0\1" not in escaped
    assert not escaped.endswith(b"\0")
    assert unescape(escaped)[: len(payload)] == payload


def test_any_payload_survives_escaping() -> None:
    random = Random(1)
    for _ in range(500):
        payload = bytes(random.choice((0, 0, 0, 1, 2, 3, 4)) for _ in range(random.randrange(30))) + b"\x80"
        assert unescape(escape(payload)) == payload


def test_units_are_split_alike_by_start_codes_and_lengths() -> None:
    units = [b"\x67a", b"\x68bc", b"\x65" + bytes(range(1, 200))]
    annexb = b"\0" + b"".join(b"\0\0\1" + unit for unit in units)
    assert split_at_start_codes(annexb) == units == split_by_lengths(join_with_lengths(units))


@pytest.mark.parametrize("data", [b"\0\0\0\5abc", b"\0\0", b"\xff\xff\xff\xffab"])
def test_unit_longer_than_its_packet_is_rejected(data: bytes) -> None:
    with pytest.raises(BitstreamError):
        split_by_lengths(data)


@pytest.mark.parametrize("units", [join_with_lengths([b"a"] * 9000), b"\0\0\1a" * 9000], ids=["lengths", "start codes"])
def test_packet_with_too_many_units_is_rejected(units: bytes) -> None:
    with pytest.raises(BitstreamError):
        (split_by_lengths if units.startswith(b"\0\0\0") else split_at_start_codes)(units)


def test_parameter_sets_state_size_reordering_and_counters() -> None:
    extradata, _ = encode("bframes=2:b-pyramid=none", size=(130, 62))
    sps = parse_sps(read_parameter_sets(extradata).sps[0])
    assert (sps.picture.width_in_macroblocks, sps.picture.height_in_map_units) == (9, 4)
    assert sps.picture.crop == (0, 7, 0, 1)
    assert (sps.profile, sps.poc_type, sps.reordered_frames) == (100, 0, 1)


def test_avcc_is_read_as_it_was_written() -> None:
    extradata, _ = encode(_HEAD)
    stream = H264Stream(extradata)
    rewriter = H264Rewriter(stream, extradata)
    again = read_parameter_sets(rewriter.extradata)
    assert again.length_bytes == 4
    assert again.sps == read_parameter_sets(extradata).sps
    assert len(again.pps) == 2


def _decoded(extradata: bytes, packets: list[bytes]) -> list[bytes]:
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = extradata
    decoder.options = {"err_detect": "explode"}
    frames = [frame for data in packets for frame in decoder.decode(av.Packet(data))] + decoder.decode(None)
    return [np.concatenate([plane.ravel() for plane in _planes(frame)]).tobytes() for frame in frames]


def _planes(frame: av.VideoFrame) -> list[np.ndarray]:
    return [frame.to_ndarray(format="yuv420p")]


_RECORDINGS = {
    "cabac": ("bframes=0:keyint=5", "high"),
    "cavlc": ("bframes=0:keyint=5:cabac=0", "high"),
    "baseline": ("keyint=5", "baseline"),
    "main, B frames": ("bframes=3:keyint=5", "main"),
    "pyramid": ("bframes=3:b-pyramid=normal:keyint=9:ref=4", "high"),
    "several slices": ("bframes=0:keyint=5:slices=4", "high"),
}


@pytest.mark.parametrize("encoder_cabac", [True, False], ids=["cabac", "cavlc"])
@pytest.mark.parametrize("kind", _RECORDINGS)
def test_encoded_frames_before_and_after_copied_ones_decode_as_alone(kind: str, encoder_cabac: bool) -> None:
    """The joined stream must give exactly the frames of its three parts, each decoded with its own parameter sets."""
    options, profile = _RECORDINGS[kind]
    recording = encode(options, profile=profile, frames=12)
    stream = H264Stream(recording[0])
    head = encode(_HEAD + ("" if encoder_cabac else ":cabac=0"), profile=profile, frames=4)
    tail = encode(_HEAD + ("" if encoder_cabac else ":cabac=0"), profile=profile, frames=2)
    rewriter = H264Rewriter(stream, head[0])
    assert rewriter.extradata == H264Rewriter(stream, tail[0]).extradata
    first_id = stream.copied(recording[1][0]).keyframe_id or 0
    joined = [
        *_rewritten(rewriter, head, first_id + 1),
        *(stream.copied(packet).data for packet in recording[1]),
        *_rewritten(rewriter, tail, first_id + 3),
    ]
    expected = [frame for part in (head, recording, tail) for frame in _decoded(*part)]
    assert _decoded(rewriter.extradata, joined) == expected


def _rewritten(rewriter: H264Rewriter, encoded: Encoded, keyframe_id: int) -> list[bytes]:
    packets = enumerate(encoded[1])
    return [rewriter.rewritten(packet, number=number, keyframe_id=keyframe_id) for number, packet in packets]


@pytest.mark.parametrize("keyframe_id", [3, 700, 65535])
@pytest.mark.parametrize("kind", _RECORDINGS)
def test_keyframe_with_another_number_shows_the_same(kind: str, keyframe_id: int) -> None:
    options, profile = _RECORDINGS[kind]
    extradata, packets = encode(options, profile=profile, frames=12)
    stream = H264Stream(extradata)
    copied = [stream.copied(packet) for packet in packets]
    changed = [
        each if each.keyframe_id is None else stream.renumbered(each.data, keyframe_id - number % 2)
        for number, each in enumerate(copied)
    ]
    again = H264Stream(stream.extradata())
    assert [again.copied(each.data) for each in changed] == changed
    assert [each.keyframe_id is None for each in changed] == [each.keyframe_id is None for each in copied]
    assert _decoded(stream.extradata(), [each.data for each in changed]) == _decoded(extradata, packets)


def test_only_idr_frames_start_a_copy() -> None:
    """Open GOPs begin with a recovery point, and leading frames after it need what is before."""
    extradata, packets = encode("open-gop=1:bframes=2:keyint=4:min-keyint=1", frames=16)
    stream = H264Stream(extradata)
    assert [stream.starts_gop(packet) for packet in packets] == [True] + [False] * 15


@pytest.mark.parametrize(
    ("options", "reason"),
    [("interlaced=1", "interlaced"), ("qp=0", "lossless")],
)
def test_streams_that_cannot_be_joined_are_rejected(options: str, reason: str) -> None:
    with pytest.raises(BitstreamError, match=reason):
        H264Stream(encode(options, profile="high444" if options == "qp=0" else "high")[0])


def test_changed_parameter_sets_in_a_packet_are_rejected() -> None:
    stream = H264Stream(encode(_HEAD)[0])
    other, packets = encode(_HEAD, size=(96, 48))
    with pytest.raises(BitstreamError, match="parameter sets change"):
        stream.copied(other + packets[0])
    same, packets = encode(_HEAD)
    assert stream.copied(same + packets[0]) == stream.copied(packets[0])


def test_encoder_of_another_size_is_rejected() -> None:
    with pytest.raises(BitstreamError, match="another kind"):
        H264Rewriter(H264Stream(encode(_HEAD)[0]), encode(_HEAD, size=(96, 48))[0])


def test_b_frames_of_an_encoder_are_rejected() -> None:
    extradata, packets = encode("bframes=2:weightp=0:ref=1:keyint=infinite")
    rewriter = H264Rewriter(H264Stream(extradata), extradata)
    with pytest.raises(BitstreamError):
        [rewriter.rewritten(packet, number=number, keyframe_id=1) for number, packet in enumerate(packets)]


def test_damaged_streams_raise_only_bitstream_errors() -> None:
    """`python -m scripts.fuzz_bitstream` runs 200,000 inputs."""
    corpus = seeds()
    accepted = sum(run_one(corpus, Random(f"suite:{number}")) for number in range(1500))
    assert 0 < accepted < 1500
