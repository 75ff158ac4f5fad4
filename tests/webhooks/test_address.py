"""Webhook URLs: parsing, allowed addresses and name resolution."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from clipengine.errors import InvalidWebhookUrl
from clipengine.outbound.address import NameUnresolved, Rules, check, denial_reason, localhost_lookup, parse, resolve

PUBLIC = "93.184.216.34"
OPEN = Rules.of(["10.0.0.0/8", "127.0.0.0/8", "::1/128", "fd12::/16", "192.168.7.0/24"])


def lookup_of(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda name, port: list(addresses)


def failing_lookup(name: str, port: int) -> list[str]:
    raise OSError("no such name")


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("http://example.com", "example.com", 80, "/", "example.com"),
        ("https://example.com/a/b?c=d%20e&f=ü#part", "example.com", 443, "/a/b?c=d%20e&f=%C3%BC", "example.com"),
        ("HTTPS://EXAMPLE.com:8443/Hook", "example.com", 8443, "/Hook", "example.com:8443"),
        ("https://example.com:443/", "example.com", 443, "/", "example.com"),
        ("http://example.com.:8080/", "example.com", 8080, "/", "example.com:8080"),
        ("http://[2606:2800:220:1::1]:8080/x", "2606:2800:220:1::1", 8080, "/x", "[2606:2800:220:1::1]:8080"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example"),
        ("http://my_service/hook", "my_service", 80, "/hook", "my_service"),
        ("http://10.1.2.3./", "10.1.2.3", 80, "/", "10.1.2.3"),
        ("http://１２７.０.０.１/", "127.0.0.1", 80, "/", "127.0.0.1"),
        ("http://example。com/", "example.com", 80, "/", "example.com"),
    ],
)
def test_url_is_parsed_into_its_parts(url: str, host: str, port: int, path: str, authority: str) -> None:
    parsed = parse(url)
    assert (parsed.host, parsed.port, parsed.path, parsed.authority) == (host, port, path, authority)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http:///hook",
        "http://",
        "http:example.com",
        "http://user:pw@example.com/",
        "http://user@example.com/",
        "http://@example.com/",
        "http://a\\@evil.example/",
        "http://example.com\\@127.0.0.1/",
        "http://exa mple.com/",
        " http://example.com/",
        "http://example.com/\r\nX-Evil: 1",
        "http://exam\tple.com/",
        "http://example.com/\x00",
        "http://127.1/",
        "http://127.0.1/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://127.0.0.1.1/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:99999999/",
        "http://example.com:80:80/",
        "http://example.com:８０/",
        "http://example.com:22/",
        "http://example.com:25/",
        "http://example.com:6379/",
        "http://example..com/",
        "http://example.com../",
        "http://.example.com/",
        "http://-example.com/",
        "http://ex%61mple.com/",
        "http://exa*mple.com/",
        "http://℀.example/",
        "http://[::1/",
        "http://[::1]evil.example/",
        "http://[fe80::1%25eth0]/",
        "http://[127.0.0.1]/",
        "http://[v1.a]/",
        "http://[not-an-address]/",
        "http://" + "a" * 64 + ".example/",
        "http://example.com/" + "a" * 2048,
    ],
)
def test_invalid_and_ambiguous_urls_are_rejected(url: str) -> None:
    with pytest.raises(InvalidWebhookUrl):
        parse(url)


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "2002:5db8:d822::1"],
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert denial_reason(ip_address(address), rules=Rules()) is None


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.7.7",
        "100.64.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "203.0.113.9",
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "fd12::1",
        "fc00::1",
        "2001:db8::1",
    ],
)
def test_loopback_and_private_addresses_are_denied_unless_trusted(address: str) -> None:
    reason = denial_reason(ip_address(address), rules=Rules())
    assert reason
    assert "allow_cidrs" in reason
    assert denial_reason(ip_address(address), rules=Rules(), trusted=True) is None


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "fe80::1",
        "fec0::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "ff02::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::a01:203",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2002:a01:203::1",
        "2001:0:5db8:d822::80ff:fffe",  # Teredo client 127.0.0.1
        "2001:0:7f00:1::a247:27dd",  # Teredo server 127.0.0.1
        "2606:2800:220:1:0:5efe:7f00:1",  # ISATAP
        "2606:2800:220:1:200:5efe:a01:203",
        "2001:20::1",
        "4000::1",
    ],
)
def test_reserved_addresses_are_denied_despite_allow_cidrs(address: str) -> None:
    wide = Rules.of(["0.0.0.0/0", "::/0", "127.0.0.0/8", "169.254.0.0/16", "fe80::/10", "::1/128"])
    assert denial_reason(ip_address(address), rules=wide, trusted=True)
    assert denial_reason(ip_address(address), rules=wide)


def test_allow_cidrs_allows_only_its_ranges() -> None:
    for address in ("10.200.1.1", "127.0.0.1", "::1", "::ffff:10.1.1.1", "fd12::1", "192.168.7.1"):
        assert denial_reason(ip_address(address), rules=OPEN) is None
    for address in ("172.16.0.1", "192.168.8.1", "fd13::1", "100.64.0.1"):
        assert denial_reason(ip_address(address), rules=OPEN)


def test_wide_range_does_not_allow_loopback() -> None:
    wide = Rules.of(["0.0.0.0/0", "::/0"])
    assert denial_reason(ip_address("10.0.0.1"), rules=wide) is None
    assert denial_reason(ip_address("127.0.0.1"), rules=wide)
    assert denial_reason(ip_address("::1"), rules=wide)


def test_own_port_on_this_machine_is_denied() -> None:
    own = Rules.of(["127.0.0.0/8"], own_port=8377)
    assert denial_reason(ip_address("127.0.0.1"), rules=own, trusted=True, port=8377) == "this engine itself"
    assert denial_reason(ip_address("127.0.0.1"), rules=own, port=8378) is None
    assert denial_reason(ip_address(PUBLIC), rules=own, port=8377) is None


@pytest.mark.parametrize(
    "found",
    [
        ("127.0.0.1",),
        (PUBLIC, "127.0.0.1"),
        ("2606:2800:220:1::1", "10.0.0.1"),
        ("10.0.0.1", PUBLIC),
        (PUBLIC, "fe80::1%eth0"),
        (PUBLIC, "::ffff:192.168.1.1"),
        (PUBLIC, "64:ff9b::7f00:1"),
        (PUBLIC, "rubbish"),
    ],
)
def test_one_denied_address_denies_the_name(found: tuple[str, ...]) -> None:
    with pytest.raises(InvalidWebhookUrl):
        resolve("http://name.example/", rules=Rules(), lookup=lookup_of(*found))


def test_addresses_keep_their_order_without_duplicates() -> None:
    found = resolve("http://name.example/", rules=Rules(), lookup=lookup_of("2606:2800::1", PUBLIC, PUBLIC))
    assert found.addresses == ("2606:2800::1", PUBLIC)
    mapped = resolve("http://[::ffff:127.0.0.1]/", rules=OPEN, lookup=failing_lookup)
    assert mapped.addresses == ("127.0.0.1",)


def test_address_literals_are_not_looked_up() -> None:
    assert resolve(f"http://{PUBLIC}/", rules=Rules(), lookup=failing_lookup).addresses == (PUBLIC,)


def test_error_does_not_reveal_the_resolved_address() -> None:
    with pytest.raises(InvalidWebhookUrl) as caught:
        resolve("http://name.example/", rules=Rules(), lookup=lookup_of("10.1.2.3"))
    assert "private address" in caught.value.message
    assert "10.1.2.3" not in caught.value.message
    assert "allow_cidrs" in caught.value.hint


def test_name_without_an_address_is_accepted_but_not_sent_to() -> None:
    for lookup in (failing_lookup, lookup_of()):
        with pytest.raises(NameUnresolved):
            resolve("http://name.example/", rules=Rules(), lookup=lookup)
        check("http://name.example/", rules=Rules(), lookup=lookup)
    with pytest.raises(InvalidWebhookUrl):
        check("http://name.example/", rules=Rules(), lookup=lookup_of("127.0.0.1"))


def test_name_lookup_times_out() -> None:
    release = threading.Event()

    def hanging_lookup(name: str, port: int) -> list[str]:
        release.wait(300)
        return [PUBLIC]

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        resolve("http://name.example/", rules=Rules(), timeout=0.2, lookup=hanging_lookup)
    assert time.monotonic() - started < 60
    release.set()


def test_system_resolver_resolves_localhost() -> None:
    found = resolve("http://localhost/", rules=Rules(), trusted=True)
    assert "127.0.0.1" in found.addresses or "::1" in found.addresses
    with pytest.raises(InvalidWebhookUrl, match="loopback"):
        resolve("http://localhost/", rules=Rules())


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "a.localhost"])
def test_allowed_addresses_of_localhost_are_used(name: str) -> None:
    # localhost usually has two addresses, but people only list 127.0.0.0/8.
    rules = Rules.of(["127.0.0.0/8"])
    both = ["::1", "127.0.0.1"]
    assert resolve(f"http://{name}/", rules=rules, lookup=lambda *_: both).addresses == ("127.0.0.1",)
    check(f"http://{name}/", rules=rules, lookup=localhost_lookup)
    for wrong in (Rules(), Rules.of(["10.0.0.0/8"])):
        with pytest.raises(InvalidWebhookUrl, match="loopback"):
            check(f"http://{name}/", rules=wrong, lookup=localhost_lookup)
    with pytest.raises(InvalidWebhookUrl, match="loopback"):  # the owner of another name controls its addresses
        resolve("http://localhost.example/", rules=rules, lookup=lambda *_: both)
