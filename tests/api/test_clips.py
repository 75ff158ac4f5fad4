"""Existing clips over HTTP: read, list, cancel, retry and delete."""

from __future__ import annotations

import httpx
import pytest

from clipengine.clips.clip import Clip
from clipengine.recordings.recording import Recording
from tests.support.api import RecordedEngine
from tests.support.clip_requests import FIXED_KEYS, MOMENT, MORE_KEYS, refused


class TestRead:
    def test_clip_is_served_under_both_paths(self, http: httpx.Client, clip: Clip) -> None:
        plain = http.get(f"/v1/clips/{clip.clip_id}")
        nested = http.get(f"/v1/recordings/{clip.recording_id}/clips/{clip.clip_id}")
        assert plain.status_code == nested.status_code == 200
        assert plain.json() == nested.json()

    def test_clip_of_another_recording_is_not_found(
        self, http: httpx.Client, clip: Clip, engine: RecordedEngine
    ) -> None:
        other = engine.make_recording("other/recording.mp4")
        refused(http.get(f"/v1/recordings/{other.recording_id}/clips/{clip.clip_id}"), 404, "clip_not_found")
        refused(http.delete(f"/v1/recordings/{other.recording_id}/clips/{clip.clip_id}"), 404, "clip_not_found")
        refused(http.get("/v1/clips/clip_nothing"), 404, "clip_not_found")

    def test_complete_clip_has_its_result(self, http: httpx.Client, clip: Clip, engine: RecordedEngine) -> None:
        engine.finish(clip)
        body = http.get(f"/v1/clips/{clip.clip_id}").json()
        assert list(body) == FIXED_KEYS + MORE_KEYS
        assert (body["status"], body["step"], body["progress"], body["attempt"]) == ("complete", None, 1.0, 1)
        assert body["bucket_path"] == clip.object_key
        assert MOMENT.match(body["completed_at"])
        assert list(body["result"])[:13] == [
            "actual_start_seconds",
            "actual_end_seconds",
            "duration_seconds",
            "frames",
            "width",
            "height",
            "video_codec",
            "audio_codec",
            "size_bytes",
            "sha256",
            "poster_path",
            "encode_seconds",
            "bytes_read",
        ]

    def test_failed_clip_has_its_error(self, http: httpx.Client, clip: Clip, engine: RecordedEngine) -> None:
        engine.fail(clip)
        body = http.get(f"/v1/clips/{clip.clip_id}").json()
        assert (body["status"], body["bucket_path"], body["result"]) == ("failed", None, None)
        assert list(body["error"]) == ["code", "message", "hint", "retryable"]
        assert body["error"]["code"] == "encoder_failed"


class TestList:
    def test_pages_are_sorted_newest_first(
        self, http: httpx.Client, recording: Recording, engine: RecordedEngine
    ) -> None:
        made = [engine.make_clip(recording, f"clip {n}").clip_id for n in range(5)]
        first = http.get("/v1/clips", params={"limit": 2})
        assert list(first.json()) == ["data", "has_more", "next_cursor"]
        assert first.json()["has_more"] is True
        address, _, relation = first.headers["link"].partition("; ")
        assert relation == 'rel="next"'
        second = http.get(address.strip("<>"))
        third = http.get("/v1/clips", params={"limit": 2, "cursor": second.json()["next_cursor"]})
        found = [clip["clip_id"] for page in (first, second, third) for clip in page.json()["data"]]
        assert found == list(reversed(made))
        assert (third.json()["has_more"], third.json()["next_cursor"]) == (False, None)
        assert "link" not in third.headers

    def test_list_is_filtered_by_state_recording_and_label(
        self, http: httpx.Client, recording: Recording, engine: RecordedEngine
    ) -> None:
        engine.finish(engine.make_clip(recording, "done"))
        waiting = engine.make_clip(recording, "waiting")
        other = engine.make_clip(engine.make_recording("other/r.mp4"), "waiting")

        def ids(path: str, **params: str) -> set[str]:
            return {clip["clip_id"] for clip in http.get(path, params=params).raise_for_status().json()["data"]}

        assert ids("/v1/clips", status="processing") == {waiting.clip_id, other.clip_id}
        assert ids("/v1/clips", label="waiting", status="complete") == set()
        path = f"/v1/recordings/{recording.recording_id}/clips"
        assert ids(path, label="waiting") == {waiting.clip_id}
        assert ids(path, created_after="2100-01-01T00:00:00.000Z") == set()
        assert len(ids(path, created_before="2100-01-01T00:00:00Z", created_after="2000-01-01T02:00:00+02:00")) == 2
        refused(http.get("/v1/recordings/rec_nothing/clips"), 404, "recording_not_found")

    @pytest.mark.parametrize(
        ("query", "parameter"),
        [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=ten", "limit"),
            ("limit=5&limit=6", "limit"),
            ("status=running", "status"),
            ("created_after=yesterday", "created_after"),
            ("created_after=2025-04-05T11:00:00", "created_after"),
            ("order=asc", "order"),
        ],
    )
    def test_invalid_parameter_is_named(self, http: httpx.Client, query: str, parameter: str) -> None:
        problem = refused(http.get(f"/v1/clips?{query}"), 422, "invalid_request")
        assert [fault["parameter"] for fault in problem["errors"]] == [parameter]
        assert parameter in problem["detail"]

    @pytest.mark.parametrize("cursor", ["x", "%00", "AAAA", "MTIz", "é", "x" * 501])
    def test_invalid_cursor_is_rejected(self, http: httpx.Client, cursor: str) -> None:
        refused(http.get(f"/v1/clips?cursor={cursor}"), 422, "invalid_request")


class TestChange:
    def test_running_clip_is_cancelled(self, http: httpx.Client, clip: Clip, engine: RecordedEngine) -> None:
        engine.run(clip)
        answer = http.post(f"/v1/clips/{clip.clip_id}/cancel")
        assert answer.status_code == 200
        assert (answer.json()["status"], answer.json()["error"]["code"]) == ("failed", "cancelled")
        assert engine.calls == [("removals", "due"), ("abandon", clip.clip_id)]
        refused(http.post(f"/v1/clips/{clip.clip_id}/cancel"), 409, "clip_ended")

    def test_repeated_cancel_does_not_stop_the_next_attempt(
        self, http: httpx.Client, clip: Clip, engine: RecordedEngine
    ) -> None:
        key = {"Idempotency-Key": "stop"}
        http.post(f"/v1/clips/{clip.clip_id}/cancel", headers=key).raise_for_status()
        http.post(f"/v1/clips/{clip.clip_id}/retry").raise_for_status()
        engine.run(engine.ledger.clips.get(clip.clip_id))
        engine.calls.clear()
        again = http.post(f"/v1/clips/{clip.clip_id}/cancel", headers=key)
        assert again.headers["idempotent-replayed"] == "true"
        assert engine.calls == []
        assert http.get(f"/v1/clips/{clip.clip_id}").json()["status"] == "processing"

    def test_failed_clip_is_retried(self, http: httpx.Client, clip: Clip, engine: RecordedEngine) -> None:
        refused(http.post(f"/v1/clips/{clip.clip_id}/retry"), 409, "clip_not_failed")
        engine.fail(clip)
        answer = http.post(f"/v1/recordings/{clip.recording_id}/clips/{clip.clip_id}/retry")
        assert answer.status_code == 202
        body = answer.json()
        assert (body["clip_id"], body["status"], body["step"], body["error"]) == (
            clip.clip_id,
            "processing",
            "queued",
            None,
        )
        assert engine.calls == [("clips", clip.clip_id)]

    def test_running_clip_is_deleted(self, http: httpx.Client, clip: Clip, engine: RecordedEngine) -> None:
        engine.run(clip)
        answer = http.delete(f"/v1/clips/{clip.clip_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert engine.calls == [("removals", "due"), ("abandon", clip.clip_id)]
        assert set(engine.ledger.removals.due()) == {clip.object_key, clip.poster_key}
        refused(http.get(f"/v1/clips/{clip.clip_id}"), 404, "clip_not_found")
        refused(http.delete(f"/v1/clips/{clip.clip_id}"), 404, "clip_not_found")

    def test_deliveries_of_a_clip_are_listed(self, http: httpx.Client, clip: Clip, engine: RecordedEngine) -> None:
        url = "http://127.0.0.1:9/hook"
        engine.ledger.endpoints.create(url, ["clip.failed"], "a secret of sixteen")
        engine.fail(clip)
        (delivery,) = http.get(f"/v1/clips/{clip.clip_id}/deliveries").json()["data"]
        assert (delivery["event"], delivery["clip_id"], delivery["url"]) == ("clip.failed", clip.clip_id, url)
        assert (delivery["status"], delivery["attempt"], delivery["attempts"]) == ("pending", 0, [])
        refused(http.get("/v1/clips/clip_nothing/deliveries"), 404, "clip_not_found")
