"""A recording in a folder that is probed and refreshed in this process, with real children."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clipengine.ledger.ledger import Ledger
from clipengine.recordings.recording import Recording, RecordingSpec
from clipengine.settings.settings import Encoding
from clipengine.stores.folder import FolderStore
from clipengine.work.children.pool import ChildPool
from clipengine.work.jobs import refreshes
from clipengine.work.jobs.probes import Prober
from clipengine.work.jobs.refreshes import Refresher
from clipengine.work.recording_files import recognise
from clipengine.work.worker import JobContext, Worker
from tests.support.ledgers import open_copied_ledger
from tests.support.playlists import first_segments, ts_playlist

KEY = "live/index.m3u8"


class LiveRecording:
    """A recording that is still written in a folder, its probe and its refreshes."""

    def __init__(self, ledger: Ledger, pool: ChildPool, folder: Path) -> None:
        self._ledger = ledger
        self.path = folder / KEY
        self.path.parent.mkdir(parents=True)
        self._store, context = FolderStore(folder), JobContext(ledger, "me", threading.Event())
        self.jobs = Refresher(context, self._store, pool, encoding=Encoding())
        self._refresher = Worker(self.jobs)
        self._prober = Worker(Prober(context, self._store, pool, suspects_allowed=bool, encoding=Encoding()))
        self.id = ""

    def register(self) -> None:
        self.id = self._ledger.recordings.register(KEY, RecordingSpec(live=True), etag="e", size=5)[0].recording_id
        self._prober.run_due()
        assert self.recording.state == "recording", self.recording.error

    def register_again(self) -> str:
        """Register the playlist as by a request, and return the id of its recording."""
        recordings = self._ledger.recordings
        recognise(self._store, recordings, self._store.head(KEY))
        return recordings.register(KEY, RecordingSpec(live=True), etag="e", size=5)[0].recording_id

    def probe(self) -> None:
        self._prober.run_due()

    @property
    def recording(self) -> Recording:
        return self._ledger.recordings.get(self.id)

    @property
    def count(self) -> int:
        return (self.recording.pieces or {})["count"]

    @property
    def etags(self) -> set[str]:
        index = self._ledger.recordings.pieces.get(self.id)
        assert index is not None
        return {each.etag for each in index.ranges()}

    @property
    def keys(self) -> list[str]:
        index = self._ledger.recordings.pieces.get(self.id)
        assert index is not None
        return [each.key for each in index.ranges()]

    @property
    def seconds(self) -> float:
        return self.recording.duration_seconds or 0

    def refresh(self, *, wanted: bool) -> None:
        """Do one refresh, as soon after a request for the recording, or long after it."""
        self._ledger.live.want(self.id, at_once=True)
        if not wanted:
            self._ledger.database.run("UPDATE live_recordings SET wanted_at = 0")
        assert self._refresher.run_due() == 1


class Live(LiveRecording):
    """A recording of three segments of 2 s that grows."""

    def __init__(self, ledger: Ledger, pool: ChildPool, folder: Path) -> None:
        super().__init__(ledger, pool, folder)
        ts_playlist(self.path)
        self._made = self.path.with_name("made.m3u8")
        self.path.rename(self._made)
        self.write(3)
        self.register()

    def write(self, count: int, *, stated: float = 2) -> None:
        """List so many segments, whose stated durations may be wrong."""
        text = first_segments(self._made, count)
        self.path.write_text(re.sub(r"#EXTINF:[\d.]+", f"#EXTINF:{stated}", text))

    def start_again(self, count: int, *, replaced: int | None = None) -> None:
        """Overwrite the first segments and the playlist, as a producer does that was started again."""
        for number in range(count if replaced is None else replaced):
            path = self.path.with_name(f"index{number:03d}.ts")
            path.write_bytes(path.read_bytes() + path.with_name("index005.ts").read_bytes())
        self.write(count)

    def slide(self, sequence: int, *numbers: int, stated: float) -> None:
        """List only the segments with these numbers, the first of which is said to be the segment `sequence`."""
        lines = [f"#EXTINF:{stated},\nindex{number:03d}.ts" for number in numbers]
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:3600\n#EXT-X-MEDIA-SEQUENCE:{sequence}"
        self.path.write_text("\n".join([text, *lines, ""]))


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Ledger, ChildPool, Path]]:
    monkeypatch.setattr(refreshes, "_KEPT_SECONDS", 300.0)  # a busy machine takes seconds to start a child
    with (
        closing(open_copied_ledger(tmp_path / "ledger.db", max_queued=10)) as ledger,
        closing(ChildPool(ahead=0)) as pool,
    ):
        yield ledger, pool, tmp_path / "store"


@pytest.fixture
def live(parts: tuple[Ledger, ChildPool, Path]) -> Iterator[Live]:
    made = Live(*parts)
    yield made
    made.jobs.interrupt()
