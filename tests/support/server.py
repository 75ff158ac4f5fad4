"""A real server: `clipengine serve` in a separate process, ready when the block begins and stopped when it ends.

with running_server(tmp_path / "data") as server:
    recording = server.client().recordings.upload(film)
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from clipengine.cli.main import run
from clipengine.client import Client
from tests.support.forked import ForkedProcess

COMMAND = str(Path(sys.executable).with_name("clipengine"))
Process = subprocess.Popen[str] | ForkedProcess
START_SECONDS = 300  # a busy machine starts a server slowly
STOP_SECONDS = 60
LOOPBACK_ALLOWED = {"CLIPENGINE_WEBHOOKS__ALLOW_CIDRS": '["127.0.0.0/8"]'}
_SERVERS = {"serve", "worker", "mcp"}
_AT_START = ("LD_", "LC_", "LANG", "MALLOC_", "PYTHON")  # variables that a process reads before its program
_here = threading.Lock()  # the environment and the standard streams belong to one command at a time
# Tests count children and what is read, which previews that no test asked for would change; and encoders at a low
# priority would wait for the other tests.
_DEFAULTS = {"CLIPENGINE_PREVIEWS__AHEAD": "false", "CLIPENGINE_ENCODING__NICE": "0"}


def shared_folder(folder: Path, database_url: str) -> dict[str, str]:
    """Return the settings of engines with one clip at a time that share a database, and a store in this folder."""
    return {
        "CLIPENGINE_DATABASE__URL": database_url,
        "CLIPENGINE_DATABASE__SECRETS_KEY": str(folder / "secrets.key"),
        "CLIPENGINE_STORAGE__FOLDER": str(folder / "store"),
        "CLIPENGINE_ENCODING__WORKERS": "1",
        "CLIPENGINE_ENCODING__NICE": "0",
    }


def clean_environ(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of this process without settings of clipengine, updated with `env`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CLIPENGINE_")} | dict(env or {})


def run_command(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = START_SECONDS,
    command: Sequence[str] = (COMMAND,),
) -> subprocess.CompletedProcess[str]:
    """Run `clipengine` and wait for its exit.

    Other commands than servers, and than those of another installation, run in this process, which saves their start.
    `timeout` is that of the others.
    """
    if command == (COMMAND,) and not _SERVERS & {*arguments}:
        return _run_here(arguments, clean_environ(env), cwd)
    line = [*command, *arguments]
    return subprocess.run(
        line, env=clean_environ(env), cwd=cwd, timeout=timeout, capture_output=True, text=True, check=False
    )


def _run_here(
    arguments: Sequence[str], environ: Mapping[str, str], cwd: Path | None
) -> subprocess.CompletedProcess[str]:
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        _here,
        patch.dict(os.environ, environ, clear=True),
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        patch.object(sys, "stdin", io.StringIO()),
    ):
        handlers = list(logging.getLogger().handlers)
        try:
            code = run(arguments)
        except SystemExit as exited:  # of the completion of shells
            code = int(exited.code or 0)
        finally:
            logging.getLogger().handlers = handlers
    texts = [stream.buffer.getvalue().decode() for stream in (stdout, stderr)]
    return subprocess.CompletedProcess([COMMAND, *arguments], code, *texts)


@dataclass
class RunningServer:
    """A running `clipengine serve`. `greeting` is its output before it was ready; `log` is the file of its stderr."""

    url: str
    data: Path
    process: Process
    greeting: str
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    made_with: Sequence[str] = (COMMAND,)
    _key: list[str] = field(default_factory=list)
    _clients: ExitStack = field(default_factory=ExitStack)

    @property
    def key(self) -> str:
        """Return a key with every scope, created on first use."""
        if not self._key:
            arguments = ("keys", "create", "test", "--data", str(self.data))
            made = run_command(*arguments, env=self.env, cwd=self.data, command=self.made_with)
            assert made.returncode == 0, made.stderr
            self._key.append(made.stdout.strip())
        return self._key[0]

    def client(self, *, timeout: float = 300) -> Client:
        """Return a client, closed with the server."""
        return self._clients.enter_context(Client(self.url, self.key, timeout=timeout))

    def command(self, *arguments: str, timeout: float = START_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command against this server."""
        env = {"CLIPENGINE_URL": self.url, "CLIPENGINE_API_KEY": self.key}
        return run_command(*arguments, env=env, cwd=self.data, timeout=timeout)

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait, and return the exit status."""
        self.process.send_signal(sig)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def running_server(
    data: Path,
    *,
    env: Mapping[str, str] | None = None,
    config: Path | None = None,
    options: Sequence[str] = (),
    command: Sequence[str] = (COMMAND,),
    fork: bool = True,
) -> Iterator[RunningServer]:
    """Serve `data` on a free port. Stop, or kill, and reap a server that still runs at the end.

    With `fork` it is forked from a process that has imported it, unless `command` is that of another installation or
    `env` has variables for the start of a process.
    """
    arguments = ["serve", "--port", "0", "--data", str(data), *options]
    arguments += ["--config", str(config)] if config else []
    with (
        _running(arguments, data, env, r"listening on (\S+)", command, fork=fork) as (process, ready, greeting, log),
        ExitStack() as clients,
    ):
        url, env = ready[1], dict(env or {})
        yield RunningServer(url, data, process, greeting, log, env=env, made_with=command, _clients=clients)


@dataclass
class RunningWorker:
    """A running `clipengine worker`; `log` is the file of its stderr."""

    url: str
    data: Path
    process: Process
    log: Path

    def kill(self) -> None:
        """Kill the worker without any cleanup, as when its host loses power."""
        self.process.kill()
        assert self.process.wait(STOP_SECONDS) == -signal.SIGKILL


@contextmanager
def running_worker(
    data: Path,
    *,
    env: Mapping[str, str],
    options: Sequence[str] = (),
    command: Sequence[str] = (COMMAND,),
) -> Iterator[RunningWorker]:
    """Yield another engine with its own data folder and a free port, stopped at the end."""
    arguments = ["worker", "--port", "0", "--data", str(data), *options]
    with _running(arguments, data, env, "working", command) as (process, _, greeting, log):
        address = re.search(r"address +(\S+)", greeting)
        yield RunningWorker(address[1] if address else "", data, process, log)


@contextmanager
def _running(
    arguments: Sequence[str],
    data: Path,
    env: Mapping[str, str] | None,
    ready: str,
    command: Sequence[str] = (COMMAND,),
    *,
    fork: bool = True,
) -> Iterator[tuple[Process, re.Match[str], str, Path]]:
    """Yield the process, its ready line, all output before it, and its log."""
    data.parent.mkdir(parents=True, exist_ok=True)
    log = data.with_name(f"{data.name}.log")
    with log.open("a") as errors:
        environ = clean_environ(({} if _is_older(command) else _DEFAULTS) | dict(env or {}))
        process: Process
        if fork and tuple(command) == (COMMAND,) and not any(name.startswith(_AT_START) for name in env or {}):
            process = ForkedProcess(COMMAND, arguments, env=environ, cwd=data.parent, stderr=errors)
        else:
            process = subprocess.Popen(
                [*command, *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environ,
                cwd=data.parent,
                start_new_session=True,
                text=True,
            )
    giving_up = threading.Timer(START_SECONDS, process.kill)
    giving_up.start()
    try:
        assert process.stdout is not None
        greeting = ""
        for line in process.stdout:
            greeting += line
            if match := re.match(ready, line):
                giving_up.cancel()
                yield process, match, greeting, log
                break
        else:
            raise AssertionError(f"{arguments[0]} ended with {process.wait(STOP_SECONDS)}: {greeting}{log.read_text()}")
    finally:
        giving_up.cancel()
        _end(process)


def _is_older(command: Sequence[str]) -> bool:
    """Return True for the command of a past release, which does not know all settings."""
    return Path(command[0]).parent != Path(COMMAND).parent


def _end(process: Process) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
