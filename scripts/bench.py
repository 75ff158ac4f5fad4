"""Benchmark of clips, compared with the ffmpeg command and with the targets of the API. It gates nothing.

    python -m scripts.bench [--quick | --smallest] [--section cutting]...

Prints a table and writes the same figures as JSON. Quote figures from an otherwise idle machine only.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from scripts.benchmarks.figures import Bench, Figure, Scale, table

# Modules of scripts.benchmarks in running order.
SECTIONS = (
    "cutting",
    "smart",
    "cores",
    "growth",
    "reading",
    "latency",
    "service",
    "registration",
    "live",
    "claims",
    "page",
    "transcription",
)
_ROOT = Path(__file__).resolve().parents[1]
_MEDIA = _ROOT.parent / "shared" / "media"


@click.command(help=__doc__)
@click.option(
    "--section", "sections", multiple=True, type=click.Choice(SECTIONS), help="Run only this section; repeatable."
)
@click.option("--quick", "scale", flag_value="quick", help="Fewer and shorter runs, for orientation only.")
@click.option("--smallest", "scale", flag_value="smallest", help="Tiny runs that show only that the sections work.")
@click.option("--out", default="BENCH.json", show_default=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--cache", default=_ROOT / ".bench", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for generated recordings.  [default: .bench]")  # fmt: skip
@click.option("--media", default=_MEDIA, type=click.Path(file_okay=False, path_type=Path),
              help="Folder of real recordings.  [default: ../shared/media]")  # fmt: skip
def main(sections: tuple[str, ...], scale: Scale | None, out: Path, cache: Path, media: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    scale = scale or "full"
    bench = Bench(cache, media if media.is_dir() else None, scale, lambda text: click.echo(text, err=True))
    measured: list[tuple[str, Figure]] = []
    for name in sections or SECTIONS:
        module = importlib.import_module(f"scripts.benchmarks.{name}")
        bench.say(f"{name}: {(module.__doc__ or '').splitlines()[0]}")
        for figure in module.figures(bench):
            measured.append((name, figure))
            ratio = "" if figure.ratio is None else f", ratio {figure.ratio:.3f}"
            bench.say(f"  {figure.what}: {figure.value:.3f} {figure.unit}{ratio}")
    for line in table(measured):
        click.echo(line)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "scale": scale,
        "machine": _machine(),
        "figures": [{"section": name, **figure.to_object()} for name, figure in measured],
    }
    out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _machine() -> dict[str, object]:
    """Return the properties of the machine that affect the figures."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    try:
        ffmpeg = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout.split()[2]
    except (OSError, subprocess.CalledProcessError):
        ffmpeg = None
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": sys.version.split()[0],
        "ffmpeg": ffmpeg,
    }


if __name__ == "__main__":
    main()
