"""A server for development: `make dev`. It has a film to cut, and starts again when a file of the package changes.

Its data are kept in ./clipengine-dev. Each start prints a link that signs one browser in.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from watchfiles import watch

from clipengine.client import Client, ClientError
from scripts.sample import make_sample

DATA = Path("clipengine-dev")
COMMAND = str(Path(sys.executable).with_name("clipengine"))
STOP_SECONDS = 12  # a server stops within ten


def main(arguments: Sequence[str]) -> int:
    keys = [] if DATA.exists() else [created_key()]
    print("starting the server", flush=True)
    try:
        serve(arguments, keys)
        for changes in watch("clipengine", watch_filter=is_source, raise_interrupt=False):
            print(f"changed: {', '.join(sorted(path for _, path in changes))}", flush=True)
            stop()
            serve(arguments, keys)
    finally:
        stop()
    return 0


running: list[subprocess.Popen[str]] = []


def created_key() -> str:
    """Create the data folder and return a key."""
    print(f"creating {DATA}", flush=True)
    command = [COMMAND, "keys", "create", "dev", "--data", str(DATA)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def serve(arguments: Sequence[str], keys: list[str]) -> None:
    """Start the server, and upload a film with the key when it listens. The key is removed after that."""
    command = [COMMAND, "serve", "--data", str(DATA), "--link", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    running.append(server)
    threading.Thread(target=show, args=[server, keys], daemon=True).start()


def show(server: subprocess.Popen[str], keys: list[str]) -> None:
    assert server.stdout is not None
    for line in server.stdout:
        print(line, end="", flush=True)
        if keys and line.startswith("listening on "):
            upload(line.split()[-1], keys)


def upload(url: str, keys: list[str]) -> None:
    print("encoding a film to cut", flush=True)
    film = DATA / "sample.mp4"
    make_sample(film)
    try:
        with Client(url, keys[0]) as client:
            client.recordings.upload(film, name="sample")
        keys.clear()
        print("uploaded: sample", flush=True)
    except ClientError as error:
        print(f"the film is uploaded at the next start: {error}", file=sys.stderr)
    finally:
        film.unlink()


def stop() -> None:
    """Stop the server, or kill it if it does not stop."""
    while running:
        server = running.pop()
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def is_source(change: object, path: str) -> bool:
    return path.endswith((".py", ".js", ".css", ".html", ".md"))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = argparse.ArgumentParser(prog="make dev", description=__doc__, epilog="Options of `serve` are passed on.")
    sys.exit(main(options.parse_known_args()[1]))
