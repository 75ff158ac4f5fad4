"""Hostile and broken recordings through the API of a real server: each ends soon, with its own code, and alone."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

import pytest

from clipengine.client import ApiError, Client
from scripts.fuzzing.corpus import references
from scripts.sample import make_sample
from tests.support.children import holding, weighed, working
from tests.support.damage import film, without_pictures
from tests.support.hostile import CASES, with_hole
from tests.support.selection import cases
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.proof

STALL_SECONDS, PROBE_SECONDS = 5, 20
# Upper bounds of resident memory for any recording; 84 MB and 562 MB were measured.
ENGINE_BYTES, CHILD_BYTES = 200 << 20, 800 << 20
EACH_KIND = (
    "empty",
    "half a ts",
    "a png of 16000 by 16000",
)
ENVIRON = {
    "CLIPENGINE_ENCODING__STALL_SECONDS": str(STALL_SECONDS),
    "CLIPENGINE_ENCODING__PROBE_SECONDS": str(PROBE_SECONDS),
    "CLIPENGINE_ENCODING__MEMORY_MB": "2500",  # enforced by the kernel for every child
    "CLIPENGINE_ENCODING__THREADS_PER_CLIP": "2",
    "CLIPENGINE_ENCODING__NICE": "0",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Yield one server for all recordings, so that damage by one affects the next."""
    with running_server(tmp_path_factory.mktemp("hostile") / "data", env=ENVIRON, fork=False) as running:
        with weighed(running.process.pid) as weight:
            yield running
        assert running.stop() == 0
        assert weight.engine < ENGINE_BYTES, weight
        assert weight.child < CHILD_BYTES, weight
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Client:
    return server.client()


def _place(server: RunningServer, name: str) -> Path:
    folder = server.data / "store" / "h_01"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name.replace(" ", "-")


def _outcome(api: Client, path: Path) -> tuple[str, str]:
    """Return the id of the recording, and "complete" or its error code."""
    added = api.recordings.add(f"h_01/{path.name}")
    ended = api.recordings.wait(added.recording_id, timeout=300)
    return added.recording_id, "complete" if ended.status == "complete" else ended.error.code


def _clip(api: Client, recording: str, start: float = 0.0, end: float = 0.4) -> str:
    made = api.clips.create(recording, label="cut", start_seconds=start, end_seconds=end)
    ended = api.clips.wait(made.clip_id, timeout=300)
    return "complete" if ended.status == "complete" else ended.error.code


@pytest.mark.parametrize("name", cases(CASES, EACH_KIND))
def test_hostile_recording_ends_with_its_code(name: str, server: RunningServer, api: Client) -> None:
    case = CASES[name]
    path = _place(server, name)
    try:
        case.make(path)
    except OSError:
        pytest.skip("this file system takes no file of this size")
    try:
        recording, outcome = _outcome(api, path)
        assert outcome in case.ends, outcome
        if outcome == "complete":
            assert _clip(api, recording) in case.clips
    finally:
        path.unlink()


@pytest.mark.parametrize("kind", ["mpegts", "matroska"])
def test_truncated_recording_yields_no_shorter_clip(kind: str, server: RunningServer, api: Client) -> None:
    whole = film(kind, seconds=4)
    path = _place(server, f"half.{kind}")
    path.write_bytes(whole[: len(whole) // 2])
    recording, outcome = _outcome(api, path)
    assert outcome == "complete"
    media = api.recordings.get(recording)
    assert media.duration_seconds is not None
    assert 1 < media.duration_seconds < 3  # not the four seconds that its header may declare
    with pytest.raises(ApiError) as refused:
        api.clips.create(recording, label="beyond", start_seconds=3.0, end_seconds=3.9)
    assert refused.value.status == 422
    assert _clip(api, recording, 0.2, 0.8) == "complete"


@pytest.mark.outage
@pytest.mark.parametrize("sound", [0, 1], ids=["silent", "heard"])
@pytest.mark.parametrize("kind", ["mp4", "mpegts", "matroska"])
def test_hole_in_a_recording_is_reported_with_the_clip(
    kind: str, sound: int, server: RunningServer, api: Client
) -> None:
    """200 kB of 0xFF in the middle: clips beside it are whole, one across it keeps its times and lists the gap."""
    path = _place(server, f"hole-{sound}.{kind}")
    path.write_bytes(with_hole(film(kind, noise=True, size=256, seconds=2, sound=sound)))
    recording, outcome = _outcome(api, path)
    assert outcome == "complete"
    for start, end, lacks in ((0.0, 0.4, False), (0.6, 1.4, True), (1.6, 1.96, False)):
        made = api.clips.wait(api.clips.create(recording, "hole", start, end).clip_id, timeout=300)
        assert made.result is not None, made.error
        frames = round((end - start) * 25)
        assert abs(made.result.actual_start_seconds - start) < 0.02  # in the TS, video begins 10 ms after audio
        assert made.result.actual_end_seconds == end
        if lacks:
            assert frames / 2 < made.result.frames < frames
            assert any("between frames" in warning for warning in made.result.warnings), made.result.warnings
        else:
            assert made.result.frames == frames
            assert not any("between frames" in warning for warning in made.result.warnings)


def test_range_with_only_damaged_frames_fails(server: RunningServer, api: Client) -> None:
    """All frames from the third second on are overwritten: neither the last good frame nor audio replaces them."""
    path = _place(server, "spoilt.mp4")
    path.write_bytes(without_pictures(film("mp4", noise=True, size=64), since=2))
    recording, outcome = _outcome(api, path)
    assert outcome == "complete"
    assert [_clip(api, recording, *span) for span in ((1.0, 2.0), (1.5, 2.5), (2.5, 3.0))] == [
        "complete",
        "complete",
        "recording_unreadable",
    ]


def test_recording_cannot_open_other_files_or_addresses(server: RunningServer, api: Client) -> None:
    bait = _place(server, "bait.mp4")
    bait.write_bytes(film())
    os.utime(bait, (1, time.time()))
    with socket.create_server(("127.0.0.1", 0)) as trap:
        url = f"http://127.0.0.1:{trap.getsockname()[1]}"
        for name, text in references(url, bait).items():
            for path in (_place(server, name.replace("%", "")), _place(server, f"{name.replace('%', '')}.mp4")):
                path.write_text(text)
                recording, outcome = _outcome(api, path)
                error = api.recordings.get(recording).error
                if name.startswith("image"):
                    assert outcome == "recording_unreadable", name
                    assert "not in a media format" in str(error), name
                elif path.suffix == ".m3u8":
                    assert outcome == "playlist_outside", name
                else:
                    assert outcome == "unsupported_media", name
                    assert "which only names" in str(error), name
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert bait.stat().st_atime == 1


@pytest.mark.exhaustive
def test_pipe_is_rejected_as_a_recording(server: RunningServer, api: Client) -> None:
    path = _place(server, "pipe.mp4")
    os.mkfifo(path)
    with pytest.raises(ApiError) as refused:
        api.recordings.add(f"h_01/{path.name}")
    assert 400 <= refused.value.status < 500
    path.unlink()


# ---- children that hang or die


@pytest.fixture(scope="module")
def long(server: RunningServer, api: Client) -> str:
    path = _place(server, "long.mp4")
    make_sample(path, seconds=40)
    recording, outcome = _outcome(api, path)
    assert outcome == "complete"
    return recording


def _while_working(server: RunningServer, sig: signal.Signals) -> None:
    children: list[int] = []
    until(lambda: children.extend(working(server.process.pid)) or children)  # type: ignore[func-returns-value]
    for pid in children:
        os.kill(pid, sig)


def _signal_each(
    sig: signal.Signals, find: Callable[[], list[int]], ended: Callable[[], bool], seconds: float = 300
) -> int:
    """Send each child that is found the signal, until the job has ended, and return the number of children."""
    sent: set[int] = set()

    def look() -> bool:
        for pid in set(find()) - sent:
            with suppress(ProcessLookupError):
                os.kill(pid, sig)
                sent.add(pid)
        return ended()

    until(look, seconds)
    return len(sent)


@pytest.mark.outage
def test_child_that_is_stopped_once_costs_one_attempt(server: RunningServer, api: Client, long: str) -> None:
    made = api.clips.create(long, label="stopped", start_seconds=0.0, end_seconds=40.0)
    _while_working(server, signal.SIGSTOP)
    clip = api.clips.wait(made.clip_id, timeout=300)
    assert (clip.status, clip.attempt) == ("complete", 2), clip.error


@pytest.mark.outage
def test_host_that_freezes_costs_no_attempt(server: RunningServer, api: Client, long: str) -> None:
    made = api.clips.create(long, label="frozen", start_seconds=0.0, end_seconds=40.0)
    _while_working(server, signal.SIGSTOP)
    frozen = [server.process.pid, *working(server.process.pid)]
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(STALL_SECONDS + 3)
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    clip = api.clips.wait(made.clip_id, timeout=300)
    assert (clip.status, clip.attempt) == ("complete", 1), clip.error


@pytest.mark.outage
def test_child_that_hangs_three_times_is_killed_by_its_watchdog(server: RunningServer, api: Client, long: str) -> None:
    made = api.clips.create(long, label="hangs", start_seconds=0.0, end_seconds=40.0)
    took: list[float] = []

    def ended() -> bool:
        asked = time.monotonic()
        api.recordings.get(long)
        took.append(time.monotonic() - asked)
        return api.clips.get(made.clip_id).status in ("complete", "failed")

    _signal_each(signal.SIGSTOP, lambda: working(server.process.pid), ended, 3 * STALL_SECONDS + 300)
    clip = api.clips.get(made.clip_id)
    assert clip.error is not None
    assert (clip.error.code, clip.attempt) == ("timeout", 3)
    until(lambda: not working(server.process.pid))
    assert median(took) < 2  # API requests never wait for a child
    assert _clip(api, long) == "complete"


CODES = pytest.mark.parametrize(
    ("sig", "code"),
    [(signal.SIGSEGV, "decoder_crashed"), (signal.SIGKILL, "decoder_killed")],
)


@pytest.mark.outage
@CODES
def test_clip_fails_after_three_killed_children(
    sig: signal.Signals, code: str, server: RunningServer, api: Client, long: str
) -> None:
    made = api.clips.create(long, label="dies", start_seconds=0.0, end_seconds=40.0)
    killed = _signal_each(
        sig,
        lambda: working(server.process.pid),
        lambda: api.clips.get(made.clip_id).status in ("complete", "failed"),
    )
    clip = api.clips.get(made.clip_id)
    assert clip.error is not None
    assert clip.error.code == code
    assert killed == 3
    assert clip.attempt == 3
    assert api.clips.get(made.clip_id).status == "failed"
    assert _clip(api, long) == "complete"


@pytest.mark.outage
def test_child_killed_from_outside_costs_one_attempt(server: RunningServer, api: Client, long: str) -> None:
    made = api.clips.create(long, label="killed", start_seconds=0.0, end_seconds=40.0)
    _while_working(server, signal.SIGKILL)
    assert _clip(api, long) == "complete"  # while the other clip is paused
    clip = api.clips.wait(made.clip_id, timeout=300)
    assert (clip.status, clip.attempt) == ("complete", 2), clip.error
    told = re.findall(r"a child ended with -9.*", server.log.read_text())
    assert told
    assert not [line for line in told if line.rstrip().endswith(":")]


@pytest.mark.outage
@CODES
def test_probe_fails_after_three_killed_children(
    sig: signal.Signals, code: str, server: RunningServer, api: Client
) -> None:
    path = _place(server, f"dies-{sig.name}.flv")
    CASES["a million packets of one byte"].make(path)
    added = api.recordings.add(f"h_01/{path.name}")
    killed = _signal_each(
        sig,
        lambda: holding(server.process.pid, path),
        lambda: api.recordings.get(added.recording_id).status != "processing",
    )
    recording = api.recordings.get(added.recording_id)
    assert recording.error is not None
    assert recording.error.code == code
    assert killed == 3
