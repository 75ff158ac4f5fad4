"""Memory settings of a server process."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.exhaustive

_HEAPS = """
import ctypes, threading
from clipengine.server import process

libc = ctypes.CDLL(None)
if not hasattr(libc, "mallopt"):
    raise SystemExit("no mallopt")
{prepare}
kept = []
barrier = threading.Barrier(8)

def allocate():
    barrier.wait()
    kept.append([bytes(n) for n in range(1000, 3000)])

threads = [threading.Thread(target=allocate) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
"""


def test_threads_share_one_malloc_arena() -> None:
    # One arena per thread fragments, and the process grows with every clip.
    assert _heaps("") > 1
    assert _heaps("process.prepare()") == 1


def _heaps(prepare: str) -> int:
    command = [sys.executable, "-c", _HEAPS.format(prepare=prepare)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if "no mallopt" in ran.stderr:
        pytest.skip("this C library has no mallopt")
    assert ran.returncode == 0, ran.stderr
    return len(re.findall("<heap nr=", ran.stdout))
