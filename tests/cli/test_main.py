"""Error output and exit codes of commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from clipengine import __version__
from clipengine.cli.main import _COMMANDS, _GROUPS, run
from tests.support.receiver import Answer, Receiver
from tests.support.server import COMMAND, clean_environ, run_command

PROBLEM = (
    b'{"type":"about:blank","title":"Invalid","status":422,"code":"invalid_request",'
    b'"detail":"label: is required; extra: is not a known field. Correct the request and send it again.",'
    b'"hint":"Correct the request and send it again."}'
)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CLIPENGINE_URL", "CLIPENGINE_API_KEY", "CLIPENGINE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_version_is_printed() -> None:
    done = run_command("--version")
    assert (done.returncode, done.stdout) == (0, f"clipengine {__version__}\n")


def test_help_is_printed_without_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "Usage: clipengine" in capsys.readouterr().out


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for group in ([], ["recordings"], ["clips"], ["keys"], ["webhooks"]):
        assert run([*group, "--help"]) == 0
        listed = re.findall(r"^  ([a-z][a-z-]+)  +[A-Z]", capsys.readouterr().out, re.MULTILINE)
        assert listed
        for command in listed:
            assert run([*group, command, "--help"]) == 0
            assert f"Usage: {' '.join(['clipengine', *group, command])} " in capsys.readouterr().out


def test_help_groups_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(_COMMANDS) == sorted(name for names in _GROUPS.values() for name in names)
    run(["--help"])
    shown = capsys.readouterr().out
    assert all(f"{title}:\n" in shown for title in _GROUPS)


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (["nonsense"], "No such command 'nonsense'.", "`clipengine --help`"),
        (["clip"], "No such command 'clip'. Did you mean 'clips'?", "`clipengine --help`"),
        (["clips", "lst"], "No such command 'lst'. Did you mean 'list'?", "`clipengine clips --help`"),
        (["clips", "delete", "clip_1"], "No such command 'delete'. Did you mean 'clips rm'?", "--help"),
        (["recordings", "upload", "x.mp4"], "Did you mean 'recordings add --upload'?", "--help"),
        (["restore", "nope.bak"], "there is no file 'nope.bak': give the path", "`clipengine restore --help`"),
        (["transcripts", "put", "rec_1", "en.vtt"], "Missing argument 'LANGUAGE'.", "--help"),
        (["transcripts", "get", "rec_1", "en"], "Missing argument 'FILE'.", "--help"),
        (["keys"], "Missing command.", "`clipengine keys --help`"),
        (["clips", "show"], "Missing argument 'CLIP_ID'.", "`clipengine clips show --help`"),
        (["clips", "list", "--limit", "0"], "0 is not in the range x>=1", "`clipengine clips list --help`"),
        (["clips", "create", "rec_1", "x", "--start", "1:99", "--end", "2"], "'1:99' is not a time", "--help"),
        (
            ["clips", "create", "rec_1", "x", "--start", "1", "--end", "2", "--meta", "k"],
            "'k' is not KEY=VALUE",
            "--help",
        ),
        (["recordings", "add"], "give either BUCKET_PATH or --upload FILE", "`clipengine recordings add --help`"),
        (["clips", "list", "--url", "ftp://127.0.0.1"], "does not begin with http:// or https://", "--help"),
        (["clips", "list", "--url", "127.0.0.1:8377"], "does not begin with http:// or https://", "--help"),
        (["clips", "download", "clip_1", "nowhere/clip.mp4"], "the folder nowhere does not exist", "--help"),
    ],
)
def test_invalid_arguments_exit_with_2(
    arguments: list[str], message: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert error.endswith(" (bad_arguments)")
    assert message in error
    assert remedy in hint


def test_unreachable_server_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with Receiver() as gone:
        url = f"http://127.0.0.1:{gone.port}"
    assert run(["clips", "list", "--url", url]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"error: no answer from {url}: Connection refused (server_unreachable)",
        "Start it with `clipengine serve`, or set CLIPENGINE_URL to its address.",
    ]


def test_response_of_another_server_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with Receiver() as other:
        other.script(Answer(200, body=b"<html>"))
        assert run(["clips", "list", "--url", other.url]) == 1
    assert "the response is not from clipengine (server_unreachable)" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://"])
def test_invalid_server_url_is_reported(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["clips", "list", "--url", url]) == 1
    assert "(server_unreachable)" in capsys.readouterr().err.splitlines()[0]


def test_invalid_request_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with Receiver() as server:
        server.script(Answer(422, {"Content-Type": "application/problem+json"}, PROBLEM))
        assert run(["clips", "create", "rec_1", "x", "--start", "1", "--end", "2", "--url", server.url]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "error: label: is required; extra: is not a known field. (invalid_request)"
    assert hint == "Correct the request and send it again."


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("", "Set CLIPENGINE_API_KEY to a key; `clipengine keys create NAME` creates one."),
        (
            "relay_live_x",
            "The server does not know the key in CLIPENGINE_API_KEY, or it was revoked: `clipengine keys list` beside "
            "the server shows its keys, and `clipengine keys create NAME` creates one.",
        ),
    ],
)
def test_rejected_api_key_has_a_hint(
    key: str, hint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPENGINE_API_KEY", key)
    with Receiver() as server:
        server.script(Answer(401, body=b'{"detail": "Invalid or missing API key", "code": "unauthorized"}'))
        monkeypatch.setenv("CLIPENGINE_URL", server.url)
        assert run(["clips", "list"]) == 1
        (request,) = server.wait_for(1)
    assert request.headers.get("authorization", "Bearer ") == f"Bearer {key}"
    assert capsys.readouterr().err.splitlines() == [
        "error: Invalid or missing API key (unauthorized)",
        hint,
    ]


def test_invalid_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("clipengine.toml").write_text("[server]\nport = 0.5\n")
    assert run(["config"]) == 1
    error = capsys.readouterr().err.splitlines()[0]
    assert error.startswith("error: server.port: ")
    assert error.endswith(" (invalid_settings)")


def test_unexpected_error_has_no_traceback_by_default(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.db").mkdir()  # a folder in place of the file
    done = run_command("keys", "list", "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_closed_output_pipe_has_no_traceback() -> None:
    command = [COMMAND, "config"]
    with subprocess.Popen(command, env=clean_environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
