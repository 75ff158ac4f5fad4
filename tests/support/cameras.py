"""Folders of cameras, built by the documented rules of the programs that write them: films in files of ten seconds."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import film, write

SECONDS = 60
STARTED = datetime(2026, 11, 28, 11, 59, 33, 700_000, UTC)
FRIGATE = "%Y-%m-%d/%H/{camera}/%M.%S.mp4"
MEDIAMTX = "cam/%Y-%m-%d_%H-%M-%S-%f.mp4"
# GOPs of 1.6 s, so that files of ten seconds have 9.6 or 11.2.
VIDEO = VideoPart(every(25, SECONDS), Fraction(25), gop=40, b_frames=2, options={"x264-params": "scenecut=0"})
AUDIO = AudioPart(seconds=Fraction(SECONDS) - Fraction(1, 10))


class Written(NamedTuple):
    """A file that the segment muxer wrote, and the second at which it begins."""

    path: Path
    begins: float


def segments(
    folder: Path, *, video: VideoPart = VIDEO, audio: AudioPart = AUDIO, form: str = "mp4", **options: str
) -> list[Written]:
    """Write a film in files of ten seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / "list.csv"
    fixed = {"segment_time": "10", "segment_format": form, "segment_list": str(listed), "reset_timestamps": "1"}
    write(folder / f"%03d.{form}", "segment", video=[video], audio=[audio], options={**fixed, **options})
    rows = [line.split(",") for line in listed.read_text().split()]
    return [Written(folder / name, float(begins)) for name, begins, _ in rows]


def frigate(folder: Path, *, camera: str = "front", missing: tuple[int, ...] = (), started: datetime = STARTED) -> Film:
    """Write a folder of Frigate, whose names are rounded down to seconds, without the files `missing`."""
    for number, (path, begins) in enumerate(segments(folder / "raw")):
        name = (started + timedelta(seconds=begins)).strftime(FRIGATE.replace("{camera}", camera))
        if number not in missing:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            path.rename(folder / name)
    return film(folder, video=[VIDEO], audio=[AUDIO], grid=Fraction(1, 12800))


def mediamtx(folder: Path, *, skipped: int | None = None, missing: tuple[int, ...] = ()) -> Film:
    """Write a folder of MediaMTX: fragmented MP4 with the box `mtxi`, and names with microseconds.

    From the file `skipped` on, another stream id follows, as after a restart.
    """
    flags = "movflags=empty_moov+default_base_moof+skip_trailer:frag_duration=1000000"
    (folder / "cam").mkdir(parents=True)
    for number, (path, begins) in enumerate(segments(folder / "raw", segment_format_options=flags)):
        if number in missing:
            continue
        start = STARTED + timedelta(seconds=begins)
        stream = bytes(range(16)) if skipped is None or number < skipped else bytes(range(16, 32))
        dts = round((begins - (0.08 if number else 0)) * 1e9)
        mark = stream + struct.pack(">Qqq", number, dts, int(start.timestamp() * 1e9))
        target = folder / start.strftime(MEDIAMTX)
        target.write_bytes(_with_mark(path.read_bytes(), mark))
    return film(folder, video=[VIDEO], audio=[AUDIO], grid=Fraction(1, 12800))


def _with_mark(data: bytes, mark: bytes) -> bytes:
    """Return the file with `moov/udta/mtxi`."""
    box = struct.pack(">I4sI", len(mark) + 12, b"mtxi", 0) + mark
    user = struct.pack(">I4s", len(box) + 8, b"udta") + box
    at = data.index(b"moov") - 4
    (size,) = struct.unpack(">I", data[at : at + 4])
    return data[:at] + struct.pack(">I", size + len(user)) + data[at + 4 : at + size] + user + data[at + size :]


PREROLL_SECONDS = 15  # of the files of `motion`
MOTION = "cam/%Y%m%d%H%M%S.mp4"


def motion(folder: Path, started: datetime = STARTED) -> None:
    """Write files of motion with `movie_passthrough`, which begin at the keyframe before the moment of their names.

    They overlap by 2 to 3.6 s. Each was closed at the moment of the next one.
    """
    whole = folder / "whole.mp4"
    write(whole, "mp4", video=[replace(VIDEO, b_frames=0)])
    (folder / "cam").mkdir()
    for moment in range(PREROLL_SECONDS, SECONDS, PREROLL_SECONDS):
        end = started + timedelta(seconds=moment + PREROLL_SECONDS)
        target = folder / (started + timedelta(seconds=moment)).strftime(MOTION)
        _copy_from_keyframe(whole, target, moment - 2, moment + PREROLL_SECONDS)
        os.utime(target, (end.timestamp(), end.timestamp()))


def _copy_from_keyframe(whole: Path, target: Path, start: float, end: float) -> None:
    """Copy the packets from the last keyframe before `start` on, whose timestamps then begin at 0."""
    with av.open(str(whole)) as source, av.open(str(target), "w") as copied:
        stream = source.streams.video[0]
        output = copied.add_stream_from_template(stream)
        packets = [each for each in source.demux(stream) if each.pts is not None and each.dts is not None]
        times = [float((each.pts or 0) * each.time_base) for each in packets]
        first = max(number for number, each in enumerate(packets) if each.is_keyframe and times[number] <= start)
        zero = packets[first].pts or 0
        for packet, time in zip(packets[first:], times[first:], strict=True):
            if time < end:
                packet.pts, packet.dts, packet.stream = (packet.pts or 0) - zero, (packet.dts or 0) - zero, output
                copied.mux(packet)
