"""Downloads from URLs that clients and events name, under the address rules of webhooks.

Every redirect is resolved, classified and pinned like the first URL. A token is sent to the host of the first URL only.
Nothing is decompressed, and no error contains a path or a query, which may be secret.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpcore

from clipengine import __version__
from clipengine.errors import FetchFailed, FetchInterrupted, InvalidWebhookUrl
from clipengine.outbound.address import Lookup, NameUnresolved, Rules, Target, Url, parse, resolve, worded
from clipengine.outbound.network import Deadline, OpenNetworks, SenderClosed, described, trust_store

MAX_REDIRECTS = 5
MAX_URL_CHARACTERS = 8192  # signed URLs of stores are long
STALL_SECONDS = 60.0  # for all heads of a download, and then without the least throughput
MAX_JSON_BYTES = 65_536
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSIENT = (408, 425, 429)


@dataclass(frozen=True)
class Response:
    """A response of 200, 206 or 416. `chunks` raises the errors of `Downloader.get`."""

    status: int
    headers: Mapping[str, str]  # with lower-case names
    chunks: Iterator[bytes]


def parse_source(url: str) -> Url:
    """Parse the URL of a recording. Raises InvalidWebhookUrl, see `address`."""
    return parse(url, max_characters=MAX_URL_CHARACTERS)


class Downloader:
    """Downloads for the engine. Thread-safe. `tls` and `lookup` replace the trust store and the resolver."""

    def __init__(
        self,
        allow_cidrs: Iterable[str] = (),
        *,
        own_port: int | None = None,
        stall_seconds: float = STALL_SECONDS,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = Rules.of(allow_cidrs, own_port=own_port)
        self._stall_seconds = stall_seconds
        self._lookup = lookup
        self._tls = tls or trust_store()
        self._networks = OpenNetworks()

    @contextmanager
    def get(
        self,
        url: str,
        *,
        seconds: float,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        purpose: str = "",
    ) -> Iterator[Response]:
        """Request a URL and follow its redirects; the body must be read within `seconds` as well.

        `purpose` names the download for `abort`. Raises FetchFailed for what another attempt would not change,
        FetchInterrupted, and SenderClosed.
        """
        end = time.monotonic() + seconds
        deadline = Deadline(min(seconds, self._stall_seconds))
        with self._translated(url):
            current = parse_source(url)
        first = _origin(current)
        for _ in range(MAX_REDIRECTS + 1):
            fields = {**(headers or {})}
            if token is not None and _origin(current) == first:
                fields["Authorization"] = f"Bearer {token}"
            with self._translated(url), self._response(current, fields, deadline, purpose) as response:
                location = response.headers.get("location", "")
                if response.status not in _REDIRECTS or not location:
                    _check_status(response.status, current)
                    deadline.begin_body(end - time.monotonic(), stall_seconds=self._stall_seconds)
                    yield response
                    return
                current = _redirected(current, location)
        raise FetchFailed(f"{_host(url)} redirects more than {MAX_REDIRECTS} times")

    def get_json(self, url: str, *, seconds: float, token: str | None = None, purpose: str = "") -> Any:
        """Return the JSON of a small response. Raises the errors of `get`."""
        body = bytearray()
        with self.get(url, seconds=seconds, token=token, purpose=purpose) as response:
            for chunk in response.chunks:
                body += chunk
                if len(body) > MAX_JSON_BYTES:
                    raise FetchFailed(f"{_host(url)} returned more than {MAX_JSON_BYTES} bytes of JSON")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise FetchFailed(f"{_host(url)} did not return JSON") from None

    def abort(self, purpose: str) -> None:
        """End the downloads for `purpose`; they raise FetchInterrupted."""
        self._networks.abort(purpose)

    def close(self) -> None:
        """End all downloads; they raise SenderClosed."""
        self._networks.close()

    @contextmanager
    def _response(self, url: Url, headers: Mapping[str, str], deadline: Deadline, purpose: str) -> Iterator[Response]:
        target = resolve(url, rules=self._rules, timeout=deadline.left(), lookup=self._lookup)
        with self._networks.open(target.addresses, deadline, purpose=purpose) as network:
            origin = httpcore.Origin(url.scheme.encode(), url.host.encode(), url.port)
            connection = httpcore.HTTPConnection(origin, ssl_context=self._tls, network_backend=network)
            try:
                response = connection.handle_request(_request(target, headers))
                fields = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                yield Response(response.status, fields, iter(response.iter_stream()))
            finally:
                connection.close()

    @contextmanager
    def _translated(self, url: str) -> Iterator[None]:
        """Translate network errors into fetch errors."""
        try:
            yield
        except (FetchFailed, FetchInterrupted, SenderClosed):
            raise
        except InvalidWebhookUrl as error:
            raise FetchFailed(f"{_host(url)} is refused: {worded(error)}", hint=error.hint) from None
        except NameUnresolved:
            raise FetchInterrupted(f"the name of {_host(url)} does not resolve") from None
        except (OSError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.NetworkError) as error:
            if self._networks.closed:
                raise SenderClosed from error
            if isinstance(error, TimeoutError | httpcore.TimeoutException):
                raise FetchInterrupted(f"{_host(url)} responds too slowly, or not at all") from error
            raise FetchInterrupted(f"{_host(url)}: {described(error)}") from error


def _request(target: Target, headers: Mapping[str, str]) -> httpcore.Request:
    fields = {
        "Host": target.url.authority,
        "User-Agent": f"clipengine/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    url = target.url
    return httpcore.Request(
        "GET",
        httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.path),
        headers=[(name.encode(), value.encode()) for name, value in fields.items()],
    )


def _redirected(current: Url, location: str) -> Url:
    """Return the URL of a redirect. Raises InvalidWebhookUrl, or FetchFailed if it leaves https."""
    base = f"{current.scheme}://{current.authority}{current.path}"
    try:
        url = parse_source(urljoin(base, location[: MAX_URL_CHARACTERS + 1]))
    except ValueError:
        raise FetchFailed(f"{current.authority} redirects to an invalid URL") from None
    if current.scheme == "https" and url.scheme != "https":
        raise FetchFailed(f"{current.authority} redirects from https to http")
    return url


def _check_status(status: int, url: Url) -> None:
    if status in (200, 206, 416):
        return
    if status in _TRANSIENT or status >= 500:
        raise FetchInterrupted(f"{url.authority} responded with status {status}")
    raise FetchFailed(f"{url.authority} responded with status {status}")


def _origin(url: Url) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port


def _host(url: str) -> str:
    """Return the host of a URL for a message, without its path and query."""
    try:
        return parse_source(url).authority
    except InvalidWebhookUrl:
        return "the URL"
