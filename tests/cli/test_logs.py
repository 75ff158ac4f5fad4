"""Log formats and redaction of secrets."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
import watchfiles

from clipengine.basis.tracing import bind
from clipengine.server import logs
from clipengine.settings.settings import Settings
from clipengine.settings.sources import load

KEY = "relay_live_01m886xhz2erp9djh57vgmdagd_MY51MxhMwpCBRwDgbqwcMeDwvdif7ObWtKtP2DARSCb_3iqlom"
SECRETS = [
    "s3-secret-value",
    "hook-secret-0123456",
    "MY51MxhMwpCBRwDgbqwcMeDwvdif7ObWtKtP2DARSCb",
    "c2VjcmV0",
    "hunter2",
    "p%40ss/word7",
    "p@ss/word7",
]
ENVIRON = {
    "CLIPENGINE_STORAGE__SECRET_KEY": SECRETS[0],
    "CLIPENGINE_DATABASE__URL": f"postgresql://clips:{SECRETS[5]}@db/clips",
    "CLIPENGINE_WEBHOOKS__ENDPOINTS": f'[{{url = "http://a.example/", secret = "{SECRETS[1]}"}}]',
}


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    for name, each in levels.items():
        logging.getLogger(name).setLevel(each)


def settings(log_format: str, level: str = "info") -> Settings:
    own = {"CLIPENGINE_SERVER__LOG_FORMAT": log_format, "CLIPENGINE_SERVER__LOG_LEVEL": level}
    return load(environ=ENVIRON | own)


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(
    "message",
    [
        f"Authorization: Bearer {KEY}",
        f"headers {{'authorization': 'Bearer {KEY}'}}",
        f"key {KEY} is unknown",
        "GET http://store/b/k?X-Amz-Signature=hunter2&X-Amz-Credential=hunter2",
        "X-Amz-Security-Token: hunter2",
        "Cookie: theme=dark; clipengine_session=hunter2; a=b",
        "https://user:hunter2@example.org/path failed",
        "http://example.org/hook?token=hunter2 failed",
        "signed with whsec_c2VjcmV0 and s3-secret-value",
        "secret hook-secret-0123456 refused",
        "postgresql://clips:hunter2@db.internal:5432/clips is away",
        "postgres://clips:hunter2@[::1]/clips, 'postgresql+psycopg://hunter2@db'",
        "redis://:hunter2@cache:6379/0",
        "amqp://clips:a@hunter2@host/ and s3://key:a'hunter2@bucket",
        "postgresql://clips:a/hunter2@db/clips",
        "postgresql://db/clips?user=clips&password=hunter2",
        "host=db user=clips password=hunter2 dbname=clips",
        "PGPASSWORD=hunter2 psql",
        'invalid percent-encoded token: "p%40ss/word7"',
        'password "p@ss/word7" is wrong',
    ],
)
def test_secrets_are_not_logged(log_format: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(settings(log_format))
    try:
        raise ValueError(message)
    except ValueError:
        logging.getLogger("clipengine.test").exception("it failed: %s", message)
    logged = capsys.readouterr().err
    assert "it failed" in logged
    assert "ValueError" in logged
    assert not [secret for secret in SECRETS if secret in logged]


def test_id_of_an_api_key_is_not_redacted() -> None:
    redact = logs.Redactor(key_prefix="relay_live")
    assert redact(f"key {KEY} is revoked") == "key relay_live_01m886xhz2erp9djh57vgmdagd_[hidden] is revoked"


@pytest.mark.parametrize(
    "text",
    [
        "clip_01m886xhz2erp9djh57vgmdagd of http://127.0.0.1:9000/recordings/a.mp4 took 1.5 s",
        "http://minio:9000/b/a@b.mp4, https://[::1]:9000/a@b.mp4, https://example.org/@a failed for x@example.org",
        "postgresql://db.internal:5432/clips is away",
    ],
)
def test_text_without_secrets_is_unchanged(text: str) -> None:
    assert logs.Redactor(key_prefix="relay_live", secrets=["", "abc"])(text) == text


def test_levels_are_coloured_on_a_terminal() -> None:
    text = logs._Text(logs.Redactor(key_prefix="relay_live"), coloured=True)
    found = [
        text.format(logging.LogRecord("clipengine.test", level, "", 0, "said", None, None))
        for level in (logging.INFO, logging.WARNING, logging.ERROR)
    ]
    assert [re.sub(r"\d{4}-\S+Z ", "", line) for line in found] == [
        "INFO    clipengine.test: said",
        "\x1b[33mWARNING clipengine.test: said\x1b[0m",
        "\x1b[31mERROR   clipengine.test: said\x1b[0m",
    ]


def test_text_format_indents_continuation_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(settings("text"))
    logging.getLogger("clipengine.test").warning("first\nERROR forged line")
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING clipengine\.test: first", lines[0])
    assert lines[1] == "    ERROR forged line"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_control_characters_are_not_logged(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(settings(log_format))
    with bind(clip_id="clip\x1b[2J"):
        logging.getLogger("clipengine.test").error(
            "key\x00 \x1b]0;title\x07\r\x08 end\tof\x85 it \u2028\nnext \x9b2J line"
        )
    logged = capsys.readouterr().err.rstrip("\n")
    controls = [each for each in logged if unicodedata.category(each) in ("Cc", "Zl") and each != "\n"]
    assert not controls
    assert "title" in logged
    assert len(logged.split("\n")) == (2 if log_format == "text" else 1)


def test_json_format_is_one_object_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(settings("json"))
    logging.getLogger("clipengine.test").error("two\nlines")
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert record["message"] == "two\nlines"
    assert (record["level"], record["logger"]) == ("error", "clipengine.test")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])


def test_fields_of_the_job_end_the_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(settings("text"))
    log = logging.getLogger("clipengine.test")
    with bind(clip_id="clip_1", attempt=2, request_id=None):
        try:
            raise ValueError("wrong")
        except ValueError:
            log.exception("it failed")
    log.warning("later")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(" ERROR   clipengine.test: it failed clip_id=clip_1 attempt=2")
    assert (lines[1], lines[-2]) == ("    Traceback (most recent call last):", "    ValueError: wrong")
    assert lines[-1].endswith(" WARNING clipengine.test: later")


def test_stop_signal_is_logged_without_the_fields_of_the_interrupted_request() -> None:
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED], stderr=subprocess.PIPE, text=True, timeout=300)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert done.stderr.endswith(" INFO    clipengine.server.shutdown: stopping\n")


_INTERRUPTED = """
import os, signal
from clipengine.server import logs
from clipengine.server.shutdown import StopRequest
from clipengine.settings.settings import Settings
from clipengine.basis.tracing import bind

logs.set_up(Settings())
stop = StopRequest()
with bind(request_id="req_1"):
    os.kill(os.getpid(), signal.SIGTERM)
    os._exit(0 if stop.should_exit else 1)
"""


def test_fields_of_the_job_are_keys_of_a_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(settings("json"))
    log = logging.getLogger("clipengine.test")
    with bind(engine="inst_1", request_id="hook-secret-0123456"):
        with bind(attempt=2):
            log.warning("inner")
        log.warning("outer")
    inner, outer = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert list(inner) == ["time", "level", "logger", "message", "engine", "request_id", "attempt"]
    assert (inner["engine"], inner["request_id"], inner["attempt"]) == ("inst_1", "[hidden]", 2)
    assert list(outer) == ["time", "level", "logger", "message", "engine", "request_id"]


def test_verbose_libraries_log_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(settings("text", "debug"))
    logging.getLogger("httpx").info("HTTP Request")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("clipengine.test").debug("seen")
    assert [line.split()[-1] for line in capsys.readouterr().err.splitlines()] == ["seen"]


def test_long_records_are_truncated(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(settings("text"))
    logging.getLogger("clipengine.test").error("x" * 1_000_000)
    print("end", file=sys.stderr)
    assert len(capsys.readouterr().err) < 25_000


def test_changes_of_watched_files_are_not_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(settings("text"))
    for changes in watchfiles.watch(tmp_path, step=10, rust_timeout=100, yield_on_timeout=True):
        if changes:
            break
        (tmp_path / "recording.mp4").touch()
    assert capsys.readouterr().err == ""
