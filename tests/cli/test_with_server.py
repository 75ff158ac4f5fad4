"""`clipengine recordings`, `clips` and `webhooks` against a real server."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import zipfile
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from clipengine.client.webhooks import verify
from tests.support.receiver import Answer, Receiver
from tests.support.server import RunningServer
from tests.support.waiting import until


def shown(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON output of a successful command."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def recording(server: RunningServer, film: Path) -> dict[str, Any]:
    """A recording that has been uploaded and probed."""
    added: dict[str, Any] = shown(server.command("recordings", "add", "--upload", str(film), "--wait", "--json"))
    return added


def create(server: RunningServer, recording: dict[str, Any], label: str, *options: str) -> dict[str, Any]:
    where = ["--start", "0:02", "--end", "4.5"]
    arguments = ["clips", "create", recording["recording_id"], label, *where, "--json", *options]
    clip: dict[str, Any] = shown(server.command(*arguments))
    return clip


def test_added_recording_is_probed(recording: dict[str, Any]) -> None:
    assert recording["status"] == "complete"
    assert recording["duration_seconds"] == pytest.approx(8, abs=0.05)
    assert recording["media"]["video"]["codec"] == "h264"


def test_recordings_can_be_listed_and_shown(server: RunningServer, recording: dict[str, Any]) -> None:
    assert "RECORDING  " in (table := server.command("recordings", "list").stdout)
    assert recording["name"] in table
    listed = shown(server.command("recordings", "list", "--status", "complete", "--json"))
    assert recording["recording_id"] in [each["recording_id"] for each in listed]
    found = shown(server.command("recordings", "show", recording["recording_id"], "--json"))
    assert found == recording | {"clips_count": found["clips_count"]}  # other tests create clips of it
    lines = server.command("recordings", "show", recording["recording_id"]).stdout.splitlines()
    assert "media.video.width  640" in [" ".join(line.split(maxsplit=1)).replace(" ", "  ", 1) for line in lines]


def test_status_shows_engine_and_ended_clips(server: RunningServer, recording: dict[str, Any]) -> None:
    ready = shown(server.command("status", "--json"))["last_day"]["clips_ready"]
    create(server, recording, "counted", "--wait")
    found = shown(server.command("status", "--json"))
    assert (found["status"], found["last_day"]["clips_ready"]) == ("ok", ready + 1)
    (engine,) = found["engines"]
    assert engine["host"] in server.command("status").stdout
    until(lambda: f"0 of {engine['encoders']} busy" in server.command("status").stdout)


@pytest.mark.exhaustive
def test_recording_can_be_changed_and_found(server: RunningServer, recording: dict[str, Any]) -> None:
    recording_id = recording["recording_id"]
    changed = server.command("recordings", "update", recording_id, "--name", "Final", "--tag", "league", "--json")
    assert (shown(changed)["name"], shown(changed)["tags"]) == ("Final", ["league"])
    found = server.command("recordings", "list", "--search", "fin*", "--tag", "league", "--sort", "name", "--json")
    assert [each["recording_id"] for each in shown(found)] == [recording_id]
    restored = ["recordings", "update", recording_id, "--name", recording["name"], "--tag", "", "--json"]
    assert shown(server.command(*restored)) | {"clips_count": 0} == recording | {"clips_count": 0}
    assert server.command("recordings", "update", recording_id).returncode == 2


def test_clip_of_several_parts_is_created(server: RunningServer, recording: dict[str, Any]) -> None:
    parts = ["--part", "5-6", "--part", f"1-1.5@{recording['recording_id']}", "--wait", "--json"]
    clip = shown(server.command("clips", "create", recording["recording_id"], "parts", *parts))
    assert (clip["start_seconds"], clip["end_seconds"], clip["result"]["duration_seconds"]) == (1.0, 6.0, 1.5)
    assert [each["offset_seconds"] for each in clip["result"]["parts"]] == [0.0, 1.0]


def test_clip_can_be_created_listed_downloaded_and_deleted(
    server: RunningServer, recording: dict[str, Any], tmp_path: Path
) -> None:
    options = ["--meta", "by=me", "--priority", "3", "--expires-at", "2040-01-31T12:00:00Z"]
    clip = create(server, recording, "Schlüssel/moment", "--wait", *options)
    assert clip["expires_at"] == "2040-01-31T12:00:00.000Z"
    assert (clip["status"], clip["metadata"], clip["priority"]) == ("complete", {"by": "me"}, 3)
    assert (clip["result"]["actual_start_seconds"], clip["result"]["actual_end_seconds"]) == (2.0, 4.5)

    listed = shown(server.command("clips", "list", "--recording", recording["recording_id"], "--json"))
    assert clip["clip_id"] in [each["clip_id"] for each in listed]
    assert clip["clip_id"] in server.command("clips", "list", "--label", "Schlüssel/moment").stdout
    assert shown(server.command("clips", "show", clip["clip_id"], "--json")) == clip
    assert shown(server.command("clips", "wait", clip["clip_id"], "--json")) == clip

    target = tmp_path / "clip.mp4"
    assert server.command("clips", "download", clip["clip_id"], str(target)).returncode == 0
    assert hashlib.sha256(target.read_bytes()).hexdigest() == clip["result"]["sha256"]

    kept = server.data / "store" / clip["result"]["manifest_path"]
    manifest = tmp_path / "clip.json"
    manifest.write_bytes(kept.read_bytes())
    verified = server.command("verify", str(target), str(manifest), "--data", str(server.data))
    assert (verified.returncode, clip["clip_id"] in verified.stdout) == (0, True), verified.stderr
    key = server.command("verify", "--public-key", "--data", str(server.data)).stdout.strip()
    assert server.command("verify", str(target), str(manifest), "--key", key).returncode == 0
    changed_clip = tmp_path / "changed.mp4"
    changed_clip.write_bytes(target.read_bytes() + b"x")
    refused = server.command("verify", str(changed_clip), str(manifest), "--key", key)
    assert (refused.returncode, "SHA-256" in refused.stderr) == (1, True)

    packed = tmp_path / "clips.zip"
    assert server.command("clips", "archive", clip["clip_id"], "--output", str(packed)).returncode == 0
    with zipfile.ZipFile(packed) as opened:
        assert opened.read("Schlüssel_moment.mp4") == target.read_bytes()

    changed = server.command("clips", "update", clip["clip_id"], "--label", "renamed", "--meta", "a=b", "--json")
    assert (shown(changed)["label"], shown(changed)["metadata"]) == ("renamed", {"by": "me", "a": "b"})
    assert server.command("clips", "update", clip["clip_id"]).returncode == 2
    tagged = server.command("clips", "update", clip["clip_id"], "--tag", "red", "--tag", "a b", "--json")
    assert shown(tagged)["tags"] == ["red", "a b"]
    filters = ["--search", "renam*", "--tag", "red", "--meta", "a=b", "--sort", "-size"]
    assert [each["clip_id"] for each in shown(server.command("clips", "list", *filters, "--json"))] == [clip["clip_id"]]
    assert shown(server.command("clips", "list", "--tag", "blue", "--json")) == []
    asked = server.command("clips", "rm", "--tag", "red")
    assert (asked.returncode, "use --yes" in asked.stderr) == (2, True), asked.stderr
    assert shown(server.command("clips", "update", clip["clip_id"], "--tag", "", "--json"))["tags"] == []
    removed = server.command("clips", "rm", clip["clip_id"], "clip_none")
    until(lambda: not kept.exists())
    assert (removed.returncode, "clip_none" in removed.stderr) == (1, True)
    gone = server.command("clips", "show", clip["clip_id"])
    assert gone.returncode == 1
    assert gone.stderr.splitlines()[1] == "`clipengine clips list` shows the clips."


@pytest.mark.exhaustive
def test_clip_carries_the_transcripts_of_its_recording(
    server: RunningServer, recording: dict[str, Any], tmp_path: Path
) -> None:
    recording_id = recording["recording_id"]
    file = tmp_path / "talk.srt"
    file.write_text("1\n00:00:01,000 --> 00:00:03,500\nThe budget\n\n2\n00:00:06,000 --> 00:00:07,000\nLater\n")
    made = shown(server.command("transcripts", "put", recording_id, "EN", str(file), "--json"))
    assert (made["language"], made["cues"]) == ("en", 2)
    assert server.command("transcripts", "put", recording_id, "de", str(file)).returncode == 0
    assert "de" in server.command("transcripts", "list", recording_id).stdout
    (hit,) = shown(server.command("transcripts", "search", "budg*", "--limit", "1", "--json"))
    assert (hit["text"], hit["start_seconds"]) == ("The budget", 1.0)
    assert shown(server.command("recordings", "suggest", recording_id, "--language", "en", "--json")) == []  # too short
    assert server.command("recordings", "suggest", recording_id).stdout.split()[:3] == ["START", "END", "REASON"]
    target = tmp_path / "got.vtt"
    assert server.command("transcripts", "get", recording_id, "en", str(target)).returncode == 0
    assert target.read_text().startswith("WEBVTT\n\n00:00:01.000 --> 00:00:03.500\nThe budget\n")

    clip = create(server, recording, "with subtitles", "--wait")
    stem = clip["bucket_path"].removesuffix(".mp4")
    assert clip["result"]["subtitles"] == [
        {"language": "de", "path": f"{stem}.de.vtt"},
        {"language": "en", "path": f"{stem}.en.vtt"},
    ]
    stored = server.data / "store" / f"{stem}.en.vtt"
    assert stored.read_text() == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nThe budget\n"
    one = create(server, recording, "in one language", "--wait", "--subtitles", "keep:de")
    assert [each["language"] for each in one["result"]["subtitles"]] == ["de"]
    none = create(server, recording, "without", "--wait", "--subtitles", "none")
    assert none["result"]["subtitles"] == []
    burnt = create(server, recording, "burnt", "--wait", "--subtitles", "burn:de", "--caption-style", "box,size=0.1")
    assert burnt["subtitles"]["style"] == {"name": "box", "size": 0.1, "speaker": False}
    assert (burnt["status"], burnt["result"]["subtitles"], burnt["result"]["warnings"]) == ("complete", [], [])
    options = ["--part", "6-7.5", "--part", "1-2", "--subtitles", "keep:en", "--wait", "--json"]
    joined = shown(server.command("clips", "create", recording_id, "joined", *options))
    (file_of_joined,) = joined["result"]["subtitles"]
    cues = "00:00:00.000 --> 00:00:01.000\nLater\n\n00:00:01.500 --> 00:00:02.500\nThe budget\n"
    assert (server.data / "store" / file_of_joined["path"]).read_text() == f"WEBVTT\n\n{cues}"
    unknown = server.command(
        "clips", "create", recording_id, "x", "--start", "0", "--end", "1", "--subtitles", "keep:fr"
    )
    assert "transcripts list RECORDING_ID" in unknown.stderr
    for each in (clip, one, none, burnt, joined):
        assert server.command("clips", "rm", each["clip_id"]).returncode == 0
    until(lambda: not stored.exists())
    until(lambda: not [*(server.data / "store").rglob("*.vtt")])
    for language in ("en", "de"):
        assert server.command("transcripts", "rm", recording_id, language).returncode == 0


@pytest.mark.exhaustive
def test_text_tracks_of_a_recording_are_its_transcripts(server: RunningServer, film: Path, tmp_path: Path) -> None:
    (tmp_path / "talk.pt-BR.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:03.500\nO orçamento\n")
    options = ["--start", "0", "--end", "5", "--subtitles", str(tmp_path / "talk.pt-BR.vtt")]
    subtitled = tmp_path / "subtitled.mp4"
    assert server.command("cut", str(film), str(subtitled), *options).returncode == 0
    added = shown(server.command("recordings", "add", "--upload", str(subtitled), "--wait", "--json"))
    listed = shown(server.command("transcripts", "list", added["recording_id"], "--json"))
    assert [(each["language"], each["source"], each["cues"]) for each in listed] == [("pt", "embedded", 1)]
    clip = create(server, added, "embedded", "--wait")
    assert [each["language"] for each in clip["result"]["subtitles"]] == ["pt"]
    assert clip["result"]["warnings"] == []
    again = tmp_path / "again.mp4"
    done = shown(server.command("cut", str(subtitled), str(again), "--start", "2", "--end", "4", "--json"))
    assert done["warnings"] == []
    with av.open(str(again)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "subtitle"]


@pytest.mark.exhaustive
def test_clip_can_be_shared_and_unshared(server: RunningServer, recording: dict[str, Any]) -> None:
    clip_id = create(server, recording, "to share", "--wait")["clip_id"]
    made = server.command("clips", "share", clip_id)
    assert made.returncode == 0
    assert made.stderr.startswith("warning: Only this machine can open the link: set server.public_url")
    url = made.stdout.strip()
    assert httpx.get(url, trust_env=False).status_code == 200
    options = ["--expires-at", "2040-01-31T12:00:00Z", "--no-download", "--no-embed", "--json"]
    other = shown(server.command("clips", "share", clip_id, *options))
    assert (other["expires_at"], other["download"], other["embed_url"]) == ("2040-01-31T12:00:00.000Z", False, None)
    listed = shown(server.command("clips", "shares", clip_id, "--json"))
    assert [each["views"] for each in listed] == [0, 1]
    share_id = listed[1]["share_id"]
    assert share_id in server.command("clips", "shares", clip_id).stdout
    assert server.command("clips", "unshare", clip_id, share_id).returncode == 0
    assert httpx.get(url, trust_env=False).status_code == 404
    assert "clips shares CLIP_ID" in server.command("clips", "unshare", clip_id, share_id).stderr


def test_dry_run_fails_if_each_clip_is_refused(server: RunningServer, recording: dict[str, Any]) -> None:
    clip = create(server, recording, "tried", "--wait")["clip_id"]

    def tried(selection: str, changes: str, *options: str) -> subprocess.CompletedProcess[str]:
        return server.command("clips", "variants", selection, "--changes", changes, "--dry-run", *options)

    refused = '{"output": {"watermark": "logo.png"}}'
    done = tried(clip, refused)
    assert (done.returncode, "unknown_watermark" in done.stdout) == (1, True), done.stderr
    assert "0 variants" in done.stderr
    assert "1 refused" in done.stderr
    assert tried(clip, refused, "--json").returncode == 1
    assert tried(clip, '{"output": {"aspect": "1:1"}}').returncode == 0
    none = tried("--created-after=1 minute ago", refused, "--label=never")
    assert (none.returncode, "0 skipped, 0 refused" in none.stderr) == (0, True), none.stderr
    skipped = server.command("clips", "variants", clip, "--changes", "{}")
    assert (skipped.returncode, "1 clip, 1 skipped" in skipped.stderr) == (0, True), skipped.stderr
    wrong = server.command("clips", "rm", "--created-before", "soon", "--dry-run")
    assert (wrong.returncode, "'7 days ago'" in wrong.stderr) == (2, True)


def test_id_of_a_clip_as_recording_is_named(server: RunningServer) -> None:
    done = server.command("recordings", "show", "clip_01")
    assert (done.returncode, done.stderr.splitlines()[1]) == (1, "This is the id of a clip: give that of a recording.")


def test_failed_download_leaves_no_folder(server: RunningServer, recording: dict[str, Any], tmp_path: Path) -> None:
    client = server.client()
    cancelled = client.clips.create(recording["recording_id"], "cancelled", 0, 8, profile="slow").clip_id
    client.clips.cancel(cancelled)
    done = server.command("clips", "download", cancelled, f"{tmp_path}/new/")
    assert (done.returncode, "clip_not_complete" in done.stderr) == (1, True), done.stderr
    assert [*tmp_path.iterdir()] == []


def test_clip_of_a_failed_recording_is_refused_with_its_error(server: RunningServer, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no media" * 1000)
    added = server.command("recordings", "add", "--upload", str(broken), "--wait", "--json")
    recording = json.loads(added.stdout)
    assert recording["status"] == "failed"
    done = server.command("clips", "create", recording["recording_id"], "a", "-s", "0", "-e", "1")
    error, hint = done.stderr.splitlines()
    assert recording["error"]["message"] in error
    assert recording["error"]["code"] in error
    assert recording["error"]["hint"] in hint


@pytest.mark.exhaustive
def test_create_can_download_the_clip(server: RunningServer, recording: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "mine.mp4"
    named = create(server, recording, "fetched", "--download", str(target))
    assert hashlib.sha256(target.read_bytes()).hexdigest() == named["result"]["sha256"]
    own = create(server, recording, "fetched", "--wait", "--download")
    assert (server.data / Path(own["bucket_path"]).name).stat().st_size == own["result"]["size_bytes"]
    create(server, recording, "fetched", "--download", f"{tmp_path}/new/")
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".mp4"]
    assert "is a file" in server.command("clips", "download", own["clip_id"], f"{target}/").stderr
    where = ["--start", "0", "--end", "1", "--download", str(tmp_path / "no" / "clip.mp4")]
    refused = server.command("clips", "create", recording["recording_id"], "never", *where)
    assert refused.returncode == 2
    assert shown(server.command("clips", "list", "--label", "never", "--json")) == []


def test_create_can_change_the_picture(server: RunningServer, recording: dict[str, Any]) -> None:
    tall = create(server, recording, "tall", "--size", "90x160", "--enlarge", "--fit", "pad", "--wait")
    assert tall["output"] == {"size": {"width": 90, "height": 160, "enlarge": True}, "fit": "pad"}
    assert (tall["result"]["width"], tall["result"]["height"]) == (90, 160)
    square = create(server, recording, "square", "--aspect", "1:1", "--fit", "blur", "--max-height", "90", "--wait")
    assert square["output"] == {"aspect": "1:1", "fit": "blur", "max_height": 90}
    assert (square["result"]["width"], square["result"]["height"]) == (90, 90)


def test_clip_can_be_cancelled_and_retried(server: RunningServer, recording: dict[str, Any]) -> None:
    client = server.client()
    ahead = [client.clips.create(recording["recording_id"], "ahead", 0, 8, profile="slow") for _ in range(2)]
    waiting = create(server, recording, "waiting")["clip_id"]  # all encoders are busy
    cancelled = shown(server.command("clips", "cancel", waiting, "--json"))
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    waited = server.command("clips", "wait", waiting)
    assert waited.returncode == 1
    assert waited.stderr.splitlines()[0].endswith(" (cancelled)")
    assert shown(server.command("clips", "retry", waiting, "--json"))["status"] == "processing"
    for clip in ahead:
        client.clips.cancel(clip.clip_id)
    assert shown(server.command("clips", "wait", waiting, "--json"))["status"] == "complete"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (["clips", "create", "rec_none", "x", "--start", "1", "--end", "2"], 1, "recording_not_found"),
        (["clips", "create", "RECORDING", "x", "--start", "7", "--end", "99"], 2, "invalid_time_range"),
        (["clips", "create", "RECORDING", "", "--start", "1", "--end", "2"], 2, "invalid_label"),
        (["clips", "create", "RECORDING", "x", "--start", "1", "--end", "2", "--profile", "no"], 2, "unknown_profile"),
        (["clips", "cancel", "clip_none"], 1, "clip_not_found"),
        (["recordings", "add", "not/there.mp4"], 1, "object_not_found"),
        (["recordings", "add", "../etc/passwd"], 2, "invalid_bucket_path"),
        (["webhooks", "rm", "whk_none"], 1, "webhook_not_found"),
        (["webhooks", "add", "http://169.254.169.254/"], 2, "invalid_webhook_url"),
    ],
)
def test_errors_of_the_server_are_printed_with_their_code(
    server: RunningServer, recording: dict[str, Any], arguments: list[str], exit_code: int, code: str
) -> None:
    done = server.command(*[recording["recording_id"] if each == "RECORDING" else each for each in arguments])
    assert done.returncode == exit_code
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert error.endswith(f" ({code})")
    assert hint
    assert hint not in error


def test_hint_of_the_server_is_printed(server: RunningServer, tmp_path: Path) -> None:
    done = server.command("recordings", "add", "--upload", str(__file__), "--name", "n" * 201)
    assert done.stderr.splitlines() == [
        "error: Upload-Metadata filename: must have at most 200 characters. (invalid_request)",
        "Correct the request and send it again.",
    ]
    empty = tmp_path / "empty.mp4"
    empty.touch()
    done = server.command("recordings", "add", "--upload", str(empty))
    assert (done.returncode, done.stderr) == (1, "error: empty.mp4 is empty (client_error)\n")


def test_stream_that_cannot_seek_is_uploaded_with_its_fields(server: RunningServer, film: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "live.mp4"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(film.read_bytes()))
    writer.start()
    added = shown(server.command("recordings", "add", "--upload", str(pipe), "--tag", "live", "--wait", "--json"))
    writer.join()
    assert (added["status"], added["name"], added["tags"]) == ("complete", "live.mp4", ["live"])
    assert added["file_size_bytes"] == film.stat().st_size


@pytest.mark.exhaustive
def test_import_registers_recordings_and_skips_clips(
    server: RunningServer, recording: dict[str, Any], film: Path
) -> None:
    folder = server.data / "store" / "old"
    (folder / "clips").mkdir(parents=True)
    for name in ("a.mp4", "b.MP4", "piece.mp4", "notes.txt", "clips/x-clip_01m886xhz2erp9djh57vgmdagd.mp4"):
        (folder / name).write_bytes(film.read_bytes())
    (folder / "c.m3u8").write_text("#EXTM3U\n#EXTINF:4,\npiece.mp4\n#EXT-X-ENDLIST\n")
    where = ["old/", "--data", str(server.data)]
    planned = shown(server.command("recordings", "import", *where, "--dry-run", "--json"))
    assert [each["bucket_path"] for each in planned] == ["old/a.mp4", "old/b.MP4", "old/c.m3u8"]
    first = shown(server.command("recordings", "import", *where, "--json"))
    assert [each["bucket_path"] for each in first] == ["old/a.mp4", "old/b.MP4", "old/c.m3u8"]
    again = shown(server.command("recordings", "import", *where, "--json"))
    assert [each["recording_id"] for each in again] == [each["recording_id"] for each in first]


def test_import_registers_the_folders_of_cameras(server: RunningServer, tmp_path: Path) -> None:
    for name in ("31/12/front/00.00", "31/12/front/10.00", "31/12/yard/00.00", "30/23/front/59.50"):
        path = server.data / "store" / "nvr" / f"2026-01-{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"media")
    (server.data / "store" / "nvr" / "export.mp4").write_bytes(b"media")
    config = tmp_path / "own.toml"
    config.write_text('[[folders]]\nfolder = "nvr/"\npattern = "%Y-%m-%d/%H/{camera}/%M.%S.mp4"\n')
    where = ["nvr/", "--data", str(server.data), "--config", str(config), "--json"]
    days = [
        "nvr/2026-01-30/%H/front/%M.%S.mp4",
        "nvr/2026-01-31/%H/front/%M.%S.mp4",
        "nvr/2026-01-31/%H/yard/%M.%S.mp4",
    ]
    planned = shown(server.command("recordings", "import", *where, "--dry-run"))
    assert [each["bucket_path"] for each in planned] == ["nvr/export.mp4", *days]
    found = shown(server.command("recordings", "import", *where))
    assert [each["name"] for each in found[1:]] == ["front 2026-01-30", "front 2026-01-31", "yard 2026-01-31"]
    again = shown(server.command("recordings", "import", *where))
    assert [each["recording_id"] for each in again[1:]] == [each["recording_id"] for each in found[1:]]


def test_import_does_not_create_a_missing_folder(server: RunningServer, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    refused = server.command("recordings", "import", "", "--data", str(elsewhere))
    assert refused.returncode == 1
    assert f"the store's folder {elsewhere / 'store'} does not exist" in refused.stderr
    assert not elsewhere.exists()


@pytest.mark.exhaustive
@pytest.mark.parametrize(("options", "stays"), [([], True), (["--object"], False), (["--pieces"], False)])
def test_recording_is_deleted_with_or_without_its_object(
    server: RunningServer, film: Path, options: list[str], stays: bool
) -> None:
    added = shown(server.command("recordings", "add", "--upload", str(film), "--wait", "--json"))
    stored = server.data / "store" / added["bucket_path"]
    assert server.command("recordings", "rm", added["recording_id"], *options).returncode == 0
    assert server.command("recordings", "show", added["recording_id"]).returncode == 1
    if stays:
        assert stored.exists()
    else:
        until(lambda: not stored.exists())  # the object is deleted after the response


@pytest.mark.exhaustive
def test_webhook_can_be_added_tested_and_deleted(server: RunningServer, recording: dict[str, Any]) -> None:
    with Receiver() as receiver:
        added = shown(server.command("webhooks", "add", receiver.url, "--event", "clip.ready", "--json"))
        listed = shown(server.command("webhooks", "list", "--json"))
        assert added["webhook_id"] in [each["webhook_id"] for each in listed]
        assert "secret" not in listed[0]

        assert shown(server.command("webhooks", "test", added["webhook_id"], "--json"))["status"] == "delivered"
        sample = receiver.wait_for(1)[0]
        assert verify(sample.body, sample.headers, added["secret"])["event"] == "clip.ready"

        clip = create(server, recording, "sent", "--wait")
        event = receiver.wait_for(2)[1]
        assert verify(event.body, event.headers, added["secret"])["data"] == clip

        receiver.script(Answer(500))
        refused = server.command("webhooks", "test", added["webhook_id"])
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[0].endswith(" (not_delivered)")
        assert "retried automatically" in refused.stderr
        receiver.script(Answer(410))
        gone = server.command("webhooks", "test", added["webhook_id"])
        assert (gone.returncode, "automatically" in gone.stderr) == (1, False)
        assert "the webhook is disabled (it answered 410 Gone)" in gone.stderr
        assert server.command("webhooks", "rm", added["webhook_id"]).returncode == 0
        assert shown(server.command("webhooks", "list", "--json")) == []


def test_secret_of_clips_verifies_their_deliveries(server: RunningServer, recording: dict[str, Any]) -> None:
    printed = server.command("webhooks", "clip-secret", "--data", str(server.data))
    assert printed.returncode == 0, printed.stderr
    with Receiver() as receiver:
        clip = server.client().clips.create(recording["recording_id"], "own", 1.0, 2.0, webhook_url=receiver.url)
        (request,) = receiver.wait_for(1)
    event = verify(request.body, request.headers, printed.stdout.strip())
    assert (event["event"], event["data"]["clip_id"]) == ("clip.ready", clip.clip_id)


def test_secret_of_clips_needs_a_ledger(server: RunningServer, tmp_path: Path) -> None:
    refused = server.command("webhooks", "clip-secret", "--data", str(tmp_path / "none"))
    assert (refused.returncode, "has no ledger" in refused.stderr) == (1, True), refused.stderr
    assert not (tmp_path / "none").exists()
