"""Notifications that a real Ceph store sends: a new object of the bucket becomes a recording without further code."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from clipengine.stores.s3 import S3Store
from tests.support import events
from tests.support.api import api_server, recorded_engine
from tests.support.s3 import QUICK, S3Server
from tests.support.waiting import until

KEYS = ["calls/böard meeting+1 100%.mp4", "calls/talk.webm", "notes.txt", "calls/clips/goal-clip_01j9xz.mp4"]


@pytest.fixture
def topics(true_s3: S3Server) -> Iterator[Any]:
    """Yield a client for the topics of the store, deleted after the test."""
    options: dict[str, str] = {
        "endpoint_url": true_s3.endpoint,
        "aws_access_key_id": true_s3.access_key,
        "aws_secret_access_key": true_s3.secret_key,
        "region_name": true_s3.region,
    }
    made: list[str] = []
    client = boto3.client("sns", **options)

    def create(url: str) -> str:
        attributes = {"push-endpoint": url, "OpaqueData": events.S3_SECRET}
        try:
            made.append(client.create_topic(Name=f"test-{uuid4().hex}", Attributes=attributes)["TopicArn"])
        except (BotoCoreError, ClientError) as error:
            pytest.skip(f"the store has no topics for bucket notifications: {error}")
        return made[-1]

    yield create
    for topic in made:
        client.delete_topic(TopicArn=topic)


def test_objects_of_the_bucket_become_recordings(tmp_path: Path, s3: S3Server, bucket: str, topics: Any) -> None:
    settings = {"s3": {"secret": events.S3_SECRET, "bucket": bucket}}
    with recorded_engine(tmp_path / "data", ingest=settings) as engine:
        engine.store = S3Store(s3.location(bucket), journal=tmp_path / "journal", retries=QUICK)
        with api_server(engine) as server:
            topic = topics(f"{server.url}/v1/ingest/s3")
            notification = {"Id": "clipengine", "TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}
            s3_api = boto3.client(
                "s3",
                endpoint_url=s3.endpoint,
                aws_access_key_id=s3.access_key,
                aws_secret_access_key=s3.secret_key,
                region_name=s3.region,
            )
            s3_api.put_bucket_notification_configuration(
                Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [notification]}
            )
            try:
                for key in KEYS:
                    s3.client.put_object(bucket, key, io.BytesIO(b"media"), 5)
                with server.client() as http:
                    until(lambda: len(http.get("/v1/recordings").json()["data"]) == 2)
                    found = {each["bucket_path"]: each["name"] for each in http.get("/v1/recordings").json()["data"]}
                    counted = http.get("/metrics").text
            finally:
                s3_api.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert found == {KEYS[0]: "böard meeting+1 100%", KEYS[1]: "talk"}
    assert 'clipengine_ingest_events_total{outcome="not_media",source="s3"} 1.0' in counted
    assert 'clipengine_ingest_events_total{outcome="own_object",source="s3"} 1.0' in counted
