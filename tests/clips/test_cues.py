"""Transcript files are parsed completely or rejected, cues are cut and formatted, and words are found in any script."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from clipengine.clips.texts.cues import (
    MAX_CUE_CHARACTERS,
    MAX_CUE_SECONDS,
    MAX_CUES,
    MAX_SPEAKER_CHARACTERS,
    Cue,
    check_cues,
    clean_line,
    clean_text,
    cut_cues,
    format_cues,
)
from clipengine.clips.texts.language_tags import parse_language
from clipengine.clips.texts.transcript_file import MAX_TRANSCRIPT_BYTES, parse_transcript
from clipengine.clips.texts.words import highlights, indexed_words, parse_query
from clipengine.errors import InvalidRequest, InvalidTranscript

VTT = """\ufeffWEBVTT - minutes
Kind: captions

NOTE written by hand

STYLE
::cue { color: red }

2
01:00:00.000 --> 01:00:01.000
a &lt; b &amp; c
<b>second</b> line

intro
00:01.000 --> 00:02.500 align:middle line:90%
<v Ana María>Hello <00:01.500>there
"""
SRT = (
    "1\r\n00:00:01,000 --> 00:00:02,000\r\n{\\an8}<i>Hi</i> there\r\n\r\n"
    "2\r\n00:00:03,000 --> 00:00:04,000\r\n\r\n3\r\n0:00:05,000 --> 0:00:06.5\r\nR&D\r\n"
)


class TestFiles:
    def test_webvtt_is_read_without_its_formatting(self) -> None:
        assert parse_transcript(VTT.encode(), "vtt") == [
            Cue(1000, 2500, "Hello there", "Ana María"),
            Cue(3_600_000, 3_601_000, "a < b & c\nsecond line"),
        ]
        assert parse_transcript(VTT.encode("utf-16"), "vtt") == parse_transcript(VTT.encode(), "vtt")

    def test_subrip_is_read_and_cues_without_text_are_left_out(self) -> None:
        assert parse_transcript(SRT.encode(), "srt") == [Cue(1000, 2000, "Hi there"), Cue(5000, 6005, "R&D")]

    @pytest.mark.parametrize(
        ("text", "kind", "said"),
        [
            ("", "vtt", "the file is empty"),
            ("\n \n", "srt", "the file is empty"),
            ("hello", "vtt", "the line WEBVTT"),
            ("hello", "srt", "the number of its first cue"),
            ("WEBVTT\n\n00:01.000 --> 00:99.000\nx", "vtt", "line 3 has no valid times"),
            ("WEBVTT\n\n00:01,000 --> 00:02,000\nx", "vtt", "line 3 has no valid times"),
            ("1\n00:00:01,000 --> later\nx", "srt", "line 2 has no valid times"),
            ("1\n00:00:01,000 --> 00:00:02,000\nx\n\n00:00:03,000 --> 00:00:04,000\ny", "srt", "1 of 2 cues"),
            ("WEBVTT", "vtt", "no cue with a text"),
            ("WEBVTT\n\n00:01.000 --> 00:02.000\n<b> </b>\n", "vtt", "no cue with a text"),
            ("WEBVTT\n\n00:03.000 --> 00:02.000\nx", "vtt", r"end_seconds \(2\) must be greater"),
        ],
    )
    def test_file_that_cannot_be_read_completely_is_rejected(self, text: str, kind: str, said: str) -> None:
        with pytest.raises(InvalidTranscript, match=said):
            parse_transcript(text.encode(), kind)  # type: ignore[arg-type]

    def test_other_encodings_are_rejected(self) -> None:
        with pytest.raises(InvalidTranscript, match="byte 33 is wrong") as caught:
            parse_transcript("WEBVTT\n\n00:01.000 --> 00:02.000\nné".encode("latin-1"), "vtt")
        assert caught.value.hint == "Save the file as UTF-8."

    def test_limits_are_enforced(self) -> None:
        with pytest.raises(InvalidTranscript, match="more than 2097152 bytes"):
            parse_transcript(b"WEBVTT\n\n" + b"x" * MAX_TRANSCRIPT_BYTES, "vtt")
        with pytest.raises(InvalidTranscript, match=f"{MAX_CUES + 1} cues"):
            check_cues([Cue(0, 1, "x")] * (MAX_CUES + 1))
        with pytest.raises(InvalidTranscript) as caught:
            check_cues(
                [
                    Cue(0, 1, "x" * (MAX_CUE_CHARACTERS + 1), "y" * (MAX_SPEAKER_CHARACTERS + 1)),
                    Cue(-1, 1, "x"),
                    Cue(0, MAX_CUE_SECONDS * 1000 + 1, "x"),
                    *[Cue(2, 2, "x")] * 30,
                ]
            )
        pointers = [fault["pointer"] for fault in caught.value.errors]
        assert pointers[:5] == ["/0/text", "/0/speaker", "/1/start_seconds", "/2/end_seconds", "/3/end_seconds"]
        assert (len(pointers), caught.value.omitted) == (20, 14)

    def test_long_hostile_lines_are_read_in_linear_time(self) -> None:
        for line in ("<" * 1_000_000, "&lt;" * 250_000, "{\\" * 500_000, "-" * 1_000_000):
            body = f"WEBVTT\n\n00:01.000 --> 00:02.000\n{line}".encode()
            with pytest.raises(InvalidTranscript, match="more than 20000 characters"):
                parse_transcript(body, "vtt")

    def test_formatted_text_cannot_leave_its_cue(self) -> None:
        text = clean_text("one\r\n\r\n00:00:09.000 --> 00:00:10.000\0\x1b[2J\u2028<script>&amp;\n\n\n")
        cues = check_cues([Cue(0, 1000, text, clean_line("<v Eve>\n-->")), Cue(1500, 2250, "two")])
        assert text == "one\n00:00:09.000 --> 00:00:10.000  [2J\n<script>&amp;"
        assert parse_transcript(format_cues(cues, "vtt"), "vtt") == cues
        srt = parse_transcript(format_cues([cues[1]], "srt"), "srt")
        assert srt == [cues[1]]
        assert format_cues(cues, "srt").count(b"-->") == 2
        assert json.loads(format_cues(cues, "json"))[1] == {"start_seconds": 1.5, "end_seconds": 2.25, "text": "two"}


class TestCuts:
    CUES = (Cue(0, 1000, "before"), Cue(1500, 2500, "first"), Cue(3000, 4000, "whole"), Cue(4900, 6000, "last"))

    def test_cues_are_shifted_and_shortened_at_both_ends(self) -> None:
        assert cut_cues(self.CUES, Fraction(2), Fraction(5)) == [
            Cue(0, 500, "first"),
            Cue(1000, 2000, "whole"),
            Cue(2900, 3000, "last"),
        ]

    def test_cue_that_overlaps_by_less_than_a_millisecond_is_kept(self) -> None:
        assert cut_cues(self.CUES, Fraction("2.4998"), Fraction("4.9002")) == [
            Cue(0, 1, "first"),
            Cue(500, 1500, "whole"),
            Cue(2399, 2400, "last"),
        ]

    def test_cues_that_only_touch_the_clip_are_not_part_of_it(self) -> None:
        assert cut_cues(self.CUES, Fraction(1), Fraction("1.5")) == []


@pytest.mark.parametrize(
    ("tag", "canonical"),
    [("en", "en"), ("ENG", "en"), ("pt-br", "pt-BR"), ("zh-hant-tw", "zh-Hant-TW"), ("und", "und"), ("iw", "he")],
)
def test_language_tags_are_made_canonical(tag: str, canonical: str) -> None:
    assert parse_language(tag) == canonical


@pytest.mark.parametrize("tag", ["", "e", "xx", "german", "en-", "en\n", "../en", "ен", "en-US-US", "a" * 36])
def test_invalid_language_tags_are_rejected(tag: str) -> None:
    with pytest.raises(InvalidTranscript, match="is not a language tag"):
        parse_language(tag)


class TestWords:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("Don't STOP the Café!", "don t stop the cafe"),
            ("Straße ﬁne", "strasse fine"),
            ("今日は会議", "今 日 は 会 議"),
            ("が か", "が か"),
            ("Ёлка, мир", "елка мир"),
            ("שָׁלוֹם", "שלום"),
            ("नमस्ते", "नमस्ते"),
            ("...", ""),
        ],
    )
    def test_words_are_folded(self, text: str, words: str) -> None:
        assert indexed_words(text) == words

    def test_matches_are_highlighted_by_their_place_in_the_text(self) -> None:
        text = "𝒜 Don't stop the Café"
        phrases = parse_query('cafe "the cafe" sto*')
        assert [text[start:end] for start, end in highlights(text, phrases)] == ["stop", "the Café"]
        assert highlights("今日の会議は", parse_query("会議")) == [[3, 5]]

    @pytest.mark.parametrize("query", ["", "!!", '""', '"'])
    def test_query_without_a_word_is_rejected(self, query: str) -> None:
        with pytest.raises(InvalidRequest, match="q has no word"):
            parse_query(query)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("WEBVTT\n\n" + "00:00.000 --> 00:01.000\nx\n\n" * (MAX_CUES + 1), "more than 20000 cues"),
        ("WEBVTT\n\n" + "00:00.000 --> 00:01.000\nx\n\n" * 70_000, "more than 20000 cues"),
        ("WEBVTT\n\n00:00.000 --> 00:01.000\nx\n\n" + ".\n" * 200_001, "more than 200000 lines"),
        (
            "WEBVTT\n\n00:00.000 --> 00:01.000\n" + "x" * 20_001,
            "line 4 of .* has more than 20000 characters",
        ),
    ],
)
def test_file_over_a_limit_is_refused_before_it_is_parsed(text: str, message: str) -> None:
    """Row 108 of the faults: 70,000 cues took 2.5 s."""
    with pytest.raises(InvalidTranscript, match=message) as refusal:
        parse_transcript(text.encode(), "vtt")
    assert ("at most 20,000 cues" in refusal.value.hint) == ("cues" in message)
