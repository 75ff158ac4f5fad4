"""Query plans of SQLite: frequent queries use an index and do not sort.

The statements are recorded while the ledger runs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import EncoderFailed
from clipengine.ledger.audit.audit import AuditFilter
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.clips.uploads import Finished
from clipengine.ledger.database.act import Act, Actor
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.ledger.recordings.resumable_uploads import ResumableUpload
from clipengine.ledger.rows.cursors import encode_cursor
from clipengine.ledger.rows.idempotency import Answer
from clipengine.recordings.partial_object import PartialObject
from clipengine.recordings.recording import Recording, RecordingSpec
from clipengine.rules.rule import RuleSpec

Queue = Callable[..., Clip]
Plans = Callable[[], dict[str, list[str]]]

# Small tables that are read completely on purpose.
_SMALL = {"endpoints", "rules"}  # of a hundred rows at most


@pytest.fixture
def plans(path: Path, ledger: Ledger, queue: Queue) -> Iterator[Plans]:
    """Recorder of statements. Calling it returns their query plans and clears it."""
    connections = ledger.database._connections
    passed: list[tuple[str, Any]] = []
    queue()  # the statements that create recording and clip are not checked
    connections.query_hooks.append(lambda query: passed.append((query.sql, query.params)))

    def explain() -> dict[str, list[str]]:
        seen = [entry for entry in passed if entry[0].split()[0] in ("SELECT", "UPDATE", "DELETE")]
        found = {}
        for sql, params in seen:
            rows = ledger.database.run(f"EXPLAIN QUERY PLAN {sql}", tuple(params or ()))
            found[sql] = [row[3] for row in rows]
        passed.clear()
        return found

    yield explain
    connections.query_hooks.clear()


def _check(found: dict[str, list[str]]) -> None:
    assert found
    for sql, steps in found.items():
        aliases = dict(re.findall(r'(?:FROM|JOIN|UPDATE) "(\w+)"(?: AS "(\w+)")?', sql))
        small = {f"SCAN {name}" for table in _SMALL for name in (table, aliases.get(table))}
        if aliases and aliases.keys() <= _SMALL:
            continue
        for step in steps:
            if step.split(" USING")[0] in small:
                continue
            assert "TEMP B-TREE" not in step, f"{sql}\n{steps}"
            # A scan is allowed only in the order of an index and with a LIMIT.
            by_order = "USING" in step and "INDEX" in step and "LIMIT" in sql
            # Partial indexes: of the waiting clips, and of those of several ranges.
            by_order |= "clips_finished" in step or "clips_of_parts" in step or "piece_indexes_unlisted" in step
            by_order |= step.startswith(("SCAN sqlite_master", "SCAN pragma_"))
            by_order |= step in ("SCAN counted", "SCAN CONSTANT ROW")  # the rows of a SEARCH with a LIMIT, and SELECT 1
            assert not step.startswith("SCAN") or by_order, f"{sql}\n{steps}"


def _cursors(of: str) -> tuple[str | None, str | None]:
    return None, encode_cursor(of, 1743850800000, "x_01")


def test_lists_of_clips_use_indexes(ledger: Ledger, plans: Plans) -> None:
    filters = {
        "recording_id": (None, "rec_1"),
        "status": (None, "processing", "complete"),
        "label": (None, "goal"),
        "variant_of": (None, "clip_1"),
        "created_after": (None, 1),
        "created_before": (None, 2),
        "after": (False, True),
    }
    for values in product(*filters.values()):
        chosen: dict[str, Any] = dict(zip(filters, values, strict=True))
        of = "/".join(filter(None, ("clips", chosen["recording_id"])))
        ledger.clips.list(ClipFilter(limit=50, cursor=_cursors(of)[chosen.pop("after")], **chosen))
        found = plans()
        _check(found)
        if chosen["variant_of"]:
            assert all("clips_variants" in step for steps in found.values() for step in steps)
            continue
        if chosen["recording_id"] and chosen["status"] and not chosen["label"]:
            assert any("clips_recording_status" in step for steps in found.values() for step in steps)
        if chosen["recording_id"]:  # never by label: other recordings may have a million clips with it
            assert all("clips_recording" in step for steps in found.values() for step in steps)
        elif chosen["status"] and chosen["label"]:
            assert all("clips_label_status" in step for steps in found.values() for step in steps)
        if chosen["recording_id"] or chosen["status"] or chosen["label"]:
            assert all(step.startswith("SEARCH") for steps in found.values() for step in steps)


def test_lists_of_recordings_use_indexes(ledger: Ledger, plans: Plans) -> None:
    for status, name, cursor in product((None, "complete"), (None, "meeting"), _cursors("recordings")):
        ledger.recordings.list(RecordingFilter(limit=50, status=status, name=name, cursor=cursor))
        _check(plans())


def test_own_objects_and_sessions_are_listed_by_indexes(ledger: Ledger, plans: Plans) -> None:
    for recording_id, status in product((None, "rec_1"), (None, "complete")):
        ledger.clips.list(ClipFilter(limit=50, created_by="key_1", recording_id=recording_id, status=status))
    ledger.recordings.list(RecordingFilter(limit=50, created_by="key_1", status="complete"))
    ledger.recordings.has_works_of_others("rec_1", "key_1")
    for user_id in (None, "user_1"):
        ledger.user_sessions.list(user_id, limit=50)
    ledger.users.list(limit=50)
    audited: tuple[dict[str, Any], ...] = ({}, {"actor": "user_1"}, {"action": "clip.delete"}, {"object": "clip_1"})
    for cursor, filters in product(_cursors("audit"), audited):
        ledger.audit.list(AuditFilter(limit=50, cursor=cursor, before=9, **filters))
    list(ledger.audit.all())
    ledger.audit.record(Act("clip.delete", Actor("key", "key_1"), path=["clip_1"]))
    assert ledger.audit_chain.seal() is not None
    assert ledger.audit_chain.remove(keep_ms=-60_000) == 1
    list(ledger.audit_chain.verify())
    ledger.user_sessions.living(["ses_1"])
    ledger.users.roles(["user_1"])
    _check(plans())


def test_clips_of_a_page_are_counted_in_their_index(ledger: Ledger, plans: Plans, recording: Recording) -> None:
    counted = ledger.recordings.clips_counts([recording.recording_id, "rec_1", "rec_2"])
    assert counted == {recording.recording_id: 1}
    (steps,) = plans().values()
    assert any("SEARCH clips USING COVERING INDEX clips_recording" in step for step in steps), steps
    _check({"LIMIT": steps})


def test_lists_of_deliveries_use_indexes(ledger: Ledger, plans: Plans) -> None:
    for endpoint_id, clip_id in product((None, "whk_1"), (None, "clip_1")):
        for cursor in _cursors("/".join(filter(None, ("deliveries", endpoint_id, clip_id)))):
            ledger.deliveries.list(limit=50, endpoint_id=endpoint_id, clip_id=clip_id, cursor=cursor)
            _check(plans())


def test_queries_of_a_clip_use_indexes(
    ledger: Ledger, plans: Plans, queue: Queue, recording: Recording, result: ClipResult
) -> None:
    ledger.endpoints.create("https://a.test", ["clip.ready", "clip.failed"], "s" * 16)
    clip = queue(priority=9, webhook_url="https://own.test/")
    ledger.idempotency.once("k", scope="a", fingerprint="f", work=lambda: Answer(202, {}))
    ledger.clips.claim("me")
    ledger.clips.progress(clip.clip_id, 1, step="encoding", progress=0.5)
    ledger.clips.requeue(clip.clip_id, 1)
    ledger.clips.claim("me")
    ledger.clips.fail(clip.clip_id, 2, EncoderFailed("no"))
    ledger.clips.retry(clip.clip_id)
    ledger.clips.claim("me")
    ledger.uploads.add(clip.clip_id, 3, Finished(result, None), progress=0.9, owner="me")
    assert ledger.uploads.is_due("me")
    ledger.uploads.claim("me")
    ledger.uploads.later(clip.clip_id, 3, delay_ms=5000, outage_ms=5000)
    ledger.uploads.retry_now()
    ledger.uploads.claim("me")
    ledger.uploads.waiting()
    ledger.clips.requeue_orphans("me", in_flight=lambda: {clip.clip_id})
    ledger.clips.complete(clip.clip_id, 3, result)
    ledger.clips.counts()
    ledger.clips.requeue_orphans("me")
    ledger.clips.delete(clip.clip_id)
    claimed = ledger.removals.claim("me", limit=10)
    ledger.removals.release_orphans("me")
    ledger.removals.claimed([each.key for each in claimed])
    ledger.removals.later(claimed[:1], delay_ms=0)
    ledger.removals.deleted(claimed, again_ms=0)
    ledger.idempotency.purge()
    ledger.recordings.register("a.mp4", etag="e", size=1)
    ledger.recordings.claim_probe("me")
    ledger.recordings.release_orphans("me")
    for left in ledger.clips.list(ClipFilter(limit=9, status="processing")).data:
        ledger.clips.cancel(left.clip_id)
    ledger.recordings.delete(recording.recording_id)
    _check(plans())


def test_claim_reads_only_its_index(ledger: Ledger, plans: Plans) -> None:
    ledger.clips.claim("me")
    best = next(steps for sql, steps in plans().items() if '"priority"' in sql and sql.startswith("SELECT"))
    assert best == ["SEARCH t1 USING COVERING INDEX clips_claim (state=?)"]
    ledger.clips.claim("me", workers=2)
    running = next(steps for sql, steps in plans().items() if '"owner"' in sql and sql.startswith("SELECT"))
    assert running == ["SEARCH t1 USING INDEX clips_claim (state=?)"]


def test_counts_read_only_queued_and_running_clips(ledger: Ledger, plans: Plans) -> None:
    ledger.clips.counts()
    assert list(plans().values()) == [["SEARCH t1 USING COVERING INDEX clips_claim (state=?)"]]


def test_queries_of_a_delivery_use_indexes(ledger: Ledger, plans: Plans, queue: Queue) -> None:
    endpoint = ledger.endpoints.create("https://a.test", ["clip.failed"], "s" * 16)
    ledger.clips.cancel(queue(webhook_url="https://own.test/").clip_id)
    plans()
    [delivery] = ledger.deliveries.claim_due()
    ledger.deliveries.record(delivery, outcome="retry", status_code=500, error="no", duration_ms=1)
    ledger.deliveries.next_due()
    ledger.deliveries.release_orphans("me")
    ledger.deliveries.redeliver(delivery.delivery_id)
    ledger.deliveries.attempts(delivery.delivery_id)
    ledger.endpoints.update(endpoint.webhook_id, enabled=False)
    ledger.events.after(0)
    ledger.events.last_seq()
    ledger.keys.verify("x")
    _check(plans())


def test_queries_of_expiry_use_indexes(ledger: Ledger, plans: Plans) -> None:
    assert ledger.expiry.run(keep_ms=1) == 0
    assert ledger.expiry.run_recordings(keep_ms=None) == 0
    upload, _ = ledger.recordings.register("recordings/rec_1/a.mp4", etag="e", size=1)
    ledger.removals.add_recording(upload)
    assert ledger.removals.due() == []  # the recording is still there
    found = plans()
    _check(found)
    used = [step for steps in found.values() for step in steps]
    assert any("recordings_expires" in step for step in used)
    assert any("clips_expires" in step for step in used)
    assert any("clips_completed" in step for step in used)


def test_queries_of_retention_use_indexes(ledger: Ledger, plans: Plans) -> None:
    assert ledger.retention.run(keep_ms=86_400_000) == 0
    found = plans()
    _check(found)
    used = [step for steps in found.values() for step in steps]
    for index in ("deliveries_created", "events_created", "deliveries_event"):
        assert any(index in step for step in used), used


def test_uploads_are_claimed_and_expire_by_indexes(ledger: Ledger, plans: Plans) -> None:
    partial = PartialObject("upl_1", "recordings/rec_1/a.mp4", 9, "video/mp4")
    upload = ResumableUpload("key_1", "rec_1", "", RecordingSpec(), partial, now_ms(), now_ms())
    ledger.resumable_uploads.add(upload, most=5)
    claimed = ledger.resumable_uploads.claim("upl_1", "me", since=0)
    ledger.resumable_uploads.release_orphans("me", in_flight=lambda: ["upl_1"])
    claimed = ledger.resumable_uploads.advance(claimed, replace(partial, offset=5))
    ledger.resumable_uploads.release(claimed)
    assert ledger.resumable_uploads.idle(now_ms() + 1000, limit=5) == ["upl_1"]
    assert ledger.resumable_uploads.get("upl_1").partial.offset == 5
    _check(plans())


def test_batches_of_rules_are_claimed_by_an_index(ledger: Ledger, plans: Plans) -> None:
    """The batches of a rule stay, so that a search of all of them would take longer with each recording."""
    rule = ledger.rules.create("rule", RuleSpec.model_validate({"ranges": {"kind": "all"}, "clip": {"label": "$name"}}))
    for _ in range(2):
        ledger.batches.is_due()
        ledger.batches.claim("engine")
        ledger.batches.list(rule.rule_id, limit=2)
        ledger.rule_matching.is_due()
        ledger.rule_matching.act()
    _check(plans())
