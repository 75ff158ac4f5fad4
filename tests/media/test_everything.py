"""A recording with everything in it: what a clip carries, and that the rest is named."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from clipengine.clips.options.profiles import Profile
from clipengine.clips.texts.subtitles import pack
from clipengine.clips.warnings import code_of
from clipengine.work.children.jobs import probe_texts
from tests.films.catalogue import Shelf
from tests.films.cutting import cut_file, cut_parts, facts_of, probed
from tests.films.judge import judge_part
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reader import read_clip
from tests.films.reel import film, write
from tests.support.ffmpeg import run_ffprobe

_VIDEO = VideoPart(every(25, 4), Fraction(25), gop=50, width=90, height=160, metadata={"language": "fra"})
_SECOND = VideoPart(every(25, 4), Fraction(25), gop=50, first_number=5000)
_AUDIO = tuple(
    AudioPart(seconds=Fraction(4), seed=seed, language=language)
    for seed, language in ((1, "eng"), (2, "deu"), (3, None))
)
_TITLES = ("Host", "Gast ✓", "Room")
_TAGS = {"title": "The whole talk", "artist": "Ada & Bob", "comment": "two\nlines", "copyright": "© 2024"}
_SPOKEN = {"eng": "in English", "deu": "auf Deutsch"}


def _everything(path: Path, form: str) -> Any:
    """Write a film with two pictures, three sounds, two languages of texts, chapters, a cover, and tags."""

    def before(container: Any) -> list[Any]:
        container.metadata.update(_TAGS | {"creation_time": "2024-02-03T04:05:06Z", "location": "+48.1+011.5/"})
        container.set_chapters(
            [
                {"id": 1, "start": 0, "end": 1500, "time_base": Fraction(1, 1000), "metadata": {"title": "one"}},
                {"id": 2, "start": 1500, "end": 4000, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}},
            ]
        )
        return []

    def after(container: Any) -> list[Any]:
        key = "title" if form == "matroska" else "handler_name"
        for stream, name in zip(container.streams.audio, _TITLES, strict=True):
            stream.metadata[key] = name
        container.streams.audio[1].disposition = av.stream.Disposition.comment
        container.streams.audio[2].disposition = av.stream.Disposition.visual_impaired
        container.streams.video[0].metadata["timecode"] = "10:00:00:00"
        packets = []
        for language, text in _SPOKEN.items():
            stream = container.add_mux_stream("subrip" if form == "matroska" else "mov_text")
            stream.metadata["language"] = language
            data = text.encode() if form == "matroska" else len(text).to_bytes(2, "big") + text.encode()
            packets.append(_packet(stream, data, 1200, 800, Fraction(1, 1000)))
        if form == "matroska":
            container.add_attachment("cover.jpg", "image/jpeg", _jpeg())
            container.add_attachment("notes.txt", "text/plain", b"notes")
        else:
            cover = container.add_stream("mjpeg")
            cover.width, cover.height, cover.pix_fmt = 240, 240, "yuvj420p"
            cover.disposition = av.stream.Disposition.attached_pic
            packets.append(_packet(cover, _jpeg(), 0, 0, Fraction(1, 90_000)))
        return packets

    options = {} if form == "matroska" else {"write_tmcd": "1"}
    write(path, form, video=[_VIDEO, _SECOND], audio=_AUDIO, options=options, before=before, after=after)
    return film(path, video=[_VIDEO], audio=list(_AUDIO))


def _packet(stream: Any, data: bytes, pts: int, duration: int, base: Fraction) -> Any:
    packet: Any = av.Packet(data)
    packet.stream, packet.pts, packet.dts, packet.time_base, packet.duration = stream, pts, pts, base, duration
    packet.is_keyframe = True
    return packet


def _jpeg() -> bytes:
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 240, 240, "yuvj420p", Fraction(1, 25)
    return b"".join(bytes(packet) for packet in encoder.encode(av.VideoFrame(240, 240, "yuvj420p")))


def _shown(path: Path) -> Any:
    return json.loads(run_ffprobe("-show_format", "-show_streams", "-show_chapters", path))


@pytest.mark.parametrize(
    ("form", "container"),
    [
        pytest.param("mp4", "mp4", marks=pytest.mark.exhaustive),
        ("mp4", "mkv"),
        ("matroska", "mp4"),
        pytest.param("matroska", "mkv", marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.typical(1)
def test_clip_carries_what_it_can_and_names_the_rest(form: str, container: Any, tmp_path: Path) -> None:
    recording = _everything(tmp_path / ("film.mkv" if form == "matroska" else "film.mp4"), form)
    path = tmp_path / f"clip.{container}"
    texts = tuple(probe_texts(pack(probed(recording.path).texts).encode()))
    profile = Profile(container=container, preset="ultrafast")
    made = cut_file(recording.path, Fraction(1), Fraction(3), path, profile, texts=texts).made
    assert judge_part(recording, read_clip(path), Fraction(1), Fraction(3), Fraction(0)) == []

    found = _shown(path)
    streams = found["streams"]
    kinds = [each["codec_type"] for each in streams if each["codec_type"] != "data"]
    assert kinds == ["video", *["audio"] * 3, *["subtitle"] * 2]
    assert streams[0]["tags"]["language"] == "fra"
    sounds = [each["tags"] for each in streams if each["codec_type"] == "audio"]
    assert [each.get("language", "und") for each in sounds] == ["eng", "deu", "und"]
    assert [each["title" if container == "mkv" else "handler_name"] for each in sounds] == list(_TITLES)
    roles = [each["disposition"] for each in streams if each["codec_type"] == "audio"]
    assert [each["comment"] for each in roles] == [0, 1, 0]
    assert [each["visual_impaired"] for each in roles] == [0, 0, 1]
    written = [each["tags"]["language"] for each in streams if each["codec_type"] == "subtitle"]
    assert written == ["eng", "deu"]
    assert [each["tags"]["title"] for each in found["chapters"]] == ["one", "two"]
    assert [float(each["start_time"]) for each in found["chapters"]] == [0, 0.5]
    tags = {name.lower(): text for name, text in found["format"]["tags"].items()}
    assert tags["creation_time"].startswith("2024-02-03T04:05:07")
    assert {name: tags[name] for name in _TAGS} == _TAGS | {"comment": "two lines"}
    assert "location" not in tags

    named = {
        "mp4": ["video stream 1 (h264)", "attached picture", "data stream 8 (timecode", "location, timecode"],
        "matroska": ["video stream 1 (h264)", "attached picture", "notes.txt", "location, timecode"],
    }[form]
    for text in named:
        assert any(text in warning for warning in made.warnings), (text, made.warnings)
    assert {code_of(warning) for warning in made.warnings} == {"stream_dropped", "tags_dropped"}
    assert len(made.warnings) == len(named), made.warnings


@pytest.mark.exhaustive
def test_tags_of_later_parts_and_of_animations_are_named(shelf: Shelf, tmp_path: Path) -> None:
    recording = _everything(tmp_path / "film.mkv", "matroska")
    spans = [(path, Fraction(1), Fraction(2)) for path in (shelf.get("mp4_25").path, recording.path)]
    made = cut_parts(spans, tmp_path / "clip.mp4", Profile(preset="ultrafast")).made
    assert any("part 2: the tags of the first part apply: title, artist, comment" in each for each in made.warnings)
    made = cut_file(recording.path, Fraction(1), Fraction(2), tmp_path / "clip.gif", Profile(container="gif")).made
    assert "tags_dropped: gif holds no tags: title, artist, comment, copyright" in made.warnings
    assert any(each.startswith("chapters_dropped") for each in made.warnings)


def test_tags_and_titles_have_limits(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"

    def before(container: Any) -> list[Any]:
        many = {f"tag{number:03} {'x' * 100}": "y" for number in range(100)}
        container.metadata.update({"title": "t" * 5000, "comment": " \x07 "} | many)
        return []

    def after(container: Any) -> list[Any]:
        container.streams.audio[0].metadata["title"] = "n" * 500
        return []

    write(path, "matroska", video=[_VIDEO], audio=_AUDIO[:1], before=before, after=after)
    facts = facts_of(path)
    assert facts.tags == {"title": "t" * 1000}
    assert facts.audio[0].title == "n" * 80
    (lost,) = facts.warnings
    assert lost.startswith("tags_dropped")
    assert lost.endswith(" and 90 more")
    assert len(lost) < 500
