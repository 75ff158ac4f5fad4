"""Timelines as XML: FCPXML of Final Cut Pro and Resolve, and the XML of Final Cut Pro 7, which Premiere reads. Pure.

Times count the frames of the recording, from 0 for the first one. The adapter of OpenTimelineIO for FCPXML cannot read
its own files of 29.97 frames per second, so both are written here, by
https://developer.apple.com/documentation/professional-video-applications/fcpxml-reference and Apple's reference of the
Final Cut Pro 7 XML Interchange Format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from clipengine.clips.ranges.edl import frames_of
from clipengine.clips.ranges.range_file import ListedRange, RangeSource

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # https://www.w3.org/TR/xml/#charsets
_FORMAT, _ASSET = "r1", "r2"


class _Placed(NamedTuple):
    """A range with its frames in the recording, and the frame of the sequence at which it begins."""

    label: str
    start: int
    end: int
    at: int

    @property
    def frames(self) -> int:
        return self.end - self.start


def _placed(ranges: Iterable[ListedRange], source: RangeSource, rate: Fraction) -> list[_Placed]:
    found, at = [], 0
    for each in ranges:
        start, end = frames_of(each, rate, source.first_frame)
        found.append(_Placed(_text(" ".join(each.label.split()) or source.title), start, end, at))
        at += end - start
    return found


def _text(text: str) -> str:
    """Return the text without characters that XML does not allow."""
    return _NO_XML.sub(" ", text)


def _document(root: Element, doctype: str) -> str:
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE {doctype}>\n{tostring(root, "unicode")}\n'


def format_fcpxml(ranges: Sequence[ListedRange], source: RangeSource) -> str:
    """Return a project with the ranges one after the other. Raises InvalidRequest without a frame rate."""
    rate = source.frame_rate()
    placed = _placed(ranges, source, rate)

    def time(frames: int) -> str:
        seconds = frames / rate
        return f"{seconds.numerator}s" if seconds.denominator == 1 else f"{seconds.numerator}/{seconds.denominator}s"

    root = Element("fcpxml", version="1.9")
    resources = SubElement(root, "resources")
    width, height = source.upright
    size = {"width": str(width), "height": str(height)} if width else {}
    SubElement(resources, "format", {"id": _FORMAT, "frameDuration": time(1), **size})
    sound = {"hasAudio": "1", "audioSources": "1", "audioChannels": str(source.channels)} if source.channels else {}
    if source.channels and source.sample_rate:
        sound["audioRate"] = str(source.sample_rate)
    length = time(round((source.duration - source.first_frame) * rate))
    told = {"id": _ASSET, "name": _text(source.title), "start": "0s", "duration": length, "hasVideo": "1"}
    asset = SubElement(resources, "asset", {**told, "format": _FORMAT, **sound})
    SubElement(asset, "media-rep", {"kind": "original-media", "src": f"./{quote(source.file_name)}"})
    event = SubElement(SubElement(root, "library"), "event", {"name": _text(source.title)})
    project = SubElement(event, "project", {"name": _text(source.title)})
    whole = time(sum(each.frames for each in placed))
    sequence = SubElement(
        project, "sequence", {"format": _FORMAT, "duration": whole, "tcStart": "0s", "tcFormat": "NDF"}
    )
    spine = SubElement(sequence, "spine")
    for each in placed:
        times = {"offset": time(each.at), "start": time(each.start), "duration": time(each.frames)}
        SubElement(spine, "asset-clip", {"ref": _ASSET, "name": each.label, **times})
    return _document(root, "fcpxml")


def format_xmeml(ranges: Sequence[ListedRange], source: RangeSource) -> str:
    """Return a sequence with the ranges one after the other. Raises InvalidRequest without a frame rate."""
    rate = source.frame_rate()
    placed = _placed(ranges, source, rate)
    root = Element("xmeml", version="5")
    sequence = SubElement(root, "sequence", id="sequence-1")
    SubElement(sequence, "name").text = _text(source.title)
    SubElement(sequence, "duration").text = str(sum(each.frames for each in placed))
    sequence.append(_rate(rate))
    media = SubElement(sequence, "media")
    video = SubElement(media, "video")
    if source.width:
        SubElement(video, "format").append(_characteristics(rate, source))
    tracks = [("video", 1, SubElement(video, "track"))]
    if source.channels:
        audio = SubElement(media, "audio")
        tracks += [("audio", number + 1, SubElement(audio, "track")) for number in range(min(source.channels, 2))]
    for kind, number, track in tracks:
        for index, each in enumerate(placed, 1):
            item = _clip_item(f"{kind}-{number}-{index}", each, rate)
            first = kind == "video" and index == 1
            item.append(_file(source, rate) if first else Element("file", id="file-1"))
            if kind == "audio":
                _elements(SubElement(item, "sourcetrack"), mediatype="audio", trackindex=number)
            for linked, place, _ in tracks if len(tracks) > 1 else ():
                _elements(
                    SubElement(item, "link"),
                    linkclipref=f"{linked}-{place}-{index}",
                    mediatype=linked,
                    trackindex=place,
                    clipindex=index,
                )
            track.append(item)
    return _document(root, "xmeml")


def _elements(parent: Element, **texts: object) -> Element:
    for name, text in texts.items():
        SubElement(parent, name).text = str(text)
    return parent


def _rate(rate: Fraction) -> Element:
    ntsc = "TRUE" if rate.denominator == 1001 else "FALSE"
    return _elements(Element("rate"), timebase=round(rate), ntsc=ntsc)


def _characteristics(rate: Fraction, source: RangeSource) -> Element:
    found = Element("samplecharacteristics")
    found.append(_rate(rate))
    width, height = source.upright
    return _elements(found, width=width, height=height)


def _clip_item(name: str, each: _Placed, rate: Fraction) -> Element:
    item = _elements(Element("clipitem", id=name), name=each.label, duration=each.frames)
    item.append(_rate(rate))
    return _elements(item, start=each.at, end=each.at + each.frames, **{"in": each.start, "out": each.end})


def _file(source: RangeSource, rate: Fraction) -> Element:
    file = _elements(Element("file", id="file-1"), name=_text(source.file_name), pathurl=quote(source.file_name))
    file.append(_rate(rate))
    _elements(file, duration=round((source.duration - source.first_frame) * rate))
    media = SubElement(file, "media")
    video = SubElement(media, "video")
    if source.width:
        video.append(_characteristics(rate, source))
    if source.channels:
        _elements(SubElement(media, "audio"), channelcount=source.channels)
    return file
