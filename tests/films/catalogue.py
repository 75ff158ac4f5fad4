"""All films by name, and a folder that holds the films made so far."""

from __future__ import annotations

import fcntl
import hashlib
import pickle
from pathlib import Path

import av

from tests.films import (
    makers_edits,
    makers_extra,
    makers_live,
    makers_lying,
    makers_mov,
    makers_mp4,
    makers_picture,
    makers_sound,
    makers_ts,
    makers_webm,
)
from tests.films.film import Film
from tests.films.registry import MAKERS, Maker

__all__ = ["FILMS", "VIDEO_FILMS", "Shelf"]

_MODULES = (
    makers_mp4,
    makers_edits,
    makers_sound,
    makers_picture,
    makers_webm,
    makers_mov,
    makers_ts,
    makers_extra,
    makers_live,
    makers_lying,
)
FILMS: dict[str, Maker] = {
    name: maker for module in _MODULES for name, maker in MAKERS.items() if maker.make.__module__ == module.__name__
}
# Without those that differ in audio only. A few remain, for audio beside video that is copied or encoded otherwise.
_WITH_AUDIO = {"audio_late_ts", "audio_gap_mp4", "audio_three_tracks", "video_only_mp4"}
VIDEO_FILMS = tuple(
    name for name, maker in FILMS.items() if maker.make.__module__ != makers_sound.__name__ or name in _WITH_AUDIO
)


class Shelf:
    """A folder of films, each made once on demand, also with several processes in parallel."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / f"films-{_version()}"
        self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> Film:
        """Return the film of this name, which is written on the first call (0.1 to 1 s)."""
        maker = FILMS[name]
        path = self._folder / f"{name}.{maker.extension}"
        truth = self._folder / f"{name}.truth"
        with (self._folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not truth.exists():
                truth.write_bytes(pickle.dumps(maker.make(path)))
        film: Film = pickle.loads(truth.read_bytes())
        return film.at(path)


def _version() -> str:
    """Return a hash of everything that affects a film: these sources and the library that wrote it."""
    digest = hashlib.sha256(repr(sorted(av.library_versions.items())).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]
