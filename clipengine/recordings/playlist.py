"""Parser of HLS playlists (RFC 8216) that are finished or still written.

Playlists are hostile text: every value has a limit and is read in time linear in its length, and nothing is fetched. A
URI becomes a key of the store in the folder of the registered playlist, or the playlist is refused.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from clipengine.basis.budget import Allowance, LineReader, TextLimits, decimal_number, whole_number
from clipengine.basis.moments import check_moment, parse_microseconds
from clipengine.errors import (
    PlaylistInvalid,
    PlaylistOutside,
    PlaylistUnsupported,
    RecordingEncrypted,
    TooManyPieces,
)
from clipengine.recordings.segments import ByteRange, Segment, Segments

MAX_PLAYLIST_BYTES = 8 << 20
MAX_LINES = 1_000_000
MAX_LINE_CHARACTERS = 16_384  # keys in `data:` URIs and messages of advertising have a few thousand
MAX_SEGMENTS = 100_000
MAX_ALL_SEGMENTS = 200_000  # of the tracks of a recording
MAX_ATTRIBUTES = 500_000  # equals signs: five for each segment
MAX_RENDITIONS = 64  # and as many variants
MAX_SEGMENT_SECONDS = 3600
MAX_URI_BYTES = 1024
MAX_GAPS = 10_000
MAX_REASON = 200  # characters of why a date is left out
_MAX_NAME = 80
_MAX_OFFSET = (1 << 63) - 1
_MAX_METHOD = 40
_MAX_KEPT, _MAX_KEPT_TAG = 40, 200  # characters of a duration, and of a tag, that are parsed only once
_MAX_SEQUENCE = 1 << 53
_MAX_NUMBER = 10**19 - 1

_MAX_DESCRIBED = 10
_VARIANT_HINT = "Delete the recording and register the playlist again, with another variant or without one."

_MARK = "#EXTM3U"
PLAIN_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
_MASTER_TAGS = (b"#EXT-X-STREAM-INF:", b"#EXT-X-MEDIA:")
_LIMITS = TextLimits("the playlist", PlaylistInvalid, MAX_PLAYLIST_BYTES, MAX_LINES, MAX_LINE_CHARACTERS)
_UNSUPPORTED = ("#EXT-X-I-FRAMES-ONLY", "#EXT-X-SKIP", "#EXT-X-DEFINE")
_AGORA_START = "#EXT-X-AGORA-TRACK-EVENT"  # before the first segment, and after an interruption
_NUMBERED = ("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-TARGETDURATION", "#EXT-X-DISCONTINUITY-SEQUENCE")


@dataclass
class MediaPlaylist:
    """The segments of one track, in order. `first` is the media sequence number of the first one.

    `target_seconds` is the longest that a segment may be, 0 if it is not stated. `invalid_date` says why the first date
    was left out that cannot be used.
    """

    segments: MutableSequence[Segment] = field(default_factory=Segments)
    ended: bool = False
    first: int = 0
    target_seconds: int = 0
    invalid_date: str | None = None


class Variant(NamedTuple):
    """A version of the recording: the playlist of its video, and the groups of its audio and its texts."""

    key: str
    size: tuple[int, int]  # width and height, 0 if they are not stated
    bandwidth: int
    audio: str | None
    name: str | None
    texts: str | None = None

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class VariantChoice:
    """Choice of a variant: the best variant of at most this height, or the variant with this name."""

    max_height: int | None = None
    name: str | None = None

    def fits(self, variant: Variant) -> bool:
        if self.max_height is not None and not 0 < variant.size[1] <= self.max_height:
            return False
        return self.name is None or variant.name == self.name

    def __str__(self) -> str:
        return f"the name {self.name!r}" if self.max_height is None else f"a height of at most {self.max_height}"


LARGEST = VariantChoice()


class Rendition(NamedTuple):
    """An audio track or a text of a group. An audio track without a key is in the playlist of the variant."""

    is_text: bool
    group: str
    key: str | None
    name: str | None
    language: str | None


def _first(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_MAX_DESCRIBED]) + ", …" * (len(texts) > _MAX_DESCRIBED)


@dataclass
class MasterPlaylist:
    """The versions, the audio tracks and the texts of a recording."""

    variants: list[Variant] = field(default_factory=list)
    renditions: list[Rendition] = field(default_factory=list)

    def variant(self, choice: VariantChoice) -> Variant:
        """Return the chosen variant with the most pixels, and of several the highest bandwidth.

        Raises PlaylistInvalid if no variant fits.
        """
        fitting = [each for each in self.variants if choice.fits(each)]
        if not fitting:
            raise PlaylistInvalid(
                f"the playlist has no variant with {choice}: {self._described_variants()}", hint=_VARIANT_HINT
            )
        return max(fitting, key=lambda each: (each.pixels, each.bandwidth))

    def _described_variants(self) -> str:
        """Return the names and heights of the variants as text, at most ten of each."""
        names = list(dict.fromkeys(repr(each.name[:_MAX_NAME]) for each in self.variants if each.name is not None))
        heights = [str(each) for each in sorted({each.size[1] for each in self.variants}, reverse=True) if each]
        named = f"the names are {_first(names)}" if names else "none has a name"
        return f"{named}; the heights are {_first(heights)}" if heights else named

    def audio_of(self, variant: Variant) -> list[Rendition]:
        """Return the audio tracks of a variant."""
        return [each for each in self.renditions if not each.is_text and each.group == variant.audio]

    def texts_of(self, variant: Variant) -> list[Rendition]:
        """Return the texts of a variant."""
        return [each for each in self.renditions if each.is_text and each.key and each.group == variant.texts]


def is_playlist(head: bytes) -> bool:
    """Return True if an object that begins with these bytes is a playlist."""
    return head.startswith((_MARK.encode(), b"\xef\xbb\xbf" + _MARK.encode()))


def parse_playlist(
    data: bytes, *, key: str, folder: str, base_url: str = "", segments: Allowance | None = None
) -> MediaPlaylist | MasterPlaylist:
    """Parse the playlist `key`, whose URIs must lie in `folder`, which is empty or ends with a slash.

    URLs that begin with `base_url`, unless it is empty, name the objects of the store. Each segment is spent from
    `segments`, which the playlists of a recording share.

    Raises PlaylistInvalid, PlaylistUnsupported, PlaylistOutside, RecordingEncrypted or TooManyPieces.
    """
    reader = LineReader(_LIMITS)
    reader.check_size(len(data))
    place = _Place(key, folder, base_url)
    _check_mark(data)
    is_master = any(_has_line(data, tag) for tag in _MASTER_TAGS)
    parser = _MasterParser(place) if is_master else _MediaParser(place, segments)
    for block in reader.blocks(data):
        parser.add_all(block)
    return parser.finish()


def _check_mark(data: bytes) -> None:
    if not is_playlist(data):
        raise PlaylistInvalid(f"the playlist does not begin with {_MARK}")


def _has_line(data: bytes, tag: bytes) -> bool:
    """Return True if a line begins with the tag, after spaces at most. Each line is searched once."""
    at = data.find(tag)
    while at >= 0:
        if not data[data.rfind(b"\n", 0, at) + 1 : at].strip():
            return True
        end = data.find(b"\n", at)
        at = -1 if end < 0 else data.find(tag, end)
    return False


class _Place(NamedTuple):
    """The key of a playlist, the folder of its objects, and the beginning of their URLs."""

    key: str
    folder: str
    base_url: str


class _Parser:
    def __init__(self, place: _Place) -> None:
        self._place = place
        self._attributes = Allowance(MAX_ATTRIBUTES, "attributes", of="the playlist", refusal=PlaylistInvalid)

    def resolve(self, uri: str) -> str:
        return resolve_uri(uri, **self._place._asdict())

    def attributes(self, text: str) -> dict[str, str]:
        self._attributes.spend(text.count("="))
        return _kept_attributes(text) if len(text) <= _MAX_KEPT_TAG else _attributes(text)

    def add_all(self, lines: Iterable[str]) -> None:
        for each in lines:
            if line := each.strip():
                self.add(line)

    def add(self, line: str) -> None:
        raise NotImplementedError


class _MediaParser(_Parser):
    """Parser of the lines of a media playlist."""

    def __init__(self, place: _Place, of_recording: Allowance | None = None) -> None:
        super().__init__(place)
        self._playlist = MediaPlaylist()
        of_playlist = Allowance(MAX_SEGMENTS, "segments", of="the playlist", refusal=TooManyPieces)
        self._segments = [of_playlist] if of_recording is None else [of_playlist, of_recording]
        self._gaps = Allowance(MAX_GAPS, "gaps", of="the playlist", refusal=TooManyPieces)
        self._ends: dict[str, int] = {}  # key -> end of its last byte range
        self._init: ByteRange | None = None
        self._discontinuity = 0
        self._count = 0  # of all segments, also of segments that were taken
        self.seconds = Fraction(0)  # of the segments that were not taken yet
        self._encryption: str | None = None
        self._begin_segment()

    def resolve(self, uri: str) -> str:
        """Return the key of a segment or a header. Raises PlaylistInvalid if it is the playlist."""
        key = super().resolve(uri)
        if key == self._place.key:
            raise PlaylistInvalid("the playlist names itself as a segment")
        return key

    def _begin_segment(self) -> None:
        self._seconds: Fraction | None = None
        self._range: str | None = None
        self._gap = False
        self._date: int | None = None

    def add(self, line: str) -> None:
        if not line.startswith("#"):
            self._add_segment(line)
            return
        tag, _, value = line.partition(":")
        if tag in _UNSUPPORTED:
            raise PlaylistUnsupported(f"the playlist has {tag}")
        if tag == "#EXT-X-KEY":
            method = self.attributes(value).get("METHOD", "NONE")
            self._encryption = None if method == "NONE" else method[:_MAX_METHOD]
        elif tag == "#EXT-X-MAP":
            self._init = self._map(self.attributes(value))
        elif tag == "#EXT-X-DISCONTINUITY" and self._count:
            self._discontinuity += 1
        elif tag == _AGORA_START:
            self._discontinuity += 1 if self._count else 0
            self._date = self._dated(_agora_date, self.attributes(value).get("TIME", ""))
        elif tag == "#EXT-X-ENDLIST":
            self._playlist.ended = True
        elif tag in _NUMBERED:
            self._describe_playlist(tag, value)
        else:
            self._describe_segment(tag, value)

    def _describe_playlist(self, tag: str, value: str) -> None:
        """Keep a number that the playlist states of itself."""
        number = _whole_number(value)
        if tag == "#EXT-X-MEDIA-SEQUENCE":
            self._playlist.first = number
        elif tag == "#EXT-X-TARGETDURATION":
            self._playlist.target_seconds = min(number, MAX_SEGMENT_SECONDS)
        elif not self._count:
            self._discontinuity = number

    def _describe_segment(self, tag: str, value: str) -> None:
        """Keep what a tag says about the next segment."""
        if tag == "#EXTINF":
            self._seconds = _seconds(value)
        elif tag == "#EXT-X-BYTERANGE":
            self._range = value
        elif tag == "#EXT-X-GAP":
            self._gap = True
        elif tag == "#EXT-X-PROGRAM-DATE-TIME":
            self._date = self._dated(_date, value)

    def _dated(self, parse: Callable[[str], int], text: str) -> int | None:
        """Return a date, or None if it is invalid: nothing but the clock and gaps depends on it."""
        try:
            return parse(text)
        except ValueError as error:
            self._playlist.invalid_date = self._playlist.invalid_date or str(error)[:MAX_REASON]
            return None

    def _add_segment(self, uri: str) -> None:
        if self._seconds is None:
            raise PlaylistInvalid(f"the segment {uri[:80]!r} has no EXTINF")
        segments = self._playlist.segments
        for each in self._segments:
            each.spend()
        self._count += 1
        if self._gap:
            self._gaps.spend()
        data = self._data(self.resolve(uri))
        encrypted = self._encryption is not None
        segments.append(Segment(data, self._init, self._seconds, self._discontinuity, self._gap, self._date, encrypted))
        self.seconds += self._seconds
        self._begin_segment()

    def _data(self, key: str) -> ByteRange:
        if self._range is None:
            return ByteRange(key)
        length, offset = _byte_range(self._range)
        offset = self._ends.get(key) if offset is None else offset
        if offset is None:
            raise PlaylistInvalid("the first byte range of an object has no offset")
        self._ends[key] = offset + length
        return ByteRange(key, offset, length)

    def _map(self, found: dict[str, str]) -> ByteRange:
        if "URI" not in found:
            raise PlaylistInvalid("EXT-X-MAP has no URI")
        key = self.resolve(found["URI"])
        if "BYTERANGE" not in found:
            return ByteRange(key)
        length, offset = _byte_range(found["BYTERANGE"])
        return ByteRange(key, offset or 0, length)

    @property
    def playlist(self) -> MediaPlaylist:
        """The playlist as far as it was parsed."""
        return self._playlist

    def take(self, number: int) -> list[tuple[int, Segment]]:
        """Return the segments from a media sequence number on, each with its number, and forget those before it."""
        playlist = self._playlist
        before = min(max(0, number - playlist.first), len(playlist.segments))
        self.seconds -= sum((each.seconds for each in playlist.segments[:before]), Fraction(0))
        del playlist.segments[:before]
        playlist.first += before
        return list(enumerate(playlist.segments, playlist.first))

    def finish(self) -> MediaPlaylist:
        if not self._playlist.segments:
            raise PlaylistInvalid("the playlist has no segments")
        if all(segment.encrypted for segment in self._playlist.segments):
            raise RecordingEncrypted(f"the segments of the playlist are encrypted ({self._encryption})")
        return self._playlist


class GrowingPlaylist:
    """A media playlist that is read again and again while it is written.

    If it still begins with the bytes that were parsed before, only the rest is parsed.
    """

    def __init__(self, key: str, folder: str, *, base_url: str = "") -> None:
        self._place = _Place(key, folder, base_url)
        self._parser, self._reader = _MediaParser(self._place), LineReader(_LIMITS)
        self._parsed = 0  # bytes
        self._digest = hashlib.sha256().digest()  # of these bytes
        self.ended = False
        self.continues = False  # it begins with what it had when it was read before
        self.taken_seconds = Fraction(0)  # stated by the segments that were taken last

    def read(self, data: bytes) -> None:
        """Parse the bytes of the playlist, as far as its lines are complete. Raises RecordingError."""
        parser, reader, begin, whole = self._parser, self._reader, self._parsed, memoryview(data)
        reader.check_size(len(data))
        known = hashlib.sha256(whole[:begin])
        self.continues = begin > 0 and known.digest() == self._digest
        if known.digest() != self._digest:
            parser, reader, begin, known = _MediaParser(self._place), LineReader(_LIMITS), 0, hashlib.sha256()
        end = data.rfind(b"\n") + 1
        ended = data[end:].strip() == b"#EXT-X-ENDLIST"
        try:
            if end and not begin:
                _check_mark(data)
            for block in reader.blocks(data, begin, end):
                parser.add_all(block)
            ended = ended or parser.playlist.ended
        except BaseException:
            self._parser, self._reader = _MediaParser(self._place), LineReader(_LIMITS)
            self._parsed, self._digest = 0, hashlib.sha256().digest()
            raise
        known.update(whole[begin:end])
        self._parser, self._reader, self._parsed, self._digest = parser, reader, end, known.digest()
        self.ended = ended

    @property
    def target_seconds(self) -> int:
        return self._parser.playlist.target_seconds

    @property
    def next_number(self) -> int:
        """The media sequence number after the last segment."""
        return self._parser.playlist.first + len(self._parser.playlist.segments)

    @property
    def listed(self) -> Sequence[Segment]:
        """The segments that were read and not taken yet."""
        return self._parser.playlist.segments

    def take(self, number: int) -> list[tuple[int, Segment]]:
        """Return the segments from a number on, each with its number, and forget those before it.

        Segments that a sliding playlist has dropped before they were read are gaps.
        """
        found = self._parser.take(number)
        self.taken_seconds = self._parser.seconds
        if not found or found[0][0] <= number:
            return found
        first, segment = found[0]
        lost = segment._replace(data=ByteRange(""), gap=True, date=None)
        numbers = range(max(number, first - MAX_GAPS), first)
        self.taken_seconds += lost.seconds * len(numbers)
        return [*((each, lost) for each in numbers), *found]


class _MasterParser(_Parser):
    """Parser of the lines of a master playlist."""

    def __init__(self, place: _Place) -> None:
        super().__init__(place)
        self._playlist = MasterPlaylist()
        self._stream: dict[str, str] | None = None  # attributes of the variant whose URI follows

    def add(self, line: str) -> None:
        tag, _, value = line.partition(":")
        if tag in _UNSUPPORTED:
            raise PlaylistUnsupported(f"the playlist has {tag}")
        if tag == "#EXT-X-STREAM-INF":
            self._stream = self.attributes(value)
        elif tag == "#EXT-X-MEDIA":
            self._add_rendition(self.attributes(value))
        elif not line.startswith("#") and self._stream is not None:
            self._add_variant(line, self._stream)
            self._stream = None

    def _add_variant(self, uri: str, found: dict[str, str]) -> None:
        size = _SIZE.fullmatch(found.get("RESOLUTION", ""))
        variant = Variant(
            self.resolve(uri),
            (int(size[1]), int(size[2])) if size else (0, 0),
            whole_number(found.get("BANDWIDTH", ""), _MAX_NUMBER) or 0,
            found.get("AUDIO"),
            found.get("NAME", found.get("VIDEO")),
            found.get("SUBTITLES"),
        )
        self._playlist.variants.append(variant)
        self._check_count(self._playlist.variants)

    def _add_rendition(self, found: dict[str, str]) -> None:
        if found.get("TYPE") not in ("AUDIO", "SUBTITLES"):
            return
        key = self.resolve(found["URI"]) if "URI" in found else None
        name, language = (found.get(each, "")[:_MAX_NAME] or None for each in ("NAME", "LANGUAGE"))
        is_text = found["TYPE"] == "SUBTITLES"
        self._playlist.renditions.append(Rendition(is_text, found.get("GROUP-ID", ""), key, name, language))
        self._check_count(self._playlist.renditions)

    @staticmethod
    def _check_count(listed: list[Variant] | list[Rendition]) -> None:
        if len(listed) > MAX_RENDITIONS:
            raise PlaylistInvalid(f"the playlist has more than {MAX_RENDITIONS} variants or renditions")

    def finish(self) -> MasterPlaylist:
        if not self._playlist.variants:
            raise PlaylistInvalid("the playlist has no variants")
        return self._playlist


def resolve_uri(uri: str, *, key: str, folder: str, base_url: str = "") -> str:
    """Return the key that a URI in the playlist `key` names. Raises PlaylistInvalid or PlaylistOutside."""
    if len(uri.encode()) > MAX_URI_BYTES:
        raise PlaylistInvalid(f"a URI has more than {MAX_URI_BYTES} bytes")
    found = key[: key.rfind("/") + 1] + uri
    if PLAIN_NAME.fullmatch(uri) and found.startswith(folder) and "//" not in found:
        return found  # nearly all of a day's; the rest takes most of the time of parsing
    if base_url and uri.startswith(base_url):
        uri, key = uri.removeprefix(base_url), ""
    try:
        parts = urlsplit(uri)
        path = unquote(parts.path, errors="strict")
    except ValueError:
        raise PlaylistInvalid(f"{uri[:80]!r} is not a URI") from None
    if parts.scheme or parts.netloc or path.startswith("/"):
        raise PlaylistOutside(f"{uri[:80]!r} is not a relative path")
    if not path or "\\" in path or any(unicodedata.category(each) in {"Cc", "Cs"} for each in uri + path):
        raise PlaylistInvalid(f"{uri[:80]!r} is not a path of an object")
    found = posixpath.normpath(posixpath.join(posixpath.dirname(key), path))
    if found.split("/")[0] == ".." or not found.startswith(folder) or found == ".":
        raise PlaylistOutside(f"{uri[:80]!r} is not in the folder of the playlist")
    return found


@lru_cache(maxsize=100)  # some playlists repeat one tag before each segment
def _kept_attributes(text: str) -> dict[str, str]:
    return _attributes(text)


def _attributes(text: str) -> dict[str, str]:
    """Return the attributes of a tag. Each search begins where the last one ended, so that the cost is linear.

    A value whose quote is not closed ends at the next comma, and is left out.
    """
    found: dict[str, str] = {}
    begin, last_quote = 0, text.rfind('"')
    while (equals := text.find("=", begin)) >= 0:
        value = equals + 1
        is_quoted = text.startswith('"', value)
        closing = text.find('"', value + 1) if is_quoted and value < last_quote else -1
        comma = text.find(",", max(value, closing))
        end = len(text) if comma < 0 else comma
        name = text[begin:equals].rpartition(",")[2].strip()
        if closing >= 0:
            found[name] = text[value + 1 : closing].strip()
        elif not is_quoted:
            found[name] = text[value:end].strip()
        begin = end + 1
    return found


def _seconds(value: str) -> Fraction:
    text = value.partition(",")[0].strip()
    return _parsed_seconds(text) if len(text) <= _MAX_KEPT else _parsed_seconds.__wrapped__(text)


@lru_cache(maxsize=1000)  # most segments have one of few durations
def _parsed_seconds(text: str) -> Fraction:
    seconds = decimal_number(text, MAX_SEGMENT_SECONDS)
    if seconds is None:
        raise PlaylistInvalid(f"{text[:40]!r} is not a duration of 0 to {MAX_SEGMENT_SECONDS} s")
    return seconds


def _date(text: str) -> int:
    """Return a date in microseconds since 1970. Raises ValueError."""
    return parse_microseconds(text, is_utc=True)


def _agora_date(text: str) -> int:
    """Return a time of Agora in microseconds since 1970. Raises ValueError.

    It is a number of milliseconds since 1970, or the digits of a date.
    """
    number = whole_number(text, _MAX_NUMBER)
    if number is not None and len(text) < 14:
        return check_moment(number) * 1000
    return parse_microseconds(f"{text[:8]}T{text[8:14]}.{text[14:]}", is_utc=True)


def _whole_number(text: str) -> int:
    number = whole_number(text.strip(), _MAX_SEQUENCE)
    if number is None:
        raise PlaylistInvalid(f"{text.strip()[:40]!r} is not a whole number of at most {_MAX_SEQUENCE}")
    return number


def _byte_range(text: str) -> tuple[int, int | None]:
    """Return the length and the offset, or None if it is not stated."""
    before, at, after = text.partition("@")
    length = whole_number(before.strip(), _MAX_OFFSET)
    offset = whole_number(after.strip(), _MAX_OFFSET) if at else None
    if not length or (at and offset is None) or length + (offset or 0) > _MAX_OFFSET:
        raise PlaylistInvalid(f"{text[:40]!r} is not a byte range")
    return length, offset


def segment_keys(playlist: MediaPlaylist) -> Iterator[str]:
    """Yield the keys of all objects that the playlist names, some several times."""
    for segment in playlist.segments:
        yield segment.data.key
        if segment.init is not None:
            yield segment.init.key


def ranged_keys(segments: Iterable[Segment]) -> set[str]:
    """Return the keys of the objects that have several segments, and more while the playlist is written."""
    return {each.data.key for each in segments if each.data.length is not None}
