"""GIF and WebP in a browser: every frame at its time, on the page and on the page of a share."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from clipengine.clips.options.profiles import Profile
from tests.films.catalogue import Shelf
from tests.films.cutting import cut
from tests.films.film import Film
from tests.support.page import opened, row, until
from tests.support.player import Stage
from tests.support.server import RunningServer, running_server

pytestmark = pytest.mark.exhaustive

CONTAINERS = ("gif", "webp")


@pytest.mark.parametrize("container", CONTAINERS)
def test_browser_shows_every_frame_at_its_time(container: Any, stage: Stage, shelf: Shelf) -> None:
    film, name = shelf.get("mp4_25"), f"clip.{container}"
    made = cut(film, Fraction(1), Fraction(3), stage.folder / name, Profile(container=container)).made
    forever, frames = stage.player.animation(name, f"image/{container}")
    assert forever
    assert len(frames) == made.frames == 24
    assert sum(frame.duration for frame in frames) == 2_000_000
    for count, frame in enumerate(frames):
        assert abs(frame.start - count * 1_000_000 / 12) <= 5_000
        assert frame.seen.number in (25 + count * 25 // 12, 25 + round(count * 25 / 12))


@pytest.fixture(scope="module")
def animating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("animations")
    config = folder / "own.toml"
    config.write_text("".join(f'[profiles.{each}]\ncontainer = "{each}"\n' for each in CONTAINERS))
    with running_server(folder / "data", config=config, options=["--link"]) as server:
        yield server


@pytest.mark.parametrize("container", CONTAINERS)
def test_page_and_share_show_the_animation(
    browser: Any, animating: RunningServer, film: Film, container: str, tmp_path: Path
) -> None:
    client = animating.client()
    recording = client.recordings.wait(client.recordings.upload(film.path, name=f"{container}.mp4").recording_id)
    clip = client.clips.create(recording.recording_id, f"as {container}", 1.0, 2.0, profile=container)
    clip = clip.wait().raise_for_error()
    assert clip.result is not None
    assert (clip.result.video_codec, clip.result.frames, clip.result.poster_path is not None) == (container, 12, True)
    assert clip.result.duration_seconds == 1.0
    target = tmp_path / f"saved.{container}"
    clip.download(target)
    assert target.stat().st_size == clip.result.size_bytes
    with opened(browser, animating) as page:
        page.goto(f"{animating.url}/#/clips")
        row(page, f"as {container}").get_by_role("button", name="Play").click()
        until(page, "document.querySelector('dialog img.animation')?.naturalWidth > 0")
        page.goto(f"{animating.url}/#/recordings/{recording.recording_id}")
        page.get_by_label("Profile").get_by_text(f"{container} · 360p", exact=True).wait_for(state="attached")
    share = client.clips.share(clip.clip_id)
    with opened(browser, animating, signed_in=False) as page:
        answers: dict[str, str] = {}
        page.on("response", lambda answer: answers.update({answer.url: answer.headers.get("content-type", "")}))
        page.goto(share.url)
        until(page, "document.querySelector('main img')?.naturalWidth > 0")
        assert answers[f"{share.url}/video"] == f"image/{container}"
