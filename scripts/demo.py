"""The complete way of one clip with default settings: `make demo`, optionally with another recording.

Starts a real server in a temporary folder, uploads a recording, posts a clip with the body of the README's curl,
receives the webhook, checks both of its signatures, and keeps the clip in ./clipengine-demo. Leaves nothing running.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

import httpx

from clipengine.basis.timecode import format_time, parse_time
from clipengine.client import Client, ClientError, Clip, Recording
from clipengine.client.webhooks import verify
from scripts.progress import reported
from scripts.sample import make_sample

BODY = '{"label": "key-moment", "start_seconds": 5.0, "end_seconds": 12.5}'  # as in the curl command of the README
KEPT = Path("clipengine-demo")
COMMAND = str(Path(sys.executable).with_name("clipengine"))
START_SECONDS, STOP_SECONDS, CLIP_SECONDS = 300, 12, 1800


class Failed(Exception):
    """The reason why the demo failed, in one line."""


def main() -> int:
    options = argparse.ArgumentParser(prog="make demo", description=__doc__)
    options.add_argument("--recording", type=Path)
    options.add_argument("--start", type=parse_time)
    options.add_argument("--end", type=parse_time)
    given = options.parse_args()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        if given.recording and not given.recording.is_file():
            raise Failed(f"the file {given.recording} does not exist")
        with tempfile.TemporaryDirectory(prefix="clipengine-demo-") as folder, reported(lambda: _step.line):
            demonstrate(Path(folder), given)
    except (Failed, ClientError, httpx.HTTPError) as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo interrupted", file=sys.stderr)
        return 130
    return 0


def demonstrate(folder: Path, given: argparse.Namespace) -> None:
    began = time.monotonic()
    path = given.recording or folder / "sample.mp4"
    if not given.recording:
        step("recording", "making a sample")
        make_sample(path)
        step("recording", "a sample of 20 s: moving bars with a time display, and a tone")
    data = folder / "data"
    step("server", "starting")
    key = subprocess.run(
        [COMMAND, "keys", "create", "demo", "--data", str(data)], capture_output=True, text=True, check=True
    ).stdout.strip()
    with receiver() as (hook, arrived), server(data) as url, Client(url, key, timeout=60) as client:
        step("server", url)
        registered = client.recordings.upload(path).recording_id
        step("uploaded", f"{registered}, which the server probes now")
        recording = client.recordings.wait(registered, timeout=CLIP_SECONDS)
        if recording.error:
            raise Failed(f"the recording cannot be used: {recording.error.message} ({recording.error.code})")
        step("registered", f"{recording.recording_id}, {recording.duration_seconds:.3f} s, {recording.bucket_path}")
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        client.webhooks.create(hook, secret=secret)
        body = clip_body(recording, given)
        step("posted", body)
        answer = httpx.post(
            f"{url}/v1/recordings/{recording.recording_id}/clips",
            content=body,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            trust_env=False,
        )
        if answer.status_code != 202:
            raise Failed(f"the clip was rejected: {answer.json()['detail']}")
        clip = client.clips.wait(answer.json()["clip_id"], timeout=CLIP_SECONDS, on_progress=ClipProgress())
        check_webhook(arrived, secret, clip.clip_id)
        if clip.result is None:
            raise Failed(f"the clip failed: {clip.error}")
        KEPT.mkdir(exist_ok=True)
        kept = KEPT / Path(clip.bucket_path or clip.clip_id).name
        client.clips.download(clip.clip_id, kept)
    if hashlib.sha256(kept.read_bytes()).hexdigest() != clip.result.sha256:
        raise Failed(f"{kept} does not have the SHA-256 of the clip")
    start, end = clip.result.actual_start_seconds, clip.result.actual_end_seconds
    step("clip", str(kept))
    step("actual", f"{format_time(start)} to {format_time(end)}")
    frames = f", {clip.result.frames} frames" if clip.result.video_codec else ""
    step("length", f"{clip.result.duration_seconds:.3f} s{frames}, {kept.stat().st_size} bytes")
    step("took", f"{time.monotonic() - began:.1f} s, {clip.result.encode_seconds:.1f} s of that for encoding")


class ClipProgress:
    """Prints the step of a clip when it changes, and keeps its progress for the reports."""

    def __init__(self) -> None:
        self._shown: str | None = None

    def __call__(self, clip: Clip) -> None:
        if clip.step is None:
            return
        text = f"{clip.step}, {clip.progress:.0%}"
        if clip.step == self._shown:
            _step.line = line_of("cutting", text)
        else:
            self._shown = clip.step
            step("cutting", text)


def clip_body(recording: Recording, given: argparse.Namespace) -> str:
    """Return the README's body, with other times if given or if the recording is too short for it."""
    length = recording.duration_seconds or 0.0
    body = json.loads(BODY)
    if given.start is None and given.end is None and length >= body["end_seconds"]:
        return BODY
    start = float(given.start) if given.start is not None else min(body["start_seconds"], length / 4)
    end = float(given.end) if given.end is not None else min(start + 7.5, length)
    return json.dumps(body | {"start_seconds": round(start, 3), "end_seconds": round(end, 3)})


def check_webhook(arrived: queue.Queue[tuple[bytes, dict[str, str]]], secret: str, clip_id: str) -> None:
    """Receive the webhook of the clip and check both of its signatures."""
    try:
        body, headers = arrived.get(timeout=30)
    except queue.Empty:
        raise Failed("no webhook was received within 30 s") from None
    event = verify(body, headers, secret)
    plain = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(plain, headers["x-relay-signature"]):
        raise Failed("X-Relay-Signature is not the HMAC of the body")
    if event["data"]["clip_id"] != clip_id:
        raise Failed(f"the webhook is for another clip: {event['data']['clip_id']}")
    step("webhook", f"{event['event']}, X-Relay-Signature and webhook-signature are valid")


@contextmanager
def receiver() -> Iterator[tuple[str, queue.Queue[tuple[bytes, dict[str, str]]]]]:
    """Yield the address of a webhook receiver and the queue of received requests."""
    arrived: queue.Queue[tuple[bytes, dict[str, str]]] = queue.Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()
            arrived.put((body, {name.lower(): value for name, value in self.headers.items()}))

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as hook:
        thread = threading.Thread(target=hook.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{hook.server_port}/hook", arrived
        finally:
            hook.shutdown()
            thread.join()


@contextmanager
def server(data: Path) -> Iterator[str]:
    """Run `clipengine serve` on a free port, yield its address, and stop it in any case."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("CLIPENGINE_")}
    own["CLIPENGINE_WEBHOOKS__ALLOW_CIDRS"] = '["127.0.0.0/8"]'  # because the receiver is on loopback
    log = data.parent / "server.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=own,
            cwd=data.parent,  # a folder without clipengine.toml
            start_new_session=True,  # Ctrl-C reaches only the demo, which then stops the server
            text=True,
        )
        giving_up = threading.Timer(START_SECONDS, process.kill)
        giving_up.start()
        try:
            assert process.stdout is not None
            lines = (line.strip() for line in process.stdout)
            url = next((line.split()[-1] for line in lines if line.startswith("listening on ")), None)
            giving_up.cancel()
            if url is None:
                raise Failed(f"the server ended, or was stopped because it did not start within {START_SECONDS} s")
            yield url
        except (Failed, ClientError):
            print(log.read_text()[-4000:], file=sys.stderr)
            raise
        finally:
            giving_up.cancel()
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Step:
    """The line of the current step, which is printed again while it lasts."""

    line = ""


_step = Step()


def line_of(name: str, text: str) -> str:
    return f"{name:<11}{text}"


def step(name: str, text: str) -> None:
    _step.line = line_of(name, text)
    print(_step.line, flush=True)


def _terminate(sig: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
