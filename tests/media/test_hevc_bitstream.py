"""The HEVC bitstream module: parameter sets, and slice headers rewritten for another stream."""

from __future__ import annotations

from random import Random

import av
import pytest

from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.hevc_parameter_sets import parse_pps, parse_sps, read_parameter_sets, unit_type
from clipengine.media.bitstream.hevc_stream import HevcRewriter, HevcStream
from clipengine.media.bitstream.nal import join_with_lengths, split_at_start_codes, split_by_lengths
from scripts.fuzz_bitstream import Encoded, encode_with, hevc_seeds, run_hevc

_HEAD = "bframes=0:keyint=-1:scenecut=0:ref=1:weightp=0:rc-lookahead=0:wpp=0:frame-threads=1:temporal-mvp=0:info=0"


def encode(options: str, *, size: tuple[int, int] = (64, 48), frames: int = 12) -> Encoded:
    """Encode frames of a moving pattern with x265."""
    params = f"log-level=none:pools=none:frame-threads=1:{options}"
    return encode_with("libx265", {"preset": "ultrafast", "x265-params": params}, size, frames)


def decoded(extradata: bytes, packets: list[bytes]) -> list[bytes]:
    decoder = av.CodecContext.create("hevc", "r")
    decoder.extradata = extradata
    decoder.options = {"err_detect": "explode"}
    frames = [frame for data in packets for frame in decoder.decode(av.Packet(data))] + decoder.decode(None)
    return [frame.to_ndarray(format="yuv420p").tobytes() for frame in frames]


def test_parameter_sets_state_how_blocks_are_divided() -> None:
    extradata, _ = encode("ctu=32:min-cu-size=16:amp=1:rect=1:sao=0:tu-inter-depth=2:bframes=3", size=(144, 96))
    sets = read_parameter_sets(extradata)
    sps, pps = parse_sps(sets.sps[0]), parse_pps(sets.pps[0])
    coding = sps.coding
    assert (coding.width, coding.height, coding.smallest_block, coding.larger_blocks) == (144, 96, 1, 1)
    assert (coding.asymmetric, coding.sample_adaptive, coding.inter_depth) == (True, False, 1)
    assert (sps.profile, sps.id, pps.sps_id) == (1, 0, 0)
    assert sps.reordered_frames > 0


def test_hvcc_is_read_as_it_was_written() -> None:
    extradata, _ = encode(_HEAD)
    stream = HevcStream(extradata)
    again = read_parameter_sets(HevcRewriter(stream, extradata).extradata)
    before = read_parameter_sets(extradata)
    assert (again.length_bytes, again.vps, again.sps) == (4, before.vps, before.sps)
    assert len(again.pps) == 2
    assert parse_pps(again.pps[1]).id == stream.free_pps_id == 1


_RECORDINGS = {
    "low delay": "bframes=0:keyint=5:open-gop=0",
    "B frames": "bframes=3:keyint=12:open-gop=0",
    "several references": "bframes=0:ref=4:keyint=12:open-gop=0",
    "small blocks": "bframes=2:ctu=16:max-tu-size=16:keyint=12:open-gop=0",
    "no temporal vectors": "temporal-mvp=0:bframes=0:keyint=12:open-gop=0",
    "long order counts": "log2-max-poc-lsb=12:keyint=12:open-gop=0",
    "default scaling lists": "scaling-list=default:keyint=12:open-gop=0",
}


@pytest.mark.parametrize("kind", _RECORDINGS)
def test_encoded_frames_before_and_after_copied_ones_decode_as_alone(kind: str) -> None:
    """The joined stream must give exactly the frames of its three parts, each decoded with its own parameter sets."""
    recording = encode(_RECORDINGS[kind])
    stream = HevcStream(recording[0])
    coding = stream.coding
    blocks = f"ctu={8 << coding.smallest_block + coding.larger_blocks}:max-tu-size={4 << coding.larger_transforms}"
    blocks += f":sao={int(coding.sample_adaptive)}:scaling-list={'default' if coding.scaling else 'off'}"
    head, tail = encode(f"{_HEAD}:{blocks}", frames=4), encode(f"{_HEAD}:{blocks}", frames=2)
    rewriter = HevcRewriter(stream, head[0])
    assert rewriter.extradata == HevcRewriter(stream, tail[0]).extradata
    joined = [
        *_rewritten(rewriter, head),
        *(stream.copied(packet, first=not number).data for number, packet in enumerate(recording[1])),
        *_rewritten(rewriter, tail),
    ]
    expected = [frame for part in (head, recording, tail) for frame in decoded(*part)]
    assert decoded(rewriter.extradata, joined) == expected


def _rewritten(rewriter: HevcRewriter, encoded: Encoded) -> list[bytes]:
    return [rewriter.rewritten(packet, number=number, keyframe_id=0) for number, packet in enumerate(encoded[1])]


def test_first_copied_picture_of_an_open_gop_needs_nothing_before_it() -> None:
    extradata, packets = encode("open-gop=1:bframes=3:b-adapt=0:keyint=8:min-keyint=1", frames=24)
    stream = HevcStream(extradata)
    starts = [number for number, packet in enumerate(packets) if stream.starts_gop(packet)]
    leading = [number for number, packet in enumerate(packets) if stream.is_leading(packet)]
    assert len(starts) > 1
    assert leading
    second = starts[1]
    assert leading[0] == second + 1
    first = stream.copied(packets[second], first=True)
    assert [unit_type(unit) for unit in split_by_lengths(first.data) if unit_type(unit) < 32] == [18]
    assert first.keyframe_id == 8
    kept = [packet for number, packet in enumerate(packets) if number > second and number not in leading]
    shown = decoded(stream.extradata(), [first.data, *(stream.copied(packet).data for packet in kept)])
    assert len(shown) == 1 + len(kept)
    whole = decoded(extradata, packets)
    assert [frame for frame in shown if frame in whole] == shown


@pytest.mark.parametrize("keyint", [8, 9])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_broken_link_can_follow_as_many_frames_as_it_counts(keyint: int, more: int) -> None:
    """FFmpeg refuses a picture that counts as much as one that it still has, also if a sequence begins with it."""
    extradata, packets = encode(f"open-gop=1:bframes=3:b-adapt=0:keyint={keyint}:min-keyint=1", frames=3 * keyint)
    stream = HevcStream(extradata)
    start = [number for number, packet in enumerate(packets) if stream.starts_gop(packet)][1]
    first = stream.copied(packets[start], first=True)
    assert first.keyframe_id is not None
    head = encode(_HEAD, frames=first.keyframe_id + more)
    rewriter = HevcRewriter(stream, head[0])
    encoded = [
        rewriter.rewritten(packet, number=number, keyframe_id=first.keyframe_id + 1)
        for number, packet in enumerate(head[1])
    ]
    assert decoded(rewriter.extradata, [*encoded, first.data])[:-1] == decoded(*head)


@pytest.mark.parametrize(
    ("options", "size", "reason"),
    [("ctu=16:max-tu-size=16", (64, 48), "divided into blocks"), ("", (96, 48), "divided into blocks")],
    ids=["blocks", "size"],
)
def test_encoder_of_another_kind_is_rejected(options: str, size: tuple[int, int], reason: str) -> None:
    with pytest.raises(BitstreamError, match=reason):
        HevcRewriter(HevcStream(encode(_HEAD)[0]), encode(f"{_HEAD}:{options}".rstrip(":"), size=size)[0])


def test_frames_of_an_encoder_that_are_coded_in_other_ways_are_rejected() -> None:
    for options in ("bframes=2:keyint=-1", "bframes=0:ref=3:keyint=-1", "bframes=0:keyint=-1:ref=1"):
        extradata, packets = encode(f"{options}:temporal-mvp={int(options.endswith('ref=1'))}")
        stream = HevcStream(extradata)
        with pytest.raises(BitstreamError):
            _rewritten(HevcRewriter(stream, extradata), (extradata, packets))


def test_changed_parameter_sets_in_a_packet_are_rejected() -> None:
    extradata, packets = encode(_HEAD)
    stream = HevcStream(extradata)
    other = encode(_HEAD, size=(96, 48))[0]
    with pytest.raises(BitstreamError, match="parameter sets change"):
        stream.copied(other + packets[0])
    assert stream.copied(extradata + packets[0]) == stream.copied(packets[0])


def test_packets_with_layers_or_without_a_picture_are_rejected() -> None:
    extradata, packets = encode(_HEAD)
    stream = HevcStream(extradata)
    (picture,) = [unit for unit in split_at_start_codes(packets[1]) if unit_type(unit) == 1]
    with pytest.raises(BitstreamError, match="layers"):
        stream.copied(b"\0\0\1" + bytes([picture[0], picture[1] | 8]) + picture[2:])
    with pytest.raises(BitstreamError, match="sequence ends"):
        stream.copied(packets[1] + b"\0\0\1\x48\1\1")
    with pytest.raises(BitstreamError, match="no frame"):
        stream.copied(b"\0\0\1\x46\1\x50")
    with pytest.raises(BitstreamError, match="incomplete"):
        stream.copied(b"\0\0\1\x46")


@pytest.mark.parametrize("extradata", [b"", b"\1", b"\1" * 23, b"\1" + b"\xff" * 22, b"\0\0\1\x42\1\1"])
def test_extradata_without_parameter_sets_is_rejected(extradata: bytes) -> None:
    with pytest.raises(BitstreamError):
        HevcStream(extradata)


def test_too_many_parameter_sets_are_rejected() -> None:
    extradata, _ = encode(_HEAD)
    pps = read_parameter_sets(extradata).pps[0]
    with pytest.raises(BitstreamError, match="too large"):
        HevcStream(extradata + b"".join(b"\0\0\1" + pps + bytes([number + 1]) for number in range(70)))
    with pytest.raises(BitstreamError, match="too large"):
        HevcStream(extradata + b"\0\0\1" + pps + b"\1" * 70_000)


def test_damaged_streams_raise_only_bitstream_errors() -> None:
    """`python -m scripts.fuzz_bitstream` runs 200,000 inputs."""
    corpus = hevc_seeds()
    accepted = sum(run_hevc(corpus, Random(f"suite:{number}")) for number in range(1500))
    assert 0 < accepted < 1500


def test_packets_with_lengths_are_copied_as_they_are() -> None:
    extradata, packets = encode(_HEAD)
    stream = HevcStream(HevcStream(extradata).extradata())
    for packet in packets:
        units = [unit for unit in split_at_start_codes(packet) if unit_type(unit) < 32]
        with_lengths = join_with_lengths(units)
        assert stream.copied(with_lengths).data is with_lengths
