"""Folders of files that are still written, with real children."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clipengine.ledger.ledger import Ledger
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.recording import RecordingSpec
from clipengine.work.children.pool import ChildPool
from clipengine.work.jobs import silent_producers
from tests.support.cameras import MOTION, motion
from tests.support.refreshing import LiveRecording, parts

__all__ = ["parts"]  # a fixture


class LiveFolder(LiveRecording):
    """The recording of a camera's folder, registered while it is written, or after it."""

    def register(self, *, live: bool = True) -> None:
        spec = RecordingSpec(live=live)
        self.id = self._ledger.recordings.register_folder(FolderSource("", MOTION), spec)[0].recording_id
        self._prober.run_due()
        assert self.recording.state == ("recording" if live else "complete"), self.recording.error

    def end(self) -> None:
        self._ledger.live.end(self.id)
        assert self._refresher.run_due() == 1

    @property
    def places(self) -> list[tuple[str, int, int]]:
        """The keys of the pieces with their places in the recording."""
        index = self._ledger.recordings.pieces.get(self.id)
        assert index is not None
        return [(each.data.key, each.start, each.duration) for _, run in index.runs() for each in run.pieces]


@pytest.mark.exhaustive
def test_files_with_a_pre_roll_have_the_places_and_the_clock_of_the_finished_folder(
    parts: tuple[Ledger, ChildPool, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silent_producers, "SILENCE_SECONDS", 3600)  # it ends on request only
    ledger, pool, store = parts
    made = tmp_path / "made"
    made.mkdir()
    motion(made, datetime.now(UTC).replace(microsecond=700_000) - timedelta(minutes=1))
    first, *others = sorted((made / "cam").iterdir())
    live = LiveFolder(ledger, pool, store)
    (store / "cam").mkdir()
    first.rename(store / "cam" / first.name)
    live.register()
    counts = []
    for path in others:
        path.rename(store / "cam" / path.name)
        live.refresh(wanted=True)
        counts.append(live.count)
    live.end()
    live.jobs.interrupt()
    grown, places = live.recording, live.places
    assert (counts, grown.state, grown.gaps) == ([2, 3], "complete", [])
    assert grown.duration_seconds == pytest.approx(47.2, abs=0.05)

    ledger.recordings.delete(live.id)
    live.register(live=False)
    whole = live.recording
    assert (places, grown.duration_seconds) == (live.places, whole.duration_seconds)
    assert grown.found_clock is not None
    assert grown.found_clock == whole.found_clock
    assert grown.found_clock["source"] == "end"
