"""Pages of captions: two lines at most, which end with phrases, and the word that is spoken in them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from pydantic import ValidationError

from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.texts.caption_pages import captions_of
from clipengine.clips.texts.captions import Caption, CaptionTimes, drawn_cues
from clipengine.clips.texts.cues import MAX_CUE_CHARACTERS, Cue, TimedWord

_WORD, _BOX = CaptionStyle(name="word"), CaptionStyle(name="box")


def _spoken(text: str, start_ms: int = 1000, step: int = 250, length: int = 200) -> Cue:
    """Return a cue whose words follow each other at equal distances."""
    words = text.split()
    timed = [TimedWord(start_ms + n * step, start_ms + n * step + length, word) for n, word in enumerate(words)]
    return Cue(start_ms, start_ms + step * len(words), text, None, tuple(timed))


def _captions(*cues: Cue, style: CaptionStyle = _BOX, width: int = 28) -> list[Caption]:
    return captions_of(drawn_cues(cues, style), style, lambda line: len(line) <= width)


def _texts(*cues: Cue, width: int = 28) -> list[str]:
    return [each.text for each in _captions(*cues, width=width)]


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("Short.", ["Short."]),
        ("A text that has room in two lines", ["A text that has\nroom in two lines"]),
        ("First of all, a text that has room", ["First of all,\na text that has room"]),
        ("Two lines,\nas they were written", ["Two lines,\nas they were written"]),
        (
            "So when you look at it, the whole thing is really about trust. And then there is more to say.",
            ["So when you look at it,", "the whole thing is\nreally about trust.", "And then there\nis more to say."],
        ),
        (
            "今日はいい天気ですね。明日も晴れるといいのですが、みんなが見ている天気予報では明日は雨だそうですよ。",
            [
                "今日はいい天気ですね。\n明日も晴れるといいのですが、",
                "みんなが見ている天気予報\nでは明日は雨だそうですよ。",
            ],
        ),
        ("x" * 100, ["x" * 28 + "\n" + "x" * 28, "x" * 28 + "\n" + "x" * 16]),
    ],
)
def test_pages_and_lines_end_with_phrases(text: str, pages: list[str]) -> None:
    assert _texts(Cue(0, 8000, text), width=28 if text.isascii() else 15) == pages


def test_pages_follow_the_words_or_else_the_length_of_the_text() -> None:
    text = "So when you look at it, the whole thing is really about trust."
    timed = _captions(_spoken(text), style=_WORD)
    assert next(each.start_ms for each in timed if each.text.startswith("the whole")) == 1000 + 6 * 250
    plain = _captions(Cue(1000, 4000, text))
    assert [(each.start_ms, each.end_ms) for each in plain] == [(1000, 2161), (2161, 4000)]
    assert round(1000 + 3000 * 24 / len(text)) == 2161


def test_word_is_marked_from_its_start_until_the_next_one_or_a_pause() -> None:
    words = (TimedWord(1200, 1500, "Well"), TimedWord(1550, 1700, "yes,"), TimedWord(2400, 2600, "perhaps"))
    found = _captions(Cue(1000, 3000, "Well, yes, perhaps", None, words), style=_WORD)
    assert [(each.start_ms, each.end_ms, each.spoken and each.text[slice(*each.spoken)]) for each in found] == [
        (1000, 1200, None),
        (1200, 1550, "Well"),
        (1550, 1700, "yes,"),
        (1700, 2400, None),
        (2400, 2600, "perhaps"),
        (2600, 3000, None),
    ]
    assert {each.text for each in found} == {"Well, yes, perhaps"}


def test_each_word_is_marked_for_a_frame_at_least() -> None:
    words = [(0, 0, "Um,"), (0, 300, "it"), (300, 310, "was"), (310, 900, "the"), (1000, 1000, "end.")]
    cue = Cue(0, 1000, "Um, it was the end.", None, tuple(TimedWord(*each) for each in words))
    for shortest in (80, 150):
        found = captions_of([cue], CaptionStyle(name="word"), lambda text: True, shortest_ms=shortest)
        marked = [each for each in found if each.spoken]
        assert [each.text[slice(*each.spoken)] for each in marked if each.spoken] == [word for _, _, word in words]
        assert all(each.end_ms - each.start_ms >= shortest for each in marked)


def test_marked_word_is_found_across_lines_and_pages() -> None:
    text = "one two three four five six seven eight nine ten"
    found = _captions(_spoken(text), style=_WORD, width=12)
    assert [each.text[slice(*each.spoken)] for each in found if each.spoken] == text.split()
    assert all(each.text.count("\n") < 2 for each in found)
    assert all(before.end_ms == after.start_ms for before, after in pairwise(found))


def test_words_that_are_not_in_the_text_are_not_marked() -> None:
    words = (TimedWord(0, 100, "gone"), TimedWord(100, 200, "here"), TimedWord(9000, 9100, "late"), TimedWord(0, 1, ""))
    found = _captions(Cue(0, 1000, "is here late", None, words), style=_WORD)
    assert [each.text[slice(*each.spoken)] for each in found if each.spoken] == ["here"]


def test_cues_at_the_same_time_have_one_line_each() -> None:
    long = "A text that has room in two lines"
    found = _captions(Cue(0, 2000, long), Cue(1000, 3000, long), Cue(3000, 4000, long))
    assert [each.text.count("\n") for each in found] == [0, 0, 0, 0, 1]


def test_speaker_is_shown_only_if_the_style_says_so() -> None:
    cue = Cue(0, 1000, "Hello", "Ana", (TimedWord(0, 500, "Hello"),))
    assert [each.text for each in _captions(cue)] == ["Hello"]
    assert [each.text for each in _captions(cue, style=CaptionStyle(speaker=True))] == ["Ana: Hello"]
    (plain,) = captions_of(drawn_cues([cue], None), None, lambda line: False)
    assert plain == Caption(0, 1000, "Ana: Hello")


@pytest.mark.parametrize(
    "text", ["", " \n ", "x" * MAX_CUE_CHARACTERS, "漢" * MAX_CUE_CHARACTERS, "a b " * 500, "\u0301" * 9]
)
def test_hostile_texts_lose_nothing(text: str) -> None:
    found = _captions(Cue(0, 60_000, text), style=_WORD, width=10)
    shown = "".join(each.text for each in found)
    assert "".join(shown.split()) == "".join(text.split())
    assert all(len(line) <= 10 for each in found for line in each.text.split("\n"))
    assert all(0 <= each.start_ms < each.end_ms <= 3 for each in _captions(Cue(0, 3, text), style=_WORD, width=10))


def test_many_captions_are_found_by_time() -> None:
    cues = [_spoken("one two three four five six seven eight nine ten", 4000 * number) for number in range(200)]
    cues.append(Cue(0, 10**6, "always"))
    captions = _captions(*sorted(cues, key=lambda cue: cue.start_ms), style=_WORD)
    times = CaptionTimes(captions, 0, 1)  # type: ignore[arg-type]
    for time in (0, 1, 399, 400.1, 799.99):
        expected = [each for each in captions if each.start_ms <= time * 1000 < each.end_ms]
        assert [*times.shown(time)] == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"name": "neon"},
        {"size": 0.01},
        {"size": 0.16},
        {"size": float("nan")},
        {"height": -0.1},
        {"height": 0.91},
        {"colour": "red"},
        {"colour": "#12345"},
        {"colour": "#1234567"},
        {"colour": "#12345g"},
        {"colour": "#123456\n"},
        {"font": "x"},
        {"speaker": 1},
    ],
)
def test_styles_have_limits(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CaptionStyle.model_validate(given)
