"""Webhook sender against a misbehaving receiver on loopback."""

from __future__ import annotations

import email.utils
import os
import socket
import ssl
import threading
import time
import tracemalloc

import pytest

from clipengine import __version__
from clipengine.outbound.network import SenderClosed
from clipengine.webhooks.send import Outcome, Sender
from tests.support.receiver import Answer, Receiver, gzip_bomb, redirect
from tests.support.waiting import until

LOOPBACK = ["127.0.0.0/8"]
DEADLINE = 0.6
SLACK = 20.0  # for a busy machine; without the deadline, each test takes longer
BODY = b'{"event": "clip.ready"}'
TLS_NAME = "hooks.example.test"


def send(url: str, *, timeout: float = 10, trusted: bool = False, allow: list[str] = LOOPBACK) -> Outcome:
    return Sender(allow, timeout).send(url, BODY, {"webhook-id": "evt_01"}, trusted=trusted)


def test_request_arrives_with_the_given_body_and_headers(receiver: Receiver) -> None:
    outcome = send(receiver.url + "?a=1&b=ü")
    assert outcome == Outcome(True, 200, None, None, False, outcome.duration_ms)
    (request,) = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=1&b=%C3%BC", BODY)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"clipengine/{__version__}"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["webhook-id"] == "evt_01"
    assert 0 <= outcome.duration_ms < 5000


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_status_is_a_success(receiver: Receiver, status: int) -> None:
    receiver.script(Answer(status))
    assert send(receiver.url).ok


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503, 599])
def test_every_other_status_is_a_failure(receiver: Receiver, status: int) -> None:
    receiver.script(Answer(status, body=b"secret text of the receiver"))
    outcome = send(receiver.url)
    assert (outcome.ok, outcome.status_code, outcome.error) == (False, status, f"status {status}")
    assert outcome.gone == (status == 410)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda request: redirect(receiver.url, status)
    outcome = send(receiver.url)
    assert (outcome.ok, outcome.status_code, outcome.error) == (False, status, "redirect")
    receiver.answer = lambda request: redirect("http://169.254.169.254/latest/meta-data/", status)
    assert send(receiver.url).error == "redirect"
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(delay=60),
        Answer(drip="headers", drip_seconds=0.5),
        Answer(500, body=b"x" * 500, drip="headers", drip_seconds=0.5),
        Answer(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 3, delay=0),
    ],
    ids=["silence", "dripping headers", "dripping failure", "only 100s"],
)
def test_deadline_covers_the_whole_response(receiver: Receiver, answer: Answer) -> None:
    receiver.script(answer)
    started = time.monotonic()
    outcome = send(receiver.url, timeout=DEADLINE)
    assert time.monotonic() - started < DEADLINE + SLACK
    assert not outcome.ok
    if answer.raw is None:
        assert (outcome.status_code, outcome.error) == (None, "timeout: no complete response within 0.6 s")


def test_deadline_covers_the_connect() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        started = time.monotonic()
        outcome = send(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=DEADLINE)
        assert time.monotonic() - started < DEADLINE + SLACK
        assert outcome.error
        assert outcome.error.startswith("timeout")
        for filler in fillers:
            filler.close()


def test_deadline_covers_the_tls_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = time.monotonic()
        outcome = send(f"https://127.0.0.1:{mute.getsockname()[1]}/", timeout=DEADLINE)
        assert time.monotonic() - started < DEADLINE + SLACK
        assert outcome.error
        assert outcome.error.startswith("timeout")


def test_deadline_covers_sending_a_body_that_is_not_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        started = time.monotonic()
        outcome = Sender(LOOPBACK, DEADLINE).send(url, bytes(64 << 20), {})
        assert time.monotonic() - started < DEADLINE + SLACK
        assert not outcome.ok


def test_slow_response_body_is_not_waited_for(receiver: Receiver) -> None:
    receiver.answer = lambda request: Answer(200, body=b"x" * 1000, drip="body")  # for 100 s
    started = time.monotonic()
    assert send(receiver.url).ok  # the status arrived in time; the body does not matter
    assert send(receiver.url, timeout=DEADLINE).ok
    assert time.monotonic() - started < 60


def test_gzip_bomb_is_not_decompressed(receiver: Receiver) -> None:
    bomb = gzip_bomb()
    assert 150_000 < len(bomb.body) < 300_000
    receiver.script(bomb)
    tracemalloc.start()
    try:
        assert send(receiver.url).ok
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_long_response_body_is_not_read_to_its_end(receiver: Receiver) -> None:
    size = 64 << 20
    receiver.script(Answer(200, body=bytes(size)))
    assert send(receiver.url).ok
    assert receiver.bytes_sent < size


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_parsed_as_seconds_or_date(receiver: Receiver, status: int) -> None:
    soon = email.utils.formatdate(time.time() + 3600, usegmt=True)
    asked = ["3600", " 120 ", soon, "Thu, 01 Jan 1970 00:00:00 GMT", "315360000", "9" * 400, "soon", "-5", "1.5", ""]
    receiver.script(*(Answer(status, {"Retry-After": text}) for text in asked))
    given = [send(receiver.url).retry_after_seconds for _ in asked]
    assert given[:2] == [3600, 120]
    assert given[2] == pytest.approx(3600, abs=30)
    assert given[3:] == [0, 86_400, 86_400, None, None, None, None]


def test_retry_after_is_ignored_for_other_statuses(receiver: Receiver) -> None:
    receiver.script(Answer(500, {"Retry-After": "3600"}), Answer(200, {"Retry-After": "3600"}))
    assert send(receiver.url).retry_after_seconds is None
    assert send(receiver.url).retry_after_seconds is None


def test_invalid_responses_are_failures(receiver: Receiver) -> None:
    receiver.script(Answer(hang_up=True), Answer(raw=b"SSH-2.0-OpenSSH_9.9\r\n"), Answer(raw=b"HTTP/1.1 20"))
    for _ in range(3):
        outcome = send(receiver.url)
        assert (outcome.ok, outcome.status_code) == (False, None)
        assert outcome.error
        assert outcome.error.startswith(("protocol", "connection"))


def test_refused_connection_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    assert send(url).error == "connection: Connection refused"


def test_proxies_and_netrc_of_the_environment_are_ignored(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("default login operator password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(netrc.parent))
    with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert send(receiver.url).ok
        assert proxy.requests == []
    assert "authorization" not in receiver.requests[0].headers


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "localhost.",
        "user:pw@127.0.0.1",
        "a\\@127.0.0.1",
        "１２７.０.０.１",
        "0.0.0.0",
        "169.254.169.254",
    ],
)
def test_no_form_of_a_loopback_url_bypasses_the_rules(receiver: Receiver, host: str) -> None:
    outcome = send(f"http://{host}:{receiver.port}/hook", allow=[])
    assert outcome.error
    assert outcome.error.startswith("refused: ")
    assert outcome.status_code is None
    assert receiver.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "localhost.", "LOCALHOST"])
def test_trusted_url_may_use_loopback(receiver: Receiver, host: str) -> None:
    assert send(f"http://{host}:{receiver.port}/hook", allow=[], trusted=True).ok


def test_engine_sends_nothing_to_its_own_port(receiver: Receiver) -> None:
    sender = Sender(LOOPBACK, own_port=receiver.port)
    assert (
        sender.send(receiver.url, BODY, {}, trusted=True).error
        == "refused: the webhook URL resolves to this engine itself"
    )
    assert receiver.requests == []


def test_name_is_resolved_and_checked_for_each_attempt(receiver: Receiver) -> None:
    script = [["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "10.0.0.1"], []]
    asked: list[str] = []

    def lookup(name: str, port: int) -> list[str]:
        asked.append(name)
        return script[len(asked) - 1]

    sender = Sender(LOOPBACK, lookup=lookup)
    errors = [sender.send(f"http://hooks.example:{receiver.port}/", BODY, {}).error for _ in script]
    assert errors[0] is None
    assert errors[1] == "refused: the webhook URL resolves to a metadata address"
    assert errors[2]
    assert "a private address" in errors[2]
    assert errors[3] == "dns: the name does not resolve"
    assert asked == ["hooks.example"] * 4  # once for each attempt
    assert len(receiver.requests) == 1
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


def test_next_address_is_tried_if_one_does_not_answer(receiver: Receiver) -> None:
    sender = Sender([*LOOPBACK, "::1/128"], lookup=lambda name, port: ["::1", "127.0.0.2", "127.0.0.1"])
    assert sender.send(f"http://hooks.example:{receiver.port}/", BODY, {}).ok


def test_deadline_covers_the_name_lookup() -> None:
    release = threading.Event()

    def lookup(name: str, port: int) -> list[str]:
        release.wait(300)
        return ["127.0.0.1"]

    outcome = Sender(LOOPBACK, DEADLINE, lookup=lookup).send("http://hooks.example/", BODY, {})
    release.set()
    assert outcome.error
    assert outcome.error.startswith("timeout")


def test_certificate_is_verified_against_the_host_name(
    tls_contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    server, client = tls_contexts

    def lookup(name: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    with Receiver(tls=server) as receiver:
        trusting = Sender(LOOPBACK, lookup=lookup, tls=client)
        assert trusting.send(f"https://{TLS_NAME}:{receiver.port}/", BODY, {}).ok
        assert receiver.requests[0].headers["host"] == f"{TLS_NAME}:{receiver.port}"
        for sender, host, words in (
            (trusting, "other.example.test", "Hostname mismatch"),
            (trusting, "127.0.0.1", "IP address mismatch"),
            (Sender(LOOPBACK, lookup=lookup), TLS_NAME, "self-signed certificate"),
        ):
            outcome = sender.send(f"https://{host}:{receiver.port}/", BODY, {})
            assert outcome.error
            assert outcome.error.startswith("tls: ")
            assert words in outcome.error
        receiver.script(Answer(drip="headers"))
        started = time.monotonic()
        slow = Sender(LOOPBACK, DEADLINE, lookup=lookup, tls=client)
        assert not slow.send(f"https://{TLS_NAME}:{receiver.port}/", BODY, {}).ok
        assert time.monotonic() - started < DEADLINE + SLACK
        assert len(receiver.requests) in (1, 2)  # on a loaded machine, the deadline may end before the request is sent


def test_plain_http_on_a_tls_port_is_an_error(receiver: Receiver) -> None:
    error = send(receiver.url.replace("http:", "https:")).error
    assert error
    assert error.startswith(("tls: ", "connection: "))


def test_errors_reveal_nothing_of_the_url_or_the_headers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for url in (
        f"http://127.0.0.1:{port}/path-secret?token=query-secret",
        f"http://user:pw-secret@127.0.0.1:{port}/",
        "http://10.0.0.1/path-secret?token=query-secret",
        f"https://127.0.0.1:{port}/path-secret",
        "nonsense-secret",
    ):
        outcome = Sender(LOOPBACK).send(url, BODY, {"X-Relay-Signature": "header-secret"})
        assert outcome.error
        assert "secret" not in outcome.error
        assert len(outcome.error) <= 200


@pytest.mark.parametrize("answer", [Answer(delay=60), Answer(drip="headers", drip_seconds=0.5)])
def test_close_aborts_running_requests(receiver: Receiver, answer: Answer) -> None:
    receiver.script(answer)
    sender = Sender(LOOPBACK)
    raised: list[type[BaseException]] = []

    def run() -> None:
        try:
            sender.send(receiver.url, BODY, {})
        except SenderClosed as closed:
            raised.append(type(closed))

    thread = threading.Thread(target=run)
    thread.start()
    receiver.wait_for(1)
    started = time.monotonic()
    sender.close()
    thread.join(300)
    assert time.monotonic() - started < 20
    assert raised == [SenderClosed]
    with pytest.raises(SenderClosed):
        sender.send(receiver.url, BODY, {})


def test_close_aborts_a_tls_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sender = Sender(LOOPBACK)
        raised: list[str] = []

        def run() -> None:
            try:
                sender.send(f"https://127.0.0.1:{mute.getsockname()[1]}/", BODY, {})
            except SenderClosed:
                raised.append("closed")

        thread = threading.Thread(target=run)
        thread.start()
        accepted, _ = mute.accept()
        assert accepted.recv(1)  # the handshake has started
        sender.close()
        thread.join(300)
        accepted.close()
        assert raised == ["closed"]


def test_no_file_descriptor_leaks(receiver: Receiver) -> None:
    sender = Sender(LOOPBACK)
    sender.send(receiver.url, BODY, {})
    before = _descriptors()
    for _ in range(5):
        receiver.script(Answer(hang_up=True))
        sender.send(receiver.url, BODY, {})
        sender.send(receiver.url, BODY, {})
        sender.send("http://127.0.0.1:1/", BODY, {})
        sender.send(receiver.url.replace("http:", "https:"), BODY, {})
    until(lambda: _descriptors() <= before)  # the receiver closes its side of the last connection


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
