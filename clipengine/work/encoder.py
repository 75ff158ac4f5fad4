"""Encoder processes: one child for each probe and each cut, killable, with warm children always ready.

A recording that crashes or hangs its decoder takes its own child with it and nothing else. The child inherits two
sockets and no environment; what it may read and write comes with its job. It works in a cell (`media.sandbox`) and
what it says is not trusted: it may be in the hands of whoever made the recording.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Literal, get_args

from clipengine.clips.clip import Step
from clipengine.errors import (
    ClipEngineError,
    DecoderCrashed,
    EncoderFailed,
    Internal,
    SandboxIncomplete,
    Timeout,
    UnsupportedMedia,
)
from clipengine.media.sandbox.layers import Layer, from_objects
from clipengine.media.wire import Channel, error_from
from clipengine.settings import Sandbox
from clipengine.stores.base import ObjectReader
from clipengine.work.heads import Heads
from clipengine.work.jobs import Job, Message
from clipengine.work.last_words import LastWords
from clipengine.work.liveness import Liveness
from clipengine.work.lost_child import cause_of, error_of

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.25
_KILL_SECONDS = 5.0
_START_SECONDS = 60.0
_TRACE_CHARACTERS = 4000
_MAX_RANGE_BYTES = 32 << 20
_FIRST_TO_GO = 500  # of at most 1000, added to a child's part of the memory in thousandths; see proc(5)

# The mains of children. An encoder probes, cuts and makes previews; an inspector reads a finished clip.
Program = Literal["child", "inspector"]
# Called with each message of the child about its progress, and with None several times a second; raise from it to
# stop the child.
Watch = Callable[[Message | None], None]


def sandbox_layers() -> tuple[Layer, ...]:
    """What a child's cell consists of on this machine, as a real child reports it: six layers, innermost last.

    Each has `name` ("descriptors", "parent death", "limits", "privileges", "landlock" or "seccomp"), `holds`, and
    `detail`: what it covers, or why it is missing. Raises DecoderCrashed, DecoderKilled or Timeout where no child can
    be started.
    """
    child = EncoderProcess()
    try:
        return child.wait_until_ready()
    finally:
        child.close()


class EncoderProcess:
    """One child. Make it, `run` one job, and it is gone.

    It also dies with the thread that makes it: see `EncoderPool`.
    """

    def __init__(
        self, program: Program = "child", *, nice: int = 0, sandbox: Sandbox = "auto", heads: Heads | None = None
    ) -> None:
        control, child_control = socket.socketpair()
        ranges, child_ranges = socket.socketpair()
        self._words = LastWords()
        self._program = program
        self._sandbox = sandbox
        self._heads = heads or Heads()
        self._process = self._launch(child_control.fileno(), child_ranges.fileno(), self._words.descriptor)
        child_control.close()
        child_ranges.close()
        self._words.hand_over()
        _step_back(self._process.pid, nice)
        _offer_memory(self._process.pid)
        self._control = Channel(control)
        self._ranges = Channel(ranges)
        self._liveness = Liveness(self._process.pid, tick=_TICK_SECONDS)
        self._killed = False
        # Told why it ended, where it did so before its job: crashed, killed (from outside), cpu_time, deadline, stalled
        # or stopped (on purpose).
        self.on_loss: Callable[[str], None] = _nobody
        self.layers: tuple[Layer, ...] = ()  # known when it is ready

    def _launch(self, control: int, ranges: int, words: int) -> subprocess.Popen[bytes]:
        """Start it, with these descriptors and its standard error to `words`."""
        cell = "free" if self._sandbox == "off" else "cell"
        module = f"clipengine.media.{self._program}"
        return subprocess.Popen(
            [sys.executable, "-I", "-m", module, str(control), str(ranges), str(os.getpid()), cell],
            pass_fds=(control, ranges),
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,
            start_new_session=True,
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> tuple[Layer, ...]:
        """The layers of its cell, once all of them are in place."""
        try:
            received = self._control.receive(_START_SECONDS)
        except TimeoutError:
            raise Timeout(f"no encoder process could be started within {_START_SECONDS:g} s") from None
        if received is None:
            raise self._died()
        self._note_ready(received[0])
        return self.layers

    def run(
        self,
        job: Job,
        *,
        reader: ObjectReader,
        output: int | None = None,
        watch: Watch,
    ) -> tuple[Message, bytes]:
        """Do one job and return its result with its binary part. The child is gone afterwards, whatever happens.

        Raises what the child reports, DecoderCrashed or DecoderKilled when it ends without a word, Timeout when it
        exceeds the job's deadline or shows no sign of life for `job.stall_seconds`, and whatever `watch` raises.
        """
        source = reader.fileno()
        descriptors = [number for number in (source, output) if number is not None]
        message = {
            **job.message,
            "source": "ranges" if source is None else "descriptor",
            "size": reader.info.size,
            "limits": job.limits,
        }
        try:
            if source is None:
                threading.Thread(target=self._serve_ranges, args=(reader,), name="ranges", daemon=True).start()
            return self._converse(job, message, descriptors, watch)
        except OSError as error:
            raise self._died() from error
        except ClipEngineError:
            raise
        except BaseException:
            self.on_loss("stopped")
            raise
        finally:
            self.close()

    def kill(self) -> None:
        """End the child and everything that it started. May be called at any time, from any thread."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)

    def close(self) -> None:
        """End the child and let go of it. For its owner alone: another thread may still be reading what it says."""
        self.kill()
        self._control.close()
        self._ranges.close()
        self._words.close()

    def _converse(self, job: Job, order: Message, descriptors: Sequence[int], watch: Watch) -> tuple[Message, bytes]:
        sent = False
        self._liveness.begin(job)
        while True:
            watch(None)
            self._words.listen()
            self._check_time(job)
            if self.layers and not sent:
                self._control.send(order, descriptors=descriptors)
                sent = True
            try:
                received = self._control.receive(_TICK_SECONDS)
            except TimeoutError:
                continue
            if received is None:
                raise self._died()
            self._liveness.touch()
            message, blob = received
            kind = message.get("type")
            if kind == "ready":
                self._note_ready(message)
            elif kind == "result":
                return message, blob
            elif kind == "error":
                if "trace" in message:
                    log.error("the encoder child failed: %s", str(message["trace"])[:_TRACE_CHARACTERS])
                raise self._failed(error_from(message.get("error")))
            elif kind == "progress":
                watch(_progress(message))

    def _check_time(self, job: Job) -> None:
        """Raise Timeout once the child is overdue."""
        overdue = self._liveness.check()
        if overdue is None:
            return
        what = "the clip was not cut" if job.message["job"] == "cut" else "the recording was not read"
        if overdue == "deadline":
            self.on_loss("deadline")
            raise Timeout(f"{what} within its deadline of {job.wall_seconds:g} s")
        self.on_loss("stalled")
        if self._words.tell_of_memory():  # libx265 waits for threads that it could not start
            raise UnsupportedMedia.out_of_memory()
        raise Timeout(f"{what}: no progress was made for {job.stall_seconds:g} s", suspended=overdue == "suspended")

    def _note_ready(self, message: Message) -> None:
        self.layers = from_objects(message["layers"])
        missing = ", ".join(f"{layer.name} ({layer.detail})" for layer in self.layers if not layer.holds)
        if missing and self._sandbox == "required":
            raise SandboxIncomplete(f"the encoders' sandbox lacks {missing}")
        if missing:
            _warn_once(f"the encoders' sandbox lacks {missing}")

    def _failed(self, error: ClipEngineError) -> ClipEngineError:
        """What the child reports, as its libraries' own words explain it."""
        if not isinstance(error, EncoderFailed):
            return error
        log.error("an encoder failed: %s", self._words.text() or error.message)
        return UnsupportedMedia.out_of_memory() if self._words.tell_of_memory() else error

    def _serve_ranges(self, reader: ObjectReader) -> None:
        """Hand the child the byte ranges that it asks for, until it is gone."""
        try:
            while (request := self._ranges.receive()) is not None:
                wanted, _ = request
                offset, length = int(wanted["offset"]), int(wanted["length"])
                if length > _MAX_RANGE_BYTES:
                    return  # no reader of ours asks for so much
                try:
                    data, read = self._heads.read(reader, offset, length, keep=bool(wanted["keep"]))
                except ClipEngineError as error:
                    self._ranges.send({"error": error.to_object()})
                    continue
                self._liveness.touch()
                self._ranges.send({"read": read}, data)
        except (OSError, ValueError):
            return  # the child, or its socket, is gone
        except Exception:
            log.exception("reading a recording for an encoder child failed")
            with contextlib.suppress(OSError):
                self._ranges.send({"error": Internal("the recording could not be read").to_object()})

    def _died(self) -> ClipEngineError:
        code = None
        deadline = time.monotonic() + _KILL_SECONDS
        while code is None and time.monotonic() < deadline:
            code = self._process.poll()
            time.sleep(0.01)
        cause = cause_of(code, on_purpose=self._killed)
        # A cancel and a stop kill it on purpose: that is no fault of anybody.
        level = logging.DEBUG if cause == "stopped" else logging.ERROR
        said = self._words.text()
        log.log(level, "an encoder child ended with %s%s", code, f": {said}" if said else "")
        self.on_loss(cause)
        return error_of(cause, code, no_memory=self._words.tell_of_memory())


def _nobody(cause: str) -> None:
    pass


def _offer_memory(pid: int) -> None:
    """Where the machine is out of memory, have the kernel end a child and not the engine, which would lose them all."""
    with contextlib.suppress(OSError):  # it may be gone
        path = f"/proc/{pid}/oom_score_adj"
        with open(path) as score:
            wanted = max(_FIRST_TO_GO, int(score.read()))
        with open(path, "w") as score:
            score.write(str(wanted))


@cache
def _warn_once(text: str) -> None:
    log.warning("%s", text)


def _step_back(pid: int, nice: int) -> None:
    """Have a child leave the cores to the API and to the box's other work, from its start-up on.

    Where the kernel groups tasks by session (sched(7), "autogroup"), nice counts inside the child's own session only;
    between sessions the group's nice counts, so it is set as well.
    """
    if not nice:
        return
    with contextlib.suppress(OSError):  # it may be gone, and not every kernel has groups
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        with open(f"/proc/{pid}/autogroup", "w") as group:
            group.write(str(nice))


def _progress(message: Message) -> Message:
    """What a child says of its progress, as far as it can be true."""
    step, part = message.get("step"), message.get("part")
    if step not in get_args(Step) or not isinstance(part, int | float):
        raise DecoderCrashed("the decoder process was no longer itself: it reports progress that cannot be")
    return {"step": step, "part": min(max(float(part), 0.0), 1.0)}


class EncoderPool:
    """Hands out children, and always has some started ahead, so that their start-up delays no clip.

    All are started by one thread that lives as long as the pool: the kernel kills a child when the thread that
    started it ends, whatever the rest of the process does.
    """

    def __init__(
        self,
        *,
        nice: int = 0,
        sandbox: Sandbox = "auto",
        ahead: int = 1,
        inspectors_ahead: int = 0,
        heads: Heads | None = None,
        on_loss: Callable[[str], None] = _nobody,
    ) -> None:
        """`heads` of recordings are shared by all children; other pools may have the same."""
        self._heads = heads or Heads()
        self._nice = nice
        self._sandbox: Sandbox = sandbox
        self._ahead: dict[Program, int] = {"child": ahead, "inspector": inspectors_ahead}
        self._on_loss = on_loss
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="encoders")
        self._lock = threading.Lock()
        self._started: dict[Program, deque[Future[EncoderProcess]]] = {"child": deque(), "inspector": deque()}
        self._closed = False

    def warm_up(self) -> None:
        """Start as many children as are to be ahead, without waiting for them."""
        with self._lock:
            for program, started in self._started.items():
                while len(started) < self._ahead[program] and not self._closed:
                    started.append(self._start(program))

    def check_sandbox(self) -> None:
        """Raise SandboxIncomplete if all of the sandbox is required and this machine lacks a layer."""
        child = self.take()
        try:
            child.wait_until_ready()
        finally:
            child.close()

    def take(self, program: Program = "child") -> EncoderProcess:
        """Return a child that runs this program; the caller closes it."""
        with self._lock:
            waiting = self._started[program]
            started = waiting.popleft() if waiting else self._start(program)
        self.warm_up()
        child = started.result()
        if child.alive:
            return child
        child.close()
        return self._start(program).result()

    def close(self) -> None:
        """End the children that were started ahead. Those that were handed out are their takers'."""
        with self._lock:
            self._closed = True
            for waiting in self._started.values():
                while waiting:
                    with contextlib.suppress(OSError):  # one that could not be started has nothing to end
                        waiting.popleft().result().close()

    def _start(self, program: Program) -> Future[EncoderProcess]:
        return self._starter.submit(self._make, program)

    def _make(self, program: Program) -> EncoderProcess:
        child = EncoderProcess(program, nice=self._nice, sandbox=self._sandbox, heads=self._heads)
        child.on_loss = self._on_loss
        return child
