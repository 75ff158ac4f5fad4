"""Uploads of the page that resume, in a real browser."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.films.film import Film
from tests.support.page import opened, until, wait_for
from tests.support.ports import free_port
from tests.support.server import RunningServer, running_server

BYTES_PER_SECOND = 10_000  # the whole file would take 150 s: each action comes before the end


def slow_down(page: Any) -> Callable[[], None]:
    """Throttle the uploads of a page, and return a function that ends this."""
    devtools = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": BYTES_PER_SECOND}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", slow)

    def end() -> None:
        devtools.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
        devtools.detach()

    return end


@pytest.fixture
def talk(tmp_path: Path, film: Film) -> Path:
    """Return a recording that no other test uploads, of about 1.5 MB: a film with a free box behind it."""
    path = tmp_path / "talk.mp4"
    filling = random.Random(52).randbytes(1_000_000)
    path.write_bytes(film.path.read_bytes() + (len(filling) + 8).to_bytes(4, "big") + b"free" + filling)
    return path


def choose(page: Any, path: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(path)


def drop(page: Any, path: Path) -> None:
    """Drop a file or a folder on the page."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    devtools.detach()


def upload_row(page: Any) -> Any:
    return page.locator(".uploading").filter(has_text="talk.mp4")


def wait_for_bytes(page: Any) -> None:
    until(page, "document.querySelector('.uploading progress')?.value > 0.05")


class Appends:
    """The offsets of the requests of a page that append bytes, and the upload to which they do.

    Each run begins with a request without bytes, which fails if another one sends.
    """

    def __init__(self, page: Any) -> None:
        self.offsets: list[int] = []
        self.path = ""
        page.on("request", self._take)

    def _take(self, request: Any) -> None:
        if request.method == "PATCH":
            self.path = request.url
            self.offsets.append(int(request.headers["upload-offset"]))

    def stored(self, server: RunningServer) -> int:
        """Return how many bytes the server has."""
        answer = httpx.get(self.path, headers={"Authorization": f"Bearer {server.key}"})
        return int(answer.json()["offset"])


def remove_uploaded(server: RunningServer, path: Path) -> None:
    """Remove the recording of the file. Assert that it is the only one, with all bytes."""
    client = server.client()
    [found] = [each for each in client.recordings.list().data if each.name == path.name]
    got = path.with_suffix(".got")
    client.recordings.download(found.recording_id, got)
    assert hashlib.sha256(got.read_bytes()).hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
    client.recordings.delete(found.recording_id, object=True)


def test_upload_continues_after_a_pause_and_a_reload(browser: Any, server: RunningServer, talk: Path) -> None:
    """The file is asked for again; a changed one is rejected, and nothing is sent twice."""
    with opened(browser, server) as page:
        appends = Appends(page)
        page.goto(server.url)
        end_slowness = slow_down(page)
        choose(page, talk)
        wait_for_bytes(page)
        upload_row(page).get_by_role("button", name="Pause").click()
        upload_row(page).get_by_text("Paused").wait_for()
        end_slowness()
        wait_for(page, lambda: appends.stored(server) > 0)
        stored = appends.stored(server)
        page.reload()
        asking = upload_row(page).get_by_role("button", name="Choose file")
        whole, times = talk.read_bytes(), talk.stat()
        talk.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        os.utime(talk, ns=(times.st_atime_ns, times.st_mtime_ns))
        upload_row(page).locator("input").set_input_files(talk)
        upload_row(page).get_by_text("This is another file").wait_for()
        talk.write_bytes(whole)
        os.utime(talk, ns=(times.st_atime_ns, times.st_mtime_ns))
        asking.wait_for()
        appends.offsets.clear()
        upload_row(page).locator("input").set_input_files(talk)
        page.locator(".recording:not(.uploading)").filter(has_text="talk.mp4").locator(".poster .time").wait_for()
        assert min(appends.offsets) == stored
        choose(page, talk)
        upload_row(page).get_by_text("Already uploaded").wait_for()
    remove_uploaded(server, talk)


def test_two_tabs_send_a_file_once(browser: Any, server: RunningServer, talk: Path) -> None:
    """The second tab waits for the first one, and continues when that is closed."""
    with opened(browser, server) as page:
        page.goto(server.url)
        slow_down(page)
        choose(page, talk)
        wait_for_bytes(page)
        other = page.context.new_page()
        others = Appends(other)
        other.goto(server.url)
        upload_row(other).get_by_text("In another tab").wait_for()
        choose(other, talk)
        other.locator(".uploading").nth(1).wait_for(state="detached")
        upload_row(other).get_by_text("In another tab").wait_for()
        assert others.offsets == []
        page.close(run_before_unload=False)
        other.locator(".recording:not(.uploading)").filter(has_text="talk.mp4").locator(".poster .time").wait_for()
    remove_uploaded(server, talk)


@pytest.mark.exhaustive
def test_upload_outlives_the_server_and_the_session(browser: Any, tmp_path: Path, talk: Path) -> None:
    """The server is killed, then the upload is deleted and the session ends: the file is chosen once."""
    port = ("--port", str(free_port()))
    with (
        running_server(tmp_path / "data", options=port) as server,
        opened(browser, server, expected="net::ERR_|503|401|404") as page,
    ):
        appends = Appends(page)
        page.goto(server.url)
        end_slowness = slow_down(page)
        choose(page, talk)
        wait_for_bytes(page)
        server.stop(signal.SIGKILL)
        upload_row(page).get_by_text("The upload continues by itself.").wait_for()
        with running_server(tmp_path / "data", options=port) as again:
            wait_for(page, lambda: len(appends.offsets) >= 4)
            wait_for_bytes(page)
            upload_row(page).get_by_role("button", name="Pause").click()
            wait_for(page, lambda: appends.stored(server) > 0)
            authorized = {"Authorization": f"Bearer {server.key}"}
            wait_for(page, lambda: httpx.delete(appends.path, headers=authorized).status_code == 204)
            page.context.clear_cookies()
            upload_row(page).get_by_role("button", name="Resume").click()
            page.get_by_text("The session has ended. Sign in again.").wait_for()
            page.get_by_label("API key").fill(server.key)
            page.keyboard.press("Enter")
            upload_row(page).get_by_text("from the beginning").wait_for()
            end_slowness()
            until(page, "!document.querySelector('.uploading') && document.querySelector('.recording .time')")
            remove_uploaded(again, talk)


def test_folder_is_uploaded_from_any_view(browser: Any, server: RunningServer, talk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "camera" / "day"
    folder.mkdir(parents=True)
    talk = talk.rename(folder / talk.name)
    (folder / "notes.txt").write_text("no recording")
    with opened(browser, server) as page:
        page.goto(f"{server.url}/#/clips")
        page.get_by_role("heading", name="Clips", exact=True).wait_for()
        drop(page, folder.parent)
        page.get_by_text("1 file was left out").wait_for()
        page.get_by_role("button", name="Show").click()
        page.locator(".recording:not(.uploading)").filter(has_text="talk.mp4").locator(".poster .time").wait_for()
    remove_uploaded(server, talk)
