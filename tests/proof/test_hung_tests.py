"""A test that hangs is stopped with all that it started, and the others go on."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.support.pytest_runs import closing_line, run_pytest, write_files
from tests.support.waiting import until

_TESTS = """
    import os, signal, subprocess, sys, time

    # A server has a session, and children.
    SERVER = '''if True:
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
        print("started", flush=True)
        time.sleep(600)
    '''

    def test_before(): pass

    def test_that_hangs():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        line = [sys.executable, "-c", SERVER, os.environ["FOLDER"]]
        server = subprocess.Popen(line, start_new_session=True, stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"started\\n"
        time.sleep(600)

    def test_after(): pass
    def test_long_after(): pass
"""


def _running(argument: str) -> list[str]:
    """Return the command lines with this argument."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = each.read_bytes().decode(errors="replace").split("\0")
            found += [" ".join(words)] if argument in words else []
    return found


def test_hanging_test_fails_with_its_processes_and_the_others_go_on(tmp_path: Path) -> None:
    write_files(tmp_path, {"tests/test_sample.py": _TESTS})
    done = run_pytest(tmp_path, "-n", "1", "--dist", "worksteal", "-o", "kill_test_seconds=8")
    assert (done.returncode, closing_line(done)) == (1, "1 failed, 3 passed"), done.stdout + done.stderr
    assert "FAILED tests/test_sample.py::test_that_hangs" in done.stdout
    assert "tests/test_sample.py::test_that_hangs has run for 8 seconds: killing its worker" in done.stderr
    until(lambda: not _running(str(tmp_path)))
