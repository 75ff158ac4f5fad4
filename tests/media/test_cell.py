"""The encoder's cell: what a child in the hands of its recording can still do is tried from inside. It is nothing.

The attempts run in processes of their own that lock themselves in as a child does. What a kernel lacks is skipped, as
the engine goes on without it.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import pytest

from clipengine.errors import SandboxIncomplete
from clipengine.media.sandbox import seccomp
from clipengine.media.sandbox.layers import Layer
from clipengine.settings import Settings
from clipengine.work.encoder import EncoderPool, EncoderProcess, sandbox_layers
from clipengine.work.jobs import cut_job
from tests.support.child import do_job, find_facts

LAYERS = ("descriptors", "parent death", "limits", "privileges", "landlock", "seccomp")
ATTEMPTS = Path(__file__).with_name("cell_attempts.py")


def _layers() -> dict[str, Layer]:
    return {layer.name: layer for layer in sandbox_layers()}


def _attempts(which: str, folder: Path) -> dict[str, str]:
    """What became of each attempt, inside a cell of `which` layers: the name of an error, or "done"."""
    folder.mkdir(exist_ok=True)
    (folder / "there").write_text("not for you")
    ran = subprocess.run(
        [sys.executable, "-I", str(ATTEMPTS), which, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["given", "there"]
    assert (folder / "there").read_text() == "not for you"
    found: dict[str, str] = json.loads(ran.stdout)
    return found


NEEDED = {"read what was given", "write what was given", "start a thread", "allocate", "tell the time", "random bytes"}


def test_nothing_leaves_the_cell(tmp_path: Path) -> None:
    if not all(layer.holds for layer in _layers().values()):
        pytest.skip("this kernel lacks a layer")
    found = _attempts("all", tmp_path / "cell")
    assert {name for name, ended in found.items() if ended == "done"} == NEEDED, found
    refused = {name: ended for name, ended in found.items() if name not in NEEDED}
    assert set(refused.values()) <= {"EPERM", "EACCES", "ENOSYS", "MemoryError", "EFBIG", "ValueError"}, refused
    assert len(refused) >= 40


@pytest.mark.parametrize(
    ("layer", "refused"),
    [
        ("landlock", {"open a file", "make a file", "list a folder", "execute a program", "connect by TCP", "rename"}),
        (
            "seccomp",
            {"open a file", "make a file", "list a folder", "execute a program", "make a socket", "fork", "io_uring",
             "kill the parent", "trace the parent", "executable memory"},
        ),
    ],
)  # fmt: skip
def test_each_layer_holds_by_itself(layer: str, refused: set[str], tmp_path: Path) -> None:
    if not _layers()[layer].holds:
        pytest.skip(f"this kernel has no {layer}")
    found = _attempts(layer, tmp_path / "cell")
    assert {name for name in refused if found[name] == "done"} == set()
    assert {name for name in NEEDED if found[name] != "done"} == set()


def _filtered(column: int, number: int, *arguments: int, pid: int = 4711) -> str:
    """What the filter of an architecture decides, by a small machine of its own."""
    program = seccomp.build(column, 0xABCD, pid)
    words = {0: number, 4: 0xABCD} | {16 + 8 * place: value for place, value in enumerate(arguments)}
    at, register = 0, 0
    while True:
        code, yes, no, value = program[at]
        at += 1
        if code == 0x06:
            return {0x7FFF0000: "allowed", 0x80000000: "killed"}.get(value, errno.errorcode.get(value & 0xFFFF, "?"))
        if code == 0x20:
            register = words.get(value, 0)
        elif code == 0x54:
            register &= value
        else:
            true = {0x15: register == value, 0x25: register > value, 0x45: bool(register & value)}[code]
            at += yes if true else no


# name, (x86_64, aarch64), arguments, what is decided
DECISIONS = [
    ("read", (0, 63), (), "allowed"),
    ("futex", (202, 98), (), "allowed"),
    ("open", (2, 56), (), "EPERM"),
    ("execve", (59, 221), (), "EPERM"),
    ("socket", (41, 198), (), "EPERM"),
    ("ptrace", (101, 117), (), "EPERM"),
    ("mmap", (9, 222), (0, 4096, 3), "allowed"),
    ("mmap to execute", (9, 222), (0, 4096, 7), "EPERM"),
    ("mprotect to execute", (10, 226), (0, 4096, 5), "EPERM"),
    ("a thread", (56, 220), (0x3D0F00,), "allowed"),
    ("a thread of musl", (56, 220), (0x7D0F00,), "allowed"),
    ("a process", (56, 220), (17,), "EPERM"),
    ("a namespace", (56, 220), (0x3D0F00 | 0x10000000,), "EPERM"),
    ("clone3", (435, 435), (), "ENOSYS"),
    ("newer than this engine", (500, 500), (), "ENOSYS"),
    ("of another interface", (0x40000001, 0x40000001), (), "ENOSYS"),
    ("abort", (234, 131), (4711, 4711, 6), "allowed"),
    ("kill another", (234, 131), (4712, 4712, 9), "EPERM"),
    ("name a thread", (157, 167), (15,), "allowed"),
    ("undo no_new_privs", (157, 167), (38,), "EPERM"),
    ("its own limits", (302, 261), (0, 7), "allowed"),
    ("another's limits", (302, 261), (1, 7), "EPERM"),
    ("its own priority", (141, 140), (0, 0), "allowed"),
    ("another's priority", (141, 140), (0, 1), "EPERM"),
    ("a group's priority", (141, 140), (1, 0), "EPERM"),
    ("do not wait", (16, 29), (4, 0x5421), "allowed"),
    ("type into a terminal", (16, 29), (0, 0x5412), "EPERM"),
]


@pytest.mark.parametrize("column", [0, 1], ids=["x86_64", "aarch64"])
def test_what_the_filter_decides(column: int) -> None:
    found = [(name, _filtered(column, numbers[column], *arguments)) for name, numbers, arguments, _ in DECISIONS]
    assert found == [(name, decided) for name, _, _, decided in DECISIONS]


def test_a_child_says_what_holds() -> None:
    layers = sandbox_layers()
    assert tuple(layer.name for layer in layers) == LAYERS
    assert all(layer.detail for layer in layers)
    child = EncoderProcess(sandbox="off")
    try:
        assert [layer.name for layer in child.wait_until_ready()] == [
            "descriptors",
            "parent death",
            "limits",
            "privileges",
        ]
    finally:
        child.close()


def test_the_kernel_agrees() -> None:
    child = EncoderProcess()
    try:
        layers = {layer.name: layer.holds for layer in child.wait_until_ready()}
        folder = Path(f"/proc/{child._process.pid}")
        status = dict(line.split(":\t") for line in (folder / "status").read_text().splitlines() if ":\t" in line)
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == ("2" if layers["seccomp"] else "0")
        assert status["Threads"] == "1"
        links = {int(path.name): os.readlink(path) for path in (folder / "fd").iterdir()}
        assert [links[0], links[1]] == ["/dev/null"] * 2
        assert [links[number].partition(":")[0] for number in sorted(links)[2:]] == ["pipe", "socket", "socket"]
        assert (folder / "environ").read_bytes().strip(b"\0") in (b"", b"LC_CTYPE=C.UTF-8")
        limits = (folder / "limits").read_text()
        assert "Max core file size        0                    0" in limits
        assert "Max open files            32                   32" in limits
    finally:
        child.close()


def test_required_refuses_what_is_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that was started without its sandbox stands for a kernel that has none."""
    child = EncoderProcess(sandbox="off")
    child._sandbox = "required"
    try:
        assert len(child.wait_until_ready()) == 4
        with pytest.raises(SandboxIncomplete, match="landlock"):
            child._note_ready({"layers": [Layer("landlock", False, "Function not implemented").to_object()]})
    finally:
        child.close()
    if all(layer.holds for layer in sandbox_layers()):
        pool = EncoderPool(sandbox="required")
        try:
            pool.check_sandbox()
        finally:
            pool.close()


# ---- work under it

ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1", "prores": "prores_ks",
            "mjpeg": "mjpeg"}  # fmt: skip
PROFILES = {
    "h264": {"preset": "ultrafast"},
    "hevc": {"video": "hevc", "preset": "ultrafast"},
    "vp9": {"container": "webm", "video": "vp9", "audio": "opus", "preset": "ultrafast"},
    "av1": {"video": "av1", "preset": "ultrafast"},
}
SETTINGS = Settings.model_validate({"encoding": {"threads_per_clip": 3}, "profiles": PROFILES})


def _film(path: Path, codec: str, *, size: tuple[int, int] = (160, 96), frames: int = 12) -> Path:
    formats = {"prores": "yuv422p10le", "mjpeg": "yuvj420p"}
    options = {"h264": {"preset": "ultrafast"}, "hevc": {"x265-params": "log-level=none"}}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(ENCODERS[codec], rate=25, options=options.get(codec, {}))
        stream.width, stream.height = size
        stream.pix_fmt = formats.get(codec, "yuv420p")
        for number in range(frames):
            frame = av.VideoFrame(*size, stream.pix_fmt)
            for plane in frame.planes:
                plane.update(bytes([(40 + 11 * number) % 256]) * plane.buffer_size)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("codec", ENCODERS)
def test_every_codec_works_in_it(codec: str, tmp_path: Path) -> None:
    film = _film(tmp_path / f"film.{'mov' if codec in ('prores', 'mjpeg') else 'mkv'}", codec)
    facts = find_facts(SETTINGS, film)
    for name in PROFILES:
        job = cut_job(SETTINGS, facts, name, start=Fraction(2, 25), end=Fraction(10, 25), poster=True)
        with tempfile.TemporaryFile() as output:
            made = do_job(job, film, output=output.fileno())["cut"]
        assert (made["frames"], made["video_codec"]) == (8, name), (codec, name, made)


# ---- its end

_PARENT = """
import os, sys, threading, time
from clipengine.work.encoder import EncoderPool
pool = EncoderPool()
made = []
thread = threading.Thread(target=lambda: made.append(pool.take()))
thread.start(); thread.join()
made[0].wait_until_ready()
time.sleep(0.3)
print(made[0]._process.pid, made[0].alive, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("stopped", [False, True])
def test_a_child_dies_with_its_parent_and_not_with_a_thread(stopped: bool) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, alive = parent.stdout.readline().split()
    assert alive == "True"
    if stopped:
        os.kill(int(pid), signal.SIGSTOP)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while _lives(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
