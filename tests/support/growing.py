"""Files that a muxer writes in steps: what it writes is recorded, and written again up to any byte."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.films.film import Film
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.reel import film, write
from tests.support.playlists import AUDIO, VIDEO

FRAGMENTS = "frag_keyframe+empty_moov"
# The options of each format that can be read while it grows.
FORMATS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    "ts": ("mpegts", "ts", {}),
    "fmp4": ("mp4", "mp4", {"movflags": FRAGMENTS}),
    "hybrid": ("mp4", "mp4", {"movflags": "hybrid_fragmented+frag_keyframe"}),
    "mkv": ("matroska", "mkv", {"cluster_time_limit": "2000"}),
}


class _Journal(io.RawIOBase):
    """A file in memory that keeps each write, with its offset."""

    def __init__(self) -> None:
        self.writes: list[tuple[int, bytes]] = []
        self._at = self._size = 0

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def write(self, data: Any) -> int:
        self.writes.append((self._at, bytes(data)))
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)


@dataclass
class Writer:
    """A program that writes a film into `path`, as far as `write_until` asks for."""

    film: Film
    path: Path
    writes: list[tuple[int, bytes]]
    _number: int = 0
    _skipped: int = 0  # bytes of the next write that are in the file
    _written: int = field(default=0)

    @property
    def total(self) -> int:
        return sum(len(data) for _, data in self.writes)

    def write_until(self, part: float) -> None:
        """Continue up to this part of all bytes, 1 for all of them; the muxer has then closed the file."""
        wanted = round(self.total * part)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("r+b" if self._written else "wb") as file:
            while self._written < wanted:
                offset, data = self.writes[self._number]
                taken = data[self._skipped : self._skipped + wanted - self._written]
                file.seek(offset + self._skipped)
                file.write(taken)
                self._written += len(taken)
                self._skipped += len(taken)
                if self._skipped == len(data):
                    self._number, self._skipped = self._number + 1, 0


def writer(
    kind: str,
    folder: Path,
    *,
    video: VideoPart = VIDEO,
    audio: AudioPart = AUDIO,
    offset: Fraction = Fraction(0),
    **options: str,
) -> Writer:
    """Return the program that writes a film of 12 seconds in one of the FORMATS."""
    _, suffix, _ = FORMATS[kind]
    path = folder / f"{kind}.{suffix}"
    made = film(path, video=[video], audio=[audio], grid=Fraction(1, 90000) if kind == "ts" else Fraction(1, 1000))
    return Writer(made, path, _written(kind, pickle.dumps((video, audio, offset, options))))


@lru_cache(maxsize=32)
def _written(kind: str, arguments: bytes) -> list[tuple[int, bytes]]:
    """Return what the muxer writes, which is kept for the same arguments."""
    video, audio, offset, options = pickle.loads(arguments)
    form, suffix, usual = FORMATS[kind]
    journal = _Journal()
    write(Path(suffix), form, video=[video], audio=[audio], offset=offset, options=usual | options, target=journal)
    return journal.writes


def started_again(folder: Path, *, offset: Fraction) -> Writer:
    """Return the program that writes 12 seconds of MPEG-TS, and that was started again after 6 with another clock."""
    parts = [
        writer(
            "ts",
            folder,
            video=replace(VIDEO, times=every(25, 6), first_number=150 * number),
            audio=replace(AUDIO, seconds=Fraction(6)),
            offset=offset * number,
        )
        for number in range(2)
    ]
    first, second = parts
    writes = [*first.writes, *((first.total + at, data) for at, data in second.writes)]
    return replace(first, writes=writes)
