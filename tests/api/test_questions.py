"""Questions of users: the search of the manual has the page with the answer among its first three results."""

from __future__ import annotations

import re

import httpx
import pytest

# The words as users write them, and the pages that answer.
QUESTIONS = {
    "podcast": "recordings#what-can-be-cut",
    "cloudflare access": "recipes/oidc#cloudflare-access",
    "what happens after a crash": "what-if#a-crash-or-a-power-loss",
    "server crashed power loss are clips lost": "what-if#a-crash-or-a-power-loss",
    "kill -9 while cutting": "clip-life#one-clip",
    "disk is full": "what-if#the-disk-is-full",
    "no space left": "full-disk",
    "store is down": "what-if#the-store-is-away",
    "s3 unreachable": "what-if#the-store-is-away",
    "minio outage": "what-if#the-store-is-away",
    "postgres is down": "what-if#postgresql-is-away",
    "recording was overwritten": "what-if#a-recording-is-replaced",
    "what if a recording is replaced": "what-if#a-recording-is-replaced",
    "cut while recording is still running": "what-if#a-recording-is-still-written",
    "two people cut the same clip": "what-if#two-people-cut-the-same-range",
    "same request sent twice": "what-if#two-people-cut-the-same-range",
    "api key leaked": "what-if#a-key-leaks",
    "stolen key": "what-if#a-key-leaks",
    "webhook secret leaked": "what-if#the-secret-of-a-webhook-leaks",
    "receiver of the webhook is down": "what-if#a-webhooks-receiver-is-away",
    "webhook not delivered": "what-if#a-webhooks-receiver-is-away",
    "corrupt video file": "what-if#a-recording-is-damaged-or-hostile",
    "is it safe with malicious files": "what-if#a-recording-is-damaged-or-hostile",
    "clip is frozen": "what-if#a-clip-has-no-sound-or-a-frozen-picture",
    "no sound in clip": "what-if#a-clip-has-no-sound-or-a-frozen-picture",
    "accidentally deleted a recording": "what-if#something-is-removed-by-mistake",
    "undo delete": "what-if#something-is-removed-by-mistake",
    "lost the database": "what-if#the-ledger-is-lost",
    "upgrade went wrong": "what-if#an-upgrade-goes-wrong",
    "rollback": "what-if#an-upgrade-goes-wrong",
    "clock is wrong": "what-if#the-clock-is-wrong",
    "overload": "what-if#too-many-clips-are-requested",
    "read only access for a colleague": "access#a-read-only-colleague",
    "viewer account": "access#a-read-only-colleague",
    "give somebody access": "access",
    "share a clip without login": "access#share-one-clip-by-a-link",
    "public link": "access#share-one-clip-by-a-link",
    "embed the player in my website": "access#an-embedded-player",
    "iframe": "access#an-embedded-player",
    "cors": "access#a-page-of-your-own-that-calls-the-api",
    "open the page from another computer": "access#the-page-on-another-computer",
    "several sites behind one proxy": "access#several-sites-behind-one-proxy",
    "subpath": "access#several-sites-behind-one-proxy",
    "single sign-on": "access#a-sign-in-before-the-page",
    "authelia": "recipes/oidc#authelia",
    "how many cores do i need": "sizing",
    "how much ram": "sizing",
    "hardware requirements": "sizing",
    "how much disk space": "sizing",
    "backup": "troubleshooting#backup",
    "restore on a new machine": "troubleshooting#backup",
    "expire old clips": "operations#retention",
    "run as a systemd service": "operations#as-a-service",
    "docker compose": "operations#in-a-container",
    "add a second machine": "machines",
    "burn subtitles": "subtitles",
    "turn speech into text": "transcription",
    "vertical video for tiktok": "recipes/vertical",
    "cut without re-encoding": "smart-render",
    "rename a clip": "reference/clips#change-the-label-the-metadata-the-tags-or-the-expiry-of-a-clip",
    "cut by time of day": "clock",
    "verify a webhook signature": "webhooks#signatures",
    "upload a large file": "reference/recordings#upload-a-recording",
    "install an extra": "start#extras",
    "machine dies": "what-if#a-crash-or-a-power-loss",
    "the server died": "what-if#a-crash-or-a-power-loss",
    "change the port": "start#1-install-and-run",
    "port": "configuration#server.port",
    "licence": "licenses",
    "remove silence and ums": "transcripts#clips-without-pauses",
    "filler words": "transcripts#clips-without-pauses",
    "rotate the webhook secret": "webhooks#change-a-secret",
    "tls": "access#the-page-on-another-computer",
    "https certificate": "recipes/proxy",
    "hevc in the browser": "previews#proxies",
    "sqlite fault": "troubleshooting#the-fault-of-sqlite-before-3513",
    "use a gpu": "what-if#there-is-a-graphics-card",
    "does it phone home": "what-if#the-machine-has-no-internet",
    "offline without internet": "what-if#the-machine-has-no-internet",
    "delete everything of a person gdpr": "what-if#a-person-asks-for-the-deletion-of-their-data",
    "uninstall": "what-if#the-engine-is-uninstalled",
    "rtsp stream": "recipes/mediamtx",
    "cut from youtube": "ingest#from-a-url",
    "same clip from several cameras": "clock#series",
    "send the clip to slack": "webhooks#slack-and-discord",
    "limit requests per user": "configuration#limits.requests_per_minute",
    "what formats can it read": "recordings#what-is-read",
    "audio only": "recordings#what-can-be-cut",
    "word error rate": "transcription#word-error-rates",
    "reolink cameras": "recipes/reolink",
    "register recordings of a reolink nvr": "recipes/reolink",
    "camera uploads by ftp": "recipes/reolink",
    "recordings on an sd card": "recipes/reolink",
    "better model for spanish": "transcription#choose-a-model",
    "which whisper model should i use": "transcription#choose-a-model",
    "spanish transcription is bad": "transcription#choose-a-model",
    "which addresses does the server call": "connections",
    "outbound connections": "connections#outbound-what-the-engine-calls",
    "firewall rules": "connections",
    "which ports does it open": "connections#open-ports",
    "alert for a silent camera": "monitoring#a-silent-camera",
    "camera stopped recording": "monitoring#a-silent-camera",
    "prometheus alerts": "monitoring#alerts",
    "machine for 20 cameras": "sizing#twenty-cameras",
    "how large a server for twenty cameras": "sizing#twenty-cameras",
    "bandwidth and disk for cameras": "sizing#twenty-cameras",
    "keep clips forever": "operations#retention",
    "what does doctor say about the disk": "what-if#the-disk-is-full",
    "does a share link expire": "sharing#when-a-link-expires",
    "audit": "audit",
    "who deleted my clip": "audit#who-deleted-my-clip",
    "access log": "audit",
    "delete the files of a camera recording": "pieces#the-recording",
}
FIRST = 3


@pytest.mark.exhaustive
def test_search_finds_the_pages_that_answer(http: httpx.Client) -> None:
    """One test for all questions, because each server renders all pages."""
    missed = {
        question: found for question in QUESTIONS if not _is_found(QUESTIONS[question], found := _first(http, question))
    }
    assert not missed


def _first(http: httpx.Client, question: str) -> list[str]:
    text = http.get("/docs/search", params={"q": question}).text
    return re.findall(r'class="hit"><a href="([^"]+)"', text)[:FIRST]


def _is_found(expected: str, hits: list[str]) -> bool:
    """Return True if a hit is the section, or is on the page if no section is expected."""
    return any(expected in (hit, hit.partition("#")[0]) for hit in hits)
