"""Settings of the sources of events, `[ingest.NAME]`. A source without a secret is off."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr, field_validator, model_validator

from clipengine.basis.settings_table import SettingsTable

_MIN_SECRET_CHARACTERS = 16
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")


def _strong(secret: SecretStr) -> SecretStr:
    """Reject a secret that can be guessed. An empty one disables its source."""
    if 0 < len(secret.get_secret_value()) < _MIN_SECRET_CHARACTERS:
        raise ValueError(
            f"must have at least {_MIN_SECRET_CHARACTERS} characters; create one with `openssl rand -base64 32`"
        )
    return secret


SourceSecret = Annotated[SecretStr, AfterValidator(_strong)]


class Ingest(SettingsTable):
    class S3(SettingsTable):
        secret: SourceSecret = SecretStr("")
        bucket: str = ""  # empty: storage.bucket

    class LiveKit(SettingsTable):
        api_key: str = ""
        secret: SourceSecret = SecretStr("")
        bucket: str = ""  # empty: storage.bucket

        @model_validator(mode="after")
        def _has_both(self) -> Ingest.LiveKit:
            if bool(self.api_key) != bool(self.secret.get_secret_value()):
                raise ValueError("needs both api_key and secret, those of LiveKit's webhooks")
            return self

    class Daily(SettingsTable):
        secret: SourceSecret = SecretStr("")
        api_key: SecretStr = SecretStr("")  # empty: Daily writes to the bucket of the store
        api_url: str = "https://api.daily.co/v1"

        @field_validator("secret")
        @classmethod
        def _is_base64(cls, secret: SecretStr) -> SecretStr:
            if not _BASE64.match(secret.get_secret_value()):
                raise ValueError("must be the `hmac` of Daily's webhook, which is base64")
            return secret

    class Zoom(SettingsTable):
        secret: SourceSecret = SecretStr("")

    class Generic(SettingsTable):
        secret: SourceSecret = SecretStr("")

    s3: S3 = S3()
    livekit: LiveKit = LiveKit()
    daily: Daily = Daily()
    zoom: Zoom = Zoom()
    generic: Generic = Generic()
