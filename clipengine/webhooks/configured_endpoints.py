"""Webhook endpoints of the settings."""

from __future__ import annotations

from clipengine.basis.events import ConfiguredEndpoint
from clipengine.errors import InvalidRequest, SettingsError
from clipengine.outbound.address import parse
from clipengine.settings.settings import Webhooks
from clipengine.webhooks.sign import check_secret


def configured_endpoints(settings: Webhooks) -> list[ConfiguredEndpoint]:
    """Return the endpoints. Raises SettingsError that lists every invalid URL and secret."""
    found: list[ConfiguredEndpoint] = []
    errors: list[str] = []
    for number, endpoint in enumerate(settings.endpoints):
        secret = endpoint.secret.get_secret_value()
        for key, check, text in (("url", parse, endpoint.url), ("secret", check_secret, secret)):
            try:
                check(text)
            except InvalidRequest as error:
                errors.append(f"webhooks.endpoints.{number}.{key}: {error.message}")
        wants = {name: list(values) for name, values in dict(endpoint.wants).items() if values}
        found.append(ConfiguredEndpoint(endpoint.url, secret, endpoint.events, endpoint.format, wants))
    if errors:
        raise SettingsError("; ".join(errors))
    return found
