"""`clipengine cut`."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import av
import numpy as np
import pytest

from clipengine.cli.local.making import _replaced
from tests.films.reader import read_clip
from tests.support.moments_film import make_moments_film
from tests.support.png import png
from tests.support.selection import cases
from tests.support.server import COMMAND, clean_environ, run_command
from tests.support.waiting import until


def test_cut_writes_the_clip_and_prints_a_summary(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    done = run_command("cut", str(film), str(target), "--start", "2", "--end", "0:04.5", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    described = re.fullmatch(
        r"(.+): 0:02\.000 to 0:04\.500, 2\.500 s, (\d+) frames, 640x360 h264, aac, .+\n", done.stdout
    )
    assert described is not None
    assert (described[1], int(described[2])) == (str(target), 63)  # frames at 2.00, 2.04 … 4.48
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_json_output_describes_the_file(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    done = run_command("cut", str(film), str(target), "--start", "1", "--end", "3", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["output"] == str(target)
    assert (result["actual_start_seconds"], result["actual_end_seconds"], result["frames"]) == (1.0, 3.0, 50)
    assert result["size_bytes"] == target.stat().st_size
    assert result["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()


@pytest.mark.parametrize("speed", [1, 2])
@pytest.mark.typical(1)
def test_parts_follow_each_other_in_the_clip(film: Path, tmp_path: Path, speed: int) -> None:
    target = tmp_path / "clip.mp4"
    parts = ["--part", "5-6", "--part", "0:01-2.5", "--speed", str(speed)]
    done = run_command("cut", str(film), str(target), *parts, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["duration_seconds"], result["frames"]) == (2.5 / speed, 63)
    assert [(each["offset_seconds"], each["actual_start_seconds"]) for each in result["parts"]] == [
        (0.0, 5.0),
        (1.0 / speed, 1.0),
    ]


def _levels(path: Path) -> Any:
    """Return the luma of the first frame."""
    with av.open(str(path)) as container:
        plane: Any = next(container.decode(video=0)).planes[0]
        return np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width].astype(int)


@pytest.mark.exhaustive
def test_subtitles_and_watermark_are_drawn_in_the_sandbox(film: Path, tmp_path: Path) -> None:
    cues = "WEBVTT\n\n00:01.000 --> 00:03.500\nThe BUDGET\n"
    for language in ("en", "de"):
        (tmp_path / f"talk.{language}.vtt").write_text(cues)
    (tmp_path / "logo.png").write_bytes(png(2, 1, bytes((255, 255, 255, 255) * 2)))
    (tmp_path / "clipengine.toml").write_text(
        '[watermarks]\nlogo = {path = "logo.png", position = "top-left", margin = 0}'
    )
    ranges = ["--start", "2", "--end", "3", "--json"]

    def made(name: str, *options: str) -> dict[str, Any]:
        done = run_command("cut", str(film), str(tmp_path / name), *ranges, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    made("plain.mp4")
    burnt = made("burnt.mp4", "--subtitles", "burn:talk.en.vtt", "--watermark", "logo")
    assert burnt["warnings"] == []
    changed = np.abs(_levels(tmp_path / "burnt.mp4") - _levels(tmp_path / "plain.mp4")) > 60
    assert changed[310:350, 200:440].sum() > 200  # the text
    assert changed[:48, :96].mean() > 0.5  # the watermark
    assert changed[60:300].sum() == 0
    made("chosen.mp4", "--subtitles", "talk.en.vtt", "--subtitles", "talk.de.vtt", "--subtitles", "burn:de")
    assert (np.abs(_levels(tmp_path / "chosen.mp4") - _levels(tmp_path / "plain.mp4")) > 60)[310:350].sum() > 200
    with av.open(str(tmp_path / "chosen.mp4")) as container:
        assert not container.streams.subtitles
    words = [
        {"start_seconds": 1, "end_seconds": 3.5, "text": "The BUDGET", "words": [[1.9, 2.4, "The"], [2.4, 3, "BUDGET"]]}
    ]
    (tmp_path / "talk.en.json").write_text(json.dumps(words))
    marked = made("marked.mp4", "--subtitles", "burn:talk.en.json", "--caption-style", "word,colour=#000000,size=0.1")
    assert marked["warnings"] == []
    light = _levels(tmp_path / "marked.mp4")[280:330] > 200
    assert not light[:, 212:272].any()  # The is spoken, and black
    assert light[:, 330:440].any()  # BUDGET
    kept = made("kept.mp4", "--subtitles", "talk.en.vtt", "--subtitles", "talk.de.vtt", "--subtitles", "keep:de")
    assert kept["warnings"] == []
    with av.open(str(tmp_path / "kept.mp4")) as container:
        assert [stream.language for stream in container.streams.subtitles] == ["deu"]


def test_invalid_transcript_in_json_is_rejected(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text('[{"start_seconds": 1, "end_seconds": "2", "text": "x"}]')
    options = ["--start", "1", "--end", "2", "--subtitles", str(path)]
    done = run_command("cut", str(film), str(tmp_path / "clip.mp4"), *options, cwd=tmp_path)
    assert done.returncode != 0
    assert "words.json: " in done.stderr
    assert "end_seconds" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--subtitles", "burn:en"], "There are no subtitles in en; the known languages are: none"),
        (["--subtitles", "burn"], "There are no subtitles; the known languages are: none"),
        (["--subtitles", "keep:nonsense-tag"], "is not a language tag, and there is no such file"),
        (["--subtitles", "missing.vtt"], "'missing.vtt' is not a file, none, keep[:LANGUAGE]"),
        (["--subtitles", "none", "--subtitles", "keep"], "none and keep exclude each other"),
        (["--subtitles", "none:en"], "none excludes files and languages"),
        (["--subtitles", "burn:en", "--profile", "sound"], "burn would have no effect"),
        (["--caption-style", "word"], "--caption-style needs --subtitles burn"),
        (["--subtitles", "burn", "--caption-style", "neon"], "name must be 'outline', 'box' or 'word'"),
        (["--subtitles", "burn", "--caption-style", "box,size=big"], "size must be a valid number"),
        (["--subtitles", "burn", "--caption-style", "box,height=2"], "height must be less than or equal to 0.9"),
        (["--watermark", "logo"], "There is no watermark 'logo': the settings have none"),
    ],
)
@pytest.mark.typical(2)
def test_invalid_drawing_is_rejected(options: list[str], message: str, film: Path, tmp_path: Path) -> None:
    (tmp_path / "clipengine.toml").write_text('[profiles.sound]\ncontainer = "mp4"\nvideo = "none"\n')
    target = str(tmp_path / "clip.mp4")
    done = run_command("cut", str(film), target, "--start", "1", "--end", "2", *options, cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["clipengine.toml"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--start"),
        (["--start", "1"], "--end"),
        (["--part", "1-2", "--start", "1"], "either --start and --end, or --part"),
        (["--part", "2-1"], "not after its start"),
        (["--part", "1"], "not START-END"),
        (["--part", "1-2@rec_1"], "part of `cut` is of SOURCE"),
        (["--part", "1-2", "--part", "2-3", "--fade", "1.2"], "'--fade': is 1.2, more than half of the clip"),
        (["--start", "9", "--end", "10"], "the start 9 s is not before the end of the recording at 8"),
    ],
)
def test_invalid_ranges_are_rejected(film: Path, tmp_path: Path, options: list[str], message: str) -> None:
    done = run_command("cut", str(film), str(tmp_path / "clip.mp4"), *options, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_profile_of_the_settings_is_used(film: Path, tmp_path: Path) -> None:
    (tmp_path / "clipengine.toml").write_text('[profiles.sound]\ncontainer = "m4a"\nvideo = "none"\n')
    target = tmp_path / "clip.m4a"
    options = ["--start", "1", "--end", "3", "--profile", "sound", "--json"]
    done = run_command("cut", str(film), str(target), *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["video_codec"], result["audio_codec"]) == (None, "aac")


@pytest.mark.parametrize(
    ("start", "end", "options", "code"),
    [
        ("3", "3", [], "bad_arguments"),
        ("3", "2", [], "bad_arguments"),
        ("1:60", "3", [], "bad_arguments"),
        ("soon", "3", [], "bad_arguments"),
        ("1", "3", ["--profile", "nope"], "unknown_profile"),
        ("7", "60", [], "invalid_time_range"),
    ],
)
def test_invalid_values_exit_with_2(
    film: Path, tmp_path: Path, start: str, end: str, options: list[str], code: str
) -> None:
    target = tmp_path / "clip.mp4"
    done = run_command("cut", str(film), str(target), "--start", start, "--end", end, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith(f" ({code})")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "profile", "message"),
    [
        ("out.mkv", "default", "out.mp4, or use --profile archive, which creates .mkv files"),
        ("out.webm", "default", "not .webm: use out.mp4"),
        ("out.mp4", "archive", "out.mkv, or use --profile default, which creates .mp4 files"),
    ],
)
def test_extension_that_contradicts_the_profile_is_rejected(
    tmp_path: Path, name: str, profile: str, message: str
) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[profiles.archive]\ncontainer = "mkv"\n')
    options = ["--start", "1", "--end", "2", "--profile", profile, "--config", str(config)]
    done = run_command("cut", "any.mp4", name, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", cases(["out.gif", "OUT.WEBP"], ["OUT.WEBP"]))
@pytest.mark.typical(1)
def test_extension_of_an_animation_chooses_its_container(film: Path, tmp_path: Path, name: str) -> None:
    options = ["--start", "1", "--end", "2.5", "--max-height", "120", "--json"]
    done = run_command("cut", str(film), str(tmp_path / name), *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    codec = name[-4:].lower().lstrip(".")
    assert (result["video_codec"], result["audio_codec"], result["frames"], result["height"]) == (codec, None, 18, 120)
    config = tmp_path / "own.toml"
    config.write_text(f'[profiles.tiny]\ncontainer = "{codec}"\nmax_height = 60\n')
    options = ["--start", "1", "--end", "2", "--config", str(config), "--json"]
    done = run_command("cut", str(film), str(tmp_path / name), *options, cwd=tmp_path)
    assert json.loads(done.stdout)["height"] == 60


def test_long_animation_is_rejected(film: Path, tmp_path: Path) -> None:
    options = ["--start", "0", "--end", "8", "--speed", "0.25"]
    done = run_command("cut", str(film), str(tmp_path / "out.gif"), *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "'--speed': makes the clip 32 s long, but it may have at most 30 s" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_missing_output_folder_is_rejected(film: Path, tmp_path: Path) -> None:
    done = run_command("cut", str(film), str(tmp_path / "no" / "clip.mp4"), "--start", "1", "--end", "2")
    assert done.returncode == 2
    assert "does not exist (bad_arguments)" in done.stderr


def test_output_that_is_not_a_regular_file_is_kept(film: Path, tmp_path: Path) -> None:
    pipe, link, target = tmp_path / "pipe.mp4", tmp_path / "link.mp4", tmp_path / "target.mp4"
    os.mkfifo(pipe)
    link.symlink_to(target)
    refused = {str(pipe): "not a regular file", "-": "standard output", "/dev/null": "not a regular file"}
    for output, message in refused.items():
        done = run_command("cut", str(film), output, "--start", "1", "--end", "2", cwd=tmp_path)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert pipe.is_fifo()
    done = run_command("cut", str(film), str(link), "--start", "1", "--end", "1.2", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert link.is_symlink()
    assert target.stat().st_size > 1000


def test_folder_that_cannot_be_written_is_named(film: Path) -> None:
    for output in ("/proc/clip.mp4", f"/tmp/{'x' * 252}.mp4"):
        done = run_command("cut", str(film), output, "--start", "1", "--end", "1.2")
        assert done.returncode == 2
        assert re.search(r"cannot write to the folder /(proc|tmp): .+ \(bad_arguments\)", done.stderr), done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.typical(1)
def test_signal_removes_the_unfinished_file(number: signal.Signals, film: Path, tmp_path: Path) -> None:
    cut = [COMMAND, "cut", str(film), str(tmp_path / "clip.mp4"), "--start", "0", "--end", "5", "--speed", "0.25"]
    command = ["env", f"--default-signal={number.name}", *cut]  # nohup ignores SIGHUP, and the tests inherit that
    with subprocess.Popen(command, env=clean_environ(), stderr=subprocess.PIPE) as running:
        until(lambda: any(tmp_path.iterdir()))
        running.send_signal(number)
        assert running.wait(300) == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_signal_at_any_line_leaves_no_file(tmp_path: Path) -> None:
    """Raise an exception, as the handler does, at each line that writing the file executes."""
    lines, interrupted = 0, True
    gc.disable()  # otherwise finalizers of objects of other tests may be interrupted instead
    try:
        while interrupted:
            lines += 1
            interrupted = _interrupted_at(lines, tmp_path)
            assert list(tmp_path.iterdir()) == ([] if interrupted else [tmp_path / "clip.mp4"])
    finally:
        gc.enable()
    assert lines > 10


def _interrupted_at(line: int, folder: Path) -> bool:
    executed, previous = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal executed
        executed += event == "line"
        if executed == line and event == "line":
            sys.settrace(previous)
            raise KeyboardInterrupt
        return trace

    written = _replaced(folder / "clip.mp4")
    try:
        sys.settrace(trace)
        temporary = written.__enter__()
        sys.settrace(previous)
    except KeyboardInterrupt:
        return True
    assert temporary.exists()
    written.__exit__(None, None, None)
    return False


@pytest.mark.parametrize(
    ("limit", "burnt"),
    [
        ("-v 250000", False),
        pytest.param("-v 500000", True, marks=pytest.mark.exhaustive),
        pytest.param("-d 150000", False, marks=pytest.mark.exhaustive),
        ("-f 20", True),
        pytest.param("-f 20", False, marks=pytest.mark.exhaustive),
        ("-n 12", False),
        pytest.param("-n 15", False, marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.typical(1)
def test_limit_of_the_shell_is_not_blamed_on_the_recording(limit: str, burnt: bool, film: Path, tmp_path: Path) -> None:
    """The encoder is forked from the command, or started as a program, which burns subtitles."""
    texts = tmp_path / "texts.srt"
    texts.write_text("1\n00:00:01,000 --> 00:00:03,000\nHello\n")
    more = ["--subtitles", f"burn:{texts}"] if burnt else []
    target = tmp_path / "clip.mp4"
    command = [COMMAND, "cut", str(film), str(target), "--start", "1", "--end", "5", *more]
    done = subprocess.run(
        ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *command],
        env=clean_environ(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    error, hint = done.stderr.splitlines()[-2:]
    assert error.endswith(f"`ulimit {limit}` (limit_too_low)"), done.stderr
    assert hint.startswith(f"Start it with `ulimit {limit[:2]} ")
    assert not target.exists()


def test_missing_recording_is_reported(tmp_path: Path) -> None:
    done = run_command("cut", str(tmp_path / "no.mp4"), str(tmp_path / "clip.mp4"), "--start", "1", "--end", "2")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].endswith(" (recording_missing)")
    assert "Traceback" not in done.stderr


def test_existing_output_is_replaced_with_a_warning_unless_forced(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    target.write_text("a file of before")
    span = ["--start", "1", "--end", "1.2"]
    warned = run_command("cut", str(film), str(target), *span, cwd=tmp_path)
    assert (warned.returncode, warned.stderr) == (
        0,
        f"warning: {target} exists and will be replaced; the next release asks for --force\n",
    )
    forced = run_command("cut", str(film), str(target), *span, "--force", cwd=tmp_path)
    assert (forced.returncode, forced.stderr) == (0, "")
    assert read_clip(target).frames


def test_existing_files_of_a_list_are_counted_in_one_warning(film: Path, tmp_path: Path) -> None:
    ranges = tmp_path / "ranges.csv"
    ranges.write_text("start,end,label\n0.2,0.4,one\n1.0,1.2,two\n")
    command = ["cut", str(film), str(tmp_path / "clips"), "--from", str(ranges)]
    first = run_command(*command, cwd=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    second = run_command(*command, cwd=tmp_path)
    existing = f"{tmp_path / 'clips' / '01-one.mp4'} and 1 more exist"
    assert (second.returncode, second.stderr) == (
        0,
        f"warning: {existing} and will be replaced; the next release asks for --force\n",
    )


def test_unreadable_recording_leaves_the_old_file(tmp_path: Path) -> None:
    source, target = tmp_path / "page.mp4", tmp_path / "clip.mp4"
    source.write_text("<html>no film</html>" * 100)
    target.write_bytes(b"old")
    done = run_command("cut", str(source), str(target), "--start", "1", "--end", "2", cwd=tmp_path)
    assert done.returncode == 1
    warning, error, hint = done.stderr.splitlines()
    assert warning.startswith("warning: ")
    assert error.endswith(" (recording_unreadable)")
    assert hint == "Check that it is a complete video or audio file: play it."
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "page.mp4"]


def test_progress_bar_is_shown_on_a_terminal(film: Path, tmp_path: Path) -> None:
    try:
        ours, theirs = pty.openpty()
    except OSError:
        pytest.skip("no pseudo-terminals on this machine")
    command = [COMMAND, "cut", str(film), str(tmp_path / "clip.mp4"), "--start", "1", "--end", "7"]
    try:
        process = subprocess.Popen(command, env=clean_environ(), stdout=subprocess.PIPE, stderr=theirs, cwd=tmp_path)
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
        assert process.stdout is not None
        with process:
            assert b"clip.mp4: " in process.stdout.read()
        assert process.returncode == 0
    finally:
        os.close(ours)
    assert b"cutting" in shown
    assert b"100%" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # raised on Linux when the other side is closed
        return b""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (".", ". is a folder: give a file in it"),
        ("https://example.org/a b.mp4", "download it first (curl -fLO 'https://example.org/a b.mp4')"),
        ("http://example.org/a.mp4", "or upload it to the store and register it (clipengine recordings add)"),
        ("file:///tmp/a.mp4", "file:///tmp/a.mp4 is a URL, but SOURCE must be a file or s3://bucket/key"),
    ],
)
def test_source_that_is_not_a_file_is_rejected(source: str, message: str, tmp_path: Path) -> None:
    done = run_command("cut", source, "clip.mp4", "--start", "1", "--end", "2", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "(bad_arguments)" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "name"), [("live.mp4", "live.mp4"), ("/dev/stdin", "/dev/stdin"), ("-", "standard input")]
)
@pytest.mark.typical(1)
def test_pipe_as_source_is_rejected(source: str, name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "live.mp4")
    command = [COMMAND, "cut", source, "clip.mp4", "--start", "1", "--end", "2"]
    done = subprocess.run(command, env=clean_environ(), cwd=tmp_path, input="", capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{name} is not a regular file" in done.stderr
    assert "write it to a file first" in done.stderr
    assert "(bad_arguments)" in done.stderr
    assert not (tmp_path / "clip.mp4").exists()


@pytest.mark.exhaustive
def test_output_options_change_the_picture(film: Path, tmp_path: Path) -> None:
    target = tmp_path / "clip.mp4"
    options = ["--start", "1", "--end", "2", "--crop", "0.5,0,0.5,1", "--aspect", "1:1", "--fit", "pad", "--fps", "10"]
    options += ["--max-height", "160", "--fade", "0.2", "--mute", "0,0.5", "--mute", "0.7,1", "--loudness", "-20"]
    options += ["--blur", "0,0,0.2,0.2", "--blur", "0.5,0.5,0.2,0.2,0.1,0.4", "--speed", "0.5"]
    done = run_command("cut", str(film), str(target), *options, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["width"], result["height"], result["frames"]) == (160, 160, 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--crop", "0.5,0,0.6,1"], "'--crop': width must end inside the picture"),
        (["--crop", "0.5,0,1"], "'--crop': '0.5,0,1' must be 4 numbers: x,y,width,height"),
        (["--aspect", "9x16"], "'--aspect': must be W:H, such as 9:16"),
        (["--aspect", "9:0"], "'--aspect': must be W:H, such as 9:16"),
        (["--fit", "pad"], "'--fit': needs an aspect or a size"),
        (["--size", "1080"], "'--size': '1080' must be WIDTHxHEIGHT, such as 1080x1920"),
        (["--size", "1080x1921"], "'--size': height must be a multiple of 2"),
        (["--enlarge"], "--enlarge needs --size"),
        (["--mute", "2,1"], "'--mute': 0 must end after it begins"),
        (["--loudness", "-1"], "'--loudness': must be less than or equal to -5"),
        (["--aspect", "1:1", "--focus", "2,0"], "'--focus': x must be less than or equal to 1"),
        (["--aspect", "1:1", "--profile", "sound"], "'--aspect': would have no effect"),
    ],
)
def test_invalid_output_options_are_rejected(tmp_path: Path, options: list[str], message: str) -> None:
    (tmp_path / "clipengine.toml").write_text('[profiles.sound]\ncontainer = "m4a"\nvideo = "none"\n')
    name = "clip.m4a" if "sound" in options else "clip.mp4"
    done = run_command("cut", "any.mp4", name, "--start", "1", "--end", "2", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-bytes", "20000"], "'--max-bytes': is not possible in gif"),
        (["--fps", "100"], "'--fps': is 100, but gif allows at most 50"),
        (["--mute", "0,1"], "'--mute': would have no effect"),
    ],
)
def test_option_that_an_animation_cannot_have_is_named(tmp_path: Path, options: list[str], message: str) -> None:
    done = run_command("cut", "any.mp4", "clip.gif", "--start", "1", "--end", "2", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.exhaustive
def test_cuts_are_snapped_to_keyframes(film: Path, tmp_path: Path) -> None:
    """The only keyframe of the film is its first frame; the last GOP ends with the recording."""
    target = tmp_path / "clip.mp4"
    options = ["--start", "0.3", "--end", "7", "--snap", "keyframe", "--snap-within", "0.5", "--json"]
    done = run_command("cut", str(film), str(target), *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [(each["cut"], each["asked_seconds"], each["snapped_seconds"]) for each in result["snapped"]] == [
        ("start", 0.3, 0.0),
        ("end", 7.0, None),
    ]
    assert (result["actual_start_seconds"], result["actual_end_seconds"], result["frames"]) == (0.0, 7.0, 175)
    assert result["warnings"] == ["not_snapped: the end stays at 7 s: there is no keyframe within 0.5 s"]


@pytest.mark.exhaustive
def test_pauses_are_removed(tmp_path: Path) -> None:
    film, target = make_moments_film(tmp_path / "film.mp4"), tmp_path / "clip.mp4"
    options = ["--start", "1", "--end", "11", "--without", "silence", "--snap", "keyframe", "--render", "smart"]
    done = run_command("cut", str(film), str(target), *options, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["actual_start_seconds"], result["actual_end_seconds"]) == (0.0, 10.0)  # two keyframes
    assert (result["removed_seconds"], result["duration_seconds"], result["frames"]) == (3.04, 6.96, 174)
    assert [each.partition(":")[0] for each in result["warnings"]] == ["encoded_instead"]
    times = [time for time, _ in read_clip(target).frames]
    assert max(later - time for time, later in pairwise(times)) <= Fraction(41, 1000)


_WORDS = [[1.5, 1.9, "Um,"], [1.9, 2.4, "this"], [2.4, 2.9, "stays"], [6.6, 7.0, "Uh."]]
_CUES = [{"start_seconds": 1.5, "end_seconds": 7.0, "text": "Um, this stays. Uh.", "words": _WORDS}]


@pytest.mark.parametrize(
    ("name", "given", "keep", "removed"),
    [
        ("talk.en.json", "talk.en.json", [], 0.76),
        ("talk.json", "en:talk.json", [], 0.76),
        ("talk.en.json", "talk.en.json", ["--keep", "0:06.5-7"], 0.4),
    ],
)
@pytest.mark.exhaustive
def test_fillers_of_a_transcript_are_removed(
    film: Path, tmp_path: Path, name: str, given: str, keep: list[str], removed: float
) -> None:
    (tmp_path / name).write_text(json.dumps(_CUES))
    target = tmp_path / "clip.mp4"
    options = ["--start", "1", "--end", "8", "--without", "fillers", *keep, "--transcript", given, "--json"]
    done = run_command("cut", str(film), str(target), *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["warnings"] == []
    assert result["subtitles"] == []
    assert result["removed_seconds"] == pytest.approx(removed, abs=0.041)
    assert result["duration_seconds"] == pytest.approx(7 - result["removed_seconds"], abs=0.001)
    times = [time for time, _ in read_clip(target).frames]
    steps = {later - time for time, later in pairwise(times)}
    assert max(steps) - min(steps) <= Fraction(1, 1000)


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("talk.en.vtt", "WEBVTT\n\n00:01.000 --> 00:05.000\nUm, this.\n", "does not have the times of words"),
        ("talk.json", json.dumps(_CUES), "fillers of the language und are not known"),
        ("talk.en.json", "[", "talk.en.json: The body is not JSON"),
        ("talk.en.json", "[{}]", "talk.en.json: "),
        ("talk.en.json", " " * (2 << 20) + "[]", "talk.en.json: the transcript has more than 2097152 bytes"),
        ("talk.en.json", None, "'talk.en.json' is not a file or LANGUAGE:FILE"),
    ],
)
@pytest.mark.typical(3)
def test_transcript_that_cannot_time_words_is_named(
    film: Path, tmp_path: Path, name: str, body: str | None, message: str
) -> None:
    if body is not None:
        (tmp_path / name).write_text(body)
    options = ["--start", "1", "--end", "2", "--without", "fillers", "--transcript", name]
    done = run_command("cut", str(film), str(tmp_path / "clip.mp4"), *options, cwd=tmp_path)
    assert message in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--without", "noise"], "'noise' is not silence or fillers"),
        (["--without", "silence,fillers"], "needs a transcript"),
        (["--without", "silence", "--speed", "100"], "timelapse"),
        (["--keep", "1-2"], "--keep needs --without"),
        (["--without", "silence", "--keep", "1-2@rec_1"], "a range to keep is of each part"),
        (["--snap-within", "1"], "--snap-within needs --snap"),
        (["--snap", "scene", "--snap-within", "0"], "0<x<=30"),
        (["--snap", "scene", "--snap-within", "31"], "0<x<=30"),
        (["--snap", "sentence"], "needs a transcript"),
    ],
)
def test_invalid_snap_is_refused(film: Path, tmp_path: Path, options: list[str], message: str) -> None:
    done = run_command(
        "cut", str(film), str(tmp_path / "clip.mp4"), "--start", "1", "--end", "2", *options, cwd=tmp_path
    )
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_command_starts_without_the_ledger() -> None:
    """The command needs no database, and loading its packages takes longer than the smallest clips."""
    code = (
        "import sys, clipengine.cli.local.making; sys.exit(bool({'peewee', 'psycopg', 'starlette'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
