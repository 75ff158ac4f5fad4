"""Reports of a child are not trusted: a second process inspects the clip before it is published.

The children that are taken over here are real ones in their sandbox, see `tests.support.hostile_cutter`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.api.http.requests.rules import RuleClipBodies
from clipengine.cli.local.making import LocalClip, cut_once
from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest
from clipengine.engine import Engine
from clipengine.errors import VerificationFailed
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.settings.settings import Settings
from clipengine.work.children import process
from clipengine.work.children.jobs import Program
from clipengine.work.children.launch import ChildEnds, Process, launch_program
from scripts.sample import make_sample
from tests.support.hostile_child import launch_unstarted
from tests.support.hostile_cutter import MODES
from tests.support.receiver import Receiver
from tests.support.selection import cases
from tests.support.waiting import until

CHECKOUT = Path(__file__).parents[2]
RIGHT = "a clip of the right form"
UNSTARTED = "a child that ends before it is ready"
KEY = "meetings/meeting.mp4"


@dataclass
class Running:
    """An engine in this process, its webhook receiver, and the mode of its next children."""

    engine: Engine
    receiver: Receiver
    store: Path
    mode: list[str] = field(default_factory=list)

    def cut(self, mode: str) -> Clip:
        """Cut `[1, 3)` of the recording with a child of this mode, and return the finished clip."""
        return self.ended(self.create(mode))

    def create(self, mode: str) -> str:
        """Create a clip of `[1, 3)` whose children are of this mode, and return its id."""
        self.mode[:] = [mode]
        self.engine._pools.clips.take().close()  # started in the previous mode
        recording = self.engine.ledger.recordings.list(RecordingFilter(limit=1)).data[0]
        return self.engine.ledger.clips.create(recording, ClipRequest("cut", 1, 3), extension="mp4").clip_id

    def ended(self, clip_id: str) -> Clip:
        clips = self.engine.ledger.clips
        until(lambda: clips.get(clip_id).ended)
        return clips.get(clip_id)

    def events_of(self, clip_id: str) -> list[str]:
        """Wait for a webhook of the clip, and return the types of all of them."""

        def found() -> list[str]:
            bodies = [json.loads(request.body) for request in list(self.receiver.requests)]
            return [body["event"] for body in bodies if body["data"].get("clip_id") == clip_id]

        until(found)
        return found()


@contextmanager
def taken_over(mode: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start hostile children in place of the children of this process."""

    def launch_hostile(program: Program, ends: ChildEnds, sandboxed: bool) -> Process:
        if program != "maker" or not mode:
            return launch_program(program, ends, sandboxed)
        if mode[0] == UNSTARTED:
            return launch_unstarted(program, ends, sandboxed)
        arguments = [str(ends.control), str(ends.ranges), str(os.getpid()), "sandboxed", mode[0]]
        # As `-I` does, but with the tests on the path.
        return subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); "
             "import runpy; runpy.run_module('tests.support.hostile_cutter', run_name='__main__')", *arguments],
            pass_fds=(ends.control, ends.ranges),
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=ends.stderr,
            start_new_session=True,
        )  # fmt: skip

    with monkeypatch.context() as patched:
        patched.setattr(process, "launch_program", launch_hostile)
        yield


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("verification")
    store = folder / "store"
    (store / KEY).parent.mkdir(parents=True)
    make_sample(store / KEY, seconds=5)
    with Receiver() as receiver, pytest.MonkeyPatch.context() as monkeypatch:
        settings = Settings.model_validate(
            {
                "data": {"folder": folder / "data"},
                "storage": {"folder": store},
                "webhooks": {
                    "allow_cidrs": ["127.0.0.0/8"],
                    "endpoints": [{"url": receiver.url, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}],
                },
                "encoding": {"workers": 1},
            }
        )
        mode: list[str] = []
        with taken_over(mode, monkeypatch):
            engine = Engine.build(settings, RuleClipBodies())
            engine.start()
            try:
                running = Running(engine, receiver, store, mode)
                head = engine.store.head(KEY)
                recording, _ = engine.ledger.recordings.register(KEY, etag=head.etag, size=head.size)
                until(lambda: engine.ledger.recordings.get(recording.recording_id).ended)
                yield running
            finally:
                engine.stop(10)


@pytest.mark.exhaustive
def test_clip_of_the_planned_form_is_published(running: Running) -> None:
    """Control: the other modes fail only because of their form. The contents of frames are not verified."""
    clip = running.cut(RIGHT)
    assert clip.state == "complete", clip.error
    assert running.events_of(clip.clip_id) == ["clip.ready"]
    assert clip.result is not None
    assert (running.store / clip.object_key).stat().st_size == clip.result.size_bytes


@pytest.mark.parametrize("mode", cases((each for each in MODES if each != RIGHT), ("zeros",)))
@pytest.mark.exhaustive
def test_file_that_differs_from_the_plan_is_not_published(running: Running, mode: str) -> None:
    clip = running.cut(mode)
    assert clip.error is not None, clip
    assert (clip.state, clip.error["code"]) == ("failed", "verification_failed"), clip.error
    assert running.events_of(clip.clip_id) == ["clip.failed"]
    assert not (running.store / clip.object_key).exists()
    assert not (running.store / clip.poster_key).exists()
    until(lambda: not list((running.engine.settings.data.folder / "scratch").iterdir()))


@pytest.mark.parametrize("mode", cases(["zeros", "sparse", "one more track"], ["one more track"]))
@pytest.mark.exhaustive
def test_cut_command_deletes_a_file_that_differs_from_the_plan(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sample(tmp_path / "sample.mp4", seconds=5)
    with taken_over([mode], monkeypatch), pytest.raises(VerificationFailed):
        cut_once(
            Settings(),
            str(tmp_path / "sample.mp4"),
            tmp_path / "clip.mp4",
            LocalClip([(Fraction(1), Fraction(3))]),
            on_progress=lambda part: None,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["sample.mp4"]


@pytest.mark.exhaustive
def test_clip_whose_child_cannot_start_is_cut_later(running: Running) -> None:
    """As while an upgrade replaces the files of the engine, which says nothing about the recording."""
    clips = running.engine.ledger.clips
    clip_id = running.create(UNSTARTED)
    until(lambda: clips.outage_ms(clip_id))
    running.mode.clear()
    clip = running.ended(clip_id)
    assert (clip.state, clip.error, clips.crashes(clip_id)) == ("complete", None, 0)
    assert clip.attempt > 1
