"""Clips in a real browser: media properties, painted frames and decoded audio."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.films.picture import Seen, see
from tests.films.sound import Samples

# The shell renders and plays the same, without the user interface, which costs a third of the CPU time.
CHROMIUM = shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # names that browsers do not trust as they trust loopback
    "--autoplay-policy=no-user-gesture-required",
)
_TIMEOUT_MS = 300_000

_PAGE = """<!doctype html><meta charset="utf-8"><title>player</title><body><script>
const LIMIT = 120_000;
const bytes = (buffer) => {
  const view = new Uint8Array(buffer);
  let text = "";
  for (let at = 0; at < view.length; at += 32768) text += String.fromCharCode(...view.subarray(at, at + 32768));
  return btoa(text);
};
const event = (target, name) => new Promise((done, fail) => {
  target.addEventListener(name, done, {once: true});
  const failed = () => fail(new Error(target.error.message || "error " + target.error.code));
  target.addEventListener("error", failed, {once: true});
});
const within = (promise, what) => Promise.race([promise, new Promise((_, fail) =>
  setTimeout(() => fail(new Error("the browser did not do it in time: " + what)), LIMIT))]);
let media, shown;
const watch = (now, frame) => {
  shown = frame.mediaTime;
  media.requestVideoFrameCallback(watch);
};
// Wait until the frame of a seek is presented: that of `wanted` seconds if known, else one other than `before`.
async function changed(before, time, wanted) {
  const known = wanted !== null;
  const limit = performance.now() + (known ? LIMIT : before === undefined ? 2000 : 200);
  const isOld = () => known ? !(Math.abs(shown - wanted) < 0.0011) : shown === before || shown > time + 0.001;
  while (media.videoWidth && isOld() && performance.now() < limit) await new Promise(requestAnimationFrame);
}
async function load(kind, url) {
  media?.remove();
  media = document.createElement(kind);
  const ready = event(media, "loadeddata");
  media.preload = "auto";
  media.src = url;
  document.body.append(media);
  shown = undefined;
  if (kind === "video") media.requestVideoFrameCallback(watch);
  await within(ready, "load");
  await changed(undefined, Infinity, null);  // its first frame must not count as that of a seek
  return {duration: media.duration, width: media.videoWidth || 0, height: media.videoHeight || 0};
}
async function paint(time, wanted) {
  const before = shown;
  const seeked = event(media, "seeked");
  media.currentTime = time;
  await within(seeked, "seek");
  await changed(before, time, wanted);
  const canvas = new OffscreenCanvas(media.videoWidth, media.videoHeight);
  const context = canvas.getContext("2d");
  context.drawImage(media, 0, 0);
  return {time: shown, data: bytes(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer)};
}
async function play(time, seconds) {
  const seeked = event(media, "seeked");
  media.currentTime = time;
  await within(seeked, "seek");
  await media.play();
  const limit = performance.now() + LIMIT;
  while (media.currentTime < time + seconds && !media.ended && performance.now() < limit) {
    await new Promise((done) => setTimeout(done, 20));
  }
  media.pause();
  return media.currentTime;
}
async function ending() {
  const ended = event(media, "ended");
  media.currentTime = Math.max(0, media.duration - 0.3);
  await media.play();
  await within(ended, "end");
  return media.currentTime;
}
async function sound(url, rate) {
  const context = new OfflineAudioContext(2, rate, rate);
  const buffer = await context.decodeAudioData(await (await fetch(url)).arrayBuffer());
  const numbers = Array.from({length: buffer.numberOfChannels}, (_, number) => number);
  return numbers.map((number) => bytes(buffer.getChannelData(number).slice().buffer));
}
async function animation(url, type) {
  const decoder = new ImageDecoder({data: (await fetch(url)).body, type});
  await decoder.completed;
  const frames = [], {frameCount, repetitionCount} = decoder.tracks.selectedTrack;
  for (let frameIndex = 0; frameIndex < frameCount; frameIndex += 1) {
    const {image} = await decoder.decode({frameIndex});
    const canvas = new OffscreenCanvas(image.displayWidth, image.displayHeight);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const {data, width, height} = context.getImageData(0, 0, canvas.width, canvas.height);
    frames.push([image.timestamp, image.duration, height, width, bytes(data.buffer)]);
    image.close();
  }
  return [repetitionCount === Infinity, frames];
}
</script>"""


@dataclass(frozen=True)
class Loaded:
    """Properties of loaded media. The size is that of the displayed frame, 0 for audio only."""

    duration: float
    width: int
    height: int


@dataclass(frozen=True)
class Painted:
    """The frame on screen after a seek: its own time, its number, and its RGB pixels (height, width, 3)."""

    time: float
    seen: Seen
    pixels: Any


@dataclass(frozen=True)
class AnimationFrame:
    """A frame of an image, with its start and duration in microseconds."""

    start: int
    duration: int
    seen: Seen


class Player:
    """A page with one media element. Calls wait for their result and raise if the browser fails."""

    def __init__(self, page: Any, address: str) -> None:
        self._page = page
        self._address = address
        page.set_default_timeout(_TIMEOUT_MS)
        page.goto(f"{address}/player.html")

    def can_play(self, mime: str) -> str:
        """Return the value of `canPlayType`: "probably", "maybe" or ""."""
        return str(self._page.evaluate("mime => document.createElement('video').canPlayType(mime)", mime))

    def load(self, name: str, *, kind: str = "video") -> Loaded:
        return Loaded(**self._page.evaluate("([kind, url]) => load(kind, url)", [kind, f"{self._address}/{name}"]))

    def paint(self, time: float, begun: float | None = None) -> Painted:
        """Seek to `time` and read back the frame, which must begin at `begun` if that is given."""
        painted = self._page.evaluate("([time, begun]) => paint(time, begun)", [time, begun])
        size = self._page.evaluate("[media.videoHeight, media.videoWidth, 4]")
        rgb, seen = _seen(painted["data"], size)
        return Painted(painted["time"], seen, rgb)

    def animation(self, name: str, kind: str) -> tuple[bool, list[AnimationFrame]]:
        """Return True if the animated image repeats forever, and its frames as the browser decodes them."""
        url = f"{self._address}/{name}"
        forever, frames = self._page.evaluate("([url, type]) => animation(url, type)", [url, kind])
        return forever, [
            AnimationFrame(start, duration, _seen(data, [height, width, 4])[1])
            for start, duration, height, width, data in frames
        ]

    def play(self, time: float, *, seconds: float = 0.3) -> float:
        """Play from `time` on for a moment and return the time reached."""
        return float(self._page.evaluate("([time, seconds]) => play(time, seconds)", [time, seconds]))

    def play_to_end(self) -> float:
        """Play the last moment and return the time at which playback ended."""
        return float(self._page.evaluate("ending()"))

    def sound(self, name: str, *, rate: int = 48000) -> list[Samples]:
        """Return the channels of the first track, as decoded by the browser, at `rate` samples per second."""
        heard = self._page.evaluate("([url, rate]) => sound(url, rate)", [f"{self._address}/{name}", rate])
        return [np.frombuffer(base64.b64decode(channel), "<f4") for channel in heard]


def _seen(data: str, size: list[int]) -> tuple[Any, Seen]:
    """Return the pixels (RGB) of a canvas, and the frame that they show."""
    rgb = np.frombuffer(base64.b64decode(data), np.uint8).reshape(size)[:, :, :3]
    return rgb, see(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24"))


@dataclass(frozen=True)
class Stage:
    """A folder of clips for the browser, and the page that plays them."""

    folder: Path
    player: Player


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a headless Chromium with its own profile folder."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def player_page() -> str:
    """Return the page that `Player` drives; serve it as `player.html` beside the clips."""
    return _PAGE
