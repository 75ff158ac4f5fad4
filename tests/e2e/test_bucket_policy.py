"""The rights in `config/minio-policy.json`, on a store that enforces them: sufficient for the engine, and no more."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from minio import Minio
from minio.error import S3Error

from clipengine.client import ApiError
from clipengine.stores.s3 import S3Store
from tests.support.invariants import check_invariants
from tests.support.s3 import QUICK, S3Server, bucket, open_uploads, s3
from tests.support.server import run_command, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage

__all__ = ["bucket", "s3"]

POLICY = Path(__file__).parents[2] / "config" / "minio-policy.json"


@pytest.fixture
def engine_user(s3: S3Server, bucket: str) -> Iterator[S3Server]:
    """Return the store with credentials that have only the rights of the policy, on the bucket of this test."""
    if "S3_ADMIN" not in os.environ:
        pytest.skip("S3_ADMIN, a radosgw-admin command that makes users in the store of S3_ENDPOINT, is not set")

    def admin(*arguments: str) -> Any:
        command = [*shlex.split(os.environ["S3_ADMIN"]), *arguments]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)

    user = f"engine-{uuid4().hex}"
    owner = admin("user", "info", f"--access-key={s3.access_key}")["user_id"]
    admin("caps", "add", f"--uid={owner}", "--caps=user-policy=*")
    keys = admin("user", "create", f"--uid={user}", "--display-name=engine", "--max-buckets=-1")["keys"][0]
    iam = boto3.client(
        "iam",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
    )
    policy = POLICY.read_text("utf-8").replace("arn:aws:s3:::recordings", f"arn:aws:s3:::{bucket}")
    iam.put_user_policy(UserName=user, PolicyName="clipengine", PolicyDocument=policy)
    yield S3Server(s3.endpoint, keys["access_key"], keys["secret_key"], s3.region, moto=False)
    iam.delete_user_policy(UserName=user, PolicyName="clipengine")
    subprocess.run([*shlex.split(os.environ["S3_ADMIN"]), "user", "rm", f"--uid={user}"], check=True, timeout=300)


def test_policy_allows_every_operation_of_the_engine(
    engine_user: S3Server, s3: S3Server, bucket: str, film: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    names = {
        "KIND": "s3",
        "ENDPOINT": engine_user.endpoint,
        "BUCKET": bucket,
        "PREFIX": "relay",
        "ACCESS_KEY": engine_user.access_key,
        "SECRET_KEY": engine_user.secret_key,
    }
    env = {f"CLIPENGINE_STORAGE__{name}": value for name, value in names.items()} | {"CLIPENGINE_SERVER__PORT": "0"}
    doctor = run_command("doctor", "--data", str(data), env=env)
    assert doctor.returncode == 0, doctor.stdout
    assert "an object was stored, read in ranges, listed and deleted" in doctor.stdout
    s3.client.fput_object(bucket, "relay/h_01/meeting.mp4", str(film))
    s3.client.fput_object(bucket, "relay/h_02/meeting.mp4", str(film))
    with running_server(data, env=env) as server, server.client() as api:
        recording = api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=300)
        with pytest.raises(ApiError) as missing:
            api.recordings.add("h_01/none.mp4")
        assert missing.value.status == 404
        clip = api.clips.wait(api.clips.create(recording.recording_id, "kept", 1.0, 3.0).clip_id, timeout=300)
        assert clip.status == "complete", clip.error
        api.clips.download(clip.clip_id, tmp_path / "clip.mp4")
        gone = api.clips.wait(api.clips.create(recording.recording_id, "gone", 1.0, 3.0).clip_id, timeout=300)
        api.clips.delete(gone.clip_id)
        uploaded = api.recordings.wait(api.recordings.upload(film).recording_id, timeout=300)
        assert uploaded.status == "complete", uploaded.error
        api.recordings.delete(uploaded.recording_id, object=True)
        client = {"CLIPENGINE_URL": server.url, "CLIPENGINE_API_KEY": server.key}
        imported = run_command("recordings", "import", "h_02", "--json", "--data", str(data), env={**env, **client})
        assert imported.returncode == 0, imported.stderr
        assert "h_02/meeting.mp4" in imported.stdout
        until(lambda: len(list(s3.client.list_objects(bucket, recursive=True))) == 5)
        server.stop()
    store = S3Store(engine_user.location(bucket, prefix="relay"), journal=tmp_path / "journal", retries=QUICK)
    check_invariants(data, store=store, open_uploads=open_uploads(s3, bucket))


def test_policy_denies_everything_else(engine_user: S3Server, s3: S3Server, bucket: str, film: Path) -> None:
    s3.client.fput_object(bucket, "other/meeting.mp4", str(film))
    s3.client.fput_object(bucket, "relay2/meeting.mp4", str(film))
    s3.client.fput_object(bucket, "relay/meeting.mp4", str(film))
    mine: Minio = engine_user.client
    assert mine.stat_object(bucket, "relay/meeting.mp4").size == film.stat().st_size
    denied: dict[str, Callable[[], object]] = {
        "read beside the prefix": lambda: mine.get_object(bucket, "other/meeting.mp4").close(),
        "read under a name that begins like it": lambda: mine.get_object(bucket, "relay2/meeting.mp4").close(),
        "write beside the prefix": lambda: mine.fput_object(bucket, "other/new.mp4", str(film)),
        "write at the root": lambda: mine.fput_object(bucket, "new.mp4", str(film)),
        "overwrite beside the prefix": lambda: mine.fput_object(bucket, "other/meeting.mp4", str(film)),
        "delete beside the prefix": lambda: mine.remove_object(bucket, "other/meeting.mp4"),
        "begin a multipart upload beside it": lambda: mine._create_multipart_upload(bucket, "other/new.mp4", {}),
        "list the bucket": lambda: list(mine.list_objects(bucket)),
        "list beside the prefix": lambda: list(mine.list_objects(bucket, prefix="other/")),
        "list what others upload": lambda: mine._list_multipart_uploads(bucket),
        "read the policy": lambda: mine.get_bucket_policy(bucket),
        "set the policy": lambda: mine.set_bucket_policy(bucket, "{}"),
        "read the lifecycle": lambda: mine.get_bucket_lifecycle(bucket),
        "delete the lifecycle": lambda: mine.delete_bucket_lifecycle(bucket),
        "read the versioning": lambda: mine.get_bucket_versioning(bucket),
        "tag an object": lambda: mine.delete_object_tags(bucket, "relay/meeting.mp4"),
        "remove the bucket": lambda: mine.remove_bucket(bucket),
    }
    for what, operation in denied.items():
        with pytest.raises(S3Error) as caught:
            operation()
        assert caught.value.code == "AccessDenied", what
    names = sorted(str(found.object_name) for found in s3.client.list_objects(bucket, recursive=True))
    assert names == ["other/meeting.mp4", "relay/meeting.mp4", "relay2/meeting.mp4"]
