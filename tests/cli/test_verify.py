"""`verify` with signatures of the engine and of the standardwebhooks library."""

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
def test_signature_of_the_engine_is_valid(secret: str) -> None:
    assert verify(BODY, signed(secret), secret)["event"] == "clip.ready"


@pytest.mark.parametrize("secret", SECRETS)
def test_relay_signature_alone_is_sufficient(secret: str) -> None:
    headers = {"x-relay-signature": signed(secret)["X-Relay-Signature"]}
    assert verify(BODY, headers, secret)["id"] == "evt_1"


def test_signature_of_the_standardwebhooks_library_is_valid() -> None:
    moment = datetime.now(UTC)
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(moment.timestamp())),
        "Webhook-Signature": Webhook(SECRETS[0]).sign("evt_1", moment, BODY.decode()),
    }
    assert verify(BODY, headers, SECRETS[0])["id"] == "evt_1"


def test_both_secrets_are_valid_during_a_rotation() -> None:
    headers = signed(SECRETS[0], others=(SECRETS[1],))
    assert verify(BODY, headers, SECRETS[0]) == verify(BODY, headers, SECRETS[1])


@pytest.mark.parametrize("secret", SECRETS)
def test_wrong_signature_is_rejected(secret: str) -> None:
    headers = signed(secret)
    for wrong in (
        (BODY + b" ", headers, secret),
        (BODY, headers, "another secret of 16"),
        (BODY, {}, secret),
        (BODY, headers | {"webhook-id": "evt_2"}, secret),
        (BODY, headers | {"webhook-signature": "v1,"}, secret),
        (BODY, {"X-Relay-Signature": "é"}, secret),
    ):
        with pytest.raises(SignatureInvalid):
            verify(*wrong)


@pytest.mark.parametrize("stamp", ["", "soon", "٣", "-1", "9" * 400])
def test_invalid_timestamp_is_rejected(stamp: str) -> None:
    with pytest.raises(SignatureInvalid):
        verify(BODY, signed(SECRETS[0]) | {"webhook-timestamp": stamp}, SECRETS[0])


def test_old_timestamp_is_rejected() -> None:
    headers = signed(SECRETS[0], age=301)
    with pytest.raises(SignatureInvalid):
        verify(BODY, headers, SECRETS[0])
    assert verify(BODY, headers, SECRETS[0], tolerance_seconds=1000)


def test_malformed_secret_is_rejected() -> None:
    with pytest.raises(SignatureInvalid):
        verify(BODY, signed(SECRETS[0]), "whsec_not base64")
