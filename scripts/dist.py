"""Builds the wheel and the sdist of a release into dist/, checks them, and uses the wheel in a new environment.

    python -m scripts.dist dist          # make dist adds the npm packages

The wheel is built from the sdist, so that both are tested. The new environment gets the locked dependencies.
"""

from __future__ import annotations

import email.message
import email.parser
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import click

import clipengine

ROOT = Path(__file__).resolve().parents[1]
_BACKEND = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"


def build(folder: Path) -> tuple[Path, Path]:
    """Build both files and return the paths of the sdist and the wheel."""
    for old in (*folder.glob("*.whl"), *folder.glob("clipengine-*.tar.gz")):
        old.unlink()
    _run_backend("build_sdist", ROOT, folder)
    (sdist,) = folder.glob("clipengine-*.tar.gz")
    with tempfile.TemporaryDirectory() as unpacked, tarfile.open(sdist) as packed:
        packed.extractall(unpacked, filter="data")
        (source,) = Path(unpacked).iterdir()
        _run_backend("build_wheel", source, folder)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def _run_backend(name: str, source: Path, folder: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _BACKEND, name, str(folder.resolve())]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def metadata_of(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as packed:
        (name,) = (each for each in packed.namelist() if each.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(packed.read(name).decode())


def problems(wheel: Path, changelog: str) -> list[str]:
    """Return what an index would reject, or would show wrongly, and what contradicts the changelog."""
    metadata = metadata_of(wheel)
    version = str(metadata["Version"])
    checks = {
        "the version is not that of the package": version == clipengine.__version__,
        "the version is not final": re.fullmatch(r"\d+\.\d+\.\d+", version) is not None,
        "the description is not Markdown": metadata["Description-Content-Type"] == "text/markdown",
        "the description is empty": len(str(metadata.get_payload())) > 1000,
        "the license is missing": metadata["License"] == "Apache-2.0",
        "Requires-Python is missing": metadata["Requires-Python"] == ">=3.11",
        "the changelog has no dated section": f"\n## [{version}] - " in changelog,
    }
    return [problem for problem, passed in checks.items() if not passed]


def use(wheel: Path) -> str:
    """Install the wheel with the locked dependencies into a new environment, and return what its command prints."""
    with tempfile.TemporaryDirectory() as home:
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [f"{home}/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "--requirement", str(ROOT / "requirements.lock")], check=True)
        subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
        done = subprocess.run([f"{home}/bin/clipengine", "--version"], cwd=home, capture_output=True, check=True)
        return done.stdout.decode().strip()


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Write the wheel and the sdist to FOLDER and check them."""
    folder.mkdir(parents=True, exist_ok=True)
    sdist, wheel = build(folder)
    found = problems(wheel, (ROOT / "CHANGELOG.md").read_text("utf-8"))
    if found:
        raise click.ClickException("; ".join(found))
    printed = use(wheel)
    if printed != f"clipengine {clipengine.__version__}":
        raise click.ClickException(f"the installed wheel prints {printed!r}")
    for made in (sdist, wheel):
        click.echo(f"built: {made}")


if __name__ == "__main__":
    main()
