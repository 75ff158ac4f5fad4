"""Answers of transcribers become cues: in the shapes of several servers, recorded, and of hostile ones."""

from __future__ import annotations

import json
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from clipengine.clips.texts.cues import MAX_CUE_CHARACTERS
from clipengine.clips.texts.spoken import MAX_ANSWER_BYTES, Spoken, parse_spoken

FASTER_WHISPER = {
    "task": "transcribe",
    "language": "en",
    "duration": 4.1,
    "text": "Good morning, everyone. Let us begin.",
    "words": [
        {"start": 0.3, "end": 0.6, "word": " Good", "probability": 0.98},
        {"start": 0.6, "end": 1.1, "word": " morning,", "probability": 0.97},
        {"start": 1.2, "end": 1.9, "word": " everyone.", "probability": 0.99},
        {"start": 2.4, "end": 2.6, "word": " Let", "probability": 0.96},
        {"start": 2.6, "end": 2.8, "word": " us", "probability": 0.96},
        {"start": 2.8, "end": 3.3, "word": " begin.", "probability": 0.99},
    ],
    "segments": [
        {
            "id": 1,
            "seek": 0,
            "start": 0.3,
            "end": 1.9,
            "text": " Good morning, everyone.",
            "tokens": [1],
            "words": None,
        },
        {"id": 2, "seek": 0, "start": 2.4, "end": 3.3, "text": " Let us begin.", "tokens": [2], "words": None},
    ],
}
WHISPER_CPP = {
    "task": "transcribe",
    "language": "english",
    "duration": 3.5,
    "text": " Ask not, sunflowers.\n",
    "segments": [
        {
            "id": 0,
            "text": " Ask not, sunflowers.",
            "start": 0.0,
            "end": 3.5,
            "tokens": [50364],
            "words": [
                {"word": " Ask", "start": 0.1, "end": 0.5, "t_dtw": -1, "probability": 0.9},
                {"word": " not", "start": 0.5, "end": 0.9, "t_dtw": -1, "probability": 0.9},
                {"word": ",", "start": 0.9, "end": 1.0, "t_dtw": -1, "probability": 0.9},
                {"word": " sun", "start": 1.0, "end": 1.5, "t_dtw": -1, "probability": 0.9},
                {"word": "flowers", "start": 1.5, "end": 1.8, "t_dtw": -1, "probability": 0.9},
                {"word": ".", "start": 1.8, "end": 1.8, "t_dtw": -1, "probability": 0.9},
            ],
            "temperature": 0.0,
            "avg_logprob": -0.2,
            "no_speech_prob": 0.01,
        }
    ],
}
LOCALAI = {
    "segments": [
        {"id": 0, "start": 0, "end": 5600000000, "text": " Good morning.", "tokens": [50364]},
        {"id": 1, "start": 5600000000, "end": 9000000000, "text": " Let us begin.", "tokens": [50365]},
    ],
    "text": "Good morning. Let us begin.",
}


def spoken(answer: Any, seconds: float = 60) -> Spoken:
    return parse_spoken(answer if isinstance(answer, bytes) else json.dumps(answer).encode(), seconds=seconds)


def shown(found: Spoken) -> list[tuple[int, int, str, list[tuple[int, int, str]]]]:
    return [(cue.start_ms, cue.end_ms, cue.text, [tuple(word) for word in cue.timed_words]) for cue in found.cues]


def test_words_at_the_top_belong_to_their_segments() -> None:
    found = spoken(FASTER_WHISPER)
    assert found.language == "en"
    assert shown(found) == [
        (
            300,
            1900,
            "Good morning, everyone.",
            [(300, 600, "Good"), (600, 1100, "morning,"), (1200, 1900, "everyone.")],
        ),
        (2400, 3300, "Let us begin.", [(2400, 2600, "Let"), (2600, 2800, "us"), (2800, 3300, "begin.")]),
    ]


def test_tokens_in_segments_are_joined_to_words() -> None:
    found = spoken(WHISPER_CPP)
    assert found.language == "en"
    words = [(100, 500, "Ask"), (500, 1000, "not,"), (1000, 1800, "sunflowers.")]
    assert shown(found) == [(100, 1800, "Ask not, sunflowers.", words)]


def test_nanoseconds_are_understood() -> None:
    found = spoken(LOCALAI)
    assert found.language is None
    assert shown(found) == [(0, 5600, "Good morning.", []), (5600, 9000, "Let us begin.", [])]


def test_script_without_spaces_keeps_its_words() -> None:
    words = [{"word": "你好", "start": 0, "end": 1}, {"word": "世界", "start": 1, "end": 2}]
    found = spoken({"language": "chinese", "text": "你好世界。", "words": words})
    assert shown(found) == [(0, 2000, "你好世界。", [(0, 1000, "你好"), (1000, 2000, "世界。")])]


def test_long_segment_becomes_cues_of_two_lines_that_end_with_sentences() -> None:
    sentences = ["This sentence has a length of about fifty characters.", "The next one is " + "very " * 20 + "long."]
    text = " ".join(sentences)
    words = [{"word": f" {word}", "start": n, "end": n + 1} for n, word in enumerate(text.split())]
    found = spoken({"segments": [{"start": 0, "end": 60, "text": text, "words": words}]})
    assert found.cues[0].text == sentences[0]
    assert all(len(cue.text) <= 84 for cue in found.cues)
    assert " ".join(cue.text for cue in found.cues) == text
    assert [word.text for cue in found.cues for word in cue.timed_words] == text.split()


def test_words_of_another_text_are_not_used() -> None:
    words = [{"word": "nothing", "start": 0, "end": 1}]
    found = spoken({"segments": [{"start": 0, "end": 2, "text": "Good morning.", "words": words}]})
    assert shown(found) == [(0, 2000, "Good morning.", [])]


def test_text_alone_is_one_cue() -> None:
    assert shown(spoken({"text": " Good morning. "}, seconds=3)) == [(0, 3000, "Good morning.", [])]


def test_speaker_is_kept() -> None:
    found = spoken({"segments": [{"start": 0, "end": 2, "text": "Yes.", "speaker": "SPEAKER_01"}]})
    assert found.cues[0].speaker == "SPEAKER_01"


def test_segment_may_end_after_the_audio() -> None:
    assert shown(spoken({"segments": [{"start": 1, "end": 12.5, "text": "Yes."}]}, seconds=10))[0][:2] == (1000, 10_000)


def test_nothing_is_said() -> None:
    assert spoken({"language": "en", "text": "", "segments": []}) == Spoken("en", ())


def test_word_without_a_length_gets_time_of_its_neighbours() -> None:
    times = [(5.18, 5.18, "Um,"), (5.18, 5.5, "it"), (5.5, 5.5, "was"), (6.5, 6.9, "the"), (10, 10, "best.")]
    words = [{"start": start, "end": end, "word": f" {word}"} for start, end, word in times]
    text = " ".join(word for _, _, word in times)
    (cue,) = spoken({"segments": [{"start": 5.18, "end": 10, "text": text, "words": words}]}, seconds=10).cues
    assert [tuple(word) for word in cue.timed_words] == [
        (5180, 5260, "Um,"),
        (5260, 5500, "it"),
        (5500, 5800, "was"),
        (6500, 6900, "the"),
        (9920, 10_000, "best."),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_words_last_and_do_not_overlap(seed: int) -> None:
    random = Random(seed)
    words = []
    for number in range(40):
        start = random.choice([3.0, 3.0, random.uniform(0, 20)])
        words.append({"start": start, "end": start + random.choice([0, 0, 0.01, 0.4, 5]), "word": f" word{number}"})
    words.sort(key=lambda word: word["start"])
    text = "".join(word["word"] for word in words)
    found = spoken({"segments": [{"start": 0, "end": 26, "text": text, "words": words}]}, seconds=20)
    timed = [word for cue in found.cues for word in cue.timed_words]
    assert [word.text for word in timed] == text.split()
    assert all(word.end_ms - word.start_ms >= 80 for word in timed)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(timed))
    assert timed[-1].end_ms <= 20_000
    assert all(
        cue.start_ms <= word.start_ms < word.end_ms <= cue.end_ms for cue in found.cues for word in cue.timed_words
    )


def test_more_words_than_milliseconds_have_no_times() -> None:
    words = [{"start": 1, "end": 1, "word": " a"}] * 1500
    found = spoken({"segments": [{"start": 0, "end": 1, "text": " a" * 1500, "words": words}]}, seconds=1)
    assert not any(cue.timed_words for cue in found.cues)
    assert " ".join(cue.text for cue in found.cues).split() == ["a"] * 1500


def _segments(*texts: str, step: float = 0.3) -> list[dict[str, Any]]:
    """Return segments whose words follow each other."""
    found, at = [], 0.0
    for text in texts:
        words = [{"start": at + n * step, "end": at + (n + 1) * step, "word": w} for n, w in enumerate(text.split())]
        found.append({"start": at, "end": at + len(words) * step, "text": text, "words": words})
        at += len(words) * step
    return found


SENTENCE = (
    "In short, the period was so far like the present period, that some of its noisiest authorities",
    "insisted on its being received, for good or for evil, in the superlative degree of comparison",
    "only.",
)


@pytest.mark.parametrize(
    "texts",
    [SENTENCE, (" ".join(SENTENCE),), ("It was the winter of despair.", *SENTENCE), (*SENTENCE, "Yes, he said.")],
)
def test_sentence_over_several_segments_becomes_cues_of_similar_length(texts: tuple[str, ...]) -> None:
    found = spoken({"segments": _segments(*texts)})
    assert " ".join(cue.text for cue in found.cues) == " ".join(texts)
    own = [cue for cue in found.cues if cue.text in " ".join(SENTENCE)]
    assert [len(cue.text) for cue in own] == [56, 69, 67]
    assert all(cue.end_ms - cue.start_ms >= 1000 for cue in own)
    assert [word.text for cue in found.cues for word in cue.timed_words] == " ".join(texts).split()


def test_segment_of_one_word_is_joined_to_its_sentence_without_times_of_words_too() -> None:
    segments = [(0, 4, "It was the season of"), (4, 4.5, "light."), (5, 9, "Good morning"), (9, 12, "to all of you")]
    found = spoken({"segments": [{"start": start, "end": end, "text": text} for start, end, text in segments]})
    assert shown(found) == [
        (0, 4500, "It was the season of light.", []),
        (5000, 9000, "Good morning", []),
        (9000, 12_000, "to all of you", []),
    ]


def test_segments_of_other_speakers_or_after_a_pause_are_not_joined() -> None:
    apart = [(0, 2, "so this is", "A"), (2, 4, "what we do", "B"), (7, 9, "every day", "B")]
    segments = [
        {"start": start, "end": end, "text": text, "speaker": speaker, "words": _timed(text, start, end)}
        for start, end, text, speaker in apart
    ]
    assert [cue.text for cue in spoken({"segments": segments}).cues] == [text for _, _, text, _ in apart]


def _timed(text: str, start: float, end: float) -> list[dict[str, Any]]:
    words = text.split()
    step = (end - start) / len(words)
    return [{"start": start + n * step, "end": start + (n + 1) * step, "word": w} for n, w in enumerate(words)]


def test_two_speakers_at_the_same_time_keep_their_times() -> None:
    segments = [
        {"start": 0, "end": 4, "text": "one two", "speaker": "A", "words": _timed("one two", 0, 4)},
        {"start": 1, "end": 3, "text": "three four", "speaker": "B", "words": _timed("three four", 1, 3)},
    ]
    found = spoken({"segments": segments})
    assert [(cue.start_ms, cue.end_ms, cue.text) for cue in found.cues] == [
        (0, 4000, "one two"),
        (1000, 3000, "three four"),
    ]


def test_script_without_spaces_is_joined_without_spaces() -> None:
    segments = [(0, 2, "你好"), (2, 2.5, "世界。")]
    found = spoken({"segments": [{"start": start, "end": end, "text": text} for start, end, text in segments]})
    assert [cue.text for cue in found.cues] == ["你好世界。"]


def test_text_without_times_is_refused_for_a_long_passage() -> None:
    with pytest.raises(ValueError, match="no times; the server must support verbose_json"):
        spoken({"text": "hello"}, seconds=30)
    assert spoken({"text": ""}, seconds=30).cues == ()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\xff", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "neither segments"),
        (b"[" * 100_000, "deeper than 32 levels"),
        (b" " * (MAX_ANSWER_BYTES + 1), "longer than"),
        (b'{"segments": [{"start": NaN, "end": 1, "text": "a"}]}', "NaN"),
        ({"segments": "all"}, "not a list"),
        ({"segments": [1]}, "not a list of objects"),
        ({"segments": [{"start": -0.1, "end": 1, "text": "a"}]}, "outside"),
        ({"segments": [{"start": 0, "end": 91, "text": "a"}]}, "outside"),
        ({"segments": [{"start": 2, "end": 1, "text": "a"}]}, "before its start"),
        ({"segments": [{"start": "0", "end": 1, "text": "a"}]}, "not a number"),
        ({"segments": [{"start": True, "end": 1, "text": "a"}]}, "not a number"),
        ({"segments": [{"start": 0, "end": 10**300, "text": "a"}]}, "too large"),
        ({"segments": [{"start": 0, "end": 1, "text": ["a"]}]}, "no text"),
        ({"segments": [{"start": 0, "end": 1, "text": "a" * 20_001}]}, "too long"),
        ({"words": [{"start": 0, "end": 1, "word": "a" * (MAX_CUE_CHARACTERS + 1)}]}, "too long"),
        ({"words": [{"start": 0, "end": 1, "word": "a"}] * 50_001}, "at most"),
        ({"text": "\ud800"}, "surrogates"),
    ],
)
def test_invalid_answer_is_rejected(answer: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        spoken(answer)
