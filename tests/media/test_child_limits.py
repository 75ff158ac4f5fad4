"""What one job of a child may use, and what it gets from a store that is not as it should be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.errors import ClipEngineError, DiskFull, RecordingTruncated, Timeout, UnsupportedMedia
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.settings.settings import Sandbox, Settings
from clipengine.stores.base import StoredObject
from clipengine.stores.folder import FolderStore
from clipengine.work.children.jobs import Job, Message, cut_job, probe_job
from clipengine.work.children.process import Child, Watch
from clipengine.work.children.stderr_tail import StderrTail
from scripts.sample import make_sample
from tests.support.child import Watching, do_job, find_facts
from tests.support.reading import MemorySource
from tests.support.selection import cases

pytestmark = pytest.mark.programs

PROFILES = {
    "h264": {"preset": "ultrafast"},
    "slow": {"preset": "veryslow"},
    "hevc": {"video": "hevc", "preset": "ultrafast"},
    "vp9": {"container": "webm", "video": "vp9", "audio": "opus", "preset": "ultrafast"},
    "av1": {"video": "av1", "preset": "ultrafast"},
}
SETTINGS = Settings.model_validate({"encoding": {"threads_per_clip": 3}, "profiles": PROFILES})
FRAMES_PER_SECOND = 25


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    make_sample(path, seconds=12)
    return path


def _cut(sample: Path, profile: str = "h264", seconds: int = 12, **limits: Any) -> Job:
    facts = find_facts(SETTINGS, sample)
    job = cut_job(
        SETTINGS.encoding,
        SETTINGS.profiles[profile],
        [PlannedPart(facts, Fraction(0), Fraction(seconds))],
        poster=False,
    )
    return replace(job, **limits)


# ---- disk


def test_clip_leaves_free_what_is_kept_free_on_its_disk(sample: Path) -> None:
    whole = _cut(sample, seconds=2)
    with tempfile.TemporaryFile() as output:
        made = do_job(replace(whole, message={**whole.message, "kept_free": 1}), sample, output=output.fileno())["cut"]
        assert made["frames"] == 2 * FRAMES_PER_SECOND
    with tempfile.TemporaryFile() as output:
        with pytest.raises(DiskFull, match=r"limits\.min_free_bytes"):
            do_job(replace(whole, message={**whole.message, "kept_free": 1 << 60}), sample, output=output.fileno())
        assert os.fstat(output.fileno()).st_size == 0


# ---- memory


@pytest.mark.exhaustive
@pytest.mark.parametrize("profile", ["h264", "slow", "vp9", "av1", "hevc"])
def test_memory_exhaustion_is_reported(profile: str, sample: Path) -> None:
    """Whoever meets the limit, decoder, encoder or Python: the clip is whole or it fails, with what can be done.

    Pictures that a decoder had no memory for are no damage of the recording, and never missing from a complete clip.
    """
    whole = _cut(sample, profile, seconds=2)
    ends = []
    for megabytes in (50, 75, 110, 150):
        job = replace(whole, memory_bytes=megabytes << 20, stall_seconds=5.0)
        with tempfile.TemporaryFile() as output:
            try:
                made = do_job(job, sample, output=output.fileno())["cut"]
            except ClipEngineError as error:
                told = error.code != "unsupported_media" or "encoding.memory_mb" in error.hint
                ends.append(error.code if told else error.message)
            else:
                ends.append("complete")
                assert made["frames"] == 2 * FRAMES_PER_SECOND, megabytes
    assert ends.count("unsupported_media") >= 2, ends
    # Some libraries crash where an allocation fails, or wait for a thread that could not be started.
    assert set(ends) <= {"unsupported_media", "complete", "decoder_crashed", "timeout"}, ends


@pytest.mark.parametrize(
    ("said", "of_memory"),
    [
        (b"x264 [error]: malloc of size 1500068 failed\n", True),
        (b"[libvpx-vp9 @ 0x1] Failed to initialize encoder: Memory allocation error\n", True),
        (b"terminate called after throwing an instance of 'std::bad_alloc'\n", True),
        (b"[h264 @ 0x1] error while decoding MB 3 4, bytestream 17\n", False),
    ],
)
def test_stderr_before_a_crash_reveals_memory_exhaustion(said: bytes, of_memory: bool) -> None:
    tail = StderrTail()
    for part in (said[:20], said[20:], b"  File somewhere, line 1 in something\n" * 1000):
        os.write(tail.descriptor, part)
        tail.read()
    tail.close_child_end()
    assert tail.ran_out_of_memory() == of_memory
    assert 1000 < len(tail.text()) <= 2000
    tail.close()


def test_encoder_of_av1_writes_nothing_but_errors() -> None:
    """SVT-AV1 writes its settings, and as root a vain wish for a higher priority, whatever FFmpeg's log level is."""
    script = """
import av
from clipengine.media.memory import log_library_errors
log_library_errors()
with av.open("/dev/null", "w", format="webm") as container:
    stream = container.add_stream("libsvtav1", rate=25)
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    container.mux(stream.encode(av.VideoFrame(320, 240, "yuv420p")))
    container.mux(stream.encode(None))
"""
    environment = {name: value for name, value in os.environ.items() if name != "SVT_LOG"}
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
    assert done.stderr == ""


def test_memory_is_limited(sample: Path) -> None:
    most = [0]

    def weigh(child: Child) -> Watch:
        def watch(message: Message | None) -> None:
            status = Path(f"/proc/{child._process.pid}/status").read_text()
            most[0] = max(most[0], int(status.partition("VmHWM:")[2].split()[0]) << 10)

        return watch

    with tempfile.TemporaryFile() as output, pytest.raises(UnsupportedMedia, match="more memory"):
        do_job(_cut(sample, memory_bytes=110 << 20), sample, output=output.fileno(), watching=weigh)
    assert most[0] < 200 << 20


# ---- size, time, priority


@pytest.mark.exhaustive
def test_file_size_limit_is_reported(sample: Path) -> None:
    with tempfile.TemporaryFile() as output:
        with pytest.raises(UnsupportedMedia, match="larger"):
            do_job(_cut(sample, file_bytes=20_000), sample, output=output.fileno())
        assert os.fstat(output.fileno()).st_size <= 20_000


def test_stopped_child_is_killed(sample: Path) -> None:
    def stop(child: Child) -> Watch:
        def watch(message: Message | None) -> None:
            if message is not None:
                os.kill(child._process.pid, signal.SIGSTOP)

        return watch

    with tempfile.TemporaryFile() as output, pytest.raises(Timeout, match="no progress") as raised:
        do_job(_cut(sample, stall_seconds=3), sample, output=output.fileno(), watching=stop)
    assert raised.value.suspended


def test_child_that_cut_a_clip_has_ended_although_it_was_to_be_kept(sample: Path) -> None:
    """A process that encodes several clips would not give each of them the same bytes."""
    child, cut = Child(), _cut(sample, seconds=1)
    try:
        with tempfile.TemporaryFile() as output, closing(FolderStore(sample.parent).open(sample.name)) as reader:
            child.run(probe_job(SETTINGS.encoding, cut_seconds=12.0), reader, watch=lambda message: None, keep=True)
            assert child.alive
            child.run(cut, reader, output=output.fileno(), watch=lambda message: None, keep=True)
        assert not child.alive
    finally:
        child.close()


@pytest.mark.exhaustive
@pytest.mark.parametrize("sandbox", cases(["auto", "off"], ("auto",)))
@pytest.mark.parametrize("profile", ["av1", "hevc"])
def test_threads_of_a_child_have_no_privileges_or_priority(profile: str, sandbox: Sandbox, sample: Path) -> None:
    """SVT-AV1 asks for real-time priority where it is root."""
    policies: set[int] = set()
    capabilities: set[int] = set()
    most = [0]
    job = _cut(sample, profile, seconds=2)
    with tempfile.TemporaryFile() as output, _in_a_hurry():
        watching = _looking(policies, capabilities, most)
        do_job(job, sample, output=output.fileno(), watching=watching, sandbox=sandbox)
    assert most[0] > 5  # there was something to look at
    assert policies == {os.SCHED_OTHER}
    assert capabilities == {0}


@contextmanager
def _in_a_hurry() -> Iterator[None]:
    """Real-time priority for this thread, and for what it starts, where that can be had."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _looking(policies: set[int], capabilities: set[int], most: list[int]) -> Watching:
    def look(child: Child) -> Watch:
        def watch(message: Message | None) -> None:
            if message is None or message["step"] == "reading":
                return
            threads = list(Path(f"/proc/{child._process.pid}/task").iterdir())
            most[0] = max(most[0], len(threads))
            for thread in threads:
                try:
                    policies.add(os.sched_getscheduler(int(thread.name)))
                    status = (thread / "status").read_text()
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it has ended meanwhile
                held = [line.split()[1] for line in status.splitlines() if line.startswith(("CapEff", "CapPrm"))]
                capabilities.update(int(each, 16) for each in held)

        return watch

    return look


# ---- stores that are not as they should be


class _Object:
    """An object of a store without descriptors, whose reads end where `give` lets them."""

    def __init__(self, data: bytes, *, more: bytes = b"", less: int = 0) -> None:
        self.info = StoredObject("recording", len(data), "etag", 0)
        self._data, self._more, self._less = data, more, less
        self.reads = 0

    def read_at(self, offset: int, length: int) -> bytes:
        self.reads += 1
        part = self._data[offset : offset + length]
        return part[: len(part) - self._less] + self._more

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def _made(job: Job, recording: Path | _Object) -> bytes:
    with tempfile.TemporaryFile() as output:
        do_job(job, recording, output=output.fileno())
        output.seek(0)
        return output.read()


@pytest.mark.exhaustive
def test_surplus_bytes_of_a_store_are_ignored(sample: Path) -> None:
    """The demuxer copies what it is given without a look at its length: the child would be gone, or worse."""
    broken = _Object(sample.read_bytes(), more=b"\xff" * 3_000_000)
    assert find_facts(SETTINGS, broken) == find_facts(SETTINGS, sample)
    job = _cut(sample, seconds=4)
    assert _made(job, broken) == _made(job, sample)
    assert broken.reads > 2


def test_short_read_of_a_store_is_not_a_damaged_recording(sample: Path) -> None:
    with pytest.raises(RecordingTruncated):
        find_facts(SETTINGS, _Object(sample.read_bytes(), less=1))


def test_reader_never_returns_more_than_requested() -> None:
    data = bytes(range(256)) * 1000

    class Generous(MemorySource):
        def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
            return super().read_at(offset, length) + b"\xff" * 100_000

    with MediaReader(Generous(data), block_bytes=4096) as reader:
        for length in (1, 5, 4095, 4096, 4097, 20_000, 0, 7):
            at = reader.tell()
            assert reader.read(length) == data[at : at + length]
        reader.seek(len(data) - 3)
        assert reader.read(100) == data[-3:]
        assert reader.read(100) == b""


class Drip:
    """A store's object that gives itself away slowly, for ever."""

    def __init__(self) -> None:
        self.info = StoredObject("drip", 1 << 42, "etag", 0)

    def read_at(self, offset: int, length: int) -> bytes:
        time.sleep(0.05)
        return ((b"\x47" + b"\xff" * 187) * (length // 188 + 1))[:length]

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def test_endless_object_reaches_a_deadline() -> None:
    job = replace(probe_job(SETTINGS.encoding), wall_seconds=1.0, stall_seconds=0.9)
    began = time.monotonic()
    with pytest.raises(ClipEngineError) as failed:
        Child().run(job, Drip(), watch=lambda message: None)
    assert failed.value.code in ("timeout", "recording_unreadable")
    assert time.monotonic() - began < 250


def test_cpu_time_limit_is_a_timeout(sample: Path) -> None:
    """By the kernel itself: at a hard limit it would send SIGKILL, as whoever kills from outside does.

    A job of no threads has one second.
    """
    lost: list[str] = []

    def watching(child: Child) -> Watch:
        child.on_loss = lost.append
        return lambda message: None

    with tempfile.TemporaryFile() as output, pytest.raises(Timeout, match="CPU time"):
        do_job(_cut(sample, "slow", threads=0), sample, output=output.fileno(), watching=watching)
    assert lost == ["cpu_time"]


def test_oom_killer_prefers_a_child_to_the_engine() -> None:
    child = Child()
    try:
        own, its = (int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in ("self", child._process.pid))
        assert its == max(own, 500)
    finally:
        child.close()
