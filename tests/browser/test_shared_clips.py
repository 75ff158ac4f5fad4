"""Shared clips in a browser without a session: on a phone, without scripts, in both themes, and in frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Clip, Recording
from tests.browser.conftest import Judge
from tests.films.film import Film
from tests.support.file_server import serve_folder
from tests.support.page import held, opened, row, until, wait_for
from tests.support.s3 import S3Server, s3_settings
from tests.support.server import RunningServer, running_server

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
PLAYED = "document.querySelector('video').currentTime > 0.2"


@pytest.fixture(scope="module")
def clip(server: RunningServer, recording: Recording) -> Clip:
    client = server.client()
    return client.clips.create(recording.recording_id, "the decisive moment", 0.2, 1.7).wait().raise_for_error()


@contextmanager
def anonymous(browser: Any, server: RunningServer, **options: Any) -> Iterator[Any]:
    with opened(browser, server, signed_in=False, **options) as page:
        yield page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.typical(1)
def test_shared_clip_plays_on_a_phone(
    browser: Any,
    server: RunningServer,
    clip: Clip,
    judge: Judge,
    theme: str,
) -> None:
    share = server.client().clips.share(clip.clip_id)
    assert share.url
    with anonymous(browser, server, color_scheme=theme, **PHONE) as page:
        with held(page, "**/video"):
            page.goto(share.url, wait_until="domcontentloaded")
            page.get_by_role("heading", name="the decisive moment").wait_for()
            until(page, "document.querySelector('video').offsetWidth === 390")
            coming = page.locator("video").bounding_box()
        until(page, "document.querySelector('video').readyState > 0")
        box = page.locator("video").bounding_box()
        assert box == coming  # the poster and the attributes of the player shape it
        assert (box["x"], box["width"]) == (0, 390)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        button = page.get_by_role("link", name="Download").bounding_box()
        assert button["y"] + button["height"] <= 844
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(12, 14, 16)"
        assert dark == (theme == "dark")
        judge(page, theme)
        page.evaluate("document.querySelector('video').play()")
        until(page, PLAYED)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename == "the decisive moment.mp4"
    assert server.client().clips.shares(clip.clip_id).data[0].views == 1


@pytest.mark.exhaustive
def test_page_needs_no_script(browser: Any, server: RunningServer, clip: Clip) -> None:
    share = server.client().clips.share(clip.clip_id)
    with anonymous(browser, server, java_script_enabled=False) as page:
        seen: list[str] = []
        page.on("response", lambda response: seen.append(f"{response.status} {response.url}"))
        page.goto(share.url)
        page.get_by_role("heading", name="the decisive moment").wait_for()
        wait_for(page, lambda: {"poster", "share.css", "video"} <= {url.rpartition("/")[2] for url in seen})
        kinds = {url.rpartition("/")[2]: url[:3] for url in seen}
        assert kinds["poster"] == kinds["share.css"] == "200"
        assert kinds["video"] in ("200", "206")


def test_revoked_link_is_gone_at_once(browser: Any, server: RunningServer, clip: Clip) -> None:
    client = server.client()
    share = client.clips.share(clip.clip_id)
    with anonymous(browser, server, expected="404", **PHONE) as page:
        page.goto(share.url)
        until(page, "document.querySelector('video').readyState > 0")
        client.clips.unshare(clip.clip_id, share.share_id)
        assert page.reload().status == 404
        page.get_by_role("heading", name="This link does not work").wait_for()
        assert page.goto(f"{share.url}/video").status == 404
        assert page.goto(f"{share.url}/poster").status == 404


@pytest.mark.exhaustive
def test_other_site_shows_the_player(browser: Any, server: RunningServer, clip: Clip, tmp_path: Path) -> None:
    client = server.client()
    share = client.clips.share(clip.clip_id)
    for name, url in (("player", share.embed_url), ("page", share.url)):
        (tmp_path / f"{name}.html").write_text(
            f'<!doctype html><iframe src="{url}" width="640" height="360" allow="autoplay"></iframe>'
        )
    with serve_folder(tmp_path) as address, anonymous(browser, server, expected="frame|favicon") as page:
        other_site = address.replace("127.0.0.1", "localhost")
        page.goto(f"{other_site}/player.html")
        frame = page.frame_locator("iframe")
        frame.locator("video").wait_for()
        frame.locator("video").evaluate("video => { video.muted = true; return video.play(); }")
        frame.locator("video").evaluate(
            "video => new Promise((go) => video.addEventListener('timeupdate', () => video.currentTime > 0.1 && go()))"
        )
        page.goto(f"{other_site}/page.html")
        page.wait_for_timeout(300)
        assert page.frame_locator("iframe").locator("video").count() == 0  # only the player may be framed


@pytest.mark.exhaustive
def test_shared_clip_plays_from_a_store_with_links(
    browser: Any, s3: S3Server, bucket: str, film: Film, tmp_path: Path
) -> None:
    """The policy of the page allows the origin of the store, and a revoked link leads nowhere."""
    with running_server(tmp_path / "data", env=s3_settings(s3, bucket)) as server:
        client = server.client()
        meeting = client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)
        clip = client.clips.create(meeting.recording_id, "stored elsewhere", 0.2, 1.7).wait().raise_for_error()
        share = client.clips.share(clip.clip_id)
        with anonymous(browser, server, expected="404") as page:
            hosts: list[str] = []
            page.on("response", lambda response: hosts.append(f"{response.status} {response.url}"))
            page.goto(share.url)
            page.evaluate("(video => { video.muted = true; video.play(); })(document.querySelector('video'))")
            until(page, PLAYED)
            served = [host for host in hosts if host[4:].startswith(s3.endpoint)]
            assert any("poster" not in each and each[:3] in ("200", "206") for each in served), hosts
            assert page.evaluate("document.querySelector('video').currentSrc").startswith(server.url)
            client.clips.unshare(clip.clip_id, share.share_id)
            assert page.goto(share.video_url).status == 404


@pytest.mark.exhaustive
def test_clip_is_shared_and_revoked_on_the_page(browser: Any, server: RunningServer, clip: Clip, judge: Judge) -> None:
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/clips")
        row(page, clip.label).get_by_role("button", name="Play").click()
        page.get_by_role("dialog").get_by_role("button", name="Share").click()
        dialog = page.get_by_role("dialog")
        before = len(server.client().clips.shares(clip.clip_id).data)
        dialog.get_by_label("Offer the file for download").uncheck()
        dialog.get_by_role("button", name="Create link").click()
        judge(page, "the dialog")
        dialog.get_by_role("button", name="Copy link").click()
        page.get_by_text("Link copied").wait_for()
        link = page.evaluate("navigator.clipboard.readText()")
        assert re.fullmatch(rf"{server.url}/s/[A-Za-z0-9_-]{{43}}", link)
        with anonymous(browser, server, expected="404") as visitor:
            visitor.goto(link)
            visitor.get_by_role("heading", name=clip.label).wait_for()
            assert visitor.get_by_role("link", name="Download").count() == 0
            shares = dialog.get_by_role("list", name="Links to this clip").get_by_role("listitem")
            until(page, f"document.querySelectorAll('.shares li').length === {before + 1}")
            dialog.get_by_label("Starts at").fill("0.5")
            dialog.get_by_label("Starts at").blur()
            assert dialog.get_by_label("Link", exact=True).input_value() == f"{link}?t=0.5"
            dialog.get_by_text("Only this computer can open the link").wait_for()
            dialog.get_by_text("The QR code appears when others can reach this server").wait_for()
            dialog.get_by_role("button", name="Copy code").click()
            page.get_by_text("Embed code copied").wait_for()
            frame = page.evaluate("navigator.clipboard.readText()")
            assert re.search(rf'^<iframe .*src="{server.url}/embed/[A-Za-z0-9_-]{{43}}\?t=0.5"', frame), frame
            dialog.get_by_role("button", name="Create link").click()
            until(page, f"document.querySelectorAll('.shares li').length === {before + 2}")
            shares.nth(1).get_by_role("button", name="Show link").click()
            until(page, f"document.querySelector('dialog input[readonly]').value === '{link}'")
            judge(page, "the dialog with a link of before")
            shares.first.get_by_role("button", name="Revoke link").click()
            until(page, f"document.querySelectorAll('.shares li').length === {before + 1}")
            shares.first.get_by_role("button", name="Revoke link").click()
            until(page, f"document.querySelectorAll('.shares li').length === {before}")
            assert visitor.reload().status == 404
        assert len(server.client().clips.shares(clip.clip_id).data) == before


@pytest.mark.exhaustive
def test_link_that_others_can_open_has_a_qr_code(browser: Any, tmp_path: Path, film: Film) -> None:
    environ = {"CLIPENGINE_SERVER__PUBLIC_URL": "https://clips.example.org"}
    with running_server(tmp_path / "data", env=environ) as public:
        client = public.client()
        recording = client.recordings.wait(client.recordings.upload(film.path, name="meeting.mp4").recording_id)
        client.clips.create(recording.recording_id, "public", 0.2, 0.8).wait()
        with opened(browser, public) as page:
            page.goto(f"{public.url}/#/clips")
            row(page, "public").get_by_role("button", name="Share").click()
            page.get_by_role("button", name="Create link").click()
            until(page, "document.querySelector('dialog img.qr')?.naturalWidth > 0")
            assert page.get_by_text("Only this computer can open the link").count() == 0
