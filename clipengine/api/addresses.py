"""Webhook addresses at the door: what could never be delivered to is refused when it is given, not days later."""

from __future__ import annotations

from clipengine.api.faults import at
from clipengine.settings import Settings
from clipengine.webhooks.address import Rules, check, localhost_lookup, system_lookup


def check_address(url: str, settings: Settings, *, pointer: str, look_up: bool) -> None:
    """Raises InvalidWebhookUrl that points at the field. Each delivery checks again.

    Without `look_up` only what the URL itself says is judged: a slow name server must not slow the caller.
    """
    rules = Rules.of(settings.webhooks.allow_cidrs, own_port=settings.server.port or None)
    at(lambda: check(url, rules=rules, lookup=system_lookup if look_up else localhost_lookup), pointer=pointer)()
