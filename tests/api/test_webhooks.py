"""Webhook endpoints and deliveries over HTTP: secrets, rejected addresses, samples and redelivery."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from clipengine.basis.events import ConfiguredEndpoint
from clipengine.clips.clip import Clip
from clipengine.ledger.people.keys import Scope
from clipengine.objects.webhook import WebhookObject
from clipengine.recordings.recording import Recording
from tests.support.api import ApiServer, RecordedEngine
from tests.support.selection import cases

RULE = {"name": "Openings", "ranges": {"kind": "first", "seconds": 30}}
URL = "http://127.0.0.1:9/hook"
KEYS = [
    "webhook_id",
    "url",
    "events",
    "enabled",
    "origin",
    "created_at",
    "disabled_reason",
    "failing_since",
    "format",
    "wants",
]
DELIVERY_KEYS = [
    "delivery_id",
    "event_id",
    "event",
    "webhook_id",
    "clip_id",
    "recording_id",
    "subject",
    "test",
    "url",
    "status",
    "attempt",
    "created_at",
    "next_at",
    "last_status_code",
    "last_error",
    "attempts",
]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def webhook(http: httpx.Client) -> str:
    return str(http.post("/v1/webhooks", json={"url": URL}).raise_for_status().json()["webhook_id"])


class TestEndpoints:
    def test_secret_is_returned_only_on_creation(self, http: httpx.Client) -> None:
        made = http.post("/v1/webhooks", json={"url": URL})
        assert made.status_code == 201
        body = made.json()
        assert list(body) == [*KEYS, "secret"]
        assert (body["events"], body["enabled"], body["origin"]) == (["clip.ready", "clip.failed"], True, "api")
        assert body["secret"].startswith("whsec_")
        assert len(base64.b64decode(body["secret"].removeprefix("whsec_"))) == 32
        assert made.headers["location"] == f"/v1/webhooks/{body['webhook_id']}"
        for answer in (
            http.get(made.headers["location"]),
            http.get("/v1/webhooks"),
            http.patch(made.headers["location"], json={}),
        ):
            assert answer.status_code == 200
            assert body["secret"] not in answer.text
            assert "secret" not in answer.text
        assert list(http.get(made.headers["location"]).json()) == KEYS

    def test_endpoint_has_the_requested_fields(self, http: httpx.Client, engine: RecordedEngine) -> None:
        asked = {
            "url": URL,
            "events": ["recording.complete"],
            "secret": "a secret of mine".replace(" ", "-"),
            "enabled": False,
        }
        body = http.post("/v1/webhooks", json=asked).json()
        assert {key: body[key] for key in asked} == asked
        assert engine.ledger.endpoints.get(body["webhook_id"]).secret == asked["secret"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("events", []),
            ("events", ["clip.done"]),
            ("events", ["clip.ready", "clip.ready"]),
            ("events", "clip.ready"),
            ("secret", "short"),
            ("secret", "with a blank inside it"),
            ("secret", "x" * 201),
            ("secret", "whsec_not*base64*at*all"),
            ("enabled", "true"),
            ("organisation", "x"),
        ],
    )
    def test_invalid_field_is_rejected(self, http: httpx.Client, field: str, value: object) -> None:
        answer = http.post("/v1/webhooks", json={"url": URL, field: value})
        assert code(answer) == (422, "invalid_request")
        assert answer.json()["errors"][0]["pointer"].startswith(f"/{field}")

    @pytest.mark.parametrize(
        "url",
        [
            "ftp://example.com/",
            "example.com",
            "",
            "http://",
            "http://user:pw@example.com/",
            "http://169.254.169.254/latest/meta-data",
            "http://10.1.2.3/",
            "http://[::1]/",
            "http://127.1/",
            "http://example.com:99999/",
            "http://" + "a" * 3000,
        ],
    )
    def test_invalid_address_is_rejected(self, http: httpx.Client, webhook: str, url: str) -> None:
        for answer in (
            http.post("/v1/webhooks", json={"url": url}),
            http.patch(f"/v1/webhooks/{webhook}", json={"url": url}),
        ):
            assert code(answer) == (422, "invalid_webhook_url")
            assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/url"]
        assert len(http.get("/v1/webhooks").json()["data"]) == 1

    def test_endpoints_are_listed_in_pages(self, http: httpx.Client) -> None:
        made = [http.post("/v1/webhooks", json={"url": f"{URL}/{n}"}).json()["webhook_id"] for n in range(3)]
        first = http.get("/v1/webhooks?limit=2")
        second = http.get(first.headers["link"].partition(">")[0][1:]).json()
        assert [each["webhook_id"] for each in first.json()["data"] + second["data"]] == made[::-1]
        assert (second["has_more"], second["next_cursor"]) == (False, None)
        assert code(http.get("/v1/webhooks?cursor=x")) == (422, "invalid_request")

    def test_endpoint_is_changed(self, http: httpx.Client, webhook: str, engine: RecordedEngine) -> None:
        before = engine.ledger.endpoints.get(webhook)
        change = {"url": f"{URL}/2", "events": ["clip.failed"], "secret": "another-secret-of-mine"}
        body = http.patch(f"/v1/webhooks/{webhook}", json=change).json()
        assert (body["url"], body["events"], body["enabled"]) == (f"{URL}/2", ["clip.failed"], True)
        after = engine.ledger.endpoints.get(webhook)
        assert (after.secret, after.previous_secret) == (change["secret"], before.secret)
        assert http.patch(f"/v1/webhooks/{webhook}", json={"enabled": False}).json()["disabled_reason"] is not None
        assert http.patch(f"/v1/webhooks/{webhook}", json={"enabled": True}).json()["disabled_reason"] is None

    def test_endpoint_is_deleted(self, http: httpx.Client, webhook: str) -> None:
        path = f"/v1/webhooks/{webhook}"
        assert http.delete(path).status_code == 204
        for answer in (
            http.get(path),
            http.delete(path),
            http.patch(path, json={}),
            http.post(f"{path}/test"),
            http.get(f"{path}/deliveries"),
        ):
            assert code(answer) == (404, "webhook_not_found")

    def test_format_is_chosen_and_changed(self, http: httpx.Client, engine: RecordedEngine) -> None:
        made = http.post("/v1/webhooks", json={"url": URL, "format": "slack"}).json()
        path = f"/v1/webhooks/{made['webhook_id']}"
        assert (made["format"], http.get(path).json()["format"]) == ("slack", "slack")
        assert http.patch(path, json={"format": "discord"}).json()["format"] == "discord"
        assert http.patch(path, json={"enabled": True}).json()["format"] == "discord"
        assert code(http.post("/v1/webhooks", json={"url": URL, "format": "teams"})) == (422, "invalid_request")

    def test_what_is_wanted_is_chosen_and_changed(self, http: httpx.Client, engine: RecordedEngine) -> None:
        rule = http.post("/v1/rules", json=RULE).raise_for_status().json()["rule_id"]
        wants = {"tags": ["best"], "rules": [rule], "series": ["standup"]}
        made = http.post("/v1/webhooks", json={"url": URL, "wants": wants}).raise_for_status().json()
        path = f"/v1/webhooks/{made['webhook_id']}"
        assert (made["wants"], http.get(path).json()["wants"]) == (wants, wants)
        assert http.patch(path, json={"events": ["clip.failed"]}).json()["wants"] == wants
        assert http.patch(path, json={"wants": {"tags": ["keep"]}}).json()["wants"] == {"tags": ["keep"]}
        for all_events in (None, {}, {"tags": []}):
            assert http.patch(path, json={"wants": {"series": ["a"]}}).json()["wants"] == {"series": ["a"]}
            assert http.patch(path, json={"wants": all_events}).json()["wants"] is None

    @pytest.mark.parametrize(
        ("wants", "pointer"),
        [
            ({"rules": ["rule_unknown"]}, "/wants/rules/0"),
            ({"rules": ["r\0"]}, "/wants/rules/0"),
            ({"rules": ["r" * 41]}, "/wants/rules/0"),
            ({"rules": [f"rule_{n}" for n in range(101)]}, "/wants/rules"),
            ({"tags": ["a,b"]}, "/wants/tags/0"),
            ({"tags": ["a", "a"]}, "/wants/tags"),
            ({"tags": [f"{n}" for n in range(21)]}, "/wants/tags"),
            ({"series": [""]}, "/wants/series/0"),
            ({"series": ["s" * 201]}, "/wants/series/0"),
            ({"labels": ["a"]}, "/wants/labels"),
            (["tags"], "/wants"),
        ],
    )
    def test_invalid_want_is_rejected(self, http: httpx.Client, webhook: str, wants: object, pointer: str) -> None:
        for answer in (
            http.post("/v1/webhooks", json={"url": URL, "wants": wants}),
            http.patch(f"/v1/webhooks/{webhook}", json={"wants": wants}),
        ):
            assert code(answer) == (422, "invalid_request")
            assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
        assert len(http.get("/v1/webhooks").json()["data"]) == 1

    def test_engine_of_the_release_before_refuses_what_is_wanted(
        self, http: httpx.Client, webhook: str, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine.ledger.engines, "of_release_0_2", lambda: ["cutter-7 pid 42"])
        for answer in (
            http.post("/v1/webhooks", json={"url": URL, "wants": {"tags": ["best"]}}),
            http.patch(f"/v1/webhooks/{webhook}", json={"wants": {"tags": ["best"]}}),
        ):
            assert (code(answer), "cutter-7 pid 42" in answer.text) == ((409, "conflict"), True)
        assert http.patch(f"/v1/webhooks/{webhook}", json={"wants": None}).status_code == 200

    def test_endpoint_from_the_settings_is_read_only(self, http: httpx.Client, engine: RecordedEngine) -> None:
        (endpoint,) = engine.ledger.endpoints.sync_settings(
            [ConfiguredEndpoint(URL, "a-secret-of-settings", ["clip.ready"])]
        )
        path = f"/v1/webhooks/{endpoint.webhook_id}"
        assert http.get(path).json()["origin"] == "settings"
        for answer in (
            http.delete(path),
            http.patch(path, json={"events": ["clip.failed"]}),
            http.patch(path, json={"wants": None}),
        ):
            assert code(answer) == (409, "conflict")
            assert "restart" in answer.json()["detail"]
        assert http.patch(path, json={"enabled": False}).json()["enabled"] is False


class TestDeliveries:
    def test_sample_delivery_is_marked(
        self, http: httpx.Client, webhook: str, engine: RecordedEngine, clip: Clip
    ) -> None:
        other = http.post("/v1/webhooks", json={"url": f"{URL}/other"}).json()["webhook_id"]
        engine.calls.clear()
        answer = http.post(f"/v1/webhooks/{webhook}/test")
        assert answer.status_code == 202
        assert list(answer.json()) == DELIVERY_KEYS
        assert (answer.json()["status"], answer.json()["webhook_id"]) == ("pending", webhook)
        assert engine.calls == [("deliveries", answer.json()["delivery_id"])]
        assert http.get(f"/v1/webhooks/{other}/deliveries").json()["data"] == []
        body = json.loads(engine.ledger.deliveries.get(answer.json()["delivery_id"]).body)
        assert list(body) == ["event", "data", "organisation_id", "timestamp", "id"]
        assert (body["event"], body["organisation_id"]) == ("clip.ready", "org_local")
        assert list(body["data"]) == list(http.get(f"/v1/clips/{clip.clip_id}").json())
        assert (body["data"]["clip_id"], body["data"]["metadata"]) == ("clip_sample", {"sample": "true"})

    def test_delivery_is_logged_and_redelivered(
        self, http: httpx.Client, webhook: str, clip: Clip, engine: RecordedEngine
    ) -> None:
        engine.finish(clip)
        (claimed,) = engine.ledger.deliveries.claim_due(owner="test")
        engine.ledger.deliveries.record(
            claimed, outcome="failed", status_code=500, error="it answered 500", duration_ms=12
        )
        (shown,) = http.get(f"/v1/webhooks/{webhook}/deliveries").json()["data"]
        assert list(shown) == DELIVERY_KEYS
        assert (shown["event"], shown["status"], shown["last_status_code"]) == ("clip.ready", "failed", 500)
        (attempt,) = shown["attempts"]
        assert list(attempt) == ["attempt", "at", "outcome", "status_code", "error", "duration_ms"]
        again = http.post(f"/v1/deliveries/{shown['delivery_id']}/redeliver")
        assert again.status_code == 202
        assert (again.json()["event_id"], again.json()["status"]) == (shown["event_id"], "pending")
        assert again.json()["delivery_id"] != shown["delivery_id"]
        page = http.get(f"/v1/webhooks/{webhook}/deliveries?limit=1")
        assert [each["delivery_id"] for each in page.json()["data"]] == [again.json()["delivery_id"]]
        assert page.json()["has_more"] is True

    def test_unknown_delivery_is_not_found(self, http: httpx.Client) -> None:
        assert code(http.post("/v1/deliveries/dlv_nothing/redeliver")) == (404, "delivery_not_found")

    def test_delivery_of_a_deleted_webhook_is_not_redelivered(self, http: httpx.Client, webhook: str) -> None:
        delivery = http.post(f"/v1/webhooks/{webhook}/test").json()["delivery_id"]
        http.delete(f"/v1/webhooks/{webhook}").raise_for_status()
        assert code(http.post(f"/v1/deliveries/{delivery}/redeliver")) == (404, "webhook_not_found")


class TestSecretUrls:
    """The URL of a chat service is a credential. Row 86 of the faults: a read key lists deliveries and events."""

    SECRET = "T0B0xoxb"
    URLS = (f"https://hooks.slack.com:8443/services/{SECRET}?token={SECRET}", f"https://ci.example/{SECRET}")
    ORIGINS = ("https://hooks.slack.com:8443", "https://ci.example")

    @pytest.fixture
    def clip(self, engine: RecordedEngine, recording: Recording) -> Clip:
        """Return a complete clip whose deliveries to both URLs failed, and disabled the endpoint."""
        ledger = engine.ledger
        endpoint = ledger.endpoints.create(self.URLS[0], ["clip.ready", "endpoint.disabled"], "s" * 16)
        clip = engine.finish(engine.make_clip(recording, webhook_url=self.URLS[1]))
        for delivery in ledger.deliveries.claim_due(owner="test", limit=2):
            ledger.deliveries.record(delivery, outcome="failed", status_code=410, error="status 410", duration_ms=1)
        assert not ledger.endpoints.get(endpoint.webhook_id).enabled
        assert ledger.events.after(0)[-1].type == "endpoint.disabled"
        # As engines of 0.1 recorded it.
        ledger.events._record(
            "endpoint.disabled", WebhookObject.of(ledger.endpoints.get(endpoint.webhook_id)).to_object()
        )
        return clip

    @pytest.mark.parametrize("scope", cases(["read", "write"], ["write"]))
    def test_key_without_admin_sees_no_secret_part_of_a_url_on_any_route(
        self, server: ApiServer, engine: RecordedEngine, clip: Clip, scope: Scope
    ) -> None:
        _, key = engine.ledger.keys.create("reader", scopes=["read", scope])
        (delivery, *_) = engine.ledger.deliveries.list(limit=10).data
        ids = {"clip_id": clip.clip_id, "recording_id": clip.recording_id, "language": "en", "number": 0}
        ids |= {
            "name": "logo",
            "share_id": "shr_x",
            "rule_id": "rul_x",
            "batch_id": "bat_x",
            "upload_id": "upl_x",
            "user_id": "user_x",
            "transcript_id": "trn_x",
            "webhook_id": delivery.endpoint_id,
            "delivery_id": delivery.delivery_id,
        }
        with server.client(key) as http:
            paths = http.get("/v1/openapi.json").json()["paths"]
            gets = [path for path, methods in paths.items() if "get" in methods and path != "/v1/events"]
            answers = {path: http.get(path.format(**ids)) for path in gets}
            assert [path for path, answer in answers.items() if self.SECRET in answer.text] == []
            assert {200, 403} <= {answer.status_code for answer in answers.values()}
            shown = http.get(f"/v1/clips/{clip.clip_id}/deliveries").json()["data"]
        assert {each["url"] for each in shown} == set(self.ORIGINS)

    def test_event_stream_shows_only_the_origin_of_a_disabled_endpoint(
        self, server: ApiServer, engine: RecordedEngine, clip: Clip
    ) -> None:
        _, key = engine.ledger.keys.create("reader", scopes=["read"])
        with server.client(key) as http, http.stream("GET", "/v1/events", headers={"Last-Event-ID": "0"}) as answer:
            lines = (line for line in answer.iter_lines() if line.startswith("data: "))
            events = [json.loads(next(lines).removeprefix("data: ")) for _ in engine.ledger.events.after(0)]
        assert self.SECRET not in json.dumps(events)
        disabled = [each["data"] for each in events if each["event"] == "endpoint.disabled"]
        assert [each["url"] for each in disabled] == [self.ORIGINS[0]] * 2
        assert disabled[0]["webhook_id"] == engine.ledger.endpoints.list()[0].webhook_id

    def test_admin_sees_the_whole_urls(self, http: httpx.Client, engine: RecordedEngine, clip: Clip) -> None:
        shown = http.get(f"/v1/clips/{clip.clip_id}/deliveries").json()["data"]
        assert {each["url"] for each in shown} == set(self.URLS)
        webhook = http.get("/v1/webhooks").json()["data"][0]
        assert webhook["url"] == self.URLS[0]
        logged = http.get(f"/v1/webhooks/{webhook['webhook_id']}/deliveries").json()["data"]
        assert {each["url"] for each in logged} == {self.URLS[0]}
