"""Rules, which make clips of recordings by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clipengine.client.exchange import Api, Steps, route, without_none
from clipengine.client.methods import AsyncResource, Resource, aiterating, awaiting, blocking, iterating
from clipengine.client.models import Batch, Page, Rule, TriedRule, format_time
from clipengine.client.transport import AsyncTransport, Transport


class RuleCalls:
    """The calls about rules."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(
        self,
        name: str,
        *,
        ranges: Mapping[str, Any],
        when: Mapping[str, Any] | None = None,
        clip: Mapping[str, Any] | None = None,
        max_clips: int | None = None,
        enabled: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Rule]:
        """Create a rule, such as `create("Meetings", ranges={"kind": "chapters"}, clip={"tags": ["auto"]})`.

        It acts on recordings that are complete from then on.
        """
        body = without_none({"name": name, "enabled": enabled, **_options(when, ranges, clip, max_clips)})
        return (yield from self.add(body, idempotency_key=idempotency_key))

    def add(self, rule: Mapping[str, Any], *, idempotency_key: str | None = None) -> Steps[Rule]:
        """Create a rule from an object as of `POST /v1/rules`, which the server checks."""
        return Rule.from_object((yield from self._api.create("/v1/rules", dict(rule), idempotency_key=idempotency_key)))

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Steps[Page[Rule]]:
        answer = yield from self._api.get("/v1/rules", {"limit": limit, "cursor": cursor})
        return Page.of(answer, Rule.from_object)

    def get(self, rule_id: str) -> Steps[Rule]:
        return Rule.from_object((yield from self._api.get(route("rules", rule_id))))

    def update(
        self,
        rule_id: str,
        *,
        name: str | None = None,
        enabled: bool | None = None,
        when: Mapping[str, Any] | None = None,
        ranges: Mapping[str, Any] | None = None,
        clip: Mapping[str, Any] | None = None,
        max_clips: int | None = None,
    ) -> Steps[Rule]:
        """Change the given properties of a rule. It makes nothing again."""
        body = without_none({"name": name, "enabled": enabled, **_options(when, ranges, clip, max_clips)})
        return Rule.from_object((yield from self._api.send("PATCH", route("rules", rule_id), json=body)))

    def delete(self, rule_id: str) -> Steps[None]:
        """Delete a rule. Its clips stay."""
        yield from self._api.send("DELETE", route("rules", rule_id))

    def try_out(self, rule_id: str, recording_id: str) -> Steps[TriedRule]:
        """Return the clips that a rule would make of a recording, without making them."""
        body = {"recording_id": recording_id}
        return TriedRule.from_object((yield from self._api.send("POST", route("rules", rule_id, "try"), json=body)))

    def try_new(
        self,
        recording_id: str,
        *,
        ranges: Mapping[str, Any],
        when: Mapping[str, Any] | None = None,
        clip: Mapping[str, Any] | None = None,
        max_clips: int | None = None,
    ) -> Steps[TriedRule]:
        """Return the clips that a rule would make of a recording, without storing the rule."""
        body = without_none({"recording_id": recording_id, **_options(when, ranges, clip, max_clips)})
        return TriedRule.from_object((yield from self._api.send("POST", "/v1/rules/try", json=body)))

    def backfill(
        self, rule_id: str, *, created_after: str | datetime | None = None, idempotency_key: str | None = None
    ) -> Steps[Rule]:
        """Let a rule act on complete recordings that were registered before, or since a time. See `Rule.backfill`."""
        body = without_none({"created_after": format_time(created_after)})
        answer = yield from self._api.create(route("rules", rule_id, "backfill"), body, idempotency_key=idempotency_key)
        return Rule.from_object(answer)

    def cancel_backfill(self, rule_id: str) -> Steps[Rule]:
        """Cancel the backfill of a rule. The clips of recordings that it has read are made."""
        return Rule.from_object((yield from self._api.send("DELETE", route("rules", rule_id, "backfill"))))

    def batches(self, rule_id: str, *, limit: int | None = None, cursor: str | None = None) -> Steps[Page[Batch]]:
        """Return a page of what the rule has made, newest first, one batch for each recording."""
        answer = yield from self._api.get(route("rules", rule_id, "batches"), {"limit": limit, "cursor": cursor})
        return Page.of(answer, Batch.from_object)


def _options(
    when: Mapping[str, Any] | None,
    ranges: Mapping[str, Any] | None,
    clip: Mapping[str, Any] | None,
    max_clips: int | None,
) -> dict[str, Any]:
    return {"when": when, "ranges": ranges, "clip": clip, "max_clips": max_clips}


class Rules(Resource[RuleCalls]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, RuleCalls(api))

    create = blocking(RuleCalls.create)
    add = blocking(RuleCalls.add)
    list = blocking(RuleCalls.list)
    each = iterating(RuleCalls.list)
    get = blocking(RuleCalls.get)
    update = blocking(RuleCalls.update)
    delete = blocking(RuleCalls.delete)
    try_out = blocking(RuleCalls.try_out)
    try_new = blocking(RuleCalls.try_new)
    backfill = blocking(RuleCalls.backfill)
    cancel_backfill = blocking(RuleCalls.cancel_backfill)
    batches = blocking(RuleCalls.batches)
    each_batch = iterating(RuleCalls.batches)


class AsyncRules(AsyncResource[RuleCalls]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, RuleCalls(api))

    create = awaiting(RuleCalls.create)
    add = awaiting(RuleCalls.add)
    list = awaiting(RuleCalls.list)
    each = aiterating(RuleCalls.list)
    get = awaiting(RuleCalls.get)
    update = awaiting(RuleCalls.update)
    delete = awaiting(RuleCalls.delete)
    try_out = awaiting(RuleCalls.try_out)
    try_new = awaiting(RuleCalls.try_new)
    backfill = awaiting(RuleCalls.backfill)
    cancel_backfill = awaiting(RuleCalls.cancel_backfill)
    batches = awaiting(RuleCalls.batches)
    each_batch = aiterating(RuleCalls.batches)
