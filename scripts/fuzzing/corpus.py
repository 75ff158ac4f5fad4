"""Inputs of the mutations: films of the tests, heads of real recordings, and files with references to others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.films.catalogue import FILMS, Shelf
from tests.support.images import IMAGES, animation

_HEAD_BYTES = 160 * 1024
_RAW = ("raw_h264", "raw_hevc")
_EVERY = 4  # of the films: many are of the same kind, and making all takes minutes


@dataclass(frozen=True)
class Seed:
    name: str
    data: bytes


def seeds(cache: Path, media: Path | None, trap_url: str, trap_file: Path, match: str = "") -> list[Seed]:
    """Return the corpus, in the same order each time; only seeds whose names match the expression if it is given."""
    cache.mkdir(parents=True, exist_ok=True)
    shelf = Shelf(cache)
    names = sorted({*sorted(FILMS)[::_EVERY], *_RAW})
    found = [_head(shelf.get(name).path, name) for name in names if re.search(match, name)]
    found += [Seed(f"{codec}.{form}", animation(form, codec)) for form, codec in IMAGES]
    for folder in [] if media is None else [media, media.with_name("media-defects")]:
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        found += [_head(path, path.name) for path in paths if path.suffix not in {".tsv", ".md"}]
    found += [Seed(name, text.encode()) for name, text in references(trap_url, trap_file).items()]
    return [each for each in found if each.data and re.search(match, each.name)]


def references(url: str, file: Path) -> dict[str, str]:
    """Return files whose demuxers would follow references to other files and addresses."""
    return {
        "remote.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}/segment.ts\n#EXT-X-ENDLIST\n",
        "local.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{file}\n#EXT-X-ENDLIST\n",
        "remote.ffconcat": f"ffconcat version 1.0\nfile {url}/part.mp4\n",
        "local.ffconcat": f"ffconcat version 1.0\nfile {file}\nfile {file.name}\n",
        "stream.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "manifest.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        f"<AdaptationSet><Representation id='1' bandwidth='1'><BaseURL>{url}/video.mp4</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>",
        "image-%03d.png": f"{file}\n",
    }


def _head(path: Path, name: str) -> Seed:
    with path.open("rb") as file:
        return Seed(name, file.read(_HEAD_BYTES))
