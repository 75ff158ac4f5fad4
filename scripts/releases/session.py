"""The requests of one user of a release, sent by the Python client of that release and recorded with the responses.

    OLD/bin/python scripts/releases/session.py SITE.json RECORDED.json

It runs with the Python of the release, so it imports nothing else of this checkout. SITE.json has `url`, `key`, `hook`
(a webhook receiver), `film` and `folder` (for downloads).
"""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from clipengine.client import ApiError, Client

_REPLAYED = ("accept", "content-type", "idempotency-key", "idempotent-replayed", "if-match", "range")


class Recorder:
    """A stand-in for the method of httpx's transport that sends a request; it appends to `exchanges`."""

    def __init__(self) -> None:
        self.exchanges: list[dict[str, Any]] = []
        self._send = httpx.HTTPTransport.handle_request

    def install(self) -> None:
        """Record the requests of all clients of this process."""

        def handle_request(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            return self.handle_request(transport, request)

        setattr(httpx.HTTPTransport, "handle_request", handle_request)  # noqa: B010

    def handle_request(self, transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        json_body = request.headers.get("content-type") == "application/json"
        sent = json.loads(request.read()) if json_body else None
        response = self._send(transport, request)
        received = b"".join(response.stream)  # type: ignore[arg-type]
        response.close()
        self.exchanges.append(
            {
                "method": request.method,
                "path": request.url.raw_path.decode(),
                "authorized": request.headers.get("authorization", "").startswith("Bearer relay_live_"),
                "headers": _headers(request.headers),
                "body": sent,
                "status": response.status_code,
                "response_headers": _headers(response.headers),
                "response": _json(response, received),
            }
        )
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"transfer-encoding"]
        return httpx.Response(response.status_code, headers=headers, stream=httpx.ByteStream(received))


def _headers(headers: httpx.Headers) -> dict[str, str]:
    return {name: headers[name] for name in _REPLAYED if name in headers}


def _json(response: httpx.Response, received: bytes) -> Any:
    return json.loads(received) if "json" in response.headers.get("content-type", "") else None


def use(client: Client, site: dict[str, str]) -> None:
    """Use every operation of the client, with the errors that users meet."""
    client.profiles.list()
    recording = client.recordings.upload(site["film"], name="meeting.mp4").wait(timeout=120)
    recording_id = recording.recording_id
    _read_recording(client, recording_id, Path(site["folder"]))
    _use_clips(client, recording_id, site)
    if hasattr(client, "transcripts"):  # from 0.2.0 on
        _use_texts(client, recording_id, Path(site["folder"]))
        _use_options(client, recording_id, Path(site["folder"]))
    _use_webhooks(client, site["hook"])
    client.recordings.add(recording.bucket_path, name="registered again")
    removed = client.recordings.upload(site["film"], name="removed.mp4")
    client.recordings.wait(removed.recording_id, timeout=120)
    client.recordings.delete(removed.recording_id, object=True)
    for request in (
        lambda: client.clips.get("clip_01j9xz4h6ye8v8n1m8t5g2b3qr"),
        lambda: client.clips.create(recording_id, "", 3, 1),
        lambda: client.clips.create(recording_id, "late", 1000, 1010),
        lambda: client.clips.create(removed.recording_id, "gone", 1, 2),
        lambda: client.recordings.add("relay/recordings/missing.mp4", name="missing"),
    ):
        try:
            request()
        except ApiError:
            continue
        raise AssertionError("the request should have failed")
    client.request("GET", "/readyz")


def _read_recording(client: Client, recording_id: str, folder: Path) -> None:
    client.recordings.get(recording_id)
    client.recordings.list(status="complete", limit=1)
    client.recordings.frame(recording_id, folder / "frame.jpg", 1.5, width=160)
    client.recordings.frames(recording_id, start=1, end=2)
    client.recordings.filmstrip(recording_id, folder / "film.jpg", count=4)
    client.recordings.waveform(recording_id, start=0, end=4, points=20)
    client.recordings.download(recording_id, folder / "meeting.mp4")


def _use_clips(client: Client, recording_id: str, site: dict[str, str]) -> None:
    wanted: dict[str, Any] = {"metadata": {"case": "4711"}, "priority": 5, "webhook_url": site["hook"], "poster": True}
    clip = client.clips.create(recording_id, "key-moment", 1, 3.5, **wanted, idempotency_key="session-1")
    client.clips.create(recording_id, "key-moment", 1, 3.5, **wanted, idempotency_key="session-1")
    client.clips.wait(clip.clip_id, timeout=120)
    client.clips.get(clip.clip_id)
    client.clips.list(label="key-moment", limit=1)
    client.clips.list(recording_id=recording_id)
    client.clips.download(clip.clip_id, Path(site["folder"]) / "clip.mp4")
    client.clips.poster(clip.clip_id, Path(site["folder"]) / "clip.jpg")
    sound = client.clips.create(recording_id, "sound", 0, 2, profile="sound", expires_at="2099-01-01T00:00:00Z")
    client.clips.wait(sound.clip_id, timeout=120)
    client.clips.deliveries(clip.clip_id)
    client.clips.delete(sound.clip_id)
    running = client.clips.create(recording_id, "running", 0, 8, profile="slow")
    queued = client.clips.create(recording_id, "queued", 0, 1)
    client.clips.cancel(queued.clip_id)
    client.clips.get(queued.clip_id)
    client.clips.retry(queued.clip_id)
    client.clips.wait(running.clip_id, timeout=120)
    client.clips.wait(queued.clip_id, timeout=120)


def _use_texts(client: Client, recording_id: str, folder: Path) -> None:
    cues = [
        {"start_seconds": 1, "end_seconds": 3, "text": "hello there", "words": [[1, 2, "hello"], [2, 3, "there"]]},
        {"start_seconds": 4, "end_seconds": 6, "text": "And so it ends.", "speaker": "Ann"},
    ]
    client.transcripts.put(recording_id, "en", cues)
    client.transcripts.put(recording_id, "de", cues[:1])
    client.transcripts.list(recording_id)
    client.transcripts.get(recording_id, "en")
    client.transcripts.save(recording_id, "en", folder / "spoken.vtt")
    client.transcripts.search("hello", recording_id=recording_id, language="en")
    client.transcripts.search("hello")
    client.transcripts.transcriptions()
    client.transcripts.delete(recording_id, "de")
    segments = [{"start_seconds": 1, "end_seconds": 3, "label": "first"}]
    stored = client.recordings.put_segments(recording_id, segments, title="list", version=0)
    client.recordings.put_segments(recording_id, segments, look={"output": {"aspect": "1:1"}}, version=stored.version)
    client.recordings.segments(recording_id)
    client.recordings.write_ranges(recording_id, segments, folder / "ranges.csv")
    client.recordings.next_moment(recording_id, "keyframe", 2)
    client.recordings.suggestions(recording_id, language="en", limit=3)


def _use_options(client: Client, recording_id: str, folder: Path) -> None:
    wanted: dict[str, Any] = {
        "output": {"aspect": "1:1", "focus": {"x": 0.4, "y": 0.5}, "fade_seconds": 0.2, "speed": 1.5},
        "subtitles": {"mode": "burn", "language": "en"},
    }
    client.recordings.update(recording_id, tags=["session"], metadata={"room": "7"})
    client.recordings.framing(recording_id, wanted["output"])
    client.recordings.proxy(recording_id)
    client.recordings.proxy_segment(recording_id, folder / "init.mp4")
    client.clips.plan(recording_id, 1, 4, **wanted)
    parts = [{"start_seconds": 0, "end_seconds": 1}, {"start_seconds": 4, "end_seconds": 5}]
    clips = [
        client.clips.create(recording_id, "square", 1, 4, **wanted),
        client.clips.create(recording_id, "joined", parts=parts),
        client.clips.create(recording_id, "without pauses", 0, 6, without=["silence"]),
        *client.clips.create_many([{"recording_id": recording_id, "label": "one of many", **parts[0]}]),
    ]
    for clip in clips:
        client.clips.wait(clip.clip_id, timeout=120)
    client.clips.update(clips[0].clip_id, label="square again", tags=["session"])
    client.clips.list(tags=["session"], q="square")
    client.clips.archive([clips[0].clip_id, clips[1].clip_id], folder / "clips.zip")
    share = client.clips.share(clips[0].clip_id, expires_at="2099-01-01T00:00:00Z")
    client.clips.shares(clips[0].clip_id)
    client.clips.share_link(clips[0].clip_id, share.share_id)
    client.clips.share_code(clips[0].clip_id, share.share_id, folder / "code.svg")
    client.clips.unshare(clips[0].clip_id, share.share_id)
    client.clips.delete_many([clips[3].clip_id])
    for path in ("/v1/status", "/v1/storage", "/v1/settings", "/v1/keys"):
        client.request("GET", path)


def _use_webhooks(client: Client, hook: str) -> None:
    events = ["clip.ready", "clip.failed", "recording.complete"]
    webhook = client.webhooks.create(hook, events=events, secret="secret-of-the-session")
    client.webhooks.list()
    client.webhooks.get(webhook.webhook_id)
    client.webhooks.update(webhook.webhook_id, events=events[:2], enabled=True)
    tested = client.webhooks.test(webhook.webhook_id)
    client.webhooks.delivery(tested.delivery_id)
    client.webhooks.deliveries(webhook.webhook_id)
    client.webhooks.redeliver(tested.delivery_id)
    client.webhooks.delete(webhook.webhook_id)


def main(site: Path, recorded: Path) -> None:
    recorder = Recorder()
    recorder.install()
    settings = json.loads(site.read_text())
    with Client(settings["url"], settings["key"], timeout=60) as client:
        use(client, settings)
    with Client(settings["url"], "wrong", retries=0) as stranger, suppress(ApiError):
        stranger.clips.list()
    recorded.write_text(json.dumps(recorder.exchanges, indent=1))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("site", type=Path)
    options.add_argument("recorded", type=Path)
    given = options.parse_args()
    main(given.site, given.recorded)
