"""Recordings of programs of others: finished ones, ones that grow, and producers that are killed and started again."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from clipengine.client import Client
from clipengine.clips.options.profiles import Render
from tests.films.reader import read_clip
from tests.support.producers import (
    FRAGMENTS_EARLY,
    GST_FRAGMENTS,
    GST_HLS,
    PRODUCERS,
    Producer,
    expected_of,
    faults_of,
    hls_command,
    need,
    nginx_rtmp,
    record_with_motion,
    rtmp_command,
    source,
)
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

pytestmark = pytest.mark.outage


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the function that returns the film in a codec, of so many seconds."""
    folder, made = tmp_path_factory.mktemp("films"), {}

    def film(codec: str, seconds: int = 12) -> Path:
        if (codec, seconds) not in made:
            made[codec, seconds] = source(folder, codec, seconds)
        return made[codec, seconds]

    return film


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


def check_clip(
    api: Client,
    id: str,
    start: float,
    end: float,
    path: Path,
    *,
    early: float = 0,
    render: Render = "encode",
    warned: Sequence[str] = (),
    may_warn: Sequence[str] = (),
    whole: Path | None = None,
) -> int:
    """Cut a clip, hold it to the film, and return the number of its first frame.

    If the producer may have lost frames, its `whole` recording has what is expected.
    """
    made = api.clips.wait(api.clips.create(id, "x", start, end, render=render).clip_id, timeout=300)
    assert (made.status, made.error) == ("complete", None)
    assert made.result is not None
    codes = [text.partition(":")[0] for text in made.result.warnings]
    assert [code for code in codes if code not in ("encoded_instead", *may_warn)] == [*warned]
    api.clips.download(made.clip_id, path)
    reading = read_clip(path)
    expected = None if whole is None else expected_of(whole, start, end)
    assert faults_of(reading, end - start, early, expected) == []
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


@pytest.mark.parametrize("program", ["ffmpeg", "gstreamer"])
def test_producer_that_is_killed_and_overwrites_its_files_makes_two_recordings(
    program: str, films: Callable[..., Path], server: RunningServer, tmp_path: Path
) -> None:
    """`ffmpeg -f hls` without `append_list`, and `hlssink2`, begin anew with the same names."""
    need("ffmpeg")
    folder = server.data / "store" / program
    folder.mkdir()

    def command(film: Path) -> list[str]:
        if program == "gstreamer":
            return GST_HLS.live_command(film, folder)
        return hls_command(film, folder / "index.m3u8", "-hls_list_size", "0")

    key = f"{program}/index.m3u8"
    with server.client() as api, subprocess.Popen(command(films("H.264", 60))) as producer:
        until((folder / "index.m3u8").exists)
        id = api.recordings.wait(api.recordings.add(key, live=True).recording_id, timeout=300).recording_id
        until(lambda: (api.recordings.get(id).duration_seconds or 0) > 4)
        check_clip(api, id, 0.5, 3.0, tmp_path / "a.mp4")
        producer.kill()
    with server.client() as api, subprocess.Popen(command(films("H.264"))) as producer:
        until(lambda: api.recordings.get(id).status != "recording")
        old = api.recordings.get(id)
        assert [text.partition(":")[0] for text in old.warnings] == ["files_overwritten"]
        new = api.recordings.add(key, live=True).recording_id
        assert new != id
        until(lambda: (api.recordings.get(new).duration_seconds or 0) > 4)
        assert check_clip(api, new, 0.5, 3.0, tmp_path / "b.mp4") == pytest.approx(12, abs=1)
        assert producer.wait(60) == 0
        until(lambda: api.recordings.get(new).status == "complete")
        check_clip(api, new, 3.1, 11.3, tmp_path / "c.mp4")


@pytest.mark.parametrize("killed", ["sender", "server"])
def test_stream_to_nginx_that_is_sent_again_continues_its_recording(
    killed: str, films: Callable[..., Path], server: RunningServer, tmp_path: Path
) -> None:
    """nginx continues its playlist after a discontinuity, even if it was killed itself."""
    folder = server.data / "store" / f"rtmp-{killed}"
    folder.mkdir()
    film = films("H.264", 60)
    with ExitStack() as running, server.client() as api:
        nginx, address = running.enter_context(nginx_rtmp(folder))
        with subprocess.Popen(rtmp_command(film, address), stderr=subprocess.DEVNULL) as sender:
            until((folder / "index.m3u8").exists)
            added = api.recordings.add(f"{folder.name}/index.m3u8", live=True)
            id = api.recordings.wait(added.recording_id, timeout=300).recording_id
            until(lambda: (api.recordings.get(id).duration_seconds or 0) > 4)
            check_clip(api, id, 0.5, 3.0, tmp_path / "a.mp4")
            if killed == "server":
                nginx.kill()
            sender.kill()
        if killed == "server":
            _, address = running.enter_context(nginx_rtmp(folder))
        with subprocess.Popen(rtmp_command(film, address), stderr=subprocess.DEVNULL) as sender:
            until(lambda: (api.recordings.get(id).pieces or {})["runs"] == 2)
            border = next(each["start_seconds"] for each in api.recordings.pieces(id).pieces if each["run"] == 1)
            until(lambda: (api.recordings.get(id).duration_seconds or 0) > border + 4)
            assert check_clip(api, id, border + 0.5, border + 3.0, tmp_path / "b.mp4") == pytest.approx(12, abs=1)
            sender.kill()
        api.recordings.end(id)
        until(lambda: api.recordings.get(id).status == "complete")
        found = api.recordings.get(id)
        assert (found.error, found.warnings, found.gaps) == (None, [], [])
        check_clip(api, id, 0.5, 3.0, tmp_path / "c.mp4")


def test_fragments_of_a_producer_that_is_killed_are_a_recording(
    films: Callable[..., Path], server: RunningServer, tmp_path: Path
) -> None:
    folder = server.data / "store" / "fragments"
    folder.mkdir()
    command = GST_FRAGMENTS.live_command(films("H.264", 60), folder)
    with server.client() as api, subprocess.Popen(command) as producer:
        until(lambda: (folder / "index.mp4").exists() and (folder / "index.mp4").stat().st_size > 50_000)
        added = api.recordings.add("fragments/index.mp4", live=True)
        id = api.recordings.wait(added.recording_id, timeout=300).recording_id
        assert api.recordings.get(id).status == "recording"
        until(lambda: (api.recordings.get(id).duration_seconds or 0) > 4)
        first = check_clip(api, id, 0.5, 3.0, tmp_path / "a.mp4", early=FRAGMENTS_EARLY)
        producer.kill()
        producer.wait()
        api.recordings.end(id)
        until(lambda: api.recordings.get(id).status == "complete")
        cut_off = ["recording_cut_off"]
        again = check_clip(api, id, 0.5, 3.0, tmp_path / "b.mp4", early=FRAGMENTS_EARLY, warned=cut_off)
        assert again == first


def test_files_of_motion_that_overlap_are_shown_once(server: RunningServer, tmp_path: Path) -> None:
    """With `movie_passthrough`, each file begins at the keyframe before the moment in its name."""
    record_with_motion(server.data / "store" / "motion", 4)
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
