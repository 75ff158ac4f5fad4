"""Clips of recordings of many files are as exact as those of one file."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from clipengine.cli.local.making import LocalClip, cut_once, read_facts
from clipengine.clips.clip import ClipResult
from clipengine.clips.options.profiles import Render
from clipengine.clips.request import GapMode
from clipengine.errors import PlaylistInvalid, PlaylistOutside, RecordingEncrypted, RecordingNotReady
from clipengine.media.input.seeking.piece_run import _forgiven
from clipengine.media.input.timing.keyframe_times import with_keyframe_times
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.recordings.playlist import VariantChoice
from tests.films.film import Film
from tests.films.judge import judge
from tests.films.parts import every
from tests.films.reader import ClipReading, read_clip
from tests.support.playlists import (
    AUDIO,
    SECONDS,
    VIDEO,
    agora,
    edited,
    first_segments,
    fmp4_playlist,
    joined,
    raw_audio,
    restart_counters,
    restarting,
    separate_audio,
    stamped_audio,
    stated,
    ts_playlist,
)
from tests.support.selection import cases
from tests.support.stored import store_kind, stored

__all__ = ["store_kind"]  # a fixture

F = Fraction
WRAP = F(2**33, 90_000)

pytestmark = [pytest.mark.usefixtures("store_kind"), pytest.mark.proof]


def cut(
    path: Path,
    start: str,
    end: str,
    render: Render = "encode",
    *,
    gaps: GapMode = "hold",
    variant: VariantChoice | None = None,
) -> tuple[ClipResult, ClipReading]:
    output = path.with_name("clip.mp4")
    clip = LocalClip([(F(start), F(end))], render=render, gaps=gaps, variant=variant or VariantChoice())
    made = cut_once(*stored(path), output, clip, on_progress=lambda done: None)
    return made, read_clip(output)


def check_exact(film: Film, start: str, end: str, render: Render = "encode") -> ClipResult:
    """Cut the range, hold it to the film, and return the result."""
    made, reading = cut(film.path, start, end, render)
    faults = judge(
        film,
        reading,
        F(start),
        F(end),
        made.actual_start_seconds,
        made.actual_end_seconds,
        copied=render == "smart",
    )
    assert not faults, "\n".join(faults)
    assert made.warnings == []
    return made


@pytest.fixture(scope="module")
def ts(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return ts_playlist(tmp_path_factory.mktemp("ts") / "index.m3u8")


@pytest.mark.parametrize(
    ("start", "end"), [pytest.param("0", "1.3", marks=pytest.mark.exhaustive), ("3.1", "8.9"), ("10.02", "12")]
)
@pytest.mark.typical(1)
def test_clip_over_the_borders_of_segments_is_exact(ts: Film, start: str, end: str) -> None:
    check_exact(ts, start, end)


def test_smart_render_copies_over_the_borders_of_segments(ts: Film) -> None:
    assert check_exact(ts, "3.1", "9.9", "smart").copied_seconds > 5


@pytest.mark.parametrize(
    "change",
    [
        lambda seconds: seconds * 1.03,
        pytest.param(lambda seconds: seconds * 0.9, marks=pytest.mark.exhaustive),
        pytest.param(lambda seconds: 3, marks=pytest.mark.exhaustive),
    ],
)
def test_wrong_durations_in_the_playlist_do_not_move_a_clip(ts: Film, change: object) -> None:
    check_exact(edited(ts, "wrong.m3u8", stated(change)), "7.1", "10.3")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """A playlist of 108 s, whose clock wraps at 72 s and whose segments end at keyframes: 3.44 or 5.16 s."""
    video = replace(VIDEO, times=every(25, 108), gop=43)
    path = tmp_path_factory.mktemp("long") / "index.m3u8"
    audio = replace(AUDIO, seconds=F(108) - F(1, 10))
    return ts_playlist(path, video=video, audio=audio, offset=WRAP - 72, options={"hls_time": "4"})


@pytest.mark.parametrize(
    ("change", "start", "end"),
    [
        (lambda seconds: seconds * 1.03, "86.5", "94.3"),
        (lambda seconds: round(seconds), "43.1", "53.3"),
        (lambda seconds: seconds, "66.5", "74.3"),
        (lambda seconds: seconds, "2.1", "95.3"),
    ],
)
@pytest.mark.exhaustive
def test_errors_of_stated_durations_do_not_add_up(long: Film, change: object, start: str, end: str) -> None:
    check_exact(edited(long, "stated.m3u8", stated(change)), start, end)  # type: ignore[arg-type]


@pytest.mark.exhaustive
def test_gop_longer_than_a_segment_is_decoded_from_its_keyframe(tmp_path: Path) -> None:
    video = replace(VIDEO, gop=250)
    film = ts_playlist(tmp_path / "index.m3u8", video=video, options={"hls_flags": "split_by_time"})
    check_exact(film, "7.1", "11.3", "smart")


def test_clock_that_wraps_between_segments_is_followed(tmp_path: Path) -> None:
    film = ts_playlist(tmp_path / "index.m3u8", offset=WRAP - 5)
    check_exact(film, "3.1", "8.3", "smart")
    check_exact(film, "9.1", "11.3")


@pytest.mark.exhaustive
def test_separate_audio_of_agora_is_placed_by_its_times(tmp_path: Path) -> None:
    """The picture begins 1.5 s later, and the audio pauses for 3 s."""
    film = agora(tmp_path)
    made, reading = cut(film.path, "3.02", "11.02")
    faults = judge(film, reading, F("3.02"), F("11.02"), made.actual_start_seconds, made.actual_end_seconds)
    assert not faults, "\n".join(faults)
    assert [text.partition(":")[0] for text in made.warnings] == ["audio_gap_filled"]
    assert numbers(reading)[0] == 38  # at 1.52 s of the picture


@pytest.mark.parametrize("fmp4", [False, pytest.param(True, marks=pytest.mark.exhaustive)], ids=["ts", "fmp4"])
@pytest.mark.parametrize("parts", cases([(2, 10), (2, 2, 2, 2, 2, 2), (10, 2)], [(2, 10)]))
def test_segments_whose_clocks_begin_anew_follow_each_other(parts: tuple[int, ...], fmp4: bool, tmp_path: Path) -> None:
    """The playlist lacks the discontinuities that it should state."""
    film = restarting(tmp_path / "index.m3u8", parts, fmp4=fmp4)
    made, reading = cut(film.path, "1.02", "11.02")
    faults = judge(film, reading, F("1.02"), F("11.02"), made.actual_start_seconds, made.actual_end_seconds)
    assert not faults, "\n".join(faults)


@pytest.mark.exhaustive
def test_counters_that_start_again_are_not_damage(tmp_path: Path) -> None:
    film = ts_playlist(tmp_path / "index.m3u8")
    restart_counters(tmp_path)
    assert check_exact(film, "3.1", "9.9", "smart").copied_seconds > 5


def test_fragmented_mp4_with_a_header_is_exact(tmp_path: Path) -> None:
    check_exact(fmp4_playlist(tmp_path / "index.m3u8"), "3.1", "9.9", "smart")


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.exhaustive
def test_open_gops_at_the_borders_of_segments_are_exact(codec: str, tmp_path: Path) -> None:
    """FFmpeg states the time of the keyframe at 2.88 s as that of a frame before it."""
    name = codec.removeprefix("lib")
    options = {f"{name}-params": "open-gop=1:scenecut=0:b-adapt=0"}
    if codec == "libx265":
        options["x265-params"] += ":log-level=none:pools=none:frame-threads=1"
    video = replace(VIDEO, times=every(25, 6), codec=codec, gop=24, b_frames=3, options=options)
    film = fmp4_playlist(tmp_path / "index.m3u8", video=video)
    for start, end in (("2.1", "4.1"), ("2.82", "4.1"), ("2.86", "3.1"), ("2.1", "2.94")):
        check_exact(film, start, end)


@pytest.mark.exhaustive
def test_byte_ranges_of_one_object_are_exact(tmp_path: Path) -> None:
    check_exact(fmp4_playlist(tmp_path / "index.m3u8", options={"hls_flags": "single_file"}), "3.1", "9.9")


def test_audio_of_a_separate_playlist_is_exact(tmp_path: Path) -> None:
    film = separate_audio(tmp_path / "master.m3u8")
    check_exact(film, "3.1", "9.9", "smart")
    facts = read_facts(*stored(film.path))
    assert (facts.container, facts.video is not None) == ("pieces", True)
    assert [track.language for track in facts.audio] == ["eng"]
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert clip.streams.audio[0].metadata["language"] == "eng"


@pytest.mark.exhaustive
def test_variant_is_cut_instead_of_the_largest(tmp_path: Path) -> None:
    film = separate_audio(tmp_path / "master.m3u8")
    film.path.write_text(film.path.read_text().replace("80x44", "320x180"))
    with pytest.raises(PlaylistInvalid, match=r"missing\.m3u8"):
        cut(film.path, "1", "2")
    made, _ = cut(film.path, "1", "2", variant=VariantChoice(max_height=90))
    assert (made.height, made.audio_codec) == (90, "aac")


def numbers(reading: ClipReading) -> list[int]:
    return [seen.number if seen.number is not None else -1 for _, seen in reading.frames]


@pytest.mark.exhaustive
def test_discontinuity_to_another_size_loses_no_frame(tmp_path: Path) -> None:
    first = ts_playlist(tmp_path / "a.m3u8")
    second = replace(VIDEO, times=every(25, 4), width=240, height=136, first_number=25 * SECONDS)
    ts_playlist(tmp_path / "b.m3u8", video=second, audio=replace(AUDIO, seconds=F(4)), offset=F(4900))
    joined(tmp_path / "index.m3u8", first.path, tmp_path / "b.m3u8")
    made, reading = cut(tmp_path / "index.m3u8", "10.02", "14.5", "smart")
    assert numbers(reading) == list(range(numbers(reading)[0], numbers(reading)[0] + 113))
    assert (made.width, made.height, made.render) == (240, 136, "encode")
    assert float(reading.frames[-1][0] + F(1, 25)) == pytest.approx(4.52, abs=0.001)


@pytest.mark.exhaustive
def test_change_of_codec_and_sample_rate_opens_other_decoders(tmp_path: Path) -> None:
    first = ts_playlist(tmp_path / "a.m3u8")
    options = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1:bframes=0"}
    video = replace(VIDEO, times=every(25, 4), codec="libx265", b_frames=0, first_number=25 * SECONDS, options=options)
    ts_playlist(tmp_path / "b.m3u8", video=video, audio=replace(AUDIO, seconds=F(4), rate=44100))
    joined(tmp_path / "index.m3u8", first.path, tmp_path / "b.m3u8")
    _, reading = cut(tmp_path / "index.m3u8", "10.02", "14.5")
    found = numbers(reading)
    assert [later - earlier for earlier, later in pairwise(found)] == [1] * (len(found) - 1)
    assert len(found) == 113


@pytest.mark.exhaustive
def test_clear_part_of_a_partly_encrypted_recording_is_cut(ts: Film) -> None:
    film = edited(ts, "partly.m3u8", lambda text: _encrypt(text, 3))
    check_exact(film, "1.1", "3.5")
    check_exact(film, "8.3", "11.1")


def _encrypt(text: str, segment: int) -> str:
    """Return a playlist that says that one segment is encrypted."""
    head, *rest = text.split("#EXTINF")
    rest[segment] += "#EXT-X-KEY:METHOD=NONE\n"
    rest[segment - 1] += '#EXT-X-KEY:METHOD=AES-128,URI="k"\n'
    return "#EXTINF".join([head, *rest])


@pytest.mark.parametrize(("start", "end"), [("3.1", "8.9"), pytest.param("0", "1.3", marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("mp3", [False, True], ids=["aac", "mp3"])
def test_raw_audio_has_the_clock_of_its_tags(mp3: bool, start: str, end: str, tmp_path: Path) -> None:
    check_exact(raw_audio(tmp_path / "index.m3u8", first=WRAP - 5, mp3=mp3), start, end)


def test_stream_of_timestamps_beside_audio_is_no_loss(tmp_path: Path) -> None:
    stamped_audio(tmp_path / "index.m3u8")
    made, _ = cut(tmp_path / "index.m3u8", "0.5", "1.5")
    assert made.warnings == []


def test_missing_segment_is_held_and_named(tmp_path: Path) -> None:
    film = ts_playlist(tmp_path / "index.m3u8")
    (tmp_path / "index002.ts").unlink()
    made, reading = cut(film.path, "3.1", "8.1", "smart")
    assert [text.split(":")[0] for text in made.warnings] == ["video_gap", "audio_gap_filled"]
    kept = [number for number in numbers(reading) if not 100 <= number < 150]
    assert kept == numbers(reading) == [*range(kept[0], 100), *range(150, kept[-1] + 1)]
    assert made.duration_seconds == pytest.approx(5, abs=0.05)
    assert made.copied_seconds > 2


VIDEO_LATE = "video_gap: the video begins 2.0"
AUDIO_LATE = "audio_gap_filled: audio track 0: it begins 2.0"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("index000.ts", [VIDEO_LATE, AUDIO_LATE]),
        pytest.param("a tag", [VIDEO_LATE, AUDIO_LATE], marks=pytest.mark.exhaustive),
        pytest.param("audio000.m4s", [AUDIO_LATE], marks=pytest.mark.exhaustive),
        pytest.param("video000.m4s", [VIDEO_LATE], marks=pytest.mark.exhaustive),
    ],
)
def test_gap_at_the_start_is_named(missing: str, expected: list[str], tmp_path: Path) -> None:
    path = tmp_path / "index.m3u8"
    if missing.endswith(".m4s"):
        separate_audio(path)
    else:
        ts_playlist(path)
    if missing == "a tag":
        path.write_text(path.read_text().replace("#EXTINF", "#EXT-X-GAP\n#EXTINF", 1))
    else:
        (tmp_path / missing).unlink()
    made, reading = cut(path, "0", "5.02")
    assert [text[: len(each)] for text, each in zip(made.warnings, expected, strict=True)] == expected
    assert made.duration_seconds == pytest.approx(5.02, abs=0.05)
    begins = 2 if VIDEO_LATE in expected else 0
    assert float(reading.frames[0][0]) == pytest.approx(begins, abs=0.1)
    assert numbers(reading)[0] == 25 * begins
    later, _ = cut(path, "2.2", "5.02")
    assert later.warnings == []
    facts = read_facts(*stored(path))
    assert facts.video is not None
    assert float(facts.video.first_frame or 0) == pytest.approx(begins, abs=0.1)


@pytest.mark.parametrize(
    ("ended", "render", "expected"),
    [
        ("audio.m3u8", "encode", "audio_gap_filled: audio track 0: {} s of gaps are silence"),
        ("audio.m3u8", "smart", "audio_gap_filled: audio track 0: {} s of gaps are silence"),
        ("video.m3u8", "encode", "video_gap: gaps of {} s between frames: the frame before each gap is held"),
    ],
)
@pytest.mark.exhaustive
def test_track_that_ends_before_the_others_is_named(ended: str, render: Render, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "index.m3u8"
    separate_audio(path)
    (tmp_path / ended).write_text(first_segments(tmp_path / ended, 3) + "#EXT-X-ENDLIST\n")
    for start, end, seconds in (("3.1", "5.5", None), ("3.1", "7.9", 2), ("8", "10", 2)):
        made, _ = cut(path, start, end, render)
        found = [text for text in made.warnings if not text.startswith("encoded_instead")]
        pattern = expected.format(rf"({seconds}|1)\.\d+")
        assert len(found) == (seconds is not None)
        assert all(re.fullmatch(pattern, text) for text in found), found


@pytest.mark.exhaustive
def test_missing_segment_is_left_out_if_gaps_are_skipped(tmp_path: Path) -> None:
    film = ts_playlist(tmp_path / "index.m3u8")
    (tmp_path / "index002.ts").unlink()
    made, reading = cut(film.path, "3.1", "8.1", gaps="skip")
    found = numbers(reading)
    assert found == [*range(found[0], 100), *range(150, found[-1] + 1)]
    assert len(found) == 76
    assert not any(text.startswith("video_gap") for text in made.warnings)
    assert made.parts is not None
    assert [part.offset_seconds for part in made.parts] == [0, pytest.approx(0.96, abs=0.05)]


@pytest.mark.exhaustive
def test_pause_by_the_dates_of_a_playlist_is_held(tmp_path: Path) -> None:
    first = ts_playlist(tmp_path / "a.m3u8")
    second = replace(VIDEO, times=every(25, 4), first_number=25 * SECONDS)
    ts_playlist(tmp_path / "b.m3u8", video=second, audio=replace(AUDIO, seconds=F(4)), offset=F(4900))
    joined(tmp_path / "index.m3u8", first.path, tmp_path / "b.m3u8")
    text = (tmp_path / "index.m3u8").read_text()
    head, tail = text.split("#EXT-X-DISCONTINUITY\n")
    date = "#EXT-X-PROGRAM-DATE-TIME:2026-11-28T12:00:{}Z\n"
    (tmp_path / "index.m3u8").write_text(
        head.replace("#EXTINF", date.format("00") + "#EXTINF", 1) + "#EXT-X-DISCONTINUITY\n" + date.format(17) + tail
    )
    made, reading = cut(tmp_path / "index.m3u8", "11.02", "18.02")
    assert numbers(reading) == [*range(275, 300), *range(300, 326)]
    assert [text.split(":")[0] for text in made.warnings] == ["video_gap", "audio_gap_filled"]
    assert [float(reading.frames[number][0]) for number in (24, 25)] == [0.96, pytest.approx(6.0, abs=0.03)]
    facts = read_facts(*stored(tmp_path / "index.m3u8"))
    assert str(facts.creation_time) == "2026-11-28 12:00:00+00:00"


@pytest.mark.exhaustive
def test_texts_of_a_playlist_are_carried_on_the_clock_of_their_run(tmp_path: Path) -> None:
    first = ts_playlist(tmp_path / "a.m3u8")
    second = replace(VIDEO, times=every(25, 4), first_number=25 * SECONDS)
    ts_playlist(tmp_path / "b.m3u8", video=second, audio=replace(AUDIO, seconds=F(4)), offset=F(4900))
    joined(tmp_path / "index.m3u8", first.path, tmp_path / "b.m3u8")
    for name, ticks in (("0", 0), ("1", 90_000 * 4900)):
        header = f"X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{ticks}"
        (tmp_path / f"{name}.vtt").write_text(f"WEBVTT\n{header}\n\n00:01.000 --> 00:02.000\ntext {name}\n")
    (tmp_path / "text.m3u8").write_text(
        "#EXTM3U\n#EXTINF:12,\n0.vtt\n#EXT-X-DISCONTINUITY\n#EXTINF:4,\n1.vtt\n#EXT-X-ENDLIST\n"
    )
    media = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="English",LANGUAGE="en"'
    (tmp_path / "all.m3u8").write_text(
        f'#EXTM3U\n{media},URI="text.m3u8"\n{media.replace("English", "Gone")},URI="gone.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,SUBTITLES="s"\nindex.m3u8\n'
    )
    cut(tmp_path / "all.m3u8", "0", "15")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        text = container.streams.subtitles[0]
        found = [
            (float(packet.pts * packet.time_base), bytes(packet)[2:].decode())
            for packet in container.demux(text)
            if packet.pts is not None and packet.size > 2
        ]
    assert text.language == "eng"
    assert [content for _, content in found] == ["text 0", "text 1"]
    # The first frame of the first run is at 0.08 s of its clock, because of the B-frames before it.
    assert [time for time, _ in found] == [pytest.approx(0.92, abs=0.002), pytest.approx(13, abs=0.002)]


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda text: text.replace("#EXT-X-ENDLIST", ""), RecordingNotReady),
        (lambda text: text.replace("index001.ts", "../index001.ts"), PlaylistOutside),
        (lambda text: text.replace("#EXTINF", "#EXT-X-KEY:METHOD=AES-128\n#EXTINF", 1), RecordingEncrypted),
        (lambda text: text.replace("index0", "gone0"), PlaylistInvalid),
    ],
)
def test_playlist_that_cannot_be_cut_is_refused(ts: Film, edit: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        cut(edited(ts, "bad.m3u8", edit).path, "1", "2")  # type: ignore[arg-type]


def test_playlist_without_an_end_has_a_hint_for_a_producer_that_is_gone(ts: Film) -> None:
    with pytest.raises(RecordingNotReady, match="its producer was killed") as caught:
        cut(edited(ts, "bad.m3u8", lambda text: text.replace("#EXT-X-ENDLIST", "")).path, "1", "2")
    assert "with live, which also ends it if its producer is gone" in caught.value.hint
    assert "append #EXT-X-ENDLIST" in caught.value.hint


def test_packets_that_wait_behind_a_damaged_one_are_limited() -> None:
    """The stream of the damaged packet may have no more."""
    container = av.open(io.BytesIO(), "w", format="mpegts")
    video, audio = container.add_stream("libx264", 25), container.add_stream("aac", 48_000)
    taken: list[int] = []

    def packets() -> Iterator[av.Packet]:
        for number in range(5000):
            packet = av.Packet(b"x")
            packet.stream, packet.is_corrupt = video if number else audio, not number
            taken.append(number)
            yield packet

    assert next(_forgiven(packets(), [])).is_corrupt
    assert len(taken) < 1100


@pytest.mark.parametrize("following", ["audio", "video"])
def test_packets_that_wait_behind_a_keyframe_are_limited(following: str) -> None:
    """The packets after it may never pass its time."""
    container = av.open(io.BytesIO(), "w", format="mpegts")
    streams = {"video": container.add_stream("libx264", 25), "audio": container.add_stream("aac", 48_000)}
    taken: list[int] = []

    def packets() -> Iterator[TimedPacket]:
        for number in range(5000):
            packet = av.Packet(b"x")
            packet.stream, packet.time_base = streams[following if number else "video"], F(1, 25)
            packet.duration, packet.is_keyframe = 1, not number
            taken.append(number)
            yield TimedPacket(packet, F(4), F(3), 0 if packet.stream is streams["video"] else 1)

    first = next(with_keyframe_times(packets()))
    assert first.time == (F(4) if following == "audio" else F(4) + F(1, 25))
    assert len(taken) < 1100
