"""Recordings that an earlier version cut wrongly, compared with a decode from their first byte.

Each clip is compared frame by frame with what `tests.films.reference` decodes without a seek.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clipengine.errors import RecordingUnreadable
from clipengine.media.input.containers import avi
from clipengine.media.input.containers.cached_reader import DescriptorSource, MediaReader
from clipengine.media.input.containers.container import media_errors
from clipengine.media.input.decoding import stream_scan
from clipengine.media.input.seeking.first_packet import read_decoder_state
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_file, facts_of
from tests.films.likeness import faults_of
from tests.films.reference import Heard, Reference, watch
from tests.films.sound import sound
from tests.support.damage import film, with_damaged_slices, without_keyframes, write_pictures
from tests.support.palette import write_palette_avi
from tests.support.selection import cases

_RANGES = {
    "cockatoo_yuv444_mono_mp3.mp4": ("5.175 9.175", "0 0.7", "13.1 14.5"),
    "dance1.avi": ("0.556 1.21", "0 0.7", "1.1 2"),
    "photoprism_earth.avi": ("0.676 2.876", "0 0.5", "12.345 13.1", "29.3 31"),
    "ogm_truncated.ogm": ("0.3 1.1", "1.31 1.9"),
    "av1_hdr10_mastering.mp4": ("0.3 0.7",),
    "iphone_portrait.mov": ("0.4 1.5", "0 0.3", "1.2 2.5"),
    "kurento_car.avi": ("6.145 10.145", "0 0.7", "15.3 17"),
    "fate_packed_bframes.avi": ("0 0.3", "0.21 0.6"),
    "fate_mvhevc_multiview.mov": ("0 0.2", "0.1 0.4"),
    "iphone_hevc_editlist_no_sync_before.mp4": ("0 1", "0.1 1.3", "1.1 1.7"),
    "fate_init_nonkeyframe.mp4": ("3.3 3.8", "2.5 4.02", "3.1 5"),
    "fate_wmapro.wma": ("0 0.3", "0.5 1.8"),
    "mm_alac.mka": ("0 1", "0.75 2", "1.5 3", "4.3 6"),
    "fate_vc1_wmapro.asf": ("1.849 4.017", "0.2 0.5", "3.3 4.3"),
    "samsung_super_slow.mp4": ("5.366 9.366", "5.37 7", "0 1"),
    "fate_displaymatrix.mov": ("0.406 0.860",),
    "sample_mpeg2.m2v": ("0 1", "1.1 1.9"),
    "fate_wmv8_x8intra.wmv": ("7.044 11.044", "20 23"),
}


def _faults(path: Path, ranges: tuple[str, ...], folder: Path) -> list[str]:
    """Return how the clips of these ranges (`start end`, in seconds) differ from a decode from the head."""
    seen, output, faults = watch(path), folder / "clip.mp4", []
    for text in ranges:
        start, end = map(Fraction, text.split())
        made = cut_file(path, start, end, output).made
        warnings = [each for each in made.warnings if "gaps of" in each or "errors" in each or "damaged" in each]
        faults += [f"{text}: {fault}" for fault in [*faults_of(seen, watch(output), start, end), *warnings]]
    return faults


@pytest.mark.parametrize("name", cases(_RANGES, ("dance1.avi", "iphone_portrait.mov")))
@pytest.mark.typical(1)
def test_clip_equals_a_decode_from_the_head(defects: Path, tmp_path: Path, name: str) -> None:
    assert not _faults(defects / name, _RANGES[name], tmp_path)


@pytest.mark.parametrize(("start", "end"), [("0", "1/3"), ("1/10", "1/3")])
def test_size_that_frames_take_from_a_reference_is_known(defects: Path, tmp_path: Path, start: str, end: str) -> None:
    clip = cut_file(defects / "fate_vp9_resize.mp4", Fraction(start), Fraction(end), tmp_path / "clip.mp4")
    assert {shown.size for shown in watch(clip.path).frames} == {(352, 288)}
    assert [each for each in clip.made.warnings if each.startswith("picture_resized")]


def test_stale_index_of_fragments_is_not_used(tmp_path: Path) -> None:
    path, whole = (
        tmp_path / "fragments.mp4",
        film(seconds=8, options="movflags=frag_keyframe+empty_moov+default_base_moof"),
    )
    at = whole.index(b"moof", whole.index(b"moof") + 4) - 4
    path.write_bytes(whole)
    duration = facts_of(path).duration
    stale = path.with_name("stale.mp4")
    stale.write_bytes(whole[:at] + (5000).to_bytes(4, "big") + b"free" + bytes(4992) + whole[at:])
    assert facts_of(stale).duration == duration > Fraction(79, 10)
    assert not _faults(stale, ("6.5 7.5", "0.5 1"), tmp_path)


def test_recording_without_a_keyframe_in_its_beginning_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "late_keyframe.mp4"
    path.write_bytes(without_keyframes(film(), until=2))
    monkeypatch.setattr(stream_scan, "_HEAD_PACKETS", 30)
    assert facts_of(path).video is not None
    assert not _faults(path, ("2.5 3.5",), tmp_path)


def test_end_of_a_recording_that_begins_with_non_keyframes_is_that_of_its_packets(defects: Path) -> None:
    assert facts_of(defects / "fate_init_nonkeyframe.mp4").duration == Fraction(177152, 44100)


def test_flac_whose_rate_changes_is_cut_at_the_time_of_its_samples(defects: Path, tmp_path: Path) -> None:
    path, rate = defects / "flac_changing_rate.flac", 48000
    resampler, pieces, last = av.AudioResampler("fltp", "stereo", rate), [], 32000
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            if frame.sample_rate != last:
                pieces += [made.to_ndarray()[0] for made in resampler.resample(None)]
                resampler, last = av.AudioResampler("fltp", "stereo", rate), frame.sample_rate
            frame.pts = None
            pieces += [made.to_ndarray()[0] for made in resampler.resample(frame)]
    whole = Reference(path, tracks=[Heard(rate, 2, [(Fraction(0), np.concatenate(pieces))])])
    for start, end in ((6, 10), (10, 14), (15, 18)):
        clip = cut_file(path, Fraction(start), Fraction(end), tmp_path / "clip.mp4")
        assert not [*faults_of(whole, watch(clip.path), Fraction(start), Fraction(end)), *clip.made.warnings]


def test_palette_of_an_avi_applies_after_a_seek(tmp_path: Path) -> None:
    path = tmp_path / "palette.avi"
    write_palette_avi(path)
    assert not _faults(path, ("1.55 2.5", "0 0.5"), tmp_path)


def test_palette_that_changes_on_the_way_applies_after_a_seek(tmp_path: Path) -> None:
    path = tmp_path / "palettes.avi"
    write_palette_avi(path, changes_at=8)
    assert not _faults(path, ("1.55 2.5", "0.5 1.1"), tmp_path)


def test_x264_build_is_read_from_the_first_packet_of_444(shelf: Shelf) -> None:
    with shelf.get("h264_444").path.open("rb") as file, MediaReader(DescriptorSource(file.fileno())) as reader:
        build = read_decoder_state(reader).x264_build
    assert build is not None
    assert build > 150


def test_frames_with_exif_are_cut(tmp_path: Path) -> None:
    path, exif = tmp_path / "timelapse.mov", b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\1" + bytes(6)
    with av.open(io.BytesIO(film("avi", "mjpeg", seconds=2, sound=0))) as container:
        pictures = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    write_pictures(path, "mjpeg", [picture[:2] + segment + picture[2:] for picture in pictures])
    assert not _faults(path, ("0.6 3", "0 1"), tmp_path)


def test_exception_of_this_program_is_no_fault_of_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film())
    with path.open("rb") as file, MediaReader(DescriptorSource(file.fileno())) as reader:
        with pytest.raises(ValueError, match="invalid literal"), media_errors(reader):
            int("x")
        with pytest.raises(RecordingUnreadable, match="nonsense"), media_errors(reader):
            av.VideoFrame(16, 16, "nonsense")


@pytest.mark.exhaustive
def test_concealed_frames_are_counted_in_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    path.write_bytes(with_damaged_slices(film(noise=True, size=256), start=1, end=1.16))
    made = cut_file(path, Fraction(1, 2), Fraction(2), tmp_path / "clip.mp4").made
    assert [each for each in made.warnings if "concealed" in each] == [
        "errors_concealed: 4 frames decode with errors, which the decoder concealed"
    ]
    made = cut_file(path, Fraction(2), Fraction(3), tmp_path / "clip.mp4").made
    assert made.warnings == ()


def test_range_that_is_mostly_concealed_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp4"
    path.write_bytes(with_damaged_slices(film(noise=True, size=256), start=0, end=4))
    with pytest.raises(RecordingUnreadable, match="of the range's 25 frames decode with errors"):
        cut_file(path, Fraction(1), Fraction(2), tmp_path / "clip.mp4")


def _write_without_composition_offsets(path: Path) -> None:
    """Write H.264 with B-frames whose pts are their dts, as muxers do that only know the times of decoding."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"g": "12", "bf": "2", "b-adapt": "0"})
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        pictures = (np.full((96, 64), 16 + 2 * number, np.uint8) for number in range(100))
        frames = (av.VideoFrame.from_ndarray(picture, format="yuv420p") for picture in pictures)
        packets = [packet for frame in (*frames, None) for packet in video.encode(frame)]
        for number, packet in enumerate(packets):
            packet.pts = packet.dts = number
            container.mux(packet)


@pytest.mark.parametrize("kind", cases(("mp4", "flv", "mxf"), ("mp4",)))
def test_frames_of_packets_without_presentation_times_are_put_in_display_order(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"decoding_times.{kind}"
    _write_without_composition_offsets(path)
    video = facts_of(path).video
    assert video is not None
    assert video.decoding_times
    assert not _faults(path, ("0 1", "1.33 2.5", "3 4"), tmp_path)


def _write_slides(path: Path) -> None:
    """Write a recording with a picture every 4 s, for 24 s, B-frames, and speech-like sound."""
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=Fraction(1, 4)), container.add_stream("aac", rate=48000)
        video.width, video.height, video.pix_fmt, audio.layout = 64, 64, "yuv420p", "mono"
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64), 30 + 35 * number, np.uint8), format="yuv420p")
            frame.pts = number
            container.mux(video.encode(frame))
            for first in range(number * 4 * 48000, (number + 1) * 4 * 48000, 1000):
                samples = av.AudioFrame.from_ndarray(sound(1, 48000, first, 1000)[None], format="fltp", layout="mono")
                samples.sample_rate, samples.pts = 48000, first
                container.mux(audio.encode(samples))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
@pytest.mark.typical(1)
def test_clip_that_begins_on_a_slide_long_before_its_start_has_the_sound_of_it(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"slides.{kind}"
    _write_slides(path)
    assert not _faults(path, ("0 0.7", "5.7 6.7", "9.9 11"), tmp_path)


def test_index_of_an_avi_is_read_up_to_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "palettes.avi"
    write_palette_avi(path, changes_at=8)
    with path.open("rb") as file, MediaReader(DescriptorSource(file.fileno())) as reader:
        assert avi.palette_changes(reader)
        monkeypatch.setattr(avi, "_MAX_INDEX_BYTES", 5 * 16)
        assert not avi.palette_changes(reader)
