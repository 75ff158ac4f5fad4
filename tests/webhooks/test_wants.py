"""Endpoints that want only some events of clips and recordings, and the shares that are made for them."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import pytest

from clipengine.basis.events import ConfiguredEndpoint
from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest
from clipengine.ledger.audit.audit import AuditFilter
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.webhooks.wants import Subject, wants_event
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.recording import Recording, RecordingSpec
from tests.support.outbox import SECRET
from tests.support.results import clip_result

RULE = "rule_01jtestrule000000000000000"
OTHER_RULE = "rule_01jotherrule00000000000000"


def complete_recording(ledger: Ledger, **spec: Any) -> Recording:
    key = f"r/{time.monotonic_ns()}.mp4"
    recording, _ = ledger.recordings.register(key, RecordingSpec(**spec), etag="e", size=1)
    probe = ledger.recordings.claim_probe("inst_1")
    assert probe
    facts = SourceFacts(container="mp4", origin=Fraction(0), duration=Fraction(60))
    assert ledger.recordings.probe_complete(probe, facts, etag="e", size=1)
    return ledger.recordings.get(recording.recording_id)


def end_clip(ledger: Ledger, recording: Recording, **options: Any) -> Clip:
    """Create a clip and complete it, so that `clip.ready` is recorded."""
    request = ClipRequest("label", 0, 10, **options)
    clip = ledger.clips.create(recording, request, extension="mp4")
    claimed = ledger.clips.claim("inst_1")
    assert claimed
    assert claimed.clip_id == clip.clip_id
    assert ledger.clips.complete(clip.clip_id, claimed.attempt, clip_result())
    return ledger.clips.get(clip.clip_id)


def received(ledger: Ledger, *events: str) -> dict[str, list[str]]:
    """Return the ids of the clips, or of the recordings, that each endpoint gets events of, by the path of its URL."""
    found: dict[str, list[str]] = {}
    for delivery in ledger.deliveries.list(endpoint_id=None, limit=100).data:
        if delivery.event_type in events:
            found.setdefault(delivery.url.rpartition("/")[2], []).append(
                delivery.clip_id or delivery.recording_id or ""
            )
    return {name: sorted(ids) for name, ids in found.items()}


def add(ledger: Ledger, name: str, events: list[str], wants: dict[str, list[str]] | None = None) -> str:
    return ledger.endpoints.create(f"https://{name}.example.org/{name}", events, SECRET, wants=wants).webhook_id


def test_endpoint_gets_only_the_clips_that_it_wants(ledger: Ledger) -> None:
    add(ledger, "all", ["clip.ready"])
    add(ledger, "rule", ["clip.ready"], {"rules": [RULE, OTHER_RULE]})
    add(ledger, "tag", ["clip.ready"], {"tags": ["keep", "best"]})
    add(ledger, "series", ["clip.ready"], {"series": ["standup"]})
    add(ledger, "both", ["clip.ready"], {"rules": [RULE], "series": ["standup"]})
    standup = complete_recording(ledger, series="standup", tags=["best"])
    other = complete_recording(ledger)
    made = end_clip(ledger, standup, created_by=RULE)
    by_hand = end_clip(ledger, standup, tags=["best"])
    elsewhere = end_clip(ledger, other, created_by=RULE, tags=["draft"])
    assert received(ledger, "clip.ready") == {
        "all": sorted(clip.clip_id for clip in (made, by_hand, elsewhere)),
        "rule": sorted([made.clip_id, elsewhere.clip_id]),
        "tag": [by_hand.clip_id],
        "series": sorted([made.clip_id, by_hand.clip_id]),
        "both": [made.clip_id],
    }


def test_events_of_recordings_have_tags_and_series_and_no_rule(ledger: Ledger) -> None:
    add(ledger, "rule", ["recording.complete"], {"rules": [RULE]})
    add(ledger, "tag", ["recording.complete"], {"tags": ["keep"]})
    add(ledger, "series", ["recording.complete"], {"series": ["standup"]})
    tagged = complete_recording(ledger, tags=["keep"])
    serial = complete_recording(ledger, series="standup")
    assert received(ledger, "recording.complete") == {"tag": [tagged.recording_id], "series": [serial.recording_id]}


def test_expired_clips_of_one_batch_reach_those_that_want_them(ledger: Ledger) -> None:
    add(ledger, "tag", ["clip.expired"], {"tags": ["best"]})
    add(ledger, "all", ["clip.expired"])
    recording = complete_recording(ledger)
    clips = [end_clip(ledger, recording, tags=["best"], expires_at=1), end_clip(ledger, recording, expires_at=1)]
    with ledger.transaction():
        ledger.events.clips_expired(clips, reason="expires_at")
    assert received(ledger, "clip.expired") == {
        "tag": [clips[0].clip_id],
        "all": sorted(clip.clip_id for clip in clips),
    }


def test_other_events_and_the_url_of_a_clip_are_not_filtered(ledger: Ledger) -> None:
    add(ledger, "tag", ["clip.ready", "endpoint.disabled"], {"tags": ["best"]})
    gone = add(ledger, "gone", ["clip.failed"])
    clip = end_clip(ledger, complete_recording(ledger), webhook_url="https://own.example.org/own")
    with ledger.transaction():
        ledger.events.endpoint_disabled(ledger.endpoints.get(gone))
    assert received(ledger, "clip.ready", "endpoint.disabled") == {"own": [clip.clip_id], "tag": [""]}


def test_what_is_wanted_changes_for_later_events(ledger: Ledger) -> None:
    id = add(ledger, "tag", ["clip.ready"], {"tags": ["best"]})
    recording = complete_recording(ledger)
    end_clip(ledger, recording)
    assert ledger.endpoints.update(id, enabled=True).wants == {"tags": ["best"]}
    assert ledger.endpoints.update(id, wants={}).wants is None
    later = end_clip(ledger, recording)
    assert received(ledger, "clip.ready") == {"tag": [later.clip_id]}


def test_endpoints_of_the_settings_keep_up_with_them(ledger: Ledger) -> None:
    wanted = ConfiguredEndpoint("https://a.example.org/a", SECRET, ["clip.ready"], "json", {"tags": ["best"]})
    for wants in ({"tags": ["best"]}, {"series": ["standup"]}, {}):
        (endpoint,) = ledger.endpoints.sync_settings([wanted._replace(wants=wants)])
        assert endpoint.wants == (wants or None)


def test_recording_is_read_only_for_what_needs_it() -> None:
    def fail() -> None:
        raise AssertionError("the recording was read")

    clip = Subject(fail, own_tags=["best"], created_by=RULE)
    assert wants_event({"tags": ["best"], "rules": [RULE]}, clip)
    assert not wants_event({"tags": ["keep"]}, clip)
    with pytest.raises(AssertionError):
        wants_event({"series": ["standup"]}, clip)


class TestShares:
    """Shares that are made for the webhooks of an event."""

    @pytest.fixture(autouse=True)
    def _shares(self, ledger: Ledger) -> None:
        ledger.share_ready_clips(keep_ms=30 * 24 * 3600 * 1000)

    def test_share_is_made_only_for_receivers_and_names_them(self, ledger: Ledger) -> None:
        add(ledger, "slack", ["clip.ready"], {"rules": [RULE]})
        off = add(ledger, "off", ["clip.ready"])
        ledger.endpoints.update(off, enabled=False)
        recording = complete_recording(ledger)
        by_hand = end_clip(ledger, recording)
        assert ledger.shares.list(by_hand.clip_id, limit=9).data == []
        made = end_clip(ledger, recording, created_by=RULE, webhook_url="https://own.example.org:8443/own?key=secret")
        (share,) = ledger.shares.list(made.clip_id, limit=9).data
        assert share.webhook_hosts == ["slack.example.org", "own.example.org:8443"]
        assert share.expires_at == share.created_at + 30 * 24 * 3600 * 1000

    def test_each_share_has_a_row_in_the_audit_log(self, ledger: Ledger) -> None:
        add(ledger, "slack", ["clip.ready"])
        recording = complete_recording(ledger)
        clips = [end_clip(ledger, recording) for _ in range(3)]
        shares = [ledger.shares.list(clip.clip_id, limit=9).data[0].share_id for clip in clips]
        rows = ledger.audit.list(AuditFilter(limit=9, action="share.create")).data
        assert [(row.actor_kind, row.actor_id, row.object_id, row.within_id) for row in reversed(rows)] == [
            ("source", "webhooks.links", share, clip.clip_id) for share, clip in zip(shares, clips, strict=True)
        ]

    def test_list_of_all_shares_finds_those_without_an_end(self, ledger: Ledger) -> None:
        recording = complete_recording(ledger)
        clips = [end_clip(ledger, recording) for _ in range(3)]
        ends = [None, 4_000_000_000_000, None]
        made = [
            ledger.shares.create(clip.clip_id, expires_at=end, download=True, embed=True)[0]
            for clip, end in zip(clips, ends, strict=True)
        ]
        newest = sorted(made, key=lambda share: (share.created_at, share.share_id), reverse=True)
        first = ledger.shares.list_all(without_end=False, limit=2)
        rest = ledger.shares.list_all(without_end=False, limit=2, cursor=first.next_cursor)
        assert [*first.data, *rest.data] == [(share, "label") for share in newest]
        endless = ledger.shares.list_all(without_end=True, limit=9).data
        assert [share for share, _ in endless] == [share for share in newest if share.expires_at is None]
