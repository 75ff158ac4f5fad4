"""Pictures of another time are not shown: what is not known yet is grey."""

from __future__ import annotations

from typing import Any

import pytest

from clipengine.client import Recording
from tests.support.page import READY, held, opened, until
from tests.support.server import RunningServer

# Draws 8 tiles over 800 seconds in a view of the first 100, as a coarse piece and as one of the view's level.
_COLUMNS = """async () => {
  const {drawFilm} = await import("/assets/player/timeline/drawing.js");
  const tiles = new OffscreenCanvas(8 * 160, 90);
  const context = tiles.getContext("2d");
  for (let number = 0; number < 8; number += 1) {
    context.fillStyle = `rgb(${20 * (number + 1)}, 0, 0)`;
    context.fillRect(number * 160, 0, 160, 90);
  }
  const image = await createImageBitmap(tiles);
  const canvas = document.createElement("canvas");
  canvas.style.cssText = "display: block; width: 1000px; height: 45px";
  document.body.append(canvas);
  return [100, 800].map((level) => {
    drawFilm(canvas, [{from: 0, to: 800, seconds: 800, count: 8, image}], {start: 0, end: 100}, level);
    const {data} = canvas.getContext("2d").getImageData(0, 20, canvas.width, 1);
    const painted = Array.from({length: canvas.width}, (_, x) => x).filter((x) => data[4 * x + 3] > 200);
    return [painted[0], painted.at(-1), painted.length];
  });
}"""

_LIVE_TEXTS = """async () => {
  const {liveText} = await import("/assets/views/live.js");
  return [[false, 3], [true, 29.9], [true, 163]].map((given) => liveText(...given));
}"""


@pytest.mark.exhaustive
def test_unknown_pictures_are_grey(browser: Any, server: RunningServer, recording: Recording) -> None:
    grey = "document.querySelector('.picture').classList.contains('unknown')"
    with opened(browser, server, viewport={"width": 1280, "height": 720}) as page:
        with held(page, "**/download"):
            page.goto(f"{server.url}/#/recordings/{recording.recording_id}")
            until(page, f"document.querySelector('.picture video') && {grey}")
            assert page.evaluate("getComputedStyle(document.querySelector('.picture video')).opacity") == "0"
        until(page, READY)
        until(page, f"!{grey}")
        coarse, fine = page.evaluate(_COLUMNS)
        assert fine == [0, 999, 1000]
        first, last, count = coarse  # one picture, at the time that it is of
        assert abs((first + last) / 2 - 500) <= 1
        assert count == last - first + 1 <= 82
        assert page.evaluate(_LIVE_TEXTS) == ["Go live", "At live", "2:43 behind"]
