"""Messages of chat services, and links in webhooks: their form, their escaping, and their revocation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from standardwebhooks import Webhook

from clipengine.basis.events import ANNOUNCEMENTS, EventType
from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest
from clipengine.errors import SettingsError
from clipengine.ledger.ledger import Ledger
from clipengine.settings.sources import load
from clipengine.webhooks.messages import rendered
from tests.support.outbox import SECRET, create_cancelled_clip, create_event
from tests.support.receiver import Receiver
from tests.support.results import clip_result
from tests.webhooks.test_deliveries import MakeWorker

BASE = "https://clips.example.org"
HOSTILE = (
    "<!channel> *bold* | <https://evil.example|click> @everyone `x` _under_ ~~out~~ :tada: & [a](https://evil.example)"
)


def _body(event: str, **data: Any) -> bytes:
    return json.dumps({"event": event, "data": data, "id": "evt_1"}).encode()


READY = _body(
    "clip.ready", label="key-moment", error=None, result={"duration_seconds": 7.5}, share_url=f"{BASE}/s/token"
)


def complete_clip(ledger: Ledger, webhook_url: str | None = None) -> Clip:
    """Create a `clip.ready` event."""
    failed = create_cancelled_clip(ledger, "https://unused.test/")
    recording = ledger.recordings.get(failed.recording_id)
    clip = ledger.clips.create(recording, ClipRequest("moment", 0, 10, webhook_url=webhook_url), extension="mp4")
    claimed = ledger.clips.claim("inst_1")
    assert claimed
    result = clip_result(actual_start_seconds=0.0, actual_end_seconds=10.0, duration_seconds=10.0)
    assert ledger.clips.complete(clip.clip_id, claimed.attempt, result)
    return clip


def test_every_event_has_a_title() -> None:
    assert list(ANNOUNCEMENTS) == list(get_args(EventType))


class TestFormats:
    def test_slack_message_has_text_and_a_block_with_the_link(self) -> None:
        message = json.loads(rendered(READY, "slack"))
        assert message["text"] == f"Clip ready: key-moment {BASE}/s/token"
        title, content = message["blocks"]
        assert (title["type"], title["text"]["text"]) == ("section", f"*<{BASE}/s/token|Clip ready>*")
        assert (content["type"], content["text"]["text"]) == ("section", "key-moment\n7.5 seconds")

    def test_discord_message_has_the_link_in_text_and_embed(self) -> None:
        message = json.loads(rendered(READY, "discord"))
        assert message["content"] == f"**Clip ready** {BASE}/s/token"
        (embed,) = message["embeds"]
        assert (embed["title"], embed["url"]) == ("key\\-moment", f"{BASE}/s/token")
        assert embed["description"] == "7\\.5 seconds"
        assert message["allowed_mentions"] == {"parse": []}

    def test_failure_has_its_reason_and_hint(self) -> None:
        body = _body("clip.failed", label="x", error={"message": "It is gone.", "hint": "Upload it."}, result=None)
        assert json.loads(rendered(body, "slack"))["blocks"][1]["text"]["text"].endswith("\nIt is gone. Upload it.")

    def test_text_of_others_is_escaped(self) -> None:
        body = _body("clip.ready", label=HOSTILE, error=None, result=None, share_url=f"{BASE}/s/token")
        slack = json.loads(rendered(body, "slack"))
        title, content = (each["text"] for each in slack["blocks"])
        assert (slack["mrkdwn"], title["text"]) == (False, f"*<{BASE}/s/token|Clip ready>*")
        assert (content["type"], content["emoji"]) == ("plain_text", False)  # Slack formats nothing in it
        for text in (slack["text"], content["text"]):
            assert "&lt;!channel&gt; *bold*" in text
            assert "<" not in text
        for alerting in ("@everyone", "](https://"):  # Mattermost renders Markdown in the text, and shows it alone
            assert alerting not in slack["text"]
        turned = _body("clip.ready", label="\u202efdp\u2066.exe", error=None, result=None)
        assert all("\u202e" not in rendered(turned, each).decode() for each in ("slack", "discord"))  # type: ignore[arg-type]
        title = json.loads(rendered(body, "discord"))["embeds"][0]["title"]
        for raw in ("*bold*", "[a](", "`x`", "https://", "_under_", "~~out~~", ":tada:"):
            assert raw not in title
        assert json.loads(rendered(body, "discord"))["allowed_mentions"] == {"parse": []}

    @pytest.mark.parametrize("name", ["all", "channel", "here", "everyone", "anna"])
    def test_label_mentions_nobody(self, name: str) -> None:
        body = _body("clip.ready", label=f"@{name}", error=None, result=None, share_url=None)
        assert f"@{name}" not in json.loads(rendered(body, "slack"))["text"]
        assert json.loads(rendered(body, "discord"))["allowed_mentions"] == {"parse": []}

    @pytest.mark.parametrize(
        ("event", "data", "shown"),
        [
            ("marker.added", {"markers": [{"label": label} for label in "baab"]}, ["b, a", "4 markers"]),
            ("marker.added", {"markers": [{"label": label} for label in "abcdefg"]}, ["a, b, c, d, e", "7 markers"]),
            ("marker.added", {"markers": [{"label": ""}]}, ["1 marker"]),
            ("transcript.stored", {"language": "de", "cues": 12}, ["de", "12 cues"]),
            ("transcript.ready", {"language": "en", "cues": 1, "error": None}, ["en", "1 cue"]),
            (
                "transcript.failed",
                {"language": None, "cues": 0, "error": {"message": "No model.", "hint": "Add one."}},
                ["No model. Add one."],
            ),
            ("clip.progress", {"label": None, "bucket_path": None, "result": None, "error": None}, []),
        ],
    )
    def test_event_shows_names_and_no_id(self, event: str, data: dict[str, Any], shown: list[str]) -> None:
        body = _body(event, **data, recording_id="rec_1", transcript_id="trn_1", clip_id="clip_1")
        slack, discord = (rendered(body, each).decode() for each in ("slack", "discord"))  # type: ignore[arg-type]
        for message in (slack, discord):
            assert not any(each in message for each in ("rec_1", "trn_1", "clip_1"))
        texts = [block["text"]["text"] for block in json.loads(slack)["blocks"][1:]]
        assert texts == (["\n".join(shown)] if shown else [])
        assert len(json.loads(discord)["embeds"]) == bool(shown)

    def test_unknown_format_is_not_sent_in_another_form(
        self, ledger: Ledger, make_worker: MakeWorker, receiver: Receiver
    ) -> None:
        endpoint = ledger.endpoints.create(receiver.url, ["clip.ready"], SECRET, format="teams")  # type: ignore[arg-type]
        complete_clip(ledger)
        make_worker().run_due()
        assert [request for request in receiver.requests if request.path == "/hook"] == []
        (delivery,) = ledger.deliveries.list(endpoint_id=endpoint.webhook_id, limit=9).data
        assert delivery.status == "pending"
        assert "does not know the webhook's message format teams" in (delivery.last_error or "")

    def test_long_text_is_cut_below_the_limits_of_the_services(self) -> None:
        error = {"message": "m" * 9000, "hint": "h"}
        body = _body("clip.failed", label="*" * 9000, error=error, result=None)
        assert len(json.loads(rendered(body, "slack"))["blocks"][1]["text"]["text"]) < 3000
        (embed,) = json.loads(rendered(body, "discord"))["embeds"]
        assert len(embed["title"]) <= 256
        assert len(embed["description"]) <= 4096

    def test_url_of_a_disabled_endpoint_is_not_shown(self) -> None:
        data = {"url": "https://hooks.slack.com/services/T0/B0/secret", "disabled_reason": "it answered 410 Gone"}
        for service in ("slack", "discord"):
            text = rendered(_body("endpoint.disabled", **data), service).decode()  # type: ignore[arg-type]
            assert "secret" not in text
            assert "410" in text

    @pytest.mark.parametrize("format", ["json", "slack", "discord"])
    def test_every_event_is_sent_in_the_format_of_its_endpoint(
        self, ledger: Ledger, make_worker: MakeWorker, receiver: Receiver, format: Any
    ) -> None:
        ledger.endpoints.create(receiver.url, ["recording.failed", "clip.ready"], SECRET, format=format)
        create_event(ledger)
        complete_clip(ledger)
        make_worker().run_due()
        requests = [request for request in receiver.requests if request.path == "/hook"]
        assert len(requests) == 2
        for request in requests:
            Webhook(SECRET).verify(request.body, request.headers)
            keys = set(json.loads(request.body))
            wanted = {"json": {"event", "data", "id"}, "slack": {"text", "blocks"}, "discord": {"content", "embeds"}}
            assert wanted[format] <= keys


class TestLinks:
    @pytest.fixture
    def linked(self, ledger: Ledger) -> Ledger:
        ledger.share_ready_clips(keep_ms=None)
        return ledger

    def _sent(self, receiver: Receiver) -> list[dict[str, Any]]:
        return [json.loads(request.body)["data"] for request in receiver.requests if request.path == "/hook"]

    def test_clip_ready_has_links_that_open_its_clip(
        self, linked: Ledger, make_worker: MakeWorker, receiver: Receiver
    ) -> None:
        linked.endpoints.create(receiver.url, ["clip.ready", "clip.failed"], SECRET)
        clip = complete_clip(linked, receiver.url)
        make_worker(public_url=BASE, links=True).run_due()
        failed, first, second = sorted(self._sent(receiver), key=lambda data: str(data.get("share_url", "")))
        assert "share_url" not in failed
        assert first == second
        token = first["share_url"].removeprefix(f"{BASE}/s/")
        assert first["download_url"] == f"{BASE}/s/{token}/download"
        share = linked.shares.find(token)
        assert share is not None
        assert share.clip_id == clip.clip_id
        assert len(linked.shares.list(clip.clip_id, limit=9).data) == 1

    def test_links_are_not_stored(
        self, linked: Ledger, make_worker: MakeWorker, receiver: Receiver, tmp_path: Path
    ) -> None:
        linked.endpoints.create(receiver.url, ["clip.ready"], SECRET)
        complete_clip(linked)
        make_worker(public_url=BASE, links=True).run_due()
        (data,) = self._sent(receiver)
        token = data["share_url"].rpartition("/")[2].encode()
        assert token not in b"".join(path.read_bytes() for path in tmp_path.rglob("ledger.db*"))

    def test_revoked_link_is_null_when_the_webhook_is_sent_again(
        self, linked: Ledger, make_worker: MakeWorker, receiver: Receiver
    ) -> None:
        linked.endpoints.create(receiver.url, ["clip.ready"], SECRET)
        clip = complete_clip(linked)
        worker = make_worker(public_url=BASE, links=True)
        worker.run_due()
        (share,) = linked.shares.list(clip.clip_id, limit=9).data
        linked.shares.delete(clip.clip_id, share.share_id)
        (delivery,) = linked.deliveries.list(clip_id=clip.clip_id, limit=9).data
        linked.deliveries.redeliver(delivery.delivery_id)
        worker.run_due()
        assert [bool(data["share_url"]) for data in self._sent(receiver)] == [True, False]
        assert self._sent(receiver)[1]["download_url"] is None

    def test_bodies_have_no_links_by_default(self, ledger: Ledger, make_worker: MakeWorker, receiver: Receiver) -> None:
        ledger.endpoints.create(receiver.url, ["clip.ready"], SECRET)
        clip = complete_clip(ledger)
        make_worker().run_due()
        (data,) = self._sent(receiver)
        assert not {"share_url", "download_url"} & set(data)
        assert ledger.shares.list(clip.clip_id, limit=9).data == []

    def test_links_need_a_public_url_and_shares(self) -> None:
        environ = {"CLIPENGINE_WEBHOOKS__LINKS": "true"}
        with pytest.raises(SettingsError, match=r"server\.public_url"):
            load(environ=environ)
        environ["CLIPENGINE_SERVER__PUBLIC_URL"] = BASE
        assert load(environ=environ).webhooks.links
        with pytest.raises(SettingsError, match=r"shares\.enabled"):
            load(environ=environ | {"CLIPENGINE_SHARES__ENABLED": "false"})
