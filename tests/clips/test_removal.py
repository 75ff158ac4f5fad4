"""Pauses and fillers of a part: what is removed, and the timeline that is left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.without import MAX_REMOVED, KeptRange, Removable, Without
from clipengine.clips.removal import Removal, SilenceReport, check_removable, remove_ranges, written_silences
from clipengine.clips.removed import Removed, Span
from clipengine.clips.texts.cues import Cue, TimedWord
from clipengine.clips.texts.fillers import has_fillers, is_filler
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import InvalidRequest, InvalidTimeRange, VerificationFailed
from clipengine.recordings.facts import AudioFacts, ChapterFacts, SourceFacts, VideoFacts

F = Fraction
SILENCE, FILLERS = Without(("silence",)), Without(("fillers",))
SOUND = AudioFacts(index=1, codec="aac", sample_rate=48_000, channels=2)
VIDEO = VideoFacts(
    index=0,
    codec="h264",
    width=320,
    height=180,
    frame_seconds=F(1, 25),
    tick=F(1, 12_800),
    sample_aspect_ratio=F(1),
    variable_rate=False,
    rotation=0,
)


def _part(*, seconds: int = 100, video: VideoFacts | None = VIDEO) -> PlannedPart:
    facts = SourceFacts(container="mp4", duration=F(seconds), origin=F(0), video=video, audio=(SOUND,))
    return PlannedPart(facts, F(0), F(seconds))


def _spans(*pairs: tuple[str | int, str | int]) -> list[Span]:
    return [(F(start), F(end)) for start, end in pairs]


def _track(*words: tuple[float, float, str], language: str = "en") -> TextTrack:
    timed = tuple(TimedWord(round(1000 * start), round(1000 * end), text) for start, end, text in words)
    text = " ".join(word.text for word in timed)
    return TextTrack(language, "eng", (Cue(timed[0].start_ms, timed[-1].end_ms, text, None, timed),))


def _removed(
    silences: Sequence[Span],
    track: TextTrack | None = None,
    *,
    without: Sequence[Removable] = ("silence",),
    keep: Sequence[KeptRange] = (),
    video: VideoFacts | None = None,
) -> list[tuple[float, float]]:
    removal = remove_ranges(Without(tuple(without), tuple(keep)), [_part(video=video)], Profile(), [silences], [track])
    return [(float(start), float(end)) for start, end in removal.parts[0].removed.spans]


def test_long_pauses_become_short() -> None:
    assert _removed(_spans((2, 3), (5, "5.6"), (7, "7.601"))) == [(2.1, 2.9), (7.1, 7.501)]


def test_pauses_at_the_ends_are_shortened_too() -> None:
    assert _removed(_spans((0, 3), (95, 100))) == [(0.1, 2.9), (95.1, 99.9)]


def test_whole_frames_are_removed_at_a_constant_rate() -> None:
    assert _removed(_spans((2, "3.03")), video=VIDEO) == [(2.1, 2.9)]
    assert _removed(_spans((2, "3.03")), video=VIDEO.model_copy(update={"variable_rate": True})) == [(2.1, 2.93)]


def test_no_word_is_shortened() -> None:
    track = _track((1.5, 2.4, "late"), (2.45, 2.5, "so"), (4.0, 4.2, "early"))
    assert _removed(_spans((2, 5)), track) == [(2.6, 3.9), (4.3, 4.9)]
    assert _removed(_spans((2, 5)), _track((2.5, 4.5, "long"))) == []


def test_fillers_are_removed_with_the_pauses_around_them() -> None:
    words = _track((1, 2, "Well,"), (2.3, 2.6, "Um,"), (3, 4, "yes"), (4, 4.4, "uh"), (4.35, 5, "no."))
    assert _removed((), words, without=["fillers"]) == [(2.3, 2.6), (4.0, 4.35)]
    quiet = _spans((2, "2.3"), ("2.6", 3))
    assert _removed(quiet, words, without=["silence", "fillers"]) == [(2.1, 2.9), (4.0, 4.35)]
    assert _removed(quiet, words) == []  # the filler stays, and is a word


def _kept(start: float, end: float, part: int | None = None) -> KeptRange:
    return KeptRange(start_seconds=start, end_seconds=end, part=part)


def test_ranges_to_keep_stay_whole() -> None:
    quiet = _spans((2, 3), (5, "5.9"), (7, 9))
    assert _removed(quiet, keep=[_kept(2.1, 2.9), _kept(7.1, 8.9)]) == [(5.1, 5.8)]
    assert _removed(quiet, keep=[_kept(7, 8)]) == [(2.1, 2.9), (5.1, 5.8), (8.1, 8.9)]
    words = _track((1, 2, "Well,"), (2.3, 2.6, "Um,"), (3.6, 4, "yes"), (4, 4.4, "uh"))
    both = _removed(_spans((2, "2.3"), ("2.6", "3.6")), words, without=["silence", "fillers"], keep=[_kept(2.3, 2.6)])
    assert both == [(2.7, 3.5), (4.0, 4.4)]  # without the pause after the filler that stays


@pytest.mark.parametrize("video", [None, VIDEO, VIDEO.model_copy(update={"variable_rate": True})])
def test_each_range_of_a_plan_can_be_kept(video: VideoFacts | None) -> None:
    words = _track((1, 2, "Well,"), (2.313, 2.6, "um"), (3, 4, "yes"), (4, 4.4, "uh"), (4.357, 5, "no."))
    quiet = _spans((2, "2.313"), ("2.6", 3), ("5.000001", "6.7654321"), (99, 100))
    found = _removed(quiet, words, without=["silence", "fillers"], video=video)
    assert len(found) == 4
    for number, (start, end) in enumerate(found):
        keep = [_kept(round(start, 6), round(end, 6))]
        others = [*found[:number], *found[number + 1 :]]
        assert _removed(quiet, words, without=["silence", "fillers"], keep=keep, video=video) == others
    keep = [_kept(round(start, 6), round(end, 6)) for start, end in found]
    assert _removed(quiet, words, without=["silence", "fillers"], keep=keep, video=video) == []


def test_range_to_keep_is_of_its_part_or_of_all() -> None:
    parts, quiet = [_part(video=None)] * 2, [_spans((2, 3))] * 2
    one = remove_ranges(Without(("silence",), (_kept(2, 3, part=1),)), parts, Profile(), quiet, [None, None])
    assert [len(part.removed.spans) for part in one.parts] == [1, 0]
    both = remove_ranges(Without(("silence",), (_kept(2, 3),)), parts, Profile(), quiet, [None, None])
    assert [len(part.removed.spans) for part in both.parts] == [0, 0]


def test_ranges_to_keep_of_a_part_are_those_within_its_bounds() -> None:
    random = Random(7)
    spans = [
        (at := random.randrange(990), at + random.randrange(1, 10), random.choice([None, 0, 1])) for _ in range(300)
    ]
    keep = [KeptRange(start_seconds=start, end_seconds=end, part=part) for start, end, part in spans]
    for number, low, high in ((0, 100, 130), (1, 0, 2000), (2, 500, 501), (0, 3000, 3001)):
        expected = {
            second for start, end, part in spans if part in (None, number) for second in range(start, end)
        }.intersection(range(low, high))
        kept = [*Without(("silence",), tuple(keep)).kept_in(number, Fraction(low), Fraction(high))]
        assert all(start < high and end > low for start, end in kept)
        assert {second for start, end in kept for second in range(int(start), int(end))} & {
            *range(low, high)
        } == expected


@pytest.mark.parametrize("keep", [(), (_kept(2.1, 2.9), _kept(0, 1e6, part=3))])
def test_stored_choice_is_read_again(keep: tuple[KeptRange, ...]) -> None:
    without = Without(("silence", "fillers"), keep)
    assert Without.from_object(json.loads(json.dumps(without.to_object()))) == without
    assert Without.from_object(None) == Without.from_object(Without().to_object()) == Without()


@pytest.mark.parametrize(
    ("word", "language", "expected"),
    [
        ("um", "en", True),
        ("“Um…”", "en-GB", True),
        ("um", "de", False),  # a word in German
        ("Äh,", "de", True),
        ("ah", "de", False),
        ("euh", "fr-CA", True),
        ("えーと、", "ja", True),
        ("um", "xx", False),
        ("umbrella", "en", False),
        ("...", "en", False),
    ],
)
def test_fillers_are_those_of_the_language(word: str, language: str, expected: bool) -> None:
    assert is_filler(word, language) is expected
    assert has_fillers(language) is (language != "xx")


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        (None, "does not have the times of words"),
        (TextTrack("en", "eng", (Cue(0, 1000, "um"),)), "does not have the times of words"),
        (_track((0, 1, "um"), language="fi"), "of the language fi are not known"),
    ],
)
def test_fillers_that_cannot_be_found_stay_with_a_warning(track: TextTrack | None, reason: str) -> None:
    removal = remove_ranges(FILLERS, [_part()], Profile(), [()], [track])
    assert [text.startswith("fillers_kept: ") and reason in text for text in removal.warnings] == [True]
    assert not removal.parts[0].removed.spans


def test_longest_pauses_are_removed_if_there_are_too_many() -> None:
    part = _part(seconds=20_000, video=None)
    silences = [(F(2 * number), F(2 * number + 1) + F(number, 100_000)) for number in range(MAX_REMOVED + 3)]
    removal = remove_ranges(SILENCE, [part], Profile(), [silences], [None])
    spans = removal.parts[0].removed.spans
    assert len(spans) == MAX_REMOVED
    assert spans[0][0] == F(6) + F(1, 10)  # the first three are the shortest
    assert removal.warnings == ("pauses_kept: 3 of the shortest stay: at most 5000 ranges of a clip are removed",)
    message = replace(part, removed=Removed(spans)).to_message()
    assert PlannedPart.of_message(message, [part.facts]).removed == Removed(spans)


def test_limit_holds_for_all_parts_together() -> None:
    part = _part(seconds=10_000, video=None)
    silences = [(F(2 * number), F(2 * number + 1)) for number in range(3000)]
    removal = remove_ranges(SILENCE, [part, part], Profile(), [silences, silences], [None, None])
    assert [len(each.removed.spans) for each in removal.parts] == [3000, 2000]
    assert len(removal.warnings) == 1


def test_times_move_to_the_timeline_that_is_left() -> None:
    removed = Removed(tuple(_spans((2, 3), (5, 9))))
    assert [removed.place(F(time)) for time in (0, 2, "2.5", 3, 5, 8, 9, 20)] == [0, 2, 2, 2, 4, 4, 4, 15]
    assert [removed.has(F(time)) for time in (1, 2, "2.9", 3, 9)] == [False, True, True, False, False]
    assert removed.seconds == 5
    assert Removed.of_message(removed.to_message()) == removed
    assert Removed.of_message(Removed().to_message()) == Removed()


def test_texts_and_chapters_move_with_their_part() -> None:
    removed = Removed(tuple(_spans((2, 3), (5, 9))))
    track = TextTrack("en", "eng", (Cue(1000, 4000, "a"), Cue(5500, 8000, "gone"), Cue(8000, 9500, "b")))
    part = replace(_part(), removed=removed).with_texts((track,))
    assert [(cue.start_ms, cue.end_ms, cue.text) for cue in part.texts[0].cues] == [
        (1000, 3000, "a"),
        (4000, 4500, "b"),
    ]
    chapters = [ChapterFacts(start=F(start), end=F(end), title=str(start)) for start, end in ((0, 6), (6, 8), (8, 20))]
    part = replace(part, facts=part.facts.model_copy(update={"chapter_list": tuple(chapters)}))
    assert [(each.start, each.end, each.title) for each in part.chapters] == [(0, 4, "0"), (4, 15, "8")]
    assert part.kept_end == 95


def _cue(text: str, *words: tuple[int, int, str], end: int | None = None) -> Cue:
    return Cue(words[0][0], end or words[-1][1], text, "Ana", tuple(TimedWord(*each) for each in words))


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        ("Um, was the epoch", [(2000, 2400, "Um,"), (3000, 3300, "was"), (3300, 4000, "the epoch")], "was the epoch"),
        ("Um, was", [(2000, 2400, "Um"), (3000, 3300, "was")], "was"),
        (
            "it was, um, so\nuh, large",
            [(1000, 1300, "it"), (2100, 2400, "um,"), (2500, 2900, "uh,")],
            "it was, so\nlarge",
        ),
        ("I think, um.", [(1000, 1900, "think,"), (2000, 2400, "um.")], "I think."),
        ("I agree. Um. Then", [(1000, 1900, "agree."), (2000, 2400, "Um."), (3000, 3300, "Then")], "I agree. Then"),
        ("um “was” it", [(2000, 2400, "um"), (3000, 3300, "was")], "“was” it"),
        ("えー今日は", [(2000, 2400, "えー"), (3000, 3300, "今日は")], "今日は"),
        ("other text", [(2000, 2400, "um"), (3000, 3300, "was")], "other text"),
        ("Um!", [(2000, 2900, "Um!")], None),
        ("Um, Mm", [(2000, 2000, "Um,"), (2500, 2900, "Mm")], None),
        ("Um, was", [(1000, 2400, "Um,"), (3000, 3300, "was")], "Um, was"),  # most of it is heard
    ],
)
def test_removed_words_are_not_in_the_texts_of_a_clip(text: str, words: list[tuple[int, int, str]], left: str) -> None:
    part = replace(_part(), removed=Removed(tuple(_spans((2, 3)))))
    track = TextTrack("en", "eng", (_cue(text, *words, end=8000),))
    texts = [cue.text for each in part.with_texts((track,)).texts for cue in each.cues]
    burnt = part.with_captions((track,), None).burnt
    drawn = part.with_captions((track,), CaptionStyle(name="word")).burnt
    assert texts == ([] if left is None else [left])
    assert [cue.text for cue in (burnt.cues if burnt else ())] == texts
    if left is not None:
        assert drawn is not None
        assert all(word.start_ms < word.end_ms for word in drawn.cues[0].timed_words)


def test_caption_that_begins_within_a_frame_of_the_start_begins_with_the_part() -> None:
    cues = (Cue(16_000, 17_250, "before"), Cue(17_260, 19_000, "first"), Cue(19_000, 20_000, "next"))
    part = replace(_part(), start=F("17.24"))
    for track in (
        part.with_texts((TextTrack("en", "eng", cues),)).texts[0],
        part.with_captions((TextTrack("en", "eng", cues),), None).burnt,
    ):
        assert track is not None
        assert [(cue.start_ms, cue.text) for cue in track.cues] == [(17_220, "first"), (19_000, "next")]
    later = replace(part, start=F("17.2"))
    assert later.with_texts((TextTrack("en", "eng", cues),)).texts[0].cues == cues
    sound = replace(_part(video=None), start=F("17.24"))
    assert sound.with_texts((TextTrack("en", "eng", cues),)).texts[0].cues == cues


def test_report_of_silences_is_validated() -> None:
    spans = _spans((1, "2.000001"), (3, 4))
    text = written_silences(spans)
    assert SilenceReport.of({"parts": [text, ""], "bytes_read": 5}, 2).silences == [spans, []]
    wrong = (["1-2 3"], ["-1-2"], ["1-2;3-4"], ["1" * 17 + "-2"], ["\u0663-\u0664"], [1])
    for parts in (*([each[0], ""] for each in wrong), ["1-2"], [text] * 101):
        with pytest.raises(VerificationFailed):
            SilenceReport.of({"parts": parts, "bytes_read": 5}, 2)
    too_long = " ".join(["1000000000000000-1000000000000001"] * 50_001)
    with pytest.raises(VerificationFailed):
        SilenceReport.of({"parts": [too_long], "bytes_read": 5}, 1)


def test_report_has_the_longest_silences() -> None:
    spans = [(F(2 * number), F(2 * number + 1)) for number in range(50_000)]
    found = SilenceReport.of({"parts": [written_silences([(F(0), F(1, 2)), *spans])], "bytes_read": 0}, 1).silences[0]
    assert found == spans


def test_silences_of_a_lying_child_stay_in_the_range() -> None:
    lies = _spans((90, 200), (50, 40), (0, 20))
    part = replace(_part(video=None), start=F(10), end=F(95))
    spans = remove_ranges(SILENCE, [part], Profile(), [lies], [None]).parts[0].removed.spans
    assert [(float(start), float(end)) for start, end in spans] == [(10.1, 19.9), (90.1, 94.9)]


def test_clip_of_which_too_little_is_left_is_refused() -> None:
    part = replace(_part(), removed=Removed(tuple(_spans((1, 99)))))
    Removal((part,)).check(shortest=2)
    with pytest.raises(InvalidTimeRange, match=r"without its pauses and fillers, the clip is 2 s long"):
        Removal((part,)).check(shortest=2.5)


def test_what_a_recording_cannot_lack_is_refused() -> None:
    silent = _part().facts.model_copy(update={"audio": ()})
    with pytest.raises(InvalidRequest, match="needs audio"):
        check_removable(SILENCE, Profile(), silent, has_transcript=True)
    with pytest.raises(InvalidRequest, match="needs a transcript"):
        check_removable(FILLERS, Profile(), silent, has_transcript=False)
    with pytest.raises(InvalidRequest, match="timelapse"):
        check_removable(SILENCE, Profile(output=Output(speed=100)), _part().facts, has_transcript=True)
    check_removable(FILLERS, Profile(), silent, has_transcript=True)


def test_words_in_ranges_to_keep_are_found_by_their_middles() -> None:
    random = Random(7)
    ranges = [(start, start + random.choice((0.5, 3, 40))) for start in random.sample(range(1000), 60)]
    without = Without(("fillers",), tuple(_kept(*each) for each in ranges))
    for start in range(0, 1_100_000, 250):
        middle = (start + 125) / 1000
        assert without.keeps(start, start + 250) is any(first <= middle < last for first, last in ranges)
    assert not Without(("fillers",)).keeps(0, 100)
