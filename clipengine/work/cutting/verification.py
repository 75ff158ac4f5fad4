"""Verification of a finished clip by a second child process, before the clip is published.

The recording may have taken over the process that cut the clip, so its report is not trusted.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from clipengine.clips.file_comparison import FilePlan
from clipengine.clips.file_reports import CutReport, FileReport
from clipengine.errors import ClipEngineError, Timeout, VerificationFailed
from clipengine.settings.settings import Encoding
from clipengine.stores.base import StoredObject
from clipengine.work.children.exit_status import LOST_CHILD
from clipengine.work.children.jobs import inspect_job
from clipengine.work.children.process import Child, Watch

_PASSED_ON: tuple[type[ClipEngineError], ...] = (VerificationFailed, Timeout, *LOST_CHILD)


def verify_clip(
    inspector: Child, path: Path, plan: FilePlan, cut: CutReport, *, encoding: Encoding, watch: Watch
) -> None:
    """Raise VerificationFailed unless the file at `path` is the clip that was planned and reported.

    The process that wrote the file must have ended before. Also raises the errors of a lost child and of
    `watch`. `inspector` has ended when the function returns.
    """
    try:
        with closing(_ClipFile(path)) as file:
            _check_written(file.fileno(), file.info.size)
            job = inspect_job(encoding, float(cut.seconds / plan.profile.output.tempo))
            message, _ = inspector.run(job, file, watch=watch)
            plan.check(cut, FileReport.of(message.get("file")), file.info.size)
    except _PASSED_ON:
        raise
    except ClipEngineError as error:
        raise VerificationFailed(f"the file could not be inspected: {error.message}") from error


def _check_written(descriptor: int, size: int) -> None:
    """Raise VerificationFailed if the file is empty or sparse."""
    if not size:
        raise VerificationFailed("the file is empty")
    # Exact, unlike st_blocks, which some file systems update late.
    if os.lseek(descriptor, 0, os.SEEK_HOLE) < size:
        raise VerificationFailed("the file is sparse: parts of it were never written")


class _ClipFile:
    """The clip file, opened for reading."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.info = StoredObject(path.name, os.fstat(self._descriptor).st_size, "", 0)

    def read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)
