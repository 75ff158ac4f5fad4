"""What verification finds: a clip that is not what was planned, or cannot be decoded, is never called complete."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.clips.file_comparison import FilePlan
from clipengine.clips.file_reports import CutReport
from clipengine.clips.options.profiles import Profile
from clipengine.errors import VerificationFailed
from clipengine.media.output.packet_verifier import PacketVerifier, checksum
from clipengine.media.output.verify import verify
from clipengine.media.output.writer import open_writer
from clipengine.media.video.frame_format import BT709_COLORS, FrameFormat
from clipengine.recordings.facts import AudioFacts, SourceFacts, VideoFacts
from clipengine.settings.settings import Settings
from clipengine.stores.folder import FolderStore
from clipengine.work.children.jobs import cut_job, probe_job, probe_result
from clipengine.work.children.process import Child
from scripts.sample import make_sample
from tests.support.inspection import hold_to_plan

_FRAMES = 40
_STEP = Fraction(1, 20)
_FACTS = SourceFacts(
    container="mov",
    origin=Fraction(0),
    duration=Fraction(10),
    video=VideoFacts(
        index=0,
        codec="h264",
        width=160,
        height=96,
        frame_seconds=_STEP,
        tick=Fraction(1, 90_000),
        sample_aspect_ratio=Fraction(1),
        variable_rate=False,
        rotation=0,
    ),
)
_video = _FACTS.video
assert _video is not None
_AUDIO = AudioFacts(index=1, codec="aac", channels=1, sample_rate=48_000)
_END = 1 + _FRAMES * _STEP


def _planned(facts: SourceFacts = _FACTS, start: Fraction = Fraction(1), end: Fraction = _END) -> FilePlan:
    return FilePlan([PlannedPart(facts, start, end)], Profile())


_PLANNED = _planned()


@dataclass(frozen=True)
class _Made:
    """Two seconds of noise at 20 frames per second, and the proof that was made beside it."""

    data: bytes
    verifier: PacketVerifier


def _make(path: Path, profile: Profile) -> _Made:
    format = FrameFormat(160, 96, "yuv420p", Fraction(1), BT709_COLORS)
    with (
        path.open("w+b") as file,
        PacketVerifier() as verifier,
        open_writer(file.fileno(), profile, threads=1, verifier=verifier) as writer,
    ):
        writer.add_video(format, Fraction(20))
        noise = random.Random(7)
        for number in range(_FRAMES):
            frame = av.VideoFrame(160, 96, "yuv420p")
            for plane in frame.planes:
                plane.update(noise.randbytes(plane.buffer_size))
            writer.write_frame(frame, Fraction(number, 20), Fraction(1, 20))
        writer.finish()
        verifier.end()
    return _Made(path.read_bytes(), verifier)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> _Made:
    return _make(tmp_path_factory.mktemp("verify") / "clip.mp4", Profile())


@pytest.fixture
def clip(made: _Made) -> bytes:
    return made.data


@pytest.fixture(params=["decoded", "proven"])
def verifier(request: pytest.FixtureRequest, made: _Made) -> PacketVerifier | None:
    """Every clip is judged alike: decoded, or held against what the encoder gave out, which was decoded meanwhile."""
    return {"decoded": None, "proven": made.verifier}[request.param]


def _verify(
    data: bytes, path: Path, verifier: PacketVerifier | None, planned: FilePlan = _PLANNED, **reported: Any
) -> None:
    """Verify the file as the child that made it does, and then as the inspector and its parent do."""
    path.write_bytes(data)
    report = {
        "parts": [{"actual_start": str(part.start), "actual_end": str(part.end)} for part in planned.parts],
        "frames": _FRAMES,
        "width": 160,
        "height": 96,
        "video_codec": "h264",
        "audio_codec": None,
        "size_bytes": len(data),
        "encode_seconds": 1.0,
        "bytes_read": 1,
        "render": "encode",
        "copied_seconds": 0.0,
        "encoded_seconds": float(planned.parts[0].end - planned.parts[0].start),
        "warnings": [],
    } | reported
    with path.open("rb") as file:
        verify(file.fileno(), report["frames"], verifier, lambda: None, threads=2)
        hold_to_plan(file.fileno(), planned, report)


def test_planned_clip_is_accepted(clip: bytes, verifier: PacketVerifier | None, tmp_path: Path) -> None:
    _verify(clip, tmp_path / "clip.mp4", verifier)


def test_damaged_frame_is_rejected(clip: bytes, verifier: PacketVerifier | None, tmp_path: Path) -> None:
    start = clip.index(b"mdat") + 4
    for part in (0.5, 0.8):  # not every damage breaks the code of a picture; these do
        place = start + round((len(clip) - start) * part)
        damaged = clip[:place] + bytes(500) + clip[place + 500 :]
        with pytest.raises(VerificationFailed):
            _verify(damaged, tmp_path / "clip.mp4", verifier)


def test_truncated_clip_is_rejected(clip: bytes, verifier: PacketVerifier | None, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed):
        _verify(clip[: -len(clip) // 4], tmp_path / "clip.mp4", verifier)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_file_contains_the_packets_of_the_encoder(tmp_path: Path, codec: str, container: str) -> None:
    """To the byte, in whatever form the container writes it: nothing has to be decoded twice."""
    profile = Profile.model_validate({"video": codec, "container": container, "preset": "ultrafast"})
    path = tmp_path / f"clip.{container}"
    [track] = _make(path, profile).verifier.tracks
    assert track.frames == len(track.checksums) == _FRAMES
    with av.open(str(path)) as file:
        assert [checksum(codec, packet) for packet in file.demux(video=0) if packet.size] == list(track.checksums)


def test_file_with_other_packets_is_decoded(made: _Made, tmp_path: Path) -> None:
    """The file is decoded then: this one is sound, and as it was planned."""
    other = _make(tmp_path / "other.mp4", Profile(crf=40)).verifier
    _verify(made.data, tmp_path / "clip.mp4", other)


def test_undecodable_packets_are_found_by_decoding(made: _Made, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(made.data)
    with av.open(str(path)) as file, PacketVerifier() as verifier:
        for packet in file.demux(video=0):
            if packet.size:
                data = bytes(packet)
                damaged = av.Packet(data[: len(data) // 3] + bytes(300) + data[len(data) // 3 + 300 :])
                damaged.stream, damaged.time_base = packet.stream, packet.time_base
                damaged.pts, damaged.dts = packet.pts, packet.dts
                verifier.add(damaged)
        with pytest.raises(VerificationFailed):
            verifier.end()


def test_decoder_without_memory_is_not_taken_for_damage(made: _Made, tmp_path: Path) -> None:
    """Decoders report a damaged packet. The memory may be free again when the verification ends."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(made.data)
    subprocess.run([sys.executable, "-c", _WITHOUT_MEMORY, str(path)], check=True, timeout=300)


_WITHOUT_MEMORY = """
import pathlib, resource, sys, time, av
from clipengine.media.output.packet_verifier import PacketVerifier

with av.open(sys.argv[1]) as file, PacketVerifier() as verifier:
    packets = [packet for packet in file.demux(video=0) if packet.size]
    used = int(pathlib.Path("/proc/self/status").read_text().partition("VmData:")[2].split()[0]) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (used + (8 << 20), resource.RLIM_INFINITY))
    for packet in packets:
        damaged = av.Packet(bytes(packet)[:40] + bytes(packet.size - 40))
        damaged.stream, damaged.time_base = packet.stream, packet.time_base
        damaged.pts, damaged.dts = packet.pts, packet.dts
        verifier.add(damaged)
    verifier._put_burst()
    while verifier._error is None:
        time.sleep(0.01)
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    try:
        verifier.end()
    except MemoryError:
        sys.exit(0)
sys.exit(1)
"""


def test_clip_that_is_read_back_without_memory_is_not_taken_for_damaged(clip: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip)
    subprocess.run([sys.executable, "-c", _READ_BACK, str(path), str(_FRAMES)], check=True, timeout=300)


_READ_BACK = """
import pathlib, resource, sys
from clipengine.errors import UnsupportedMedia
from clipengine.media.output.verify import verify

with open(sys.argv[1], "rb") as file:
    verify(file.fileno(), int(sys.argv[2]), None, lambda: None, threads=1)
    used = int(pathlib.Path("/proc/self/status").read_text().partition("VmData:")[2].split()[0]) << 10
    resource.setrlimit(resource.RLIMIT_DATA, (used + (1 << 20), resource.RLIM_INFINITY))
    try:
        verify(file.fileno(), int(sys.argv[2]), None, lambda: None, threads=4)
    except UnsupportedMedia as error:
        sys.exit(error.message != UnsupportedMedia.out_of_memory().message)
sys.exit(1)
"""


@pytest.mark.exhaustive
def test_both_ways_of_verification_give_the_same_clip(tmp_path: Path) -> None:
    """And in both ways a clip of a recording with sound is found to be sound."""
    make_sample(tmp_path / "sample.mp4", seconds=3)
    clips = []
    for way in ("seams", "full"):
        settings = Settings.model_validate({"encoding": {"verify": way}})
        with (
            closing(FolderStore(tmp_path).open("sample.mp4")) as reader,
            (tmp_path / f"{way}.mp4").open("w+b") as output,
        ):
            found, _ = Child().run(probe_job(settings.encoding), reader, watch=lambda message: None)
            facts, _ = probe_result(found)
            job = cut_job(
                settings.encoding,
                settings.profiles["default"],
                [PlannedPart(facts, Fraction(1), Fraction(2))],
                poster=False,
            )
            made, _ = Child().run(job, reader, output=output.fileno(), watch=lambda message: None)
            assert made["cut"]["frames"] > 0
            output.seek(0)
            clips.append(output.read())
    assert clips[0] == clips[1]


@pytest.mark.parametrize(
    ("planned", "reported"),
    [
        (_PLANNED, {"frames": _FRAMES + 1}),
        (_PLANNED, {"frames": 0}),
        (_PLANNED, {"width": 162}),
        (_PLANNED, {"size_bytes": 1}),
        (_PLANNED, {"audio_codec": "aac"}),
        (_PLANNED, {"parts": [{"actual_start": "1", "actual_end": "10"}]}),
        (_PLANNED, {"parts": [{"actual_start": str(1 + _STEP), "actual_end": str(_END)}]}),
        (_PLANNED, {"parts": [{"actual_start": "1", "actual_end": str(_END)}] * 2}),
        (_planned(end=_END + 2 * _STEP), {}),
        (_planned(start=1 - 2 * _STEP), {}),
        (replace(_PLANNED, profile=Profile(video="hevc")), {"video_codec": "hevc"}),
        (replace(_PLANNED, profile=Profile(container="mkv")), {}),
        (replace(_PLANNED, profile=Profile(fps=10)), {}),
        (replace(_PLANNED, profile=Profile(max_height=64)), {}),
        (_planned(facts=_FACTS.model_copy(update={"audio": (_AUDIO,)})), {"audio_codec": "aac"}),
    ],
)
@pytest.mark.typical(2)
def test_clip_that_differs_from_the_plan_is_rejected(
    clip: bytes, verifier: PacketVerifier | None, tmp_path: Path, planned: FilePlan, reported: dict[str, Any]
) -> None:
    with pytest.raises(VerificationFailed):
        _verify(clip, tmp_path / "clip.mp4", verifier, planned, **reported)


def test_distant_frames_need_a_variable_rate_or_a_warning(made: _Made, tmp_path: Path) -> None:
    """The clip of 20 frames a second, as one of a recording that has 40."""
    steady = _FACTS.model_copy(update={"video": _video.model_copy(update={"frame_seconds": _STEP / 2})})
    varied = _FACTS.model_copy(update={"video": _video.model_copy(update={"variable_rate": True})})
    path = tmp_path / "clip.mp4"
    with pytest.raises(VerificationFailed, match="no frame for 0"):
        _verify(made.data, path, None, _planned(facts=steady))
    _verify(made.data, path, None, _planned(facts=steady), warnings=["packets_damaged: 3"])
    _verify(made.data, path, None, _planned(facts=varied))


@pytest.mark.parametrize(
    "report",
    [
        None,
        {},
        [],
        {"parts": []},
        {"parts": [{"actual_start": "1e999999999", "actual_end": "2"}]},
        {"parts": [{"actual_start": "1/0", "actual_end": "2"}]},
        {"parts": [{"actual_start": "1" * 100, "actual_end": "2"}]},
        {"parts": [{"actual_start": "1", "actual_end": "2"}] * 101},
        {"frames": -1},
        {"frames": 1e300},
        {"size_bytes": 1 << 60},
        {"encode_seconds": float("nan")},
        {"video_codec": "h" * 100},
        {"render": "copy"},
        {"copied_seconds": float("inf")},
        {"warnings": ["w" * 10_000]},
        {"warnings": ["w"] * 10_000},
    ],
)
def test_report_outside_its_limits_is_rejected(report: Any) -> None:
    valid: dict[str, Any] = {
        "parts": [{"actual_start": "1/3", "actual_end": "2"}],
        "frames": 1, "width": 2, "height": 2, "video_codec": "h264",
        "audio_codec": None, "size_bytes": 1, "encode_seconds": 1.0, "bytes_read": 1, "render": "encode",
        "copied_seconds": 0.0, "encoded_seconds": 1.0, "warnings": [],
    }  # fmt: skip
    assert CutReport.of(valid).parts[0].actual_start == Fraction(1, 3)
    with pytest.raises(VerificationFailed):
        CutReport.of(valid | report if report else report)


def test_inspector_starts_without_pydantic() -> None:
    code = "import sys, clipengine.media.worker.inspector; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 0


@pytest.mark.exhaustive
def test_decoder_of_a_failed_clip_is_freed(made: _Made, tmp_path: Path) -> None:
    """Without `end`. Threads of a decoder that was freed at once could wait for the GIL for ever."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(made.data)
    subprocess.run([sys.executable, "-c", _UNFINISHED, str(path)], check=True, timeout=300)


_UNFINISHED = """
import sys, av
from clipengine.media.output.packet_verifier import PacketVerifier

for attempt in range(300):
    with av.open(sys.argv[1]) as file, PacketVerifier(threads=4) as verifier:
        for packet in list(file.demux(video=0))[: 10 + attempt % 9]:
            verifier.add(packet)
"""
