"""Rules that a packet must fulfil to be copied: its frame must decode in the clip as it does in the recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import pytest

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.segments import RefusedStretch
from clipengine.clips.warnings import code_of, stretches_encoded
from clipengine.media.bitstream import h264_parameter_sets as h264
from clipengine.media.bitstream import hevc_parameter_sets as hevc
from clipengine.media.bitstream.bits import BitReader, BitstreamError
from clipengine.media.bitstream.h264_slices import NewHeader, rewrite_slice, unit_type
from clipengine.media.bitstream.h264_stream import H264Rewriter, H264Stream
from clipengine.media.bitstream.hevc_slices import rewrite_slice as rewrite_hevc_slice
from clipengine.media.bitstream.hevc_stream import HevcRewriter, HevcStream
from clipengine.media.bitstream.lasting_messages import lasting_messages
from clipengine.media.bitstream.nal import escape, join_with_lengths, split_by_lengths, unescape
from clipengine.media.bitstream.vp8_frames import read_vp8_packet
from clipengine.media.bitstream.vpx_stream import VpxStream
from clipengine.media.input.containers.cached_reader import DescriptorSource, MediaReader
from clipengine.media.input.copying.packet_copier import PacketCopier
from clipengine.media.input.decoding.events import VideoPacketEvent
from clipengine.media.input.seeking.seekers import open_seeker
from clipengine.media.output.spliced_track import SplicedTrack
from clipengine.media.output.spliced_video import SplicedPacket, SplicedVideo
from clipengine.media.output.writer import ClipWriter
from clipengine.media.probe import probe
from tests.films.catalogue import Shelf
from tests.films.cutting import SMART, SMART_PROFILES, Clip, cut_file
from tests.media.test_smart_render import planes
from tests.support import mutated
from tests.support.mutations import END, MUTATIONS, START

HEVC = SMART_PROFILES["libx265"]


def cut(path: Path, profile: Profile = SMART, end: Fraction = END, *, full_proof: bool = False) -> Clip:
    return cut_file(path, START, end, path.with_suffix(".mp4"), profile, full_proof=full_proof)


def reason_of(clip: Clip) -> str:
    """Return why not all GOPs were copied."""
    return "; ".join(each for each in clip.made.warnings if code_of(each) == "encoded_instead")


@pytest.mark.parametrize("full_proof", [False, True], ids=["seams", "full"])
@pytest.mark.parametrize(
    ("codec", "params", "profile"),
    [
        ("libx264", mutated.X264, SMART),
        ("libx264", mutated.X264_REORDERED, SMART),
        ("libx265", mutated.X265, HEVC),
        ("libx265", mutated.X265_REORDERED, HEVC),
    ],
)
@pytest.mark.typical(3)
def test_recording_that_fulfils_all_rules_is_copied(
    tmp_path: Path, codec: str, params: str, profile: Profile, full_proof: bool
) -> None:
    clip = cut(mutated.write(mutated.encoded(codec, params), tmp_path / "film.mkv"), profile, full_proof=full_proof)
    assert (clip.made.render, reason_of(clip)) == ("smart", "")


def test_h264_frame_that_uses_an_unknown_parameter_set_is_not_copied() -> None:
    """Its number may be the one that the encoded frames' set has in the clip."""
    film = mutated.encoded("libx264", mutated.X264)
    sets = h264.read_parameter_sets(mutated.extradata_of(film))
    stream, sps, pps = H264Stream(mutated.extradata_of(film)), h264.parse_sps(sets.sps[0]), h264.parse_pps(sets.pps[0])
    packet = mutated.packets_of(film)[3]
    assert stream.copied(packet).data == packet
    header = NewHeader(stream.free_pps_id, 3, 0)
    other = [
        rewrite_slice(unit, sps, pps, sps, header) if unit_type(unit) == 1 else unit
        for unit in split_by_lengths(packet)
    ]
    with pytest.raises(BitstreamError, match="parameter set that is not given"):
        stream.copied(join_with_lengths(other))


def test_hevc_frame_that_uses_an_unknown_parameter_set_is_not_copied() -> None:
    film = mutated.encoded("libx265", mutated.X265 + ":temporal-mvp=0")
    stream, packet = HevcStream(mutated.extradata_of(film)), mutated.packets_of(film)[3]
    assert stream.copied(packet).data == packet
    pps = hevc.parse_pps(hevc.read_parameter_sets(mutated.extradata_of(film)).pps[0])
    other = [
        rewrite_hevc_slice(unit, stream.sps, pps, stream.sps, pps_id=stream.free_pps_id, order=3, distance=1)
        for unit in split_by_lengths(packet)
    ]
    with pytest.raises(BitstreamError, match="parameter set that is not given"):
        stream.copied(join_with_lengths(other))


def test_keyframe_with_slices_of_another_frame_starts_no_gop() -> None:
    film = mutated.encoded("libx264", mutated.X264 + ":slices=3")
    stream, packet = H264Stream(mutated.extradata_of(film)), mutated.packets_of(film)[mutated.GOP]
    assert stream.starts_gop(packet)
    units = split_by_lengths(packet)
    mixed = join_with_lengths([*units[:-1], bytes([units[-1][0] & 0xE0 | 1]) + units[-1][1:]])
    assert not stream.starts_gop(mixed)
    with pytest.raises(BitstreamError, match="slices of other frames"):
        stream.copied(mixed)


def _discarding(data: bytes, sps: h264.Sps) -> bytes:
    """Set no_output_of_prior_pics_flag in the slices of an IDR frame."""
    units = []
    for unit in split_by_lengths(data):
        if unit_type(unit) == 5:
            payload = bytearray(unescape(unit[1:]))
            reader = BitReader(bytes(payload[:64]))
            reader.skip_codes(3)
            reader.u(sps.frame_num_bits)
            reader.ue()
            reader.u(sps.poc_lsb_bits if sps.poc_type == 0 else 0)
            payload[reader.position // 8] |= 128 >> reader.position % 8
            unit = unit[:1] + escape(bytes(payload))
        units.append(unit)
    return join_with_lengths(units)


def test_keyframe_that_discards_frames_is_not_the_first_copied_one(tmp_path: Path) -> None:
    film = mutated.encoded("libx264", mutated.X264_REORDERED)
    sps = h264.parse_sps(h264.read_parameter_sets(mutated.extradata_of(film)).sps[0])
    path = mutated.write(film, tmp_path / "film.mkv", lambda number, data: _discarding(data, sps))
    assert "a keyframe discards frames before it" in reason_of(cut(path))


@pytest.mark.parametrize(("codec", "params", "profile"), [("h264", mutated.X264, SMART), ("hevc", mutated.X265, HEVC)])
@pytest.mark.typical(1)
def test_message_before_the_first_copied_frame_must_be_repeated_there(
    tmp_path: Path, codec: str, params: str, profile: Profile
) -> None:
    film = mutated.encoded("libx264" if codec == "h264" else "libx265", params)
    grain = mutated.film_grain(codec)
    once = mutated.write(film, tmp_path / "once.mkv", mutated.with_unit(grain, 0))
    assert "messages before the first copied frame" in reason_of(cut(once, profile))

    def repeated(number: int, data: bytes) -> bytes:
        return mutated.with_unit(grain, number)(number, data) if number % mutated.GOP == 0 else data

    assert reason_of(cut(mutated.write(film, tmp_path / "repeated.mkv", repeated), profile)) == ""


def test_messages_of_old_x264_builds_are_found() -> None:
    def sei(text: bytes) -> bytes:
        body = bytes(16) + text
        return bytes([5, len(body)]) + body + b"\x80"

    old, new = sei(b"x264 - core 33 - H.264"), sei(b"x264 - core 164 r3095")
    assert lasting_messages([old], from_build=34) == {5: 34}
    assert lasting_messages([old, new], from_build=34) == {5: 0}
    assert lasting_messages([sei(b"x264 - core 150")], from_build=151) == {5: 151}
    assert lasting_messages([sei(b"another encoder")], from_build=34) == {}


@pytest.mark.parametrize("payload", [b"", b"\xff" * 5000, b"\x13\x09ab", b"\x13\xff\xff\xff", b"\x13\0" * 3000])
def test_incomplete_messages_are_left_out(payload: bytes) -> None:
    assert lasting_messages([payload]) == {}


def test_reordering_that_is_not_stated_must_not_grow(tmp_path: Path) -> None:
    """A decoder learns how far frames are reordered: it may drop one when it learns more, unlike in the recording."""

    def stripped(header: bytes) -> bytes:
        sets = h264.read_parameter_sets(header)
        unit = _without_vui(sets.sps[0])
        return h264.write_avcc(h264.parse_sps(unit), (unit,), sets.pps)

    film = mutated.encoded("libx264", mutated.X264_REORDERED)
    assert reason_of(cut(mutated.write(film, tmp_path / "film.mkv", header=stripped))) == ""

    def shown_late(number: int, data: bytes) -> bytes:
        """Leave out the frames that are shown before others, except in the last two GOPs."""
        in_order = number % mutated.GOP == 0 or number % mutated.GOP % 4 == 1
        return data if in_order or number >= 5 * mutated.GOP else b""

    path = mutated.write(film, tmp_path / "late.mkv", shown_late, header=stripped)
    assert "does not state how far" in reason_of(cut(path))


def _without_vui(unit: bytes) -> bytes:
    """Return a sequence parameter set without its video usability information."""
    payload = unescape(unit[1:])
    reader = BitReader(payload)
    profile = reader.u(8)
    reader.u(16)
    reader.ue()
    if profile == 100:
        reader.skip_codes(3)
        reader.u(2)
    reader.ue()
    if reader.ue() == 0:
        reader.ue()
    reader.ue()
    reader.u(1)
    reader.skip_codes(2)
    if not reader.flag():
        reader.u(1)
    reader.u(1)
    if reader.flag():
        reader.skip_codes(4)
    return unit[:1] + escape(reader.between(0, reader.position).u(1, 0).with_stop_bit())


@pytest.mark.exhaustive
def test_vp8_frame_that_uses_segments_of_the_gop_before_is_not_copied() -> None:
    film = mutated.encoded("libvpx", "")
    packets = mutated.packets_of(film)
    stream = VpxStream(read_vp8_packet, 96, 96)
    keyframe, frame = packets[0], packets[1]
    needing = frame[:3] + b"\x80\0" + frame[5:]  # flags 1, 0: segments are on, and stay
    stating = frame[:3] + b"\xff\xff" + frame[5:]  # flags 1, 1
    stream.copied(keyframe)
    stream.copied(stating)
    stream.copied(needing)
    stream.copied(keyframe)
    with pytest.raises(BitstreamError, match="segments of frames before"):
        stream.copied(needing)


@pytest.mark.parametrize("kind", [36, 37])
def test_end_of_a_hevc_sequence_is_not_copied(kind: int) -> None:
    film = mutated.encoded("libx265", mutated.X265)
    stream, packet = HevcStream(mutated.extradata_of(film)), mutated.packets_of(film)[3]
    with pytest.raises(BitstreamError, match="its sequence ends"):
        stream.copied(packet + join_with_lengths([bytes([kind << 1, 1])]))


# ---- a GOP that cannot be copied


def _pictures(clip: Clip, film: Path, copied: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the numbers of the recording's frames, and of those that the clip shows with other samples.

    `copied` are the frames that were copied, from and up to a number. Encoded ones may differ by some noise.
    """
    shown = {round((time + clip.made.actual_start) * mutated.FPS): samples for time, samples in _decoded(clip.path)}
    source = {round(time * mutated.FPS): samples for time, samples in _decoded(film)}
    is_copied = {number for first, end in copied for number in range(first, end)}
    other = [
        number
        for number, samples in shown.items()
        if (samples != source[number] if number in is_copied else _noise(samples, source[number]) > _MAX_NOISE)
    ]
    return sorted(shown), other


def _noise(one: bytes, other: bytes) -> float:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


_MAX_NOISE = 3.0  # other parameter sets give at least three times as much


@pytest.mark.parametrize("full_proof", [False, True], ids=["seams", "full"])
def test_clip_is_encoded_from_the_gop_on_after_which_none_can_be_copied(tmp_path: Path, full_proof: bool) -> None:
    """New parameter sets in a keyframe, as in a stream whose publisher connected again."""
    change = mutated.reconnected("libx264", mutated.X264, at=range(5, 9))
    path = mutated.write(mutated.encoded("libx264", mutated.X264), tmp_path / "film.mkv", change)
    clip = cut(path, full_proof=full_proof)
    assert reason_of(clip) == "encoded_instead: from 4.48 s on, it was encoded: its parameter sets change"
    assert (clip.made.copied_seconds, clip.made.encoded_seconds) == (4, 2)
    assert clip.made.frames == 150


@pytest.mark.parametrize("full_proof", [False, True], ids=["seams", "full"])
@pytest.mark.parametrize(
    ("codec", "params", "given"),
    [
        ("libx264", mutated.X264, 0),
        ("libx265", mutated.X265, 0),
        ("libx264", mutated.X264_REORDERED, 0),
        ("libx264", mutated.X264, 12),  # in the middle of the GOP: all of it is encoded
        ("libx265", mutated.X265, 24),
    ],
)
@pytest.mark.typical(2)
def test_copying_continues_after_a_gop_that_cannot_be_copied(
    tmp_path: Path, codec: str, params: str, given: int, full_proof: bool
) -> None:
    change = mutated.reconnected(codec, params, at=[3], given=given)
    path = mutated.write(mutated.encoded(codec, params), tmp_path / "film.mkv", change)
    clip = cut(path, HEVC if codec == "libx265" else SMART, full_proof=full_proof)
    assert reason_of(clip) == "encoded_instead: from 2.48 s to 3.48 s, it was encoded: its parameter sets change"
    assert (clip.made.copied_seconds, clip.made.encoded_seconds) == pytest.approx((4.52, 1.48), abs=0.05)
    assert _pictures(clip, path, [(25, 75), (100, 160)]) == ([*range(13, 163)], [])


def test_copying_continues_only_where_the_parameter_sets_are_given_again(tmp_path: Path) -> None:
    """The recording's decoder has the other sets until then, and the clip's has not."""
    changes = [
        mutated.reconnected("libx264", mutated.X264, at=[4], restated=False),
        mutated.reconnected("libx264", mutated.X264, at=[5]),
    ]
    film = mutated.encoded("libx264", mutated.X264)
    path = mutated.write(
        film, tmp_path / "film.mkv", lambda number, data: changes[number >= 5 * mutated.GOP + 1](number, data)
    )
    assert "from 3.48 s to 5.48 s, it was encoded" in reason_of(cut(path, end=Fraction(175, 25)))


def test_clip_of_which_less_than_half_can_be_copied_is_encoded(tmp_path: Path) -> None:
    change = mutated.reconnected("libx264", mutated.X264, at=[2, 4, 5])
    path = mutated.write(mutated.encoded("libx264", mutated.X264), tmp_path / "film.mkv", change)
    clip = cut(path)
    assert (clip.made.render, clip.made.frames) == ("encode", 150)
    assert "all of the clip was encoded: its parameter sets change" in reason_of(clip)


def test_every_stretch_that_is_encoded_is_named(tmp_path: Path) -> None:
    change = mutated.reconnected("libx264", mutated.X264, at=[2, 4])
    path = mutated.write(mutated.encoded("libx264", mutated.X264), tmp_path / "film.mkv", change)
    clip = cut(path)
    assert [each.split(",")[0] for each in reason_of(clip).split("; ")] == [
        "encoded_instead: from 1.48 s to 2.48 s",
        "encoded_instead: from 3.48 s to 4.48 s",
    ]
    assert _pictures(clip, path, [(25, 50), (75, 100), (125, 163)]) == ([*range(13, 163)], [])


def test_many_encoded_stretches_are_counted() -> None:
    refused = [RefusedStretch(Fraction(2 * each), Fraction(2 * each + 1), "it ends") for each in range(8)]
    found = list(stretches_encoded(refused))
    assert len(found) == 6
    assert found[-1] == "encoded_instead: 3 more stretches were encoded for such reasons"


def test_message_in_a_gop_that_is_not_copied_must_be_repeated_after_it(tmp_path: Path) -> None:
    """Film grain that only the recording's decoder knows would be missing in the clip."""
    change, grain = mutated.reconnected("libx264", mutated.X264, at=[3]), mutated.film_grain("h264")
    film = mutated.encoded("libx264", mutated.X264)
    path = mutated.write(
        film, tmp_path / "film.mkv", lambda number, data: mutated.with_unit(grain, 80)(number, change(number, data))
    )
    assert "on, it was encoded" in reason_of(cut(path)) or cut(path).made.render == "encode"


# ---- proof by decoding


def _with_other_pps(rewriter: H264Rewriter, change: Callable[[h264.ParameterSets, bytes], tuple[bytes, ...]]) -> None:
    other = mutated.extradata_of(mutated.encoded("libx264", mutated.X264 + ":chroma-qp-offset=12"))
    sets, [pps] = h264.read_parameter_sets(rewriter.extradata), h264.read_parameter_sets(other).pps
    rewriter.extradata = h264.write_avcc(h264.parse_sps(sets.sps[0]), sets.sps, change(sets, pps))


@pytest.mark.parametrize("which", ["copied", "encoded"])
def test_clip_that_shows_other_pictures_at_a_seam_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """The clip decodes without an error, but with another parameter set."""
    made = H264Rewriter.__init__

    def fail(self: H264Rewriter, stream: H264Stream, encoder_extradata: bytes) -> None:
        made(self, stream, encoder_extradata)
        number, sps = stream.free_pps_id, stream.sps.id

        def change(sets: h264.ParameterSets, pps: bytes) -> tuple[bytes, ...]:
            if which == "copied":
                return (pps, *sets.pps[1:])
            return (*sets.pps[:-1], h264.parse_pps(pps).renumbered(number, sps))

        _with_other_pps(self, change)

    monkeypatch.setattr(H264Rewriter, "__init__", fail)
    clip = cut(mutated.write(mutated.encoded("libx264", mutated.X264), tmp_path / "film.mkv"))
    assert "copied frames and those at the cuts did not decode together" in reason_of(clip)
    assert clip.made.render == "encode"


def _other_hevc_sets(patch: pytest.MonkeyPatch) -> None:
    made, sets_of = HevcRewriter.__init__, hevc.read_parameter_sets
    [other] = sets_of(mutated.extradata_of(mutated.encoded("libx265", mutated.X265 + ":cbqpoffs=12"))).pps

    def fail(self: HevcRewriter, stream: HevcStream, encoder_extradata: bytes) -> None:
        made(self, stream, encoder_extradata)
        sets = sets_of(self.extradata)
        self.extradata = hevc.write_hvcc(stream.sps, sets.vps, sets.sps, (other, *sets.pps[1:]))

    patch.setattr(HevcRewriter, "__init__", fail)


def _unstated_reordering(patch: pytest.MonkeyPatch) -> None:
    made = H264Rewriter.__init__

    def fail(self: H264Rewriter, stream: H264Stream, encoder_extradata: bytes) -> None:
        made(self, stream, encoder_extradata)
        sets = h264.read_parameter_sets(self.extradata)
        unit = _without_vui(sets.sps[0])
        self.extradata = h264.write_avcc(h264.parse_sps(unit), (unit,), sets.pps)

    patch.setattr(H264Rewriter, "__init__", fail)


def _other_encoded_frames(patch: pytest.MonkeyPatch) -> None:
    """Write the second frame of an encoder again and again, with the right numbers."""
    rewritten, second = H264Rewriter.rewritten, [b""]

    def fail(self: H264Rewriter, packet: bytes, *, number: int, keyframe_id: int) -> bytes:
        second[0] = packet if number == 1 else second[0]
        return rewritten(self, second[0] if number else packet, number=number, keyframe_id=keyframe_id)

    patch.setattr(H264Rewriter, "rewritten", fail)


def _without_packet(missing: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Leave out a packet of the video after it was given to the verifier."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        numbers = count()

        def fail(self: ClipWriter, packets: Iterable[SplicedPacket]) -> None:
            for packet, checksum, original in packets:
                assert self._verifier is not None
                self._verifier.add_spliced(packet, checksum=checksum, original=original)
                if next(numbers) != missing:
                    self._container.mux_one(packet)

        patch.setattr(ClipWriter, "_mux_spliced", fail)

    return apply


def _other_copied_packets(change: Callable[[int, list[bytes]], bytes]) -> Callable[[pytest.MonkeyPatch], None]:
    """Write other data of copied packets than the recording's."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        copy, numbers = SplicedVideo.copy, count(mutated.GOP)
        packets = mutated.packets_of(mutated.encoded("libx264", mutated.X264))

        def fail(self: SplicedVideo, event: VideoPacketEvent) -> Iterator[SplicedPacket]:
            return copy(self, replace(event, data=change(next(numbers), packets)))

        patch.setattr(SplicedVideo, "copy", fail)

    return apply


def _flipped(number: int, packets: list[bytes]) -> bytes:
    data = packets[number]
    return data[:-9] + bytes([data[-9] ^ 0x5A]) + data[-8:] if number == 84 else data


def _swapped(number: int, packets: list[bytes]) -> bytes:
    return packets[{84: 85, 85: 84}.get(number, number)]


_MATROSKA = Profile(render="smart", container="mkv")  # which does not state the reordering, unlike MP4


@pytest.mark.parametrize(
    ("codec", "params", "profile", "fault"),
    [
        ("libx264", mutated.X264, SMART, _other_encoded_frames),
        ("libx264", mutated.X264, SMART, _other_copied_packets(_flipped)),
        ("libx265", mutated.X265, HEVC, _other_hevc_sets),
        ("libx264", mutated.X264_REORDERED, _MATROSKA, _unstated_reordering),
        ("libx264", mutated.X264, SMART, _other_copied_packets(_swapped)),
        ("libx264", mutated.X264, SMART, _without_packet(84)),
        ("libvpx-vp9", "", SMART_PROFILES["libvpx-vp9"], _without_packet(3)),
    ],
    ids=["encoded frames", "copied bytes", "hevc sets", "reordering", "swapped", "left out", "vp9 left out"],
)
@pytest.mark.typical(2)
def test_clip_with_a_fault_of_the_engine_is_rejected(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    codec: str,
    params: str,
    profile: Profile,
    fault: Callable[[pytest.MonkeyPatch], None],
) -> None:
    path = mutated.write(mutated.encoded(codec, params), tmp_path / "film.mkv")
    fault(monkeypatch)
    clip = cut_file(path, START, END, tmp_path / f"clip.{profile.container}", profile)
    assert "copied frames and those at the cuts did not decode together" in reason_of(clip)
    assert clip.made.render == "encode"


@pytest.mark.exhaustive
def test_first_copied_picture_may_keep_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its leading pictures are left out anyway, so that decoders show the same if it is not made a BLA picture."""
    monkeypatch.setattr("clipengine.media.bitstream.hevc_stream.without_leading", lambda unit: unit)
    path = mutated.write(mutated.encoded("libx265", mutated.X265_REORDERED), tmp_path / "film.mkv")
    clip = cut(path, HEVC)
    first = mutated.GOP + round((1 - clip.made.actual_start - clip.made.encoded_seconds) * mutated.FPS)
    assert (clip.made.render, reason_of(clip)) == ("smart", "")
    assert _pictures(clip, path, [(first, 150)])[1] == []


def test_few_packets_of_a_long_copy_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ones after the encoded ones, and those that begin the last GOP; with "full" all are."""
    tracks: list[SplicedTrack] = []
    add = SplicedTrack.add

    def keep(self: SplicedTrack, checksum: int, time: int, *, copied: bool) -> None:
        tracks.append(self)
        add(self, checksum, time, copied=copied)

    monkeypatch.setattr(SplicedTrack, "add", keep)
    path = mutated.write(mutated.encoded("libx264", mutated.X264), tmp_path / "film.mkv")
    for full_proof, decoded in ((False, 24 + 13), (True, 138)):
        tracks.clear()
        assert reason_of(cut(path, full_proof=full_proof)) == ""
        track = tracks[0]
        copied = [time for time, each in zip(track.times, track.is_copied, strict=True) if each]
        assert len(copied) == 138
        assert sum(time in track.pictures for time in copied) == decoded


def test_damage_between_the_seams_is_copied_as_the_recording_has_it(tmp_path: Path) -> None:
    """With "full" the clip is encoded."""
    film = mutated.encoded("libx264", mutated.X264)

    def change(number: int, data: bytes) -> bytes:
        return data[:20] + bytes(60) + data[80:] if number == 3 * mutated.GOP + 9 else data

    path = mutated.write(film, tmp_path / "film.mkv", change)
    assert (cut(path).made.render, reason_of(cut(path))) == ("smart", "")
    assert "damaged" in reason_of(cut(path, full_proof=True))


def test_missing_frame_between_the_seams_is_copied_with_a_warning(tmp_path: Path) -> None:
    film = mutated.encoded("libx264", mutated.X264)
    path = mutated.write(
        film, tmp_path / "film.mkv", lambda number, data: b"" if number == 3 * mutated.GOP + 9 else data
    )
    clip = cut(path)
    assert clip.made.render == "smart"
    assert any(code_of(each) == "video_gap" for each in clip.made.warnings)
    assert "packets_damaged: frames are missing before 2.88 s, as in the recording" in clip.made.warnings
    with av.open(str(clip.path)) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) == clip.made.frames == 149


@pytest.mark.parametrize("params", [mutated.X264, mutated.X264_REORDERED, mutated.X264 + ":bframes=2"])
@pytest.mark.typical(2)
def test_gaps_of_frame_num_are_those_of_missing_references(params: str) -> None:
    film = mutated.encoded("libx264", params)
    packets = mutated.packets_of(film)

    def gaps(packets: list[bytes]) -> list[int]:
        stream = H264Stream(mutated.extradata_of(film))
        return [number for number, each in enumerate(packets) if stream.copied(each).follows_gap]

    assert gaps(packets) == []
    references = [number for number, each in enumerate(packets) if split_by_lengths(each)[-1][0] >> 5 & 3]
    for missing in references[30:33]:
        found = gaps(packets[:missing] + packets[missing + 1 :])
        assert found in ([], [missing]), missing  # a frame before a keyframe leaves none
        assert found or missing % mutated.GOP in (0, mutated.GOP - 1)


# ---- recordings with changes of all kinds


@pytest.mark.exhaustive
@pytest.mark.parametrize("full_proof", [False, True], ids=["seams", "full"])
@pytest.mark.parametrize("name", MUTATIONS)
def test_copied_frames_of_changed_recordings_are_those_of_the_recording(
    tmp_path: Path, name: str, full_proof: bool
) -> None:
    """Whatever is copied: a recording that is not copied shows what its encoded frames show."""
    clip = MUTATIONS[name].cut(tmp_path, full_proof=full_proof)
    if clip.made.render == "encode":
        return
    source = {time - clip.made.actual_start: samples for time, samples in _decoded(tmp_path / "film.mkv")}
    first = 1 - clip.made.actual_start + ("first keyframe" in name)  # clip time of the first copied frame
    copied = range(round(first * 1000), round((first + Fraction(clip.made.copied_seconds)) * 1000) - 1)
    expected = {round(time * 1000): samples for time, samples in source.items() if round(time * 1000) in copied}
    shown = {round(time * 1000): samples for time, samples in _decoded(clip.path) if round(time * 1000) in copied}
    assert shown.keys() == expected.keys()
    assert [time for time in shown if shown[time] != expected[time]] == []


def _decoded(path: Path) -> Iterator[tuple[Fraction, bytes]]:
    """Yield time and samples of each frame. Packets that do not decode are left out, as by players."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            try:
                frames = stream.codec_context.decode(packet)
            except av.FFmpegError:
                continue
            for frame in frames:
                assert frame.pts is not None
                yield frame.pts * Fraction(stream.time_base or 1), planes(frame)


@pytest.mark.exhaustive
def test_plan_reads_only_the_first_packets_of_a_long_gop(shelf: Shelf) -> None:
    """Whether all of a GOP can be copied is known when it is copied."""
    film = shelf.get("mp4_gop_10s")
    read = []
    for only_plans in (True, False):
        with film.path.open("rb") as file, MediaReader(DescriptorSource(file.fileno())) as reader:
            facts = probe(reader.source).facts
            assert facts.video is not None
            cut = CutRange(Fraction(0), facts.duration, facts.video.frame_seconds, facts.video.tick)
            with open_seeker(reader, facts, cut, video=True, audio=[]) as seeker:
                copier = PacketCopier(seeker, cut, threads=1, only_plans=only_plans)
                copier.begin()
                assert [each.kind for each in copier.plan()] == ["copy"]
                read.append(len(copier._gops.ahead))
    assert read[1] - read[0] > 100  # packets
