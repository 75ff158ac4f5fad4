"""Webhook endpoints of the settings."""

from __future__ import annotations

from clipengine.basis.events import MessageFormat
from clipengine.errors import InvalidRequest, SettingsError
from clipengine.outbound.address import parse
from clipengine.settings.settings import Webhooks
from clipengine.webhooks.sign import check_secret


def configured_endpoints(settings: Webhooks) -> list[tuple[str, str, tuple[str, ...], MessageFormat]]:
    """Return (URL, secret, events, format) of each. Raises SettingsError that lists every invalid URL and secret."""
    found: list[tuple[str, str, tuple[str, ...], MessageFormat]] = []
    errors: list[str] = []
    for number, endpoint in enumerate(settings.endpoints):
        secret = endpoint.secret.get_secret_value()
        for key, check, text in (("url", parse, endpoint.url), ("secret", check_secret, secret)):
            try:
                check(text)
            except InvalidRequest as error:
                errors.append(f"webhooks.endpoints.{number}.{key}: {error.message}")
        found.append((endpoint.url, secret, tuple(endpoint.events), endpoint.format))
    if errors:
        raise SettingsError("; ".join(errors))
    return found
