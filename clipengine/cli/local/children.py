"""Child processes of `clipengine cut`."""

from __future__ import annotations

from typing import Protocol

from clipengine.cli.lasting_imports import import_lasting
from clipengine.settings.settings import Sandbox
from clipengine.work.children.jobs import Program
from clipengine.work.children.launch import ChildEnds, ForkedProcess
from clipengine.work.children.process import Child


class StartChild(Protocol):
    """Starts a child for one recording or clip."""

    def __call__(self, program: Program, *, sandbox: Sandbox) -> Child: ...


class LocalChildren:
    """The maker and the inspector of one clip, forked from the command to save their start-up time.

    Create it before anything secret is read: see `media.worker.forked`. All other children are started as programs.
    """

    def __init__(self, *, fork: bool) -> None:
        self._forked = _fork_both() if fork else {}

    def start(self, program: Program, *, sandbox: Sandbox) -> Child:
        """Return a child that runs this program. The caller closes it."""
        if sandbox == "off":  # a forked child is locked already
            self.close()
        if program not in self._forked:
            return Child(program, sandbox=sandbox)
        child = self._forked.pop(program)
        child.sandbox = sandbox
        return child

    def close(self) -> None:
        """End the children that were not started."""
        while self._forked:
            self._forked.popitem()[1].close()


def launch_fork(program: Program, ends: ChildEnds, sandboxed: bool) -> ForkedProcess:
    """Fork a child, which is always sandboxed."""
    from clipengine.media.worker.forked import fork_child

    assert sandboxed
    assert program in ("maker", "inspector")
    return ForkedProcess(fork_child(program, *ends))


def _fork_both() -> dict[Program, Child]:
    import_lasting("clipengine.media.worker.forked")
    # Imported here, because other commands do not need PyAV.
    from clipengine.media.worker.forked import is_single_threaded

    if not is_single_threaded():
        return {}
    return {program: Child(program, launch=launch_fork) for program in ("maker", "inspector")}
