"""Requests to one URL, whose answers are read whole.

Only that URL is called: redirects are errors. The host of a URL of the settings may be on this machine or in a private
network, because the operator has named it; metadata and link-local addresses are denied as for webhooks. Other URLs
have `rules`.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpcore

from clipengine import __version__
from clipengine.clips.texts.cues import clean_line
from clipengine.errors import InvalidWebhookUrl
from clipengine.outbound.address import NameUnresolved, Rules, Target, resolve, worded
from clipengine.outbound.network import Deadline, OpenNetworks, SenderClosed, described, reach, trust_store

_STALL_SECONDS = 60.0  # in the body of the answer, without the least throughput
_READ_BYTES, _SAID_CHARACTERS = 4096, 200  # of an answer that reports an error


class ServiceFailed(Exception):
    """The request has no answer. `transient`: another attempt may have one. The text has no path, query or header."""

    def __init__(self, reason: str, *, transient: bool) -> None:
        super().__init__(reason)
        self.transient = transient


@dataclass(frozen=True)
class ServiceAnswer:
    status: int
    body: bytes

    def error_text(self, *, without: str) -> str:
        """Return the text of an answer that reports an error, or nothing. A key that it repeats is left out."""
        text = self.body[:_READ_BYTES].decode("utf-8", "replace").strip()
        with suppress(ValueError, RecursionError):
            found: Any = json.loads(text)
            for name in ("error", "message", "detail"):
                found = found.get(name, found) if isinstance(found, dict) else found
            text = found if isinstance(found, str) else text
        if text.startswith("<"):
            return ""  # a page for people
        text = " ".join(clean_line(text.replace(without, "…") if without else text).split())
        return text if len(text) <= _SAID_CHARACTERS else f"{text[:_SAID_CHARACTERS]}…"


class Service:
    """The service at one URL. Thread-safe.

    `tls` replaces the trust store, `networks` counts the requests together with others.
    With `rules`, the URL is not one of the settings, and they decide which addresses are allowed.
    """

    def __init__(
        self,
        url: str,
        *,
        own_port: int | None = None,
        tls: ssl.SSLContext | None = None,
        rules: Rules | None = None,
        networks: OpenNetworks | None = None,
    ) -> None:
        self._url = url
        self._trusted = rules is None
        self._rules = rules or Rules.of((), own_port=own_port)
        self._tls = tls or trust_store()
        self._networks = networks or OpenNetworks()

    def post(
        self, body: Sequence[bytes], headers: Mapping[str, str], *, seconds: float, max_bytes: int, purpose: str = ""
    ) -> ServiceAnswer:
        """Send the parts of the body and return the answer. `purpose` names the request for `abort`.

        Raises ServiceFailed, and SenderClosed after `close`.
        """
        fields = {"Content-Length": str(sum(map(len, body))), **headers}
        return self._send("POST", body, fields, seconds, max_bytes, purpose)

    def get(self, *, seconds: float, max_bytes: int) -> ServiceAnswer:
        """Request the URL and return the answer. Raises the errors of `post`."""
        return self._send("GET", (), {}, seconds, max_bytes)

    def reach(self, *, seconds: float) -> None:
        """Open and close a connection. Raises ServiceFailed."""
        with self._connecting(seconds) as (target, network, _):
            reach(network, target.url, self._tls)

    @contextmanager
    def _connecting(
        self, seconds: float, purpose: str = ""
    ) -> Iterator[tuple[Target, httpcore.NetworkBackend, Deadline]]:
        """Yield the target of the URL, the network for it, and the deadline. Raises ServiceFailed and SenderClosed."""
        deadline = Deadline(seconds)
        try:
            target = resolve(self._url, rules=self._rules, trusted=self._trusted, timeout=deadline.left())
            with self._networks.open(target.addresses, deadline, purpose=purpose) as network:
                yield target, network, deadline
        except ServiceFailed:
            raise
        except InvalidWebhookUrl as error:
            reason = worded(error, name="it", refused="requests cannot be sent to")
            raise ServiceFailed(f"the URL is refused: {reason}", transient=False) from None
        except NameUnresolved:
            raise ServiceFailed("the name of its host does not resolve", transient=True) from None
        except (OSError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.NetworkError) as error:
            if self._networks.closed:
                raise SenderClosed from error
            if isinstance(error, TimeoutError | httpcore.TimeoutException):
                raise ServiceFailed(f"no answer within {seconds:g} s", transient=True) from error
            raise ServiceFailed(described(error) or type(error).__name__, transient=True) from error

    def abort(self, purpose: str) -> None:
        """End the requests for `purpose`; they raise ServiceFailed."""
        self._networks.abort(purpose)

    def close(self) -> None:
        """End all requests; they raise SenderClosed."""
        self._networks.close()

    def _send(
        self,
        method: str,
        body: Sequence[bytes],
        headers: Mapping[str, str],
        seconds: float,
        max_bytes: int,
        purpose: str = "",
    ) -> ServiceAnswer:
        end = time.monotonic() + seconds
        with self._connecting(seconds, purpose) as (target, network, deadline):
            url = target.url
            origin = httpcore.Origin(url.scheme.encode(), url.host.encode(), url.port)
            connection = httpcore.HTTPConnection(origin, ssl_context=self._tls, network_backend=network)
            try:
                response = connection.handle_request(_request(method, target, body, headers))
                deadline.begin_body(max(0.0, end - time.monotonic()), stall_seconds=_STALL_SECONDS)
                return ServiceAnswer(response.status, _read(response.iter_stream(), max_bytes))
            finally:
                connection.close()


def _request(method: str, target: Target, body: Sequence[bytes], headers: Mapping[str, str]) -> httpcore.Request:
    fields = {
        "Host": target.url.authority,
        "User-Agent": f"clipengine/{__version__}",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    url = target.url
    return httpcore.Request(
        method,
        httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.path),
        headers=[(name.encode(), value.encode()) for name, value in fields.items()],
        content=iter(body),
    )


def _read(chunks: Iterator[bytes], max_bytes: int) -> bytes:
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > max_bytes:
            raise ServiceFailed(f"the answer is longer than {max_bytes} bytes", transient=False)
    return bytes(found)
