"""Filters and orders of the lists of clips and recordings."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.clips.edit import Part
from clipengine.clips.metadata import MAX_METADATA
from clipengine.clips.options.output import Output
from clipengine.ledger.clips.clips import CLIP_SORTS, ClipFilter
from clipengine.ledger.database.backend import Location, PostgresLocation
from clipengine.ledger.database.database import Database
from clipengine.ledger.database.migrations import MIGRATIONS, create_meta, migrate
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.file import file_database
from clipengine.ledger.opening.postgres_open import postgres_database
from clipengine.ledger.recordings.recordings import RECORDING_SORTS, RecordingFilter
from clipengine.ledger.rows import documents, pages
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.recording import Recording, RecordingSpec
from tests.support.selection import cases

pytestmark = pytest.mark.proof

Queue = Callable[..., Clip]
Open = Callable[..., Ledger]
FACTS = json.dumps({"container": "mp4", "origin": "0", "duration": "27/2", "audio": [], "warnings": []})


def found(ledger: Ledger, **filters: Any) -> list[str]:
    """Return the labels of the clips that are found, sorted."""
    return sorted(clip.label for clip in ledger.clips.list(ClipFilter(limit=100, **filters)).data)


@pytest.fixture
def clips(queue: Queue) -> None:
    queue("Winning goal", tags=["Blue team", "league"], metadata={"player": "Ann Smith", "half": "2"})
    queue("own-goal.mp4", tags=["red"], metadata={"player": 'Bo "the wall" O\'Neil', "half": "22"})
    queue("Café Zürich", tags=["league", "C++"], metadata={"path": "C:\\new\\table", "note": "line one\nline two"})


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("goal", ["Winning goal", "own-goal.mp4"]),
        ("GOA* own", ["own-goal.mp4"]),
        ("goa", []),
        ("smith blue", ["Winning goal"]),
        ('"blue team"', ["Winning goal"]),
        ('"team blue"', []),
        ("player", ["Winning goal", "own-goal.mp4"]),
        ("zurich", ["Café Zürich"]),
        ("new line", ["Café Zürich"]),
        ("able", []),
        ("0", []),
        ("neil wall", ["own-goal.mp4"]),
    ],
)
def test_words_are_found(ledger: Ledger, q: str, expected: list[str]) -> None:
    assert found(ledger, q=q) == expected


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize(
    "q",
    [
        *['goal"', "goal*", "goal NOT x", "NEAR(goal)", "label:goal", "goal & ! (", "goal':*", "^goal", "-goal"],
        *["goal%s?", "goal \\", "goal\0", "goal <-> x", "{goal}", "goal | x", 'goal" OR "x', "ﷲ" * 200],
    ],
)
@pytest.mark.typical(2)
def test_syntax_of_queries_has_no_meaning(ledger: Ledger, q: str) -> None:
    assert found(ledger, q=q) in ([], ["Winning goal", "own-goal.mp4"])


@pytest.mark.usefixtures("clips")
def test_clips_have_all_tags_and_metadata_exactly(ledger: Ledger) -> None:
    assert found(ledger, tag=["league"]) == ["Café Zürich", "Winning goal"]
    assert found(ledger, tag=["league", "Blue team"]) == ["Winning goal"]
    assert found(ledger, tag=["Blue"]) == found(ledger, tag=["blue team"]) == found(ledger, tag=["leagu"]) == []
    assert found(ledger, tag=["C++"]) == ["Café Zürich"]
    assert found(ledger, metadata={"half": "2"}) == ["Winning goal"]
    assert found(ledger, metadata={"half": "2", "player": "Ann"}) == []
    assert found(ledger, metadata={"player": 'Bo "the wall" O\'Neil'}) == ["own-goal.mp4"]
    assert found(ledger, metadata={"path": "C:\\new\\table"}) == ["Café Zürich"]
    assert found(ledger, metadata={"note": "line one\nline two"}) == ["Café Zürich"]
    assert found(ledger, tag=["league"], q="goal", metadata={"half": "2"}, status="processing") == ["Winning goal"]
    assert found(ledger, tag=["league"], q="goal", status="failed") == []


def test_tag_without_letters_is_found(ledger: Ledger, queue: Queue) -> None:
    queue("fire", tags=["🔥"])
    queue("other", tags=["!"], metadata={"a": "🔥"})
    assert found(ledger, tag=["🔥"]) == ["fire"]
    assert found(ledger, metadata={"a": "🔥"}) == ["other"]


def test_changes_and_deletions_are_followed(ledger: Ledger, queue: Queue) -> None:
    clip = queue("goal", tags=["red"])
    ledger.clips.update(clip.clip_id, {"label": "foul", "tags": ["blue"]}, {"half": "2"})
    assert found(ledger, q="goal") == found(ledger, tag=["red"]) == []
    assert found(ledger, q="foul half") == found(ledger, tag=["blue"], metadata={"half": "2"}) == ["foul"]
    ledger.clips.delete(clip.clip_id)
    assert found(ledger, q="foul") == []
    for table in ("clip_documents", "recording_documents"):
        (rows,) = ledger.database.run(f"SELECT count(*) FROM {table}")
        assert rows == ((0,) if table == "clip_documents" else (1,))
    ledger.recordings.delete(clip.recording_id)
    assert ledger.database.run("SELECT count(*) FROM recording_documents") == [(0,)]
    if not ledger.database.shared:
        assert ledger.database.run("SELECT rowid FROM clip_document_words('foul OR goal')") == []


@pytest.mark.typical(1)
def test_largest_metadata_is_indexed(ledger: Ledger, queue: Queue) -> None:
    alphabet = [chr(0x12000 + number) for number in range(900)]
    values = random.Random(1)
    largest = {
        f"{number:0100}": " ".join("".join(values.choices(alphabet, k=3)) for _ in range(500))
        for number in range(MAX_METADATA)
    }
    largest[f"{0:0100}"] = "x" * 2000  # a word that no index holds
    clip = queue("large", metadata=largest)
    assert found(ledger, metadata={f"{99:0100}": largest[f"{99:0100}"]}) == ["large"]
    assert found(ledger, metadata={f"{0:0100}": "x" * 2000}) == ["large"]
    assert found(ledger, q=largest[f"{99:0100}"].split()[-1]) == ["large"]
    ledger.clips.delete(clip.clip_id)


@pytest.mark.parametrize("few", [1000, 3])
@pytest.mark.parametrize("filters", [{}, {"q": "go"}, {"tag": ["even"]}, {"metadata": {"rest": "1"}}])
@pytest.mark.parametrize(
    "sort", cases([f"{sign}{name}" for name in CLIP_SORTS for sign in ("", "-")], ["-created_at", "label", "-size"])
)
@pytest.mark.typical(2)
def test_pages_of_every_order_are_complete(
    ledger: Ledger,
    queue: Queue,
    result: ClipResult,
    recording: Recording,
    monkeypatch: pytest.MonkeyPatch,
    sort: str,
    filters: dict[str, Any],
    few: int,
) -> None:
    monkeypatch.setattr(documents, "_FEW", few)
    monkeypatch.setattr(documents, "_NEWER", few)
    monkeypatch.setattr(pages, "_FIRST", few + 1)
    with ledger.transaction():
        for number in range(9):
            queue(
                ("Goal", "goal 2", "b.c", "über", "goal")[number % 5],
                seconds=(7 * number) % 5 + 1 / 3,
                tags=["even"] if number % 2 == 0 else [],
                metadata={"rest": str(number % 3)},
                output=Output(speed=2.0) if number % 3 == 0 else None,
                parts=(Part(recording.recording_id, 0, 1), Part(recording.recording_id, 100, 101))
                if number == 4
                else (),
            )
            if number % 2:
                claimed = ledger.clips.claim("me")
                assert claimed
                size = 1000 - number % 4
                ledger.clips.complete(
                    claimed.clip_id, claimed.attempt, replace(result, size_bytes=size, duration_seconds=number)
                )
    everything = ledger.clips.list(ClipFilter(limit=100, sort=sort, **filters)).data
    assert {each.clip_id for each in everything} == {
        each.clip_id for each in ledger.clips.list(ClipFilter(limit=100, **filters)).data
    }
    key = {
        "created_at": lambda each: each.created_at,
        "label": lambda each: 0,  # the order of letters is that of the database
        "duration": lambda each: each.result.duration_seconds if each.result else each.expected_seconds,
        "size": lambda each: each.result.size_bytes if each.result else 0,
    }[sort.removeprefix("-")]
    keys = [key(each) for each in everything]
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    for recording_id in (None, recording.recording_id):
        read: list[Clip] = []
        cursor: str | None = None
        while True:
            page = ledger.clips.list(
                ClipFilter(limit=2, sort=sort, cursor=cursor, recording_id=recording_id, **filters)
            )
            read += page.data
            cursor = page.next_cursor
            if cursor is None:
                break
        assert read == everything


@pytest.mark.parametrize("sort", [f"{sign}{name}" for name in RECORDING_SORTS for sign in ("", "-")])
def test_recordings_are_sorted_and_filtered(ledger: Ledger, facts: SourceFacts, sort: str) -> None:
    for number, name in enumerate([None, "b", "A", "b"]):
        made, _ = ledger.recordings.register(
            f"{number}.mp4",
            RecordingSpec(name=name, tags=["x"], metadata={"n": str(number)}),
            etag="e",
            size=10 - number,
        )
        if number:
            probe = ledger.recordings.claim_probe("me")
            while probe and probe.recording.recording_id != made.recording_id:
                ledger.recordings.probe_later(probe, delay_ms=100_000)
                probe = ledger.recordings.claim_probe("me")
            assert probe
            changed = facts.model_copy(update={"duration": Fraction(10, number)})
            ledger.recordings.probe_complete(probe, changed, etag="e", size=10 - number)
    everything = ledger.recordings.list(RecordingFilter(limit=100, sort=sort, tag=["x"])).data
    key = {
        "created_at": lambda each: each.created_at,
        "name": lambda each: (each.name or "").lower(),
        "duration": lambda each: each.duration_seconds or 0,
        "size": lambda each: each.file_size_bytes,
    }[sort.removeprefix("-")]
    keys = [key(each) for each in everything]
    assert len(keys) == 4
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    first = ledger.recordings.list(RecordingFilter(limit=3, sort=sort, q="x"))
    rest = ledger.recordings.list(RecordingFilter(limit=3, sort=sort, q="x", cursor=first.next_cursor))
    assert first.data + rest.data == everything
    assert [
        each.bucket_path for each in ledger.recordings.list(RecordingFilter(limit=9, metadata={"n": "2"})).data
    ] == ["2.mp4"]


def _older(place: Location, version: int) -> Database:
    """Return a new database of an older schema version."""
    if isinstance(place, PostgresLocation):
        database = postgres_database(place)
    else:
        place.parent.mkdir()
        place.touch()
        database = file_database(place)
    create_meta(database)
    migrate(database, MIGRATIONS[:version])
    return database


def test_length_of_older_clips_is_that_of_the_file_or_of_all_parts(
    place: Location, open_ledger: Open, result: ClipResult
) -> None:
    database = _older(place, 32)
    insert_old_rows(database, "1", json.dumps(vars(replace(result, duration_seconds=1.5))))
    insert_old_rows(database, "2", None)
    insert_old_rows(database, "3", None)
    parts = [{"recording_id": "rec_3", "start_seconds": start, "end_seconds": start + 2} for start in (1, 50, 90)]
    values = json.dumps(parts), json.dumps({"speed": 0.5})
    database.run("UPDATE clips SET parts = ?, output = ? WHERE clip_id = 'clip_3'", values)
    whole = database.run("SELECT end_seconds - start_seconds FROM clips WHERE clip_id = 'clip_2'")
    database.close()
    found = open_ledger().database.run("SELECT duration_seconds FROM clips ORDER BY clip_id")
    assert found == [(1.5,), *whole, (12.0,)]


def test_rows_of_an_older_version_are_found_and_sorted(place: Location, open_ledger: Open, result: ClipResult) -> None:
    database = _older(place, 26)
    insert_old_rows(database, "1", json.dumps(vars(result)))
    database.close()
    ledger = open_ledger()
    assert ledger.database.run("SELECT tags, size_bytes FROM clips") == [("[]", result.size_bytes)]
    assert ledger.database.run("SELECT tags, duration_seconds FROM recordings") == [("[]", 13.5)]
    insert_old_rows(ledger.database, "2", None)  # by an older engine, during a rolling upgrade
    again = open_ledger()
    assert sum(again.index_missing()) == 4
    assert sum(again.index_missing()) == 0
    assert [clip.clip_id for clip in again.clips.list(ClipFilter(limit=9, q="half", sort="size")).data] == [
        "clip_2",
        "clip_1",
    ]
    assert len(again.recordings.list(RecordingFilter(limit=9, q="final")).data) == 2


@pytest.mark.typical(1)
def test_engines_that_index_older_rows_at_the_same_time_index_each_once(ledger: Ledger, open_ledger: Open) -> None:
    for number in range(1200):
        insert_old_rows(ledger.database, f"{number:04}", None)
    engines, together = [ledger, open_ledger(), open_ledger()], threading.Barrier(3)

    def index(engine: Ledger) -> int:
        together.wait(300)
        return sum(engine.index_missing())

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(index, engines)) == 2400
    assert {engine.database.run("SELECT count(*) FROM clip_documents")[0][0] for engine in engines} == {1200}
    assert len(ledger.clips.list(ClipFilter(limit=5, metadata={"half": "2"})).data) == 5


def test_new_clip_does_not_wait_for_the_index_of_older_rows(ledger: Ledger, queue: Queue) -> None:
    for number in range(600):
        insert_old_rows(ledger.database, f"{number:04}", None)
    batches = ledger.index_missing()
    assert next(batches) == 500
    clip = queue("made meanwhile")
    assert sum(batches) == 700
    assert ledger.clips.list(ClipFilter(limit=1, q="meanwhile")).data[0].clip_id == clip.clip_id


def insert_old_rows(database: Database, number: str, result: str | None) -> None:
    """Insert a recording and a clip as version 26 did."""
    database.run(
        "INSERT INTO recordings (recording_id, state, bucket_path, etag, file_size_bytes, created_at, name, metadata,"
        " facts, attempts, next_at) VALUES (?, 'complete', 'a.mp4', 'e', 1, 1, 'Final', '{}', ?, 0, 1)",
        (f"rec_{number}", FACTS),
    )
    database.run(
        "INSERT INTO clips (clip_id, recording_id, label, start_seconds, end_seconds, state, object_key, created_at,"
        " progress, profile, priority, metadata, attempt, poster, crashes, next_at, result)"
        " VALUES (?, ?, 'goal', 0, 1, 'complete', 'a', 1, 1, 'default', 0, ?, 1, TRUE, 0, 1, ?)",
        (f"clip_{number}", f"rec_{number}", '{"half":"2"}', result),
    )


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("filters", [{"q": "goal"}, {"tag": ["all"]}])
@pytest.mark.typical(1)
def test_page_of_a_search_that_every_row_matches_costs_the_same_with_more_rows(
    ledger: Ledger, recording: Recording, filters: dict[str, Any]
) -> None:
    steps = []
    for rows in (range(6_000), range(6_000, 24_000)):
        _add_tagged_clips(ledger, recording, rows)
        with ledger.session():
            made: list[int] = []
            connection = ledger.database.backend.connections.connection()  # type: ignore[no-untyped-call]
            connection.set_progress_handler(lambda made=made: made.append(1), 100)  # virtual machine instructions
            newest = ledger.clips.list(ClipFilter(limit=20, **filters)).data
            connection.set_progress_handler(None, 0)
        assert [clip.label for clip in newest] == [f"goal {number}" for number in [*rows][:-21:-1]]
        steps.append(len(made))
    assert steps[1] < 1.2 * steps[0], steps


def _add_tagged_clips(ledger: Ledger, recording: Recording, numbers: range) -> None:
    names = "clip_id, recording_id, label, start_seconds, end_seconds, state, object_key, created_at, progress, profile"
    rest = "priority, metadata, attempt, poster, crashes, next_at, tags"
    clip = f"INSERT INTO clips ({names}, {rest}) VALUES (?, ?, ?, 0, 1, 'complete', 'a', ?, 1, 'default', 0, '{{}}', 1,"
    clip += """ TRUE, 0, 1, '["all"]')"""
    with ledger.transaction():
        for number in numbers:
            values = (f"clip_{number:06}", recording.recording_id, f"goal {number}", 1000 + number)
            ledger.database.run(clip, values)
            document = "INSERT INTO clip_documents (clip_id, words) VALUES (?, ?)"
            ledger.database.run(document, (f"clip_{number:06}", f"goal {number} all"))


def test_longest_label_fits_into_a_cursor(ledger: Ledger, queue: Queue, recording: Recording) -> None:
    for _ in range(2):
        queue("\U0001f525" * 200)
    for sort in ("label", "-label"):
        page = ledger.clips.list(ClipFilter(limit=1, sort=sort, recording_id=recording.recording_id))
        assert page.next_cursor
        assert len(page.next_cursor) <= 500
