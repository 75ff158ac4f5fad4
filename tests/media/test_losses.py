"""What a clip does not hold of its recording is named in its warnings; what a container can hold is carried over."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.clips.options.profiles import Profile
from clipengine.clips.warnings import code_of, loss_warnings
from clipengine.recordings.facts import MAX_OTHER_STREAMS, AudioFacts, SourceFacts, StreamFacts
from tests.films.cutting import cut_file, facts_of
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import write
from tests.support.damage import film

_VIDEO = VideoPart(every(25, 2), Fraction(25), gop=25)
_AUDIO = AudioPart(seconds=Fraction(2))


def _warnings(path: Path, folder: Path, profile: Profile | None = None) -> list[str]:
    output = folder / f"clip.{profile.container if profile else 'mp4'}"
    return list(cut_file(path, Fraction(0), Fraction(1), output, profile or Profile()).made.warnings)


def _subtitles(container: Any) -> list[Any]:
    """Add a subtitle stream of one line, as `write` wants it."""
    with av.open(io.BytesIO(b"1\n00:00:00,000 --> 00:00:01,000\na line\n"), format="srt") as text:
        stream = container.add_stream_from_template(text.streams[0])
        stream.metadata["language"] = "deu"
        packets = [packet for packet in text.demux() if packet.size]
    for packet in packets:
        packet.stream = stream
    return packets


def _recording(path: Path) -> Path:
    """Write a Matroska file with two video streams, subtitles, an attachment, a chapter and a creation time."""

    def before(container: Any) -> list[Any]:
        container.metadata["creation_time"] = "2024-02-03T04:05:06.700000Z"
        container.set_chapters([{"id": 1, "start": 0, "end": 900, "time_base": Fraction(1, 1000), "metadata": {}}])
        return []

    def after(container: Any) -> list[Any]:
        container.add_attachment("notes.txt", "text/plain", b"notes")
        return _subtitles(container)

    write(path, "matroska", video=[_VIDEO, _VIDEO], audio=[_AUDIO], before=before, after=after)
    return path


def test_each_stream_that_is_not_carried_over_is_named(tmp_path: Path) -> None:
    found = _warnings(_recording(tmp_path / "recording.mkv"), tmp_path)
    assert [code_of(each) for each in found] == ["stream_dropped"] * 2, found
    for text in ("video stream 1 (h264)", "attachment 4 (notes.txt)"):
        assert any(text in each for each in found), (text, found)


def test_creation_time_of_a_clip_is_that_of_its_start(tmp_path: Path) -> None:
    path = _recording(tmp_path / "recording.mkv")
    assert facts_of(path).creation_time == datetime(2024, 2, 3, 4, 5, 6, 700_000, UTC)
    for profile in (Profile(), Profile(container="mkv")):
        output = tmp_path / f"clip.{profile.container}"
        cut_file(path, Fraction(3, 2), Fraction(2), output, profile)
        with av.open(str(output)) as clip:  # MP4 counts whole seconds
            assert clip.metadata["creation_time"].startswith("2024-02-03T04:05:08")


@pytest.mark.parametrize("stated", ["yesterday", "1904-01-01T00:00:00Z", "2024-02-03T04:05:06", "9999-12-31T23:59:59Z"])
def test_implausible_creation_time_is_left_out(tmp_path: Path, stated: str) -> None:
    path = tmp_path / "recording.mkv"

    def before(container: Any) -> list[Any]:
        container.metadata["creation_time"] = stated
        return []

    write(path, "matroska", video=[_VIDEO], before=before)
    facts = facts_of(path)
    assert facts.creation_time is None or facts.creation_time.year == 2024
    assert not _warnings(path, tmp_path)


def test_language_of_the_video_is_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "recording.mp4"
    write(path, "mp4", video=[VideoPart(_VIDEO.times, _VIDEO.fps, metadata={"language": "fra"})])
    assert not _warnings(path, tmp_path)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert clip.streams.video[0].language == "fra"


def test_color_range_is_carried_over_without_other_tags(tmp_path: Path) -> None:
    path = tmp_path / "recording.mkv"
    _write_tagged_range(path)
    assert not _warnings(path, tmp_path)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        context = clip.streams.video[0].codec_context
        assert (context.color_range, context.color_primaries) == (1, 2)


def _write_tagged_range(path: Path) -> None:
    """Write a picture that says that its range is limited, and nothing else about its colours."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.color_range = 1
        for _ in range(50):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")))
        container.mux(stream.encode(None))


def test_audio_with_more_channels_than_the_codec_has_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recording.mp4"
    write(path, "mp4", audio=[AudioPart(layout="5.1", seconds=Fraction(2), bit_rate=256_000)])
    found = _warnings(path, tmp_path, Profile(container="mp3", video="none", audio="mp3"))
    assert [code_of(each) for each in found] == ["audio_downmixed"]


def test_tracks_that_the_container_cannot_hold_are_named() -> None:
    tracks = tuple(AudioFacts(index=n, codec="aac", channels=2, sample_rate=48_000, language="deu") for n in range(3))
    facts = SourceFacts(container="mov", origin=Fraction(0), duration=Fraction(9), audio=tracks)
    found = loss_warnings(facts, Profile(container="mp3", video="none", audio="mp3"))
    assert [code_of(each) for each in found] == ["stream_dropped"] * 2
    assert "audio stream 1 (aac, deu) is not carried over: mp3 holds one track" in found[0]
    assert not loss_warnings(facts, Profile())
    assert not loss_warnings(facts, Profile(audio_tracks=0))  # what a profile leaves out on purpose is no loss


def test_streams_that_appear_late_are_named(tmp_path: Path) -> None:
    path, tables = tmp_path / "late.ts", "mpegts_start_pid=0x300,mpegts_pmt_start_pid=0x1010,mpegts_service_id=2"
    first = film("mpegts", seconds=14, fps=5, sound=0)
    path.write_bytes(first + film("mpegts", seconds=1, options=f"{tables},tables_version=1"))
    assert [each for each in _warnings(path, tmp_path) if code_of(each) == "stream_dropped"] == [
        "stream_dropped: video stream 1 (h264) is not carried over: it appears later in the recording",
        "stream_dropped: audio stream 2 (mp2) is not carried over: it appears later in the recording",
    ]


def test_private_stream_that_appears_late_is_named(tmp_path: Path) -> None:
    """A subtitle of a DVD, in a private stream of a program stream, after ten of fourteen seconds."""
    path, whole = tmp_path / "late.mpg", film("mpeg", "mpeg2video", seconds=14)
    body = b"\x80\x80\x05\x21\0\x01\0\x01" + b"\x20" + bytes(50)
    packet = b"\0\0\x01\xbd" + len(body).to_bytes(2, "big") + body
    pack = whole.index(b"\0\0\x01\xba", len(whole) * 3 // 4)
    path.write_bytes(whole[:pack] + 3 * packet + whole[pack:])
    assert [each for each in _warnings(path, tmp_path) if code_of(each) == "stream_dropped"] == [
        "stream_dropped: subtitle stream 2 (dvd_subtitle) is not carried over: it appears later in the recording"
    ]


def test_number_of_named_streams_is_limited() -> None:
    named = tuple(StreamFacts(index=n, kind="data", codec="klv") for n in range(MAX_OTHER_STREAMS))
    facts = SourceFacts(
        container="mpegts", origin=Fraction(0), duration=Fraction(9), other_streams=named, other_streams_count=900
    )
    found = loss_warnings(facts, Profile())
    assert len(found) == MAX_OTHER_STREAMS + 1
    assert found[-1] == f"stream_dropped: {900 - MAX_OTHER_STREAMS} more streams are not carried over"
    with pytest.raises(ValueError, match="other_streams"):
        SourceFacts.model_validate(facts.model_dump() | {"other_streams": [vars(named[0])] * 1000})


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("wmv_test.wmv", ["audio stream 0 (wmavoice, eng)"]),
        ("asf_test.asf", ["audio stream 0 (metasound)", "video stream 2 (msmpeg4v2)"]),
    ],
)
def test_undecodable_audio_is_named(defects: Path, tmp_path: Path, name: str, texts: list[str]) -> None:
    found = _warnings(defects / name, tmp_path)
    for text in texts:
        assert any(each.startswith(f"stream_dropped: {text}") for each in found), found


def test_color_range_of_an_f4v_is_carried_over(defects: Path, tmp_path: Path) -> None:
    _warnings(defects / "f4v_480.f4v", tmp_path)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert clip.streams.video[0].codec_context.color_range == 1
        assert clip.metadata["creation_time"] == "2018-04-18T21:24:57.000000Z"


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("mp3_cover_chapters.mp3", ["tags_dropped", "stream_dropped"]),
        ("nasa_multitrack_2v2a_subs.mp4", ["stream_dropped"] * 2),
        ("ts_scte35.ts", ["stream_dropped"]),
        ("vp9_alpha.webm", ["alpha_dropped"]),
    ],
)
def test_losses_of_real_recordings_are_named(recordings: Path, tmp_path: Path, name: str, codes: list[str]) -> None:
    found = [code_of(each) for each in _warnings(recordings / name, tmp_path)]
    assert [code for code in found if code != "end_clamped"] == codes
