"""Topics of a monologue and the phrases that begin its points: what a lecture without questions has to offer."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable

import pytest

from clipengine.clips.suggested import SuggestionObject, suggest
from clipengine.clips.texts.cues import MAX_CUE_CHARACTERS, MAX_CUES, Cue
from clipengine.clips.texts.points import LANGUAGES, point_phrase
from clipengine.clips.texts.topics import MAX_ABOUT_WORDS, Sentence, topics

BEES = "hive honey queen swarm nectar pollen drones wax larvae beekeeper brood foragers"
BRIDGES = "bridge cable pylon girder span arch steel rivets river engineer load deck"
BREAD = "dough yeast flour oven crust baker rye salt sourdough crumb kneading loaf"
COMMON = "this that with from have they which there about would other people always very much some when then only after"
SHORT = ["a", "so", "of", "to", "it", "is", "in", "we"]
HOUR_MS = 3_600_000
STEP_MS = 6000  # from one sentence to the next


def lecture(*vocabularies: str, sentences: int = 40, joined: str = " ", seed: int = 1) -> list[str]:
    """Return sentences of a text with these topics, one after the other, in words that every topic has and its own."""
    choose = random.Random(seed)
    found = []
    for vocabulary in vocabularies:
        for _ in range(sentences):
            words = choose.sample(vocabulary.split(), 4) + choose.sample(COMMON.split(), 5) + choose.sample(SHORT, 3)
            choose.shuffle(words)
            found.append(f"{joined.join(words).capitalize()}.")
    return found


def spoken(texts: Iterable[str], *, pauses: dict[int, int] | None = None, step_ms: int = STEP_MS) -> list[Cue]:
    """Return a cue for each sentence. `pauses` are those before some sentences, in ms."""
    at, cues = 0, []
    for number, text in enumerate(texts):
        at += (pauses or {}).get(number, 0)
        cues.append(Cue(at, at + step_ms - 200, text))
        at += step_ms
    return cues


def reasons(found: Iterable[SuggestionObject]) -> set[str]:
    return {each["reason"] for each in found}


class TestTopics:
    def test_topics_begin_where_the_words_change(self) -> None:
        found = topics(Sentence(text, 200) for text in lecture(BEES, BRIDGES, BREAD))
        assert len(found) == 2
        for (number, topic), true, vocabulary in zip(sorted(found.items()), (40, 80), (BRIDGES, BREAD), strict=True):
            assert abs(number - true) <= 1
            assert topic.depth > 0.5
            assert len(topic.about) == MAX_ABOUT_WORDS
            assert {word.lower() for word in topic.about} <= set(vocabulary.split())

    @pytest.mark.parametrize("seed", range(5))
    def test_text_with_one_topic_has_no_other(self, seed: int) -> None:
        assert topics(Sentence(text, 200) for text in lecture(BEES, sentences=120, seed=seed)) == {}

    def test_short_text_has_no_topics(self) -> None:
        assert topics(Sentence(text, 200) for text in lecture(BEES, BRIDGES, sentences=10)) == {}
        assert topics(()) == {}
        assert topics(Sentence("!?", 0) for _ in range(1000)) == {}

    def test_pause_decides_which_of_two_sentences_begins_the_topic(self) -> None:
        texts = lecture(BEES, BRIDGES)
        texts[39:39] = ["And now we look at something else."]
        for paused in (39, 40):
            found = topics(Sentence(text, 3000 if number == paused else 200) for number, text in enumerate(texts))
            assert list(found) == [paused]

    def test_script_without_spaces_has_topics_without_names(self) -> None:
        choose = random.Random(3)
        kinds = ("蜂蜜女王花粉巣箱働飼育採集", "橋梁鋼鉄川岸塔索道桁設計重")
        texts = ["".join(choose.choices(kind, k=14)) + "です。" for kind in kinds for _ in range(30)]
        ((number, topic),) = topics(Sentence(text, 200) for text in texts).items()
        assert (number, topic.about) == (30, ())

    def test_name_of_a_topic_is_not_longer_than_three_words_of_40_characters(self) -> None:
        long = " ".join(letter * 1000 for letter in "abcdefghijkl")
        for topic in topics(Sentence(text, 200) for text in lecture(BEES, long)).values():
            assert topic.about == ()


class TestPoints:
    @pytest.mark.parametrize(
        ("text", "language", "phrase"),
        [
            ("In summary, it works.", "en", "In summary"),
            ("So now the most important thing is trust.", "en-GB", "the most important"),
            ("First, we look at the cost.", "en", "First"),
            ("First we had lunch.", "en", None),
            ("Here's the thing: nobody knows.", "en", "Here's the thing"),
            ("The keys are on the table.", "en", None),
            ("The key is in the door.", "de", None),
            ("Kurz gesagt: Es geht.", "de", "Kurz gesagt"),
            ("Also, das Wichtigste: Vertrauen.", "de-AT", "das Wichtigste"),
            ("Tout d’abord, merci.", "fr", "Tout d’abord"),
            ("Y lo más importante es esto.", "es", "lo más importante"),
            ("In summary, it works.", "und", None),
            ("And so and in summary.", "en", None),
            ("", "en", None),
            ("x" * MAX_CUE_CHARACTERS, "en", None),
        ],
    )
    def test_phrase_at_the_start_of_a_sentence_begins_a_point(
        self, text: str, language: str, phrase: str | None
    ) -> None:
        assert point_phrase(text, language) == phrase

    def test_languages_of_the_document_have_phrases(self) -> None:
        assert LANGUAGES == ("de", "en", "es", "fr", "it", "nl", "pt")


class TestMonologue:
    def test_lecture_without_questions_has_moments_with_reasons(self) -> None:
        texts = lecture(BEES, BRIDGES, BREAD)
        texts[20] = "In summary, a hive lives from its foragers."
        found = suggest(spoken(texts, pauses={60: 3000}), duration_ms=HOUR_MS, language="en")
        assert reasons(found) == {"point", "topic", "pause"}
        by_reason = {each["reason"]: each for each in found}
        assert (by_reason["point"]["start_seconds"], by_reason["point"]["about"]) == (120, "In summary")
        assert by_reason["pause"]["start_seconds"] == 363
        assert by_reason["pause"]["about"] is None
        starts = {each["start_seconds"]: each["about"] for each in found if each["reason"] == "topic"}
        assert all(any(abs(start - true) <= 6 for start in starts) for true in (240, 483))
        assert all(about and len(about.split(", ")) == MAX_ABOUT_WORDS for about in starts.values())
        assert all(15 <= each["end_seconds"] - each["start_seconds"] <= 90 for each in found)

    def test_text_without_punctuation_has_moments_between_cues(self) -> None:
        texts = [text.rstrip(".") for text in lecture(BEES, BRIDGES, BREAD)]
        found = suggest(spoken(texts), duration_ms=HOUR_MS, language="en")
        assert reasons(found) == {"topic"}
        assert {round(each["start_seconds"] / 240) for each in found} == {1, 2}
        assert all(15 <= each["end_seconds"] - each["start_seconds"] <= 90 for each in found)

    def test_speech_without_pauses_and_topics_has_no_moments(self) -> None:
        assert suggest(spoken(lecture(BEES, sentences=60)), duration_ms=HOUR_MS, language="en") == []

    def test_pause_counts_less_than_every_other_reason(self) -> None:
        texts = [
            *lecture(BEES, sentences=20),
            "What does a hive of bees cost us?",
            *lecture(BEES, sentences=20, seed=2),
        ]
        found = suggest(spoken(texts, pauses={5: 4000, 35: 2000}), duration_ms=HOUR_MS)
        assert [each["reason"] for each in found] == ["question", "pause", "pause"]

    def test_two_hours_are_read_in_a_second(self) -> None:
        texts = lecture(*(f"{BEES} {BREAD}" if number % 2 else BRIDGES for number in range(30)))
        assert sum(len(text.split()) for text in texts) >= 14_000
        began = time.process_time()
        assert len(suggest(spoken(texts), duration_ms=2 * HOUR_MS, language="en")) > 20
        assert time.process_time() - began < 2  # 0.2 s on an idle machine

    @pytest.mark.exhaustive
    def test_largest_transcript_with_different_words_is_read_in_seconds(self) -> None:
        cues = [Cue(at, at + 1, " ".join(f"word{at * 20 + n}." for n in range(10))) for at in range(MAX_CUES)]
        began = time.process_time()
        suggest(cues, duration_ms=HOUR_MS, language="en")
        assert time.process_time() - began < 20
