"""Rules: create, read, list, change, delete, try, and what they have made.

Rules of the settings are changed there; the API can only enable and disable them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from clipengine.api.http.jobs import read_document
from clipengine.api.http.operation import NOTHING, Answer, Call, Operation, json_response, once, page_response, written
from clipengine.api.http.requests.fields import NoBody, NoQuery, PageQuery
from clipengine.api.http.requests.rules import BackfillRule, CreateRule, TryNewRule, TryRule, UpdateRule
from clipengine.api.routes.share_page import Address
from clipengine.clips.transcript_searches import Search
from clipengine.errors import (
    Busy,
    Conflict,
    DecoderCrashed,
    InvalidWebhookUrl,
    RecordingNotComplete,
    RecordingNotFound,
    RequestError,
    RuleNotFound,
    UnknownProfile,
    UnknownWatermark,
    located,
)
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.objects.batch import BatchObject
from clipengine.objects.rule import RuleObject, SkippedObject, TriedClipObject, TriedRuleObject
from clipengine.outbound.webhook_addresses import check_address
from clipengine.recordings.recording import Recording
from clipengine.rules.ranges import Material
from clipengine.rules.rule import Rule, RuleSpec


def create_rule(call: Call[NoQuery, CreateRule]) -> Response:
    body = call.body
    spec = _checked(call, body.spec)

    def work() -> StoredAnswer:
        rule = call.ledger.rules.create(body.name, spec, enabled=body.enabled, created_by=call.caller.id)
        return StoredAnswer(201, RuleObject.of(rule).to_object(), {"Location": f"/v1/rules/{rule.rule_id}"})

    return once(call, work)


def get_rule(call: Call[NoQuery, NoBody]) -> Response:
    return json_response(RuleObject.of(_find(call)).to_object())


def list_rules(call: Call[PageQuery, NoBody]) -> Response:
    page = call.ledger.rules.list(limit=call.query.limit, cursor=call.query.cursor)
    return page_response(call, [RuleObject.of(each) for each in page.data], page.next_cursor)


def update_rule(call: Call[NoQuery, UpdateRule]) -> Response:
    body, rule = call.body, _find(call)
    given = {name: getattr(body, name) for name in body.model_fields_set}
    changed = {name: value for name, value in given.items() if value is not None and name in RuleSpec.model_fields}
    if body.clip is not None:
        changed["clip"] = body.clip.given

    def revised(rule: Rule) -> RuleSpec | None:
        if given.keys() - {"enabled"}:
            _check_own(rule)
        return call.engine.rule_clips.checked(rule.spec.model_copy(update=changed)) if changed else None

    def work() -> Response:
        updated = call.ledger.rules.update(rule.rule_id, name=body.name, enabled=body.enabled, revise=revised)
        return json_response(RuleObject.of(updated).to_object())

    if changed:  # before the transaction: name servers may be slow
        _check_address(call, rule.spec.model_copy(update=changed))
    return written(call, work)


def delete_rule(call: Call[NoQuery, NoBody]) -> Response:
    call.ledger.rules.delete(call.path("rule_id"), check=_check_own)
    return Response(status_code=204)


def try_rule(call: Call[NoQuery, TryRule]) -> Awaitable[Response]:
    return _tried(call, _find(call).spec, call.body.recording_id)


def try_new_rule(call: Call[NoQuery, TryNewRule]) -> Awaitable[Response]:
    return _tried(call, _checked(call, call.body.spec), call.body.recording_id)


def _tried(call: Call[Any, Any], spec: RuleSpec, recording_id: str) -> Awaitable[Response]:
    """Return what a rule would make of a recording. Nothing is stored."""
    with located(pointer="/recording_id"):
        recording = call.ledger.recordings.get(recording_id)
        if recording.state != "complete":
            raise RecordingNotComplete.of(recording_id, recording.state, recording.error)
    return _dry_run(call, spec, *call.engine.rule_clips.material(spec, recording))


async def _dry_run(call: Call[Any, Any], spec: RuleSpec, material: Material, search: Search[Any] | None) -> Response:
    if search is not None:
        material = replace(material, found=await read_document(call, search.document, search.data))

    def work() -> Response:
        recording, expansion = material.recording, call.engine.rule_clips.expand(spec, material)
        tried = TriedRuleObject(
            recording.recording_id,
            spec.when.matches(recording),
            [_tried_clip(call, body, recording) for body in expansion.bodies],
            [SkippedObject(code=each.code, message=each.message) for each in expansion.skipped],
            expansion.left_out,
        )
        return json_response(tried.to_object())

    return await call.in_session(work)


def _tried_clip(call: Call[Any, Any], body: Mapping[str, Any], recording: Recording) -> TriedClipObject:
    error = None
    try:
        call.engine.rule_clips.resolve(body, recording)
    except RequestError as refused:
        error = refused.to_object()
    return TriedClipObject(body=dict(body), error=error)


def backfill_rule(call: Call[NoQuery, BackfillRule]) -> Response:
    rule_id, created_after = call.path("rule_id"), call.body.created_after

    def work() -> StoredAnswer:
        rule = call.ledger.rules.start_backfill(rule_id, created_after=created_after)
        return StoredAnswer(202, RuleObject.of(rule).to_object(), {"Location": f"/v1/rules/{rule_id}"})

    return once(call, work)


def cancel_backfill(call: Call[NoQuery, NoBody]) -> Response:
    def work() -> Response:
        return json_response(RuleObject.of(call.ledger.rules.cancel_backfill(call.path("rule_id"))).to_object())

    return written(call, work)


def list_batches(call: Call[PageQuery, NoBody]) -> Response:
    batches = call.ledger.batches
    page = batches.list(_find(call).rule_id, limit=call.query.limit, cursor=call.query.cursor)
    items = batches.items([each.batch_id for each in page.data])
    clips = [item.clip_id for of_batch in items.values() for item in of_batch if item.clip_id is not None]
    base = Address.base_of(call.request, call.engine.settings)
    urls = {clip_id: Address(base, token).page for clip_id, token in call.ledger.shares.tokens_of_rule(clips).items()}
    return page_response(
        call, [BatchObject.of(each, items[each.batch_id], urls) for each in page.data], page.next_cursor
    )


def _find(call: Call[Any, Any]) -> Rule:
    return call.ledger.rules.get(call.path("rule_id"))


def _checked(call: Call[Any, Any], spec: RuleSpec) -> RuleSpec:
    """Return the rule as it is stored. Raises the errors of options that no recording allows."""
    _check_address(call, spec)
    return call.engine.rule_clips.checked(spec)


def _check_address(call: Call[Any, Any], spec: RuleSpec) -> None:
    if (url := spec.clip.get("webhook_url")) is not None:
        check_address(url, call.engine.settings, pointer="/clip/webhook_url", look_up=True)


def _check_own(rule: Rule) -> None:
    if rule.origin == "settings":
        hint = "Change [[rules]] and restart, or switch it off with `enabled`: false."
        raise Conflict(f"The rule {rule.rule_id} comes from the settings", hint=hint)


_ONE = "/v1/rules/{rule_id}"
_RULE = Answer(200, "The rule.", RuleObject)
_TRIED = Answer(200, "The clips that the rule would make, and what it leaves out.", TriedRuleObject)
_INVALID = (UnknownProfile, UnknownWatermark, InvalidWebhookUrl)
_UNUSABLE = (RecordingNotFound, RecordingNotComplete, DecoderCrashed, Busy)

OPERATIONS = [
    Operation(
        "POST",
        "/v1/rules",
        "write",
        create_rule,
        "Add a rule",
        [Answer(201, "The rule acts on what happens from here on.", RuleObject)],
        (*_INVALID, Conflict),
        body=CreateRule,
        creates=True,
        audit="rule.create",
    ),
    Operation(
        "GET",
        "/v1/rules",
        "read",
        list_rules,
        "List rules",
        [Answer(200, "One page of rules, newest first.", RuleObject, page=True)],
        query=PageQuery,
    ),
    Operation("GET", _ONE, "read", get_rule, "Get a rule", [_RULE], (RuleNotFound,)),
    Operation(
        "PATCH",
        _ONE,
        "write",
        update_rule,
        "Change a rule",
        [_RULE],
        (RuleNotFound, *_INVALID, Conflict),
        body=UpdateRule,
        audit="rule.update",
    ),
    Operation(
        "DELETE", _ONE, "delete", delete_rule, "Delete a rule", [NOTHING], (RuleNotFound, Conflict), audit="rule.delete"
    ),
    Operation(
        "POST",
        f"{_ONE}/try",
        "read",
        try_rule,
        "Get what a rule would make of a recording",
        [_TRIED],
        (RuleNotFound, *_UNUSABLE, *_INVALID),
        body=TryRule,
        multiplies=True,
    ),
    Operation(
        "POST",
        "/v1/rules/try",
        "read",
        try_new_rule,
        "Get what a rule that is not stored would make of a recording",
        [_TRIED],
        (*_UNUSABLE, *_INVALID),
        body=TryNewRule,
        multiplies=True,
    ),
    Operation(
        "POST",
        f"{_ONE}/backfill",
        "write",
        backfill_rule,
        "Let a rule act on earlier recordings",
        [Answer(202, "The rule acts on them one after the other; see `backfill`.", RuleObject)],
        (RuleNotFound, Conflict),
        body=BackfillRule,
        creates=True,
        audit="rule.backfill",
    ),
    Operation(
        "DELETE",
        f"{_ONE}/backfill",
        "write",
        cancel_backfill,
        "Cancel the backfill of a rule",
        [_RULE],
        (RuleNotFound,),
        audit="rule.cancel_backfill",
    ),
    Operation(
        "GET",
        f"{_ONE}/batches",
        "read",
        list_batches,
        "List what a rule has made",
        [Answer(200, "One page of batches, newest first, each of one recording.", BatchObject, page=True)],
        (RuleNotFound,),
        query=PageQuery,
    ),
]
