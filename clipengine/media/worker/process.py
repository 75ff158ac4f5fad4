"""Main function of a child process: lock the sandbox, receive jobs, do them and report the results.

A child gets its input as descriptors or requests byte ranges from its parent; it has no path, address or secret. It
exits immediately if its parent ends. This module imports little to keep the start-up time low, and no media library.
"""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from clipengine.errors import ClipEngineError, Internal, RecordingUnreadable, UnsupportedMedia
from clipengine.media.input.containers.cached_reader import ByteSource, DescriptorSource
from clipengine.media.sandbox.limits import JobLimits, is_out_of_memory, limit_job
from clipengine.media.sandbox.lockdown import lock_down
from clipengine.media.worker.ipc import Channel, error_from

_MAX_READS, _READ_FLOOR_BYTES = 20, 256 << 20

Result = tuple[dict[str, Any], bytes]


class RangeSource:
    """Byte source that requests ranges from the parent."""

    remote = True

    def __init__(self, channel: Channel, lock: threading.Lock, number: int, size: int) -> None:
        self._channel = channel
        self._lock = lock  # of the channel
        self._number = number
        self.size = size
        self.bytes_known = 0  # bytes received that the parent had cached

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        with self._lock:
            self._channel.send({"source": self._number, "offset": offset, "length": length, "keep": keep})
            answer = self._channel.receive()
        if answer is None:
            os._exit(1)
        message, data = answer
        if "error" in message:
            raise error_from(message["error"])
        self.bytes_known += len(data) - message["read"]
        return data


class JobSource:
    """Byte source of one job. Reports to the parent, at most once a second, that it is being read.

    Limits the total number of bytes read, which stops a recording that makes the demuxer loop.
    """

    def __init__(self, source: ByteSource, channel: Channel) -> None:
        self._source = source
        self._channel = channel
        self._reported = time.monotonic()
        self._budget = _READ_FLOOR_BYTES + _MAX_READS * source.size
        self.size = source.size
        self.remote = source.remote

    @property
    def bytes_known(self) -> int:
        """Number of bytes read that the parent had cached."""
        return self._source.bytes_known if isinstance(self._source, RangeSource) else 0

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        data = self._source.read_at(offset, length, keep=keep)
        self._budget -= len(data)
        if self._budget < 0:
            raise RecordingUnreadable(
                f"the recording's {self.size} bytes were read {_MAX_READS} times without a result"
            )
        if time.monotonic() - self._reported >= 1:
            self._reported = time.monotonic()
            self._channel.send({"type": "alive"})
        return data


# Arguments: the job message, its recordings, the remaining descriptors and the channel for progress messages.
DoJob = Callable[[dict[str, Any], list[JobSource], list[int], Channel], Result]


def main(do: DoJob, *, compiles: bool = False, when_locked: Callable[[], None] | None = None) -> None:
    """Run a child with the command line arguments `CONTROL RANGES PARENT cell` (see `work.children.process`).

    `compiles` is passed to `lock_down`. `when_locked` is called in the sandbox, before the first job.
    """
    control, ranges, parent = map(int, sys.argv[1:4])
    faulthandler.enable()
    sandbox = sys.argv[4] == "sandboxed"
    run_child(do, control, ranges, parent, sandbox=sandbox, compiles=compiles, when_locked=when_locked)


def run_child(
    do: DoJob,
    control_number: int,
    ranges_number: int,
    parent: int,
    *,
    sandbox: bool,
    compiles: bool = False,
    when_locked: Callable[[], None] | None = None,
) -> None:
    """Lock the sandbox and do jobs until the parent closes the socket. All imports must be done before."""
    numbers = (control_number, ranges_number)
    control, ranges = (Channel(socket.socket(fileno=number), takes_descriptors=True) for number in numbers)
    layers = lock_down(parent, numbers, sandbox=sandbox, compiles=compiles)
    control.send({"type": "ready", "layers": [layer.to_object() for layer in layers]})
    received = control.receive()
    if received is None:
        return
    if when_locked is not None:
        when_locked()
    jobs: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_receive_jobs, args=(control, jobs), daemon=True).start()  # before the memory limit
    job, _ = received
    while True:
        descriptors, control.descriptors = control.descriptors, []
        control.send(*_perform(do, job, descriptors, control, ranges))
        job = jobs.get()


def _perform(do: DoJob, job: dict[str, Any], descriptors: list[int], control: Channel, ranges: Channel) -> Result:
    """Do one job and return its result, or the message of its error."""
    limit_job(JobLimits(**job["limits"]))
    files: list[int] = []
    try:
        lock = threading.Lock()
        sources: list[ByteSource] = []
        for number, source in enumerate(job["sources"]):
            if source["kind"] == "descriptor":
                files.append(descriptors.pop(0))
                sources.append(DescriptorSource(files[-1]))
            else:
                sources.append(RangeSource(ranges, lock, number, source["size"]))
        return do(job, [JobSource(source, control) for source in sources], descriptors, control)
    except ClipEngineError as error:
        return {"type": "error", "error": error.to_object()}, b""
    except Exception as error:
        if is_out_of_memory(error):
            return {"type": "error", "error": UnsupportedMedia.out_of_memory().to_object()}, b""
        fault = Internal(f"{type(error).__name__} in the encoder").to_object()
        return {"type": "error", "error": fault, "trace": traceback.format_exc()[-4000:]}, b""
    finally:
        for file in files:  # a further job brings its own
            os.close(file)


def _receive_jobs(control: Channel, jobs: SimpleQueue[dict[str, Any]]) -> None:
    """Queue the further jobs. End the process, without Python's shutdown, when the parent ends."""
    while (received := control.receive()) is not None:
        jobs.put(received[0])
    os._exit(0)
