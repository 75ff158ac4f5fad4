"""Text tracks of clips: read back by FFmpeg's own programs, and held to the transcripts by the inspector."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clipengine.basis.timecode import parse_time
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import (
    MAX_TEXT_BYTES,
    TextDigest,
    TextTrack,
    numbered,
    pack,
    track_samples,
    unpack,
)
from clipengine.clips.warnings import code_of
from clipengine.errors import InvalidTranscript, VerificationFailed
from clipengine.media.input.containers import embedded_texts
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.output.writer import ClipWriter
from clipengine.media.probe import probe
from clipengine.work.children.jobs import probe_texts
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_file, cut_parts
from tests.support.ffmpeg import run_ffmpeg, run_ffprobe

CUES = (
    Cue(0, 900, "before the clip"),
    Cue(500, 1500, "Hello & <wörld>", "Ana"),
    Cue(1900, 2600, "two\nlines"),
    Cue(2000, 3000, "overlapping"),
    Cue(3900, 5000, "今日 مرحبا"),
    Cue(9000, 9500, "after the clip"),
)
TRACKS = (TextTrack("en", "eng", CUES), TextTrack("pt-BR", "por", CUES[2:3]), TextTrack("xx", "und", CUES[:1]))
SEPARATE = [
    (0.0, 0.5, "Ana: Hello & <wörld>"),
    (0.9, 1.0, "two\nlines"),
    (1.0, 1.6, "two\nlines\noverlapping"),
    (1.6, 2.0, "overlapping"),
    (2.9, 3.0, "今日 مرحبا"),
]
OVERLAPPING = [
    (0.0, 0.5, "Ana: Hello & <wörld>"),
    (0.9, 1.6, "two\nlines"),
    (1.0, 2.0, "overlapping"),
    (2.9, 3.0, "今日 مرحبا"),
]
PROFILES = {
    "mp4": Profile(preset="ultrafast"),
    "smart": Profile(render="smart"),
    "mkv": Profile(container="mkv", preset="ultrafast"),
    "webm": Profile(container="webm", video="vp9", audio="opus", preset="ultrafast"),
    "m4a": Profile(container="m4a", video="none"),
}


@pytest.fixture
def recording(shelf: Shelf) -> Path:
    """A film of H.264 and AAC at 25 frames a second."""
    return shelf.get("mp4_25").path


def probed(path: Path, *entries: str) -> Any:
    return json.loads(run_ffprobe(*entries, path))


def read_texts(path: Path, track: int) -> list[tuple[float, float, str]]:
    """Return the texts of a track as ffmpeg reads them, on the timeline of the clip."""
    printed = run_ffmpeg("-v", "error", "-i", path, "-map", f"0:s:{track}", "-f", "srt", "-").stdout
    text = printed.decode().replace("\r\n", "\n")
    # ffmpeg moves everything by the priming samples of the audio, which precede 0.
    moved = max(0.0, -float(probed(path, "-show_entries", "format=start_time")["format"]["start_time"]))
    found = []
    for block in text.strip().split("\n\n"):
        _, times, *lines = block.split("\n")
        start, end = (float(parse_time(each.replace(",", "."))) - moved for each in times.split(" --> "))
        found.append((round(start, 3), round(end, 3), "\n".join(lines)))
    return found


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.typical(1)
def test_every_transcript_with_a_cue_in_the_range_becomes_a_text_track(
    recording: Path, tmp_path: Path, name: str
) -> None:
    profile = PROFILES[name]
    path = tmp_path / f"clip.{profile.container}"
    clip = cut_file(recording, Fraction(1), Fraction(4), path, profile, texts=TRACKS)
    assert clip.made.render == profile.render
    streams = probed(path, "-show_entries", "stream=codec_type,codec_name:stream_tags=language")["streams"]
    texts = [each for each in streams if each["codec_type"] == "subtitle"]
    assert [each["tags"]["language"] for each in texts] == ["eng", "por"]
    codecs = {"mp4": "mov_text", "m4a": "mov_text", "mkv": "subrip", "webm": "webvtt"}
    assert {each["codec_name"] for each in texts} == {codecs[profile.container]}
    wanted = SEPARATE if codecs[profile.container] == "mov_text" else OVERLAPPING
    if profile.container == "webm":  # ffmpeg drops the voice of WebVTT
        wanted = [(start, end, text.removeprefix("Ana: ")) for start, end, text in wanted]
    assert read_texts(path, 0) == wanted
    assert read_texts(path, 1) == [(0.9, 1.6, "two\nlines")]


def test_cues_follow_the_speed_of_the_clip(recording: Path, tmp_path: Path) -> None:
    profile, path = PROFILES["mp4"].rendered(None, Output(speed=0.5)), tmp_path / "clip.mp4"
    cut_file(recording, Fraction(1), Fraction(4), path, profile, texts=TRACKS)
    assert read_texts(path, 0) == [(2 * start, 2 * end, text) for start, end, text in SEPARATE]


def test_container_without_text_tracks_gets_a_warning(recording: Path, tmp_path: Path) -> None:
    profile = Profile(container="mp3", video="none", audio="mp3")
    clip = cut_file(recording, Fraction(1), Fraction(4), tmp_path / "clip.mp3", profile, texts=TRACKS)
    assert [each for each in clip.made.warnings if code_of(each) == "subtitles_dropped"] == [
        f"subtitles_dropped: the transcript in {language} has no track in the clip: mp3 holds no text"
        for language in ("en", "pt-BR")
    ]


def test_too_many_overlapping_cues_are_left_out_of_mp4_only(recording: Path, tmp_path: Path) -> None:
    crowded = TextTrack("en", "eng", tuple(Cue(1000, 3000 + number, "x" * 2000) for number in range(7)))
    clip = cut_file(recording, Fraction(1), Fraction(4), tmp_path / "clip.mp4", PROFILES["mp4"], texts=(crowded,))
    assert "too many cues overlap" in clip.made.warnings[0]
    assert len(track_samples([crowded], "mkv")[0]) == 1
    flood = [Cue(0, 9_000_000, "x" * 2000)] * 5 + [Cue(number, number + 1, "y") for number in range(9000)]
    assert track_samples([TextTrack("en", "eng", tuple(flood))], "mp4") == ([], [TextTrack("en", "eng", tuple(flood))])


def test_range_without_a_cue_has_no_text_track(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    cut_file(recording, Fraction(3), Fraction(7, 2), path, PROFILES["mp4"], texts=TRACKS)
    assert [each["codec_type"] for each in probed(path, "-show_streams")["streams"]] == ["video", "audio"]


@pytest.mark.parametrize("name", ["mp4", "mkv", "webm", "m4a"])
@pytest.mark.typical(1)
def test_texts_of_several_parts_follow_each_other(recording: Path, tmp_path: Path, name: str) -> None:
    """Each part has its cues at its offset. A language of one part only has no cue in the others."""
    path = tmp_path / f"clip.{PROFILES[name].container}"
    ranges = [(Fraction(19, 5), Fraction(24, 5)), (Fraction(1), Fraction(2)), (Fraction(16, 5), Fraction(37, 10))]
    clip = cut_parts([(recording, start, end) for start, end in ranges], path, PROFILES[name], texts=TRACKS)
    assert not [each for each in clip.made.warnings if code_of(each) == "subtitles_dropped"]
    streams = probed(path, "-show_streams", "-select_streams", "s")["streams"]
    assert [stream["tags"]["language"] for stream in streams] == ["eng", "por"]
    expected = [
        (0.1, 1.0, "今日 مرحبا"),
        (1.0, 1.5, "Ana: Hello & <wörld>"),
        (1.9, 2.0, "two\nlines"),
    ]
    if name == "webm":  # ffmpeg drops the voice of WebVTT
        expected = [(start, end, text.removeprefix("Ana: ")) for start, end, text in expected]
    assert read_texts(path, 0) == expected
    assert read_texts(path, 1) == [(1.9, 2.0, "two\nlines")]


def test_texts_of_several_parts_in_mp3_are_dropped_with_one_warning_each(recording: Path, tmp_path: Path) -> None:
    profile = Profile(container="mp3", video="none", audio="mp3")
    parts = [(recording, Fraction(1), Fraction(2)), (recording, Fraction(2), Fraction(3))]
    made = cut_parts(parts, tmp_path / "clip.mp3", profile, texts=TRACKS).made
    assert len([each for each in made.warnings if code_of(each) == "subtitles_dropped"]) == 2


@pytest.mark.exhaustive
def test_two_tracks_of_one_language_stay_apart(recording: Path, tmp_path: Path) -> None:
    texts = numbered([*TRACKS, replace(TRACKS[0], cues=(Cue(1200, 1400, "sign"),))])
    parts = [(recording, Fraction(19, 5), Fraction(24, 5)), (recording, Fraction(1), Fraction(2))]
    for ranges, shown in ((parts[1:], (0.2, 0.4, "sign")), (parts, (1.2, 1.4, "sign"))):
        path = tmp_path / f"{len(ranges)}.mp4"
        cut_parts(ranges, path, PROFILES["mp4"], texts=texts)
        tracks = len(probed(path, "-show_streams", "-select_streams", "s")["streams"])
        found = [read_texts(path, track) for track in range(tracks)]
        assert (tracks, [each for cues in found for each in cues if each[2] == "sign"]) == (3, [shown])


def test_language_that_no_part_can_hold_has_no_track(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    many = tuple(Cue(1000, 1900, f"{number}") for number in range(8))
    texts = (*TRACKS, TextTrack("de", "deu", many))
    parts = [(recording, Fraction(1), Fraction(2)), (recording, Fraction(1), Fraction(3, 2))]
    made = cut_parts(parts, path, PROFILES["mp4"], texts=texts).made
    assert [each.partition(":")[2][:8] for each in made.warnings if code_of(each) == "subtitles_dropped"] == [
        " part 1:",
        " part 2:",
    ]
    streams = probed(path, "-show_streams", "-select_streams", "s")["streams"]
    assert "deu" not in [stream["tags"]["language"] for stream in streams]


@pytest.mark.parametrize("change", ["text", "time", "missing", "added"])
@pytest.mark.typical(1)
def test_text_track_that_differs_from_the_transcripts_is_rejected(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    write = ClipWriter.write_texts

    def forge(self: ClipWriter, tracks: Any) -> None:
        samples, *others = tracks
        (start, end, data), *rest = samples
        forged = {
            "text": [(start, end, data[:-1] + b"!"), *rest],
            "time": [(start, end + 50, data), *rest],
            "missing": rest,
            "added": [*samples, (2950, 3000, b"more")],
        }
        write(self, [forged[change], *others])

    monkeypatch.setattr(ClipWriter, "write_texts", forge)
    with pytest.raises(VerificationFailed, match="do not have the cues"):
        cut_file(recording, Fraction(1), Fraction(4), tmp_path / "clip.mkv", PROFILES["mkv"], texts=TRACKS)


@pytest.mark.parametrize("name", ["mp4", "mkv", "webm"])
@pytest.mark.typical(1)
def test_probe_reads_the_text_tracks_of_a_recording(recording: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"clip.{PROFILES[name].container}"
    cut_file(recording, Fraction(1), Fraction(4), path, PROFILES[name], texts=TRACKS)
    with path.open("rb") as file:
        found = probe(DescriptorSource(file.fileno()))
    wanted = SEPARATE if name == "mp4" else OVERLAPPING
    if name == "webm":
        wanted = [(start, end, text.removeprefix("Ana: ")) for start, end, text in wanted]
    assert [track.language for track in found.texts] == ["eng", "por"]
    moved = 1000 * found.facts.origin  # audio may begin before 0
    shown = [(round(cue.start_ms + moved), round(cue.end_ms + moved), cue.text) for cue in found.texts[0].cues]
    assert shown == [(round(1000 * start), round(1000 * end), text) for start, end, text in wanted]
    assert found.facts.other_streams_count == len(found.facts.other_streams) == 0
    packed = pack(found.texts).encode()
    assert [(track.language, track.alpha3) for track in probe_texts(packed)] == [("en", "eng"), ("pt", "por")]


@pytest.mark.parametrize(
    ("codec", "data", "text"),
    [
        ("mov_text", b"\0\5hello styl-box", "hello"),
        ("mov_text", b"\xff\xffshort", "short"),
        ("subrip", b"<i>a</i> <so> {\\an8}b", "a <so> b"),
        ("webvtt", b"<v Ana>a &lt;b&gt;", "a <b>"),
        ("ass", b"3,0,Default,Ana,0,0,0,,{\\i1}one, two{\\i0}\\Nthree\\hfour", "one, two\nthree four"),
        ("ass", b"no fields", "no fields"),
        ("subrip", b"\xff", "\ufffd"),
        ("subrip", b"<b" * 500_000, "<b" * 500_000),
    ],
)
def test_packets_are_read_without_their_formatting(codec: str, data: bytes, text: str) -> None:
    assert embedded_texts._plain(data, codec) == text


def test_texts_that_are_too_far_apart_are_not_read(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.mkv"
    cut_file(recording, Fraction(1), Fraction(4), path, PROFILES["mkv"], texts=TRACKS)
    monkeypatch.setattr(embedded_texts, "_MAX_READ_BYTES", 1000)
    with path.open("rb") as file:
        found = probe(DescriptorSource(file.fileno()))
    assert found.texts == ()
    assert [stream.codec for stream in found.facts.other_streams] == ["subrip", "subrip"]


@pytest.mark.parametrize(
    "values",
    [
        [["en", "eng", [[2000, 1000, "x", None]]]],
        [["en", "eng", [["1", 1000, "x", None]]]],
        [["en", "eng", [[0, 1000, "x" * 3000, None]]]],
        {"en": []},
    ],
)
def test_texts_of_a_hostile_child_are_rejected(values: Any) -> None:
    with pytest.raises((ValueError, InvalidTranscript)):
        probe_texts(base64.b64encode(json.dumps(values).encode()))
    with pytest.raises(ValueError, match="too long"):
        probe_texts(b"A" * (8 * MAX_TEXT_BYTES + 4))


def test_messages_to_the_child_keep_the_cues() -> None:
    assert unpack(pack(TRACKS)) == TRACKS
    assert unpack(pack(())) == ()
    assert str(TextDigest([(0, 5, b"a"), (5, 9, b"\0\0")])) == str(TextDigest([(0, 5, b"a")]))
    assert str(TextDigest([(0, 5, b"a")])) != str(TextDigest([(0, 6, b"a")]))
