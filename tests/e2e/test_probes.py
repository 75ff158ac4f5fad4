"""Failing a recording: crashes of its children count, restarts and stops of the engine do not."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.children import holding
from tests.support.hostile import CASES
from tests.support.invariants import check_invariants
from tests.support.server import running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage


def test_restarts_and_stops_during_a_probe_cost_no_attempts(tmp_path: Path) -> None:
    """Two kills and three stops, then two real crashes: of each one fewer than the limit."""
    data = tmp_path / "data"
    path = data / "store" / "h_01" / "slow.flv"
    path.parent.mkdir(parents=True)
    CASES["a million packets of one byte"].make(path)
    recording = ""
    for number in range(5):
        with running_server(data) as server, server.client() as api:
            recording = recording or api.recordings.add("h_01/slow.flv").recording_id
            until(lambda server=server: holding(server.process.pid, path))
            if number % 2 == 0:
                server.stop()
            else:
                server.process.kill()
                server.process.wait()
    with running_server(data) as server, server.client() as api:
        killed: set[int] = set()
        while len(killed) < 2:
            for pid in set(holding(server.process.pid, path)) - killed:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSEGV)
                    killed.add(pid)
        ended = api.recordings.wait(recording, timeout=300)
        assert ended.status == "complete", ended.error
        server.stop()
    check_invariants(data)
