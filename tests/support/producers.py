"""Programs of others that record: each remuxes a film whose frames have numbers, and whose sound is known by its place.

The film is not encoded again, so that a recording takes a second of CPU. Servers listen on loopback only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import pytest

from tests.films.parts import every
from tests.films.reader import ClipReading, read_clip
from tests.films.reel import write
from tests.films.sound import locate
from tests.support.gstreamer import need_elements
from tests.support.playlists import AUDIO, VIDEO
from tests.support.ports import free_port
from tests.support.waiting import until

RATE = 25
_SOUND_SECONDS = 0.03  # of an offset: MPEG-TS cannot state the priming of AAC
_PATH = f"{os.environ['PATH']}:/usr/sbin"
_RTMP_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_HEVC = replace(VIDEO, codec="libx265", options={"x265-params": "log-level=none:scenecut=0:open-gop=0"})
_VIDEOS = {"H.264": VIDEO, "HEVC": _HEVC}
_PARSERS = {"H.264": "h264parse", "HEVC": "h265parse"}


@dataclass(frozen=True)
class Producer:
    """A program that records `codec` in a `container`. `record` writes the film of 12 s into a folder.

    `key` is the object to register in that folder, or the pattern of its files. `version` prints the program's version.
    """

    name: str
    container: str
    codec: str
    key: str
    record: Callable[[Path, Path], None]
    version: tuple[str, ...]
    ends: bool = True  # the playlist has an end
    sound_early: float = 0  # by which the sound of the file itself is early
    may_lose_frames: bool = False  # it shows the film in real time, and the machine may be too slow

    @property
    def is_folder(self) -> bool:
        return "{" in self.key

    def __str__(self) -> str:
        return f"{self.name}, {self.container}, {self.codec}"


def source(folder: Path, codec: str, seconds: int = 12) -> Path:
    """Write the film as MP4, and return its path."""
    path = folder / f"{codec}-{seconds}.mp4"
    video = replace(_VIDEOS[codec], times=every(RATE, seconds))
    write(path, "mp4", video=[video], audio=[replace(AUDIO, start=AUDIO.start * 0, seconds=seconds - Fraction(1, 10))])
    return path


def need(program: str) -> None:
    """Skip the test if a program is missing, except in CI."""
    if shutil.which(program, path=_PATH) is None:
        missing(program)


def missing(what: str) -> None:
    reason = f"missing: this test needs {what}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _run(*command: str | Path, timeout: float = 120) -> None:
    need(str(command[0]))
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout)


def hls_command(film: Path, target: Path, *options: str) -> list[str]:
    """Return the command of ffmpeg that remuxes a film into a playlist of segments of 2 s, as fast as it is played."""
    return [
        "ffmpeg",
        "-v",
        "error",
        "-re",
        "-i",
        str(film),
        "-c",
        "copy",
        "-f",
        "hls",
        "-hls_time",
        "2",
        *options,
        str(target),
    ]


def _ffmpeg(*options: str) -> Callable[[Path, Path], None]:
    def record(film: Path, folder: Path) -> None:
        command = hls_command(film, folder / "index.m3u8", "-hls_list_size", "0", *options)
        _run(*(each for each in command if each != "-re"))

    return record


@dataclass(frozen=True)
class Pipeline:
    """A pipeline of GStreamer whose `sink` is named `s`, with these pads of video and audio."""

    codec: str
    sink: str
    pads: tuple[str, str]
    elements: tuple[str, ...]

    def command(self, film: Path, folder: Path, step: str = "") -> list[str]:
        """Return the command that remuxes a film, each stream through a further `step`. Skip the test without it."""
        parser = _PARSERS[self.codec]
        need_elements("qtdemux", parser, "aacparse", *self.elements)
        head = f"filesrc location={film} ! qtdemux name=d {self.sink.format(folder=folder)}"
        video, audio = f"{parser} {step} ! s.{self.pads[0]}", f"aacparse {step} ! s.{self.pads[1]}"
        return ["gst-launch-1.0", "-q", *f"{head} d.video_0 ! queue ! {video} d.audio_0 ! queue ! {audio}".split()]

    def live_command(self, film: Path, folder: Path) -> list[str]:
        """Return the command that remuxes a film as fast as it is played."""
        return self.command(film, folder, "! identity sync=true")

    def record(self, film: Path, folder: Path) -> None:
        """Record the film in a second, again if GStreamer 1.26 loses the end of a stream and never exits (1 of 12)."""
        for _ in range(6):
            try:
                return _run(*self.command(film, folder), timeout=20)
            except subprocess.TimeoutExpired:
                for path in folder.iterdir():
                    path.unlink()
        pytest.fail("GStreamer did not exit in six attempts")


def rtmp_command(film: Path, address: str) -> list[str]:
    """Return the command of ffmpeg that sends a film, as fast as it is played, to a server at an address."""
    return ["ffmpeg", "-v", "error", "-re", "-i", str(film), "-c", "copy", "-f", "flv", f"{address}/index"]


def _nginx_rtmp(film: Path, folder: Path) -> None:
    with nginx_rtmp(folder) as (_, address):
        _run(*rtmp_command(film, address))
        until(lambda: (folder / "index.m3u8").exists())


@contextmanager
def nginx_rtmp(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run nginx with the RTMP module, which records HLS into the folder.

    Yield its only process, and the address to which films are sent.
    """
    need("nginx")
    if not _RTMP_MODULE.exists():
        missing("libnginx-mod-rtmp")
    port, conf, ready = free_port(), folder.parent / "nginx.conf", folder.parent / "nginx.pid"
    ready.unlink(missing_ok=True)  # of a server that was killed
    user = "user root;" if os.geteuid() == 0 else ""
    conf.write_text(
        f"load_module {_RTMP_MODULE}; {user} daemon off; master_process off; pid {ready}; error_log stderr;\n"
        "events {}\n"
        f"rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; hls on; hls_path {folder};\n"
        "hls_fragment 2s; hls_playlist_length 60s; hls_cleanup off; }}}\n"
    )
    command = [
        shutil.which("nginx", path=_PATH) or "nginx",
        "-c",
        str(conf),
        "-e",
        "stderr",
    ]
    server = subprocess.Popen([*command, "-p", str(folder.parent)], stderr=subprocess.DEVNULL)
    try:
        until(ready.exists)
        yield server, f"rtmp://127.0.0.1:{port}/live"
    finally:
        server.terminate()
        server.wait(30)


_FFMPEG, _GSTREAMER, _NGINX = ("ffmpeg", "-version"), ("gst-launch-1.0", "--version"), ("nginx", "-v")
_TS = (
    "hlssink2 name=s location={folder}/%05d.ts playlist-location={folder}/index.m3u8 target-duration=2 "
    "playlist-length=0 max-files=0"
)
_FILES = "splitmuxsink name=s location={folder}/%05d.mp4 max-size-time=4000000000"
_FRAGMENTS = "mp4mux name=s fragment-duration=2000 ! filesink location={folder}/index.mp4"
GST_HLS = Pipeline("H.264", _TS, ("video", "audio"), ("hlssink2",))
GST_FRAGMENTS = Pipeline("H.264", _FRAGMENTS, ("video_0", "audio_0"), ("mp4mux",))
FRAGMENTS_EARLY = 0.08  # GStreamer writes no edit list into fragments, and so the delay of B-frames counts

PRODUCERS = [
    Producer("FFmpeg `-f hls`", "HLS, MPEG-TS", "H.264", "index.m3u8", _ffmpeg(), _FFMPEG),
    Producer("FFmpeg `-f hls`", "HLS, fMP4", "HEVC", "index.m3u8", _ffmpeg("-hls_segment_type", "fmp4"), _FFMPEG),
    Producer(
        "FFmpeg `-hls_flags single_file`", "HLS, MPEG-TS", "H.264", "index.m3u8",
        _ffmpeg("-hls_flags", "single_file"), _FFMPEG,
    ),
    Producer("nginx-rtmp", "HLS, MPEG-TS", "H.264", "index.m3u8", _nginx_rtmp, _NGINX, ends=False),
    Producer(
        "GStreamer `hlssink2`", "HLS, MPEG-TS", "H.264", "index.m3u8",
        GST_HLS.record, _GSTREAMER,
    ),
    Producer(
        "GStreamer `splitmuxsink`", "MP4 files", "HEVC", "{n}.mp4",
        Pipeline("HEVC", _FILES, ("video", "audio_0"), ("splitmuxsink", "mp4mux")).record, _GSTREAMER,
    ),
    Producer(
        "GStreamer `mp4mux`", "fragmented MP4", "H.264", "index.mp4",
        GST_FRAGMENTS.record, _GSTREAMER,
        sound_early=FRAGMENTS_EARLY,
    ),
]  # fmt: skip


def version_of(producer: Producer) -> str:
    """Return the version of a program as it prints it."""
    found = subprocess.run(
        producer.version,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": _PATH},
    )
    match = re.search(r"(?<=version )\d[\d.]*|(?<=Studio - )\d[\d.]*|(?<=nginx/)\d[\d.]*", found.stdout + found.stderr)
    return match[0] if match else "unknown"


@dataclass(frozen=True)
class Expected:
    """A range of a recording as its producer wrote it: the numbers of its frames, and how early its sound is."""

    numbers: list[int | None]
    sound_early: dict[float, float]  # by the second of the range, where the sound is known


def expected_of(path: Path, start: float, end: float) -> Expected:
    """Return what a clip of a range of a recording must have."""
    reading, slack = read_clip(path), 0.001
    first = start - 0.5 / RATE - slack
    frames = [(float(time), seen.number) for time, seen in reading.frames if first <= time < end - slack]
    heard = _places(reading, frames, start, end - start)
    return Expected([number for _, number in frames], {at: early for at, (peak, early) in heard.items() if peak >= 0.5})


def _places(
    reading: ClipReading, frames: Sequence[tuple[float, int | None]], start: float, seconds: float
) -> dict[float, tuple[float, float]]:
    """Return how well the sound of a range is recognised, and how early it is beside the frames, at three seconds."""
    begins = median(number / RATE - time for time, number in frames if number is not None)
    found = {}
    for at in (0.3, seconds / 2, seconds - 0.6):
        heard = reading.tracks[0].between(Fraction(start + at), Fraction(start + at) + Fraction(3, 10))
        place = locate(heard, reading.tracks[0].rate, begins + start + at, seed=AUDIO.seed)
        found[at] = place.peak, place.offset
    return found


def faults_of(
    reading: ClipReading, seconds: float, sound_early: float = 0, expected: Expected | None = None
) -> list[str]:
    """Return what is wrong with a clip of the film: its frames, its length, and its sound beside them.

    The frames must follow each other, unless the recording of a producer that may lose some has the `expected` ones.
    """
    frames = [(float(time), seen.number) for time, seen in reading.frames]
    numbers = [number for _, number in frames]
    known = [number for number in numbers if number is not None]
    if not known or len(known) < len(numbers):
        return ["no frame, or one without a number"]
    found = []
    if numbers != (list(range(known[0], known[0] + len(known))) if expected is None else expected.numbers):
        found.append(f"frames {numbers}")
    if abs(len(numbers) - round(seconds * RATE)) > 1:
        found.append(f"{len(numbers)} frames of {seconds * RATE:g}")
    for at, (peak, early) in _places(reading, frames, 0, seconds).items():
        wanted = sound_early if expected is None else expected.sound_early.get(at)
        if wanted is not None and (peak < 0.5 or abs(early - wanted) > _SOUND_SECONDS):
            found.append(f"sound at {at:.1f} s: peak {peak:.2f}, {1000 * (early - wanted):.1f} ms off")
    return found


_MOTION_RATE, _MOTION_GOP = 5, 10
_MOTION = f"""
daemon off
setup_mode off
webcontrol_port 0
stream_port 0
width 320
height 192
framerate {_MOTION_RATE}
emulate_motion on
event_gap 1
pre_capture 0
post_capture 0
picture_output off
movie_output on
movie_passthrough on
movie_max_time 5
movie_filename %Y%m%d%H%M%S
"""


def record_with_motion(folder: Path, files: int) -> None:
    """Have motion copy a film of 50 s into files of 5 s, until it has begun so many, and stop it.

    motion reads the film in real time and drops packets if its threads wait for a processor for longer than its buffer,
    which holds 6 s of 5 frames a second. A recording with dropped packets is made again, at most three times.
    """
    need("motion")
    film, conf = folder.parent / "motion.mp4", folder.parent / "motion.conf"
    video = replace(VIDEO, times=every(_MOTION_RATE, 50), fps=Fraction(_MOTION_RATE), gop=_MOTION_GOP, b_frames=0)
    write(film, "mp4", video=[replace(video, width=320, height=192)])
    conf.write_text(f"{_MOTION}netcam_url file://{film}\ntarget_dir {folder}\n")
    for _ in range(3):
        folder.mkdir()
        with subprocess.Popen(["motion", "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            try:
                until(lambda: len(list(folder.glob("*.mp4"))) >= files)
            finally:
                run.terminate()
                run.wait(60)
        if _holds_all_packets(folder, film):
            return
        shutil.rmtree(folder)
    pytest.fail("motion dropped packets in each of three recordings")


def _holds_all_packets(folder: Path, film: Path) -> bool:
    """Return whether each file begins with a keyframe, and the files hold packets of the film without a gap."""
    places = {packet: place for place, packet in enumerate(_packets(film))}
    end = None
    for path in sorted(folder.glob("*.mp4")):
        found = [places[packet] for packet in _packets(path)]
        whole = bool(found) and found == list(range(found[0], found[0] + len(found)))
        if not whole or found[0] % _MOTION_GOP or (end is not None and found[0] > end):
            return False
        end = found[-1] + 1
    return True


def _packets(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]
