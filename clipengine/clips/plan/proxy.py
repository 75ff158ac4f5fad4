"""Proxy of a recording: H.264 and AAC in segments, for browsers that cannot decode the recording. Pure.

A segment is the part of a clip of the whole recording that lies in its range, so segments join without a seam: a frame
belongs to the segment in which it begins, if times half a frame before the boundary count as after it, and audio is
divided at multiples of AAC's frame. If no frame begins near the boundary, the frame on screen is held from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from clipengine.clips.options.framing import output_size, upright_ratio
from clipengine.clips.options.profiles import Profile
from clipengine.errors import UnsupportedMedia
from clipengine.recordings.facts import SourceFacts, VideoFacts

SEGMENT_SECONDS = 4
MAX_SEGMENTS = 50_000  # 55 hours; limits the playlist
_SHORTEST = Fraction(1, 2)  # seconds of the last segment; a shorter rest belongs to the segment before it
_LEAST_SLACK, _MAX_SLACK = Fraction(1, 1000), Fraction(1, 4)
MAX_SIDE = Fraction(1920)
_LEAST_SIDE = 16  # of the picture; encoders need some pixels
LEVEL = 42  # of H.264: 1920x1080 with 60 frames a second
_VIDEO_CODEC, _AUDIO_CODEC = f"avc1.6400{LEVEL:02x}", "mp4a.40.2"


class ProxySegment(NamedTuple):
    """The range of a segment in recording time, and its place among the others."""

    start: Fraction
    end: Fraction
    is_first: bool
    is_last: bool


def segment_count(duration: Fraction) -> int:
    """Return the number of segments. Raises UnsupportedMedia if there are too many."""
    count = max(1, math.ceil((duration - _SHORTEST) / SEGMENT_SECONDS))
    if count > MAX_SEGMENTS:
        raise UnsupportedMedia(
            "the recording is too long for a proxy",
            hint=f"Proxies have at most {MAX_SEGMENTS * SEGMENT_SECONDS // 3600} hours. Use single frames instead.",
        )
    return count


def finished_segments(duration: Fraction, *, growing: bool) -> int:
    """Return the number of segments that can be made and do not change.

    The last segment of a recording that still grows would change. Raises UnsupportedMedia if there are too many.
    """
    return segment_count(duration) - growing


def proxy_segment(duration: Fraction, number: int) -> ProxySegment:
    """Return a segment, counted from 0."""
    last = segment_count(duration) - 1
    start = Fraction(number * SEGMENT_SECONDS)
    return ProxySegment(start, duration if number == last else start + SEGMENT_SECONDS, number == 0, number == last)


def frame_slack(video: VideoFacts) -> Fraction:
    """Return the usual distance of two frames, within the limits that are useful at the boundary of segments."""
    return min(max(video.frame_seconds, _LEAST_SLACK), _MAX_SLACK)


def proxy_size(video: VideoFacts, lines: int) -> tuple[int, int]:
    """Return the even size of the upright picture with square pixels, whose shorter side has at most `lines`."""
    ratio = upright_ratio(video.sample_aspect_ratio, video.rotation)
    width, height = output_size(video.width, video.height, rotation=video.rotation, max_height=None)
    sides = width * ratio, Fraction(height)
    scale = min(Fraction(1), lines / min(sides), MAX_SIDE / max(sides))
    return _even(sides[0] * scale), _even(sides[1] * scale)


def _even(side: Fraction) -> int:
    return max(_LEAST_SIDE, 2 * round(side / 2))


def proxy_profile(facts: SourceFacts, lines: int) -> Profile:
    """Return the profile of the proxy, which has the audio track that players choose."""
    height = None if facts.video is None else proxy_size(facts.video, lines)[1]
    return Profile(crf=26, preset="superfast", max_height=height, audio_tracks=0)


def content_type(facts: SourceFacts) -> str:
    """Return the media type with the codecs, for `MediaSource.isTypeSupported`."""
    codecs = [_VIDEO_CODEC] * (facts.video is not None) + [_AUDIO_CODEC] * bool(facts.audio)
    return f'{"video" if facts.video is not None else "audio"}/mp4; codecs="{", ".join(codecs)}"'


def playlist(duration: Fraction, *, growing: bool = False) -> str:
    """Return the media playlist (RFC 8216), with paths relative to the recording's own.

    The playlist of a recording that still grows has no end.
    """
    return "\n".join((*_playlist_lines(duration, growing), ""))


def _playlist_lines(duration: Fraction, growing: bool) -> Iterator[str]:
    yield from ("#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{SEGMENT_SECONDS + 1}")
    yield f"#EXT-X-PLAYLIST-TYPE:{'EVENT' if growing else 'VOD'}"
    yield from ("#EXT-X-INDEPENDENT-SEGMENTS", '#EXT-X-MAP:URI="proxy/init.mp4"')
    for number in range(finished_segments(duration, growing=growing)):
        segment = proxy_segment(duration, number)
        yield from (f"#EXTINF:{float(segment.end - segment.start):.6f},", f"proxy/{number}.m4s")
    if not growing:
        yield "#EXT-X-ENDLIST"
