"""Captions: when each cue is shown, and where its text breaks."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from clipengine.clips.edit import PlannedPart, clip_tracks
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.texts.captions import CaptionTimes, is_ignorable, without_symbols
from clipengine.clips.texts.cues import Cue, TimedWord
from clipengine.clips.texts.line_breaks import is_right_to_left, needs_shaping, wrap
from clipengine.clips.texts.phrases import phrase_rank
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.recordings.facts import SourceFacts

_CUES = (Cue(1000, 2000, "one"), Cue(1500, 1501, "short"), Cue(1500, 3000, "two"))


def _at(time: Fraction, origin: Fraction, speed: Fraction) -> list[str]:
    return [cue.text for cue in CaptionTimes(_CUES, origin, speed).shown(time)]


@pytest.mark.parametrize("speed", [Fraction(1), Fraction(2), Fraction(1, 3)])
@pytest.mark.parametrize("origin", [Fraction(0), Fraction(1001, 30_000)])
def test_cue_is_shown_from_its_start_until_just_before_its_end(origin: Fraction, speed: Fraction) -> None:
    tick = Fraction(1, 10**9)
    expected = {
        Fraction(1) - tick: [],
        Fraction(1): ["one"],
        Fraction(3, 2) - tick: ["one"],
        Fraction(3, 2): ["one", "short", "two"],
        Fraction(1501, 1000): ["one", "two"],
        Fraction(2) - tick: ["one", "two"],
        Fraction(2): ["two"],
        Fraction(3): [],
    }
    for moment, texts in expected.items():
        assert _at((moment - origin) / speed, origin, speed) == texts, moment


def test_held_frame_is_repeated_when_the_captions_change() -> None:
    times = CaptionTimes(_CUES, Fraction(1, 2), Fraction(2))
    step = Fraction(1, 25)
    changes = [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(5, 4)]  # that after 0.5 ms is left out
    found = list(times.steps(Fraction(0), Fraction(2), step=step))
    assert found == [
        (start, end - start) for start, end in zip([Fraction(0), *changes], [*changes, Fraction(2)], strict=True)
    ]
    assert list(times.steps(changes[0] - step / 2, step, step=step)) == [(changes[0] - step / 2, step)]


def _wrapped(text: str, width: int) -> list[str]:
    return list(wrap(text, lambda line: len(line) <= width))


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("one two three", 13, ["one two three"]),
        ("one\ntwo three", 20, ["one", "two three"]),
        ("  spaces   between  ", 8, ["  spaces", "between"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("a abcdefghij b", 4, ["a", "abcd", "efgh", "ij b"]),
        ("今日はいい天気。明日も", 5, ["今日はいい", "天気。明日", "も"]),
        ("今日はいい天気。明日も", 7, ["今日はいい天", "気。明日も"]),  # no line begins with the full stop
        ("ちょっと待って、見て", 3, ["ちょっ", "と待っ", "て、見", "て"]),  # nor with small kana
        ("そう……ですか", 3, ["そ", "う……", "ですか"]),
        ("１２「天気」", 3, ["１２", "「天", "気」"]),
        ("ไปเที่ยวเชียงใหม่", 6, ["ไปเที่", "ยวเชีย", "งใหม่"]),  # a vowel stays with its consonant
        ("สวัสดีครับ เราจะไป", 13, ["สวัสดีครับ", "เราจะไป"]),  # a space ends a phrase
        ("เราจะไปเที่ยว\u200bเชียงใหม่", 18, ["เราจะไปเที่ยว\u200b", "เชียงใหม่"]),  # so does a zero-width one
        ("ຂ້ອຍໄປຕະຫຼາດ", 5, ["ຂ້ອຍ", "ໄປຕະ", "ຫຼາດ"]),
        ("កម្ពុជា", 3, ["ក", "ម្ពុ", "ជា"]),  # letters below others stay with them
        ("漢字 and words", 5, ["漢字", "and", "words"]),
        ("e\u0301e\u0301e\u0301", 3, ["e\u0301", "e\u0301", "e\u0301"]),  # marks stay with their letters
        ("e\u0301e\u0301", 1, ["e\u0301", "e\u0301"]),
        ("", 5, []),
        (" \n ", 5, []),
    ],
)
def test_lines_break_at_spaces_and_between_ideographs(text: str, width: int, lines: list[str]) -> None:
    assert _wrapped(text, width) == lines


def test_lines_of_hostile_texts_lose_nothing() -> None:
    for text in ("x" * 2000, "\u0301" * 2000, "。" * 2000, "\u200d" * 2000, " " * 2000 + "x"):
        assert "".join(_wrapped(text, 20)).replace(" ", "") == text.replace(" ", "")


def test_pages_in_scripts_with_spaces_between_phrases_end_there() -> None:
    assert [phrase_rank(text) for text in ("สวัสดีครับ ", "ສະບາຍດີ ", "สวัสดี", "hello ", " ")] == [1, 1, 0, 0, 0]


def test_caption_and_its_first_word_begin_with_the_first_frame() -> None:
    words = (TimedWord(1030, 1400, "I"), TimedWord(1400, 1800, "do."))
    for timed in (words, words[1:]):  # the time of the first word may be unknown
        track = TextTrack("en", "eng", (Cue(1030, 1800, "I do.", None, timed),))
        (cue,) = track.begun_by(Fraction(1), Fraction(1, 10)).cues
        assert (cue.start_ms, cue.end_ms) == (950, 1800)  # the first frame may be shown half a frame earlier
        assert [word.start_ms for word in cue.timed_words] == [950, 1400][-len(timed) :]
        assert track.begun_by(Fraction(1), Fraction(1, 50)) == track


@pytest.mark.parametrize(
    ("text", "start", "end", "said"),
    [
        ("It was the best of times.", 0, 6, "It was the best of times."),
        ("It was the best of times.", 2, 6, "the best of times."),
        ("It was the best of times.", 0, 4, "It was the best"),
        ("It was the best of times.", 1.4, 3.5, "was the"),  # most of the first word is heard, half of the last is not
        ("It was the best of times.", 2.2, 2.4, "the"),
        ("It was the best of times.", 6, 9, None),
        ("He said, “go now” (twice).", 2, 5, "“go now” (twice)."),
        ("He said, “go now” (twice).", 0, 4, "He said, “go now”"),
        ("Is it?\n- No it is", 2, 4, "- No it"),
        ("Is it?\n- No it is", 0, 2, "Is it?"),
        ("今日は、「明日も」", 1, 2, "「明日も」"),
        ("今日は、「明日も」", 0, 1, "今日は、"),
    ],
)
def test_cue_at_a_cut_has_the_words_that_are_said_in_the_part(
    text: str, start: float, end: float, said: str | None
) -> None:
    words = re.findall(r"\w+", text)
    timed = tuple(TimedWord(1000 * n, 1000 * n + 1000, word) for n, word in enumerate(words))
    cue = Cue(0, 7000, text, "Ana", timed)
    track = TextTrack("en", "eng", (cue,)).said(Fraction(str(start)), Fraction(str(end)))
    assert [each.text for each in track.cues] == ([] if said is None else [said])
    for each in track.cues:
        assert (each.start_ms, each.end_ms, each.speaker) == (0, 7000, "Ana")
        assert [word.text for word in each.timed_words] == re.findall(r"\w+", each.text)


def test_cue_at_a_cut_is_whole_if_the_times_of_its_words_are_unknown() -> None:
    for words in ((), (TimedWord(0, 900, "other"), TimedWord(1000, 1900, "words"))):
        track = TextTrack("en", "eng", (Cue(0, 2000, "It was", None, words),))
        assert track.said(Fraction(1), Fraction(2)) == track


def test_untimed_words_stay_with_the_word_before_them() -> None:
    words = (TimedWord(1000, 2000, "In"), TimedWord(4000, 5000, "we"), TimedWord(5000, 6000, "won"))
    track = TextTrack("en", "eng", (Cue(0, 7000, "(1) In 1984, we won.", None, words),))
    said = [track.said(Fraction(start), Fraction(end)).cues[0].text for start, end in ((0, 3), (4, 7))]
    assert said == ["(1) In 1984,", "we won."]


def _part(start: float, end: float) -> PlannedPart:
    facts = SourceFacts(container="mp4", duration=Fraction(9), origin=Fraction(0), video=None, audio=())
    return PlannedPart(facts, Fraction(str(start)), Fraction(str(end)))


def test_parts_that_begin_in_a_sentence_have_its_words_once() -> None:
    text = "It was the best of times."
    words = tuple(TimedWord(1000 * n, 1000 * n + 900, word) for n, word in enumerate(text.split()))
    track = TextTrack("en", "eng", (Cue(0, 5900, text, None, words),))
    parts = [_part(2, 4), _part(0, 2), _part(4.6, 9)]
    for style in (None, CaptionStyle(name="word"), CaptionStyle(name="box")):
        burnt = [part.with_captions((track,), style).burnt for part in parts]
        assert [[cue.text for cue in each.cues] for each in burnt if each] == [["the best"], ["It was"], ["times."]]
    kept = [part.with_texts((track,)) for part in parts]
    (clip,) = clip_tracks(kept, [part.range for part in kept], speed=Fraction(2))
    assert [(cue.start_ms, cue.end_ms, cue.text) for cue in clip.cues] == [
        (0, 1000, "the best"),
        (1000, 2000, "It was"),
        (2000, 2650, "times."),
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the family 👨\u200d👩\u200d👧 waves", "the family waves"),
        ("the family👨\u200d👩\u200d👧, too", "the family, too"),
        ("Step 1\ufe0f\u20e3 and 2\u20e3.", "Step 1\ufe0f and 2."),
        ("with ❤\ufe0f always", "with ❤\ufe0f always"),
        ("hands 👋🏽 up", "hands up"),
        ("👋 hands", "hands"),
        ("🏴\U000e0067\U000e0062\U000e007f England", "England"),
        ("می\u200cخواهم  नमस्\u200dते", "می\u200cخواهم  नमस्\u200dते"),  # joiners of letters, and two spaces
    ],
)
def test_symbols_without_a_glyph_leave_no_traces(text: str, shown: str) -> None:
    assert without_symbols(text, lambda each: each not in "👨👩👧👋🏽🏴") == shown
    assert not any(is_ignorable(each) for each in "1a ا")
    assert is_ignorable("\u20e3")  # a clip does not fail if no font has it


def test_direction_and_shaping_depend_on_the_script() -> None:
    assert [is_right_to_left(text) for text in ("abc", "12 שלום", "مرحبا abc", "abc שלום", "12")] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert [needs_shaping(text) for text in ("Ünï Привет Γειά 今日", "שלום", "مرحبا", "नमस्ते", "สวัสดี")] == [
        False,
        True,
        True,
        True,
        True,
    ]
