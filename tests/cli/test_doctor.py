"""`clipengine doctor`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import AbortIncompleteMultipartUpload, LifecycleConfig, Rule

from clipengine.cli.operator import doctor_remote, doctor_speech
from clipengine.ledger.ledger import Ledger
from clipengine.settings.settings import Settings, Suggestions, Transcription
from tests.support.oidc_provider import lying_provider
from tests.support.past_release import unpack
from tests.support.real_speech import model_folder
from tests.support.receiver import Receiver
from tests.support.s3 import COPYING, S3Server, allow_origin, open_uploads
from tests.support.s3_faults import FaultyS3, refuse
from tests.support.server import LOOPBACK_ALLOWED, run_command, running_server
from tests.support.speech import speech_server

Findings = dict[str, dict[str, Any]]


def findings(data: Path, env: dict[str, str] | None = None) -> tuple[int, Findings]:
    done = run_command("doctor", "--json", "--data", str(data), env=env)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    assert all(bool(each["remedy"]) == (each["status"] != "ok") for each in found)
    assert done.returncode == any(each["status"] == "problem" for each in found)
    worst = sorted(found, key=lambda each: ("ok", "warning", "problem").index(each["status"]))
    return done.returncode, {each["name"]: each for each in worst}


def s3_env(s3: S3Server, endpoint: str, bucket: str) -> dict[str, str]:
    names = {
        "KIND": "s3",
        "ENDPOINT": endpoint,
        "BUCKET": bucket,
        "PREFIX": "some/folder",
        "ACCESS_KEY": s3.access_key,
        "SECRET_KEY": s3.secret_key,
    }
    return {f"CLIPENGINE_STORAGE__{name}": value for name, value in names.items()}


@pytest.mark.exhaustive
def test_upgraded_ledger_with_a_time_of_the_year_10000_is_read_and_counted(tmp_path: Path) -> None:
    site = unpack("0.2.0", tmp_path / "site", port=1)
    with closing(sqlite3.connect(site.data / "ledger.db")) as ledger:
        ledger.execute("UPDATE clips SET expires_at = 253402387139000 WHERE state IN ('complete', 'failed')")
        ledger.execute("UPDATE recordings SET expires_at = 253402387139000")
        ledger.commit()
    before = findings(site.data)[1]["times in the ledger"]
    with running_server(site.data, config=site.config) as server:
        headers = {"Authorization": f"Bearer {site.facts['keys']['admin']}"}
        for path in ("/v1/clips", "/v1/recordings"):
            answer = httpx.get(server.url + path, headers=headers, timeout=60, trust_env=False)
            assert answer.status_code == 200, answer.text
            assert "2199-12-31T23:59:59.999Z" in {each["expires_at"] for each in answer.json()["data"]}
        shown = findings(site.data)[1]["times in the ledger"]
    for found in (before, shown):
        assert found["status"] == "warning"
        assert "recordings.expires_at in " in found["detail"]
        assert "clips.expires_at in " in found["detail"]


def test_ready_machine_has_no_problems(tmp_path: Path) -> None:
    env = {"CLIPENGINE_SERVER__PORT": "0"}
    code, found = findings(tmp_path / "data", env)
    assert code == 0
    assert not (tmp_path / "data").exists()
    assert {"clipengine", "av", "FFmpeg", "SQLite", "disk", "ledger", "store", "port", "sandbox: seccomp"} <= set(found)
    assert "libavcodec" in found["FFmpeg"]["detail"]
    shown = run_command("doctor", "--data", str(tmp_path / "data"), env=env)
    assert shown.stdout.splitlines()[1].startswith("ok      clipengine: ")


def test_missing_speech_model_is_a_warning(tmp_path: Path) -> None:
    env = {"CLIPENGINE_SERVER__PORT": "0", "CLIPENGINE_TRANSCRIPTION__MODEL_FOLDER": str(tmp_path)}
    code, found = findings(tmp_path / "data", env)
    assert code == 0
    assert found["transcription"]["status"] == "warning"
    assert found["transcription"]["detail"]
    env["CLIPENGINE_TRANSCRIPTION__MODEL_FOLDER"] = str(tmp_path / "none")
    code, found = findings(tmp_path / "data", env)
    assert code == 0
    assert found["transcription"]["detail"] == f"the folder {tmp_path / 'none'} does not exist"


@pytest.mark.exhaustive
def test_truncated_speech_model_is_a_warning(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(model_folder(), model)
    settings = Settings(transcription=Transcription(model_folder=model))
    (found,) = doctor_speech.transcription(settings)
    assert (found.status, found.detail.endswith(f"in {model} was loaded")) == ("ok", True)
    weights = model / "model.bin"
    os.truncate(weights, weights.stat().st_size // 2)
    (found,) = doctor_speech.transcription(settings)
    assert found.status == "warning"
    assert "the model cannot be loaded" in found.detail


def test_transcription_server_that_does_not_answer_is_a_warning() -> None:
    with speech_server() as server:
        settings = Settings(transcription=Transcription(url=server.url), suggestions=Suggestions(url=server.url))
        found = list(doctor_speech.transcription(settings))
        assert [each.name for each in found] == ["transcription.url", "suggestions.url"]
        assert ([each.status for each in found], server.heard) == (["ok", "ok"], [])
    for each in doctor_speech.transcription(settings):
        assert each.status == "warning"
        assert "Connection refused" in each.detail


def test_document_of_the_openid_provider_is_checked() -> None:
    with lying_provider() as provider:
        oidc = {"enabled": True, "issuer": provider.issuer, "client_id": "clips", "allow_cidrs": ["127.0.0.0/8"]}
        server = {"public_url": "https://clips.example.org"}
        settings = Settings.model_validate({"auth": {"oidc": oidc}, "server": server})
        (found,) = doctor_remote.sign_in(settings)
        assert (found.status, found.detail) == ("ok", f"{provider.issuer} has a valid document and keys")
        provider.document = {"issuer": f"{provider.issuer}/"}
        (found,) = doctor_remote.sign_in(settings)
        assert (found.status, "the provider calls itself" in found.detail) == ("warning", True)
        denied = Settings.model_validate({"auth": {"oidc": oidc | {"allow_cidrs": []}}, "server": server})
        (found,) = doctor_remote.sign_in(denied)
        assert "a loopback address outside auth.oidc.allow_cidrs" in found.detail
    assert [*doctor_remote.sign_in(Settings())] == []


def test_unusable_watermark_is_a_problem(tmp_path: Path) -> None:
    env = {"CLIPENGINE_SERVER__PORT": "0", "CLIPENGINE_WATERMARKS__LOGO": '{path = "/nowhere/logo.png"}'}
    code, found = findings(tmp_path / "data", env)
    assert code == 1
    assert found["watermarks"]["status"] == "problem"
    assert "/nowhere/logo.png cannot be used: No such file" in found["watermarks"]["detail"]
    assert found["fonts"]["status"] == "ok"


def test_rule_that_fits_no_files_of_its_folder_is_a_warning(tmp_path: Path) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=3)
    keys = ["front/2026-01-31.mp4", f"mtx/front/{ahead:%Y-%m-%d_%H-%M-%S}.mp4", "obs/2026-01-31 12-00-00.mkv"]
    for key in keys:
        path = tmp_path / "data" / "store" / key
        path.parent.mkdir(parents=True)
        path.write_bytes(b"media")
    rules = (
        '{folder = "front/", pattern = "%Y-%m-%d/%H.mp4"}, {folder = "no/", pattern = "%H.mp4"}, '
        '{folder = "mtx/", pattern = "{camera}/%Y-%m-%d_%H-%M-%S.mp4"}, '
        '{folder = "obs/", pattern = "%Y-%m-%d %H-%M-%S.mkv"}'
    )
    code, found = findings(tmp_path / "data", {"CLIPENGINE_SERVER__PORT": "0", "CLIPENGINE_FOLDERS": f"[{rules}]"})
    assert code == 0
    assert found["folder obs/"]["status"] == "ok"
    assert found["folder front/"]["detail"] == (
        "no file has a name like front/2026-11-28/12.mp4; there is front/2026-01-31.mp4"
    )
    assert "before the time in its name, by the time zone UTC" in found["folder mtx/"]["detail"]
    assert found["folder no/"]["detail"] == "no file has a name like no/12.mp4"


def test_series_of_cameras_of_two_rules_is_a_warning(tmp_path: Path) -> None:
    for key in ("frigate/front/12.mp4", "frigate/yard/12.mp4", "mtx/front/1.mp4", "mtx/yard/1.mp4", "b/front/1.mp4"):
        path = tmp_path / "data" / "store" / key
        path.parent.mkdir(parents=True)
        path.write_bytes(b"media")
    rules = (
        '{folder = "frigate/", pattern = "{camera}/%H.mp4"}, {folder = "mtx/front/", pattern = "{n}.mp4", '
        'series = "front"}, {folder = "b/", pattern = "{camera}/{n}.mp4", series = "b-{camera}"}'
    )
    code, found = findings(tmp_path / "data", {"CLIPENGINE_SERVER__PORT": "0", "CLIPENGINE_FOLDERS": f"[{rules}]"})
    assert code == 0
    assert {name for name in found if name.startswith("series")} == {"series front"}
    assert found["series front"]["status"] == "warning"
    assert "frigate/{camera}/%H.mp4 and mtx/front/{n}.mp4" in found["series front"]["detail"]


@pytest.mark.exhaustive
def test_source_of_the_settings_is_shown(tmp_path: Path) -> None:
    env = {"CLIPENGINE_SERVER__PORT": "0", "CLIPENGINE_API_KEY": "a client's"}
    first = run_command("doctor", "--data", "data", env=env, cwd=tmp_path).stdout.splitlines()[0]
    assert first == (
        f"ok      settings: no file: there is no clipengine.toml in {tmp_path}; "
        "from the environment: CLIPENGINE_SERVER__PORT"
    )
    for name, options in (("clipengine.toml", []), ("own.toml", ["--config", "own.toml"])):
        (tmp_path / name).write_text("[server]\nport = 0\n")
        first = run_command("doctor", *options, "--data", "data", cwd=tmp_path).stdout.splitlines()[0]
        assert first == f"ok      settings: read from {tmp_path / name}; from the environment: nothing"


@pytest.mark.exhaustive
def test_port_check_tells_servers_apart(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        port = {"CLIPENGINE_SERVER__PORT": server.url.rpartition(":")[2]}
        code, found = findings(server.data, port)
        assert code == 0
        assert "in use by that server" in found["port"]["detail"]
        code, found = findings(tmp_path / "other", port)
        assert code == 1
        assert "a clipengine with another data folder" in found["port"]["detail"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, found = findings(tmp_path / "data", {"CLIPENGINE_SERVER__PORT": str(taken.getsockname()[1])})
    assert code == 1
    assert "Another program uses the port" in found["port"]["remedy"]


@pytest.mark.exhaustive
def test_doctor_runs_next_to_a_server(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", env=LOOPBACK_ALLOWED) as server, Receiver() as receiver:
        client = server.client()
        alive = client.webhooks.create(f"{receiver.url}?token=hunter2", secret="x" * 16)
        dead = client.webhooks.create("http://127.0.0.1:9/?token=hunter2", secret="x" * 16)
        code, found = findings(server.data, LOOPBACK_ALLOWED)
        assert code == 0
        assert str(server.process.pid) in found["port"]["detail"]
        assert "stored, read in ranges, listed and deleted" in found["store"]["detail"]
        assert found["ledger"]["status"] == "ok"
        assert found[f"webhook {alive.webhook_id}"]["detail"] == f"127.0.0.1:{receiver.port} can be reached"
        assert found[f"webhook {dead.webhook_id}"]["status"] == "warning"
        assert found[f"webhook {dead.webhook_id}"]["detail"].startswith("127.0.0.1:9: ")
        assert "hunter2" not in str(found)
        assert receiver.requests == []
        client.webhooks.delete(dead.webhook_id)
        assert [path.name for path in (server.data / "store").iterdir()] == [".clipengine"]


@pytest.mark.exhaustive
def test_s3_permissions_are_checked(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    with FaultyS3(s3.endpoint) as store:
        env = s3_env(s3, store.endpoint, bucket) | {"CLIPENGINE_SERVER__PORT": "0"}
        code, found = findings(tmp_path / "data", env)
        assert (code, found["store"]["status"], found["clock"]["status"]) == (0, "ok", "ok")
        assert list(s3.client.list_objects(bucket, recursive=True)) == []
        store.fail(refuse(403, "AccessDenied"), method="PUT", times=9)
        code, found = findings(tmp_path / "data", env)
        assert (code, found["store"]["status"]) == (1, "problem")
        assert "storage.access_key has no permission" in found["store"]["detail"]
        assert s3.secret_key not in str(found)
    code, found = findings(tmp_path / "data", env)
    assert (code, found["store"]["status"]) == (1, "problem")


@pytest.mark.outage
def test_uploads_to_the_bucket_are_checked(true_s3: S3Server, bucket: str, tmp_path: Path) -> None:
    def checked(**storage: object) -> list[tuple[str, str]]:
        given = {f"CLIPENGINE_STORAGE__{name.upper()}": str(value) for name, value in storage.items()}
        found = findings(tmp_path / "data", env | given)[1]
        return [(each["status"], each["detail"]) for name, each in found.items() if name.startswith("direct uploads")]

    page = {"CLIPENGINE_SERVER__PORT": "0", "CLIPENGINE_SERVER__PUBLIC_URL": "https://clips.example"}
    env = {**s3_env(true_s3, true_s3.endpoint, bucket), **page, "CLIPENGINE_STORAGE__DIRECT_UPLOADS": "true"}
    sent = ("ok", "a part was sent with a link, listed and deleted")
    apart = ("ok", "the store copies no object into a part that is sent with a link")
    refused = ("warning", "the bucket refuses PUT requests of pages of https://clips.example")
    assert sorted(checked()) == [sent, apart, refused]
    allow_origin(true_s3, bucket, "https://clips.example")
    assert sorted(checked()) == [sent, ("ok", "the bucket takes parts of pages of https://clips.example"), apart]
    rule = Rule(
        ENABLED,
        rule_id="a",
        rule_filter=Filter(prefix=""),
        abort_incomplete_multipart_upload=AbortIncompleteMultipartUpload(days_after_initiation=1),
    )
    true_s3.client.set_bucket_lifecycle(bucket, LifecycleConfig([rule]))
    env["CLIPENGINE_LIMITS__UPLOAD_IDLE_SECONDS"] = "90000"
    warnings = [detail for status, detail in checked(link_seconds=60) if status == "warning"]
    assert sorted(warnings) == [
        "a lifecycle rule aborts uploads after 1 days, limits.upload_idle_seconds is 90000",
        "links expire after 60 s, before slow connections have sent a few parts",
    ]
    unreachable = [detail for status, detail in checked(public_endpoint="http://127.0.0.1:9") if status == "warning"]
    assert unreachable[0].startswith("127.0.0.1:9 cannot be reached from this machine: ")
    assert open_uploads(true_s3, bucket) == []
    assert checked(kind="folder") == [("warning", "storage.direct_uploads has no effect on a folder")]


def test_store_that_copies_objects_into_parts_is_reported(s3: S3Server, tmp_path: Path) -> None:
    if not s3.moto:
        pytest.skip("the policy of a real store is not known")
    name = f"{COPYING}{uuid4().hex}"
    s3.client.make_bucket(name)
    env = {**s3_env(s3, s3.endpoint, name), "CLIPENGINE_SERVER__PORT": "0"}
    found = findings(tmp_path / "data", env | {"CLIPENGINE_STORAGE__DIRECT_UPLOADS": "true"})[1]
    assert found["direct uploads: copies"]["status"] == "warning"
    assert "x-amz-copy-source" in found["direct uploads: copies"]["remedy"]
    assert not list(s3.client.list_objects(name, recursive=True))
    s3.client.remove_bucket(name)


def test_problems_that_prevent_a_start_have_remedies(tmp_path: Path) -> None:
    data = tmp_path / "data"
    Ledger.open(data / "ledger.db", key_prefix="relay_live", organisation_id="org_local", max_queued=9).close()
    data.chmod(0o755)
    (data / "secrets.key").unlink()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        env = {
            "CLIPENGINE_SERVER__PORT": str(taken.getsockname()[1]),
            "CLIPENGINE_LIMITS__MIN_FREE_BYTES": str(10**17),
            "CLIPENGINE_ENCODING__SANDBOX": "off",
            "CLIPENGINE_WEBHOOKS__ENDPOINTS": '[{url = "http://169.254.169.254/x", secret = "0123456789abcdef"}]',
        }
        code, found = findings(data, env)
    assert code == 1
    assert {name for name, each in found.items() if each["status"] == "problem"} == {"ledger", "port", "disk"}
    assert "reset-secrets" in found["ledger"]["remedy"]
    assert found["data folder"]["remedy"] == f"chmod 700 {data}"
    assert "switched off" in found["sandbox"]["detail"]
    assert "metadata address" in found["webhook 1 of the settings"]["detail"]
    (data / "ledger.db").write_bytes(b"no ledger" * 100)
    assert "damaged" in findings(data, env)[1]["ledger"]["detail"]


@pytest.mark.outage
def test_damaged_ledger_names_the_last_backup(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "night ly.backup"
    ledger = Ledger.open(data / "ledger.db", key_prefix="relay_live", organisation_id="org_local", max_queued=9)
    ledger.commit_watermark.advance()
    ledger.close()
    assert run_command("backup", str(backup), "--data", str(data)).returncode == 0
    whole = (data / "ledger.db").read_bytes()
    for damage in (whole[: len(whole) // 2], b"garbage" * 1000, whole[:100] + b"\xff" * (len(whole) - 100), None):
        if damage is None:
            (data / "ledger.db").unlink()
        else:
            (data / "ledger.db").write_bytes(damage)
        code, found = findings(data)
        assert (code, found["ledger"]["status"]) == (1, "problem")
        assert f"clipengine restore '{backup}' --replace" in found["ledger"]["remedy"]
    assert run_command("restore", str(backup), "--replace", "--data", str(data)).returncode == 0
    assert findings(data)[1]["ledger"]["status"] == "ok"
