"""Clips are found by what is said in them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from clipengine.clips.clip import Clip, ClipResult, ResultPart
from clipengine.clips.edit import Part
from clipengine.clips.options.output import Output
from clipengine.clips.options.snap import SnappedCut
from clipengine.clips.options.without import KeptRange, Without
from clipengine.clips.texts.cues import Cue, TimedWord
from clipengine.ledger.clips.clips import CLIP_SORTS, ClipFilter
from clipengine.ledger.database.backend import Location
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.rows import documents, pages
from clipengine.ledger.texts import spoken
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.recording import Recording
from tests.ledger.test_lists import _older, insert_old_rows

Queue = Callable[..., Clip]
Open = Callable[..., Ledger]
INSIDE = 125  # seconds: the clips of `queue` contain it


def found(ledger: Ledger, q: str, **filters: Any) -> list[str]:
    """Return the labels of the clips that have the words, in the order of the list."""
    for _ in ledger.spoken.read():
        pass
    return [clip.label for clip in ledger.clips.list(ClipFilter(limit=100, q=q, **filters)).data]


def cue(text: str, start: float = INSIDE, seconds: float = 2, *, timed: bool = False) -> Cue:
    """Return a cue whose words, if they are timed, have equal lengths."""
    start_ms, step = round(start * 1000), round(seconds * 1000) // len(text.split())
    words = [
        TimedWord(start_ms + number * step, start_ms + (number + 1) * step, word)
        for number, word in enumerate(text.split() if timed else ())
    ]
    return Cue(start_ms, start_ms + round(seconds * 1000), text, timed_words=tuple(words))


@pytest.fixture
def say(ledger: Ledger, recording: Recording) -> Callable[..., None]:
    """Give the recording a transcript of these cues."""

    def put(*cues: Cue, language: str = "en", of: str = recording.recording_id) -> None:
        ledger.transcripts.put(of, language, cues)

    return put


Say = Callable[..., None]


def test_words_of_the_range_are_found_and_no_others(ledger: Ledger, queue: Queue, say: Say) -> None:
    say(cue("before", 100), cue("The Café's budget, rises", 121), cue("edge", 149), cue("behind", 151))
    queue("goal")
    assert found(ledger, "budget") == found(ledger, "BUDG* cafe") == found(ledger, '"budget rises"') == ["goal"]
    assert found(ledger, "edge") == ["goal"]
    assert found(ledger, "before") == found(ledger, "behind") == found(ledger, '"rises budget"') == []


def test_words_of_a_cue_at_a_cut_are_found_if_their_times_are_in_the_range(
    ledger: Ledger, queue: Queue, say: Say
) -> None:
    say(cue("early inside", 119, timed=True), cue("within late", 149, timed=True))
    queue("timed")
    assert found(ledger, "inside within") == ["timed"]
    assert found(ledger, "early") == found(ledger, "late") == []
    say(cue("early inside", 119))
    assert found(ledger, "early") == ["timed"]  # its cue is shown in the clip


def test_words_may_be_in_the_label_the_tags_and_the_speech_of_a_clip(ledger: Ledger, queue: Queue, say: Say) -> None:
    queue("Winning goal", tags=["league"], metadata={"player": "Ann"})
    say(cue("what a shot"))
    assert found(ledger, "goal shot") == found(ledger, "league ann shot") == ["Winning goal"]
    assert found(ledger, "shot", tag=["league"]) == found(ledger, "shot", metadata={"player": "Ann"})
    assert found(ledger, "shot", tag=["league"]) == ["Winning goal"]
    assert found(ledger, "shot", tag=["shot"]) == found(ledger, "shot", tag=["cup"]) == []


def test_every_language_counts(ledger: Ledger, queue: Queue, say: Say) -> None:
    queue("two")
    say(cue("budget"))
    say(cue("Haushalt"), language="de")
    assert found(ledger, "budget haushalt") == ["two"]


def test_replaced_and_deleted_transcripts_are_followed(
    ledger: Ledger, queue: Queue, say: Say, recording: Recording
) -> None:
    queue("goal")
    say(cue("first"))
    assert found(ledger, "first") == ["goal"]
    say(cue("second"))
    assert [clip.label for clip in ledger.clips.list(ClipFilter(limit=9, q="first")).data] == []  # at once
    assert found(ledger, "second") == ["goal"]
    ledger.transcripts.delete(recording.recording_id, "en")
    assert found(ledger, "second") == []
    assert found(ledger, "goal") == ["goal"]


def test_changed_and_deleted_clips_are_followed(ledger: Ledger, queue: Queue, say: Say) -> None:
    say(cue("shot"))
    clip = queue("goal")
    assert found(ledger, "goal shot") == ["goal"]
    ledger.clips.update(clip.clip_id, {"label": "foul"}, {})
    assert found(ledger, "goal shot") == []
    assert found(ledger, "foul shot") == found(ledger, "foul") == ["foul"]
    ledger.clips.delete(clip.clip_id)
    assert found(ledger, "shot") == []
    if not ledger.database.shared:
        for index in ("words", "said"):
            ledger.database.run(f"INSERT INTO clip_document_{index} (clip_document_{index}) VALUES ('integrity-check')")
            assert ledger.database.run(f"SELECT rowid FROM clip_document_{index}('foul OR shot OR goal')") == []


@pytest.fixture
def other(ledger: Ledger, facts: SourceFacts) -> Recording:
    made, _ = ledger.recordings.register("other.mp4", etag="e2", size=1000)
    probe = ledger.recordings.claim_probe("me")
    assert probe
    assert ledger.recordings.probe_complete(probe, facts, etag="e2", size=1000)
    return ledger.recordings.get(made.recording_id)


def test_all_parts_of_all_recordings_count(
    ledger: Ledger, queue: Queue, say: Say, recording: Recording, other: Recording
) -> None:
    own, second = recording.recording_id, other.recording_id
    queue("joined", parts=(Part(own, 10, 20), Part(own, 50, 60), Part(second, 5, 8)))
    say(cue("one", 12), cue("between", 30), cue("two", 55))
    say(cue("three", 6), cue("behind", 9), of=second)
    assert found(ledger, "one two three") == ["joined"]
    assert found(ledger, "between") == found(ledger, "behind") == []
    say(cue("four", 6), of=second)
    assert found(ledger, "three") == []
    assert found(ledger, "four") == ["joined"]
    ledger.clips.cancel(ledger.clips.list(ClipFilter(limit=1)).data[0].clip_id)
    ledger.recordings.delete(second)
    assert found(ledger, "four") == []
    assert found(ledger, "one") == ["joined"]


def test_what_the_clip_lacks_is_not_found(ledger: Ledger, queue: Queue, say: Say) -> None:
    say(cue("um budget", timed=True), cue("um plan", 128))
    queue("shortened", without=Without(("fillers",)))
    queue("kept", without=Without(("fillers",), (KeptRange(start_seconds=120, end_seconds=127),)))
    queue("timelapse", output=Output(speed=20))
    queue("fast", output=Output(speed=2))
    assert found(ledger, "budget plan") == ["fast", "kept", "shortened"]
    assert found(ledger, '"um budget"') == ["fast", "kept"]
    assert found(ledger, '"um plan"') == ["fast", "kept", "shortened"]  # the times of its words are not known


@pytest.mark.parametrize("has_parts", [False, True])
def test_snapped_clip_has_the_words_of_its_moved_range(
    ledger: Ledger, queue: Queue, say: Say, recording: Recording, result: ClipResult, has_parts: bool
) -> None:
    say(cue("moved", 117), cue("inside", 121))
    own = recording.recording_id
    clip = queue("snapped", parts=(Part(own, 120, 150), Part(own, 200, 201)) if has_parts else ())
    assert found(ledger, "moved") == []
    parts = [ResultPart(own, 120, 150, 0, 116, 150), ResultPart(own, 200, 201, 34, 200, 201)] if has_parts else None
    snapped = [SnappedCut(0, "start", 120, 116)]
    moved = replace(result, actual_start_seconds=116, snapped=snapped, parts=parts)
    ledger.clips.claim("me")
    assert ledger.clips.complete(clip.clip_id, 1, moved)
    assert found(ledger, "moved inside") == ["snapped"]


@pytest.mark.parametrize("few", [1000, 3])
@pytest.mark.parametrize("sort", [f"{sign}{name}" for name in CLIP_SORTS for sign in ("", "-")])
@pytest.mark.typical(3)
def test_clips_with_the_word_in_their_label_come_first_on_all_pages(
    ledger: Ledger, queue: Queue, say: Say, sort: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_FEW", few)
    monkeypatch.setattr(pages, "_FIRST", 5)
    say(cue("a goal"))
    for number in range(18):
        queue(f"{'goal' if number % 3 == 0 else 'other'} {number}", seconds=number + 10)
    everything = found(ledger, "goal", sort=sort)
    key = {"label": str, "created_at": lambda label: int(label.split()[1])}
    key |= {"duration": key["created_at"], "size": str}
    for first, group in (("goal", everything[:6]), ("other", everything[6:])):
        assert [label.split()[0] for label in group] == [first] * len(group)
        if sort[-4:] != "size":
            assert group == sorted(group, key=key[sort.removeprefix("-")], reverse=sort.startswith("-"))
    assert len(everything) == 18
    for limit in (1, 5, 6, 7):
        cursor, read = None, []
        while cursor is not None or not read:
            page = ledger.clips.list(ClipFilter(limit=limit, q="goal", sort=sort, cursor=cursor))
            read += [clip.label for clip in page.data]
            cursor = page.next_cursor
        assert read == everything


def test_clips_of_an_older_version_are_read_in_steps(place: Location, open_ledger: Open) -> None:
    database = _older(place, 44)
    for number in range(120):
        insert_old_rows(database, f"{number:03}", None)
        database.run("INSERT INTO clip_documents (clip_id, words) VALUES (?, 'goal')", (f"clip_{number:03}",))
    database.run(
        "INSERT INTO transcripts (transcript_id, recording_id, language, source, cues, created_at)"
        " VALUES ('trn_1', 'rec_100', 'en', 'upload', 1, 1)"
    )
    database.run(
        "INSERT INTO cues (transcript_id, start_ms, end_ms, text, words) VALUES ('trn_1', 500, 900, 'Budget', 'budget')"
    )
    database.close()
    ledger = open_ledger()
    assert ledger.database.run("SELECT count(*) FROM clip_documents WHERE said IS NULL") == [(120,)]
    steps = [*ledger.spoken.read()]
    assert sum(steps) == 120
    assert max(steps) <= 100
    assert [clip.clip_id for clip in ledger.clips.list(ClipFilter(limit=9, q="budget goal")).data] == ["clip_100"]
    assert not ledger.spoken.is_unread()
    # An engine of the version before adds and changes a clip meanwhile.
    insert_old_rows(ledger.database, "120", None)
    ledger.database.run("INSERT INTO clip_documents (clip_id, words) VALUES ('clip_120', 'late')")
    ledger.database.run("DELETE FROM clip_documents WHERE clip_id = 'clip_100'")
    ledger.database.run("INSERT INTO clip_documents (clip_id, words) VALUES ('clip_100', 'save')")
    assert ledger.spoken.is_unread()
    assert found(ledger, "save budget") == ["goal"]
    assert found(ledger, "late") == ["goal"]


@pytest.mark.exhaustive
def test_engines_share_the_reading(ledger: Ledger, open_ledger: Open, queue: Queue, say: Say) -> None:
    for number in range(230):
        queue(f"clip {number}")
    say(cue("budget"))
    engines, together = [ledger, open_ledger(), open_ledger()], threading.Barrier(3)

    def read(engine: Ledger) -> int:
        together.wait(300)
        return sum(engine.spoken.read())

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(read, engines)) == 230
    assert len(found(ledger, "budget", sort="label")) == 100


def test_change_of_a_transcript_during_the_reading_is_not_lost(
    ledger: Ledger, open_ledger: Open, queue: Queue, say: Say, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue("goal")
    say(cue("first"))
    reader, is_reading, changed = open_ledger(), threading.Event(), threading.Event()
    said = spoken.Spoken._said

    def slow(self: spoken.Spoken, clips: Sequence[Clip]) -> dict[str, str]:
        words = said(self, clips)
        is_reading.set()
        changed.wait(0.5)  # on SQLite the change waits for this transaction
        return words

    monkeypatch.setattr(spoken.Spoken, "_said", slow)
    with ThreadPoolExecutor(2) as threads:
        reading = threads.submit(lambda: next(reader.spoken.read()))
        assert is_reading.wait(300)
        threads.submit(say, cue("second")).add_done_callback(lambda _: changed.set())
        assert reading.result() == 1
    assert found(ledger, "first") == []
    assert found(ledger, "second") == ["goal"]


@pytest.mark.typical(1)
def test_very_long_speech_is_found_up_to_a_limit(ledger: Ledger, queue: Queue, say: Say) -> None:
    clip = queue("long", seconds=5000)
    words = [f"{number:x}" for number in range(20_000)]
    cues = [cue(" ".join(words[at : at + 200]), 120 + at / 10, 20) for at in range(0, 20_000, 200)]
    say(*cues)
    assert found(ledger, f'"{15_998:x} {15_999:x}"') == ["long"]
    assert found(ledger, f"{16_000:x}") == []
    assert found(ledger, "long 1f") == ["long"]
    say(*cues, language="de")
    assert found(ledger, f"{7_999:x}") == ["long"]
    assert found(ledger, f"{8_000:x}") == []
    unique = [chr(0x12000 + number % 900) * 300 + chr(0x12000 + number // 900) for number in range(1000)]
    say(*(cue(" ".join(unique[at : at + 6]), 120 + at / 10, 5) for at in range(0, 1000, 6)))
    ledger.transcripts.delete(clip.recording_id, "de")
    assert found(ledger, f"{unique[0][:150]}*") == ["long"]
    (said,) = ledger.database.run("SELECT said FROM clip_documents")[0]
    assert len(said) < spoken.MAX_SAID_CHARACTERS + 100


def test_frequent_word_that_is_only_said_is_found_newest_first(
    ledger: Ledger, queue: Queue, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_FEW", 3)
    monkeypatch.setattr(pages, "_FIRST", 4)
    monkeypatch.setattr(documents, "_NEWER", 2)
    say(cue("the goal"))
    for number in range(9):
        queue(f"number {number}")
    assert found(ledger, "the") == [f"number {number}" for number in range(8, -1, -1)]
