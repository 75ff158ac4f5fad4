"""Five clips of every recording of a folder, through a real server; prints a table of the outcomes.

    python -m scripts.survey FOLDER [--out TABLE.md]

The ranges: the start, a third in, a tenth of a second in the middle, across the end, and the last moment. Exits with 1
if a clip does not end, or ends with a code for which the engine is to blame.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from clipengine.client import ApiError, Client, Recording
from tests.support.server import running_server

_ENGINE_CODES = {"internal", "encoder_failed", "verification_failed", "timeout", "storage_unavailable", "disk_full"}
_SECONDS = 600


def ranges(duration: float) -> list[tuple[float, float]]:
    """Return five ranges of a recording of this length."""
    middle = round(duration / 2, 3)
    return [
        (0.0, round(min(duration, 2.0), 3)),
        (round(duration / 3, 3), round(duration / 3 + min(2.0, duration / 4), 3)),
        (middle, round(min(middle + 0.1, duration), 3)),
        (round(max(0.0, duration - 1.5), 3), round(duration + 0.7, 3)),
        (round(max(0.0, duration - 0.05), 3), round(duration, 3)),
    ]


def rows(api: Client, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each recording, and the outcome of its probe or its five clips."""
    known: list[tuple[Path, Recording]] = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix not in {".tsv", ".md", ".txt"}:
            known.append((path, api.recordings.add(path.name)))
    posted: list[tuple[str, str | None, list[str]]] = []
    for path, added in known:
        recording = api.recordings.wait(added.recording_id, timeout=_SECONDS)
        if recording.status != "complete" or recording.duration_seconds is None:
            posted.append((path.name, recording.error.code if recording.error else "?", []))
            continue
        ids = []
        for start, end in ranges(recording.duration_seconds):
            try:
                clip = api.clips.create(recording.recording_id, label="survey", start_seconds=start, end_seconds=end)
                ids.append(clip.clip_id)
            except ApiError as error:
                ids.append(error.code)
        posted.append((path.name, None, ids))
    for name, code, ids in posted:
        ends = [f"recording {code}"] if code else []
        for id in ids:
            if not id.startswith("clip_"):
                ends.append(id)
                continue
            clip = api.clips.wait(id, timeout=_SECONDS)
            ends.append(clip.error.code if clip.error else clip.status)
        yield name, ends


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Also write the table to this file.")
def main(folder: Path, out: Path | None) -> None:
    counts: Counter[str] = Counter()
    lines = [
        "| recording | beginning | a third in | middle | across the end | last moment |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "store"
        shutil.copytree(folder, store)
        with running_server(Path(scratch) / "data", env={"CLIPENGINE_STORAGE__FOLDER": str(store)}) as server:
            with server.client() as api:
                for name, ends in rows(api, store):
                    counts.update(ends)
                    lines.append(f"| {name} | {' | '.join(ends)} |")
                    click.echo(lines[-1])
            assert server.stop() == 0
    total = ", ".join(f"{number} {end}" for end, number in counts.most_common())
    click.echo(total)
    if out is not None:
        out.write_text("\n".join([*lines, "", total, ""]))
    if any(end in _ENGINE_CODES for end in counts):
        sys.exit(1)


if __name__ == "__main__":
    main()
