"""The same films and cuts for this project's cutter and for the `ffmpeg` command at its defaults, side by side.

`python -m scripts.compare OUT.md` writes the table. Both are judged leniently, by what any cutter should achieve: no
frame missing, repeated, wrong or at the wrong time, audio in sync, length within a frame, upright, tags kept. The clip
may start anywhere within a frame. The stricter promises of this project are in `python -m tests.films.table`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from clipengine.errors import ClipEngineError
from tests.films.cuts import Cut
from tests.films.cutting import cut
from tests.films.film import Film
from tests.films.judge import judge
from tests.films.reader import read_clip
from tests.films.table import COLUMNS, Row, chosen, kinds, options, rows_of, summary

_PATIENCE_SECONDS = 120


def own(film: Film, wanted: Cut, output: Path) -> list[str]:
    """Cut with this project's cutter."""
    try:
        cut(film, wanted.start, wanted.end, output)
    except ClipEngineError as error:
        return [f"error: {error.code}: {error.message}"]
    return judge(film, read_clip(output), wanted.start, wanted.end, lenient=True)


def ffmpeg(film: Film, wanted: Cut, output: Path) -> list[str]:
    """Cut with the commonly recommended command: seek before the input, then encode."""
    output.unlink(missing_ok=True)
    seek = ["-ss", f"{float(wanted.start):.6f}", "-i", str(film.path), "-t", f"{float(wanted.end - wanted.start):.6f}"]
    codecs = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-c:a", "aac"]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *seek, *codecs, str(output)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_PATIENCE_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        return [f"error: {error}"]
    return judge(film, read_clip(output), wanted.start, wanted.end, lenient=True)


def render(ours: Sequence[Row], theirs: Sequence[Row], version: str) -> str:
    """Merge both tables: a cell has ours / theirs if they differ."""
    lines = ["# This engine and the ffmpeg command", "", f"- this engine: {summary(ours)}"]
    lines += [f"- {version} at its defaults: {summary(theirs)}"]
    moved = sum(kinds(faults) == "times" for row in theirs for faults in row.cells.values())
    lines += [f"  (in {moved} more only times are wrong: frames moved against the sound)", ""]
    lines += [*_by_cut(ours, theirs), ""]
    lines += [f"| film | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for own_row, other_row in zip(ours, theirs, strict=True):
        cells = []
        for name in COLUMNS:
            pair = [kinds(row.cells[name]) for row in (own_row, other_row) if name in row.cells]
            cells.append("ok" if pair == ["ok", "ok"] else " / ".join(pair))
        lines.append(f"| `{own_row.film}` | {' | '.join(cells)} |")
    lines += ["", "## Faults of ffmpeg", ""]
    lines += [f"- `{row.film}` {name}: {'; '.join(f)}" for row in theirs for name, f in row.cells.items() if f]
    return "\n".join([*lines, ""])


def _by_cut(ours: Sequence[Row], theirs: Sequence[Row]) -> list[str]:
    counts = [Counter(n for row in rows for n, faults in row.cells.items() if not faults) for rows in (ours, theirs)]
    asked = Counter(name for row in ours for name in row.cells)
    lines = ["| cut | cuts | this engine | ffmpeg |", "|---|---|---|---|"]
    return lines + [f"| {n} | {asked[n]} | {counts[0][n]} | {counts[1][n]} |" for n in COLUMNS if asked[n]]


def main() -> None:
    arguments = options("Compare with the ffmpeg command.").parse_args()
    if shutil.which("ffmpeg") is None:
        print("skipped: the ffmpeg command is not installed")
        return
    said = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout
    names = chosen(arguments.films)
    with tempfile.TemporaryDirectory() as folder:
        shelf = arguments.shelf or Path(folder)
        ours = rows_of(own, names, shelf=shelf, jobs=arguments.jobs)
        theirs = rows_of(ffmpeg, names, shelf=shelf, jobs=arguments.jobs)
    arguments.output.write_text(render(ours, theirs, " ".join(said.split()[:3])), encoding="utf-8")
    print(f"{arguments.output}: this engine: {summary(ours)}; ffmpeg: {summary(theirs)}")


if __name__ == "__main__":
    main()
