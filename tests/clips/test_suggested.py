"""Suggested moments: which ranges of a transcript are found, why, and in which order."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import pairwise

import pytest
from pydantic import ValidationError

from clipengine.clips.suggested import (
    MAX_KEYWORD_CHARACTERS,
    MAX_KEYWORDS,
    MAX_SECONDS,
    MAX_SUGGESTIONS,
    MAX_TEXT_CHARACTERS,
    MIN_SECONDS,
    Choice,
    SuggestionObject,
    suggest,
    suggest_chosen,
)
from clipengine.clips.texts.cues import MAX_CUES, Cue
from clipengine.recordings.facts import ChapterFacts
from clipengine.settings.settings import Suggestions

HOUR_MS = 3_600_000
QUESTION = "What does the new office cost us?"


def said(*texts: str, start: int = 0, each: int = 10, pause_ms: int = 0, speaker: str | None = None) -> list[Cue]:
    """Return a sentence of `each` seconds for every text, one after the other."""
    starts = [1000 * start + number * (1000 * each + pause_ms) for number in range(len(texts))]
    return [Cue(at, at + 1000 * each, text, speaker) for at, text in zip(starts, texts, strict=True)]


def ranges(found: list[SuggestionObject]) -> list[tuple[float, float, str, str | None]]:
    return [(each["start_seconds"], each["end_seconds"], each["reason"], each["about"]) for each in found]


def test_question_and_its_answer_are_found() -> None:
    before, after = said("We are here.", "So.", speaker="Ana"), said("Thanks.", start=80, speaker="Ana")
    asked = said(QUESTION, start=20, speaker="Ana")
    answer = said("Less than the old one.", "It is smaller.", "And it is out of town.", start=30, speaker="Ben")
    (found,) = suggest([*before, *asked, *answer, *after], duration_ms=HOUR_MS)
    assert ranges([found]) == [(20, 60, "question", None)]
    assert (found["text"], found["score"]) == (QUESTION, 0.8)
    # Nobody is known to answer, so the same range counts less.
    (unknown,) = suggest([Cue(cue.start_ms, cue.end_ms, cue.text) for cue in [*asked, *answer]], duration_ms=HOUR_MS)
    assert (*ranges([unknown]), unknown["score"]) == ((20, 60, "question", None), 0.65)


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        (QUESTION, True),
        ("He said: “What does the office cost?” It was a joke.", True),
        ("¿Cuánto cuesta la nueva oficina?", True),
        ("新しい事務所はいくらですか？", True),
        ("كم يكلف المكتب الجديد؟", True),
        ("This is what it costs. Right?", False),
        ("Look at https://example.org/?page=4 and the other one.", False),
        ("It costs nothing.", False),
    ],
)
def test_sentences_that_ask_are_told_apart(text: str, asks: bool) -> None:
    found = suggest(said(text, "It depends.", "Indeed."), duration_ms=HOUR_MS)
    assert [each["reason"] for each in found] == ["question"] * asks


def test_turn_of_another_speaker_is_found() -> None:
    cues = said("We begin.", "Now Ben.", speaker="Ana") + said("Hello.", "I am new.", start=20, speaker="Ben")
    cues += said("And now?", "Who is next?", "Nobody.", start=40, speaker="Ana")
    found = suggest(cues, duration_ms=HOUR_MS)
    assert ranges(found) == [(40, 70, "speaker", "Ana"), (20, 40, "speaker", "Ben")]
    assert suggest(said("A.", "B.", "C.", speaker="Ana"), duration_ms=HOUR_MS) == []


def test_chapter_is_found_and_no_range_leaves_it() -> None:
    titles = {Fraction(0): "Opening", Fraction("30.4"): "", Fraction(60): "Short", Fraction(70): "End"}
    chapters = [ChapterFacts(start=start, end=start + 10, title=title) for start, title in titles.items()]
    found = suggest(said(*["We go on."] * 12), duration_ms=HOUR_MS, chapters=chapters)
    assert ranges(found) == [
        (0, 30, "chapter", "Opening"),
        (30, 60, "chapter", None),  # its first sentence begins 0.4 s before it
        (70, 120, "chapter", "End"),
    ]


def test_keyword_is_found_in_any_case_and_raises_the_score() -> None:
    cues = said("The BUDGET, is tight.", "We wait.", "The next steps are clear.", "We go.", "Budgetary.", "No.", each=8)
    found = suggest(cues, duration_ms=HOUR_MS, keywords=["budget", "Next Step*"])
    assert ranges(found) == [(0, 48, "keyword", "budget")]
    later = suggest(cues[1:], duration_ms=HOUR_MS, keywords=["budget", "next step*"])
    assert ranges(later) == [(16, 48, "keyword", "next step*")]
    asked = said(QUESTION, "It is the budget that counts.", "Yes.")
    plain, raised = (suggest(asked, duration_ms=HOUR_MS, keywords=each)[0] for each in ((), ("budget",)))
    assert (plain["reason"], raised["reason"]) == ("question", "question")
    assert raised["score"] == pytest.approx(plain["score"] + 0.2)


@pytest.mark.parametrize(
    ("each", "count", "expected"),
    [(5, 2, []), (5, 3, [(0, 15)]), (45, 2, [(0, 45)]), (90, 1, [(0, 90)]), (91, 1, []), (40, 9, [(0, 40)])],
)
def test_range_has_a_length_within_the_limits(each: int, count: int, expected: list[tuple[int, int]]) -> None:
    found = suggest(said(QUESTION, *["We see."] * (count - 1), each=each), duration_ms=HOUR_MS)
    assert [(one["start_seconds"], one["end_seconds"]) for one in found] == expected


def test_range_does_not_extend_over_a_long_pause_or_the_end_of_the_recording() -> None:
    cues = said(QUESTION, "We see.", "So.") + said("And then.", start=36)
    assert ranges(suggest(cues, duration_ms=HOUR_MS))[0][:2] == (0, 30)
    assert ranges(suggest(cues, duration_ms=25_500))[0][:2] == (0, 25.5)
    assert suggest(cues, duration_ms=9000) == []


def test_silence_in_a_range_lowers_its_score() -> None:
    full, paused = (suggest(said(QUESTION, "So.", "Yes.", pause_ms=ms), duration_ms=HOUR_MS)[0] for ms in (0, 4000))
    assert paused["score"] < full["score"]


def test_best_ranges_come_first_without_overlaps_and_at_most_so_many() -> None:
    texts = [QUESTION if number % 3 == 0 else "That is the answer to it." for number in range(3 * 200)]
    cues = [cue for text, cue in zip(texts, said(*texts, each=6), strict=True)]
    found = suggest(cues, duration_ms=HOUR_MS, keywords=["answer"])
    assert len(found) == MAX_SUGGESTIONS
    assert found == sorted(found, key=lambda each: (-each["score"], each["start_seconds"]))
    by_time = sorted(found, key=lambda each: each["start_seconds"])
    assert all(one["end_seconds"] <= other["start_seconds"] for one, other in pairwise(by_time))
    assert all(MIN_SECONDS <= each["end_seconds"] - each["start_seconds"] <= MAX_SECONDS for each in found)
    assert suggest(cues, duration_ms=HOUR_MS, keywords=["answer"], limit=3) == found[:3]


def test_sentence_of_several_cues_is_not_cut() -> None:
    cues = [Cue(0, 8000, "What does the new"), Cue(8000, 16_000, "office cost us?"), Cue(16_000, 30_000, "Much\nless.")]
    (found,) = suggest(cues, duration_ms=HOUR_MS)
    assert (found["start_seconds"], found["end_seconds"], found["text"]) == (0, 30, QUESTION)


def test_text_is_shortened_between_words() -> None:
    (found,) = suggest(said("So what is " * 100 + "it?", "Well."), duration_ms=HOUR_MS)
    assert len(found["text"]) <= MAX_TEXT_CHARACTERS
    assert found["text"].endswith("is…") or found["text"].endswith("what…") or found["text"].endswith("So…")


@pytest.mark.exhaustive
def test_largest_transcript_is_read_in_seconds() -> None:
    """Every sentence of it asks, changes the speaker and has no keyword: nothing is skipped."""
    cues = [Cue(at, at + 1, "a b c d e?", "ab"[at % 2]) for at in range(MAX_CUES)]
    began = time.process_time()
    assert suggest(cues, duration_ms=HOUR_MS, keywords=[f"keyword {number}" for number in range(MAX_KEYWORDS)]) == []
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "keywords", [["?!"], [""], ["x" * (MAX_KEYWORD_CHARACTERS + 1)], ["x"] * (MAX_KEYWORDS + 1), [1]]
)
def test_impossible_keywords_of_the_settings_are_rejected(keywords: list[str]) -> None:
    with pytest.raises(ValidationError):
        Suggestions.model_validate({"keywords": keywords})
    assert Suggestions.model_validate({"keywords": ["x" * MAX_KEYWORD_CHARACTERS] * MAX_KEYWORDS})


def test_titles_do_not_turn_the_text_beside_them() -> None:
    """Row 108 of the faults: U+202E in a title shows what follows it from right to left."""
    cues = said("\u202eWe begin.\u2066 So.", "It is smaller.", "And it is out of town.", start=20)
    chosen = suggest_chosen(cues, lambda _: [Choice(0, 2, "\u202efdp.exe\u202c")], duration_ms=HOUR_MS, limit=1)
    (chapter,) = suggest(
        cues, chapters=[ChapterFacts(start=Fraction(20), end=Fraction(50), title="\u202eOne")], duration_ms=HOUR_MS
    )
    assert [each["about"] for each in (*chosen, chapter)] == ["fdp.exe", "One"]
    assert [each["text"] for each in (*chosen, chapter)] == ["We begin. So.", "We begin. So."]
