"""Installation of locked packages into a virtual environment, with progress: `make install EXTRAS="transcribe"`.

Runs on the Python of the environment, before any package is installed, pip included.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.progress import reported

CONTAINED = {"mcp", "postgres"}  # extras whose packages requirements.lock has
EXTRAS = Path(sys.prefix) / ".extras"  # installed extras; the Makefile reads it before it creates the environment again
UV_LOCK = Path(__file__).with_name("requirements-uv.lock")
_FIRST = "resolving the packages"
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def main() -> int:
    options = argparse.ArgumentParser(prog="make install", description=__doc__)
    options.add_argument("--extras", default="", help="names of extras, separated by spaces")
    options.add_argument("--no-compile", action="store_true", help="leave it to the first import of each module")
    options.add_argument("--editable", action="store_true", help="install the checkout too, as a link to it")
    options.add_argument("locks", type=Path, nargs="*")
    given = options.parse_args()
    extras = sorted(set(given.extras.split()))
    try:
        locks = [*given.locks, *extra_locks(extras)]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    status = 0
    if importlib.util.find_spec("pip") is None:
        status = succeed([sys.executable, "-m", "ensurepip", "--upgrade", "--default-pip"], "installing pip")
    if locks and not status:
        status = install(locks, compiled=not given.no_compile)
    if given.editable and not status:
        status = succeed([*_PIP, "install", "--no-deps", "--editable", "."], "installing the checkout")
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


def install(locks: Iterable[Path], compiled: bool = True) -> int:
    """Install the packages of the lock files, and return the exit status of the program.

    uv installs them in a tenth of the time. It does not read the configuration of pip: if that names an index of
    packages, or if uv fails, pip installs them.
    """
    options = ["install", "--require-hashes", *(f"--requirement={lock}" for lock in locks)]
    if not names_index():
        uv = [sys.executable, "-m", "uv", "pip", *options, "--python", sys.executable]
        if compiled:
            uv.append("--compile-bytecode")
        get_uv = [*_PIP, "install", "--no-deps", "--require-hashes", f"--requirement={UV_LOCK}"]
        if not run(get_uv)[0] and not run(uv)[0]:
            return 0
    return succeed([*_PIP, *options], _FIRST)


def names_index() -> bool:
    """Return True if the configuration of pip, files or environment, names an index of packages."""
    found = subprocess.run([*_PIP, "config", "list"], capture_output=True, text=True)
    return any("index" in line.partition("=")[0] for line in found.stdout.splitlines())


def succeed(command: Sequence[str], purpose: str) -> int:
    """Run a command, print its output if it fails, and return its exit status."""
    status, output = run(command, purpose)
    if status:
        print(output, end="", file=sys.stderr)
    return status


def run(command: Sequence[str], purpose: str = _FIRST) -> tuple[int, str]:
    """Run a command, report its last line or its purpose meanwhile, and return its exit status and output."""
    lines: list[str] = []
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running,
        reported(lambda: f"  {lines[-1].strip()[:70] if lines else purpose}"),
    ):
        assert running.stdout is not None
        for line in running.stdout:
            lines.append(line)
        running.wait()
    return running.returncode, "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
