"""The endpoints that the settings name, as they are told to the ledger."""

from __future__ import annotations

from clipengine.errors import InvalidRequest, SettingsError
from clipengine.settings import Webhooks
from clipengine.webhooks.address import parse
from clipengine.webhooks.sign import check_secret


def own_endpoints(settings: Webhooks) -> list[tuple[str, str, tuple[str, ...]]]:
    """(URL, secret, events) of each. Raises SettingsError with everything that could never be delivered to."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    faults: list[str] = []
    for number, endpoint in enumerate(settings.endpoints):
        secret = endpoint.secret.get_secret_value()
        for key, check, text in (("url", parse, endpoint.url), ("secret", check_secret, secret)):
            try:
                check(text)
            except InvalidRequest as error:
                faults.append(f"webhooks.endpoints.{number}.{key}: {error.message}")
        found.append((endpoint.url, secret, tuple(endpoint.events)))
    if faults:
        raise SettingsError("; ".join(faults))
    return found
