"""One mutant, run as the engine runs a recording: a probe, then a short cut, each in a separate sandboxed child.

Children are forked from this process, which has imported their modules, and then sandboxed: from there on all code on
both sides of the socket is that of the engine.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import IO

from clipengine.cli.local.children import launch_fork
from clipengine.clips.edit import PlannedPart
from clipengine.clips.file_comparison import FilePlan
from clipengine.clips.file_reports import CutReport
from clipengine.errors import ClipEngineError
from clipengine.recordings.facts import SourceFacts
from clipengine.settings.settings import Settings
from clipengine.stores.folder import FolderStore
from clipengine.work.children.jobs import Job, Message, cut_job, probe_job
from clipengine.work.children.process import Child
from clipengine.work.cutting.verification import verify_clip

WALL_SECONDS = 20.0
_STALL_SECONDS = 10.0
_LATE_SECONDS = 8.0  # after the deadline: time for a busy machine to notice and kill
_PROFILES = {
    "default": {"preset": "ultrafast", "max_height": 180},
    "sound": {"container": "m4a", "video": "none"},
    "webm": {"container": "webm", "video": "vp9", "audio": "opus", "preset": "ultrafast", "max_height": 90},
}
_SETTINGS = Settings.model_validate(
    {
        "encoding": {"threads_per_clip": 2, "memory_mb": 1536, "stall_seconds": _STALL_SECONDS, "sandbox": "required"},
        "profiles": _PROFILES,
    }
)


@dataclass(frozen=True)
class Outcome:
    """The end of a job: "complete" or an error code. `late` if its deadline did not end it."""

    job: str
    asked: str
    code: str
    message: str
    seconds: float
    late: bool


def run(path: Path, random: Random) -> Iterator[Outcome]:
    """Probe the file, and if that gives facts, cut a short range."""
    store = FolderStore(path.parent)
    with _timed("probe", "") as ended, closing(store.open(path.name)) as reader:
        job = replace(probe_job(_SETTINGS.encoding), wall_seconds=WALL_SECONDS)
        result = _do(job, reader, None)
        facts = SourceFacts.model_validate(result["facts"])
    yield ended[0]
    if ended[0].code != "complete":
        return
    start = facts.duration * random.choice((Fraction(0), Fraction(random.randrange(1000), 1000)))
    end = start + Fraction(random.choice((40, 200, 500)), 1000)
    profile = random.choices(list(_PROFILES), (8, 1, 1))[0]
    asked = f"[{float(start):.3f}, {float(end):.3f}) {profile}"
    with (
        _timed("cut", asked) as ended,
        closing(store.open(path.name)) as reader,
        tempfile.NamedTemporaryFile() as output,
    ):
        parts = [PlannedPart(facts, start, end)]
        job = cut_job(_SETTINGS.encoding, _SETTINGS.profiles[profile], parts, poster=random.random() < 0.2)
        made = _do(replace(job, wall_seconds=WALL_SECONDS), reader, output)
        _verify(Path(output.name), FilePlan(parts, _SETTINGS.profiles[profile]), made)
    yield ended[0]


def _do(job: Job, reader: object, output: IO[bytes] | None) -> Message:
    encoder = Child(sandbox="required", launch=launch_fork)
    message, _ = encoder.run(
        job,
        reader,  # type: ignore[arg-type]
        output=output.fileno() if output is not None else None,
        watch=lambda message: None,
    )
    return message


def _verify(clip: Path, plan: FilePlan, made: Message) -> None:
    """Verify the clip as the engine does. Raises VerificationFailed, which must not happen for any clip."""
    verify_clip(
        Child("inspector", sandbox="required", launch=launch_fork),
        clip,
        plan,
        CutReport.of(made.get("cut")),
        encoding=_SETTINGS.encoding,
        watch=lambda message: None,
    )


@contextmanager
def _timed(job: str, asked: str) -> Iterator[list[Outcome]]:
    """Append the outcome of the block to the list. Exceptions other than the engine's errors are `uncoded`."""
    ended: list[Outcome] = []
    began = time.monotonic()
    code, words = "complete", ""
    try:
        yield ended
    except ClipEngineError as error:
        code, words = error.code, error.message
    except Exception as error:  # this must not happen
        code, words = "uncoded", f"{type(error).__name__}: {error}"
    seconds = time.monotonic() - began
    ended.append(Outcome(job, asked, code, words[:300], round(seconds, 3), seconds > WALL_SECONDS + _LATE_SECONDS))


def ignore_interrupts() -> None:
    """Ignore SIGINT in workers; the parent ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
