"""Memory of the transcriber: buffers of the model are used again, without new pages of the kernel."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.programs

_PROGRAM = """
import ctypes, resource
import numpy as np
from clipengine.media.worker.transcriber import keep_freed_memory
if not hasattr(ctypes.CDLL(None), "mallopt"):
    raise SystemExit("no mallopt")
keep_freed_memory()
np.ones(12 << 20, np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(12 << 20, np.float32)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
_PAGES = 12288  # of one of the buffers of 48 MiB


def test_large_buffers_are_used_again() -> None:
    pytest.importorskip("faster_whisper")
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    if "no mallopt" in ran.stderr:
        pytest.skip("this C library has no mallopt")
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < _PAGES
