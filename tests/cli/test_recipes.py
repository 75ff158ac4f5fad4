"""The recipes of the documents: their settings load, and every `sh` block runs as written against a real server.

Commands for other machines and programs that tests do not have are in `bash` blocks.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from clipengine.api.routes.documents import ORDER
from clipengine.settings.sources import load
from tests.support import events
from tests.support.recipes import DOCS, blocks, merge, run, settings, start, variables
from tests.support.server import COMMAND, RunningServer, clean_environ, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.exhaustive

RECIPES = sorted((DOCS / "recipes").glob("*.md"))
MODULES = DOCS.parents[1] / "scripts" / "typescript" / "node_modules"
VTT = "WEBVTT\n\n00:02.000 --> 00:04.000\nThe budget is approved.\n"
SPEECH = {  # `verbose_json` of faster-whisper-server 0.0.3, shortened
    "task": "transcribe",
    "text": " The budget is approved.",
    "segments": [{"id": 0, "start": 2.0, "end": 4.0, "text": " The budget is approved.", "no_speech_prob": 0.006}],
}
STORE_KEYS = {"CLIPENGINE_STORAGE__ACCESS_KEY": "a", "CLIPENGINE_STORAGE__SECRET_KEY": "b"}

every_recipe = pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the settings of all recipes, except their stores and receivers."""
    together: dict[str, Any] = {}
    for page in RECIPES:
        merge(together, settings(page))
    del together["storage"], together["webhooks"]["endpoints"]
    with running_server(tmp_path_factory.mktemp("recipes") / "data", env=variables(together)) as running:
        yield running


@pytest.fixture(scope="module")
def recording_id(server: RunningServer, film: Path) -> str:
    return server.client().recordings.upload(film).wait().recording_id


@pytest.fixture
def environ(server: RunningServer, recording_id: str, film: Path, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a reader of the recipes. curl fails if the response is an error."""
    (tmp_path / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    (tmp_path / "meeting.vtt").write_text(VTT)
    (tmp_path / "meeting.mp4").symlink_to(film)
    (tmp_path / "speech.json").write_text(json.dumps(SPEECH))
    return clean_environ(
        {
            "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}",
            "CURL_HOME": str(tmp_path),
            "KEY": server.key,
            "RECORDING_ID": recording_id,
            "SECRET": "at-least-16-characters",
            "SLACK_URL": "https://slack.invalid/services/T/B/x",
            "CLIPENGINE_URL": server.url,
            "CLIPENGINE_API_KEY": server.key,
            "CLIPENGINE_DATA__FOLDER": str(server.data),
        }
    )


def test_every_recipe_is_in_the_navigation_and_in_the_overview() -> None:
    names = [f"recipes/{page.stem}" for page in RECIPES]
    assert sorted(name for name in ORDER if name.startswith("recipes/")) == names
    overview = (DOCS / "recipes.md").read_text("utf-8")
    assert sorted(re.findall(r"\]\((recipes/[a-z0-9-]+)\.md\)", overview)) == names


@every_recipe
def test_recipe_says_what_goes_wrong(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.startswith("# ")
    assert "\n## What goes wrong\n\n| sign | cause |\n" in text
    assert len(text.splitlines()) < 140


def test_n8n_recipe_allows_the_modules_of_the_function_that_verifies() -> None:
    modules = re.findall(r'require\("(.+?)"\)', blocks(DOCS / "webhooks.md", "js")[0])
    assert f"`NODE_FUNCTION_ALLOW_BUILTIN={','.join(modules)}`" in (DOCS / "recipes" / "n8n.md").read_text("utf-8")


@every_recipe
def test_settings_of_the_recipe_are_valid(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CLIPENGINE_")]:
        monkeypatch.delenv(name)
    given = settings(page)
    if given.get("storage", {}).get("kind") == "s3":
        for name, value in STORE_KEYS.items():
            monkeypatch.setenv(name, value)
    file = tmp_path / "clipengine.toml"
    file.write_text("\n".join(blocks(page, "toml")))
    loaded = load(file)
    assert loaded.model_fields_set >= given.keys()


@pytest.mark.skipif(not all(map(shutil.which, ("curl", "jq", "ffmpeg"))), reason="curl, jq or ffmpeg is not installed")
@every_recipe
def test_commands_of_the_recipe_run(page: Path, server: RunningServer, environ: dict[str, str], tmp_path: Path) -> None:
    for block in blocks(page, "sh"):
        run(["bash", "-euo", "pipefail", "-c", block.replace("http://127.0.0.1:8377", server.url)], environ, tmp_path)


@pytest.mark.skipif(
    not MODULES.is_dir() or shutil.which("node") is None, reason="run `make client-ts` first; it needs node and npm"
)
def test_typescript_recipe_makes_a_clip(environ: dict[str, str], tmp_path: Path) -> None:
    (block,) = blocks(DOCS / "recipes" / "typescript.md", "ts")
    (tmp_path / "clip.ts").write_text(block)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(MODULES)
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--types", "node"]
    run([str(MODULES / ".bin" / "tsc"), *options, "clip.ts"], environ, tmp_path)
    assert run(["node", "clip.js"], environ, tmp_path).rstrip().endswith(".mp4 3")
    failed = start(["node", "clip.js"], environ | {"CLIPENGINE_API_KEY": ""}, tmp_path)
    assert (failed.returncode, "Error: unauthorized: " in failed.stderr) == (1, True)


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")
def test_go_recipe_makes_a_clip(environ: dict[str, str], tmp_path: Path) -> None:
    (block,) = blocks(DOCS / "recipes" / "go.md", "go")
    (tmp_path / "main.go").write_text(block)
    offline = {"GO111MODULE": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": ""}
    environ |= offline
    run(["go", "build", "-o", "clip", "main.go"], environ, tmp_path)
    assert run(["./clip"], environ, tmp_path).rstrip().endswith(".mp4")
    for wrong, said in (
        ({"CLIPENGINE_API_KEY": ""}, "unauthorized: "),
        ({"RECORDING_ID": "rec_x"}, "recording_not_found: "),
        ({"CLIPENGINE_URL": environ["CLIPENGINE_URL"] + "/elsewhere"}, "not_found: "),
    ):
        failed = start(["./clip"], environ | wrong, tmp_path)
        assert (failed.returncode, failed.stdout) == (1, "")
        assert failed.stderr.startswith(said)


def test_livekit_recipe_cuts_the_end_of_a_meeting_without_a_request(server: RunningServer, film: Path) -> None:
    (given,) = tomllib.loads(blocks(DOCS / "recipes" / "livekit.md", "toml")[0])["ingest"].values()
    stored = server.data / "store" / "calls" / "board.mp4"  # as the event says
    stored.parent.mkdir(parents=True)
    shutil.copy(film, stored)
    body = events.recorded("livekit-egress-ended")
    token = events.jwt({**events.livekit_claims(body), "iss": given["api_key"]}, given["secret"])
    headers = {"Authorization": token, "Content-Type": "application/webhook+json"}
    answer = httpx.post(f"{server.url}/v1/ingest/livekit", content=body, headers=headers, trust_env=False)
    assert answer.status_code == 202, answer.text
    (recording_id,) = answer.json()["recording_ids"]
    client = server.client()
    until(lambda: list(client.clips.each(recording_id=recording_id)), 300)
    (clip,) = client.clips.each(recording_id=recording_id)
    assert (clip.label, client.clips.wait(clip.clip_id).status) == ("Board meeting, the end", "complete")


# As Frigate documents `frigate/events`, without the parts of `after` that repeat.
FRIGATE_EVENT: dict[str, Any] = {
    "type": "end",
    "before": {"id": "1769882526.5-iobinq", "camera": "front_door", "label": "person", "end_time": None},
    "after": {
        "id": "1769882526.5-iobinq",
        "camera": "front_door",
        "frame_time": 1769882527.5,
        "label": "person",
        "sub_label": None,
        "top_score": 0.95,
        "false_positive": False,
        "start_time": 1769882526.5,  # 2026-01-31T18:02:06.5Z
        "end_time": 1769882527.5,
        "score": 0.87,
        "box": [424, 500, 536, 712],
        "current_zones": ["porch"],
        "has_clip": True,
        "has_snapshot": True,
    },
}


def test_frigate_recipe_cuts_an_event_without_a_request(server: RunningServer, film: Path) -> None:
    media = server.data / "store"
    stored = media / "recordings" / "2026-01-31" / "18" / "front_door" / "02.05.mp4"
    stored.parent.mkdir(parents=True)
    shutil.copy(film, stored)
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(blocks(DOCS / "recipes" / "frigate.md", "python")[0], names)
    secret = settings(DOCS / "recipes" / "frigate.md")["ingest"]["generic"]["secret"]
    for event in ({**FRIGATE_EVENT, "type": "new"}, FRIGATE_EVENT, FRIGATE_EVENT):
        names["send"](json.loads(json.dumps(event)), media, server.url, secret)
    client = server.client()
    (rule,) = (each for each in client.rules.each() if each.name == "People at the door")
    until(lambda: [each for each in client.rules.batches(rule.rule_id).data if each.ended_at], 300)
    (batch,) = client.rules.batches(rule.rule_id).data
    (item,) = batch.items
    clip = client.clips.wait(item["clip_id"])
    assert (clip.label, clip.status) == ("person 2026-01-31 18.02.05", "complete")


def made_of(server: RunningServer, name: str) -> list[str]:
    """Wait until the rule with this name has acted once, and return the labels of its clips, which are complete."""
    client = server.client()
    (rule,) = (each for each in client.rules.each() if each.name == name)
    until(lambda: [each for each in client.rules.batches(rule.rule_id).data if each.ended_at], 300)
    (batch,) = client.rules.batches(rule.rule_id).data
    clips = [client.clips.wait(item["clip_id"]) for item in batch.items]
    assert {clip.status for clip in clips} == {"complete"}
    return [clip.label for clip in clips]


def test_daily_recipe_cuts_the_alarms_and_hours_of_a_day(
    server: RunningServer, environ: dict[str, str], film: Path, tmp_path: Path
) -> None:
    day = server.data / "store" / "cameras" / "yard" / "2026-01-31"
    day.mkdir(parents=True)
    for name in ("17.59.50.mp4", "18.02.05.mp4"):
        shutil.copy(film, day / name)
    for block in blocks(DOCS / "recipes" / "daily-best.md", "bash"):
        run(["bash", "-euo", "pipefail", "-c", block.replace("http://127.0.0.1:8377", server.url)], environ, tmp_path)
    assert made_of(server, "Best of the yard") == ["fox 2026-01-31 18.02.02"]
    assert made_of(server, "Office hours") == ["yard 2026-01-31 17"]


# Files of a cloud recording as Zoom writes them; a timeline may have no id.
ZOOM_FILES: dict[str, bytes] = {
    "TIMELINE": json.dumps(
        {
            "timeline": [
                {"ts": at, "users": [{"username": name, "zoom_userid": "", "client_type": 3, "multiple_people": False}]}
                for at, name in (
                    ("00:00:00.500", "Bob"),
                    ("00:00:01.000", "Jill Chair"),
                    ("00:00:02.000", "Jill Chair"),
                    ("00:00:03.250", "Bob"),
                )
            ],
            "timeline_refine": [],
        }
    ).encode(),
    "TRANSCRIPT": b"WEBVTT\r\n\r\n1\r\n00:00:01.000 --> 00:00:03.000\r\nJill Chair: We agreed on it.\r\n",
}


def test_zoom_recipe_adds_what_was_said_and_who_spoke(server: RunningServer, film: Path) -> None:
    client = server.client()
    about = {"source": "zoom", "zoom_meeting_id": "87565330005", "started_at": "2026-01-31T09:00:00.000Z"}
    uploaded = client.recordings.upload(film, name="Board", metadata=about)
    recording = client.recordings.wait(uploaded.recording_id)
    asked: list[str] = []

    class Zoom(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Authorization']}")
            url = f"http://127.0.0.1:{self.server.server_port}/download/"  # type: ignore[attr-defined]
            files = [
                {"recording_start": start, "file_type": kind, "download_url": url + kind}
                for start in ("2026-01-31T09:00:00Z", "2026-01-31T10:00:00Z")
                for kind in ("MP4", *ZOOM_FILES)
            ]
            body = ZOOM_FILES.get(self.path.rpartition("/")[2], json.dumps({"recording_files": files}).encode())
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    page = DOCS / "recipes" / "zoom.md"
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(blocks(page, "python")[0], names)
    secret = settings(page)["ingest"]["generic"]["secret"]
    with HTTPServer(("127.0.0.1", 0), Zoom) as zoom:
        Thread(target=zoom.serve_forever, daemon=True).start()
        base, token = f"http://127.0.0.1:{zoom.server_port}", {"Authorization": "Bearer token"}
        with httpx.Client(base_url=base, headers=token, trust_env=False) as api:
            for _ in range(2):
                names["add"](client, recording, api, server.url, secret)
        zoom.shutdown()
    assert asked.count("/download/TRANSCRIPT Bearer token") == 1
    assert made_of(server, "The chair speaks") == ["Board: Jill Chair 1"]
    assert made_of(server, "Decisions") == ["Board 1"]


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_whisper_recipe_stores_the_transcript_of_each_complete_recording(
    server: RunningServer, recording_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []

    class Whisper(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(VTT.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    client = server.client()
    follow = client.events

    def until_complete() -> Iterator[Any]:
        """Yield the past events of the recording up to its completion."""
        for event in follow(recording_id=recording_id, last_event_id="0"):
            yield event
            if event.event == "recording.complete":
                return

    monkeypatch.setattr(client, "events", until_complete)
    names: dict[str, Any] = {}
    exec(blocks(DOCS / "recipes" / "whisper.md", "python")[0], names)
    with HTTPServer(("127.0.0.1", 0), Whisper) as whisper:
        Thread(target=whisper.handle_request).start()
        names["run"](client, f"http://127.0.0.1:{whisper.server_port}/")
    assert b"OggS" in sent[0]
    (cue,) = server.client().transcripts.get(recording_id, "und")
    assert cue.text == "The budget is approved."
