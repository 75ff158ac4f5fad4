"""Lists of ranges on the command line: clips of a server, clips of a file, and the list of a recording's clips."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.ffmpeg import run_ffmpeg
from tests.support.server import RunningServer, run_command


@pytest.fixture(scope="module")
def recording_id(server: RunningServer, film: Path) -> str:
    added = server.command("recordings", "add", "--upload", str(film), "--wait", "--json")
    assert added.returncode == 0, added.stderr
    return str(json.loads(added.stdout)["recording_id"])


def _shown(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _delete(server: RunningServer, clips: list[dict[str, Any]]) -> None:
    assert server.command("clips", "rm", *[clip["clip_id"] for clip in clips]).returncode == 0


def _ranges(clips: list[dict[str, Any]]) -> list[tuple[str, float, float]]:
    return [(clip["label"], clip["start_seconds"], clip["end_seconds"]) for clip in clips]


def test_every_range_becomes_a_clip(server: RunningServer, recording_id: str, tmp_path: Path) -> None:
    file = tmp_path / "ranges.csv"
    file.write_text("0:01,2,Goal\n,0.5,\n7.5,,\n")
    options = ["--from", str(file), "--meta", "by=me", "--download", str(tmp_path / "new"), "--json"]
    clips = _shown(server.command("clips", "create", recording_id, "moment", *options))
    assert _ranges(clips) == [("Goal", 1.0, 2.0), ("moment 2", 0.0, 0.5), ("moment 3", 7.5, clips[2]["end_seconds"])]
    assert clips[2]["end_seconds"] == pytest.approx(8, abs=0.05)
    assert {(clip["status"], clip["metadata"]["by"]) for clip in clips} == {("complete", "me")}
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".mp4", ".mp4", ".mp4"]
    exported = server.command("clips", "export", recording_id)
    assert exported.stdout.splitlines()[:3] == ["label,start,end", "moment 2,0.0,0.5", "Goal,1.0,2.0"]
    edl = tmp_path / "list.edl"
    assert server.command("clips", "export", recording_id, "--output", str(edl)).returncode == 0
    assert "002  AX       AA/V  C        00:00:01:00 00:00:02:00 00:00:00:13 00:00:01:13\n" in edl.read_text()
    otio = tmp_path / "list.otio"
    assert server.command("clips", "export", recording_id, "--output", str(otio)).returncode == 0
    again = _shown(server.command("clips", "create", recording_id, "--from", str(otio), "--json"))
    assert _ranges(again)[:2] == [("moment 2", 0.0, 0.52), ("Goal", 1.0, 2.0)]  # ends on frames
    for name, said in (("no/x.csv", "does not exist"), ("x.txt", "give --format")):
        refused = server.command("clips", "export", recording_id, "--output", str(tmp_path / name))
        assert (refused.returncode, said in refused.stderr) == (2, True)
    assert "'--from' for a list" in server.command("clips", "create", recording_id, "x").stderr
    options = ["--from", str(edl), "--as-parts", "--wait", "--json"]
    joined = _shown(server.command("clips", "create", recording_id, *options))
    assert joined["label"] == "list"
    assert [(part["start_seconds"], part["end_seconds"]) for part in joined["parts"]][:2] == [(0.0, 0.52), (1.0, 2.0)]


def test_failed_clips_are_exported_only_by_their_status(server: RunningServer, recording_id: str) -> None:
    client = server.client()
    clips = [client.clips.create(recording_id, name, start_seconds=0, end_seconds=1) for name in ("kept", "gone")]
    client.clips.cancel(clips[1].clip_id)
    client.clips.wait(clips[0].clip_id)
    exported = server.command("clips", "export", recording_id)
    assert "kept,0.0,1.0" in exported.stdout
    assert "gone" not in exported.stdout
    assert "clips that have failed or were cancelled are left out: 1" in exported.stderr
    failed = server.command("clips", "export", recording_id, "--status", "failed")
    assert failed.stdout.splitlines()[1:] == ["gone,0.0,1.0"]
    assert failed.stderr == ""
    for clip in clips:
        client.clips.delete(clip.clip_id)


@pytest.mark.exhaustive
def test_lists_count_frames_from_the_first_one(server: RunningServer, tmp_path: Path) -> None:
    """In an MP4 that was copied from Matroska, the audio begins 21 ms before the video: the priming of AAC."""
    matroska, path = tmp_path / "late.mkv", tmp_path / "late.mp4"
    picture, tone = "testsrc2=r=25:s=320x180:d=3", "sine=r=48000:d=3"
    codecs = ["-c:v", "libx264", "-bf", "2", "-g", "25", "-c:a", "aac"]
    run_ffmpeg("-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, *codecs, matroska)
    run_ffmpeg("-v", "error", "-i", matroska, "-c", "copy", path)
    client = server.client()
    recording = client.recordings.wait(client.recordings.upload(path).recording_id)
    assert recording.raw["media"]["video"]["first_frame_seconds"] == pytest.approx(0.021, abs=0.001)
    client.clips.wait(client.clips.create(recording.recording_id, "two", 1.021, 2.021).clip_id)
    edl = server.command("clips", "export", recording.recording_id, "--format", "edl").stdout
    assert "  00:00:01:00 00:00:02:00 " in edl  # frames 25 to 49
    (tmp_path / "list.edl").write_text(edl)
    options = ["--from", str(tmp_path / "list.edl"), "--json"]
    (again,) = _shown(server.command("clips", "create", recording.recording_id, *options))
    assert again["start_seconds"] == pytest.approx(1.021, abs=0.001)
    client.clips.wait(again["clip_id"])
    client.recordings.delete(recording.recording_id)


@pytest.mark.exhaustive
def test_ranges_are_created_in_groups(server: RunningServer, recording_id: str, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    rows = [f"range {number},{number / 100:.2f},{number / 100 + 0.01:.2f}" for number in range(101)]
    file.write_text("\n".join(["label,start,end", *rows]))
    made = _shown(server.command("clips", "create", recording_id, "--from", str(file), "--tag", "many", "--json"))
    assert [clip["label"] for clip in made] == [f"range {number}" for number in range(101)]
    _delete(server, made)
    # The last range is too short for the fade, which the server finds after the first group was created.
    file.write_text("\n".join(["label,start,end", *rows[:100], "short,1,1.005"]))
    done = server.command("clips", "create", recording_id, "--from", str(file), "--fade", "0.004", "--json")
    assert done.returncode == 2
    assert len(json.loads(done.stdout)) == 100
    _delete(server, json.loads(done.stdout))
    assert "of 101 clips the 100 above, up to line 101, were created" in done.stderr
    assert f"{file}: line 102: " in done.stderr


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("label,start,end\na,1,2\nb,7,20\n", [], "line 3: 7 to 20 s is past the recording's end"),
        ("1,2\n", ["--start", "0"], "either --from, or --start and --end, or --part"),
        ("1,2\n" * 101, ["--as-parts"], "at most 100 parts"),
        ("1,2\n", ["--download", "clip.mp4"], "must be a folder"),
    ],
)
def test_invalid_list_creates_nothing(
    server: RunningServer, recording_id: str, tmp_path: Path, text: str, options: list[str], message: str
) -> None:
    (tmp_path / "ranges.csv").write_text(text)
    label = f"invalid {message}"
    done = server.command("clips", "create", recording_id, label, "--from", str(tmp_path / "ranges.csv"), *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert _shown(server.command("clips", "list", "--label", label, "--json")) == []


def test_label_is_required_without_a_list(server: RunningServer, recording_id: str) -> None:
    done = server.command("clips", "create", recording_id, "--start", "1", "--end", "2")
    assert done.returncode == 2
    assert "LABEL" in done.stderr
    assert "--as-parts needs --from" in server.command("clips", "create", recording_id, "a", "--as-parts").stderr


@pytest.mark.exhaustive
def test_cut_writes_a_file_for_each_range_or_one_of_all(film: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "match.edl", tmp_path / "clips.2026"
    file.write_text("1 2 0\n2.5 7 0\n")
    done = run_command("cut", str(film), str(folder), "--from", str(file), "--json", cwd=tmp_path)
    made = _shown(done)
    assert [Path(each["output"]).name for each in made] == ["01-match-1.mp4", "02-match-2.mp4", "03-match-3.mp4"]
    assert sorted(path.name for path in folder.iterdir()) == [Path(each["output"]).name for each in made]
    assert [(each["actual_start_seconds"], each["actual_end_seconds"]) for each in made][:2] == [(0, 1), (2, 2.5)]
    target = tmp_path / "clip.mp4"
    one = _shown(run_command("cut", str(film), str(target), "--from", str(file), "--as-parts", "--json", cwd=tmp_path))
    assert one["duration_seconds"] == pytest.approx(sum(each["duration_seconds"] for each in made), abs=1e-6)
    assert [part["offset_seconds"] for part in one["parts"]] == [0.0, 1.0, 1.5]
    done = run_command("cut", str(film), str(target), "--from", str(file), cwd=tmp_path)
    assert done.returncode == 2
    assert "is not a folder" in done.stderr
