"""The main job on a real S3 store: a recording in a bucket, one call, the clip beside it, a signed webhook."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
from pathlib import Path

import av
import httpx
import pytest
from minio import Minio
from standardwebhooks import Webhook

from tests.support.receiver import Receiver
from tests.support.s3 import S3Server, s3_settings
from tests.support.server import running_server

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def _settings(s3: S3Server, bucket: str, url: str) -> dict[str, str]:
    endpoints = f'[{{url = "{url}", secret = "{SECRET}"}}]'
    return s3_settings(s3, bucket) | {"CLIPENGINE_WEBHOOKS__ENDPOINTS": endpoints}


def test_clip_is_cut_uploaded_and_announced(s3: S3Server, bucket: str, film: Path, tmp_path: Path) -> None:
    client: Minio = s3.client
    key = "relay/recordings/h_01/recording.mp4"
    client.put_object(bucket, key, io.BytesIO(film.read_bytes()), film.stat().st_size)
    with (
        Receiver() as receiver,
        running_server(tmp_path / "data", env=_settings(s3, bucket, receiver.url)) as server,
        server.client() as api,
    ):
        recording = api.recordings.wait(api.recordings.add(key).recording_id, timeout=300)
        assert (recording.status, recording.file_size_bytes) == ("complete", film.stat().st_size)

        made = api.clips.create(recording.recording_id, label="Key moment", start_seconds=3.0, end_seconds=5.5)
        clip = api.clips.wait(made.clip_id, timeout=300)
        assert clip.status == "complete", clip.error
        assert clip.bucket_path == f"relay/recordings/h_01/clips/key-moment-{clip.clip_id}.mp4"
        assert clip.result is not None

        stored = client.get_object(bucket, clip.bucket_path)
        body = stored.read()
        stored.close()
        stored.release_conn()
        assert hashlib.sha256(body).hexdigest() == clip.result.sha256
        with av.open(io.BytesIO(body)) as container:
            assert sum(1 for _ in container.decode(video=0)) == clip.result.frames == 63
        assert clip.result.poster_path is not None
        client.stat_object(bucket, clip.result.poster_path)

        (request,) = receiver.wait_for(1)
        assert request.headers["x-relay-signature"] == hmac.new(SECRET.encode(), request.body, "sha256").hexdigest()
        event = Webhook(SECRET).verify(request.body, request.headers)
        assert list(event) == ["event", "data", "organisation_id", "timestamp", "id"]
        assert (event["event"], event["data"]["clip_id"]) == ("clip.ready", clip.clip_id)
        assert event["data"] == json.loads(
            httpx.get(
                f"{server.url}/v1/clips/{clip.clip_id}", headers={"Authorization": f"Bearer {server.key}"}
            ).content
        )

        answer = httpx.get(
            f"{server.url}/v1/clips/{clip.clip_id}/download", headers={"Authorization": f"Bearer {server.key}"}
        )
        assert answer.status_code == 302
        assert httpx.get(answer.headers["location"]).content == body

        api.clips.delete(clip.clip_id)
        server.stop()
    left = [each.object_name for each in client.list_objects(bucket, recursive=True)]
    # The server may have stopped before it has deleted all of them.
    assert {key} <= {*left} <= {key, clip.bucket_path, clip.result.poster_path, clip.result.manifest_path}


@pytest.mark.exhaustive
def test_only_the_needed_bytes_are_read(s3: S3Server, bucket: str, recordings: Path, tmp_path: Path) -> None:
    source = recordings / "long_persons_139s_10fps.mp4"
    s3.client.fput_object(bucket, "camera.mp4", str(source))
    with (
        running_server(tmp_path / "data", env=_settings(s3, bucket, "http://127.0.0.1:9/")) as server,
        server.client() as api,
    ):
        recording = api.recordings.wait(api.recordings.add("camera.mp4").recording_id, timeout=300)
        made = api.clips.create(recording.recording_id, label="x", start_seconds=70.0, end_seconds=72.0)
        clip = api.clips.wait(made.clip_id, timeout=300)
        assert clip.result is not None, clip.error
        assert clip.result.frames == 20
        assert clip.result.bytes_read < source.stat().st_size / 3
