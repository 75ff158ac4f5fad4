"""Webhook addresses in requests: refuse at once what could never be delivered to."""

from __future__ import annotations

from clipengine.errors import located
from clipengine.outbound.address import Rules, Url, check, localhost_lookup, system_lookup
from clipengine.settings.settings import Settings


def check_address(url: str | Url, settings: Settings, *, pointer: str, look_up: bool) -> None:
    """Raise InvalidWebhookUrl with the field's pointer if the rules refuse the URL. Each delivery checks again.

    Without `look_up` only the URL itself is checked: a slow name server must not slow the caller.
    """
    rules = Rules.of(settings.webhooks.allow_cidrs, own_port=settings.server.port or None)
    with located(pointer=pointer):
        check(url, rules=rules, lookup=system_lookup if look_up else localhost_lookup)
