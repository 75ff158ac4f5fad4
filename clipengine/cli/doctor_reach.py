"""What `doctor` tries on others: the store, by a real object, and whether webhook endpoints can be reached."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Iterator
from contextlib import closing

from clipengine.cli.data import can_be_opened, known_store, open_ledger
from clipengine.cli.findings import Finding, good
from clipengine.errors import ObjectMissing
from clipengine.settings import Settings
from clipengine.stores.base import Store
from clipengine.stores.build import build_store
from clipengine.webhooks.send import Sender

_SKEW_SECONDS = 60
_BODY = b"clipengine doctor was here\n"


def store(settings: Settings) -> Iterator[Finding]:
    """Every right that the engine needs, used on an object of a name that nothing else has."""
    storage, folder = settings.storage, settings.store_folder
    with known_store(settings) as known:
        begun = known is not None and (known.noted() or known.has_recordings())
        if storage.kind == "folder" and not folder.exists() and not begun:
            yield good("store", f"{folder} will be made at the first start")
            return
        kept = build_store(storage, folder=folder, journal=settings.data.folder / "uploads", identity=known)
        kept.check()
        yield from _try(kept, f"bucket {storage.bucket} at {storage.endpoint}" if storage.kind == "s3" else str(folder))


def _try(kept: Store, where: str) -> Iterator[Finding]:
    key = f"clipengine-doctor-{secrets.token_hex(8)}.txt"
    sha256 = hashlib.sha256(_BODY).hexdigest()
    try:
        kept.put(key, io.BytesIO(_BODY), size=len(_BODY), content_type="text/plain", sha256=sha256)
        with closing(kept.open(key)) as reader:
            whole, part = reader.read_at(0, len(_BODY)), reader.read_at(11, 6)
        listed = any(found.key == key for found in kept.list(key))
    finally:
        kept.delete(key)
    if (whole, part) != (_BODY, _BODY[11:17]):
        remedy = "Point storage.endpoint at the store itself, not at a cache before it."
        yield Finding("store", "problem", f"{where} gives back other bytes than were put", remedy)
    elif not listed:
        remedy = "Allow listing (s3:ListBucket) under the prefix: imports and watched folders need it."
        yield Finding("store", "warning", f"{where} does not list what was put", remedy)
    else:
        yield good("store", f"{where}: an object was put, read in ranges, listed and deleted")
    try:
        kept.head(key)
    except ObjectMissing:
        pass
    else:
        remedy = "Allow s3:DeleteObject; with versions kept, old ones stay until a lifecycle rule removes them."
        yield Finding("store", "problem", f"{key} is still there after it was deleted", remedy)
    ahead = kept.clock_ahead()
    if ahead is not None and abs(ahead) > _SKEW_SECONDS:
        detail = f"the store's clock is {ahead:+.0f} s from this machine's; S3 refuses more than 900"
        yield Finding("clock", "warning", detail, "Keep time with NTP on both machines.")
    elif ahead is not None:
        yield good("clock", f"within {max(1, round(abs(ahead)))} s of the store's")


def webhooks(settings: Settings) -> Iterator[Finding]:
    """Nothing is sent: a connection to each endpoint is opened, and closed."""
    own = settings.webhooks
    sender = Sender(own.allow_cidrs, min(own.timeout_seconds, 5), own_port=settings.server.port or None)
    configured = [each.url for each in own.endpoints]
    wanted: list[tuple[str, str, bool]] = []
    if can_be_opened(settings):
        with closing(open_ledger(settings)) as ledger:
            listed = ledger.endpoints.list()
        for endpoint in listed:
            name, host = f"webhook {endpoint.webhook_id}", sender.host(endpoint.url)
            if endpoint.origin == "settings" and endpoint.url not in configured:
                continue  # the next start forgets it
            if endpoint.enabled:
                wanted.append((name, endpoint.url, endpoint.origin == "settings"))
            else:
                detail = f"{host} is disabled: {endpoint.disabled_reason or 'by request'}"
                yield Finding(name, "warning", detail, "Enable it once its receiver is there again, or delete it.")
        known = {each.url for each in listed if each.origin == "settings"}
        configured = [url for url in configured if url not in known]
    # The next start gives them their ids.
    wanted += [(f"webhook {number} of the settings", url, True) for number, url in enumerate(configured, start=1)]
    for name, url, trusted in wanted:
        host = sender.host(url)
        fault = sender.reach(url, trusted=trusted)
        if fault is None:
            yield good(name, f"{host} can be reached")
        else:
            remedy = (
                "Check the address, the receiver, and webhooks.allow_cidrs where it is a private one: doctor goes by"
                " the settings and variables that it is run with, and the server may have been started with others."
            )
            yield Finding(name, "warning", f"{host}: {fault}", remedy)
