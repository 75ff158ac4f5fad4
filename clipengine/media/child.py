"""The encoder child's main: `python -I -m clipengine.media.child CONTROL RANGES PARENT cell`, see `work.encoder`.

It imports everything, locks itself in (`media.sandbox`), says that it is ready, takes one job, does it and ends. It
gets the recording and the scratch file as descriptors, or asks its parent for byte ranges; it knows no path, no
address and no secret. When its parent goes away it ends at once.
"""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
import threading
import time
import traceback
from fractions import Fraction
from typing import Any

# PyAV loads these when it first meets subtitles; in the cell nothing can be loaded any more.
import av.subtitles.codeccontext
import av.subtitles.stream
import av.subtitles.subtitle  # noqa: F401

from clipengine.clips.facts import SourceFacts
from clipengine.clips.landmarks import Landmarks
from clipengine.clips.profiles import Profile
from clipengine.errors import ClipEngineError, Internal, RecordingUnreadable, UnsupportedMedia
from clipengine.media.cutter import CutStep, cut_clip
from clipengine.media.memory import is_out_of_memory, let_libraries_speak
from clipengine.media.previews import KINDS, make_preview
from clipengine.media.probe import probe
from clipengine.media.sandbox.cell import lock_cell
from clipengine.media.sandbox.limits import JobLimits, limit_job
from clipengine.media.source import ByteSource, DescriptorSource
from clipengine.media.wire import Channel, error_from

_REPORT_SECONDS = 0.2
_MOST_READS, _READ_FLOOR_BYTES = 20, 256 << 20


class RangeSource:
    """A recording whose bytes the parent hands over, range by range."""

    remote = True

    def __init__(self, channel: Channel, size: int) -> None:
        self._channel = channel
        self._asking = threading.Lock()
        self.size = size
        self.bytes_known = 0  # of those handed over, what the parent had already

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        with self._asking:
            self._channel.send({"offset": offset, "length": length, "keep": keep})
            answer = self._channel.receive()
        if answer is None:
            os._exit(1)
        message, data = answer
        if "error" in message:
            raise error_from(message["error"])
        self.bytes_known += len(data) - message["read"]
        return data


class _Heard:
    """A source that tells the parent, at most once a second, that the recording is still being read.

    It ends what reads the same bytes over and over: no honest job reads a recording more than a few times.
    """

    def __init__(self, source: ByteSource, channel: Channel) -> None:
        self._source = source
        self._channel = channel
        self._told = time.monotonic()
        self._budget = _READ_FLOOR_BYTES + _MOST_READS * source.size
        self.size = source.size
        self.remote = source.remote

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        data = self._source.read_at(offset, length, keep=keep)
        self._budget -= len(data)
        if self._budget < 0:
            raise RecordingUnreadable(f"the recording's {self.size} bytes were read {_MOST_READS} times over, in vain")
        if time.monotonic() - self._told >= 1:
            self._told = time.monotonic()
            self._channel.send({"type": "alive"})
        return data


class _Progress:
    """Reports to the parent, at most five times a second, and at each new step."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._step: CutStep | None = None
        self._reported = 0.0

    def __call__(self, step: CutStep, part: float) -> None:
        now = time.monotonic()
        if step != self._step or now - self._reported >= _REPORT_SECONDS:
            self._step, self._reported = step, now
            self._channel.send({"type": "progress", "step": step, "part": round(part, 4)})


def _probe(source: ByteSource) -> tuple[dict[str, Any], bytes]:
    found = probe(source)
    landmarks = found.landmarks and found.landmarks.model_dump(mode="json")
    facts = found.facts.model_dump(mode="json")
    return {"type": "result", "facts": facts, "landmarks": landmarks, "bytes_read": found.bytes_read}, b""


def _cut(job: dict[str, Any], source: ByteSource, output: int, progress: _Progress) -> tuple[dict[str, Any], bytes]:
    cut = cut_clip(
        source,
        SourceFacts.model_validate(job["facts"]),
        Profile.model_validate(job["profile"]),
        landmarks=None if job["landmarks"] is None else Landmarks.model_validate(job["landmarks"]),
        start=Fraction(job["start"]),
        end=Fraction(job["end"]),
        output=output,
        threads=job["threads"],
        poster=job["poster"],
        decodes=job["verify"] == "decode",
        on_progress=progress,
    )
    fields = {name: value for name, value in vars(cut).items() if name != "poster"}
    fields |= {"actual_start": str(cut.actual_start), "actual_end": str(cut.actual_end)}
    return {"type": "result", "cut": fields}, cut.poster or b""


def _do(job: dict[str, Any], descriptors: list[int], ranges: Channel, control: Channel) -> tuple[dict[str, Any], bytes]:
    given = iter(descriptors)
    source: ByteSource = (
        DescriptorSource(next(given)) if job["source"] == "descriptor" else RangeSource(ranges, job["size"])
    )
    heard = _Heard(source, control)
    if job["job"] == "probe":
        return _probe(heard)
    if job["job"] in KINDS:
        made, tones = make_preview(job, heard)
        return {"type": "result", "tones": len(tones)}, made + tones
    message, poster = _cut(job, heard, next(given), _Progress(control))
    if isinstance(source, RangeSource):
        message["cut"]["bytes_read"] -= source.bytes_known
    return message, poster


def main() -> None:
    control, ranges, parent = map(int, sys.argv[1:4])
    faulthandler.enable()
    live(control, ranges, parent, sandbox=sys.argv[4] == "cell")


def live(control_number: int, ranges_number: int, parent: int, *, sandbox: bool) -> None:
    """The child's life from when everything is imported: lock in, do one job, end the process."""
    numbers = (control_number, ranges_number)
    control, ranges = (Channel(socket.socket(fileno=number), takes_descriptors=True) for number in numbers)
    layers = lock_cell(parent, numbers, sandbox=sandbox)
    control.send({"type": "ready", "layers": [layer.to_object() for layer in layers]})
    received = control.receive()
    if received is None:
        return
    job, _ = received
    threading.Thread(target=_end_with_parent, args=(control,), daemon=True).start()  # it is to have its stack
    limit_job(JobLimits(**job["limits"]))
    let_libraries_speak()
    try:
        message, blob = _do(job, control.descriptors, ranges, control)
    except ClipEngineError as error:
        message, blob = {"type": "error", "error": error.to_object()}, b""
    except Exception as error:
        if is_out_of_memory(error):
            message, blob = {"type": "error", "error": UnsupportedMedia.out_of_memory().to_object()}, b""
        else:
            fault = Internal(f"{type(error).__name__} in the encoder").to_object()
            message, blob = {"type": "error", "error": fault, "trace": traceback.format_exc()[-4000:]}, b""
    control.send(message, blob)
    os._exit(0)  # nothing is left to do; what is in memory goes with the process


def _end_with_parent(control: Channel) -> None:
    control.receive()
    os._exit(1)


if __name__ == "__main__":
    main()
