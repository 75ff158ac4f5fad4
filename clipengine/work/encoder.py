"""Encoder processes: one child for each probe and each cut, killable, with one warm child always ready.

A recording that crashes or hangs its decoder takes its own child with it and nothing else. The child inherits two
sockets and no environment; what it may read and write comes with its job.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from clipengine.errors import ClipEngineError, DecoderCrashed, Internal
from clipengine.media.wire import Channel, error_from
from clipengine.stores.base import ObjectReader

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.25
_KILL_SECONDS = 5.0
_STDERR_BYTES = 2000

Message = dict[str, Any]
# Called with each message of the child, and with None several times a second, and with the seconds for which the child
# has neither said nor read anything; raise from it to stop the child.
Watch = Callable[[Message | None, float], None]


class ChildDied(DecoderCrashed):
    """The child ended without a result: a crash of a decoder, or killed from outside (out of memory)."""


class EncoderProcess:
    """One child. Make it, `run` one job, and it is gone."""

    def __init__(self, *, nice: int = 0) -> None:
        control, child_control = socket.socketpair()
        ranges, child_ranges = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        numbers = (child_control.fileno(), child_ranges.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "clipengine.media.child", *map(str, numbers)],
            pass_fds=numbers,
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            start_new_session=True,
        )
        child_control.close()
        child_ranges.close()
        _step_back(self._process.pid, nice)
        self._control = Channel(control)
        self._ranges = Channel(ranges)
        self._active = time.monotonic()
        self._killed = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def run(
        self,
        job: Message,
        *,
        reader: ObjectReader,
        output: int | None = None,
        watch: Watch,
    ) -> tuple[Message, bytes]:
        """Do one job and return its result with its binary part. The child is gone afterwards, whatever happens.

        Raises what the child reports, ChildDied when it ends without a word, and whatever `watch` raises.
        """
        source = reader.fileno()
        descriptors = [number for number in (source, output) if number is not None]
        job = {**job, "source": "ranges" if source is None else "descriptor", "size": reader.info.size}
        try:
            if source is None:
                threading.Thread(target=self._serve_ranges, args=(reader,), name="ranges", daemon=True).start()
            return self._converse(job, descriptors, watch)
        except OSError as error:
            raise self._died() from error
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
        self._stderr.close()

    def _converse(self, job: Message, descriptors: Sequence[int], watch: Watch) -> tuple[Message, bytes]:
        sent = False
        self._active = time.monotonic()
        while True:
            watch(None, time.monotonic() - self._active)
            try:
                received = self._control.receive(_TICK_SECONDS)
            except TimeoutError:
                continue
            if received is None:
                raise self._died()
            self._active = time.monotonic()
            message, blob = received
            if message["type"] == "ready" and not sent:
                self._control.send(job, descriptors=descriptors)
                sent = True
            elif message["type"] == "result":
                return message, blob
            elif message["type"] == "error":
                if "trace" in message:
                    log.error("the encoder child failed: %s", message["trace"])
                raise error_from(message["error"])
            elif message["type"] == "progress":
                watch(message, 0.0)

    def _serve_ranges(self, reader: ObjectReader) -> None:
        """Hand the child the byte ranges that it asks for, until it is gone."""
        try:
            while (request := self._ranges.receive()) is not None:
                wanted, _ = request
                try:
                    data = reader.read_at(int(wanted["offset"]), int(wanted["length"]))
                except ClipEngineError as error:
                    self._ranges.send({"error": error.to_object()})
                    continue
                self._active = time.monotonic()
                self._ranges.send({}, data)
        except (OSError, ValueError):
            return  # the child, or its socket, is gone
        except Exception:
            log.exception("reading a recording for an encoder child failed")
            with contextlib.suppress(OSError):
                self._ranges.send({"error": Internal("the recording could not be read").to_object()})

    def _died(self) -> ChildDied:
        code = None
        deadline = time.monotonic() + _KILL_SECONDS
        while code is None and time.monotonic() < deadline:
            code = self._process.poll()
            time.sleep(0.01)
        self._stderr.seek(0)
        words = self._stderr.read()[-_STDERR_BYTES:].decode(errors="replace").strip()
        # A cancel and a stop kill it on purpose: that is no fault of anybody.
        log.log(logging.DEBUG if self._killed else logging.ERROR, "an encoder child ended with %s: %s", code, words)
        return ChildDied(f"the decoder process ended with {_cause(code)}")


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


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


class EncoderPool:
    """Hands out children; one is always started ahead, so that its start-up costs a clip nothing."""

    def __init__(self, *, nice: int = 0) -> None:
        self._nice = nice
        self._lock = threading.Lock()
        self._warm: EncoderProcess | None = None
        self._closed = False

    def warm_up(self) -> None:
        with self._lock:
            if self._warm is None and not self._closed:
                self._warm = EncoderProcess(nice=self._nice)

    def take(self) -> EncoderProcess:
        with self._lock:
            taken, self._warm = self._warm, None
            if taken is not None and not taken.alive:
                taken.close()
                taken = None
        taken = taken or EncoderProcess(nice=self._nice)
        self.warm_up()
        return taken

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._warm is not None:
                self._warm.close()
                self._warm = None
