"""A folder store that is moved or not mounted: clips are delayed, none is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clipengine.client import Client
from clipengine.stores.folder import FolderStore
from tests.support.invariants import check_invariants
from tests.support.server import RunningServer, run_command, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage

SECONDS = 300


class Place:
    """A data folder with a store elsewhere that can be taken away, and the content left at its mount point."""

    def __init__(self, tmp_path: Path, film: Path, left: str) -> None:
        self.data = tmp_path / "data"
        self.root = tmp_path / "mnt" / "store"
        self._aside = tmp_path / "aside"
        self._left = left
        self._mounted = False
        self.root.parent.mkdir()
        self.env = {
            "CLIPENGINE_ENCODING__NICE": "0",
            "CLIPENGINE_STORAGE__FOLDER": str(self.root),
            "CLIPENGINE_FAULT": "outage:pace=20",
        }
        if left == "mount point":
            self.root.mkdir()
            self._mount()
        (self.root / "h_01").mkdir(parents=True)
        shutil.copy(film, self.root / "h_01" / "meeting.mp4")

    def _mount(self) -> None:
        """Bind-mount the disk; its content survives an unmount."""
        self._aside.mkdir(exist_ok=True)
        if os.getuid() != 0:
            pytest.skip("only root can mount")
        command = ["mount", "--bind", self._aside, self.root]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        self._mounted = True

    def away(self) -> None:
        if self._left == "mount point":
            self.end()
            return
        self.root.rename(self._aside)
        if self._left == "empty folder":
            self.root.mkdir()

    def back(self) -> None:
        """Put the store back and check that nothing was written to the mount point."""
        assert self._left == "nothing" or not list(self.root.iterdir())
        if self._left == "mount point":
            self._mount()
            return
        if self._left == "empty folder":
            self.root.rmdir()
        assert not self.root.exists()
        self._aside.rename(self.root)

    def end(self) -> None:
        """Unmount everything."""
        if self._mounted:
            subprocess.run(["umount", "--lazy", self.root], check=True)
            self._mounted = False

    def recording(self, api: Client) -> str:
        recording = api.recordings.wait(api.recordings.add("h_01/meeting.mp4").recording_id, timeout=SECONDS)
        assert recording.status == "complete", recording.error
        return recording.recording_id

    def check(self, *, clips: int) -> None:
        found = check_invariants(self.data, store=FolderStore(self.root))
        assert [clip.state for clip in found] == ["complete"] * clips


@pytest.fixture(params=["nothing", "empty folder", "mount point"])
def place(request: pytest.FixtureRequest, tmp_path: Path, film: Path) -> Iterator[Place]:
    made = Place(tmp_path, film, request.param)
    yield made
    made.end()


def store_check(server: RunningServer) -> tuple[int, bool, str]:
    """Return the status of `/readyz` and its check of the store."""
    answer = httpx.get(f"{server.url}/readyz", headers={"Authorization": f"Bearer {server.key}"}, timeout=300)
    (found,) = [each for each in answer.json()["checks"] if each["name"] == "store"]
    return answer.status_code, found["ok"], found["detail"]


def is_away(server: RunningServer, place: Place) -> None:
    until(lambda: store_check(server)[:2] == (503, False), SECONDS)
    said = store_check(server)[2]
    assert str(place.root) in said
    assert "put it back" in said


def upload(server: RunningServer) -> httpx.Response:
    return httpx.put(
        f"{server.url}/v1/recordings/upload?name=a.mp4",
        headers={"Authorization": f"Bearer {server.key}"},
        content=b"no video",
        timeout=300,
    )


def cut(api: Client, recording: str, label: str) -> str:
    return api.clips.create(recording, label=label, start_seconds=1.0, end_seconds=2.0).clip_id


def test_store_may_vanish_and_return_under_a_server(place: Place) -> None:
    with running_server(place.data, env=place.env) as server, server.client() as api:
        recording = place.recording(api)
        place.away()
        is_away(server, place)
        refused = upload(server)
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
        assert str(place.root) in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) > 0
        clips = [cut(api, recording, label) for label in ("a", "b")]
        until(lambda: server.log.read_text().count("retrying in") >= 4)
        waiting = [api.clips.get(each) for each in clips]
        assert {(each.status, *each.waits_for) for each in waiting} == {("processing", "store")}
        again = api.clips.create(recording, label="c", start_seconds=1.0, end_seconds=2.0)
        assert again.waits_for == ["store"]
        clips.append(again.clip_id)
        doctor = run_command("doctor", "--data", str(place.data), env=place.env)
        assert doctor.returncode == 1
        assert "PROBLEM store: the " in doctor.stdout
        assert str(place.root) in doctor.stdout
        place.back()
        for each in clips:
            assert api.clips.wait(each, timeout=SECONDS).status == "complete"
        until(lambda: store_check(server)[1], SECONDS)
        assert upload(server).status_code == 202
        server.stop()
    place.check(clips=3)


def test_store_may_vanish_while_clips_are_cut(place: Place) -> None:
    """At each step: before the recording is opened, while it is read, and during the upload."""
    with running_server(place.data, env=place.env) as server, server.client() as api:
        recording = place.recording(api)
        for _ in range(3):
            clips = [cut(api, recording, label) for label in "abcd"]
            until(lambda: any(api.clips.get(each).step != "queued" for each in clips), SECONDS)  # noqa: B023
            place.away()
            is_away(server, place)
            place.back()
            for each in clips:
                clip = api.clips.wait(each, timeout=SECONDS)
                assert clip.status == "complete", clip.error
        server.stop()
    place.check(clips=12)


def test_server_starts_without_the_store(place: Place) -> None:
    with running_server(place.data, env=place.env) as server, server.client() as api:
        recording = place.recording(api)
        server.stop()
    place.away()
    with running_server(place.data, env=place.env) as server, server.client() as api:
        until(lambda: "health check store failed: the " in server.log.read_text(), SECONDS)
        assert str(place.root) in server.log.read_text()
        is_away(server, place)
        # the first sweep would have removed it
        until(lambda: "cannot be removed from the store yet" in server.log.read_text(), SECONDS)
        assert "Traceback" not in server.log.read_text()
        assert upload(server).status_code == 503
        clip = cut(api, recording, "a")
        until(lambda: "retrying in" in server.log.read_text(), SECONDS)
        server.process.kill()
        server.process.wait(SECONDS)
    with running_server(place.data, env=place.env) as server, server.client() as api:
        assert api.clips.get(clip).status == "processing"
        place.back()
        assert api.clips.wait(clip, timeout=SECONDS).status == "complete"
        until(lambda: store_check(server)[1], SECONDS)
        server.stop()
    place.check(clips=1)


def test_watched_recordings_survive_an_absent_store(place: Place) -> None:
    """A scan of an absent store forgets nothing: returning objects are not registered again."""
    env = place.env | {
        "CLIPENGINE_WATCH__PREFIXES": '[""]',
        "CLIPENGINE_WATCH__SECONDS": "1",
        "CLIPENGINE_WATCH__SETTLE_SECONDS": "0",
    }
    with running_server(place.data, env=env) as server, server.client() as api:
        until(lambda: [each.status for each in api.recordings.list().data] == ["complete"], SECONDS)
        place.away()
        until(lambda: "the watch cannot scan the store" in server.log.read_text(), SECONDS)
        place.back()
        (place.root / "h_02").mkdir()
        shutil.copy(place.root / "h_01" / "meeting.mp4", place.root / "h_02" / "meeting.mp4")
        until(lambda: len(api.recordings.list().data) == 2, SECONDS)
        assert {each.bucket_path for each in api.recordings.list().data} == {"h_01/meeting.mp4", "h_02/meeting.mp4"}
        server.stop()
