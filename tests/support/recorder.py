"""A recorder that writes HLS playlists while their recording is used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.playlists import first_segments
from tests.support.stored import Objects


@dataclass
class Recorder:
    """A recorder that writes the segments of finished playlists, one after the other."""

    made: Path
    objects: Objects
    folder: str = "live"

    def write(self, count: int, *, ended: bool = False, names: tuple[str, ...] = ("index",), late: str = "") -> None:
        """Store so many segments of each playlist, but the `late` one, and then the playlists that list them."""
        for name in names:
            text = first_segments(self.made / f"{name}.m3u8", count) + ("#EXT-X-ENDLIST\n" if ended else "")
            for line in text.splitlines():
                if line.startswith("#EXT-X-MAP"):
                    self.put(line.split('"')[1])
                elif line and not line.startswith("#") and line != late:
                    self.put(line)
            self.put(f"{name}.m3u8", text.encode())

    def put(self, name: str, data: bytes | None = None) -> None:
        self.objects.put(f"{self.folder}/{name}", (self.made / name).read_bytes() if data is None else data)
