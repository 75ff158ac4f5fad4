"""A child taken over by its recording: `python hostile_cutter.py CONTROL RANGES PARENT cell MODE`.

It is the real child with its sandbox until a cut is requested. Then it writes the output that its mode selects and
reports a clip of two seconds with fifty frames, as an honest child would.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av

from clipengine.clips.options.profiles import Profile
from clipengine.media.memory import log_library_errors
from clipengine.media.output.writer import open_writer
from clipengine.media.video.frame_format import BT709_COLORS, FrameFormat
from clipengine.media.worker import maker as child
from clipengine.media.worker.ipc import Channel
from clipengine.media.worker.process import JobSource, Result, main
from clipengine.recordings.facts import TrackNames

FRAMES, SECONDS, FPS, RATE = 50, 2, 25, 48_000
FORMAT = FrameFormat(640, 360, "yuv420p", Fraction(1), BT709_COLORS)

Report = dict[str, Any]
MODES: dict[str, Callable[[int, Report], None]] = {}


def mode(name: str) -> Callable[[Callable[[int, Report], None]], None]:
    def register(write: Callable[[int, Report], None]) -> None:
        MODES[name] = write

    return register


def black(
    output: int,
    *,
    frames: int = FRAMES,
    step: Fraction = Fraction(1, FPS),
    seconds: int = SECONDS,
    tracks: int = 1,
    format: FrameFormat = FORMAT,
    **profile: Any,
) -> None:
    """Write a clip of black frames and silence."""
    with open_writer(output, Profile(preset="ultrafast", **profile), threads=1) as writer:
        writer.add_video(format, Fraction(FPS))
        for _ in range(tracks):
            writer.add_audio(rate=RATE, channels=1, names=TrackNames())
        for number in range(frames):
            frame = av.VideoFrame(format.width, format.height, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            last = number == frames - 1
            writer.write_frame(frame, number * step, seconds - number * step if last else step)
        for track in range(tracks):
            for second in range(seconds):
                writer.write_audio(track, _silence(second))
        writer.finish()


def _silence(second: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="fltp", layout="mono", samples=RATE)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate, frame.pts, frame.time_base = RATE, second * RATE, Fraction(1, RATE)
    return frame


@mode("a clip of the right form")
def _right(output: int, report: Report) -> None:
    black(output)


@mode("zeros")
def _zeros(output: int, report: Report) -> None:
    os.write(output, bytes(300_000))


@mode("nothing")
def _nothing(output: int, report: Report) -> None:
    pass


@mode("sparse")
def _sparse(output: int, report: Report) -> None:
    black(output)
    os.pwrite(output, b"\0", 8_000_000)


@mode("zeros in place of the end")
def _zero_end(output: int, report: Report) -> None:
    black(output)
    size = os.fstat(output).st_size
    os.pwrite(output, bytes(size // 4), size - size // 4)


@mode("another size than reported")
def _other_size(output: int, report: Report) -> None:
    black(output)
    report["size_bytes"] = os.fstat(output).st_size + 1


@mode("a file hidden behind the clip")
def _masked(output: int, report: Report) -> None:
    black(output)
    junk = os.urandom(4_000_000)
    size = os.lseek(output, 0, os.SEEK_END)
    os.pwrite(output, (len(junk) + 8).to_bytes(4, "big") + b"free" + junk, size)


@mode("fewer frames than reported")
def _fewer(output: int, report: Report) -> None:
    black(output, frames=10)


@mode("fewer frames than the recording has, and no warning")
def _fewer_in_truth(output: int, report: Report) -> None:
    black(output, frames=10, step=Fraction(1, 5))
    report["frames"] = 10


@mode("more frames than the recording can have")
def _more(output: int, report: Report) -> None:
    black(output, frames=400, step=Fraction(1, 250))
    report["frames"] = 400


@mode("longer than the range")
def _longer(output: int, report: Report) -> None:
    black(output, frames=2 * FRAMES, seconds=2 * SECONDS)
    report["frames"] = 2 * FRAMES


@mode("another range")
def _other_range(output: int, report: Report) -> None:
    black(output)
    report["parts"] = [{"actual_start": "2", "actual_end": "4"}]


@mode("one more track")
def _one_more(output: int, report: Report) -> None:
    black(output, tracks=2)


@mode("no audio")
def _no_audio(output: int, report: Report) -> None:
    black(output, tracks=0)


@mode("another codec")
def _other_codec(output: int, report: Report) -> None:
    black(output, video="hevc")


@mode("another container")
def _other_container(output: int, report: Report) -> None:
    black(output, container="mkv")


@mode("another picture size than reported")
def _other_picture(output: int, report: Report) -> None:
    black(output, format=FrameFormat(320, 180, "yuv420p", Fraction(1), BT709_COLORS))


@mode("damaged packets")
def _damaged(output: int, report: Report) -> None:
    black(output)
    data = os.pread(output, os.fstat(output).st_size, 0)
    os.pwrite(output, b"\xff" * 2000, data.index(b"mdat") + 4)


@mode("a page in place of the poster")
def _page(output: int, report: Report) -> None:
    black(output)
    report["poster"] = b"<script>alert(1)</script>"


@mode("an exact number that fills the memory")
def _huge_number(output: int, report: Report) -> None:
    black(output)
    report["parts"][0]["actual_end"] = "1e999999999"


@mode("no report")
def _no_report(output: int, report: Report) -> None:
    black(output)
    report.clear()


def do_job(job: dict[str, Any], sources: list[JobSource], descriptors: list[int], control: Channel) -> Result:
    if job["job"] != "cut":
        return child.do_job(job, sources, descriptors, control)
    report = {
        "parts": [{"actual_start": "1", "actual_end": "3"}],
        "frames": FRAMES,
        "width": FORMAT.width,
        "height": FORMAT.height,
        "video_codec": "h264",
        "audio_codec": "aac",
        "encode_seconds": 0.5,
        "bytes_read": 1000,
        "render": "encode",
        "copied_seconds": 0.0,
        "encoded_seconds": 2.0,
        "warnings": [],
        "size_bytes": -1,
    }
    MODES[sys.argv[5]](descriptors[0], report)
    if report.get("size_bytes") == -1:
        report["size_bytes"] = os.fstat(descriptors[0]).st_size
    poster = report.pop("poster", b"")
    return {"type": "result", "cut": report}, poster


if __name__ == "__main__":
    main(do_job, when_locked=log_library_errors)
