"""Chapters of clips: those of the recording, cut and shifted, read back by ffprobe and held to the plan."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import pytest

from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.texts.chapters import Chapter, cut_chapters
from clipengine.clips.warnings import code_of
from clipengine.errors import VerificationFailed
from clipengine.media.output.background_encoder import BackgroundEncoder
from clipengine.media.output.writer import ClipWriter
from clipengine.recordings.facts import MAX_CHAPTER_TITLE, MAX_CHAPTERS, ChapterFacts
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_file, cut_parts, facts_of
from tests.support.ffmpeg import run_ffprobe

PROFILES = {
    "mp4": Profile(preset="ultrafast"),
    "smart": Profile(render="smart"),
    "mkv": Profile(container="mkv", preset="ultrafast"),
    "webm": Profile(container="webm", video="vp9", audio="opus", preset="ultrafast"),
    "m4a": Profile(container="m4a", video="none"),
    "mp3": Profile(container="mp3", video="none", audio="mp3"),
}
CHAPTERS = [(0, 1500, "Überblick"), (1500, 2000, ""), (3000, 9000, "終わり")]


def with_chapters(source: Path, path: Path, chapters: list[tuple[int, int, str]]) -> Path:
    """Write a copy of the film with chapters."""
    with av.open(str(source)) as film, av.open(str(path), "w") as copy:
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in film.streams}
        copy.set_chapters(
            [
                {"id": number, "start": start, "end": end, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                for number, (start, end, title) in enumerate(chapters, 1)
            ]
        )
        for packet in film.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                copy.mux(packet)
    return path


@pytest.fixture
def recording(shelf: Shelf, tmp_path: Path) -> Path:
    return with_chapters(shelf.get("mp4_25").path, tmp_path / "recording.mkv", CHAPTERS)


def shown(path: Path) -> list[tuple[float, float, str]]:
    """Return the chapters as ffprobe reads them."""
    found = json.loads(run_ffprobe("-show_chapters", path))["chapters"]
    return [
        (round(float(each["start_time"]), 3), round(float(each["end_time"]), 3), each["tags"]["title"])
        for each in found
    ]


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.typical(2)
def test_chapters_of_the_range_are_shifted_and_shortened(recording: Path, tmp_path: Path, name: str) -> None:
    profile = PROFILES[name]
    path = tmp_path / f"clip.{profile.container}"
    clip = cut_file(recording, Fraction(1), Fraction(4), path, profile)
    assert clip.made.render == profile.render
    start, end = clip.made.actual_start, clip.made.actual_end  # on a frame
    cuts = [0.0, *(round(float(Fraction(each) - start), 3) for each in ("1.5", "3")), round(float(end - start), 3)]
    titles = ["Überblick", "Chapter 2", "終わり"]
    assert shown(path) == list(zip(cuts, cuts[1:], titles, strict=False))
    assert "chapters_dropped" not in [code_of(each) for each in clip.made.warnings]


def test_range_without_a_chapter_has_none(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    cut_file(recording, Fraction(9, 4), Fraction(11, 4), path, PROFILES["mp4"])
    assert shown(path) == []


def test_number_and_titles_of_chapters_are_limited(shelf: Shelf, tmp_path: Path) -> None:
    many = [(10 * number, 10 * number + 10, f"{number} " + "é" * 300) for number in range(MAX_CHAPTERS + 20)]
    path = with_chapters(shelf.get("mp4_25").path, tmp_path / "many.mkv", many)
    facts = facts_of(path)
    assert (facts.chapters, len(facts.chapter_list)) == (MAX_CHAPTERS + 20, MAX_CHAPTERS)
    assert max(len(each.title.encode()) for each in facts.chapter_list) <= MAX_CHAPTER_TITLE
    clip = cut_file(path, Fraction(0), Fraction(1), tmp_path / "clip.mp4", PROFILES["mp4"])
    assert len(shown(clip.path)) == 100
    assert "20 of the recording's 520 chapters" in next(
        each for each in clip.made.warnings if code_of(each) == "chapters_dropped"
    )


def test_other_chapters_than_planned_are_rejected(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ClipWriter.set_chapters
    monkeypatch.setattr(
        ClipWriter, "set_chapters", lambda self, chapters: write(self, [*chapters[:-1], Chapter(2000, 3000, "other")])
    )
    with pytest.raises(VerificationFailed, match="the chapters are not those"):
        cut_file(recording, Fraction(1), Fraction(4), tmp_path / "clip.mkv", PROFILES["mkv"])


def test_overlapping_chapters_follow_each_other() -> None:
    chapters = [
        ChapterFacts(start=Fraction(4), end=Fraction(9), title="c"),
        ChapterFacts(start=Fraction(0), end=Fraction(9), title="a"),
        ChapterFacts(start=Fraction(4), end=Fraction(5), title="d"),
        ChapterFacts(start=Fraction(1), end=Fraction(2), title="b"),
    ]
    assert cut_chapters(chapters, Fraction(3), Fraction(6)) == [Chapter(0, 1000, "a"), Chapter(1000, 3000, "c")]
    assert cut_chapters(chapters[:1], Fraction(3), Fraction(6)) == [Chapter(0, 3000, "c")]


def test_chapters_follow_the_speed_of_the_clip() -> None:
    chapters = [
        ChapterFacts(start=Fraction(0), end=Fraction(2), title="a"),
        ChapterFacts(start=Fraction(2), end=Fraction(9), title="b"),
    ]
    cut = cut_chapters(chapters, Fraction(1), Fraction(4), speed=Fraction(1, 2))
    assert cut == [Chapter(0, 2000, "a"), Chapter(2000, 6000, "b")]


@pytest.mark.parametrize("late", [False, True])
def test_chapters_of_parts_are_in_the_head_of_an_mp3_whenever_it_is_written(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """On a busy machine no packet is ready before the last part begins. The last part is clamped to the recording."""
    if late:
        monkeypatch.setattr(BackgroundEncoder, "ready", lambda encoder: iter(()))
    end = facts_of(recording).duration
    spans = [(recording, Fraction(1), Fraction(2)), (recording, end - 2, end + Fraction(1, 2))]
    profile = PROFILES["mp3"].rendered(None, Output(speed=2))
    clip = cut_parts(spans, tmp_path / "clip.mp3", profile)
    assert shown(clip.path) == [(0, 0.25, "Überblick"), (0.25, 0.5, "Chapter 2"), (0.5, 1.5, "終わり")]
    assert "chapters_dropped" not in [code_of(each) for each in clip.made.warnings]


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.typical(2)
def test_chapters_of_several_parts_follow_each_other(recording: Path, shelf: Shelf, tmp_path: Path, name: str) -> None:
    profile = PROFILES[name]
    path = tmp_path / f"clip.{profile.container}"
    other = shelf.get("mp4_2997").path  # it has no chapters
    spans = ((recording, "1", "2"), (other, "1", "3/2"), (recording, "14/5", "16/5"))
    clip = cut_parts([(film, Fraction(start), Fraction(end)) for film, start, end in spans], path, profile)
    lengths = [part.actual_end - part.actual_start for part in clip.made.parts]
    starts = [0, Fraction("1.5") - clip.made.parts[0].actual_start, lengths[0], lengths[0] + lengths[1]]
    cuts = [round(float(each), 3) for each in (*starts, sum(lengths))]
    titles = ["Überblick", "Chapter 2", "Part 2", "終わり"]
    assert "chapters_dropped" not in [code_of(each) for each in clip.made.warnings]
    assert shown(path) == list(zip(cuts, cuts[1:], titles, strict=False))
