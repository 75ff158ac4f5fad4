"""Webhook sender: one POST request per connection, to a checked address, within a total deadline.

It uses httpcore, the transport of httpx, directly. At this level there are no proxies, .netrc, redirects, cookies or
decompression, and the request line is written from the URL as `address` parsed it. An `Outcome` never contains headers,
secrets, or the URL's path and query.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpcore

from clipengine import __version__
from clipengine.basis.moments import parse_http_date
from clipengine.basis.timecode import now_ms
from clipengine.errors import InvalidWebhookUrl
from clipengine.outbound.address import Lookup, NameUnresolved, Rules, Target, parse, resolve
from clipengine.outbound.network import Deadline, OpenNetworks, SenderClosed, described, reach, trust_store
from clipengine.webhooks.schedule import MAX_RETRY_AFTER_SECONDS

MAX_RESPONSE_BYTES = 4096
# The body is ignored, but reading it for a short time lets the receiver finish writing.
_DRAIN_SECONDS = 1.0
_MAX_ERROR_CHARACTERS = 200


@dataclass(frozen=True)
class Outcome:
    """Result of one attempt. `ok` means a 2xx status; otherwise `error` is a short line that is safe to show.

    `gone` (status 410) means that the endpoint wants no more requests. `retry_after_seconds` is the Retry-After of a
    429 or 503 response, at most a day.
    """

    ok: bool
    status_code: int | None
    error: str | None
    retry_after_seconds: float | None
    gone: bool
    duration_ms: int


class Sender:
    """Webhook sender. Thread-safe. `timeout_seconds` limits a whole attempt, from name lookup to response.

    `own_port` is the port that this engine listens on. `tls` and `lookup` replace the trust store and the resolver.
    """

    def __init__(
        self,
        allow_cidrs: Iterable[str] = (),
        timeout_seconds: float = 10,
        *,
        own_port: int | None = None,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.rules = Rules.of(allow_cidrs, own_port=own_port)
        self._timeout = timeout_seconds
        self._lookup = lookup
        self._tls = tls or trust_store()
        self._networks = OpenNetworks()

    def send(self, url: str, body: bytes, headers: Mapping[str, str], *, trusted: bool = False) -> Outcome:
        """Send one POST request. Every failure becomes an Outcome; raises only SenderClosed.

        `trusted` is for URLs from the settings, see `address`.
        """
        started = time.monotonic()
        deadline = Deadline(self._timeout)
        status: int | None = None
        error: str | None = None
        retry_after: float | None = None
        try:
            target = resolve(url, rules=self.rules, trusted=trusted, timeout=deadline.left(), lookup=self._lookup)
            status, retry_after_text = self._exchange(target, body, headers, deadline)
            error = _status_error(status)
            if status in (429, 503):
                retry_after = _retry_after(retry_after_text)
        except Exception as raised:
            error = self._describe(raised)
        if self._networks.closed and status is None:
            raise SenderClosed
        return Outcome(
            ok=error is None,
            status_code=status,
            error=error and error[:_MAX_ERROR_CHARACTERS],
            retry_after_seconds=retry_after,
            gone=status == 410,
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    def host(self, url: str) -> str:
        """Return the host and port of a URL, without its path and query, which may be secret."""
        try:
            return parse(url).authority
        except InvalidWebhookUrl:
            return "an invalid URL"

    def reach(self, url: str, *, trusted: bool = False) -> str | None:
        """Open and close a connection. Return None if that succeeds, else the reason why it failed."""
        deadline = Deadline(self._timeout)
        try:
            target = resolve(url, rules=self.rules, trusted=trusted, timeout=deadline.left(), lookup=self._lookup)
            with self._networks.open(target.addresses, deadline) as network:
                reach(network, target.url, self._tls)
        except Exception as raised:
            return self._describe(raised)
        return None

    def _describe(self, error: Exception) -> str:
        """Return one short line for an expected error of sending. Raises any other error."""
        if isinstance(error, InvalidWebhookUrl):
            return f"refused: {error.message}"
        if isinstance(error, NameUnresolved):
            return f"dns: {error}"
        if isinstance(error, TimeoutError | httpcore.TimeoutException):
            return f"timeout: no complete response within {self._timeout:g} s"
        line = described(error)
        if line is not None:
            return line
        raise error

    def close(self) -> None:
        """Abort all requests; their `send` calls raise SenderClosed."""
        self._networks.close()

    def _exchange(
        self, target: Target, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> tuple[int, str | None]:
        """Send the request and return the status and the Retry-After header of the response."""
        url = target.url
        fields = {
            "Host": url.authority,
            "User-Agent": f"clipengine/{__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }
        request = httpcore.Request(
            "POST",
            httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.path),
            headers=[(name.encode(), value.encode()) for name, value in fields.items()],
            content=body,
        )
        with self._networks.open(target.addresses, deadline) as network:
            origin = httpcore.Origin(url.scheme.encode(), url.host.encode(), url.port)
            connection = httpcore.HTTPConnection(origin, ssl_context=self._tls, network_backend=network)
            try:
                response = connection.handle_request(request)
                deadline.shorten(_DRAIN_SECONDS)
                _drain(response)
            finally:
                connection.close()
        waits = [value.decode("latin-1") for name, value in response.headers if name.lower() == b"retry-after"]
        return response.status, waits[0] if waits else None


def _drain(response: httpcore.Response) -> None:
    """Read the start of the raw body, without decompression, and ignore errors."""
    size = 0
    try:
        for chunk in response.iter_stream():
            size += len(chunk)
            if size >= MAX_RESPONSE_BYTES:
                return
    except (OSError, httpcore.ProtocolError, httpcore.NetworkError):
        return


def _status_error(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    return "redirect" if 300 <= status < 400 else f"status {status}"


def _retry_after(text: str | None) -> float | None:
    """Parse a Retry-After header, seconds or an HTTP date, into 0 to 86,400 seconds from now. None if it is invalid."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            seconds = (parse_http_date(text) - now_ms()) / 1000
        except ValueError:
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)
