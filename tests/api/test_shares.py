"""Shares: links that open one clip without a key, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from html import unescape
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
import segno

from clipengine.api.routes.sample_event import sample_clip
from clipengine.api.routes.share_page import Address, oembed, share_page
from clipengine.api.routes.shares import loopback_note
from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.client import Client
from clipengine.clips.clip import Clip
from clipengine.errors import StorageUnavailable
from clipengine.ledger.clips.shares import Share
from clipengine.ledger.recordings.recordings import RecordingFilter
from tests.api.test_downloads import BYTES, LinkingStore
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/149.0 Safari/537.36"}
PUBLIC_URL = "https://clips.example.org/relay"


@pytest.fixture
def done(engine: RecordedEngine, clip: Clip) -> Clip:
    return engine.finish(clip, BYTES)


@pytest.fixture
def share(http: httpx.Client, done: Clip) -> dict[str, Any]:
    return create(http, done)


@pytest.fixture
def anyone(server: ApiServer) -> Iterator[httpx.Client]:
    """Yield a client without a key."""
    with server.client("") as client:
        client.headers.update(BROWSER)
        yield client


def create(http: httpx.Client, clip: Clip, **body: Any) -> dict[str, Any]:
    answer = http.post(f"/v1/clips/{clip.clip_id}/shares", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def token_of(share: dict[str, Any]) -> str:
    return str(share["url"].rpartition("/")[2])


def paths_of(share: dict[str, Any]) -> list[str]:
    token = token_of(share)
    files = [f"/s/{token}{what}" for what in ("", "/video", "/poster", "/download")]
    return [*files, f"/embed/{token}", f"/oembed?url={quote(share['url'])}"]


def _drawn(svg: str) -> list[list[bool]]:
    """Return the modules of a QR code without its border, from the lines that its path draws."""
    border, (path,) = 4, re.findall(r' stroke="#000" d="([^"]+)"', svg)
    dark: set[tuple[int, int]] = set()
    x, y = 0, 0.0
    for command, text in re.findall(r"([Mmh])([^Mmh]*)", path):
        numbers = [float(each) for each in text.split()]
        if command == "h":
            dark |= {(int(y), column) for column in range(x, x + int(numbers[0]))}
            x += int(numbers[0])
        else:
            x, y = int(numbers[0]) + (0 if command == "M" else x), numbers[1] + (0 if command == "M" else y)
    side = max(row for row, _ in dark) - border + 1
    return [[(row + border, column + border) in dark for column in range(side)] for row in range(side)]


@contextmanager
def serving(folder: Path, **sections: Any) -> Iterator[tuple[ApiServer, Clip]]:
    """Yield a server with other settings and a complete clip."""
    with recorded_engine(folder / "data", **sections) as engine, api_server(engine) as server:
        yield server, engine.finish(engine.make_clip(engine.make_recording()), BYTES)


def test_page_is_in_the_language_of_the_visitor(http: httpx.Client, anyone: httpx.Client, done: Clip) -> None:
    path = urlsplit(create(http, done, expires_at="2199-05-05T14:00:00Z")["url"]).path
    for asked, language, texts in (
        ("fr, de-AT;q=0.8, en;q=0.5", "de", ("Verfügbar bis", "5. Mai 2199, 14:00 UTC", "Herunterladen")),
        ("en-GB, de;q=0.9", "en", ("Available until", "5 May 2199, 14:00 UTC", "Download")),
        ("de;q=0, *;q=x," + "x" * 5000, "en", ("Available until",)),
    ):
        answer = anyone.get(path, headers={"Accept-Language": asked})
        assert f'<html lang="{language}"' in answer.text
        assert all(text in answer.text for text in texts), (asked, answer.text)
        assert answer.headers["Content-Language"] == language
        assert "Accept-Language" in answer.headers["Vary"]
    missing = anyone.get("/s/nothing", headers={"Accept-Language": "de"})
    assert (missing.status_code, "Dieser Link funktioniert nicht" in missing.text) == (404, True)


class TestShares:
    def test_list_has_no_links(self, http: httpx.Client, done: Clip, server: ApiServer) -> None:
        share = create(http, done)
        token = token_of(share)
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
        assert share["url"] == f"{server.url}/s/{token}"
        assert share["embed_url"] == f"{server.url}/embed/{token}"
        assert share["video_url"] == f"{server.url}/s/{token}/video"
        assert (share["expires_at"], share["download"], share["embed"], share["views"]) == (None, True, True, 0)
        listed = http.get(f"/v1/clips/{done.clip_id}/shares")
        links = ("url", "code", "note")
        assert listed.json()["data"] == [{key: share[key] for key in share if not key.endswith(links)}]
        assert token not in listed.text

    def test_list_of_all_shares_has_labels_and_no_links(self, http: httpx.Client, done: Clip) -> None:
        endless, ending = create(http, done), create(http, done, expires_at="2040-01-31T12:00:00Z")
        listed = http.get("/v1/shares")
        ids = [share["share_id"] for share in listed.json()["data"]]
        assert set(ids) == {endless["share_id"], ending["share_id"]}
        assert {share["label"] for share in listed.json()["data"]} == {done.label}
        assert token_of(endless) not in listed.text
        (only,) = http.get("/v1/shares?expires=never").json()["data"]
        assert (only["share_id"], only["webhook_hosts"]) == (endless["share_id"], None)
        cursor = http.get("/v1/shares?limit=1").json()["next_cursor"]
        assert [each["share_id"] for each in http.get(f"/v1/shares?limit=1&cursor={cursor}").json()["data"]] == ids[1:]
        for query in ("expires=soon", f"expires=never&cursor={cursor}"):
            assert http.get(f"/v1/shares?{query}").status_code == 422, query

    def test_token_is_stored_as_a_hash_only(self, share: dict[str, Any], server: ApiServer, tmp_path: Path) -> None:
        token = token_of(share).encode()
        files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
        stored = b"".join(path.read_bytes() for path in files)
        assert hashlib.sha256(token).hexdigest().encode() in stored
        assert token not in stored

    def test_link_is_shown_again_to_writers(self, http: httpx.Client, share: dict[str, Any], done: Clip) -> None:
        path = f"/v1/clips/{done.clip_id}/shares/{share['share_id']}"
        again = http.get(path)
        assert again.status_code == 200
        assert again.json() == share | {"url_reason": None}
        missing = http.get(f"/v1/clips/{done.clip_id}/shares/shr_none")
        assert (missing.status_code, missing.json()["code"]) == (404, "share_not_found")

    def test_link_of_another_key_is_not_shown_again(
        self, http: httpx.Client, share: dict[str, Any], done: Clip, engine: RecordedEngine, anyone: httpx.Client
    ) -> None:
        token = "A" * 43
        digest = hashlib.sha256(token.encode()).hexdigest()
        engine.ledger.database.run("UPDATE shares SET sha256 = ?", (digest,))
        path = f"/v1/clips/{done.clip_id}/shares/{share['share_id']}"
        found = http.get(path).json()
        assert [found[name] for name in ("url", "embed_url", "video_url", "note")] == [None] * 4
        assert "another key" in found["url_reason"]
        code = http.get(f"{path}/qr.svg")
        assert (code.status_code, code.json()["code"]) == (409, "conflict")
        assert anyone.get(f"/s/{token}").status_code == 200

    def test_link_to_this_machine_names_the_setting(self, share: dict[str, Any], tmp_path: Path) -> None:
        assert "server.public_url" in share["note"]
        with serving(tmp_path / "public", server={"public_url": PUBLIC_URL}) as (server, clip), server.client() as http:
            assert create(http, clip)["note"] is None

    @pytest.mark.parametrize(
        ("base", "is_loopback"),
        [
            ("http://127.0.0.1:8377", True),
            ("http://127.9.9.9", True),
            ("http://[::1]:8377", True),
            ("http://localhost:8377", True),
            ("http://clips.localhost", True),
            ("http://192.168.1.5:8377", False),
            ("https://localhost.example.org", False),
        ],
    )
    def test_address_of_this_machine_is_known(self, base: str, is_loopback: bool) -> None:
        assert (loopback_note(base) is not None) is is_loopback

    def test_code_contains_the_link(
        self, http: httpx.Client, share: dict[str, Any], done: Clip, server: ApiServer, tmp_path: Path
    ) -> None:
        path = f"/v1/clips/{done.clip_id}/shares/{share['share_id']}/qr.svg"
        for query, url in (("", share["url"]), ("?start_seconds=12.5", f"{share['url']}?t=12.5")):
            code = http.get(path + query)
            assert (code.status_code, code.headers["content-type"]) == (200, "image/svg+xml")
            assert _drawn(code.text) == [[bool(module) for module in row] for row in segno.make_qr(url).matrix]
        assert http.get(f"{path}?start_seconds=-1").status_code == 422
        with Client(server.url, server.key) as client:
            client.clips.share_code(done.clip_id, share["share_id"], tmp_path / "code.svg")
            assert client.clips.share_link(done.clip_id, share["share_id"]).url == share["url"]
        assert (tmp_path / "code.svg").read_text() == http.get(path).text

    def test_links_use_the_public_url(self, tmp_path: Path) -> None:
        with serving(tmp_path, server={"public_url": f"{PUBLIC_URL}/"}) as (server, clip), server.client() as http:
            share = create(http, clip)
            assert share["url"] == f"{PUBLIC_URL}/s/{token_of(share)}"
            page = http.get(f"/s/{token_of(share)}")
            assert f'content="{share["video_url"]}"' in page.text
            assert 'property="og:video:secure_url"' in page.text

    def test_retried_request_creates_one_share(self, http: httpx.Client, done: Clip) -> None:
        key = {"Idempotency-Key": "once"}
        first, again = (http.post(f"/v1/clips/{done.clip_id}/shares", json={}, headers=key) for _ in range(2))
        assert again.headers["idempotent-replayed"] == "true"
        assert first.json() == again.json()
        assert len(http.get(f"/v1/clips/{done.clip_id}/shares").json()["data"]) == 1

    def test_clip_that_is_not_complete_is_not_shared(
        self, http: httpx.Client, clip: Clip, engine: RecordedEngine
    ) -> None:
        for make, expected in ((clip, "clip_not_complete"), (engine.fail(clip), "clip_not_complete")):
            answer = http.post(f"/v1/clips/{make.clip_id}/shares", json={})
            assert (answer.status_code, answer.json()["code"]) == (409, expected)
        assert http.post("/v1/clips/clip_none/shares", json={}).json()["code"] == "clip_not_found"

    def test_expiry_must_lie_in_the_future(self, http: httpx.Client, done: Clip) -> None:
        answer = http.post(f"/v1/clips/{done.clip_id}/shares", json={"expires_at": rfc3339(now_ms() - 1)})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/expires_at")

    def test_scopes_are_required(self, server: ApiServer, done: Clip, share: dict[str, Any]) -> None:
        _, reader = server.engine.ledger.keys.create("reader", ["read"])
        path = f"/v1/clips/{done.clip_id}/shares"
        with server.client(reader) as http:
            assert http.get(path).status_code == 200
            assert http.post(path, json={}).status_code == 403
            assert http.delete(f"{path}/{share['share_id']}").status_code == 403
            assert http.get(f"{path}/{share['share_id']}").status_code == 403
            assert http.get(f"{path}/{share['share_id']}/qr.svg").status_code == 403

    def test_share_of_another_clip_cannot_be_revoked(
        self, http: httpx.Client, share: dict[str, Any], engine: RecordedEngine, anyone: httpx.Client
    ) -> None:
        other = engine.finish(
            engine.make_clip(engine.ledger.recordings.list(RecordingFilter(limit=1)).data[0], "other")
        )
        answer = http.delete(f"/v1/clips/{other.clip_id}/shares/{share['share_id']}")
        assert (answer.status_code, answer.json()["code"]) == (404, "share_not_found")
        assert anyone.get(share["url"]).status_code == 200


class TestLinks:
    def test_page_plays_the_clip_without_a_key_or_script(
        self, anyone: httpx.Client, share: dict[str, Any], done: Clip
    ) -> None:
        page = anyone.get(share["url"])
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert '<h1 dir="auto">key-moment</h1>' in page.text
        assert "0:30" in page.text
        assert "<script" not in page.text
        folder = urlsplit(share["url"]).path.rpartition("/")[0]
        for attribute in ("src", "poster", "href"):
            for address in re.findall(rf' {attribute}="([^":]+)"', page.text):
                assert anyone.get(f"{folder}/{address}").status_code == 200, address

    @pytest.mark.parametrize(
        ("query", "place"),
        [
            ("?t=12.5", "#t=12.5"),
            ("?t=0", ""),
            ("?t=30", ""),
            ("?t=-1", ""),
            ("?t=1e3", ""),
            ("?t=%22", ""),
            ("", ""),
        ],
    )
    def test_link_may_begin_the_clip_later(
        self, anyone: httpx.Client, share: dict[str, Any], query: str, place: str
    ) -> None:
        for address in (share["url"], share["embed_url"]):
            page = anyone.get(address + query)
            assert page.status_code == 200
            (source,) = re.findall(r'<video src="[^"#]*/video([^"]*)"', page.text)
            assert source == place

    def test_page_has_no_facts_of_the_recording(self, anyone: httpx.Client, share: dict[str, Any], done: Clip) -> None:
        token = token_of(share)
        for path in paths_of(share):
            answer = anyone.get(path)
            assert answer.status_code == 200, path
            shown = "" if "video/" in answer.headers["content-type"] else answer.text
            for secret in (done.clip_id, done.recording_id, "h_01", "meeting", share["share_id"], "default"):
                shown = shown.replace("default-src", "")
                assert secret not in shown + str(dict(answer.headers)).replace("default-src", ""), (path, secret)
        assert token in anyone.get(share["url"]).text

    def test_video_has_ranges_and_is_inline(self, anyone: httpx.Client, share: dict[str, Any]) -> None:
        whole = anyone.get(share["video_url"])
        assert (whole.status_code, whole.content) == (200, BYTES)
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["content-disposition"].startswith("inline;")
        part = anyone.get(share["video_url"], headers={"Range": "bytes=1000-1999"})
        assert (part.status_code, part.content) == (206, BYTES[1000:2000])
        assert part.headers["content-range"] == f"bytes 1000-1999/{len(BYTES)}"
        head = anyone.head(share["video_url"])
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(BYTES)))

    def test_poster_is_an_image_that_other_sites_may_show(self, anyone: httpx.Client, share: dict[str, Any]) -> None:
        poster = anyone.get(f"{share['url']}/poster")
        assert (poster.status_code, poster.content) == (200, b"\xff\xd8poster")
        assert poster.headers["content-type"] == "image/jpeg"
        assert poster.headers["cross-origin-resource-policy"] == "cross-origin"

    def test_clip_without_a_poster_has_no_image(
        self, http: httpx.Client, anyone: httpx.Client, engine: RecordedEngine, clip: Clip
    ) -> None:
        share = create(http, engine.finish(clip, poster=False))
        page = anyone.get(share["url"])
        assert "poster" not in page.text
        assert "og:image" not in page.text
        assert anyone.get(f"{share['url']}/poster").status_code == 404

    def test_download_is_an_attachment_unless_turned_off(
        self, http: httpx.Client, anyone: httpx.Client, done: Clip, share: dict[str, Any]
    ) -> None:
        saved = anyone.get(f"{share['url']}/download")
        assert (saved.content, saved.headers["content-disposition"][:10]) == (BYTES, "attachment")
        watched = create(http, done, download=False)
        assert "download" not in anyone.get(watched["url"]).text
        assert anyone.get(f"{watched['url']}/download").status_code == 404
        assert anyone.get(watched["video_url"]).status_code == 200

    def test_label_cannot_inject_markup(
        self, http: httpx.Client, anyone: httpx.Client, engine: RecordedEngine, done: Clip
    ) -> None:
        label = "\"><script>alert(1)</script>' & \u202ename"
        recording = engine.ledger.recordings.get(done.recording_id)
        share = create(http, engine.finish(engine.make_clip(recording, label)))
        page = anyone.get(share["url"]).text
        assert "<script" not in page
        assert label in unescape(page)
        html = anyone.get("/oembed", params={"url": share["url"]}).json()["html"]
        assert "<script" not in html


class TestOtherSites:
    def test_previews_of_chat_services_have_their_tags(self, anyone: httpx.Client, share: dict[str, Any]) -> None:
        page = anyone.get(share["url"]).text
        tags = dict(re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)">', page))
        expected = {
            "og:type": "video.other",
            "og:title": "key-moment",
            "og:url": share["url"],
            "og:image": f"{share['url']}/poster",
            "og:video": share["video_url"],
            "og:video:type": "video/mp4",
            "og:video:width": "1920",
            "og:video:height": "1080",
            "twitter:card": "player",
            "twitter:player": share["embed_url"],
            "robots": "noindex, nofollow",
        }
        assert expected.items() <= tags.items()
        assert "og:video:secure_url" not in tags  # this server has no TLS

    @pytest.mark.parametrize(
        "crawler",
        [
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
            "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
            "WhatsApp/2.23.20.0",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        ],
    )
    def test_crawlers_get_page_image_and_video_and_are_no_viewers(
        self, http: httpx.Client, anyone: httpx.Client, share: dict[str, Any], done: Clip, crawler: str
    ) -> None:
        agent = {"User-Agent": crawler}
        page = anyone.get(share["url"], headers=agent | {"Range": "bytes=0-32768"})
        assert page.status_code == 200
        for name, kind in (("og:image", "image/jpeg"), ("og:video", "video/mp4")):
            found = re.search(rf'property="{name}" content="([^"]+)"', page.text)
            assert found
            answer = anyone.get(found[1], headers=agent)
            assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
            assert "attachment" not in answer.headers["content-disposition"]
        (listed,) = http.get(f"/v1/clips/{done.clip_id}/shares").json()["data"]
        assert listed["views"] == 0

    def test_oembed_describes_the_player(self, anyone: httpx.Client, share: dict[str, Any]) -> None:
        page = anyone.get(share["url"]).text
        discovery = re.search(r'<link rel="alternate" type="application/json\+oembed" href="([^"]+)"', page)
        assert discovery
        found = anyone.get(unescape(discovery[1]))
        assert found.headers["content-type"] == "application/json"
        described = found.json()
        assert (described["version"], described["type"], described["title"]) == ("1.0", "video", "key-moment")
        assert (described["width"], described["height"]) == (1920, 1080)
        assert described["thumbnail_url"] == f"{share['url']}/poster"
        assert f'src="{share["embed_url"]}"' in described["html"] == share["embed_code"]
        small = anyone.get("/oembed", params={"url": share["url"], "maxwidth": "640", "maxheight": "9999"}).json()
        assert (small["width"], small["height"]) == (640, 360)

    def test_oembed_refuses_what_is_no_link(self, anyone: httpx.Client, share: dict[str, Any]) -> None:
        urls = ["", "x" * 7000, f"https://evil.example/s/{token_of(share)}", share["embed_url"], share["video_url"]]
        assert [anyone.get("/oembed", params={"url": url}).status_code for url in urls] == [404] * 5
        assert anyone.get("/oembed", params={"url": share["url"], "format": "xml"}).status_code == 501

    def test_other_sites_may_frame_the_player_only(self, anyone: httpx.Client, share: dict[str, Any]) -> None:
        player = anyone.get(share["embed_url"])
        assert player.headers["content-security-policy"].endswith("; frame-ancestors *")
        assert "x-frame-options" not in player.headers
        page = anyone.get(share["url"])
        assert page.headers["content-security-policy"].endswith("; frame-ancestors 'none'")
        assert page.headers["x-frame-options"] == "DENY"

    def test_sites_that_may_frame_the_player_come_from_the_settings(self, tmp_path: Path) -> None:
        listed = ["https://app.example.org", "https://*.example.net"]
        for number, sites in enumerate((listed, [])):
            policy, shares = " ".join(sites) or "'none'", {"frame_ancestors": sites}
            with serving(tmp_path / str(number), shares=shares) as (server, clip), server.client() as http:
                headers = http.get(create(http, clip)["embed_url"]).headers
                assert headers["content-security-policy"].endswith(f"; frame-ancestors {policy}")
                assert ("x-frame-options" in headers) == (policy == "'none'")

    def test_share_that_may_not_be_embedded_has_no_player(
        self, http: httpx.Client, anyone: httpx.Client, done: Clip
    ) -> None:
        share = create(http, done, embed=False)
        assert share["embed_url"] is None
        assert anyone.get(f"/embed/{token_of(share)}").status_code == 404
        assert anyone.get("/oembed", params={"url": share["url"]}).status_code == 404
        page = anyone.get(share["url"]).text
        assert "oembed" not in page
        assert "twitter:player" not in page


class TestLinksThatDoNotWork:
    def test_unknown_expired_and_revoked_links_look_the_same(
        self, http: httpx.Client, anyone: httpx.Client, done: Clip, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        revoked, expired = create(http, done), create(http, done, expires_at=rfc3339(now_ms() + 60_000))
        unknown = {**revoked, "url": revoked["url"].replace(token_of(revoked), "x" * 43)}
        malformed = {**revoked, "url": revoked["url"].replace(token_of(revoked), "x" * 4000)}
        assert anyone.get(expired["url"]).status_code == 200
        revoking = http.delete(f"/v1/clips/{done.clip_id}/shares/{revoked['share_id']}")
        assert (revoking.status_code, revoking.content) == (204, b"")
        monkeypatch.setattr("clipengine.ledger.clips.shares.now_ms", lambda: now_ms() + 60_001)
        seen = {}
        for name, share in (("unknown", unknown), ("expired", expired), ("revoked", revoked), ("bad", malformed)):
            answers = []
            for path in paths_of(share):
                answer = anyone.get(path)
                headers = {k: v for k, v in answer.headers.items() if k not in ("date", "x-request-id")}
                headers.pop("content-length")
                text = answer.text
                if "json" in headers["content-type"]:
                    text = json.dumps(answer.json() | {"instance": ""})
                answers.append((answer.status_code, headers, text))
            seen[name] = answers
        assert [status for status, _, _ in seen["unknown"]] == [404] * 6
        assert seen["unknown"] == seen["expired"] == seen["revoked"] == seen["bad"]

    def test_revoked_link_is_gone_from_caches_at_once(
        self, http: httpx.Client, anyone: httpx.Client, done: Clip, share: dict[str, Any]
    ) -> None:
        etags = {}
        for path in paths_of(share):
            answer = anyone.get(path)
            assert answer.headers["cache-control"] in ("no-store", "private, no-cache")
            etags[path] = answer.headers.get("etag", "*")
        http.delete(f"/v1/clips/{done.clip_id}/shares/{share['share_id']}")
        for path, etag in etags.items():
            assert anyone.get(path, headers={"If-None-Match": etag}).status_code == 404

    def test_links_are_deleted_with_their_clip(
        self, http: httpx.Client, anyone: httpx.Client, done: Clip, share: dict[str, Any]
    ) -> None:
        assert http.delete(f"/v1/clips/{done.clip_id}").status_code == 204
        assert {anyone.get(path).status_code for path in paths_of(share)} == {404}

    def test_disabled_shares_cannot_be_created_or_opened(self, tmp_path: Path) -> None:
        with serving(tmp_path) as (server, clip), server.client() as http:
            share = create(http, clip)
        off = {"enabled": False}
        with (
            recorded_engine(tmp_path / "data", shares=off) as engine,
            api_server(engine) as server,
            server.client() as http,
        ):
            answer = http.post(f"/v1/clips/{clip.clip_id}/shares", json={})
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
            assert {http.get(path).status_code for path in paths_of(share)} == {404}

    def test_default_expiry_comes_from_the_settings(self, tmp_path: Path) -> None:
        with serving(tmp_path, shares={"expires_days": 1}) as (server, clip), server.client() as http:
            assert create(http, clip)["expires_at"] is not None
            later = rfc3339(now_ms() + 10 * 86_400_000)
            assert create(http, clip, expires_at=later)["expires_at"] == later


class TestNothingElse:
    """A link never gives more than its clip."""

    def test_token_is_no_key(self, server: ApiServer, share: dict[str, Any], done: Clip) -> None:
        token = token_of(share)
        paths = [
            "/v1/clips",
            f"/v1/clips/{done.clip_id}",
            f"/v1/clips/{done.clip_id}/download",
            "/metrics",
            "/v1/events",
        ]
        for given in (token, f"relay_live_{token}"):
            with server.client(given) as http:
                http.cookies.set("clipengine_session", token)
                assert {http.get(path).status_code for path in paths} == {401}

    @pytest.mark.parametrize(
        "tail",
        [
            "/../../v1/clips",
            "/..%2f..%2fv1%2fclips",
            "/video/../../../v1/clips",
            "/video/other.mp4",
            "/poster/..",
            "/recording.mp4",
            "/video%00.mp4",
            "/video%2f..%2f..%2frelay",
            "//video",
            "/.",
            "/%2e%2e/{other}/video",
            "%2f..%2f{other}/video",
            ";{other}/video",
            "\\..\\{other}",
        ],
    )
    def test_path_tricks_find_nothing(
        self, server: ApiServer, share: dict[str, Any], engine: RecordedEngine, done: Clip, tail: str
    ) -> None:
        recording = engine.ledger.recordings.get(done.recording_id)
        other = engine.finish(engine.make_clip(recording, "other"), b"other bytes")
        path = f"/s/{token_of(share)}" + tail.format(other=other.clip_id)
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=300)) as raw:  # sends the path as it is
            raw.request("GET", path)
            answer = raw.getresponse()
            content = answer.read()
        assert answer.status in (400, 404), content
        assert b"other bytes" not in content
        assert recording.bucket_path.encode() not in content

    def test_parameters_and_headers_choose_no_other_object(
        self, anyone: httpx.Client, share: dict[str, Any], engine: RecordedEngine, done: Clip
    ) -> None:
        recording = engine.ledger.recordings.get(done.recording_id)
        other = engine.finish(engine.make_clip(recording, "other"), b"other bytes")
        names = ("clip_id", "id", "key", "path", "bucket_path", "file", "object_key", "recording_id", "token")
        query = {name: value for name in names for value in (other.clip_id, other.object_key, recording.bucket_path)}
        forged = ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-HTTP-Method-Override", "Referer")
        headers = dict.fromkeys(forged, f"/v1/clips/{other.clip_id}/download")
        assert anyone.get(share["video_url"], params=query, headers=headers).content == BYTES
        assert anyone.get(f"{share['url']}/poster", params=query, headers=headers).content == b"\xff\xd8poster"

    @pytest.mark.parametrize(
        "wanted", ["bytes=-1", "bytes=0-99999999999", "bytes=1279999-", "bytes=0-0", "bytes=5-1", "items=0-9"]
    )
    def test_ranges_stay_inside_the_clip(self, anyone: httpx.Client, share: dict[str, Any], wanted: str) -> None:
        answer = anyone.get(share["video_url"], headers={"Range": wanted})
        assert answer.status_code in (200, 206)
        assert answer.content in BYTES

    @pytest.mark.parametrize("wanted", [f"bytes={len(BYTES)}-", "bytes=99999999999-", "bytes=0-1,5-9", "bytes=-0"])
    def test_ranges_outside_the_clip_are_refused(
        self, anyone: httpx.Client, share: dict[str, Any], wanted: str
    ) -> None:
        assert anyone.get(share["video_url"], headers={"Range": wanted}).status_code == 416

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_links_change_nothing(self, anyone: httpx.Client, share: dict[str, Any], method: str) -> None:
        for path in paths_of(share):
            assert anyone.request(method, path).status_code == 405
        assert anyone.get(share["url"]).status_code == 200

    def test_forged_host_does_not_reach_the_page(self, anyone: httpx.Client, share: dict[str, Any]) -> None:
        page = anyone.get(share["url"], headers={"Host": 'evil.example"><script>'})
        assert page.status_code in (200, 400)
        assert "evil.example" not in page.text

    def test_every_response_has_a_strict_policy(self, anyone: httpx.Client, share: dict[str, Any]) -> None:
        for path in paths_of(share):
            headers = anyone.get(path).headers
            assert headers["content-security-policy"].startswith("default-src 'none'"), path
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-content-type-options"] == "nosniff"
            assert "set-cookie" not in headers
            if "oembed" not in path:
                assert "noindex" in headers["x-robots-tag"], path

    def test_errors_of_the_store_name_no_object(
        self, anyone: httpx.Client, share: dict[str, Any], engine: RecordedEngine, done: Clip, server: ApiServer
    ) -> None:
        class Broken(LinkingStore):
            def head(self, key: str) -> Any:
                raise StorageUnavailable(f"{key} in the bucket of 10.0.0.5 cannot be read")

        engine.store = Broken(engine.store)  # type: ignore[assignment]
        answer = anyone.get(share["video_url"])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "10.0.0.5" not in answer.text
        assert done.object_key not in answer.text

    def test_log_does_not_contain_the_token(
        self,
        anyone: httpx.Client,
        share: dict[str, Any],
        engine: RecordedEngine,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(token: str) -> None:
            raise RuntimeError("a defect")

        monkeypatch.setattr(engine.ledger.shares, "find", fail)
        for path in paths_of(share)[:5]:
            assert anyone.get(path).status_code == 500
        assert "/s/…/video failed" in caplog.text
        assert token_of(share) not in "".join(record.getMessage() for record in caplog.records)


def test_views_of_the_page_and_the_player_are_counted(
    http: httpx.Client, anyone: httpx.Client, done: Clip, share: dict[str, Any]
) -> None:
    anyone.get(share["url"])
    anyone.get(share["embed_url"])
    anyone.head(share["url"])
    anyone.get(share["video_url"])
    anyone.get(share["url"], headers={"Sec-Purpose": "prefetch"})
    (listed,) = http.get(f"/v1/clips/{done.clip_id}/shares").json()["data"]
    assert listed["views"] == 2
    assert listed["last_viewed_at"] is not None


def test_requests_of_a_link_are_limited(tmp_path: Path) -> None:
    with serving(tmp_path, shares={"requests_per_minute": 3}) as (server, clip), server.client() as http:
        first, second = create(http, clip), create(http, clip)
        assert [http.get(first["url"]).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = http.get(first["video_url"])
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert int(refused.headers["retry-after"]) >= 1
        assert http.get(second["url"]).status_code == 200
        # Guesses share one limit, whatever their token.
        guesses = [http.get(f"/s/{letter * 43}").status_code for letter in "abcd"]
        assert guesses == [404, 404, 404, 429]


def test_store_with_links_serves_the_bytes(
    engine: RecordedEngine, done: Clip, http: httpx.Client, share: dict[str, Any]
) -> None:
    linking = LinkingStore(engine.store)
    engine.store = linking  # type: ignore[assignment]
    with api_server(engine) as server, server.client("") as anyone:
        token = token_of(share)
        for what, kind in (("video", "inline"), ("download", "attachment"), ("poster", "inline")):
            answer = anyone.get(f"/s/{token}/{what}")
            assert (answer.status_code, answer.headers["cache-control"]) == (302, "no-store")
            assert linking.kinds[-1] == (kind, 360)  # twice the length of the clip, and five minutes
        soon = create(http, done, expires_at=rfc3339(now_ms() + 60_000))
        anyone.get(f"/s/{token_of(soon)}/video")
        seconds = linking.kinds[-1][1]
        assert seconds is not None
        assert seconds <= 60


def test_clip_of_audio_has_an_audio_player_and_tags() -> None:
    sample = sample_clip()
    assert sample.result is not None
    sound = replace(sample.result, width=None, height=None, video_codec=None)
    clip = replace(sample, object_key="a/clips/x.m4a", result=sound)
    share = Share("shr_x", clip.clip_id, 0, None, download=True, embed=True)
    address = Address("https://clips.example.org", "x" * 43)
    page = share_page(share, clip, address)
    assert "<audio" in page
    assert "<video" not in page
    assert f'property="og:audio" content="{address.video}"' in page
    assert 'content="audio/mp4"' in page
    assert "og:image" not in page
    described = oembed(clip, address, 200, None)
    assert (described["type"], described["width"], "thumbnail_url" in described) == ("rich", 200, False)


def test_animation_is_an_image_of_the_page_and_of_its_preview() -> None:
    clip = replace(sample_clip(), object_key="a/clips/x.gif")
    share = Share("shr_x", clip.clip_id, 0, None, download=True, embed=True)
    address = Address("https://clips.example.org", "x" * 43)
    page = share_page(share, clip, address)
    assert '<img src="' in page
    assert "<video" not in page
    assert f'property="og:image" content="{address.video}"' in page
    assert 'property="og:image:type" content="image/gif"' in page
    assert "og:video" not in page
    assert oembed(clip, address, None, None)["type"] == "rich"
