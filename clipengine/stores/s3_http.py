"""The connections to an S3 store: TLS, timeouts, and no patience for a peer that takes a byte a minute.

urllib3 retries nothing here: whether a request may be sent again is known one layer up, and is decided there alone.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InsecureRequestWarning

from clipengine.errors import SettingsError

_SLICE_BYTES = 128 * 1024
_POOL_CONNECTIONS = 16


@dataclass(frozen=True)
class Timeouts:
    """All in seconds. A body, sent or received, has `grace` plus its length at `min_bytes_per_second`."""

    connect: float = 5
    read: float = 60
    grace: float = 20
    min_bytes_per_second: int = 16 * 1024

    def for_body(self, length: int) -> float:
        return self.grace + length / self.min_bytes_per_second


class _PatientSend:
    """Sends a body in slices, with the read timeout for each and a deadline for the whole.

    Left alone, urllib3 hands over the body in one `sendall` under the connect timeout: every upload that takes longer
    than those few seconds would fail.
    """

    timeouts: Timeouts
    sock: Any

    def send(self, data: Any) -> None:
        if not isinstance(data, bytes | bytearray) or len(data) <= _SLICE_BYTES:
            super().send(data)  # type: ignore[misc]
            return
        deadline = time.monotonic() + self.timeouts.for_body(len(data))
        view = memoryview(data)
        for start in range(0, len(view), _SLICE_BYTES):
            if self.sock is not None:
                self.sock.settimeout(self.timeouts.read)
            super().send(view[start : start + _SLICE_BYTES])  # type: ignore[misc]
            if time.monotonic() > deadline:
                raise TimeoutError(f"sent only {start} of {len(view)} bytes in time")


def connection_pool(timeouts: Timeouts, *, tls_verify: bool, ca_file: Path | None) -> urllib3.PoolManager:
    """A pool for one store. Proxies of the environment are not used, redirects not followed."""
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=timeouts.connect, read=timeouts.read),
        maxsize=_POOL_CONNECTIONS,
        retries=urllib3.Retry(total=False, raise_on_redirect=False, raise_on_status=False),
        ssl_context=_tls(tls_verify, ca_file),
    )

    class Plain(_PatientSend, HTTPConnection):
        pass

    class Tls(_PatientSend, HTTPSConnection):
        pass

    Plain.timeouts = Tls.timeouts = timeouts

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    pool.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
    return pool


def _tls(verify: bool, ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"storage.ca_file {ca_file} cannot be used: {error}") from None
    if not ca_file:
        # The system's own authorities hold a company's; a slim image has none, and then these do.
        context.load_verify_locations(certifi.where())
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        urllib3.disable_warnings(InsecureRequestWarning)
    return context
