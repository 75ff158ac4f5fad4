"""Check of uploads that go straight to the bucket: a part with a link, copies, the rule for CORS, and lifetimes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from clipengine.cli.operator.doctor_finding import Finding, ok
from clipengine.errors import StorageUnavailable
from clipengine.recordings.partial_object import PartialObject
from clipengine.settings.settings import Settings, Storage
from clipengine.stores.base import DirectParts
from clipengine.stores.build import store_of

_NAME = "direct uploads"
_BODY = b"clipengine doctor was here\n"
_LARGE_BYTES = 1 << 30  # of an object that has parts
_LEAST_LINK_SECONDS = 300
_DAY_SECONDS = 86_400


def direct_uploads(settings: Settings) -> Iterator[Finding]:
    if not settings.storage.direct_uploads:
        return
    if settings.storage.kind == "folder":
        yield Finding(_NAME, "warning", "storage.direct_uploads has no effect on a folder", "Remove it.")
        return
    store = store_of(settings)
    direct = store.direct
    assert direct is not None
    size = (direct.part_bytes(_LARGE_BYTES) or 0) + len(_BODY)
    key = f"clipengine-doctor-{secrets.token_hex(8)}.txt"
    partial = direct.begin(PartialObject(f"upl_{secrets.token_hex(8)}", key, size, "text/plain"))
    try:
        yield _check_part(direct, partial, settings.storage)
        yield _check_origin(direct.link(partial, partial.part_count, seconds=60), settings)
    finally:
        store.discard(partial)
    yield _check_copies(direct)
    yield from _check_lifetimes(direct, settings)


def _check_part(direct: DirectParts, partial: PartialObject, storage: Storage) -> Finding:
    """Send the last part, which is short, and count it."""
    last = partial.part_count
    link = direct.link(partial, last, seconds=60)
    try:
        status, _ = _answer(storage, "PUT", link, body=_BODY)
    except StorageUnavailable as error:
        detail = f"{urlsplit(link).netloc} cannot be reached from this machine: {error.message}"
        remedy = "Set storage.public_endpoint to a URL that clients reach. Until then, bytes go through the server."
        return Finding(_NAME, "warning", detail, remedy)
    if status != 200:
        remedy = "Set storage.public_endpoint to the store. A proxy in front of it must keep Host and Content-Length."
        return Finding(_NAME, "warning", f"the store answers {status} to a part that is sent with a link", remedy)
    if set(direct.count(partial)[1]) != {last}:
        return Finding(_NAME, "problem", "the store does not list a part", "Allow s3:ListMultipartUploadParts.")
    return ok(_NAME, "a part was sent with a link, listed and deleted")


def _check_copies(direct: DirectParts) -> Finding:
    """Try to copy an object into a part, which a header that no link can exclude asks for."""
    name = f"{_NAME}: copies"
    if not direct.takes_copies():
        return ok(name, "the store copies no object into a part that is sent with a link")
    detail = "off: clients could copy each object that the engine's key can read into the parts of their uploads"
    remedy = "Deny s3:PutObject with x-amz-copy-source to the engine's key, see docs/direct-uploads."
    return Finding(name, "warning", detail, remedy)


def _check_origin(link: str, settings: Settings) -> Finding:
    """Ask whether the store lets the page send parts, as a browser does before it sends them."""
    name, address = f"{_NAME}: page", urlsplit(settings.server.public_url)
    if not address.netloc:
        remedy = "Set server.public_url to the URL of the page."
        return Finding(name, "warning", "not checked: the origin of the page is unknown", remedy)
    origin = f"{address.scheme}://{address.netloc}"
    headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    try:
        _, answer = _answer(settings.storage, "OPTIONS", link, headers=headers)
    except StorageUnavailable as error:
        return Finding(name, "warning", f"not checked: {error.message}", "Make the store reachable first.")
    allowed = [each.strip() for each in answer.get("access-control-allow-methods", "").split(",")]
    if answer.get("access-control-allow-origin") in (origin, "*") and "PUT" in allowed:
        return ok(name, f"the bucket takes parts of pages of {origin}")
    remedy = "Set a rule for CORS, see docs/direct-uploads. Until then, the page sends bytes through the server."
    return Finding(name, "warning", f"the bucket refuses PUT requests of pages of {origin}", remedy)


def _check_lifetimes(direct: DirectParts, settings: Settings) -> Iterator[Finding]:
    seconds, idle = settings.storage.link_seconds, settings.limits.upload_idle_seconds
    if seconds < _LEAST_LINK_SECONDS:
        detail = f"links expire after {seconds} s, before slow connections have sent a few parts"
        remedy = f"Set storage.link_seconds to at least {_LEAST_LINK_SECONDS}."
        yield Finding(f"{_NAME}: links", "warning", detail, remedy)
    days = direct.abort_days()
    if days is not None and days * _DAY_SECONDS < idle:
        detail = f"a lifecycle rule aborts uploads after {days} days, limits.upload_idle_seconds is {idle:.0f}"
        remedy = "Make the rule wait longer, or set limits.upload_idle_seconds to less."
        yield Finding(f"{_NAME}: lifecycle", "warning", detail, remedy)


def _answer(
    storage: Storage, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, Mapping[str, str]]:
    # Imported here, because the modules of S3 are slow to import and other stores do not need them.
    from clipengine.stores.s3_http import Timeouts, connection_pool, status_and_headers

    timeouts = Timeouts(connect=storage.connect_timeout_seconds, read=storage.read_timeout_seconds)
    pool = connection_pool(timeouts, tls_verify=storage.tls_verify, ca_file=storage.ca_file)
    return status_and_headers(pool, method, url, headers=headers, body=body)
