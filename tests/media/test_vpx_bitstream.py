"""Frame headers of VP8 and VP9: keyframes, sizes, hidden frames and superframes."""

from __future__ import annotations

from pathlib import Path
from random import Random

import av
import pytest

from clipengine.media.bitstream.bits import Bits, BitstreamError
from clipengine.media.bitstream.vp8_frames import read_vp8_packet
from clipengine.media.bitstream.vp9_frames import read_vp9_packet
from clipengine.media.bitstream.vpx_stream import FrameFormat, VpxStream
from scripts.fuzz_bitstream import encode_with, run_vpx, vpx_seeds
from tests.films.catalogue import Shelf
from tests.support.two_pass import encode_in_two_passes

_PLAIN = {"deadline": "realtime", "cpu-used": "8", "g": "5"}


@pytest.mark.parametrize(("read", "name"), [(read_vp8_packet, "libvpx"), (read_vp9_packet, "libvpx-vp9")])
def test_keyframes_state_their_size(read, name: str) -> None:  # type: ignore[no-untyped-def]
    _, packets = encode_with(name, _PLAIN, (130, 62), 12, bit_rate=200_000)
    found = [read(packet) for packet in packets]
    assert [number for number, each in enumerate(found) if each.keyframe] == [0, 5, 10]
    assert {(each.keyframe.width, each.keyframe.height) for each in found if each.keyframe} == {(130, 62)}
    assert {size for each in found for size in each.sizes} == {(130, 62)}


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.exhaustive
def test_superframe_of_vp9_shows_its_last_frame(shelf: Shelf, tmp_path: Path) -> None:
    film, path = shelf.get("mp4_25"), tmp_path / "hidden.webm"
    encode_in_two_passes(film.path, path, "vp9")
    packets = packets_of(path)
    assert len(packets) == 150
    superframes = [packet for packet in packets if packet[-1] >> 5 == 6 and packet[-1] & 7]
    assert superframes
    assert [number for number, packet in enumerate(packets) if read_vp9_packet(packet).keyframe] == [0, 60, 120]
    for packet in superframes:
        assert read_vp9_packet(packet).sizes <= {(film.width, film.height)}
        size_bytes = (packet[-1] >> 3 & 3) + 1
        index = 2 + 2 * size_bytes
        first = int.from_bytes(packet[-index + 1 : -index + 1 + size_bytes], "little")
        with pytest.raises(BitstreamError, match="hidden frames outside"):
            read_vp9_packet(packet[:first])
        with pytest.raises(BitstreamError, match="incomplete"):
            read_vp9_packet(packet[:3] + packet[-index:])


@pytest.mark.exhaustive
def test_hidden_frames_of_vp8_are_rejected(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "hidden.webm"
    encode_in_two_passes(shelf.get("mp4_25").path, path, "vp8")
    packets = packets_of(path)
    hidden = [packet for packet in packets if not packet[0] >> 4 & 1]
    assert len(packets) - len(hidden) == 150 < len(packets)
    for packet in packets:
        if packet not in hidden:
            assert read_vp8_packet(packet)
    with pytest.raises(BitstreamError, match="it has hidden frames"):
        read_vp8_packet(hidden[0])


def test_shown_again_frame_of_vp9_is_a_frame() -> None:
    assert read_vp9_packet(Bits().u(2, 2).u(2, 0).u(1, 1).u(3, 4).aligned(0)) == (None, frozenset(), None)


def test_packets_that_show_several_frames_are_rejected() -> None:
    shown = Bits().u(2, 2).u(2, 0).u(1, 1).u(3, 4).aligned(0)
    with pytest.raises(BitstreamError, match="several frames"):
        read_vp9_packet(shown * 2 + b"\xc1\1\1\xc1")


def test_vp9_format_is_read_from_every_profile() -> None:
    def keyframe(profile: int, colours: Bits) -> bytes:
        bits = Bits().u(2, 2).u(1, profile & 1).u(1, profile >> 1).u(int(profile == 3), 0)
        bits.u(1, 0).u(1, 0).u(1, 1).u(1, 0).u(24, 0x498342).append(colours).u(16, 63).u(16, 47)
        return bits.aligned(0) + bytes(8)

    assert read_vp9_packet(keyframe(0, Bits().u(3, 2).u(1, 1))).keyframe == FrameFormat(64, 48, 0, 8, 2, True)
    assert read_vp9_packet(keyframe(1, Bits().u(3, 2).u(1, 0).u(3, 0))).keyframe == FrameFormat(
        64, 48, 1, 8, 2, False, (False, False)
    )
    assert read_vp9_packet(keyframe(2, Bits().u(1, 1).u(3, 5).u(1, 0))).keyframe == FrameFormat(64, 48, 2, 12, 5)
    assert read_vp9_packet(keyframe(3, Bits().u(1, 0).u(3, 7).u(1, 0))).keyframe == FrameFormat(
        64, 48, 3, 10, 7, True, (False, False)
    )
    for profile, colours in ((0, Bits().u(3, 7)), (1, Bits().u(3, 2).u(1, 0).u(3, 1))):
        with pytest.raises(BitstreamError, match="not valid"):
            read_vp9_packet(keyframe(profile, colours))


def _vp8_keyframe(packet: bytes, at: int, value: bytes) -> bytes:
    return packet[:at] + value + packet[at + len(value) :]


def test_vp8_keyframe_that_depends_on_others_is_rejected() -> None:
    keyframe = encode_with("libvpx", _PLAIN, bit_rate=200_000)[1][0]
    assert read_vp8_packet(keyframe).keyframe == FrameFormat(64, 48)
    with pytest.raises(BitstreamError, match="scaled"):
        read_vp8_packet(_vp8_keyframe(keyframe, 7, bytes([keyframe[7] | 0x40])))
    with pytest.raises(BitstreamError, match="start code"):
        read_vp8_packet(_vp8_keyframe(keyframe, 4, b"\0"))
    with pytest.raises(BitstreamError, match="incomplete"):
        read_vp8_packet(keyframe[:20])
    with pytest.raises(BitstreamError, match="segments of frames before"):
        read_vp8_packet(_vp8_keyframe(keyframe, 10, b"\x28\0"))  # flags 0, 0, 1, 0


@pytest.mark.parametrize("name", ["libvpx", "libvpx-vp9"])
def test_frames_of_another_size_are_rejected(name: str) -> None:
    read = read_vp8_packet if name == "libvpx" else read_vp9_packet
    stream = VpxStream(read, 64, 48)
    for packet in encode_with(name, _PLAIN, bit_rate=200_000)[1]:
        assert stream.copied(packet).data == packet
    with pytest.raises(BitstreamError, match="changes"):
        stream.copied(encode_with(name, _PLAIN, (96, 48), bit_rate=200_000)[1][0])


@pytest.mark.parametrize("read", [read_vp8_packet, read_vp9_packet])
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 40, bytes(40)[:2]])
def test_data_without_a_frame_is_rejected(read, data: bytes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BitstreamError):
        read(data)


def test_damaged_packets_raise_only_bitstream_errors() -> None:
    """`python -m scripts.fuzz_bitstream` runs 200,000 inputs."""
    corpus = vpx_seeds()
    accepted = sum(run_vpx(corpus, Random(f"suite:{number}")) for number in range(3000))
    assert 0 < accepted < 3000
