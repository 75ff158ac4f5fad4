"""Clips of the files of a camera are as exact as those of one file."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.cli.local.making import LocalClip, cut_once, read_facts
from clipengine.clips.clip import ClipResult
from clipengine.clips.options.profiles import Render
from clipengine.clips.request import TimeRange
from clipengine.errors import RecordingMissing, RecordingUnreadable
from clipengine.media.probe_pieces import probe_files, scan_pieces
from clipengine.recordings.piece_seek_index import seek_index_of
from clipengine.recordings.pieces import ObjectRange, Piece, PieceIndex, Run, Track
from tests.films.film import Film
from tests.films.judge import judge
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reader import ClipReading, read_clip
from tests.films.reel import film, write
from tests.support.cameras import AUDIO, FRIGATE, MEDIAMTX, MOTION, STARTED, VIDEO, frigate, mediamtx, motion, segments
from tests.support.selection import cases
from tests.support.stored import store_kind, stored

__all__ = ["store_kind"]  # a fixture

F = Fraction
FRONT = FRIGATE.replace("{camera}", "front")

pytestmark = [pytest.mark.usefixtures("store_kind"), pytest.mark.proof]


def cut(
    source: Path, start: str, end: str, render: Render = "encode", times: TimeRange | None = None
) -> tuple[ClipResult, ClipReading]:
    output = Path(str(source).partition("%")[0].partition("{")[0]).parent / "clip.mp4"
    clip = LocalClip([(F(start), F(end))], render=render, times=times)
    made = cut_once(*stored(source), output, clip, on_progress=lambda done: None)
    return made, read_clip(output)


def numbers(reading: ClipReading) -> list[int]:
    return [seen.number for _, seen in reading.frames]


def moved(source: Path, video: VideoPart = VIDEO, audio: AudioPart = AUDIO, grid: Fraction = F(1, 12800)) -> Film:
    """Return the film as the recording has it: the first frame is not at 0, because audio or dts begin before it."""
    facts = read_facts(*stored(source))
    assert facts.video is not None
    lead = facts.video.first_frame
    assert lead is not None
    video = replace(video, times=tuple(time + lead for time in video.times))
    return film(source, video=[video], audio=[replace(audio, start=lead, lead=-lead)], grid=grid)


def check_exact(source: Path, start: str, end: str, render: Render = "encode") -> tuple[ClipResult, ClipReading]:
    made, reading = cut(source, start, end, render)
    times = made.actual_start_seconds, made.actual_end_seconds
    faults = judge(moved(source), reading, F(start), F(end), *times, copied=render == "smart")
    assert not faults, "\n".join(faults)
    assert made.warnings == []
    return made, reading


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frigate")
    frigate(folder)
    return folder / FRONT


def test_clip_over_the_files_of_frigate_is_exact(camera: Path) -> None:
    made, reading = check_exact(camera, "8", "24")
    assert (numbers(reading)[0], numbers(reading)[-1], made.frames) == (199, 599, 401)


@pytest.mark.exhaustive
def test_smart_render_copies_over_the_files_of_frigate(camera: Path) -> None:
    assert check_exact(camera, "8", "24", "smart")[0].copied_seconds > 15.9


@pytest.mark.exhaustive
def test_last_file_is_cut_to_its_end(camera: Path) -> None:
    check_exact(camera, "45.1", "59.5")


def test_range_by_the_time_of_day_is_within_a_tenth_of_a_second(camera: Path) -> None:
    start = round(STARTED.timestamp() * 1000) + 20_000
    made, _ = cut(camera, "0", "0", times=(start, start + 4000))
    assert made.actual_start_seconds == pytest.approx(20, abs=0.15)
    assert made.duration_seconds == pytest.approx(4, abs=0.05)


@pytest.mark.exhaustive
def test_missing_files_are_a_gap_as_long_as_the_names_say(tmp_path: Path) -> None:
    frigate(tmp_path, missing=(2, 3))
    made, reading = cut(tmp_path / FRONT, "15", "55")
    found = numbers(reading)
    after = next(number for number in found if number > 600)
    assert found == [*range(374, 520), *range(1000, found[-1] + 1)]
    times = dict(zip(found, (time for time, _ in reading.frames), strict=True))
    assert float(times[after] - times[519]) == pytest.approx(19.24, abs=0.15)
    assert [each.split(":")[0] for each in made.warnings] == ["video_gap", "audio_gap_filled"]


@pytest.fixture(scope="module")
def fragmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mediamtx")
    mediamtx(folder)
    return folder / MEDIAMTX


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [("8", "24", 198, 597), pytest.param("3", "55", 73, 1372, marks=pytest.mark.exhaustive)],
)
@pytest.mark.exhaustive
def test_files_of_mediamtx_follow_each_other_as_they_state(
    fragmented: Path, start: str, end: str, first: int, last: int
) -> None:
    _, reading = check_exact(fragmented, start, end)
    assert numbers(reading) == [*range(first, last + 1)]


@pytest.mark.exhaustive
def test_smart_render_copies_over_the_files_of_mediamtx(fragmented: Path) -> None:
    assert check_exact(fragmented, "8", "24", "smart")[0].copied_seconds > 12


def test_file_of_mediamtx_after_a_restart_is_placed_by_its_clock(tmp_path: Path) -> None:
    mediamtx(tmp_path, skipped=3, missing=(2,))
    _, reading = cut(tmp_path / MEDIAMTX, "15", "55")
    found = numbers(reading)
    before = max(number for number in found if number < 600)
    after = min(number for number in found if number > before + 1)
    times = dict(zip(found, (time for time, _ in reading.frames), strict=True))
    # Its clock states to which frame it belongs.
    assert float(times[after] - times[before]) == pytest.approx((after - before) / 25, abs=0.09)
    assert after - before > 200


@pytest.mark.exhaustive
def test_parts_without_keyframes_are_decoded_through(tmp_path: Path) -> None:
    video = replace(VIDEO, gop=250)
    segments(tmp_path, video=video, form="matroska", segment_time="4", break_non_keyframes="1")
    for path in tmp_path.glob("*.matroska"):
        path.rename(path.with_suffix(".mkv"))
    made, reading = cut(tmp_path / "{n}.mkv", "13.1", "23.3")
    found = numbers(reading)
    assert found == [*range(327, 583)]
    assert made.warnings == []


@pytest.mark.exhaustive
def test_codec_may_change_between_files(tmp_path: Path) -> None:
    """H.264 with AAC, HEVC with other AAC, no audio, and H.264 with Opus: one track, with silence."""
    kinds = [
        (VIDEO.codec, AudioPart(seconds=F(10))),
        ("libx265", AudioPart(seconds=F(10), rate=44100)),
        (VIDEO.codec, None),
        (VIDEO.codec, AudioPart(seconds=F(10), codec="libopus")),
    ]
    for number, (codec, audio) in enumerate(kinds):
        video = VideoPart(every(25, 10), F(25), codec=codec, gop=50, first_number=250 * number)
        write(tmp_path / f"{number}.mkv", "matroska", video=[video], audio=[audio] if audio else [])
    made, reading = cut(tmp_path / "{n}.mkv", "1", "39")
    found = numbers(reading)
    assert found == [*range(found[0], found[-1] + 1)]
    assert made.frames == pytest.approx(950, abs=3)
    assert len(reading.tracks) == 1
    (silence,) = (each for each in made.warnings if each.startswith("audio_gap_filled"))
    seconds = re.search(r"([\d.]+) s of gaps", silence)
    assert seconds is not None, made.warnings
    assert float(seconds[1]) == pytest.approx(10, abs=0.2)


@pytest.mark.exhaustive
def test_file_that_cannot_be_read_is_a_gap(tmp_path: Path) -> None:
    frigate(tmp_path)
    paths = sorted((tmp_path).glob("*/*/front/*.mp4"))
    paths[2].write_bytes(paths[2].read_bytes()[:5000])
    made, reading = cut(tmp_path / FRONT, "15", "45")
    assert 375 in numbers(reading)
    assert 1000 in numbers(reading)
    assert [each.split(":")[0] for each in made.warnings] == ["video_gap", "audio_gap_filled"]
    for path in paths:
        path.write_bytes(b"nothing")
    with pytest.raises(RecordingUnreadable):
        cut(tmp_path / FRONT, "15", "45")
    with pytest.raises(RecordingMissing):
        cut(tmp_path / "%H/{n}.mp4", "15", "45")


LARGE = {
    "mov": ("mov", {}),
    "fragments": (
        "mov",
        {"segment_format_options": "movflags=empty_moov+default_base_moof+skip_trailer:frag_duration=500000"},
    ),
    "matroska": ("matroska", {}),
    "mpegts": ("mpegts", {"segment_format_options": "muxrate=4000000"}),
}


GRIDS = {"matroska": F(1, 1000), "mpegts": F(1, 90_000)}


@pytest.mark.parametrize(
    ("form", "store_kind"), [*((form, "folder") for form in LARGE), ("fragments", "s3")], indirect=["store_kind"]
)
@pytest.mark.exhaustive
def test_clip_of_large_files_reads_the_seconds_of_its_range(form: str, tmp_path: Path) -> None:
    """Reading begins inside a file, at a keyframe before the range, and the probe reads its head and tail."""
    muxer, options = LARGE[form]
    seconds = 60
    video = replace(VIDEO, times=every(25, seconds))
    sound = {} if form == "mpegts" else {"codec": "pcm_s16le", "layout": "5.1"}
    audio = replace(AUDIO, **sound, seconds=F(seconds) - F(1, 10))
    segments(tmp_path, form=muxer, video=video, audio=audio, segment_time="30", **options)
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob(f"*.{muxer}"))]
    assert min(sizes) > 8 << 20, sizes
    source = tmp_path / f"{{n}}.{muxer}"
    recording = moved(source, video, audio, GRIDS.get(form, F(1, 12800)))
    for start, end in (("17", "18"), ("28", "31.5"), ("33", "34"), ("50.52", "51")):
        made, reading = cut(source, start, end)
        times = made.actual_start_seconds, made.actual_end_seconds
        faults = judge(recording, reading, F(start), F(end), *times)
        assert not faults, "\n".join(faults)
        assert made.warnings == []
        assert made.bytes_read < sum(sizes) / 6, (start, made.bytes_read, sizes)


@pytest.mark.exhaustive
def test_clip_of_one_large_segment_behind_a_header_is_exact(tmp_path: Path) -> None:
    """Header and segment are ranges of one object, as with `-hls_flags single_file`."""
    video, audio = replace(VIDEO, times=every(25, 30)), replace(AUDIO, codec="pcm_s16le", layout="5.1", seconds=F(30))
    (written,) = segments(tmp_path, form="mov", video=video, audio=audio, segment_time="60", **LARGE["fragments"][1])
    data = written.path.read_bytes()
    head = data.index(b"moof") - 4
    playlist = tmp_path / "index.m3u8"
    playlist.write_text(
        f'#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:30\n#EXT-X-MAP:URI="000.mov",BYTERANGE="{head}@0"\n'
        f"#EXTINF:30,\n#EXT-X-BYTERANGE:{len(data) - head}@{head}\n000.mov\n#EXT-X-ENDLIST\n"
    )
    made, reading = cut(playlist, "17", "18")
    times = made.actual_start_seconds, made.actual_end_seconds
    assert not judge(moved(playlist, video, audio), reading, F(17), F(18), *times)
    assert made.warnings == []


class Counted:
    """Files as one source, which counts the reads."""

    remote = True

    def __init__(self, paths: list[Path]) -> None:
        self._data = b"".join(path.read_bytes() for path in paths)
        self.size = len(self._data)
        self.reads = 0

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        self.reads += 1
        return self._data[offset : offset + length]


@pytest.mark.parametrize("form", cases(["mp4", "matroska", "mpegts"], ["mp4"]))
@pytest.mark.exhaustive
def test_probe_of_small_files_takes_one_read_of_each(form: str, tmp_path: Path) -> None:
    paths = [written.path for written in segments(tmp_path, form=form)]
    ranges = [ObjectRange(path.name, "e", 0, path.stat().st_size) for path in paths]
    runs = [Run(number, None, None, [Piece(each, number, 0)]) for number, each in enumerate(ranges)]
    index, source = seek_index_of(PieceIndex([Track("muxed", runs)])), Counted(paths)
    found = probe_files(source, index)
    reads, source.reads = source.reads, 0
    assert found.scans == scan_pieces(Counted(paths), index)[0]
    probe_files(source, index.only([0]))
    assert reads == source.reads + len(paths) - 1


@pytest.mark.parametrize("render", ["encode", "smart"])
@pytest.mark.exhaustive
def test_pictures_that_two_files_have_are_shown_once(render: Render, tmp_path: Path) -> None:
    """The first file begins with the frame 320, at 12.8 s."""
    motion(tmp_path)
    made, reading = cut(tmp_path / MOTION, "8", "42", render)
    assert numbers(reading) == list(range(520, 1370))
    assert made.warnings == []


@pytest.mark.exhaustive
def test_files_with_a_pre_roll_have_the_clock_of_their_ends(tmp_path: Path, store_kind: str) -> None:
    motion(tmp_path)
    facts = read_facts(*stored(tmp_path / MOTION))
    assert float(facts.duration) == pytest.approx(47.2, abs=0.05)
    start = round((STARTED + timedelta(seconds=30)).timestamp() * 1000)
    _, reading = cut(tmp_path / MOTION, "0", "1", times=(start, start + 7000))
    assert len(reading.frames) == pytest.approx(175, abs=1)
    # The date of an object in S3 is that of its upload.
    assert numbers(reading)[0] == pytest.approx(750, abs=5 if store_kind == "folder" else 100)
