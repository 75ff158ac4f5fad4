"""Names, labels, tags and texts that contain markup: each view shows them as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from clipengine.client import Clip, Recording
from tests.films.film import Film
from tests.support.page import opened, studio
from tests.support.server import LOOPBACK_ALLOWED, RunningServer, running_server

pytestmark = pytest.mark.exhaustive

_MARKUP = """</title>"'><img id=injected src=x onerror=alert(1)><script id=injected>alert(2)</script>"""
_IS_INJECTED = "Boolean(document.querySelector('#injected, [onerror], script:not([src])'))"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("markup") / "data", env=LOOPBACK_ALLOWED) as server:
        yield server


@pytest.fixture(autouse=True)
def _without_segments() -> None:
    """Keep the segments of the recording, which contain markup."""


@pytest.fixture(scope="module")
def recording(server: RunningServer, film: Film) -> Recording:
    """Return a recording with markup in each text that belongs to it."""
    client = server.client()
    found = client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)
    found = client.recordings.update(
        found.recording_id, name=_MARKUP, tags=["<img id=injected>"], metadata={"note": _MARKUP}, series=_MARKUP
    )
    cues = [{"start_seconds": 0.2, "end_seconds": 1.6, "text": f"said {_MARKUP}", "speaker": _MARKUP}]
    client.transcripts.put(found.recording_id, "en", cues)
    segments = [{"start_seconds": start, "end_seconds": start + 0.4, "label": _MARKUP} for start in (0.2, 0.8)]
    client.recordings.put_segments(found.recording_id, segments, title=_MARKUP)
    return found


@pytest.fixture(scope="module")
def clip(server: RunningServer, recording: Recording) -> Clip:
    client = server.client()
    return client.clips.create(recording.recording_id, _MARKUP, 0.2, 1.7, tags=["<b id=injected>"]).wait()


@pytest.fixture(scope="module")
def others(server: RunningServer) -> None:
    """Create a key, an endpoint and a rule with markup in their texts."""
    client = server.client()
    client.installation.create_key(_MARKUP)
    client.webhooks.create(f"https://example.com/?{quote(_MARKUP, safe='<>=()')}")
    client.rules.create(_MARKUP, ranges={"kind": "first", "seconds": 1.0}, when={"tag": "<img id=injected>"})


@pytest.fixture
def page(browser: Any, server: RunningServer) -> Iterator[Any]:
    with opened(browser, server) as page:
        yield page


def _check(page: Any, view: str) -> None:
    assert not page.evaluate(_IS_INJECTED), f"{view} contains elements of a text"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("recordings", _MARKUP),
        ("clips", _MARKUP),
        (f"clips?q={quote(_MARKUP)}", _MARKUP),
        ("webhooks", "<img"),
        ("rules", _MARKUP),
        ("system?tab=keys", _MARKUP),
        ("system?tab=audit", _MARKUP),
    ],
    ids=["recordings", "clips", "found clips", "webhooks", "rules", "keys", "audit"],
)
@pytest.mark.usefixtures("clip", "others")
def test_lists_show_markup_as_text(page: Any, server: RunningServer, address: str, shown: str) -> None:
    page.goto(f"{server.url}/#/{address}")
    page.get_by_text(shown).locator("visible=true").first.wait_for()
    _check(page, address)


def test_recording_shows_markup_as_text(browser: Any, server: RunningServer, recording: Recording, clip: Clip) -> None:
    with studio(browser, server, recording) as page:
        page.get_by_text("said </title>").first.wait_for()
        _check(page, "recording")
        page.get_by_role("tab", name="Segments").click()
        for name in ("Name of segment 1", "Title"):
            assert page.get_by_role("textbox", name=name, exact=True).input_value() == _MARKUP
        _check(page, "segments")
        page.get_by_role("tab", name="Clips").click()
        page.locator(".clip-row").get_by_text(_MARKUP).first.wait_for()
        _check(page, "clips of the recording")
        page.locator(".clip-row").get_by_role("button", name="Play").first.click()
        page.get_by_role("dialog").get_by_text(_MARKUP).first.wait_for()
        _check(page, "clip")


@pytest.mark.parametrize("address", [lambda share: share.url, lambda share: share.embed_url], ids=["share", "embed"])
def test_shared_clip_shows_markup_as_text(
    browser: Any, server: RunningServer, clip: Clip, address: Callable[[Any], str]
) -> None:
    share = server.client().clips.share(clip.clip_id)
    with opened(browser, server, signed_in=False) as page:
        page.goto(address(share))
        page.locator("video").wait_for()
        assert _MARKUP in page.title()
        _check(page, "shared clip")


def test_embedding_of_another_site_shows_markup_as_text(page: Any, server: RunningServer, clip: Clip) -> None:
    share = server.client().clips.share(clip.clip_id)
    assert share.url
    answer = page.request.get(f"{server.url}/oembed", params={"url": share.url}).json()
    page.goto("about:blank")
    page.set_content(answer["html"], wait_until="domcontentloaded")
    assert page.locator("iframe").get_attribute("title") == _MARKUP
    _check(page, "embedding")


def test_search_of_the_documents_shows_markup_as_text(page: Any, server: RunningServer) -> None:
    page.goto(f"{server.url}/docs/search?q={quote(_MARKUP)}")
    assert page.get_by_role("searchbox").first.input_value() == _MARKUP
    assert not page.evaluate("Boolean(document.querySelector('#injected, [onerror]'))")
