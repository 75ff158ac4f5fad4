"""Recordings of programs of others: finished ones, ones that grow, and producers that are killed and started again."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clipengine.client import Client
from clipengine.clips.options.profiles import Render
from tests.films.reader import read_clip
from tests.support.producers import PRODUCERS, Producer, faults_of, hls_command, need, record_with_motion, source
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the function that returns the film in a codec."""
    folder, made = tmp_path_factory.mktemp("films"), {}

    def film(codec: str) -> Path:
        if codec not in made:
            made[codec] = source(folder, codec)
        return made[codec]

    return film


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


def check_clip(
    api: Client, id: str, start: float, end: float, path: Path, *, early: float = 0, render: Render = "encode"
) -> int:
    """Cut a clip, hold it to the film, and return the number of its first frame."""
    made = api.clips.wait(api.clips.create(id, "x", start, end, render=render).clip_id, timeout=300)
    assert (made.status, made.error) == ("complete", None)
    assert made.result is not None
    assert [text for text in made.result.warnings if "encoded_instead" not in text] == []
    api.clips.download(made.clip_id, path)
    reading = read_clip(path)
    assert faults_of(reading, end - start, early) == []
    return reading.frames[0][1].number or 0


@pytest.mark.parametrize("producer", PRODUCERS, ids=str)
def test_clips_of_a_finished_recording_are_exact(
    producer: Producer, films: Callable[[str], Path], server: RunningServer, tmp_path: Path
) -> None:
    name = str(PRODUCERS.index(producer))
    folder = server.data / "store" / name
    folder.mkdir(parents=True)
    producer.record(films(producer.codec), folder)
    with server.client() as api:
        if producer.is_folder:
            id = api.recordings.add_folder(f"{name}/", producer.key).recording_id
        else:
            id = api.recordings.add(f"{name}/{producer.key}", live=None if producer.ends else True).recording_id
        if not producer.ends:
            api.recordings.wait(id, timeout=300)
            api.recordings.end(id)
        until(lambda: api.recordings.get(id).status in ("complete", "failed"))
        found = api.recordings.get(id)
        assert (found.status, found.error, found.gaps) == ("complete", None, [])
        assert found.duration_seconds == pytest.approx(12, abs=0.2)
        first = check_clip(api, id, 3.1, 8.3, tmp_path / "a.mp4", early=producer.sound_early)
        again = check_clip(api, id, 3.1, 8.3, tmp_path / "b.mp4", early=producer.sound_early, render="smart")
        assert again == first


def test_producer_that_is_killed_and_overwrites_its_files_makes_two_recordings(
    films: Callable[[str], Path], server: RunningServer, tmp_path: Path
) -> None:
    """`ffmpeg -f hls` without `append_list` begins anew with the same names."""
    need("ffmpeg")
    folder = server.data / "store" / "again"
    folder.mkdir()
    command = hls_command(films("H.264"), folder / "index.m3u8", "-hls_list_size", "0")
    with server.client() as api, subprocess.Popen(command) as producer:
        until((folder / "index1.ts").exists)
        id = api.recordings.wait(
            api.recordings.add("again/index.m3u8", live=True).recording_id, timeout=300
        ).recording_id
        until(lambda: (api.recordings.get(id).duration_seconds or 0) > 4)
        check_clip(api, id, 0.5, 3.0, tmp_path / "a.mp4")
        producer.kill()
    with server.client() as api, subprocess.Popen(command) as producer:
        until(lambda: api.recordings.get(id).status != "recording")
        old = api.recordings.get(id)
        assert [text.partition(":")[0] for text in old.warnings] == ["files_overwritten"]
        new = api.recordings.add("again/index.m3u8", live=True).recording_id
        assert new != id
        until(lambda: (api.recordings.get(new).duration_seconds or 0) > 4)
        assert check_clip(api, new, 0.5, 3.0, tmp_path / "b.mp4") == pytest.approx(12, abs=1)
        assert producer.wait(60) == 0
        until(lambda: api.recordings.get(new).status == "complete")
        check_clip(api, new, 3.1, 11.3, tmp_path / "c.mp4")


def test_files_of_motion_that_overlap_are_shown_once(server: RunningServer, tmp_path: Path) -> None:
    """With `movie_passthrough`, each file begins at the keyframe before the moment in its name."""
    folder = server.data / "store" / "motion"
    folder.mkdir()
    record_with_motion(folder, 4)
    with server.client() as api:
        added = api.recordings.add_folder("motion/", "%Y%m%d%H%M%S.mp4")
        found = api.recordings.wait(added.recording_id, timeout=300)
        assert (found.status, found.error, found.gaps) == ("complete", None, [])
        assert found.clock is not None
        assert found.clock["source"] == "end"
        end = found.duration_seconds or 0
        assert end > 10
        made = api.clips.wait(api.clips.create(found.recording_id, "x", 1, end - 1).clip_id, timeout=300)
        assert made.error is None
        api.clips.download(made.clip_id, tmp_path / "clip.mp4")
    numbers = [seen.number for _, seen in read_clip(tmp_path / "clip.mp4").frames]
    assert numbers == list(range(numbers[0] or 0, (numbers[0] or 0) + len(numbers)))
