"""Checks of other systems: the store, with a real object, and webhook endpoints."""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from clipengine.cli.data_folder import can_be_opened, open_ledger, store_identity
from clipengine.cli.operator.doctor_finding import Finding, ok
from clipengine.errors import ObjectMissing
from clipengine.ledger.webhooks.endpoints import Endpoint
from clipengine.oidc.errors import SignInFailed
from clipengine.parts import build_oidc
from clipengine.recordings.folder_rules import FolderRule
from clipengine.settings.settings import Settings
from clipengine.stores.base import Store
from clipengine.stores.build import store_of
from clipengine.webhooks.send import Sender

_SKEW_SECONDS = 60
_MAX_LISTED = 10_000
_AHEAD_MS = 600_000  # of a clock that is wrong, and not of another time zone
_BODY = b"clipengine doctor was here\n"


def store(settings: Settings) -> Iterator[Finding]:
    """Check every permission that the engine needs with an object of a random name."""
    storage, folder = settings.storage, settings.store_folder
    with store_identity(settings) as known:
        used = known is not None and (known.recorded() or known.has_recordings())
        if storage.kind == "folder" and not folder.exists() and not used:
            yield ok("store", f"{folder} will be created at the first start")
            return
        checked = store_of(settings, identity=known)
        checked.check()
        name = f"bucket {storage.bucket} at {storage.endpoint}" if storage.kind == "s3" else str(folder)
        yield from _check_object(checked, name)
        yield from _check_clock(checked)


def _check_object(store: Store, name: str) -> Iterator[Finding]:
    key = f"clipengine-doctor-{secrets.token_hex(8)}.txt"
    sha256 = hashlib.sha256(_BODY).hexdigest()
    try:
        store.put(key, io.BytesIO(_BODY), size=len(_BODY), content_type="text/plain", sha256=sha256)
        with closing(store.open(key)) as reader:
            whole, part = reader.read_at(0, len(_BODY)), reader.read_at(11, 6)
        listed = any(found.key == key for found in store.list(key))
    finally:
        store.delete(key)
    if (whole, part) != (_BODY, _BODY[11:17]):
        remedy = "Set storage.endpoint to the store itself, not to a cache in front of it."
        yield Finding("store", "problem", f"{name} returns other data than was stored", remedy)
    elif not listed:
        remedy = "Allow s3:ListBucket under the prefix: imports and watched folders need it."
        yield Finding("store", "warning", f"{name} does not list a new object", remedy)
    else:
        yield ok("store", f"{name}: an object was stored, read in ranges, listed and deleted")
    try:
        store.head(key)
    except ObjectMissing:
        pass
    else:
        remedy = "Allow s3:DeleteObject. With versioning, old versions remain until a lifecycle rule deletes them."
        yield Finding("store", "problem", f"{key} still exists after it was deleted", remedy)


def _check_clock(store: Store) -> Iterator[Finding]:
    ahead = store.clock_ahead()
    if ahead is not None and abs(ahead) > _SKEW_SECONDS:
        detail = f"the store's clock differs by {ahead:+.0f} s; S3 rejects more than 900 s"
        yield Finding("clock", "warning", detail, "Synchronise the clocks of both machines with NTP.")
    elif ahead is not None:
        yield ok("clock", f"within {max(1, round(abs(ahead)))} s of the store's clock")


def folders(settings: Settings) -> Iterator[Finding]:
    """Check that each rule for the folders of cameras owns files, and that its time zone fits them."""
    if not settings.folders or (settings.storage.kind == "folder" and not settings.store_folder.exists()):
        return
    with store_identity(settings) as known:
        checked = store_of(settings, identity=known)
        for each in settings.folders:
            yield _check_rule(checked, each.rule)
        if len(settings.folders) > 1:
            yield from _check_series(checked, settings)


def _check_rule(store: Store, rule: FolderRule) -> Finding:
    name, other = f"folder {rule.folder}", ""
    for found in islice(store.list(rule.folder), _MAX_LISTED):
        named = rule.names.match(found.key[len(rule.folder) :])
        if named is None:
            other = other or found.key
        elif named.time is not None and rule.names.has_date and named.time / 1000 > found.modified + _AHEAD_MS:
            detail = f"{found.key} was stored before the time in its name, by the time zone {rule.timezone}"
            return Finding(name, "warning", detail, "Set timezone to that of the names.")
        else:
            return ok(name, f"{found.key} is a file of a camera")
    detail = f"no file has a name like {rule.example}" + (f"; there is {other}" if other else "")
    return Finding(name, "warning", detail, "Check folder and pattern, unless the camera has not recorded yet.")


def _check_series(store: Store, settings: Settings) -> Iterator[Finding]:
    """Find cameras of several rules that share a series, by the first files of each rule."""
    rules = settings.folder_rules
    owners: dict[str, set[str]] = {}
    for folder in rules.folders:
        for found in islice(store.list(folder), _MAX_LISTED):
            if (owner := rules.owner(found.key)) is not None and owner.series is not None:
                owners.setdefault(owner.series, set()).add(f"{owner.source.folder}{owner.source.pattern}")
    for series, patterns in sorted(owners.items()):
        if len(patterns) > 1:
            detail = (
                f"is shared by the cameras of {' and '.join(sorted(patterns))}: a clip of it may have parts of each"
            )
            hint = 'If these are different cameras, set folders.series, such as "house-{camera}", in one of the rules.'
            yield Finding(f"series {series}", "warning", detail, hint)


def sign_in(settings: Settings) -> Iterator[Finding]:
    """Check the document and the keys of the provider that signs users in."""
    provider = build_oidc(settings)
    if provider is None:
        return
    with closing(provider):
        try:
            found = provider.check()
        except SignInFailed as error:
            remedy = "Compare auth.oidc with the settings of the provider, see recipes/oidc in the manual."
            yield Finding("sign-in", "warning", str(error), remedy)
            return
    signs_out = "" if found.end_session else ", which offers no sign-out"
    yield ok("sign-in", f"{settings.auth.oidc.issuer} has a valid document and keys{signs_out}")


def webhooks(settings: Settings) -> Iterator[Finding]:
    """Check that a connection to each webhook endpoint can be opened. Nothing is sent."""
    options = settings.webhooks
    sender = Sender(options.allow_cidrs, min(options.timeout_seconds, 5), own_port=settings.own_port)
    configured = [each.url for each in options.endpoints]
    saved: list[Endpoint] = []
    if can_be_opened(settings):
        with closing(open_ledger(settings)) as ledger:
            saved = ledger.endpoints.list()
    for endpoint in saved:
        if endpoint.origin != "settings" or endpoint.url in configured:  # the next start deletes others
            yield _check_endpoint(sender, endpoint)
    # The next start saves the endpoints that are new in the settings.
    known = {each.url for each in saved if each.origin == "settings"}
    new = [url for url in configured if url not in known]
    for number, url in enumerate(new, start=1):
        yield _reach(sender, f"webhook {number} of the settings", url, trusted=True)


def _check_endpoint(sender: Sender, endpoint: Endpoint) -> Finding:
    name = f"webhook {endpoint.webhook_id}"
    if endpoint.enabled:
        return _reach(sender, name, endpoint.url, trusted=endpoint.origin == "settings")
    detail = f"{sender.host(endpoint.url)} is disabled: {endpoint.disabled_reason or 'by request'}"
    return Finding(name, "warning", detail, "Enable it once its receiver works again, or delete it.")


def _reach(sender: Sender, name: str, url: str, *, trusted: bool) -> Finding:
    host = sender.host(url)
    error = sender.reach(url, trusted=trusted)
    if error is None:
        return ok(name, f"{host} can be reached")
    remedy = "Check the URL, the receiver and webhooks.allow_cidrs. The server may run with other settings than doctor."
    return Finding(name, "warning", f"{host}: {error}", remedy)
