"""Webhook signatures, verified with hmac and the standardwebhooks library."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from clipengine.errors import InvalidRequest
from clipengine.webhooks.sign import check_secret, new_secret, sign

BODY = '{"event":"clip.ready","data":{"label":"Grüße 要点"},"organisation_id":"org_local"}'.encode()
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PLAIN = "a plain text secret, 2 be used"


def signed(*secrets: str) -> dict[str, str]:
    return sign(BODY, event_id="evt_01", secrets=secrets, timestamp=int(time.time()))


@pytest.mark.parametrize("secret", [WHSEC, PLAIN, "geheim-für-die-Gäste"])
def test_relay_signature_is_the_hex_hmac_of_the_raw_body(secret: str) -> None:
    expected = hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    assert signed(secret)["X-Relay-Signature"] == expected
    assert expected == expected.lower()
    assert len(expected) == 64


def test_signing_returns_four_headers() -> None:
    headers = sign(BODY, event_id="evt_01", secrets=[WHSEC], timestamp=1_700_000_000)
    assert list(headers) == ["X-Relay-Signature", "webhook-id", "webhook-timestamp", "webhook-signature"]
    assert headers["webhook-id"] == "evt_01"
    assert headers["webhook-timestamp"] == "1700000000"


def test_standard_webhooks_library_verifies_whsec_secrets() -> None:
    unpadded = new_secret().rstrip("=")
    for secret in (WHSEC, new_secret(), unpadded):
        assert Webhook(secret).verify(BODY, signed(secret))["event"] == "clip.ready"


@pytest.mark.parametrize("secret", [PLAIN, "kA5hZ2q0o0J7rKp8m1x9dQvYb3N4c6T2wEuIsLfGjHA=", "0123456789abcdef"])
def test_standard_webhooks_library_verifies_plain_secrets(secret: str) -> None:
    Webhook(secret.encode()).verify(BODY, signed(secret))
    Webhook(secret).verify(BODY, signed(secret))


def test_secret_that_decodes_to_a_weak_key_is_not_used_decoded() -> None:
    secret = "!!!!!!!!!!!!!!!!abcd"  # only four characters are valid base64
    assert len(signed(secret)["webhook-signature"].split()) == 1
    Webhook(secret.encode()).verify(BODY, signed(secret))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, signed(secret))


def test_both_secrets_verify_during_a_rotation() -> None:
    old, new = WHSEC, new_secret()
    during = signed(new, old)
    Webhook(old).verify(BODY, during)
    Webhook(new).verify(BODY, during)
    assert during["X-Relay-Signature"] == hmac.new(new.encode(), BODY, hashlib.sha256).hexdigest()
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(BODY, signed(new))


def test_changed_body_id_or_timestamp_does_not_verify() -> None:
    headers = signed(WHSEC)
    for changed in ({"webhook-id": "evt_02"}, {"webhook-timestamp": str(int(time.time()) - 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(WHSEC).verify(BODY, {**headers, **changed})
    with pytest.raises(WebhookVerificationError):
        Webhook(WHSEC).verify(BODY + b" ", headers)


@pytest.mark.parametrize(
    "secret", ["", "fifteen letters", "whsec_short", "whsec_!!!!!!!!!!!!!!!!!!!!", "whsec_ääääääääääää"]
)
def test_unusable_secrets_are_rejected(secret: str) -> None:
    with pytest.raises(InvalidRequest):
        check_secret(secret)


def test_new_secrets_are_valid_and_unique() -> None:
    assert check_secret(new_secret()) != check_secret(new_secret())
