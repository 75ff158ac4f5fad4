"""Rules in the ledger: each clip is made once, whatever happens between two transactions."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from clipengine.api.http.requests.rules import CreateRule, RuleClipBodies
from clipengine.basis.row_format import ROW_FORMAT
from clipengine.basis.timecode import now_ms
from clipengine.clips.texts.cues import Cue
from clipengine.errors import ClipEngineError, Conflict, DiskLow, EncoderFailed, RecordingNotFound, RuleNotFound
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database.database import insert_statement
from clipengine.ledger.database.schema import BatchRow, EventRow, RuleRow
from clipengine.ledger.ledger import Ledger
from clipengine.recordings.markers import Marker
from clipengine.recordings.recording import RecordingSpec
from clipengine.rules.rule import ConfiguredRule, Rule
from clipengine.settings.settings import Settings
from clipengine.work.cutting.rule_clips import RuleClips
from clipengine.work.cutting.variants import Variants
from clipengine.work.jobs.batches import BatchJobs
from clipengine.work.worker import JobContext, Worker
from tests.ledger.conftest import Open
from tests.support.api import FACTS

pytestmark = pytest.mark.proof


class Engine:
    """The parts of an engine that make clips of rules."""

    def __init__(self, ledger: Ledger, owner: str = "one", **limits: Any) -> None:
        self.ledger = ledger
        settings = Settings.model_validate({"limits": limits})
        self.clips = RuleClips(ledger, settings, RuleClipBodies())
        self.full: list[DiskLow] = []
        variants = Variants(ledger, self.clips)
        self.jobs = BatchJobs(JobContext(ledger, owner, threading.Event()), self.clips, variants, admit=self._admit)

    def _admit(self) -> None:
        if self.full:
            raise self.full[0]

    def rule(self, name: str = "rule", **values: Any) -> Rule:
        body = CreateRule.model_validate({"name": name, "ranges": {"kind": "all"}, **values})
        return self.ledger.rules.create(name, self.clips.checked(body.spec))

    def work(self) -> None:
        while self.ledger.rule_matching.act():
            pass
        Worker(self.jobs).run_due()

    def made(self) -> list[str]:
        return sorted(clip.label for clip in self.ledger.clips.list(ClipFilter(limit=100)).data)


@pytest.fixture
def engine(ledger: Ledger) -> Engine:
    return Engine(ledger)


def complete(ledger: Ledger, key: str = "a.mp4", *, etag: str = "e1", **values: Any) -> str:
    """Register a recording and complete its probe. Return its id."""
    made, _ = ledger.recordings.register(key, RecordingSpec(name=key, **values), etag=etag, size=5)
    probe = ledger.recordings.claim_probe("test")
    assert probe is not None
    assert ledger.recordings.probe_complete(probe, FACTS, etag=etag, size=5)
    return made.recording_id


def repeat_events(ledger: Ledger, times: int = 1, *, after: int = 0) -> None:
    """Store the events after a number again, as if another engine had recorded them too."""
    rows = ledger.database.rows(EventRow.select().where(EventRow.seq > after).order_by(EventRow.seq))
    insert = insert_statement(EventRow, without=("seq",))
    for copy in range(times):
        again = [{**row, "event_id": f"{row['event_id']}_{copy}"} for row in rows]
        ledger.database.insert_many(insert, again)


CUES = [Cue(0, 2_000, "The price is high."), Cue(2_000, 5_000, "So it is.")]
WORDS = {"kind": "words", "words": ["price"]}
MARKED = {"kind": "markers", "before": 2, "after": 3}
TRIGGERS = {"recording.complete": {"kind": "all"}, "transcript.ready": WORDS, "marker.added": MARKED}


def rules_of_all_triggers(engine: Engine) -> list[Rule]:
    """Add a rule for each trigger, which makes one clip of a recording."""
    return [
        engine.rule(event, when={"event": event}, ranges=ranges, clip={"label": f"$name {event}"})
        for event, ranges in TRIGGERS.items()
    ]


def say_and_mark(ledger: Ledger, recording_id: str) -> None:
    ledger.transcripts.put(recording_id, "en", CUES)
    ledger.markers.add(recording_id, [Marker(10, None, 0, "goal")])


def test_rule_acts_once_on_what_is_complete_after_it_was_made(engine: Engine) -> None:
    ledger = engine.ledger
    complete(ledger, "before.mp4")
    rule = engine.rule()
    complete(ledger, "after.mp4")
    engine.work()
    assert engine.made() == ["after.mp4 1"]
    repeat_events(ledger, 3, after=rule.since_seq)
    engine.work()
    assert engine.made() == ["after.mp4 1"]
    found = ledger.rules.get(rule.rule_id)
    assert (found.made, found.skipped, found.failed) == (1, 0, 0)


def test_same_content_that_is_registered_again_makes_nothing_but_new_content_does(engine: Engine) -> None:
    ledger = engine.ledger
    engine.rule()
    first = complete(ledger)
    engine.work()
    for clip in ledger.clips.list(ClipFilter(limit=10)).data:
        ledger.clips.delete(clip.clip_id)
    ledger.recordings.delete(first)
    complete(ledger)
    engine.work()
    assert engine.made() == []
    complete(ledger, etag="e2")
    engine.work()
    assert engine.made() == ["a.mp4 1"]


@pytest.mark.exhaustive
def test_many_events_that_come_twice_make_each_clip_once(engine: Engine) -> None:
    """The cursor reads 500 events at a time, and each event with markers alone."""
    ledger = engine.ledger
    rules_of_all_triggers(engine)
    for number in range(5):
        complete(ledger, f"{number}.mp4")
    say_and_mark(ledger, complete(ledger, "5.mp4"))
    repeat_events(ledger, 1200 // len(ledger.events.after(0)) + 1)
    engine.work()
    assert engine.made() == sorted(
        [*(f"{number}.mp4 recording.complete" for number in range(6)), "5.mp4 marker.added", "5.mp4 transcript.ready"]
    )
    assert not ledger.rule_matching.is_due()


def test_two_engines_make_each_clip_once(engine: Engine, open_ledger: Open) -> None:
    rules_of_all_triggers(engine)
    for number in range(5):
        say_and_mark(engine.ledger, complete(engine.ledger, f"{number}.mp4"))
    engines = [Engine(open_ledger(), owner) for owner in ("one", "two")]
    threads = [threading.Thread(target=each.work) for each in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    engine.work()  # a thread that found nothing due may have ended before the other one had matched all
    assert engine.made() == sorted(f"{number}.mp4 {event}" for number in range(5) for event in TRIGGERS)


@pytest.mark.parametrize("before", [True, False])
def test_transcript_makes_its_clips_once_before_and_after_its_recording_is_complete(
    engine: Engine, before: bool
) -> None:
    ledger = engine.ledger
    rule = engine.rule(when={"event": "transcript.ready", "language": "en"}, ranges=WORDS)
    engine.rule("any", when={"event": "transcript.ready"})
    made, _ = ledger.recordings.register("a.mp4", RecordingSpec(name="a"), etag="e1", size=5)
    probe = ledger.recordings.claim_probe("test")
    assert probe is not None
    put = partial(ledger.transcripts.put, made.recording_id)
    if before:
        put("en", CUES, source="sidecar")
    assert ledger.recordings.probe_complete(probe, FACTS, etag="e1", size=5)
    if not before:
        put("de", CUES)
        engine.work()
        assert ledger.rules.get(rule.rule_id).made == 0
    for _ in range(20):
        put("en", CUES)
    engine.work()
    repeat_events(ledger, 3)
    engine.work()
    assert engine.made() == ["a 1", "a 1"]
    assert {(clip.start_seconds, clip.end_seconds) for clip in ledger.clips.list(ClipFilter(limit=9)).data} == {
        (0.0, 2.0),
        (0.0, float(FACTS.duration)),
    }


def test_transcript_of_an_engine_before_the_rule_makes_nothing(engine: Engine) -> None:
    recording_id = complete(engine.ledger)
    engine.ledger.transcripts.put(recording_id, "en", CUES)
    engine.rule(when={"event": "transcript.ready"}, ranges=WORDS)
    engine.work()
    assert engine.made() == []


AROUND = {"kind": "markers", "before": 5, "after": 5, "labels": ["a"]}


def test_marker_makes_its_clip_once_and_waits_for_the_probe(engine: Engine) -> None:
    ledger = engine.ledger
    rule = engine.rule(
        when={"event": "marker.added", "min_seconds": 60}, ranges=AROUND, clip={"label": "$title"}, max_clips=3
    )
    long = engine.rule("long", when={"event": "marker.added", "min_seconds": 1e5}, ranges=AROUND)
    engine.rule("all", ranges=AROUND, clip={"label": "all"})
    made, _ = ledger.recordings.register("a.mp4", RecordingSpec(name="a"), etag="e1", size=5)
    add = partial(ledger.markers.add, made.recording_id)
    assert add([Marker(10, None, 0, "a1"), Marker(20, None, 0, "b"), Marker(10, None, 0, "a1")]) == 2
    engine.work()
    assert engine.made() == []
    (waiting,) = ledger.batches.list(rule.rule_id, limit=10).data
    assert (waiting.state, waiting.reason) == ("waiting", "recording_not_complete")
    probe = ledger.recordings.claim_probe("test")
    assert probe is not None
    assert ledger.recordings.probe_complete(probe, FACTS, etag="e1", size=5)
    assert add([Marker(10, None, 0, "a1")]) == 0
    assert add([Marker(100.5, None, 0, f"a{number}") for number in range(2, 9)]) == 7
    due(ledger)
    engine.work()
    repeat_events(ledger, 3)
    engine.work()
    assert engine.made() == ["a1", "a2", "a3", "all", "all"]
    assert ledger.rules.get(rule.rule_id).made == 3  # max_clips
    batches = ledger.batches.list(long.rule_id, limit=9).data
    items = ledger.batches.items([each.batch_id for each in batches])
    assert [each.code for of_batch in items.values() for each in of_batch] == ["not_matched"]


def test_markers_of_a_recording_are_limited_and_go_with_it(ledger: Ledger) -> None:
    recording_id = complete(ledger)
    added = [
        ledger.markers.add(recording_id, [Marker(float(each), None) for each in range(start, start + 200)])
        for start in range(0, 1200, 200)
    ]
    assert added == [200] * 5 + [0]
    ledger.recordings.delete(recording_id)
    assert ledger.markers.list(recording_id) == []
    with pytest.raises(RecordingNotFound):
        ledger.markers.add(recording_id, [Marker(1.0, None)])


def test_share_is_made_with_its_clip_and_once(engine: Engine) -> None:
    ledger = engine.ledger
    engine.rule(clip={"share": {"expires_in_days": 2, "download": False}})
    complete(ledger)
    engine.work()
    repeat_events(ledger)
    engine.work()
    (clip,) = ledger.clips.list(ClipFilter(limit=9)).data
    (share,) = ledger.shares.list(clip.clip_id, limit=9).data
    assert (share.download, share.embed) == (False, True)
    assert share.expires_at == share.created_at + 2 * 86_400_000
    token = ledger.shares.token_of_rule(clip.clip_id)
    assert ledger.shares.tokens_of_rule([clip.clip_id, "clip_missing"]) == {clip.clip_id: token}
    ledger.shares.delete(clip.clip_id, share.share_id)
    assert ledger.shares.tokens_of_rule([clip.clip_id]) == {}


def test_backfill_acts_on_earlier_recordings_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = engine.ledger
    monkeypatch.setattr("clipengine.ledger.automation.rule_matching._RECORDINGS_AT_ONCE", 2)
    monkeypatch.setattr("clipengine.ledger.automation.rules.MAX_BACKFILL", 5)
    for number in range(6):
        complete(ledger, f"{number}.mp4", tags=["x"] if number % 2 else [])
    rule = engine.rule(when={"tag": "x"})
    started = ledger.rules.start_backfill(rule.rule_id, created_after=None).backfill
    assert started is not None
    assert (started["total"], started["left_out"]) == (5, True)
    with pytest.raises(Conflict):
        ledger.rules.start_backfill(rule.rule_id, created_after=None)
    assert ledger.rule_matching.is_due()
    repeat_events(ledger)  # live and backfill at the same time
    engine.work()
    assert not ledger.rule_matching.is_due()
    found = ledger.rules.get(rule.rule_id)
    assert found.backfill is not None
    assert [found.backfill[name] for name in ("state", "seen", "matched")] == ["complete", 5, 2]
    assert found.made == 3
    ledger.rules.start_backfill(rule.rule_id, created_after=now_ms() + 1000)
    engine.work()
    assert ledger.rules.get(rule.rule_id).made == 3


def test_backfill_is_cancelled_and_waits_while_its_rule_is_disabled(engine: Engine) -> None:
    ledger = engine.ledger
    recording_id = complete(ledger)
    ledger.transcripts.put(recording_id, "en", CUES)
    ledger.markers.add(recording_id, [Marker(10.0, None, 0.0, "a")])
    rule = engine.rule()
    said = engine.rule("said", when={"event": "transcript.ready"}, ranges=WORDS, clip={"label": "said"})
    marked = engine.rule("marked", when={"event": "marker.added"}, ranges=AROUND, clip={"label": "marked"})
    ledger.rules.start_backfill(rule.rule_id, created_after=None)
    ledger.rules.update(rule.rule_id, enabled=False)
    engine.work()
    with pytest.raises(Conflict):
        ledger.rules.start_backfill(rule.rule_id, created_after=None)
    cancelled = ledger.rules.cancel_backfill(rule.rule_id).backfill
    assert cancelled is not None
    assert (cancelled["state"], cancelled["seen"]) == ("cancelled", 0)
    for each in (said, marked):
        ledger.rules.start_backfill(each.rule_id, created_after=None)
    engine.work()
    assert engine.made() == ["marked", "said"]


class Killed(BaseException):
    """The engine is killed: nothing is recorded, and its claim stays."""


@pytest.mark.parametrize("point", ["expanding", "expanded", "made"])
def test_engine_that_is_killed_in_any_state_leaves_what_the_next_one_completes(engine: Engine, point: str) -> None:
    ledger = engine.ledger
    rules = rules_of_all_triggers(engine)
    say_and_mark(ledger, complete(ledger))
    while ledger.rule_matching.act():
        pass

    def kill(reached: str) -> None:
        if reached == point:
            raise Killed

    engine.jobs.faults.reach = kill  # type: ignore[method-assign,assignment]
    for _ in rules:  # each batch is held by a dead engine
        with pytest.raises(Killed):
            Worker(engine.jobs).run_due()
    other = Engine(ledger, "two")
    other.work()
    assert ledger.batches.claim("two") is None
    assert ledger.batches.release_orphans("two", living=lambda: ["two"]) == len(rules)
    other.work()
    assert engine.made() == sorted(f"a.mp4 {event}" for event in TRIGGERS)
    for rule in rules:
        (batch,) = ledger.batches.list(rule.rule_id, limit=10).data
        assert (batch.state, batch.made, batch.total) == ("complete", 1, 1)
        assert ledger.rules.get(rule.rule_id).made == 1


def test_many_rules_on_many_recordings_are_matched_in_short_transactions(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = engine.ledger
    for number in range(3):
        engine.rule(f"rule {number}")
    for number in range(5):
        complete(ledger, f"{number}.mp4")
    monkeypatch.setattr("clipengine.ledger.automation.rule_matching.BATCHES_AT_ONCE", 6)
    assert _batches_after_each_pass(ledger) == [6, 12, 15]


def test_many_rules_on_many_markers_are_matched_in_short_transactions(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = engine.ledger
    for number in range(3):
        engine.rule(f"rule {number}", when={"event": "marker.added"}, ranges={"kind": "markers"}, max_clips=5)
    recording_id = complete(ledger)
    ledger.markers.add(recording_id, [Marker(float(each), None) for each in range(7)])
    monkeypatch.setattr("clipengine.ledger.automation.rule_matching.BATCHES_AT_ONCE", 6)
    assert _batches_after_each_pass(ledger) == [6, 12, 15]
    assert not ledger.rule_matching.is_due()


def _batches_after_each_pass(ledger: Ledger) -> list[int]:
    """Return the numbers of batches after each pass that has made some."""
    numbers = set()
    while ledger.rule_matching.act():
        numbers.add(len(ledger.database.rows(BatchRow.select())))
    return sorted(numbers - {0})


def test_connection_that_is_lost_in_a_pass_leaves_nothing_half_done(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover of PostgreSQL ends the connections, between the batch and the cursor, and between clip and batch."""
    ledger = engine.ledger
    rule = engine.rule()
    complete(ledger)
    lost: list[str] = []

    def lose(owner: Any, name: str) -> None:
        """Let the next call of a method lose the connection when it has returned."""
        method = getattr(owner, name)

        def losing(*args: Any, **values: Any) -> Any:
            result = method(*args, **values)
            if name not in lost:
                lost.append(name)
                if ledger.database.shared:
                    ledger.database.run("SELECT pg_terminate_backend(pg_backend_pid())")
                raise OSError("lost")
            return result

        monkeypatch.setattr(owner, name, losing)

    lose(ledger.rules, "set_cursor")
    with pytest.raises((ClipEngineError, OSError)):
        ledger.rule_matching.act()
    assert ledger.batches.list(rule.rule_id, limit=9).data == []
    lose(ledger.batches, "_set_item")
    engine.work()
    assert (lost, engine.made()) == (["set_cursor", "_set_item"], [])
    ledger.batches.release_orphans("one", in_flight=tuple)
    due(ledger)
    engine.work()
    assert engine.made() == ["a.mp4 1"]
    assert ledger.rules.get(rule.rule_id).made == 1


def test_full_queue_and_full_disk_let_the_batch_wait(engine: Engine, open_ledger: Open) -> None:
    ledger = open_ledger(max_queued=4)
    small = Engine(ledger)
    small.full = [DiskLow("full")]
    rule = small.rule()
    for number in range(3):
        complete(ledger, f"{number}.mp4")
    small.work()
    assert {each.reason for each in ledger.batches.list(rule.rule_id, limit=10).data} == {"disk_low"}
    small.full = []
    due(ledger)
    small.work()
    assert len(small.made()) == 2  # half of the queue is left to people
    waiting = [each for each in ledger.batches.list(rule.rule_id, limit=10).data if each.state != "complete"]
    assert [(each.state, each.reason) for each in waiting] == [("making", "queue_full")]
    for clip in ledger.clips.list(ClipFilter(limit=10)).data:
        ledger.clips.cancel(clip.clip_id)
    due(ledger)
    small.work()
    assert len(small.made()) == 3
    assert ledger.rules.get(rule.rule_id).stopped_reason is None


def due(ledger: Ledger) -> None:
    ledger.database.change(BatchRow.update(next_at=0))


def test_rule_stops_after_failures_in_a_row(engine: Engine, open_ledger: Open) -> None:
    ledger = open_ledger(rule_failures=2)
    stopping = Engine(ledger)
    rule = stopping.rule()
    for number, end in enumerate(["fail", "cancel", "fail"]):
        complete(ledger, f"{number}.mp4")
        stopping.work()
        clip = ledger.clips.claim("test")
        assert clip is not None
        if end == "fail":
            ledger.clips.fail(clip.clip_id, clip.attempt, EncoderFailed("broken"))
        else:
            ledger.clips.cancel(clip.clip_id)
        stopping.work()
    found = ledger.rules.get(rule.rule_id)
    assert (found.enabled, found.failed) == (False, 3)
    assert found.stopped_reason == "2 clips failed in a row, the last with encoder_failed"
    assert ledger.events.after(0)[-1].type == "rule.stopped"
    assert ledger.stats.read().rules_stopped == 1
    complete(ledger, "later.mp4")
    stopping.work()
    assert "later.mp4 1" not in stopping.made()
    again = ledger.rules.update(rule.rule_id, enabled=True)
    assert (again.stopped_reason, again.failures_in_row) == (None, 0)
    assert ledger.stats.read().rules_stopped == 0
    stopping.work()
    assert "later.mp4 1" not in stopping.made()


def test_rule_whose_profile_was_removed_fails_and_a_recording_without_chapters_is_skipped(ledger: Ledger) -> None:
    settings = {"profiles": {"vertical": {}}}
    before = Engine(ledger)
    before.clips = RuleClips(ledger, Settings.model_validate(settings), RuleClipBodies())
    invalid = before.rule("invalid", clip={"profile": "vertical"})
    chapters = before.rule("chapters", ranges={"kind": "chapters"})
    complete(ledger)
    Engine(ledger).work()
    found = ledger.rules.get(invalid.rule_id)
    assert (found.failed, found.failures_in_row) == (1, 1)
    assert found.last_error is not None
    assert found.last_error["code"] == "unknown_profile"
    skipped = ledger.rules.get(chapters.rule_id)
    assert (skipped.skipped, skipped.failures_in_row) == (1, 0)
    (batch,) = ledger.batches.list(chapters.rule_id, limit=10).data
    (item,) = ledger.batches.items([batch.batch_id])[batch.batch_id]
    assert (batch.state, item.code) == ("complete", "no_chapters")


def test_edited_rule_makes_nothing_again_and_a_deleted_one_nothing_more(engine: Engine) -> None:
    ledger = engine.ledger
    rule = engine.rule()
    complete(ledger, "a.mp4")
    engine.work()
    spec = rule.spec.model_copy(update={"max_clips": 3})
    assert ledger.rules.update(rule.rule_id, spec=spec).revision == 2
    repeat_events(ledger)
    engine.work()
    assert engine.made() == ["a.mp4 1"]
    complete(ledger, "b.mp4")
    while ledger.rule_matching.act():
        pass
    ledger.rules.delete(rule.rule_id)
    engine.work()
    assert engine.made() == ["a.mp4 1"]
    with pytest.raises(RuleNotFound):
        ledger.rules.get(rule.rule_id)
    while ledger.retention.run(keep_ms=None):
        pass
    assert ledger.database.rows(BatchRow.select()) == []
    assert ledger.database.rows(RuleRow.select()) == []


def test_disabled_rule_keeps_what_it_has_matched(engine: Engine) -> None:
    ledger = engine.ledger
    rule = engine.rule()
    complete(ledger, "a.mp4")
    while ledger.rule_matching.act():
        pass
    ledger.rules.update(rule.rule_id, enabled=False)
    complete(ledger, "missed.mp4")
    engine.work()
    assert engine.made() == []
    ledger.rules.update(rule.rule_id, enabled=True)
    engine.work()
    assert engine.made() == ["a.mp4 1"]


def test_rules_of_the_settings_are_known_by_their_names(engine: Engine) -> None:
    ledger = engine.ledger
    wanted = ConfiguredRule.model_validate({"name": "Night", "ranges": {"kind": "all"}, "clip": {"label": "x"}})
    ledger.rules.sync_settings([wanted])
    (rule,) = ledger.rules.all()
    complete(ledger)
    engine.work()
    assert engine.made() == ["x"]
    ledger.rules.sync_settings([])
    assert ledger.rules.all() == []
    ledger.rules.sync_settings([wanted])
    repeat_events(ledger)
    engine.work()
    assert [each.rule_id for each in ledger.rules.all()] == [rule.rule_id]
    assert engine.made() == ["x"]
    ledger.rules.update(rule.rule_id, enabled=False)
    ledger.rules.sync_settings([wanted])
    assert not ledger.rules.get(rule.rule_id).enabled
    off = wanted.model_copy(update={"enabled": False})
    ledger.rules.sync_settings([off])
    ledger.rules.update(rule.rule_id, enabled=True)
    ledger.rules.sync_settings([off])
    assert not ledger.rules.get(rule.rule_id).enabled
    ledger.rules.sync_settings([wanted])
    assert ledger.rules.get(rule.rule_id).enabled


def test_events_that_rules_have_not_read_are_kept(engine: Engine) -> None:
    ledger = engine.ledger
    complete(ledger, "before.mp4")
    engine.rule()
    first = complete(ledger, "a.mp4")
    while ledger.retention.run(keep_ms=-10_000):
        pass
    assert [event.type for event in ledger.events.after(0)] == ["recording.complete"]
    engine.work()
    assert engine.made() == ["a.mp4 1"]
    while ledger.retention.run(keep_ms=-10_000):
        pass
    assert ledger.events.after(0) == []
    for clip in ledger.clips.list(ClipFilter(limit=10)).data:
        ledger.clips.delete(clip.clip_id)
    ledger.recordings.delete(first)
    complete(ledger, "a.mp4")
    engine.work()
    assert engine.made() == []  # the batch is remembered without its items


def test_rule_of_a_newer_engine_is_left_to_it(engine: Engine) -> None:
    """Events stay unread, so that the newer engine misses none."""
    ledger = engine.ledger
    rule = engine.rule()
    newer = {"needs": ROW_FORMAT + 1, "spec": {**rule.stored, "ranges": {"kind": "unknown"}}}
    ledger.database.change(RuleRow.update(newer))
    complete(ledger)
    engine.work()
    assert engine.made() == []
    assert ledger.rule_matching.is_due()
    assert ledger.rules.get(rule.rule_id).stored["ranges"] == {"kind": "unknown"}
    ledger.database.change(RuleRow.update(needs=ROW_FORMAT, spec=rule.stored))
    engine.work()
    assert engine.made() == ["a.mp4 1"]


def test_without_rules_an_idle_engine_asks_once_for_events(engine: Engine, monkeypatch: Any) -> None:
    ledger = engine.ledger
    complete(ledger)
    statements: list[str] = []
    execute = ledger.database._execute

    def count(sql: str, params: tuple[Any, ...]) -> Any:
        statements.append(sql)
        return execute(sql, params)

    monkeypatch.setattr(ledger.database, "_execute", count)
    assert not ledger.rule_matching.is_due()
    assert len(statements) == 1
