"""The table of producers: `make producers` records a film with each, cuts it, and writes the table into the manual."""

from __future__ import annotations

import argparse
import re
import tempfile
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.clips.options.profiles import Render
from clipengine.errors import ClipEngineError
from clipengine.settings.settings import Settings
from tests.films.reader import read_clip
from tests.support.obs import OBS
from tests.support.producers import PRODUCERS, Producer, expected_of, faults_of, source, version_of

_PAGE = Path(__file__).parent.parent / "clipengine" / "docs" / "producers.md"
_TABLE = re.compile(r"(?<=<!-- begin of the table -->\n).*?(?=<!-- end of the table -->)", re.DOTALL)
_START, _END = Fraction(31, 10), Fraction(83, 10)


def main() -> None:
    argparse.ArgumentParser(prog="make producers", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [_row(number, each, Path(folder)) for number, each in enumerate([*PRODUCERS, *OBS])]
    head = "| producer | version | container | codec | clips | measured |\n|---|---|---|---|---|---|\n"
    table = head + "".join(f"| {' | '.join(row)} |\n" for row in rows if row)
    _PAGE.write_text(_TABLE.sub(lambda _: table, _PAGE.read_text()))
    print(table, end="")


def _row(number: int, producer: Producer, folder: Path) -> list[str]:
    """Return the cells of a producer, none if it is not installed."""
    target = folder / str(number)
    target.mkdir()
    try:
        producer.record(source(folder, producer.codec), target)
    except pytest.skip.Exception as missing:
        print(f"skipped: {producer}: {missing}")
        return []
    playlist = target / producer.key
    if not producer.ends:
        with playlist.open("a") as file:
            file.write("#EXT-X-ENDLIST\n")
    found = [fault for render in ("encode", "smart") for fault in _faults(producer, target, render)]
    exact = "exact, default and smart"
    if producer.sound_early:
        exact += f"; the sound of the file itself is {round(1000 * producer.sound_early)} ms early"
    made = "; ".join(dict.fromkeys(found)) or exact
    day = datetime.now(UTC).date().isoformat()
    return [producer.name, version_of(producer), producer.container, f"{producer.codec}, AAC", made, day]


def _faults(producer: Producer, target: Path, render: Render) -> list[str]:
    output = target / f"{render}.clip.mp4"
    clip = LocalClip([(_START, _END)], render=render)
    try:
        cut_once(Settings(), str(target / producer.key), output, clip, on_progress=lambda done: None)
    except ClipEngineError as error:
        return [error.code]
    start, end = float(_START), float(_END)
    expected = expected_of(target / producer.key, start, end) if producer.may_lose_frames else None
    return faults_of(read_clip(output), end - start, producer.sound_early, expected)


if __name__ == "__main__":
    main()
