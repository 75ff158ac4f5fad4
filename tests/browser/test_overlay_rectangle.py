"""What is drawn over the picture lies on the picture, in windows of any size, and shows what the clip has."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from clipengine.client import Recording
from tests.support.page import studio, until
from tests.support.server import RunningServer

SIZES = [
    (1920, 1080), (1440, 900), (1280, 720), (1280, 540), (1024, 768), (901, 600),
    (900, 600), (844, 390), (720, 450), (667, 375), (640, 360), (390, 844),
]  # fmt: skip
_RECTANGLES = """() => {
  const plain = ({x, y, width, height}) => [x, y, width, height];
  const box = (selector) => plain(document.querySelector(selector).getBoundingClientRect());
  const video = document.querySelector('.picture video');
  const [x, y, width, height] = box('.picture video');
  const scale = Math.min(width / video.videoWidth, height / video.videoHeight); // of object-fit: contain
  const [wide, high] = [video.videoWidth * scale, video.videoHeight * scale];
  return {picture: [x + (width - wide) / 2, y + (height - high) / 2, wide, high],
    crop: box('.crop'), drawn: box('.picture > .drawn'), boxes: box('.picture > .boxes'), handles: box('.handles')};
}"""


@pytest.mark.exhaustive
def test_overlays_lie_on_the_picture_at_every_size(
    browser: Any, server: RunningServer, recording: Recording, tmp_path: Path
) -> None:
    """The frame of 9:16 is where the clip is cut, and its result looks as the clip."""
    client = server.client()
    output = {"aspect": "9:16", "focus": {"x": 1.0, "y": 0.5}}
    made = client.clips.create(recording.recording_id, "the right part", 0.4, 1.2, output=output).wait()
    client.clips.download(made.clip_id, tmp_path / "clip.mp4")
    clip = _small(_first_frame(tmp_path / "clip.mp4"))
    framing = client.recordings.framing(recording.recording_id, output)
    whole, region = framing.recording, framing.region
    faults: list[str] = []
    with studio(browser, server, recording) as page:
        page.get_by_role("button", name="9:16", exact=True).click()
        page.get_by_role("button", name="Right", exact=True).click()
        until(page, "document.querySelector('.crop').getAttribute('aria-valuenow') === '100'")
        page.locator(".now").fill("0.4")
        page.keyboard.press("Enter")
        until(page, "!document.querySelector('video').seeking")
        for size in SIZES:
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.get_by_role("button", name="Frame", exact=True).click()
            found = page.evaluate(_RECTANGLES)
            x, y, width, height = found["picture"]
            taken = [
                x + width * region["x"] / whole["width"],
                y + height * region["y"] / whole["height"],
                width * region["width"] / whole["width"],
                height * region["height"] / whole["height"],
            ]
            for name, wanted in (
                ("crop", taken),
                ("drawn", taken),
                ("boxes", found["picture"]),
                ("handles", found["picture"]),
            ):
                if found[name] != pytest.approx(wanted, abs=1.5):
                    faults.append(f"{size}: {name} is at {found[name]}, not {wanted}")
            page.get_by_role("button", name="Result", exact=True).click()
            page.mouse.move(0, 0)
            shown = _small(Image.open(io.BytesIO(page.locator(".picture").screenshot())).convert("RGB"))
            apart = float(np.abs(shown - clip).mean())
            if apart > 12:
                faults.append(f"{size}: the result differs from the clip by {apart:.1f} levels")
    assert faults == []


def _first_frame(path: Path) -> Image.Image:
    with av.open(path) as container:
        return next(container.decode(video=0)).to_image()


def _small(image: Image.Image) -> Any:
    return np.asarray(image.resize((36, 64)), np.float32)
