"""The previews that the timeline requests: pieces that views share, and those that the server makes ahead."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from clipengine.clips.plan.preview_pyramid import Piece, coarse_filmstrips, whole_waveform
from tests.support.page import opened
from tests.support.server import RunningServer

pytestmark = pytest.mark.exhaustive

# Loads the views of a recording, one after the other, and points at a time. The server's answers are replaced.
LOAD = """async ([duration, views, pointed]) => {
  const requested = [];
  const canvas = new OffscreenCanvas(8, 1);
  canvas.getContext("2d");
  const tiles = await canvas.convertToBlob();
  const others = window.fetch;
  window.fetch = async (address, options) => {
    if (!/filmstrip|waveform/.test(address)) return others(address, options);
    requested.push(address);
    return address.includes("/filmstrip") ? new Response(tiles) : Response.json({peaks: [0]});
  };
  const {strips} = await import("/assets/player/timeline/previews.js");
  const {Extent} = await import("/assets/store/session.js");
  const recording = {recording_id: "rec_x", duration_seconds: duration, media: {video: {}, audio: [{}]}};
  let changed = () => {};
  const found = strips(new Extent(recording), new AbortController().signal, () => changed());
  const counts = [];
  for (const [start, end, width] of views) {
    found.load(start, end, width);
    while (found.film.busy || found.wave.busy) await new Promise((resolve) => { changed = resolve; });
    counts.push(requested.length);
  }
  await new Promise((resolve) => {
    found.point(pointed, resolve);
    if (!found.film.hint) resolve();
  });
  return {
    requested, counts, error: String(found.film.error || found.wave.error || ""),
    shown: found.film.pieces.map(({from, to}) => [from, to]), finest: found.film.finest(pointed).seconds,
  };
}"""


def loaded(browser: Any, server: RunningServer, duration: float, *views: tuple[float, float, int]) -> dict[str, Any]:
    with opened(browser, server) as page:
        page.goto(server.url)
        result: dict[str, Any] = page.evaluate(LOAD, [duration, views, duration * 0.7])
    assert result["error"] == ""
    return result


def pieces(requested: list[str], kind: str, count: str) -> list[Piece]:
    queries = [dict(parse_qsl(urlsplit(each).query)) for each in requested if f"/{kind}?" in each]
    ends = [float(each["end_seconds"]) if "end_seconds" in each else None for each in queries]
    starts = [float(each.get("start_seconds", 0)) for each in queries]
    return [Piece(*times, int(each[count])) for *times, each in zip(starts, ends, queries, strict=True)]


@pytest.mark.parametrize("duration", [6.0, 200.5, 1024.0, 7200.033333, 90_000.0])
@pytest.mark.parametrize("width", [360, 860, 1600])
def test_first_requests_are_for_what_is_made_ahead(
    browser: Any, server: RunningServer, duration: float, width: int
) -> None:
    result = loaded(browser, server, duration, (0, duration, width))
    ahead = list(coarse_filmstrips(duration))
    requested = pieces(result["requested"], "filmstrip", "count")
    if duration > 64:  # a shorter recording has finer pieces on a wide screen
        assert set(requested) <= set(ahead)
    assert result["finest"] <= max(64, 2 * duration / 16)  # after pointing at a time
    if duration > 1024 or width < 1000:
        assert set(pieces(result["requested"], "waveform", "points")) == set(whole_waveform(duration))


def test_views_share_pieces(browser: Any, server: RunningServer) -> None:
    scrolled = [(1000 + 30 * step, 1120 + 30 * step, 860) for step in range(10)]
    zoomed = [(1060 - span, 1060 + span, 860) for span in (60, 50, 40, 30, 20, 10)]
    result = loaded(browser, server, 7200.0, (0, 7200, 860), *scrolled, *reversed(scrolled), *zoomed, *reversed(zoomed))
    counts = result["counts"]
    scroll, back = counts[10] - counts[0], counts[20] - counts[10]
    assert scroll <= 12  # six pieces of each track, instead of ten
    assert back == 0
    assert counts[26] - counts[20] <= 16
    assert counts[-1] == counts[26]
    assert len(set(result["requested"])) == len(result["requested"])
    assert [0, 7200] in result["shown"]  # under the finer ones
