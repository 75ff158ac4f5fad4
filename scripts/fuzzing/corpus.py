"""Inputs of the mutations: films of the tests, heads of real recordings, and files with references to others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.films.catalogue import FILMS, Shelf

_HEAD_BYTES = 160 * 1024
_EVERY = 4  # of the films: many are of the same kind, and making all takes minutes


@dataclass(frozen=True)
class Seed:
    name: str
    data: bytes


def seeds(cache: Path, media: Path | None, trap_url: str, trap_file: Path) -> list[Seed]:
    """Return the corpus, in the same order each time."""
    cache.mkdir(parents=True, exist_ok=True)
    shelf = Shelf(cache)
    found = [_head(shelf.get(name).path, name) for name in sorted(FILMS)[::_EVERY]]
    if media is not None:
        found += [_head(path, path.name) for path in sorted(media.iterdir()) if path.suffix not in {".tsv", ".md"}]
    return [each for each in found if each.data] + [
        Seed(name, text.encode()) for name, text in references(trap_url, trap_file).items()
    ]


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
