"""Output of the command line: tables, JSON, errors and colours."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from clipengine.cli import output
from tests.support.server import COMMAND, clean_environ

ROWS = [
    {"name": "short", "length": 62.5, "on": True, "metadata": {}},
    {"name": "会議", "length": None, "on": False, "metadata": {"a": "b"}},
]
COLUMNS: dict[str, output.Column] = {"name": "name", "length": output.seconds("length"), "on": "on"}


def test_table_columns_are_aligned_for_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_list(ROWS, COLUMNS, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "NAME   LENGTH    ON",
        "short  1:02.500  yes",
        "会議   -         no",
    ]


def test_empty_table_has_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_list([], COLUMNS, as_json=False)
    assert capsys.readouterr().out == "NAME  LENGTH  ON\n"


def test_list_as_json_is_an_array(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_list(ROWS, COLUMNS, as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_object_is_printed_with_dotted_names(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_object({"id": "clip_1", "result": {"frames": 3, "tracks": [1]}, "error": None}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "id             clip_1",
        "result.frames  3",
        "result.tracks  [1]",
        "error          -",
    ]


def test_control_characters_are_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_list([{"name": "a\x1b[2Jb\nc\u2028d"}], {"name": "name"}, as_json=False)
    assert capsys.readouterr().out.splitlines()[1] == "a [2Jb c d"


def test_error_is_two_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    output.fail("it broke\nbadly", "internal", "Mend it.")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: it broke badly (internal)\nMend it.\n"


def test_no_progress_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("cutting") as move:
        move(0.5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (734003200, "700.0 MiB")]
)
def test_sizes_are_formatted_with_units(count: int, text: str) -> None:
    assert output.size(count) == text


@pytest.mark.exhaustive
def test_colours_are_used_only_on_a_terminal(film: Path, tmp_path: Path) -> None:
    arguments = [COMMAND, "cut", str(film), str(tmp_path / "no" / "clip.mp4"), "--start", "1", "--end", "2"]
    piped = subprocess.run(arguments, env=clean_environ(), capture_output=True, text=True, check=False)
    assert "\x1b" not in piped.stderr
    for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        shown = on_terminal(arguments, clean_environ(env))
        assert ("\x1b[31m" in shown) == coloured
        assert "(bad_arguments)" in shown


def on_terminal(arguments: list[str], env: dict[str, str]) -> str:
    """Return what a command prints on standard error if that is a terminal."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(arguments, env=env, stdout=subprocess.DEVNULL, stderr=theirs) as process:
            process.wait(300)
        os.close(theirs)
        return os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
