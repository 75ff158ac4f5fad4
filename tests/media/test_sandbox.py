"""The encoder's sandbox: attempts from inside it, the filter's decisions, and work that must still succeed.

The attempts run in separate processes that lock themselves in as a child does. A layer that the kernel lacks is
skipped, because the engine goes on without it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.errors import SandboxIncomplete
from clipengine.media.sandbox import seccomp
from clipengine.media.sandbox.layers import Layer
from clipengine.settings.settings import Settings
from clipengine.work.children.jobs import cut_job
from clipengine.work.children.messages import Ready
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.process import Child, sandbox_layers
from tests.support.child import do_job, find_facts
from tests.support.selection import cases
from tests.support.waiting import until

pytestmark = pytest.mark.programs

LAYERS = ("descriptors", "parent death", "limits", "privileges", "landlock", "seccomp")
ATTEMPTS = Path(__file__).with_name("sandbox_attempts.py")


def _layers() -> dict[str, Layer]:
    return {layer.name: layer for layer in sandbox_layers()}


def _attempts(which: str, folder: Path, *, abi: int | None = None) -> dict[str, str]:
    """Return what each attempt ended with inside a cell of `which` layers: the name of an error, or "done"."""
    folder.mkdir(exist_ok=True)
    (folder / "there").write_text("not for you")
    ran = subprocess.run(
        [sys.executable, "-I", str(ATTEMPTS), which, str(folder), *([] if abi is None else [str(abi)])],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["given", "there"]
    assert (folder / "there").read_text() == "not for you"
    found: dict[str, str] = json.loads(ran.stdout)
    return found


NEEDED = {"read what was given", "write what was given", "start a thread", "allocate", "tell the time", "random bytes",
          "talk over a socket", "copy a descriptor", "change its own flags", "choose its own processors"}  # fmt: skip


def _done(found: dict[str, str]) -> set[str]:
    return {name for name, ended in found.items() if ended == "done"}


# The Landlock ABI versions of kernels 5.13, 5.19, 6.1 to 6.6, 6.8 and 6.12, and that of this kernel.
@pytest.mark.parametrize("abi", cases([1, 2, 3, 4, 6, None], [1, None]))
def test_every_attempt_to_leave_the_sandbox_fails(abi: int | None, tmp_path: Path) -> None:
    """`sandbox = "required"` accepts each of these kernels, so every attempt must fail on each."""
    if not all(layer.holds for layer in _layers().values()):
        pytest.skip("this kernel lacks a layer")
    found = _attempts("all", tmp_path / "cell", abi=abi)
    assert _done(found) == NEEDED, found
    refused = {name: ended for name, ended in found.items() if name not in NEEDED}
    assert set(refused.values()) <= {"EPERM", "EACCES", "ENOSYS", "MemoryError", "EFBIG", "ValueError"}, refused
    assert len(refused) >= 80


def test_landlock_denies_access_without_seccomp(tmp_path: Path) -> None:
    if not _layers()["landlock"].holds:
        pytest.skip("this kernel has no landlock")
    assert _done(_attempts("landlock", tmp_path / "cell")) == NEEDED


def test_seccomp_denies_access_without_landlock(tmp_path: Path) -> None:
    """This is why an older Landlock is enough: the filter refuses what that version does not."""
    if not _layers()["seccomp"].holds:
        pytest.skip("this kernel has no seccomp")
    assert _done(_attempts("seccomp", tmp_path / "cell")) == NEEDED


_UNFILTERED = """
import json, os, sys, threading
from clipengine.media.sandbox.lockdown import lock_down
threading.Thread(target=threading.Event().wait, daemon=True).start()  # seccomp is not installed beside other threads
layers = lock_down(os.getppid(), (), sandbox=True, landlock_abi=int(sys.argv[1]))
os.write(1, json.dumps([layer.to_object() for layer in layers]).encode())
os._exit(0)
"""


@pytest.mark.parametrize(("abi", "holds"), [(1, False), (3, False), (4, False), (5, False), (6, True)])
@pytest.mark.exhaustive
def test_older_landlock_does_not_hold_without_seccomp(abi: int, holds: bool) -> None:
    kernel = _layers()["landlock"]
    if not kernel.holds or int(kernel.detail.split()[1].strip(":")) < 6:
        pytest.skip("this kernel has no or an older landlock")
    ran = subprocess.run([sys.executable, "-c", _UNFILTERED, str(abi)], capture_output=True, check=True, timeout=300)
    landlock, filtered = json.loads(ran.stdout)[-2:]
    assert (landlock["name"], landlock["holds"]) == ("landlock", holds)
    assert ("nothing denies" in landlock["detail"]) != holds
    assert not filtered["holds"]


def test_32_bit_system_call_kills_the_child(tmp_path: Path) -> None:
    if platform.machine() != "x86_64" or not _layers()["seccomp"].holds:
        pytest.skip("this machine has no such interface, or no filter")
    (tmp_path / "there").touch()
    ran = subprocess.run(
        [sys.executable, "-I", str(ATTEMPTS), "int80", str(tmp_path)], capture_output=True, timeout=300
    )
    # SIGSYS by the filter; SIGSEGV if the kernel was built without the interface.
    assert (ran.returncode, ran.stdout) in ((-signal.SIGSYS, b""), (-signal.SIGSEGV, b""))


STACK = range(0x7FFC_FFFF_0000, 0x7FFD_0080_0000)


def _filtered(column: int, number: int, *arguments: int, pid: int = 4711, compiles: bool = False) -> str:
    """Interpret the filter of an architecture and return its verdict."""
    program = seccomp.build(column, 0xABCD, pid, stack=STACK, compiles=compiles)
    words = {0: number, 4: 0xABCD}
    for place, value in enumerate(arguments):
        words |= {16 + 8 * place: value & 0xFFFFFFFF, 20 + 8 * place: value >> 32}
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


@pytest.mark.parametrize("column", [0, 1])
def test_program_that_compiles_may_make_only_writable_memory_executable(column: int) -> None:
    """Memory that is not writable would not count against the limit."""
    rights = {3: "allowed", 7: "allowed", 5: "EPERM", 4: "EPERM", 1: "EPERM", 0x1000007: "EPERM"}
    mprotect, mmap = (10, 226)[column], (9, 222)[column]
    assert {each: _filtered(column, mprotect, 0, 4096, each, compiles=True) for each in rights} == rights
    assert _filtered(column, mmap, 0, 4096, 7, 0x22, compiles=True) == "EPERM"


# name, (x86_64, aarch64), arguments, what is decided
DECISIONS = [
    ("read", (0, 63), (), "allowed"),
    ("open", (2, 56), (), "EPERM"),
    ("execve", (59, 221), (), "EPERM"),
    ("socket", (41, 198), (), "EPERM"),
    ("ptrace", (101, 117), (), "EPERM"),
    ("mmap", (9, 222), (0, 4096, 3, 0x22), "allowed"),
    ("mmap of a thread's stack", (9, 222), (0, 4096, 0, 0x20022), "allowed"),
    ("mmap to execute", (9, 222), (0, 4096, 7, 0x22), "EPERM"),
    ("mmap shared", (9, 222), (0, 4096, 3, 0x21), "EPERM"),
    ("mmap shared, validated", (9, 222), (0, 4096, 3, 0x23), "EPERM"),
    ("mmap that grows down", (9, 222), (0, 4096, 3, 0x122), "EPERM"),
    ("mmap of huge pages", (9, 222), (0, 4096, 3, 0x40022), "EPERM"),
    ("mprotect", (10, 226), (0, 4096, 3), "allowed"),
    ("mprotect to execute", (10, 226), (0, 4096, 5), "EPERM"),
    ("mprotect to read only", (10, 226), (0, 4096, 1), "EPERM"),
    ("mprotect down to the start of the stack", (10, 226), (0, 4096, 0x1000003), "EPERM"),
    ("mremap", (25, 216), (0x7FE5_B82F_F000, 4096, 8192), "allowed"),
    ("mremap of the stack", (25, 216), (0x7FFC_FFFF_F000, 4096, 8192), "EPERM"),
    ("mremap of the stack's end", (25, 216), (0x7FFD_0000_1000, 4096, 8192), "EPERM"),
    ("futex to wait", (202, 98), (0x1000, 128 | 256 | 9), "allowed"),
    ("futex with priority inheritance", (202, 98), (0x1000, 128 | 6), "EPERM"),
    ("fcntl F_GETFL", (72, 25), (3, 3), "allowed"),
    ("fcntl F_SETFL", (72, 25), (3, 4, 0o4000), "allowed"),
    ("fcntl F_SETFL with O_ASYNC", (72, 25), (3, 4, 0o24000), "EPERM"),
    ("fcntl F_GETFD", (72, 25), (3, 1), "allowed"),
    ("fcntl F_SETFD", (72, 25), (3, 2, 0o20000), "allowed"),
    ("fcntl F_DUPFD_CLOEXEC", (72, 25), (3, 1030, 0o20000), "allowed"),
    ("fcntl F_DUPFD", (72, 25), (3, 0), "EPERM"),
    ("fcntl F_SETLK", (72, 25), (3, 6), "EPERM"),
    ("fcntl F_SETOWN", (72, 25), (3, 8, 1), "EPERM"),
    ("fcntl F_SETSIG", (72, 25), (3, 10, 9), "EPERM"),
    ("fcntl F_SETOWN_EX", (72, 25), (3, 15), "EPERM"),
    ("fcntl F_OFD_SETLK", (72, 25), (3, 37), "EPERM"),
    ("fcntl F_SETLEASE", (72, 25), (3, 1024), "EPERM"),
    ("its own processors", (203, 122), (0, 8, 0x1000), "allowed"),
    ("another's processors", (203, 122), (1, 8, 0x1000), "EPERM"),
    ("send", (44, 206), (5, 0x1000, 1, 0, 0, 0), "allowed"),
    ("send to an address", (44, 206), (5, 0x1000, 1, 0, 0x1000, 16), "EPERM"),
    ("send to an address whose lower half is 0", (44, 206), (5, 0x1000, 1, 0, 0x7FE5_0000_0000, 16), "EPERM"),
    ("send out of band", (44, 206), (5, 0x1000, 1, 1, 0, 0), "EPERM"),
    ("sendmsg", (46, 211), (5, 0x1000, 0), "EPERM"),
    ("receive a message", (47, 212), (5, 0x1000, 0), "allowed"),
    ("receive out of band", (47, 212), (5, 0x1000, 1), "EPERM"),
    ("a socket option", (54, 208), (5, 1, 15), "EPERM"),
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
    ("empty its output", (77, 46), (5, 0), "allowed"),
    ("lengthen its output", (77, 46), (5, 4096), "EPERM"),
    ("lengthen its output by a length whose lower half is 0", (77, 46), (5, 1 << 32), "EPERM"),
    ("its own priority", (141, 140), (0, 0), "allowed"),
    ("another's priority", (141, 140), (0, 1), "EPERM"),
    ("a group's priority", (141, 140), (1, 0), "EPERM"),
    ("see its own priority", (140, 141), (0, 0), "allowed"),
    ("see another's priority", (140, 141), (0, 1), "EPERM"),
    ("own a socket", (16, 29), (4, 0x8901), "EPERM"),
    ("do not wait", (16, 29), (4, 0x5421), "allowed"),
    ("type into a terminal", (16, 29), (0, 0x5412), "EPERM"),
]


@pytest.mark.parametrize("column", [0, 1], ids=["x86_64", "aarch64"])
def test_seccomp_checks_arguments(column: int) -> None:
    found = [(name, _filtered(column, numbers[column], *arguments)) for name, numbers, arguments, _ in DECISIONS]
    assert found == [(name, decided) for name, _, _, decided in DECISIONS]


def test_child_reports_its_sandbox_layers() -> None:
    layers = sandbox_layers()
    assert tuple(layer.name for layer in layers) == LAYERS
    assert all(layer.detail for layer in layers)
    child = Child(sandbox="off")
    try:
        assert [layer.name for layer in child.wait_until_ready()] == [
            "descriptors",
            "parent death",
            "limits",
            "privileges",
        ]
    finally:
        child.close()


def test_kernel_confirms_the_reported_layers() -> None:
    child = Child()
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


# Prints its own pid and those of the children of `clipengine cut`, and whether each is ready with all of the sandbox.
_FORKING = """
import json, os, sys
from clipengine.cli.local.children import LocalChildren
children = LocalChildren(fork=True)
started = [children.start(program, sandbox=sys.argv[1]) for program in ("maker", "inspector")]
layers = [[layer.name for layer in child.wait_until_ready()] for child in started]
print(json.dumps([os.getpid(), [child._process.pid for child in started], layers]), flush=True)
sys.stdin.readline()
children.close()
for child in started:
    child.close()
"""


@pytest.fixture(params=cases(["auto", "off"], ["auto"]))
def local_children(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, int, list[int], list[list[str]]]]:
    """Yield the setting, a secret of the environment, and what a command with two children prints."""
    secret = os.urandom(16).hex()
    command = [sys.executable, "-c", _FORKING, request.param]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"A_SECRET": secret, secret: "1"}
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        try:
            yield request.param, secret, *json.loads(parent.stdout.readline())
            parent.stdin.write("\n")
            parent.stdin.flush()
            assert parent.wait(300) == 0
        finally:
            parent.kill()


@pytest.mark.exhaustive
def test_children_of_the_command_are_forked_and_hold_no_environment(
    local_children: tuple[str, str, int, list[int], list[list[str]]],
) -> None:
    sandbox, secret, parent, children, layers = local_children
    assert secret.encode() in _memory(parent)
    for pid in children:
        assert secret.encode() not in _memory(pid)
        assert not Path(f"/proc/{pid}/environ").read_bytes().strip(b"\0")
        links = {int(path.name): os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()}
        assert [links[0], links[1], os.readlink(f"/proc/{pid}/cwd")] == ["/dev/null", "/dev/null", "/"]
        assert [links[number].partition(":")[0] for number in sorted(links)[2:]] == ["pipe", "socket", "socket"]
        assert os.getsid(pid) == pid
        forked = b"LocalChildren" in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert forked == (sandbox != "off")  # a sandbox that is switched off needs a child without it
    assert layers == [list(LAYERS if sandbox != "off" else LAYERS[:4])] * 2


def _memory(pid: int) -> bytes:
    """Return all writable memory of a process."""
    found = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(each, 16) for each in span.split("-"))
            if rights.startswith("rw"):
                memory.seek(start)
                with contextlib.suppress(OSError):
                    found += memory.read(end - start)
    return found


def test_required_sandbox_rejects_an_incomplete_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that was started without its sandbox stands for a kernel that has none."""
    child = Child(sandbox="off")
    child.sandbox = "required"
    lacking = Layer("landlock", False, "Function not implemented").to_object()
    try:
        with pytest.raises(SandboxIncomplete, match="landlock"):
            child._note_ready(Ready.model_validate({"type": "ready", "layers": [lacking]}))
    finally:
        child.close()
    if all(layer.holds for layer in sandbox_layers()):
        pool = ChildPool(sandbox="required")
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


@pytest.mark.parametrize("codec", cases(ENCODERS, ("h264",)))
def test_every_codec_works_in_the_sandbox(codec: str, tmp_path: Path) -> None:
    film = _film(tmp_path / f"film.{'mov' if codec in ('prores', 'mjpeg') else 'mkv'}", codec)
    facts = find_facts(SETTINGS, film)
    for name in PROFILES:
        job = cut_job(
            SETTINGS.encoding,
            SETTINGS.profiles[name],
            [PlannedPart(facts, Fraction(2, 25), Fraction(10, 25))],
            poster=True,
        )
        with tempfile.TemporaryFile() as output:
            made = do_job(job, film, output=output.fileno())["cut"]
        assert (made["frames"], made["video_codec"]) == (8, name), (codec, name, made)


# ---- its end

_PARENT = """
import os, sys, threading, time
from clipengine.work.children.messages import Ready
from clipengine.work.children.pool import ChildPool
pool = ChildPool()
made = []
thread = threading.Thread(target=lambda: made.append(pool.take()))
thread.start(); thread.join()
made[0].wait_until_ready()
time.sleep(0.3)
print(made[0]._process.pid, made[0].alive, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.exhaustive
def test_child_dies_with_its_parent_and_not_with_a_thread(stopped: bool) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, alive = parent.stdout.readline().split()
    assert alive == "True"
    if stopped:
        os.kill(int(pid), signal.SIGSTOP)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not _lives(int(pid)))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
