"""Fuzzing of the bitstream modules: damaged parameter sets and packets must only raise BitstreamError.

    python -m scripts.fuzz_bitstream [--inputs 200000] [--seed 1]

The same seed gives the same inputs. An input that raises anything else, or takes longer than a second, is printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from random import Random

import av
import click
from av.codec.context import Flags

from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.h264_stream import H264Rewriter, H264Stream
from clipengine.media.bitstream.hevc_stream import HevcRewriter, HevcStream
from clipengine.media.bitstream.nal import join_with_lengths, split_at_start_codes
from clipengine.media.bitstream.vp8_frames import read_vp8_packet
from clipengine.media.bitstream.vp9_frames import read_vp9_packet
from clipengine.media.bitstream.vpx_stream import VpxPacket, VpxStream

_SLOW_SECONDS = 1.0
_FRAMES = 5
_DAMAGED_SETS = 0.6  # part of the inputs whose parameter sets are damaged too
Encoded = tuple[bytes, list[bytes]]  # extradata and packets, with start codes
EncodedVpx = tuple[Callable[[bytes], VpxPacket], list[bytes]]


def encode(options: str, *, profile: str = "high", size: tuple[int, int] = (64, 48), frames: int = _FRAMES) -> Encoded:
    """Encode frames of a moving pattern with x264."""
    return encode_with("libx264", {"preset": "veryfast", "profile": profile, "x264-params": options}, size, frames)


def encode_with(
    name: str,
    options: dict[str, str],
    size: tuple[int, int] = (64, 48),
    frames: int = _FRAMES,
    *,
    bit_rate: int = 0,
) -> Encoded:
    """Encode frames of a moving pattern."""
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt = "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.flags |= Flags.global_header
    encoder.options = options
    if bit_rate:
        encoder.bit_rate = bit_rate
    packets: list[bytes] = []
    for number in range(frames):
        frame = av.VideoFrame(*size, "yuv420p")
        for plane in frame.planes:
            pattern = bytes((x * 7 + number * 31) % 251 for x in range(256))
            plane.update((pattern * (plane.buffer_size // 256 + 1))[: plane.buffer_size])
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    return encoder.extradata or b"", packets


def seeds() -> list[Encoded]:
    """Return streams of both entropy coders, profiles and framings."""
    plain = "bframes=0:ref=1:weightp=0:keyint=infinite:scenecut=0"
    made = [encode(plain), encode("bframes=2:nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900")]
    made += [encode(plain + ":cabac=0"), encode(plain, profile="baseline"), encode(plain + ":slices=3")]
    with_lengths = [
        (H264Stream(extradata).extradata(), [join_with_lengths(split_at_start_codes(each)) for each in packets])
        for extradata, packets in made
    ]
    return made + with_lengths


def vpx_seeds() -> list[EncodedVpx]:
    """Return streams of VP8 and VP9, and superframes of VP9."""
    plain = {"deadline": "realtime", "cpu-used": "8", "g": "5"}
    made: list[EncodedVpx] = []
    for options in (plain, {**plain, "error-resilient": "1"}):
        made.append((read_vp8_packet, encode_with("libvpx", options, frames=12, bit_rate=400_000)[1]))
        packets = encode_with("libvpx-vp9", options, frames=12, bit_rate=100_000)[1]
        made += [(read_vp9_packet, packets), (read_vp9_packet, [superframe(each, each) for each in packets])]
    return made


def superframe(hidden: bytes, shown: bytes) -> bytes:
    """Return two frames of VP9 in one packet; the first one is marked as hidden."""
    sizes = len(hidden).to_bytes(2, "little") + len(shown).to_bytes(2, "little")
    return bytes([hidden[0] & ~2]) + hidden[1:] + shown + b"\xc9" + sizes + b"\xc9"


def run_vpx(corpus: list[EncodedVpx], random: Random) -> bool:
    """Parse one damaged packet of VP8 or VP9. Return True if everything was accepted."""
    read, packets = random.choice(corpus)
    packet = damaged(random.choice(packets), random)
    stream = VpxStream(read, 64, 48)
    calls: list[Callable[[], object]] = [
        lambda: stream.starts_gop(packet),
        lambda: stream.copied(packet),
        lambda: stream.rewriter(b"").rewritten(packet, number=random.randrange(2), keyframe_id=1),
    ]
    return _all_accepted(calls)


def hevc_seeds() -> list[Encoded]:
    """Return streams of HEVC of both framings, with open GOPs and with the options of the frames at cuts."""
    plain = "log-level=none:pools=none:frame-threads=1:wpp=0:"
    options = (
        "bframes=0:keyint=-1:ref=1:weightp=0:temporal-mvp=0:info=0:rc-lookahead=0",
        "open-gop=1:bframes=3:b-adapt=0:keyint=8:min-keyint=1:multi-pass-opt-rps=1",
        "bframes=0:ref=3:amp=1:rect=1:scaling-list=default",
    )
    made = [encode_with("libx265", {"preset": "ultrafast", "x265-params": plain + each}, frames=12) for each in options]
    with_lengths = [
        (HevcStream(extradata).extradata(), [join_with_lengths(split_at_start_codes(each)) for each in packets])
        for extradata, packets in made
    ]
    return made + with_lengths


def run_hevc(corpus: list[Encoded], random: Random) -> bool:
    """Run all functions on one damaged stream of HEVC. Return True if everything was accepted."""
    extradata, packets = random.choice(corpus)
    if random.random() < _DAMAGED_SETS:
        extradata = damaged(extradata, random)
    packet = damaged(random.choice(packets), random)
    try:
        stream, accepted = HevcStream(extradata), True
    except BitstreamError:
        stream, accepted = HevcStream(random.choice(corpus)[0]), False
    calls: list[Callable[[], object]] = [
        lambda: stream.starts_gop(packet),
        lambda: stream.is_leading(packet),
        lambda: stream.lasting(packet),
        lambda: stream.has_all_sets(packet),
        lambda: stream.copied(packet, first=random.random() < 1 / 2),
        lambda: HevcRewriter(stream, extradata).rewritten(packet, number=random.randrange(9), keyframe_id=1),
    ]
    return _all_accepted(calls) and accepted


def _all_accepted(calls: list[Callable[[], object]]) -> bool:
    accepted = True
    for call in calls:
        try:
            call()
        except BitstreamError:
            accepted = False
    return accepted


def damaged(data: bytes, random: Random) -> bytes:
    """Flip bits, overwrite, cut off, repeat or insert parts of the data."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not out:
            break
        at = random.randrange(min(len(out), random.choice((16, 64, len(out)))))
        kind = random.randrange(5)
        if kind == 0:
            out[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            out[at] = random.choice((0, 1, 3, 0x67, 0x68, 0x65, 0x41, 255))
        elif kind == 2:
            del out[at:]
        elif kind == 3:
            out[at:at] = random.randbytes(random.randrange(8))
        else:
            out[at : at + 2] = bytes(random.randrange(1, 9)) + b"\1"
    return bytes(out)


def run_one(corpus: list[Encoded], random: Random) -> bool:
    """Run all functions on one damaged stream. Return True if everything was accepted."""
    extradata, packets = random.choice(corpus)
    if random.random() < _DAMAGED_SETS:
        extradata = damaged(extradata, random)
    packet = damaged(random.choice(packets), random)
    accepted = True
    try:
        stream = H264Stream(extradata)
    except BitstreamError:
        accepted = False
        stream = H264Stream(random.choice(corpus)[0])
    calls: list[Callable[[], object]] = [
        lambda: stream.starts_gop(packet),
        lambda: stream.lasting(packet),
        lambda: stream.has_all_sets(packet),
        lambda: stream.copied(packet, first=random.random() < 1 / 2),
        lambda: H264Rewriter(stream, extradata).rewritten(packet, number=random.randrange(9), keyframe_id=1),
    ]
    return _all_accepted(calls) and accepted


@click.command(help=__doc__)
@click.option("--inputs", default=200_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(inputs: int, seed: int) -> None:
    accepted, wrong = 0, []
    runs = [partial(run_one, seeds()), partial(run_hevc, hevc_seeds()), partial(run_vpx, vpx_seeds())]
    for number in range(inputs):
        began = time.monotonic()
        try:
            random = Random(f"{seed}:{number}")
            accepted += random.choice(runs)(random)
        except Exception as error:
            wrong.append(f"{number}: {type(error).__name__}: {error}")
        if time.monotonic() - began > _SLOW_SECONDS:
            wrong.append(f"{number}: slow")
    click.echo(f"{inputs} inputs, {accepted} accepted, wrong: {'; '.join(wrong[:20]) or 'none'}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
