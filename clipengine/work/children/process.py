"""Child process that does the media jobs of one recording in the sandbox: usually one.

A recording that crashes or hangs its decoder ends only its own child. The child inherits two sockets and no
environment, and gets the descriptors that it may use with its job. Its messages are not trusted, because the recording
may have taken it over.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import cache

from clipengine.errors import (
    ClipEngineError,
    DecoderCrashed,
    EncoderFailed,
    FontsMissing,
    SandboxIncomplete,
    Timeout,
    TranscriberFailed,
    UnsupportedMedia,
)
from clipengine.media.sandbox.layers import Layer
from clipengine.media.sandbox.limits import JobLimits, lower_limit
from clipengine.media.worker.ipc import FROM_CHILD, RANGE_REQUESTS, Channel, InvalidMessage, error_from
from clipengine.settings.settings import Sandbox
from clipengine.stores.base import ObjectReader
from clipengine.work.children.exit_status import exit_cause, exit_error
from clipengine.work.children.header_cache import HeaderCache
from clipengine.work.children.inherited_limits import blamed, check_open_files
from clipengine.work.children.jobs import Job, Message, Program
from clipengine.work.children.launch import ChildEnds, Launch, launch_program
from clipengine.work.children.liveness import Liveness, cpu_seconds
from clipengine.work.children.messages import (
    MESSAGES_AT_ONCE,
    MESSAGES_PER_SECOND,
    Failure,
    Progress,
    Ready,
    Result,
    parse_message,
)
from clipengine.work.children.priority import MAX_NICE, lower_priority, prefer_as_oom_victim
from clipengine.work.children.range_server import RangeServer
from clipengine.work.children.stderr_tail import StderrTail

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.25
_KILL_SECONDS = 5.0
_START_SECONDS = 60.0
_SEND_SECONDS = 10  # for a job, to a child that is ready

# An x264 encoder decides slightly otherwise in a process that has encoded before, and the same clip must have the same
# bytes.
_ENCODING_JOBS = ("cut", "proxy")

# Called with each progress message of the child, and with None several times a second. An exception stops the child.
Watch = Callable[[Message | None], None]


def sandbox_layers() -> tuple[Layer, ...]:
    """Start a child and return the six layers of its sandbox on this machine, innermost last.

    Each has a `name` ("descriptors", "parent death", "limits", "privileges", "landlock" or "seccomp"), `holds`, and
    `detail`: the extent of the layer, or why it is missing. Raises DecoderNotStarted, DecoderKilled or Timeout if no
    child can be started.
    """
    child = Child()
    try:
        return child.wait_until_ready()
    finally:
        child.close()


class Child:
    """A child that can `run` jobs. It is killed when the thread that started it ends, see `ChildPool`."""

    def __init__(
        self,
        program: Program = "maker",
        *,
        nice: int = 0,
        sandbox: Sandbox = "auto",
        header_cache: HeaderCache | None = None,
        launch: Launch | None = None,
    ) -> None:
        check_open_files()
        control, child_control = socket.socketpair()
        ranges, child_ranges = socket.socketpair()
        self._stderr = StderrTail()
        self.sandbox = sandbox  # may become stricter until the first job
        ends = ChildEnds(child_control.fileno(), child_ranges.fileno(), self._stderr.descriptor)
        self._process = (launch or launch_program)(program, ends, sandbox != "off")
        child_control.close()
        child_ranges.close()
        self._stderr.close_child_end()
        self._nice = nice
        lower_priority(self._process.pid, nice)
        prefer_as_oom_victim(self._process.pid)
        control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        self._control = Channel(control, limits=FROM_CHILD)
        self._liveness = Liveness(self._process.pid, tick=_TICK_SECONDS)
        self._ranges = RangeServer(
            Channel(ranges, limits=RANGE_REQUESTS),
            header_cache or HeaderCache(),
            on_read=self._liveness.touch,
            on_invalid=self.kill,
        )
        self._killed = False
        self._has_read = False  # a recording, in a former job
        # Called with the cause if the child ends before its job: crashed, killed (by another process), cpu_time,
        # deadline, stalled or stopped (by the engine).
        self.on_loss: Callable[[str], None] = ignore_loss
        self.layers: tuple[Layer, ...] = ()  # set when the child is ready

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def cpu_seconds(self) -> float:
        """CPU time so far, which the limits of all its jobs count."""
        return cpu_seconds(self._process.pid)

    def add_nice(self, nice: int) -> None:
        """Lower the CPU priority below that at the start, for the rest of its life."""
        if nice:
            lower_priority(self._process.pid, min(self._nice + nice, MAX_NICE))

    def wait_until_ready(self) -> tuple[Layer, ...]:
        """Wait until the sandbox is in place, and return its layers."""
        try:
            received = self._control.receive(_START_SECONDS)
            if received is None:
                raise self._exit_error()
            message = parse_message(*received)
            if not isinstance(message, Ready):
                raise InvalidMessage("the child is not ready")
            self._note_ready(message)
        except TimeoutError:
            raise Timeout(f"no child process could be started within {_START_SECONDS:g} s") from None
        except InvalidMessage as error:
            raise self._invalid_message(error) from error
        return self.layers

    def run(
        self,
        job: Job,
        *readers: ObjectReader,
        output: int | None = None,
        watch: Watch,
        keep: bool = False,
    ) -> tuple[Message, bytes]:
        """Do one job on the recordings of the readers, and return its result with its binary part.

        The child has ended when this method returns, unless it is to `keep` for another job on the same recording,
        whose limits must not be higher. It has also ended after an exception, and after a job that encodes video.

        Raises the error that the child reports, DecoderCrashed or DecoderKilled if it ends without a report,
        DecoderNotStarted if it ends before it is ready, DecoderCrashed if it sends an invalid message, Timeout if it
        exceeds its deadline or shows no sign of life for `job.stall_seconds`, LimitTooLow if an inherited limit stops
        it, and the exceptions of `watch`. The caller validates the fields of the result.
        """
        files = [reader.fileno() for reader in readers]
        sources = [
            {"kind": "ranges" if file is None else "descriptor", "size": reader.info.size}
            for file, reader in zip(files, readers, strict=True)
        ]
        message = {**job.message, "sources": sources, "limits": job.limits}
        kept = False
        opened = contextlib.ExitStack()
        try:
            more = _open_files(job, opened)
            descriptors = [number for number in (*files, output, *more) if number is not None]
            if None in files:
                self._ranges.serve(readers)
            if self._has_read:  # the recording may have taken it over, so that it does not limit itself
                lower_limit(resource.RLIMIT_FSIZE, job.file_bytes, pid=self._process.pid)
            self._has_read = True
            result = self._converse(job, message, descriptors, watch)
            kept = keep and job.message["job"] not in _ENCODING_JOBS
            return result
        except InvalidMessage as error:
            raise self._invalid_message(error) from error
        except OSError as error:
            raise blamed(self._exit_error(), JobLimits(**job.limits)) from error
        except ClipEngineError as error:
            raise blamed(error, JobLimits(**job.limits)) from None
        except BaseException:
            self.on_loss("stopped")
            raise
        finally:
            opened.close()
            if not kept:
                self.close()

    def kill(self) -> None:
        """Kill the process group of the child. Thread-safe."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)

    def close(self) -> None:
        """Kill the child and close its sockets. Only its owner may call this: another thread may be reading."""
        self.kill()
        self._control.close()
        self._ranges.close()
        self._stderr.close()

    def _converse(self, job: Job, request: Message, descriptors: Sequence[int], watch: Watch) -> tuple[Message, bytes]:
        sent, messages, began = False, 0, time.monotonic()
        self._liveness.begin(job)
        while True:
            watch(None)
            self._stderr.read()
            self._check_time(job)
            if self.layers and not sent:
                self._control.send(request, descriptors=descriptors)
                sent = True
            try:
                received = self._control.receive(_TICK_SECONDS)
            except TimeoutError:
                continue
            if received is None:
                raise self._exit_error()
            self._liveness.touch()
            messages += 1
            if messages > MESSAGES_AT_ONCE + MESSAGES_PER_SECOND * (time.monotonic() - began):
                raise InvalidMessage(f"{messages} messages in {time.monotonic() - began:.1f} s")
            message = parse_message(*received)
            if isinstance(message, Ready):
                self._note_ready(message)
            elif isinstance(message, Progress):
                watch({"step": message.step, "part": min(max(message.part, 0.0), 1.0)})
            elif isinstance(message, Failure):
                raise self._reported_error(message)
            elif isinstance(message, Result):
                return received

    def _check_time(self, job: Job) -> None:
        """Raise Timeout if the child is overdue."""
        overdue = self._liveness.check()
        if overdue is None:
            return
        failure = "the clip was not cut" if job.message["job"] == "cut" else "the recording was not read"
        if overdue == "deadline":
            self.on_loss("deadline")
            raise Timeout(f"{failure} within its deadline of {job.wall_seconds:g} s")
        self.on_loss("stalled")
        if self._stderr.ran_out_of_memory():  # libx265 waits forever for a thread that it could not start
            raise UnsupportedMedia.out_of_memory()
        raise Timeout(f"{failure}: no progress was made for {job.stall_seconds:g} s", suspended=overdue == "suspended")

    def _note_ready(self, message: Ready) -> None:
        if self.layers:
            raise InvalidMessage("the child was ready already")
        self.layers = tuple(Layer(each.name, each.holds, each.detail) for each in message.layers)
        missing = ", ".join(f"{layer.name} ({layer.detail})" for layer in self.layers if not layer.holds)
        if missing and self.sandbox == "required":
            raise SandboxIncomplete(f"the children's sandbox lacks {missing}")
        if missing:
            _warn_once(f"the children's sandbox lacks {missing}")

    def _reported_error(self, failure: Failure) -> ClipEngineError:
        """Return the error that the child reports, or a more exact one from its stderr. Raises InvalidMessage."""
        if failure.trace:
            log.error("a child failed: %s", failure.trace)
        if self._ranges.error is not None and self._ranges.error.code == failure.error.code:
            return self._ranges.error
        if not failure.is_allowed:
            raise InvalidMessage(f"a child may not report {failure.error.code}")
        error = error_from(failure.error.model_dump())
        if not isinstance(error, EncoderFailed):
            return error
        log.error("a child failed: %s", self._stderr.text() or error.message)
        return UnsupportedMedia.out_of_memory() if self._stderr.ran_out_of_memory() else error

    def _invalid_message(self, reason: object) -> DecoderCrashed:
        """Return the error of a child that sent an invalid message: it has a bug, or was taken over."""
        log.error("a child sent an invalid message: %s", reason)
        self.on_loss("crashed")
        return DecoderCrashed("the decoder process sent an invalid message")

    def _exit_error(self) -> ClipEngineError:
        """Return the error of a child that ended without a result."""
        if self._ranges.invalid:
            return self._invalid_message(self._ranges.invalid)
        code = None
        deadline = time.monotonic() + _KILL_SECONDS
        while code is None and time.monotonic() < deadline:
            code = self._process.poll()
            time.sleep(0.01)
        cause = exit_cause(code, on_purpose=self._killed)
        level = logging.DEBUG if cause == "stopped" else logging.ERROR
        tail = self._stderr.text()
        log.log(level, "a child ended with %s%s", code, f": {tail}" if tail else "")
        self.on_loss(cause)
        return exit_error(cause, code, no_memory=self._stderr.ran_out_of_memory(), was_ready=bool(self.layers))


def _open_files(job: Job, stack: contextlib.ExitStack) -> list[int]:
    """Return the descriptors of a job's files, which the stack closes.

    Raises FontsMissing or TranscriberFailed if a font or a file of a model was deleted.
    """
    try:
        return [stack.enter_context(path.open("rb")).fileno() for path in job.files]
    except OSError as error:
        if job.message["job"] == "transcribe":
            raise TranscriberFailed(f"a file of the model cannot be opened: {error.strerror}") from error
        raise FontsMissing(f"the font {error.filename} cannot be opened: {error.strerror}") from error


def ignore_loss(cause: str) -> None:
    pass


@cache
def _warn_once(text: str) -> None:
    log.warning("%s", text)
