"""Events of other systems over HTTP: what they register, and what forged, replayed and oversized ones do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from clipengine.api.routes.ingest import _BODY_BYTES
from clipengine.errors import DecoderCrashed, StorageUnavailable
from clipengine.ledger.recordings.fetches import Origin
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.outbound import webhook_addresses
from clipengine.stores import playlists
from tests.support import events
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.events import bearer, changed, recorded
from tests.support.live import written
from tests.support.memory import memory_growth_below
from tests.support.waiting import until

Sign = Callable[..., dict[str, str]]
KEY = "calls/böard meeting+1.mp4"
SIGNED: list[tuple[str, str, Sign]] = [
    ("livekit", "livekit-egress-ended", events.livekit),
    ("daily", "daily-recording-ready", events.daily),
    ("zoom", "zoom-recording-completed", events.zoom),
]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[RecordedEngine]:
    webhooks = {"allow_cidrs": ["127.0.0.0/8"]}
    with recorded_engine(tmp_path / "data", ingest=events.SETTINGS, webhooks=webhooks) as engine:
        engine.put(KEY, b"media")
        engine.put("calls/board.mp4", b"media")
        yield engine


@pytest.fixture
def sender(server: ApiServer) -> Iterator[httpx.Client]:
    """Yield a client without an API key."""
    with server.client("") as client:
        yield client


def send(sender: httpx.Client, source: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    return sender.post(f"/v1/ingest/{source}", content=body, headers={"content-type": "application/json", **headers})


def registered(engine: RecordedEngine, answer: httpx.Response) -> Any:
    """Return the one recording that an event has registered."""
    assert answer.status_code == 202, answer.text
    assert answer.json()["ignored"] == []
    (recording_id,) = answer.json()["recording_ids"]
    return engine.ledger.recordings.get(recording_id)


def ignored(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 202, answer.text
    assert answer.json()["recording_ids"] == []
    return [each["reason"] for each in answer.json()["ignored"]]


def rejected(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def count(engine: RecordedEngine) -> int:
    return len(engine.ledger.recordings.list(RecordingFilter(limit=100)).data)


def actions(engine: RecordedEngine) -> list[tuple[str, str, str, str | None]]:
    """Return what the audit log says, oldest first."""
    engine.ledger.audit.flush()
    return [(each.action, each.outcome, each.actor_kind, each.object_id) for each in engine.ledger.audit.all()]


class TestBuckets:
    @pytest.mark.parametrize(
        ("name", "headers"),
        [
            ("s3-minio", bearer(events.S3_SECRET)),
            ("s3-ceph", {}),  # its secret is in the body
            ("s3-aws", bearer(events.S3_SECRET)),
            ("s3-eventbridge", {"authorization": "Basic " + base64.b64encode(b"x:secret-of-the-s3-source").decode()}),
        ],
    )
    def test_new_object_is_registered(
        self, engine: RecordedEngine, sender: httpx.Client, name: str, headers: dict[str, str]
    ) -> None:
        recording = registered(engine, send(sender, "s3", recorded(name), headers))
        assert (recording.bucket_path, recording.name, recording.state) == (KEY, "böard meeting+1", "processing")
        assert engine.calls == [("probes", recording.recording_id)]

    def test_repeated_event_registers_nothing(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        first, again = (send(sender, "s3", recorded("s3-ceph"), {}).json() for _ in range(2))
        assert first == again
        assert count(engine) == 1
        claimed = engine.ledger.recordings.claim_probe("test")
        assert claimed is not None
        engine.ledger.recordings.probe_failed(claimed, DecoderCrashed("it crashed"))
        assert send(sender, "s3", recorded("s3-ceph"), {}).json() == first
        assert count(engine) == 1

    def test_replaced_object_is_a_new_recording(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        send(sender, "s3", recorded("s3-ceph"), {})
        engine.put(KEY, b"other media")
        send(sender, "s3", recorded("s3-ceph"), {})
        assert count(engine) == 2

    @pytest.mark.parametrize(
        ("key", "reason"),
        [
            ("calls/clips/goal-clip_01j9xz.mp4", "own_object"),
            ("recordings/rec_01j9x2aaaaaaaaaaaaaaaaaaaa/talk.mp4", "own_object"),
            ("calls/notes.txt", "not_media"),
            ("calls/index_0042.ts", "piece"),
            ("calls/init.mp4", "piece"),
            ("calls/init-video0.mp4", "piece"),
            ("calls/initial.mp4", "missing"),
            ("calls/index_0042.m4s", "not_media"),
            ("calls/gone.mp4", "missing"),
            ("../../etc/passwd.mp4", "missing"),
            ("calls//a.mp4", "missing"),
        ],
    )
    def test_other_objects_are_ignored(
        self, engine: RecordedEngine, sender: httpx.Client, key: str, reason: str
    ) -> None:
        event = {"detail-type": "Object Created", "detail": {"bucket": {"name": "recordings"}, "object": {"key": key}}}
        answer = send(sender, "s3", json.dumps(event).encode(), bearer(events.S3_SECRET))
        assert ignored(answer) == [reason]
        assert count(engine) == 0

    @pytest.mark.parametrize("rewrites", [20, pytest.param(1000, marks=pytest.mark.exhaustive)])
    def test_rewritten_playlist_is_one_recording_when_it_has_ended(
        self, engine: RecordedEngine, sender: httpx.Client, rewrites: int
    ) -> None:
        key, secret = "calls/r1/index.m3u8", bearer(events.S3_SECRET)
        event = {"detail-type": "Object Created", "detail": {"bucket": {"name": "recordings"}, "object": {"key": key}}}
        body, lines = json.dumps(event).encode(), ["#EXTM3U"]
        for number in range(rewrites):
            lines.append(f"#EXTINF:4,\n{number}.ts")
            engine.put(key, "\n".join(lines).encode())
            assert ignored(send(sender, "s3", body, secret)) == ["not_ended"]
        engine.put(key, "\n".join([*lines, "#EXT-X-ENDLIST"]).encode())
        first = send(sender, "s3", body, secret).json()
        engine.put(key, "\n".join([*lines, "", "#EXT-X-ENDLIST"]).encode())
        assert send(sender, "s3", body, secret).json() == first
        assert count(engine) == 1

    @pytest.mark.parametrize(
        ("outer", "inner", "text"),
        [
            ("all.m3u8", "low.m3u8", b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n"),
            ("s__uid_e_video.m3u8", "s__uid_e_audio.m3u8", b"#EXTM3U\n#EXTINF:4\n1.ts\n#EXT-X-ENDLIST\n"),
        ],
    )
    def test_playlist_that_another_names_registers_that_one_when_it_ends(
        self, engine: RecordedEngine, sender: httpx.Client, outer: str, inner: str, text: bytes
    ) -> None:
        def notify(name: str) -> httpx.Response:
            place = {"bucket": {"name": "recordings"}, "object": {"key": f"calls/r1/{name}"}}
            body = json.dumps({"detail-type": "Object Created", "detail": place}).encode()
            return send(sender, "s3", body, bearer(events.S3_SECRET))

        engine.put(f"calls/r1/{inner}", b"#EXTM3U\n#EXTINF:4,\n0.ts\n")
        engine.put(f"calls/r1/{outer}", text)
        assert ignored(notify(outer)) == ignored(notify(inner)) == ["not_ended"]
        engine.put(f"calls/r1/{inner}", b"#EXTM3U\n#EXTINF:4,\n0.ts\n#EXT-X-ENDLIST\n")
        answers = [notify(inner), notify(outer)]
        assert {registered(engine, answer).bucket_path for answer in answers} == {f"calls/r1/{outer}"}
        assert count(engine) == 1

    def test_other_buckets_and_events_are_ignored_and_counted(
        self, server: ApiServer, engine: RecordedEngine, sender: httpx.Client
    ) -> None:
        foreign = recorded("s3-minio").replace(b'"name": "recordings"', b'"name": "backups"')
        removed = recorded("s3-aws").replace(b"ObjectCreated:CompleteMultipartUpload", b"ObjectRemoved:Delete")
        secret = bearer(events.S3_SECRET)
        assert ignored(send(sender, "s3", foreign, secret)) == ["other_bucket"]
        assert ignored(send(sender, "s3", removed, secret)) == ["other_event"]
        assert ignored(send(sender, "s3", recorded("s3-aws-test"), secret)) == []
        assert count(engine) == 0
        with server.client() as http:
            metrics = http.get("/metrics").text
        assert 'clipengine_ingest_events_total{outcome="other_bucket",source="s3"} 1.0' in metrics
        assert 'clipengine_ingest_events_total{outcome="rejected",source="s3"} 0.0' in metrics

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            bearer("secret-of-the-s3-sourc"),
            bearer("sécret"),
            {"authorization": "Basic !!!"},
            {"authorization": "Basic " + base64.b64encode(b"secret-of-the-s3-source").decode()},
        ],
    )
    def test_wrong_secret_is_rejected(
        self, engine: RecordedEngine, sender: httpx.Client, headers: dict[str, str]
    ) -> None:
        encoded = {name: value.encode() for name, value in headers.items()}
        answer = send(sender, "s3", recorded("s3-minio"), encoded)  # type: ignore[arg-type]
        assert rejected(answer) == (401, "invalid_signature")
        assert count(engine) == 0
        assert actions(engine) == [("recording.create", "refused", "unknown", None)]

    def test_every_record_must_have_the_secret(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        (record,) = json.loads(recorded("s3-ceph"))["Records"]
        forged = {**record, "opaqueData": "guessed"}
        assert rejected(send(sender, "s3", json.dumps({"Records": [record, forged]}).encode(), {}))[0] == 401
        assert rejected(send(sender, "s3", b'{"Records": []}', {}))[0] == 401
        assert count(engine) == 0


class TestLiveKit:
    def test_file_of_an_ended_egress_is_registered(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        body = recorded("livekit-egress-ended")
        recording = registered(engine, send(sender, "livekit", body, events.livekit(body)))
        assert (recording.bucket_path, recording.name) == ("calls/board.mp4", "Board meeting")
        assert recording.metadata == {
            "source": "livekit",
            "livekit_egress_id": "EG_k8PmyqXcyZ3D",
            "livekit_room_id": "RM_8MyCZhuJvTyq",
            "started_at": "2026-01-31T09:00:01.123Z",
        }

    def test_local_path_of_the_egress_is_found_in_the_store_folder(
        self, engine: RecordedEngine, sender: httpx.Client
    ) -> None:
        event = json.loads(recorded("livekit-egress-ended"))
        path = str(engine.settings.store_folder.absolute() / "calls" / "board.mp4")
        event["egressInfo"]["fileResults"] = [{"filename": path, "location": path}]
        body = json.dumps(event).encode()
        assert registered(engine, send(sender, "livekit", body, events.livekit(body))).bucket_path == "calls/board.mp4"

    def test_playlist_of_an_egress_in_segments_is_registered(
        self, engine: RecordedEngine, sender: httpx.Client
    ) -> None:
        path = engine.settings.store_folder / "calls" / "index.m3u8"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#EXTM3U\n#EXTINF:4,\npart_0.ts\n#EXT-X-ENDLIST\n")
        event = json.loads(recorded("livekit-egress-ended"))
        del event["egressInfo"]["fileResults"]
        event["egressInfo"]["segmentResults"] = [
            {
                "playlistName": "calls/index.m3u8",
                "livePlaylistName": "calls/live.m3u8",
                "segmentCount": "1",
                "playlistLocation": "https://recordings.s3.eu-central-1.amazonaws.com/calls/index.m3u8",
                "startedAt": "1769850001123456789",
            }
        ]
        body = json.dumps(event).encode()
        recording = registered(engine, send(sender, "livekit", body, events.livekit(body)))
        assert recording.bucket_path == "calls/index.m3u8"
        assert recording.metadata["started_at"] == "2026-01-31T09:00:01.123Z"

    @pytest.mark.parametrize(("most", "recorded_as"), [(18, "z.m3u8"), (17, "a.m3u8")])
    def test_playlists_of_an_event_have_one_limit_of_segments(
        self,
        engine: RecordedEngine,
        sender: httpx.Client,
        monkeypatch: pytest.MonkeyPatch,
        most: int,
        recorded_as: str,
    ) -> None:
        segments = "#EXTINF:4,\npart.ts\n" * 6
        for name in ("a", "b"):
            engine.put(f"calls/{name}.m3u8", f"#EXTM3U\n{segments}#EXT-X-ENDLIST\n".encode())
        engine.put("calls/z.m3u8", b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n")
        monkeypatch.setattr(playlists, "_MAX_NAMED", most)
        place = {"bucket": {"name": "recordings"}, "object": {"key": "calls/a.m3u8"}}
        event = json.dumps({"detail-type": "Object Created", "detail": place}).encode()
        recording = registered(engine, send(sender, "s3", event, bearer(events.S3_SECRET)))
        assert recording.bucket_path == f"calls/{recorded_as}"

    def test_end_of_an_egress_ends_its_live_recording(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        engine.put("calls/index.m3u8", b"#EXTM3U\n#EXTINF:4,\npart_0.ts\n")
        live = written(engine.ledger, "calls/index.m3u8")
        secret = bearer(events.S3_SECRET)
        place = {"bucket": {"name": "recordings"}, "object": {"key": "calls/index.m3u8"}}
        growth = json.dumps({"detail-type": "Object Created", "detail": place}).encode()
        assert send(sender, "s3", growth, secret).json()["recording_ids"] == [live]
        refresh = engine.ledger.live.claim("me")
        assert refresh is not None
        assert not refresh.ending
        engine.ledger.live.later(refresh, 0)

        event = json.loads(recorded("livekit-egress-ended"))
        del event["egressInfo"]["fileResults"]
        location = "https://recordings.s3.eu-central-1.amazonaws.com/calls/index.m3u8"
        event["egressInfo"]["segmentResults"] = [{"playlistName": "calls/index.m3u8", "playlistLocation": location}]
        body = json.dumps(event).encode()
        assert send(sender, "livekit", body, events.livekit(body)).json()["recording_ids"] == [live]
        refresh = engine.ledger.live.claim("me")
        assert refresh is not None
        assert refresh.ending
        assert actions(engine) == [("recording.end", "done", "source", live)]  # and no row for the growth

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            (b"egress_ended", b"room_finished", "other_event"),
            (b"EGRESS_COMPLETE", b"EGRESS_FAILED", "failed"),
            (b"https://recordings.s3.", b"https://others.s3.", "other_bucket"),
            (b"https://recordings.s3.", b"http://[::", "other_bucket"),
            (b'"filename": "calls/board.mp4"', b'"filename": "calls/other.mp4"', "missing"),
        ],
    )
    def test_other_events_are_ignored(
        self, engine: RecordedEngine, sender: httpx.Client, old: bytes, new: bytes, reason: str
    ) -> None:
        body = recorded("livekit-egress-ended").replace(old, new)
        assert ignored(send(sender, "livekit", body, events.livekit(body))) == [reason]
        assert count(engine) == 0

    @pytest.mark.parametrize(
        ("changes", "secret", "algorithm"),
        [
            ({}, "another-secret-of-livekit", "HS256"),
            ({}, events.LIVEKIT_SECRET, "none"),
            ({"iss": "APIother"}, events.LIVEKIT_SECRET, "HS256"),
            ({"exp": None}, events.LIVEKIT_SECRET, "HS256"),
            ({"exp": True}, events.LIVEKIT_SECRET, "HS256"),
            ({"exp": 1}, events.LIVEKIT_SECRET, "HS256"),
            ({"exp": 10**4000}, events.LIVEKIT_SECRET, "HS256"),
            ({"exp": 10**30}, events.LIVEKIT_SECRET, "HS256"),
            ({"exp": float("inf")}, events.LIVEKIT_SECRET, "HS256"),
            ({"nbf": -(10**4000)}, events.LIVEKIT_SECRET, "HS256"),
            ({"nbf": float("nan")}, events.LIVEKIT_SECRET, "HS256"),
            ({"video": 10**4200}, events.LIVEKIT_SECRET, "HS256"),
            ({"video": [[[[[[[[[[1]]]]]]]]]]}, events.LIVEKIT_SECRET, "HS256"),
            ({"nbf": 10**12}, events.LIVEKIT_SECRET, "HS256"),
            ({"sha256": "ü"}, events.LIVEKIT_SECRET, "HS256"),
            ({"sha256": None}, events.LIVEKIT_SECRET, "HS256"),
        ],
    )
    def test_forged_token_is_rejected(
        self, engine: RecordedEngine, sender: httpx.Client, changes: dict[str, Any], secret: str, algorithm: str
    ) -> None:
        body = recorded("livekit-egress-ended")
        token = events.jwt({**events.livekit_claims(body), **changes}, secret, algorithm)
        assert rejected(send(sender, "livekit", body, {"authorization": token})) == (401, "invalid_signature")
        assert count(engine) == 0

    @pytest.mark.parametrize("token", ["", "a.b.c", "a.b", "x" * 5000, "Basic a.b.c", "W10.W10.W10", "e30.e30.e30"])
    def test_malformed_token_is_rejected(self, sender: httpx.Client, token: str) -> None:
        answer = send(sender, "livekit", recorded("livekit-egress-ended"), {"authorization": token})
        assert rejected(answer) == (401, "invalid_signature")


class TestDaily:
    def test_recording_in_the_bucket_is_registered(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        body = recorded("daily-recording-ready")
        recording = registered(engine, send(sender, "daily", body, events.daily(body)))
        assert (recording.bucket_path, recording.name) == ("calls/board.mp4", "board-meeting")
        assert recording.metadata == {
            "source": "daily",
            "daily_recording_id": "08fa0b24-9220-44c5-846c-3f116cf8e738",
            "started_at": "2026-01-31T09:00:01.000Z",
        }

    def test_test_of_a_new_webhook_is_answered(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        assert send(sender, "daily", b'{"test": "test"}', {}).status_code == 200
        assert rejected(send(sender, "daily", b'{"test": "test", "type": "x"}', {}))[0] == 401
        assert count(engine) == 0

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            (b"recording.ready-to-download", b"recording.started", "other_event"),
            (b'"finished"', b'"canceled"', "failed"),
            (b'"calls/board.mp4"', b'""', "other_bucket"),
        ],
    )
    def test_other_events_are_ignored(self, sender: httpx.Client, old: bytes, new: bytes, reason: str) -> None:
        body = recorded("daily-recording-ready").replace(old, new)
        assert ignored(send(sender, "daily", body, events.daily(body))) == [reason]


class TestDailyDownloads:
    def test_recording_in_the_storage_of_daily_is_fetched_by_its_link(self, tmp_path: Path) -> None:
        body = recorded("daily-recording-ready")
        settings = {
            "daily": {"secret": events.DAILY_SECRET, "api_key": "daily-api-key", "api_url": "https://1.1.1.1/v1/"}
        }
        with recorded_engine(tmp_path / "data", ingest=settings) as engine, api_server(engine) as server:
            with server.client("") as sender:
                recording = registered(engine, send(sender, "daily", body, events.daily(body)))
            assert recording.name == "board-meeting"
            fetch = engine.ledger.fetches.claim("test")
            assert fetch is not None
            assert engine.ledger.fetches.origin(fetch) == Origin(
                "https://1.1.1.1/v1/recordings/08fa0b24-9220-44c5-846c-3f116cf8e738/access-link",
                "daily-api-key",
                "download_link",
            )


class TestZoom:
    @pytest.fixture(autouse=True)
    def _zoom_is_public(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Resolve Zoom's host without the network."""
        monkeypatch.setattr(webhook_addresses, "system_lookup", lambda name, port: ["170.114.52.2"])

    def test_video_of_a_meeting_is_fetched_with_the_token_of_the_event(
        self, engine: RecordedEngine, sender: httpx.Client
    ) -> None:
        body = recorded("zoom-recording-completed")
        answer = send(sender, "zoom", body, events.zoom(body))
        assert [each["reason"] for each in answer.json()["ignored"]] == ["not_media", "not_media"]
        (recording_id,) = answer.json()["recording_ids"]
        recording = engine.ledger.recordings.get(recording_id)
        assert recording.bucket_path == f"recordings/{recording_id}/board-meeting.mp4"
        assert (recording.name, recording.metadata) == (
            "Board meeting",
            {
                "source": "zoom",
                "zoom_meeting_id": "87565330005",
                "zoom_recording_type": "shared_screen_with_speaker_view",
                "started_at": "2026-01-31T09:00:01.000Z",
            },
        )
        fetch = engine.ledger.fetches.claim("test")
        assert fetch is not None
        assert engine.ledger.fetches.origin(fetch) == Origin(
            "https://us02web.zoom.us/rec/webhook_download/x", "abJhbGciOiJIUzUxMiJ9.eyJhdWQiOiJSZWNvcmRpbmcifQ.SkBj0tZ"
        )

    def test_audio_is_fetched_if_there_is_no_video(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        event = json.loads(
            recorded("zoom-recording-completed").replace(b'"file_type": "MP4"', b'"file_type": "TIMELINE"')
        )
        for file in event["payload"]["object"]["recording_files"]:
            if file["file_type"] == "TIMELINE":
                del file["id"]  # as in examples of Zoom
        body = json.dumps(event).encode()
        (recording_id,) = send(sender, "zoom", body, events.zoom(body)).json()["recording_ids"]
        assert engine.ledger.recordings.get(recording_id).bucket_path.endswith("/board-meeting.m4a")

    def test_question_of_zoom_is_answered(self, sender: httpx.Client) -> None:
        body = recorded("zoom-url-validation")
        answer = send(sender, "zoom", body, events.zoom(body))
        token = "qgg8vlvZRS6UYooatFL8Aw"
        signed = hmac.new(events.ZOOM_SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()
        assert (answer.status_code, answer.json()) == (200, {"plainToken": token, "encryptedToken": signed})

    def test_question_cannot_be_used_to_sign_an_event(self, sender: httpx.Client) -> None:
        forged = f"v0:{round(time.time())}:" + recorded("zoom-recording-completed").decode()
        body = changed("zoom-url-validation", payload={"plainToken": forged})
        assert rejected(send(sender, "zoom", body, {})) == (401, "invalid_signature")
        assert rejected(send(sender, "zoom", body, events.zoom(body))) == (422, "invalid_request")


class TestNul:
    """Row 84 of the faults: PostgreSQL cannot store U+0000, and a rejected event is sent again and again."""

    def test_nul_is_replaced_in_events(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        body = {"key": "calls/board.mp4", "name": "a\0b", "metadata": {"a\0": "b\0c"}}
        recording = registered(
            engine, send(sender, "generic", json.dumps(body).encode(), bearer(events.GENERIC_SECRET))
        )
        assert (recording.name, recording.metadata) == ("a\ufffdb", {"a\ufffd": "b\ufffdc"})

    def test_object_with_nul_in_its_key_is_ignored(self, sender: httpx.Client) -> None:
        body = json.dumps({"key": "calls/\0.mp4"}).encode()
        assert ignored(send(sender, "generic", body, bearer(events.GENERIC_SECRET))) == ["missing"]


class TestGeneric:
    BODY = json.dumps(
        {
            "key": "calls/board.mp4",
            "name": "Board\nmeeting",
            "started_at": "2026-01-31T10:00:00.5+01:00",
            "metadata": {"team": "blue"},
        }
    ).encode()

    @pytest.mark.parametrize("signed", [False, True])
    def test_recording_is_registered(self, engine: RecordedEngine, sender: httpx.Client, signed: bool) -> None:
        headers = events.standard(self.BODY) if signed else bearer(events.GENERIC_SECRET)
        recording = registered(engine, send(sender, "generic", self.BODY, headers))
        assert (recording.bucket_path, recording.name) == ("calls/board.mp4", "Board meeting")
        assert recording.metadata == {"team": "blue", "started_at": "2026-01-31T09:00:00.500Z"}
        assert recording.given_start == 1_769_850_000_500

    @pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2200-01-01T00:00:00Z"])
    def test_time_that_is_no_moment_is_refused_with_its_field(self, sender: httpx.Client, time: str) -> None:
        for fields, where in (
            ({"started_at": time}, "/started_at"),
            ({"markers": [{"at_seconds": 1}, {"time": time}]}, "/markers/1/time"),
        ):
            body = json.dumps({"key": "calls/board.mp4", **fields}).encode()
            answer = send(sender, "generic", body, bearer(events.GENERIC_SECRET))
            assert answer.status_code == 422
            assert f"{where}: must be between 1970 and 2199, in UTC" in answer.json()["detail"]

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"key": ""},
            {"key": "k" * 1025},
            {"key": "a", "url": "https://media.example/a.mp4"},
            {"url": "https://media.example/" + "a" * 8192},
            {"key": "a", "title": "x"},
            {"key": "a", "name": "x" * 201},
            {"key": "a", "started_at": "2026-01-31T10:00:00"},
            {"key": "a", "metadata": {"a": 1}},
            {"key": "a", "metadata": {str(each): "" for each in range(100)}},
            {"key": "a", "metadata": {"a": "x" * 2001}},
            {"key": "a", "markers": [{}]},
            {"key": "a", "markers": [{"at_seconds": 1, "time": "2026-01-31T10:00:00Z"}]},
            {"key": "a", "markers": [{"at_seconds": 1e308}]},
            {"key": "a", "markers": [{"at_seconds": -1}]},
            {"key": "a", "markers": [{"at_seconds": 1, "seconds": 1e308}]},
            {"key": "a", "markers": [{"at_seconds": 1, "label": "x" * 201}]},
            {"key": "a", "markers": [{"time": "2026-01-31T10:00:00"}]},
        ],
    )
    def test_invalid_body_is_rejected(self, sender: httpx.Client, body: dict[str, Any]) -> None:
        answer = send(sender, "generic", json.dumps(body).encode(), bearer(events.GENERIC_SECRET))
        assert rejected(answer) == (422, "invalid_request")

    def test_markers_are_stored_once(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        marker = {"time": "2026-01-31T10:00:05+01:00", "seconds": 2, "label": "a\0\n\u202eb"}
        body = json.dumps({"key": "calls/board.mp4", "markers": [marker, {"at_seconds": 5}, marker]}).encode()
        for _ in range(3):
            recording = registered(engine, send(sender, "generic", body, bearer(events.GENERIC_SECRET)))
        found = engine.ledger.markers.list(recording.recording_id)
        assert {(each.at_seconds, each.time, each.seconds) for each in found} == {
            (None, 1_769_850_005_000, 2.0),
            (5.0, None, 0.0),
        }
        assert all("\0" not in each.label and "\n" not in each.label for each in found)
        (event,) = (each for each in engine.ledger.events.after(0) if each.type == "marker.added")
        assert [each["seconds"] for each in event.payload["data"]["markers"]] == [2.0, 0.0]
        assert actions(engine) == [
            ("recording.create", "done", "source", recording.recording_id),
            ("recording.update", "done", "source", recording.recording_id),
        ]

    def test_markers_of_a_recording_that_was_fetched_are_stored(
        self, engine: RecordedEngine, sender: httpx.Client
    ) -> None:
        signed = bearer(events.GENERIC_SECRET)
        fetched = registered(engine, send(sender, "generic", b'{"url": "http://127.0.0.1:9000/a.mp4"}', signed))
        for key in (fetched.bucket_path, f"{fetched.bucket_path}.mp4"):
            body = json.dumps({"key": key, "markers": [{"at_seconds": 5}]}).encode()
            answer = send(sender, "generic", body, signed).json()
            assert bool(answer["recording_ids"]) is (key == fetched.bucket_path)
        assert len(engine.ledger.markers.list(fetched.recording_id)) == 1

    def test_url_is_fetched_once(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        body = json.dumps({"url": "http://127.0.0.1:9000/b%C3%B6ard%20meeting.MP4?signature=x"}).encode()
        recording = registered(engine, send(sender, "generic", body, bearer(events.GENERIC_SECRET)))
        assert recording.bucket_path == f"recordings/{recording.recording_id}/böard-meeting.mp4"
        assert (recording.name, recording.fetched_bytes) == ("böard meeting", 0)
        assert engine.calls == [("fetches", recording.recording_id)]
        assert registered(engine, send(sender, "generic", body, bearer(events.GENERIC_SECRET))) == recording

    def test_private_address_is_refused(self, engine: RecordedEngine, sender: httpx.Client) -> None:
        for url in ("http://169.254.169.254/a.mp4", "http://10.0.0.1/a.mp4", "file:///etc/passwd", "x"):
            answer = send(sender, "generic", json.dumps({"url": url}).encode(), bearer(events.GENERIC_SECRET))
            assert rejected(answer) == (422, "invalid_recording_url")
        assert count(engine) == 0

    @pytest.mark.parametrize("signature", ["", "v1", "v1,!!!", "v1,AAAA", "v2,AAAA", "v1,ü"])
    def test_forged_signature_is_rejected_although_the_secret_is_sent(
        self, sender: httpx.Client, signature: str
    ) -> None:
        headers: Any = {**events.standard(self.BODY), "webhook-signature": signature, **bearer(events.GENERIC_SECRET)}
        answer = send(sender, "generic", self.BODY, {name: value.encode() for name, value in headers.items()})
        assert rejected(answer) == (401, "invalid_signature")


@pytest.mark.usefixtures("_known_names")
class TestSignedRequests:
    @pytest.fixture
    def _known_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhook_addresses, "system_lookup", lambda name, port: ["170.114.52.2"])

    @pytest.mark.parametrize(("source", "name", "sign"), SIGNED)
    def test_replay_after_the_window_is_rejected(
        self, engine: RecordedEngine, sender: httpx.Client, source: str, name: str, sign: Sign
    ) -> None:
        body = recorded(name)
        for at in (time.time() - 600, time.time() + 600):
            assert rejected(send(sender, source, body, sign(body, at))) == (401, "invalid_signature")
        assert count(engine) == 0

    @pytest.mark.parametrize(("source", "name", "sign"), SIGNED)
    def test_replay_within_the_window_registers_nothing(
        self, engine: RecordedEngine, sender: httpx.Client, source: str, name: str, sign: Sign
    ) -> None:
        body = recorded(name)
        headers = sign(body)
        answers = [send(sender, source, body, headers).json() for _ in range(2)]
        assert answers[0] == answers[1]
        assert count(engine) == 1

    @pytest.mark.parametrize(("source", "name", "sign"), SIGNED)
    def test_signature_of_another_body_is_rejected(
        self, engine: RecordedEngine, sender: httpx.Client, source: str, name: str, sign: Sign
    ) -> None:
        headers = sign(recorded(name))
        assert rejected(send(sender, source, changed(name, surprise=1), headers)) == (401, "invalid_signature")
        assert rejected(send(sender, source, recorded(name), {})) == (401, "invalid_signature")
        assert count(engine) == 0

    @pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1e3", "9" * 13, "nan", "١٢٣"])
    def test_malformed_timestamp_is_rejected(self, sender: httpx.Client, timestamp: str) -> None:
        body = recorded("daily-recording-ready")
        headers: Any = {**events.daily(body), "x-webhook-timestamp": timestamp.encode()}
        assert rejected(send(sender, "daily", body, headers)) == (401, "invalid_signature")


@contextmanager
def unfinished_event(server: ApiServer, source: str, size: int) -> Iterator[socket.socket]:
    """Yield the connection of an event without a secret, of which `size` bytes were sent and one is missing."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=300) as connection:
        head = f"POST /v1/ingest/{source} HTTP/1.1\r\nHost: x\r\nContent-Length: {size + 1}\r\n\r\n"
        with suppress(ConnectionError):  # if the server does not wait for the body
            connection.sendall(head.encode() + b" " * size)
        yield connection


class TestLimits:
    @pytest.mark.parametrize("source", list(events.SETTINGS))
    def test_oversized_body_is_rejected(self, engine: RecordedEngine, sender: httpx.Client, source: str) -> None:
        signed = {"generic": bearer(events.GENERIC_SECRET), "livekit": events.livekit(b""), "zoom": events.zoom(b"")}
        headers = signed.get(source, {})
        assert rejected(send(sender, source, b" " * 262_145, headers)) == (413, "payload_too_large")
        chunks = (b" " * 65_536 for _ in range(5))
        answer = sender.post(f"/v1/ingest/{source}", content=chunks, headers=headers)
        assert rejected(answer) == (413, "payload_too_large")

    @pytest.mark.parametrize("source", ["generic", "livekit", "zoom"])
    def test_sender_is_rejected_before_its_body_is_read(self, server: ApiServer, source: str) -> None:
        """Row 88 of the faults: a body takes memory and time."""
        with unfinished_event(server, source, 100_000) as connection:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 401 ")

    def test_bodies_that_arrive_at_the_same_time_are_limited(self, server: ApiServer, sender: httpx.Client) -> None:
        """Row 88 of the faults: those of senders that are verified by their bodies too."""
        with ExitStack() as opened, memory_growth_below(40):
            kept = _BODY_BYTES // 250_000
            unanswered = [opened.enter_context(unfinished_event(server, "s3", 250_000)) for _ in range(2 * kept)]
            while len(unanswered) > kept:
                (answered, *_), _, _ = select.select(unanswered, [], [], 300)
                assert answered.recv(12) == b"HTTP/1.1 503"
                unanswered.remove(answered)
        until(lambda: send(sender, "s3", b"{}", bearer(events.S3_SECRET)).status_code == 202)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"\xff", 400),
            (b"[" * 50_000, 400),
            (b'{"Records": [' + b"{}," * 300 + b"{}]}", 400),
            (b'{"Records": {}}', 422),
            (b'{"detail-type": "Object Created"}', 422),
            (b"[]", 422),
            (b"null", 422),
        ],
    )
    def test_malformed_body_is_rejected(self, sender: httpx.Client, body: bytes, status: int) -> None:
        answer = send(sender, "s3", body, bearer(events.S3_SECRET))
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"

    def test_compressed_body_is_rejected(self, sender: httpx.Client) -> None:
        assert rejected(send(sender, "s3", b"x", {"content-encoding": "gzip"})) == (415, "unsupported_content_type")


def test_sources_are_off_by_default(tmp_path: Path) -> None:
    with recorded_engine(tmp_path / "data") as engine, api_server(engine) as server, server.client("") as sender:
        for source in events.SETTINGS:
            answer = send(sender, source, b"{}", {})
            assert rejected(answer) == (404, "not_found")
            assert f"[ingest.{source}]" in answer.json()["hint"]
        unknown = send(sender, "dropbox", b"{}", {})
        assert rejected(unknown) == (404, "not_found")
        assert "livekit" in unknown.json()["hint"]
        assert sender.get("/v1/ingest/s3").status_code == 405


def test_unavailable_store_is_reported_so_that_the_sender_tries_again(
    engine: RecordedEngine, sender: httpx.Client, tmp_path: Path
) -> None:
    class Unavailable:
        def head(self, key: str) -> None:
            raise StorageUnavailable("the store is restarting")

    engine.store = Unavailable()  # type: ignore[assignment]
    assert rejected(send(sender, "s3", recorded("s3-ceph"), {})) == (503, "storage_unavailable")
    assert count(engine) == 0


def test_prefix_of_the_store_is_removed_from_keys(tmp_path: Path) -> None:
    storage = {"prefix": "calls"}
    with recorded_engine(tmp_path / "data", ingest=events.SETTINGS, storage=storage) as engine:
        engine.put("böard meeting+1.mp4", b"media")
        with api_server(engine) as server, server.client("") as sender:
            recording = registered(engine, send(sender, "s3", recorded("s3-ceph"), {}))
            assert recording.bucket_path == "böard meeting+1.mp4"
            outside = recorded("s3-ceph").replace(b"calls/", b"other/")
            assert ignored(send(sender, "s3", outside, {})) == ["other_bucket"]


def test_files_of_a_camera_are_one_recording_which_is_not_registered_again_when_it_was_deleted(tmp_path: Path) -> None:
    rule = {"folder": "frigate/", "pattern": "%Y-%m-%d/%H/{camera}/%M.%S.mp4"}
    keys = [f"frigate/2026-11-28/12/front/0{number}.00.mp4" for number in range(4)]
    with recorded_engine(tmp_path / "data", ingest=events.SETTINGS, folders=[rule]) as engine:

        def announce(key: str) -> httpx.Response:
            place = {"bucket": {"name": "recordings"}, "object": {"key": key}}
            body = json.dumps({"detail-type": "Object Created", "detail": place}).encode()
            return send(sender, "s3", body, bearer(events.S3_SECRET))

        with api_server(engine) as server, server.client("") as sender:
            assert ignored(announce(keys[0])) == ["missing"]
            for key in keys:
                engine.put(key, b"media")
            first, second = (registered(engine, announce(key)) for key in keys[:2])
            assert first.recording_id == second.recording_id
            assert (first.series, first.live, first.folder["day"]) == ("front", True, "2026-11-28")
            claimed = engine.ledger.recordings.claim_probe("test")
            assert claimed is not None
            engine.ledger.recordings.probe_failed(claimed, DecoderCrashed("it crashed"))
            assert registered(engine, announce(keys[2])).recording_id == first.recording_id
            engine.ledger.recordings.delete(first.recording_id)
            assert ignored(announce(keys[3])) == ["piece"]
            assert count(engine) == 0
            assert actions(engine) == [("recording.create", "done", "source", first.recording_id)]
