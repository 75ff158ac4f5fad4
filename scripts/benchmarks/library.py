"""A data folder with many recordings and clips of one film, made with the functions of the ledger in about a minute.

The objects are links to those of a real recording and a real clip, so that every thumbnail and poster is real.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest
from clipengine.errors import RecordingUnreadable, Timeout
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database.migrations import MIGRATIONS
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.recordings.recording import Recording, RecordingSpec
from scripts.benchmarks.ledgers import open_ledger
from scripts.sample import make_sample
from tests.support.server import running_server

FREQUENT, RARE, TAG = "meeting", "zebra", "board"
_FILM_SECONDS = 60
_TOPICS = ("budget", "design", "hiring", "launch", "planning", "review", "support", "training", "weekly")
_STEP_MS = 40 * 60_000  # between two recordings, and between two clips
_OWNER = "inst_library"
_BATCH = 500


@dataclass(frozen=True)
class Models:
    """The recording and the clip that all others are like."""

    recording: Recording
    clip: Clip


def library_folder(cache: Path, number: int) -> Path:
    """Return a cached data folder with this many recordings and clips. A fifth of the clips are of one recording."""
    made = cache / f"library-{len(MIGRATIONS)}-{number}"
    if not made.exists():
        partial = made.with_name(f"partial-{made.name}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        with running_server(partial) as server:
            film = partial / "film.mp4"
            make_sample(film, seconds=_FILM_SECONDS)
            client = server.client()
            recording = client.recordings.wait(client.recordings.upload(film).recording_id, timeout=60)
            client.clips.create(recording.recording_id, "first", 10, 12).wait().raise_for_error()
        ledger = open_ledger(partial)
        try:
            fill(ledger, models_of(ledger), number, store=partial / "store")
        finally:
            ledger.close()
        partial.rename(made)
    return made


def models_of(ledger: Ledger) -> Models:
    """Return the oldest recording and the oldest clip."""
    (recording,) = ledger.recordings.list(RecordingFilter(limit=1, sort="created_at")).data
    (clip,) = ledger.clips.list(ClipFilter(limit=1, sort="created_at")).data
    return Models(recording, clip)


def fill(ledger: Ledger, models: Models, number: int, *, store: Path | None = None) -> None:
    """Add recordings and clips like the models. In the folder `store`, link their objects to those of the models."""
    dice, now = random.Random(1), now_ms()
    complete: list[Recording] = []
    for first in range(0, number, _BATCH):
        with ledger.transaction():
            for each in range(first, min(first + _BATCH, number)):
                recording = _add_recording(ledger, models.recording, each, dice, store)
                _set_created(ledger, "recording", recording.recording_id, now - (number - each) * _STEP_MS)
                if recording.facts is not None:
                    complete.append(recording)
    for first in range(0, number, _BATCH):
        with ledger.transaction():
            for each in range(first, min(first + _BATCH, number)):
                recording = complete[-1] if each % 5 == 0 else dice.choice(complete)
                clip_id = _add_clip(ledger, recording, models.clip, each, dice, store)
                _set_created(ledger, "clip", clip_id, now - (number - each) * _STEP_MS)


def _title(number: int, dice: random.Random) -> str:
    rare = f" {RARE}" if number % 3000 == 7 else ""
    return f"{dice.choice(_TOPICS).title()} {FREQUENT} {number:05d}{rare}"


def _add_recording(ledger: Ledger, like: Recording, number: int, dice: random.Random, store: Path | None) -> Recording:
    """Add a recording that is complete, or, every thirtieth, has failed."""
    path = f"library/{number // 1000}/{number:05d}.mp4"
    tags = [TAG] if number % 10 == 0 else []
    spec = RecordingSpec(name=_title(number, dice), metadata={"room": f"room {number % 40}"}, tags=tags)
    recording, _ = ledger.recordings.register(path, spec, etag=like.etag, size=like.file_size_bytes + number)
    probe = ledger.recordings.claim_probe(_OWNER)
    assert probe is not None
    assert like.facts is not None
    assert probe.recording.recording_id == recording.recording_id
    if number % 30 == 3:
        ledger.recordings.probe_failed(probe, RecordingUnreadable("The file ends in the middle of a frame."))
    else:
        ledger.recordings.probe_complete(probe, like.facts, etag=like.etag, size=like.file_size_bytes)
        if store is not None:
            _link(store, like.bucket_path, path)
    return ledger.recordings.get(recording.recording_id)


def _add_clip(
    ledger: Ledger, recording: Recording, like: Clip, number: int, dice: random.Random, store: Path | None
) -> str:
    """Add a clip that is complete, or, every twentieth, has failed."""
    start = dice.randrange((_FILM_SECONDS - 2) * 10) / 10
    tags = [TAG] if number % 10 == 0 else []
    request = ClipRequest(_title(number, dice), start, start + 2, tags=tags, priority=10)
    clip_id = ledger.clips.create(recording, request, extension="mp4").clip_id
    clip = ledger.clips.claim(_OWNER)
    assert clip is not None
    assert clip.clip_id == clip_id
    assert like.result is not None
    if number % 20 == 3:
        ledger.clips.fail(clip_id, clip.attempt, Timeout("The clip took longer than its deadline of 60 s."))
        return clip_id
    result = replace(like.result, poster_path=clip.poster_key, size_bytes=like.result.size_bytes + number)
    ledger.clips.complete(clip_id, clip.attempt, result)
    if store is not None:
        _link(store, like.poster_key, clip.poster_key)
    return clip_id


def _link(store: Path, existing: str, key: str) -> None:
    """Make an object with the content, and thus the ETag, of another one."""
    target = store / key
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(store / existing, target)


def _set_created(ledger: Ledger, kind: str, ident: str, created_at: int) -> None:
    # The ledger has only its own clock.
    ledger.database.run(f"UPDATE {kind}s SET created_at = ? WHERE {kind}_id = ?", (created_at, ident))
