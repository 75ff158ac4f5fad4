"""Formats and codecs at the edge of what is supported: which are opened, and what the others are called."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from clipengine.clips.warnings import code_of
from clipengine.errors import RecordingEncrypted, RecordingUnreadable, UnsupportedMedia
from clipengine.media.input.containers.signatures import HEAD_BYTES, known_format
from tests.films.cutting import cut_file, facts_of
from tests.films.likeness import faults_of
from tests.films.reference import watch
from tests.support.damage import film
from tests.support.images import animation


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b".RMF\0\0\0\x12\0\1\0\0\0\0\0\0\0\6" + bytes(1000), "RealMedia"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\nsegment.ts\n", "an HLS playlist"),
        (b"\xef\xbb\xbf#EXTM3U\n", "an HLS playlist"),
        (b"ffconcat version 1.0\nfile part.mp4\n", "a concat script"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 5004 RTP/AVP 96\r\n", "a session description"),
        (b'<?xml version="1.0"?>\n<MPD type="static"></MPD>', "a DASH manifest"),
        (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(100), "a WebP image"),
        (b"AV\1\0\x55\0\0\x08" + bytes(1000), "PVA of a TV card"),
        (b"\0\0\1\x0f\xcd\x92\x3b\x0d" + bytes(1000), "a VC-1 stream"),
        (b"\x18\0\0\xc5\4\0\0\0\x4e\x29\x1a\1" + bytes(8) + b"\x0c\0\0\0" + bytes(1000), "a VC-1 test stream"),
        (b"FILM\0\0\x10\x001.09" + bytes(1000), "Sega FILM"),
        (b"RIFF\x10\0\0\0XWMAfmt \x12\0\0\0\x61\1" + bytes(1000), "Microsoft xWMA"),
        (b".snd\0\0\0\x20\0\1\x58\x88\0\0\0\3\0\0\xac\x44\0\0\0\1" + bytes(1000), "Sun audio"),
        (b"\x1f\x07\0\xbf\xf0\x78\x78\x78" + bytes(1000), "a DV stream"),
    ],
)
def test_known_format_that_is_not_opened_is_called_unsupported(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / "recording.mp4"
    path.write_bytes(data)
    with pytest.raises(UnsupportedMedia) as failed:
        facts_of(path)
    assert failed.value.message.startswith(f"the recording is {name}")
    assert "MPEG-TS" in str(failed.value.hint)


@pytest.mark.parametrize("data", [b"", b"plain text\n" * 100, b"<html>#EXTM3U</html>", bytes(5000), b"PK\3\4" * 100])
def test_other_content_stays_unreadable(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "recording.mp4"
    path.write_bytes(data)
    with pytest.raises(RecordingUnreadable):
        facts_of(path)


def test_encrypted_recording_is_called_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "protected.mp4"
    options = "encryption_scheme=cenc-aes-ctr,encryption_key=" + 16 * "76" + ",encryption_kid=" + 16 * "a7"
    path.write_bytes(film(options=options))
    with pytest.raises(RecordingEncrypted, match="is encrypted"):
        facts_of(path)


def test_signatures_are_looked_for_in_the_head_only() -> None:
    late = b"<?xml" + b" " * HEAD_BYTES + b"<MPD>"
    assert known_format(late * 1000) is None


def test_tag_of_an_unknown_video_codec_is_named(tmp_path: Path) -> None:
    path = tmp_path / "unknown.mp4"
    path.write_bytes(film().replace(b"avc1", b"ZQ 1"))
    with pytest.raises(UnsupportedMedia, match='video codec "ZQ 1" is not supported'):
        facts_of(path)


def test_flv_whose_tags_have_wrong_sizes_is_unreadable(tmp_path: Path) -> None:
    path, whole = tmp_path / "tags.flv", bytearray(film("flv", seconds=2, sound=0))
    at = 13
    while at < len(whole):
        size = int.from_bytes(whole[at + 1 : at + 4], "big")
        whole[at + 1 : at + 4] = (size + 7).to_bytes(3, "big")
        at += 15 + size
    path.write_bytes(whole)
    with pytest.raises(RecordingUnreadable, match="an FLV file whose tags have wrong sizes"):
        facts_of(path)


def test_audio_that_no_decoder_opens_is_called_unsupported(defects: Path, tmp_path: Path) -> None:
    path = tmp_path / "voice.wma"
    with (
        av.open(str(defects / "wmv_test.wmv")) as source,
        av.open(str(path), "w", format="asf") as target,
    ):
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(UnsupportedMedia, match="audio codec wmavoice is not supported"):
        facts_of(path)


def _pictures(path: Path) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("form", "codec", "behind"),
    [("apng", "apng", 255), ("mov", "qtrle", 0), ("mov", "png", 0), ("mov", "prores_ks", 0), ("mov", "jpeg2000", 0)],
)
def test_transparent_parts_have_one_color(tmp_path: Path, form: str, codec: str, behind: int) -> None:
    path, output = tmp_path / f"recording.{form}", tmp_path / "clip.mp4"
    path.write_bytes(animation(form, codec))
    made = cut_file(path, Fraction(1, 2), Fraction(3, 2), output).made
    assert [code_of(each) for each in made.warnings] == ["alpha_flattened"]
    pictures = _pictures(output)
    assert len(pictures) == made.frames == 10
    for number, picture in enumerate(pictures, 5):
        left = number * 2
        assert np.all(np.abs(picture[4:12, 40:60].astype(int) - behind) < 16), picture[8, 50]
        red = picture[24:40, left + 4 : left + 12].astype(int).mean(axis=(0, 1))
        assert red[0] > 200
        assert max(red[1], red[2]) < 60


def test_opaque_frames_of_a_format_with_alpha_are_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "recording.mov"
    with av.open(str(path), "w", format="mov") as container:
        stream: Any = container.add_stream("qtrle", rate=10)
        stream.width, stream.height, stream.pix_fmt = 62, 50, "argb"  # rows with padding
        for number in range(20):
            pixels = np.full((50, 62, 4), 255, np.uint8)
            pixels[..., 1] = number * 10
            frame = av.VideoFrame.from_ndarray(pixels, format="argb")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert not cut_file(path, Fraction(0), Fraction(1), tmp_path / "clip.mp4").made.warnings


@pytest.mark.parametrize(
    ("name", "ranges"),
    [
        pytest.param("animated_photo.gif", ["0 1", "8.5 14"], marks=pytest.mark.exhaustive),
        ("srs_avatar.h264", ["0 1", "4.1 5.9", "11 12.3"]),
    ],
)
@pytest.mark.exhaustive
def test_clip_equals_a_decode_from_the_head(defects: Path, tmp_path: Path, name: str, ranges: list[str]) -> None:
    path, output = defects / name, tmp_path / "clip.mp4"
    seen = watch(path)
    for text in ranges:
        start, end = map(Fraction, text.split())
        cut_file(path, start, end, output)
        assert not faults_of(seen, watch(output), start, end), text


@pytest.mark.parametrize(("name", "frames"), [("jpeg2000.mov", 15), ("flv_napnap.flv", 17), ("animated.apng", 9)])
def test_codec_is_decoded(defects: Path, tmp_path: Path, name: str, frames: int) -> None:
    output = tmp_path / "clip.mp4"
    made = cut_file(defects / name, Fraction(2, 5), Fraction(1), output).made
    assert abs(made.frames - frames) <= 1
    lost = {"stream_dropped"} if name == "flv_napnap.flv" else set()  # its text appears after the beginning
    assert {code_of(each) for each in made.warnings} <= {"alpha_flattened"} | lost
    pictures = _pictures(output)
    assert len(pictures) == made.frames
    assert pictures[0].std() > 10
    if name == "animated.apng":
        assert pictures[0][:8, :8].min() > 240  # the page behind it
