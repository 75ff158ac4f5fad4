"""`clipengine.client.webhooks.verify` against what the engine signs, and against Standard Webhooks' own library."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from clipengine.client import SignatureInvalid
from clipengine.client.webhooks import verify
from clipengine.webhooks.sign import sign

BODY = json.dumps({"event": "clip.ready", "data": {"label": "Ünïcode"}, "id": "evt_1"}).encode()
SECRETS = ["whsec_" + base64.b64encode(bytes(range(32))).decode(), "a plain secret of ours"]


def signed(secret: str, *, age: int = 0, others: tuple[str, ...] = ()) -> dict[str, str]:
    return sign(BODY, event_id="evt_1", secrets=[*others, secret], timestamp=int(time.time()) - age)


@pytest.mark.parametrize("secret", SECRETS)
def test_what_the_engine_signs_is_valid(secret: str) -> None:
    assert verify(BODY, signed(secret), secret)["event"] == "clip.ready"


@pytest.mark.parametrize("secret", SECRETS)
def test_the_hosted_api_s_signature_alone_is_enough(secret: str) -> None:
    headers = {"x-relay-signature": signed(secret)["X-Relay-Signature"]}
    assert verify(BODY, headers, secret)["id"] == "evt_1"


def test_what_the_library_signs_is_valid() -> None:
    moment = datetime.now(UTC)
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(moment.timestamp())),
        "Webhook-Signature": Webhook(SECRETS[0]).sign("evt_1", moment, BODY.decode()),
    }
    assert verify(BODY, headers, SECRETS[0])["id"] == "evt_1"


def test_either_secret_is_valid_while_it_is_changed() -> None:
    headers = signed(SECRETS[0], others=(SECRETS[1],))
    assert verify(BODY, headers, SECRETS[0]) == verify(BODY, headers, SECRETS[1])


@pytest.mark.parametrize("secret", SECRETS)
def test_what_is_not_signed_with_the_secret_is_refused(secret: str) -> None:
    headers = signed(secret)
    for faulty in (
        (BODY + b" ", headers, secret),
        (BODY, headers, "another secret of 16"),
        (BODY, {}, secret),
        (BODY, headers | {"webhook-id": "evt_2"}, secret),
        (BODY, headers | {"webhook-signature": "v1,"}, secret),
        (BODY, {"X-Relay-Signature": "é"}, secret),
    ):
        with pytest.raises(SignatureInvalid):
            verify(*faulty)


@pytest.mark.parametrize("stamp", ["", "soon", "٣", "-1", "9" * 400])
def test_a_time_that_is_none_is_refused(stamp: str) -> None:
    with pytest.raises(SignatureInvalid):
        verify(BODY, signed(SECRETS[0]) | {"webhook-timestamp": stamp}, SECRETS[0])


def test_what_is_too_old_is_refused() -> None:
    headers = signed(SECRETS[0], age=301)
    with pytest.raises(SignatureInvalid):
        verify(BODY, headers, SECRETS[0])
    assert verify(BODY, headers, SECRETS[0], tolerance_seconds=1000)


def test_a_secret_that_is_damaged_is_no_crash() -> None:
    with pytest.raises(SignatureInvalid):
        verify(BODY, signed(SECRETS[0]), "whsec_not base64")
