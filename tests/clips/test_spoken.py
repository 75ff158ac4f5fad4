"""Answers of transcribers become cues: in the shapes of several servers, recorded, and of hostile ones."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\xff", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "neither segments"),
        (b"[" * 100_000, "too deeply"),
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
