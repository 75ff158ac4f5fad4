"""Liveness of a child: deadlines, missing signs of life, and suspensions of the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from clipengine.settings.settings import Encoding
from clipengine.work.children import liveness as liveness_module
from clipengine.work.children.jobs import Job, probe_job
from clipengine.work.children.liveness import Liveness, cpu_seconds, is_runnable
from tests.support.waiting import until

TICK = 0.25


class Machine:
    """A simulated clock, and the simulated CPU time of a child, which sleeps or is ready to run."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.cpu = 0.0
        self.runnable = False


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(liveness_module.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(liveness_module, "cpu_seconds", lambda pid: made.cpu)
    monkeypatch.setattr(liveness_module, "is_runnable", lambda pid: made.runnable)
    return made


@pytest.fixture
def liveness(machine: Machine) -> Liveness:
    """Liveness with a deadline of 300 s and a stall limit of 60 s."""
    made = Liveness(0, tick=TICK)
    made.begin(_job())
    return made


def _job() -> Job:
    return replace(probe_job(Encoding()), wall_seconds=300.0, stall_seconds=60.0)


def _run(liveness: Liveness, machine: Machine, seconds: float, *, cpu: float = 0.0, touch: bool = False) -> str | None:
    """Check at each tick until there is a verdict, and return it. `cpu` is the CPU usage of the child, in cores."""
    for _ in range(round(seconds / TICK)):
        machine.now += TICK
        machine.cpu += cpu * TICK
        if touch:
            liveness.touch()
        if (overdue := liveness.check()) is not None:
            return overdue
    return None


def test_working_child_is_overdue_only_after_its_deadline(liveness: Liveness, machine: Machine) -> None:
    assert _run(liveness, machine, 300, cpu=2.0, touch=True) is None
    assert _run(liveness, machine, 1, cpu=2.0, touch=True) == "deadline"


@pytest.mark.parametrize(("cpu", "verdict"), [(1.0, "stuck"), (0.1, "stuck"), (0.01, "suspended"), (0.0, "suspended")])
def test_verdict_on_a_silent_child_depends_on_its_cpu_time(
    liveness: Liveness, machine: Machine, cpu: float, verdict: str
) -> None:
    assert _run(liveness, machine, 100, cpu=4.0, touch=True) is None
    assert _run(liveness, machine, 60, cpu=cpu) is None
    assert _run(liveness, machine, 1, cpu=cpu) == verdict


def test_suspension_of_the_engine_is_not_counted(liveness: Liveness, machine: Machine) -> None:
    _run(liveness, machine, 200, cpu=1.0, touch=True)
    machine.now += 10_000
    assert liveness.check() is None
    assert _run(liveness, machine, 59) is None
    assert _run(liveness, machine, 39, touch=True) is None
    assert _run(liveness, machine, 5, touch=True) == "deadline"


def test_small_delays_are_counted(liveness: Liveness, machine: Machine) -> None:
    for _ in range(200):
        machine.now += 1.5
        liveness.touch()
        assert liveness.check() is None
    machine.now += 1.5
    assert liveness.check() == "deadline"


@pytest.mark.parametrize("touch", [False, True])
def test_child_that_gets_little_cpu_time_on_a_busy_machine_is_not_overdue(
    liveness: Liveness, machine: Machine, touch: bool
) -> None:
    """Its limits count the time in which it can run: here a thousandth of the time."""
    machine.runnable = True
    assert _run(liveness, machine, 2000, cpu=0.001, touch=touch) is None
    machine.runnable = False
    assert _run(liveness, machine, 300, touch=touch) == ("deadline" if touch else "suspended")


@pytest.mark.parametrize(("touch", "verdict"), [(False, "stuck"), (True, "deadline")])
def test_child_that_loops_on_a_busy_machine_is_overdue(
    liveness: Liveness, machine: Machine, touch: bool, verdict: str
) -> None:
    machine.runnable = True
    assert _run(liveness, machine, 580 if touch else 110, cpu=0.5, touch=touch) is None
    assert _run(liveness, machine, 40, cpu=0.5, touch=touch) == verdict


def test_child_with_many_threads_is_not_starved(liveness: Liveness, machine: Machine) -> None:
    machine.runnable = True
    assert _run(liveness, machine, 300, cpu=2.0, touch=True) is None
    assert _run(liveness, machine, 1, cpu=2.0, touch=True) == "deadline"


@pytest.fixture
def spinning() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process.pid
    process.kill()
    process.wait()


def test_cpu_time_of_a_process_is_measured(spinning: int) -> None:
    until(lambda: cpu_seconds(spinning) >= 0.1)


def test_cpu_time_of_a_missing_process_is_zero() -> None:
    assert cpu_seconds(2**22 + 1) == 0.0


def test_process_that_computes_is_runnable_until_it_is_stopped(spinning: int) -> None:
    until(lambda: is_runnable(spinning))
    os.kill(spinning, signal.SIGSTOP)
    until(lambda: not is_runnable(spinning))
    assert not is_runnable(2**22 + 1)
