"""Installation of locked packages into a virtual environment, with progress: `make install EXTRAS="transcribe"`.

Runs on the Python of the environment, before any package is installed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

INTERVAL_SECONDS = 10  # between two lines of progress
CONTAINED = {"mcp", "postgres"}  # extras whose packages requirements.lock has
EXTRAS = Path(sys.prefix) / ".extras"  # installed extras; the Makefile reads it before it creates the environment again
_PINNED = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,-]+\])?==", re.MULTILINE)
_COLLECTED = re.compile(r"(?:Collecting|Requirement already satisfied:) ([A-Za-z0-9][\w.-]*)")


def main() -> int:
    options = argparse.ArgumentParser(prog="make install")
    options.add_argument("--extras", default="", help="names of extras, separated by spaces")
    options.add_argument("--no-compile", action="store_true")
    options.add_argument("locks", type=Path, nargs="*")
    given = options.parse_args()
    extras = sorted(set(given.extras.split()))
    try:
        locks = [*given.locks, *extra_locks(extras)]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    status = install(locks, ["--no-compile"] if given.no_compile else []) if locks else 0
    if extras and not status:
        known = EXTRAS.read_text().split() if EXTRAS.exists() else []
        EXTRAS.write_text(" ".join(sorted({*known, *extras})) + "\n")
    return status


def extra_locks(extras: Iterable[str], folder: Path = Path()) -> list[Path]:
    """Return the lock files of the extras. Raises ValueError for an unknown name."""
    files = {path.stem.removeprefix("requirements-"): path for path in folder.glob("requirements-*.lock")}
    del files["test"]
    for name in extras:
        if name not in files and name not in CONTAINED:
            raise ValueError(
                f"the extra {name!r} does not exist: EXTRAS takes {', '.join(sorted({*files, *CONTAINED}))}"
            )
    return [files[name] for name in extras if name not in CONTAINED]


def install(locks: Iterable[Path], options: Iterable[str]) -> int:
    """Install the packages of the lock files and return the exit status of pip, whose output is printed if it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--require-hashes", *options]
    total = len({name.lower() for lock in locks for name in _PINNED.findall(lock.read_text())})
    for lock in locks:
        command += ["--requirement", str(lock)]
    lines: list[str] = []
    ended = threading.Event()
    reporter = threading.Thread(target=_report, args=[lines, total, ended])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        reporter.start()
        try:
            for line in pip.stdout:
                lines.append(line)
        finally:
            ended.set()
            reporter.join()
    if pip.returncode:
        print("".join(lines), end="", file=sys.stderr)
    return pip.returncode


def _report(lines: list[str], total: int, ended: threading.Event) -> None:
    """Print the number of collected packages every ten seconds until pip has ended."""
    began = time.monotonic()
    while not ended.wait(INTERVAL_SECONDS):
        print(f"  {state(list(lines), total)} ({time.monotonic() - began:.0f} s)", flush=True)


def state(lines: list[str], total: int) -> str:
    """Return what pip does, from its output so far. `total` includes packages of other systems."""
    if any(line.startswith("Installing collected packages") for line in lines):
        return "unpacking the packages"
    collected = [found[1] for line in lines if (found := _COLLECTED.match(line))]
    return f"{len(collected)} of at most {total} packages" + (f": {collected[-1]}" if collected else "")


if __name__ == "__main__":
    sys.exit(main())
