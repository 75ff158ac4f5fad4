"""The scripts that documents and `make help` name: each says what it does, and runs with its smallest sizes."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench import SECTIONS

SCRIPTS = Path(__file__).parents[1] / "scripts"
_PROGRAM = 'if __name__ == "__main__":'
PROGRAMS = sorted(
    ".".join(file.relative_to(SCRIPTS.parent).with_suffix("").parts)
    for file in SCRIPTS.rglob("*.py")
    if _PROGRAM in file.read_text("utf-8")
)


def run(monkeypatch: pytest.MonkeyPatch, program: str, *arguments: object) -> None:
    """Run a script in this process. Raises AssertionError if its exit status is not 0."""
    monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
    monkeypatch.delitem(sys.modules, program, raising=False)  # runpy warns of a module that was imported before
    status = None
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        status = ended.code
    assert not status, f"{program} ended with {status}"


def test_every_script_has_a_program_or_is_a_part_of_one() -> None:
    assert {"scripts.bench", "scripts.soak", "scripts.new_migration", "scripts.releases.build"} <= set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_says_what_a_script_does_and_does_nothing(
    program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {each: each.stat().st_mtime_ns for each in _written_by_scripts()}
    run(monkeypatch, program, "--help")
    said = capsys.readouterr().out
    assert said.lower().startswith("usage:")
    assert len(said.split("\n\n")) >= 3, "it has no description"
    assert not list(tmp_path.iterdir())
    assert {each: each.stat().st_mtime_ns for each in _written_by_scripts()} == before


def _written_by_scripts() -> list[Path]:
    package = SCRIPTS.parent / "clipengine"
    return [*package.glob("docs/*.md"), *package.glob("ledger/database/*.py")]


@pytest.mark.exhaustive
@pytest.mark.parametrize("section", SECTIONS)
def test_section_of_the_benchmark_runs_with_its_smallest_sizes(
    section: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "bench.json"
    run(monkeypatch, "scripts.bench", "--smallest", "--section", section, "--cache", tmp_path / "cache", "--out", out)
    report = json.loads(out.read_text())
    assert report["scale"] == "smallest"
    assert report["figures"], f"{section} measured nothing"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "arguments",
    [
        ("--inputs", 4, "--workers", 1, "--match", "h264"),
        ("--requests", 60),
        ("--playlists", 50),
        ("--documents", 5),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_fuzzing_ends_in_order(arguments: tuple[object, ...], tmp_path: Path) -> None:
    given = [*arguments, "--out", tmp_path / "fuzz"]
    command = [sys.executable, "-m", "scripts.fuzz", *map(str, given)]  # a process, whose memory is measured
    subprocess.run(command, cwd=SCRIPTS.parent, check=True)


@pytest.mark.exhaustive
def test_bitstreams_are_fuzzed(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "scripts.fuzz_bitstream", "--inputs", 50)


@pytest.mark.exhaustive
def test_load_counts_each_clip_and_webhook_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "scripts.load", "--clips", 4, "--clients", 2)
    assert "{'complete': 4}" in capsys.readouterr().out


@pytest.mark.exhaustive
def test_survey_cuts_five_clips_of_each_recording(
    recordings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder := tmp_path / "recordings").mkdir()
    smallest = min(recordings.glob("*.mp4"), key=lambda each: each.stat().st_size)
    shutil.copy(smallest, folder)
    run(monkeypatch, "scripts.survey", folder, "--out", tmp_path / "table.md")
    assert f"| {smallest.name} |" in (tmp_path / "table.md").read_text()


@pytest.mark.exhaustive
def test_comparison_with_ffmpeg_writes_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run(monkeypatch, "scripts.compare", tmp_path / "table.md", "--films", "mp4_24", "--jobs", 1)
    assert "| film |" in (tmp_path / "table.md").read_text()
