"""Read jobs in a child. Their functions are imported with this module, before the child locks itself in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from clipengine.clips.plan.read_jobs import CAPTIONS, READ_JOBS, ReadJob
from clipengine.media.input.containers.cached_reader import ByteSource
from clipengine.media.input.read_request import ReadRequest


def _imported(kind: ReadJob) -> Callable[[ReadRequest], bytes]:
    module, name = kind.function.split(":")
    function: Callable[[ReadRequest], bytes] = getattr(import_module(f"clipengine.media.{module}"), name)
    return function


READERS = {kind.name: _imported(kind) for kind in READ_JOBS if kind.program == "maker"}


def add_captions() -> None:
    """Import the job that paints captions too, and Pillow with it. Call it before the child locks itself in."""
    READERS[CAPTIONS.name] = _imported(CAPTIONS)


def do_read_job(job: dict[str, Any], source: ByteSource, descriptors: Sequence[int]) -> bytes:
    """Do the job and return a JPEG, JSON or the bytes of a proxy. Raises RecordingError.

    The `descriptors` are the open font files for captions. The job closes them.
    """
    return READERS[job["job"]](ReadRequest.of_message(job, source, descriptors))
