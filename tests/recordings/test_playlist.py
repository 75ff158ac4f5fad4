"""The parser of playlists: what it reads, and the code of each playlist that it refuses."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipengine.errors import ClipEngineError, PlaylistInvalid
from clipengine.recordings.playlist import (
    MAX_ATTRIBUTES,
    MAX_GAPS,
    MAX_LINES,
    MAX_PLAYLIST_BYTES,
    MAX_RENDITIONS,
    MAX_SEGMENTS,
    MasterPlaylist,
    MediaPlaylist,
    VariantChoice,
    _attributes,
    is_playlist,
    parse_playlist,
)
from clipengine.recordings.segments import ByteRange
from tests.support.growth import is_linear


def parse(text: str | bytes, key: str = "show/index.m3u8") -> MediaPlaylist | MasterPlaylist:
    data = text if isinstance(text, bytes) else text.encode()
    return parse_playlist(data, key=key, folder="show/")


def media(*lines: str) -> MediaPlaylist:
    found = parse("\n".join(["#EXTM3U", *lines]))
    assert isinstance(found, MediaPlaylist)
    return found


def master(*lines: str) -> MasterPlaylist:
    found = parse("\n".join(["#EXTM3U", *lines]))
    assert isinstance(found, MasterPlaylist)
    return found


def code_of(text: str | bytes) -> str | None:
    try:
        parse(text)
    except ClipEngineError as error:
        return error.code
    return None


SEGMENT = "#EXTINF:4.0,\na.ts\n"


def test_segments_have_their_key_duration_and_place() -> None:
    found = media("#EXTINF:4.004,title", "a.ts", "#EXT-X-GAP", "#EXTINF:4", "sub/b%20c.ts?x=1#y", "#EXT-X-ENDLIST")
    assert [segment.data for segment in found.segments] == [ByteRange("show/a.ts"), ByteRange("show/sub/b c.ts")]
    assert [segment.seconds for segment in found.segments] == [Fraction("4.004"), 4]
    assert [segment.gap for segment in found.segments] == [False, True]
    assert found.ended


def test_playlist_without_an_end_mark_has_not_ended() -> None:
    assert not media("#EXTINF:4,", "a.ts").ended


def test_windows_line_ends_and_byte_order_mark_are_read() -> None:
    found = parse(b"\xef\xbb\xbf#EXTM3U\r\n#EXTINF:4,\r\na.ts\r\n")
    assert isinstance(found, MediaPlaylist)
    assert found.segments[0].data.key == "show/a.ts"
    assert is_playlist(b"\xef\xbb\xbf#EXTM3U\r\n")


def test_byte_ranges_continue_those_of_the_same_object() -> None:
    found = media(
        '#EXT-X-MAP:URI="all.mp4",BYTERANGE="800@0"',
        *("#EXTINF:4,", "#EXT-X-BYTERANGE:100@800", "all.mp4"),
        *("#EXTINF:4,", "#EXT-X-BYTERANGE:50", "all.mp4"),
    )
    assert [segment.data for segment in found.segments] == [
        ByteRange("show/all.mp4", 800, 100),
        ByteRange("show/all.mp4", 900, 50),
    ]
    assert found.segments[1].init == ByteRange("show/all.mp4", 0, 800)


def test_discontinuities_are_counted_from_the_first_segment() -> None:
    lines = ("#EXT-X-DISCONTINUITY", "#EXTINF:4,", "a.ts", "#EXT-X-DISCONTINUITY", "#EXTINF:4,", "b.ts")
    assert [segment.discontinuity for segment in media(*lines).segments] == [0, 1]


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-11-28T12:00:00.500Z", 1_795_867_200_500_000),
        ("2026-11-28T13:00:00.5+0100", 1_795_867_200_500_000),
        ("2026-11-28T12:00:00", 1_795_867_200_000_000),
        *((text, None) for text in ("1904-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "yesterday", "")),
    ],
)
def test_date_of_a_segment_is_read_if_it_is_one(text: str, date: int | None) -> None:
    assert media(f"#EXT-X-PROGRAM-DATE-TIME:{text}", "#EXTINF:4,", "a.ts").segments[0].date == date


@pytest.mark.parametrize(
    ("time", "date"),
    [
        ("1795867200500", 1_795_867_200_500_000),
        ("20261128120000500", 1_795_867_200_500_000),
        ("7258118400000", None),
        ("99991231235959999", None),
        ("00010101000000000", None),
    ],
)
def test_date_of_agora_is_a_moment(time: str, date: int | None) -> None:
    found = media(f"#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TIME={time}", "#EXTINF:4,", "a.ts")
    assert (found.segments[0].date, found.invalid_date is None) == (date, date is not None)


def test_first_date_that_is_left_out_has_a_reason() -> None:
    dates = ("9999-12-31T23:59:59-23:59", "yesterday", "2026-11-28T12:00:00Z")
    found = media(*(line for each in dates for line in (f"#EXT-X-PROGRAM-DATE-TIME:{each}", "#EXTINF:4,", "a.ts")))
    assert [each.date for each in found.segments] == [None, None, 1_795_867_200_000_000]
    assert found.invalid_date == "must be between 1970 and 2199, in UTC"


def test_best_variant_has_the_most_pixels_then_the_highest_bandwidth() -> None:
    found = master(
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",URI="en.m3u8"',
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Main, muxed"',
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="b",NAME="Other",URI="other.m3u8"',
        *("#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360", "low.m3u8"),
        *('#EXT-X-STREAM-INF:BANDWIDTH=100,RESOLUTION=1280x720,AUDIO="a"', "thin.m3u8"),
        *('#EXT-X-STREAM-INF:BANDWIDTH=200,RESOLUTION=1280x720,AUDIO="a"', "best.m3u8"),
    )
    best = found.variant(VariantChoice())
    assert best.key == "show/best.m3u8"
    assert [(each.key, each.name, each.language) for each in found.audio_of(best)] == [
        ("show/en.m3u8", "English", "en"),
        (None, "Main, muxed", None),
    ]


@pytest.mark.parametrize("lines", [("#EXTINF:4,", "index.m3u8"), ('#EXT-X-MAP:URI="index.m3u8"', "#EXTINF:4,", "a.ts")])
def test_playlist_that_names_itself_as_a_segment_is_invalid(lines: tuple[str, ...]) -> None:
    with pytest.raises(PlaylistInvalid, match="names itself"):
        media(*lines)


def test_error_about_a_variant_lists_only_the_first_names() -> None:
    names = [f"{each:02d}{'x' * 900}" for each in range(64)]
    found = master(*(line for each in names for line in (f'#EXT-X-STREAM-INF:BANDWIDTH=1,NAME="{each}"', "a.m3u8")))
    with pytest.raises(PlaylistInvalid, match=r"'09x+', …$") as caught:
        found.variant(VariantChoice(name="zzz"))
    assert len(caught.value.message) < 4000
    nameless = master("#EXT-X-STREAM-INF:BANDWIDTH=1", "a.m3u8")
    with pytest.raises(PlaylistInvalid, match=r"none has a name$"):
        nameless.variant(VariantChoice(name="zzz"))


@pytest.mark.parametrize(
    ("choice", "key"),
    [
        (VariantChoice(max_height=1080), "show/high.m3u8"),
        (VariantChoice(max_height=1079), "show/medium.m3u8"),
        (VariantChoice(name="low"), "show/low.m3u8"),
        (VariantChoice(max_height=359), None),
        (VariantChoice(name="lo"), None),
    ],
)
def test_variant_is_chosen_by_height_or_name(choice: VariantChoice, key: str | None) -> None:
    found = master(
        *('#EXT-X-STREAM-INF:BANDWIDTH=9,RESOLUTION=640x360,NAME="low"', "low.m3u8"),
        *('#EXT-X-STREAM-INF:BANDWIDTH=5,RESOLUTION=1280x720,NAME="medium"', "medium.m3u8"),
        *('#EXT-X-STREAM-INF:BANDWIDTH=7,RESOLUTION=1920x1080,NAME="high"', "high.m3u8"),
        *("#EXT-X-STREAM-INF:BANDWIDTH=1", "sound.m3u8"),
    )
    if key is None:
        with pytest.raises(PlaylistInvalid, match="no variant") as caught:
            found.variant(choice)
        known = "the names are 'low', 'medium', 'high'; the heights are 1080, 720, 360"
        assert caught.value.message.endswith(f": {known}")
    else:
        assert found.variant(choice).key == key


@pytest.mark.parametrize(
    ("uri", "key"),
    [("../show/a.ts", "show/a.ts"), ("./a.ts", "show/a.ts"), ("x/../a.ts", "show/a.ts"), ("a%2Fb.ts", "show/a/b.ts")],
)
def test_relative_path_in_the_folder_is_followed(uri: str, key: str) -> None:
    assert media("#EXTINF:4,", uri).segments[0].data.key == key


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("https://cdn.example.org/v/show/a%20b.ts?x=1", "show/a b.ts"),
        ("b.ts", "show/b.ts"),
        *((f"https://cdn.example.org/v/{path}", None) for path in ("other/a.ts", "../show/a.ts", "show/../a.ts", "")),
        *(
            (uri, None)
            for uri in ("https://cdn.example.org/show/a.ts", "https://cdn.example.org/v/https://h/show/a.ts")
        ),
        *((uri, None) for uri in ("https://cdn.example.org.evil/v/show/a.ts", "https://cdn.example.org/v//show/a.ts")),
    ],
)
def test_url_of_the_store_is_a_key(uri: str, key: str | None) -> None:
    found, base_url = f"#EXTM3U\n#EXTINF:4,\n{uri}\n".encode(), "https://cdn.example.org/v/"
    if key is None:
        with pytest.raises(ClipEngineError) as raised:
            parse_playlist(found, key="show/index.m3u8", folder="show/", base_url=base_url)
        assert raised.value.code in ("playlist_outside", "playlist_invalid")
    else:
        playlist = parse_playlist(found, key="show/index.m3u8", folder="show/", base_url=base_url)
        assert isinstance(playlist, MediaPlaylist)
        assert playlist.segments[0].data.key == key


def test_percent_signs_are_decoded_once() -> None:
    assert media("#EXTINF:4,", "a%252Fb.ts").segments[0].data.key == "show/a%2Fb.ts"


@pytest.mark.parametrize(
    "uri",
    [
        *("/a.ts", "//host/a.ts", "https://host/a.ts", "file:///etc/passwd", "data:,x", "../a.ts", "../show2/a.ts"),
        *("%2Fa.ts", "%2e%2e/a.ts", "x/../../a.ts", "..", "../../../a.ts", "s3://bucket/a.ts"),
    ],
)
def test_uri_elsewhere_is_refused(uri: str) -> None:
    assert code_of(f"#EXTM3U\n#EXTINF:4,\n{uri}\n") == "playlist_outside"


@pytest.mark.parametrize(
    "uri", ["a\\b.ts", "a%5Cb.ts", "a%00.ts", "a\x00.ts", "a%0A.ts", "?x", "%ff.ts", "a" * 1025, "["]
)
def test_uri_that_is_no_path_is_refused(uri: str) -> None:
    if uri == "[":
        uri = "//[a.ts"
    assert code_of(f"#EXTM3U\n#EXTINF:4,\n{uri}\n") == "playlist_invalid"


@pytest.mark.parametrize("duration", ["nan", "inf", "-5", "1e3", "3601", "9" * 100_000, "", "٣", "0x10", "1_0"])
def test_duration_that_is_no_plain_number_up_to_an_hour_is_refused(duration: str) -> None:
    assert code_of(f"#EXTM3U\n#EXTINF:{duration},\na.ts\n") == "playlist_invalid"


@pytest.mark.parametrize("found", ["5@-5", "5", "0@0", "-1@0", "5@5@5", f"1@{2**63 - 1}", "9" * 20 + "@0", "a@b", "@1"])
def test_byte_range_beyond_the_limits_is_refused(found: str) -> None:
    assert code_of(f"#EXTM3U\n#EXTINF:4,\n#EXT-X-BYTERANGE:{found}\na.ts\n") == "playlist_invalid"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "playlist_invalid"),
        ("#EXTINF:4,\na.ts", "playlist_invalid"),
        ("#EXTM3U\n", "playlist_invalid"),
        ("#EXTM3U\na.ts\n", "playlist_invalid"),
        (f"#EXTM3U\n#EXT-X-MAP:BYTERANGE=1\n{SEGMENT}", "playlist_invalid"),
        ('#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a"\n', "playlist_invalid"),
        (f"#EXTM3U\n#EXT-X-I-FRAMES-ONLY\n{SEGMENT}", "playlist_unsupported"),
        (f"#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n{SEGMENT}", "playlist_unsupported"),
        (f'#EXTM3U\n#EXT-X-DEFINE:NAME="a",VALUE="b"\n{SEGMENT}', "playlist_unsupported"),
        (f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n{SEGMENT}', "recording_encrypted"),
        (f"#EXTM3U\n#EXT-X-KEY:METHOD=SAMPLE-AES-CTR\n{SEGMENT}", "recording_encrypted"),
        (f"#EXTM3U\n#EXT-X-KEY:METHOD=NONE\n{SEGMENT}", None),
        ("#EXTM3U\n#EXT-X-SESSION-KEY:METHOD=AES-128\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8", None),
        (f'#EXTM3U\n{SEGMENT}#EXT-X-KEY:METHOD=AES-128,URI="k"\n{SEGMENT}', None),
    ],
)
def test_playlist_that_is_not_supported_has_a_code(text: str, code: str | None) -> None:
    assert code_of(text) == code


def test_text_that_is_not_utf8_is_refused() -> None:
    assert code_of(b"#EXTM3U\n\xff\n") == "playlist_invalid"


@pytest.mark.exhaustive
def test_playlist_beyond_its_limits_is_refused() -> None:
    variant = "#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n"
    rendition = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="n",URI="b.m3u8"\n'
    assert code_of(b"#EXTM3U\n" + b"#" * MAX_PLAYLIST_BYTES) == "playlist_invalid"
    assert code_of("#EXTM3U\n" + SEGMENT * MAX_SEGMENTS) is None
    assert code_of("#EXTM3U\n" + SEGMENT * (MAX_SEGMENTS + 1)) == "too_many_pieces"
    assert code_of("#EXTM3U\n" + f"#EXT-X-GAP\n{SEGMENT}" * (MAX_GAPS + 1)) == "too_many_pieces"
    assert code_of("#EXTM3U\n" + variant * (MAX_RENDITIONS + 1)) == "playlist_invalid"
    assert code_of("#EXTM3U\n" + rendition * (MAX_RENDITIONS + 1) + variant) == "playlist_invalid"


@given(
    st.lists(
        st.sampled_from(
            [
                "#EXTINF:",
                "#EXT-X-MAP:URI=",
                "#EXT-X-BYTERANGE:",
                "a.ts",
                "../",
                "%2e",
                '"',
                "4,",
                "\n",
                "@",
                "#EXT-X-STREAM-INF:",
                "=",
                "9",
                "٣",
                "\x00",
            ]
        )
    )
)
def test_any_text_is_read_or_refused_with_a_code(parts: list[str]) -> None:
    code_of("#EXTM3U\n" + "".join(parts))


@pytest.mark.parametrize(
    ("before", "repeated", "after"),
    [
        ("#EXT-X-KEY:", "A=", '"'),
        ("#EXT-X-KEY:", 'A="', ""),
        ("#EXT-X-KEY:", 'A=",', ""),
        ("#EXT-X-MAP:", "A", ""),
        ("#EXT-X-MAP:URI=", ",", ""),
        ("#EXTINF:", "9", ""),
        ("#EXTINF:1.", "9", "x"),
        ("#EXT-X-BYTERANGE:", "@", ""),
        ("#EXT-X-MEDIA-SEQUENCE:", "9", ""),
        ("#EXT-X-PROGRAM-DATE-TIME:", "2", ""),
        ("#EXT-X-AGORA-TRACK-EVENT:TIME=", "2", ""),
        ("", "../", ""),
        ("", "%", ""),
        ("", "#EXT-X-MEDIA:", ""),
    ],
)
def test_line_costs_as_much_as_it_is_long(before: str, repeated: str, after: str) -> None:
    """Row 102 of the faults: attributes took 0.3 s at 8 KiB, and 1.7 s at 20 KiB."""

    def hostile(size: int) -> str:
        return f"#EXTM3U\n{before}{repeated * (size // len(repeated))}{after}\n{SEGMENT}"

    assert is_linear(code_of, hostile, 4000, 16_000)


def test_longer_line_is_refused() -> None:
    with pytest.raises(PlaylistInvalid, match="line 2 of the playlist has more than 16384 characters"):
        parse("#EXTM3U\n#EXT-X-KEY:" + "A=" * (1 << 20) + '"\n' + SEGMENT)


def test_attributes_and_lines_are_limited() -> None:
    lines = "#EXT-X-KEY:" + "A=A," * 4000 + "\n"
    with pytest.raises(PlaylistInvalid, match=f"more than {MAX_ATTRIBUTES} attributes"):
        parse("#EXTM3U\n" + lines * (MAX_ATTRIBUTES // 4000 + 1) + SEGMENT)
    with pytest.raises(PlaylistInvalid, match=f"more than {MAX_LINES} lines"):
        parse("#EXTM3U\n" + "\n" * MAX_LINES + SEGMENT)


@pytest.mark.parametrize("space", ["", "  ", "\t", "\r\n "])
def test_indented_tags_make_a_master_playlist(space: str) -> None:
    found = parse(f"#EXTM3U\n{space}#EXT-X-STREAM-INF:BANDWIDTH=1\n{space}v.m3u8\n")
    assert isinstance(found, MasterPlaylist)
    assert [each.key for each in found.variants] == ["show/v.m3u8"]


def test_tag_of_a_master_playlist_inside_a_line_is_no_tag() -> None:
    assert isinstance(parse(f"#EXTM3U\n# see #EXT-X-STREAM-INF:\n#x #EXT-X-MEDIA:\n{SEGMENT}"), MediaPlaylist)


def test_duration_has_any_number_of_decimals() -> None:
    found = media(f"#EXTINF:4.{'0' * 5000}1,", "a.ts", f"#EXTINF:2.5{'0' * 14},title", "b.ts")
    assert [each.seconds for each in found.segments] == [4, Fraction("2.5")]


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ('URI="a,b=c",NAME=x', {"URI": "a,b=c", "NAME": "x"}),
        ('METHOD=AES-128,URI="k', {"METHOD": "AES-128"}),
        ('URI="k,METHOD=AES-128', {"METHOD": "AES-128"}),
        ('A="1,B=2",C=3,D="4', {"A": "1,B=2", "C": "3"}),
        ("draft,URI=a", {"URI": "a"}),
        ('A="",B=,C="c"x,D=d', {"A": "", "B": "", "C": "c", "D": "d"}),
        ("A=1,A=2", {"A": "2"}),
        (" A = 1 , B = 2 ", {"A": "1", "B": "2"}),
        ("no attributes, none", {}),
        ('METHOD=a"b,C=d', {"METHOD": 'a"b', "C": "d"}),
    ],
)
def test_attributes_are_read_in_one_pass(text: str, attributes: dict[str, str]) -> None:
    assert _attributes(text) == attributes
