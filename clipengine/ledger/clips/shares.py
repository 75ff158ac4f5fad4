"""Shares: links that open one clip without a key.

The token of a link has 256 bits, which are derived from the key of the secrets and the id of the share, so that the
link can be shown again; only its SHA-256 is stored. A link works until it expires or its share is deleted. Deleting a
clip deletes its shares.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import ClipNotComplete, ClipNotFound, ShareNotFound, StorageError
from clipengine.ledger.database.act import Act, Actor, acting
from clipengine.ledger.database.database import Database, Row, Statement, param
from clipengine.ledger.database.schema import ClipRow, ShareRow
from clipengine.ledger.database.vault import Vault
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.ledger.rows.permission import Permit, by_engine

logger = logging.getLogger(__name__)

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}\Z")  # 32 bytes in base64url
_LINKS = Actor("source", "webhooks.links")  # in the audit log
_FIND = Statement(ShareRow.select().where(ShareRow.sha256 == param(ShareRow.sha256)))
_COUNT = Statement(
    ShareRow.update(views=ShareRow.views + 1, last_viewed_at=param(ShareRow.last_viewed_at)).where(
        ShareRow.share_id == param(ShareRow.share_id)
    )
)


@dataclass(frozen=True)
class Share:
    """A share without its token. Times are in ms since 1970, UTC."""

    share_id: str
    clip_id: str
    created_at: int
    expires_at: int | None
    download: bool
    embed: bool
    views: int = 0
    last_viewed_at: int | None = None
    created_by: str | None = None  # None for the engine
    webhook_hosts: Sequence[str] | None = None  # hosts of the webhooks that the link was made for

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= now_ms()


class Shares:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(
        self,
        clip_id: str,
        *,
        expires_at: int | None,
        download: bool,
        embed: bool,
        created_by: str | None = None,
    ) -> tuple[Share, str]:
        """Create a share of a complete clip and return it with its token. Raises ClipNotFound or ClipNotComplete."""
        share = Share(new_id("shr"), clip_id, now_ms(), expires_at, download, embed, created_by=created_by)
        token = self._token_of(share.share_id)
        with self._database.transaction(ordered=False):
            # With a lock, so that the clip is not deleted before this transaction ends.
            clip = self._database.by_key(ClipRow, clip_id, lock=True)
            if clip is None:
                raise ClipNotFound.of(clip_id)
            if clip["state"] != "complete":
                raise ClipNotComplete.of(clip_id, ended=clip["state"] == "failed")
            self._database.insert(ShareRow.insert({**vars(share), "sha256": _digest(token)}))
        return share, token

    def create_for_event(
        self, event_id: str, clip_id: str, *, keep_ms: int | None, webhook_hosts: Sequence[str]
    ) -> None:
        """Create the share whose link the webhooks of an event contain. It expires after `keep_ms`.

        Its id is made from the event's id, so that each attempt finds it. Call it in the transaction that completes the
        clip. The audit log gets a row with the setting as the actor.
        """
        act = Act("share.create", _LINKS, path=(clip_id, _id_for(event_id)))
        with acting(act), self._database.transaction(ordered=False):
            self._create_for(event_id, clip_id, keep_ms=keep_ms, download=True, embed=True, webhook_hosts=webhook_hosts)

    def create_for_rule(
        self, clip_id: str, *, keep_ms: int | None, download: bool, embed: bool, created_by: str | None = None
    ) -> None:
        """Create the share of a clip that a rule has queued. Its link works once the clip is complete.

        Its id is made from the clip's id. Call it in the transaction that queues the clip.
        """
        self._create_for(clip_id, clip_id, keep_ms=keep_ms, download=download, embed=embed, created_by=created_by)

    def _create_for(
        self,
        id: str,
        clip_id: str,
        *,
        keep_ms: int | None,
        download: bool,
        embed: bool,
        created_by: str | None = None,
        webhook_hosts: Sequence[str] | None = None,
    ) -> None:
        now = now_ms()
        share = Share(
            _id_for(id),
            clip_id,
            now,
            None if keep_ms is None else now + keep_ms,
            download=download,
            embed=embed,
            created_by=created_by,
            webhook_hosts=webhook_hosts,
        )
        digest = _digest(self._token_of(share.share_id))
        self._database.insert(ShareRow.insert({**vars(share), "sha256": digest}))

    def token_of_event(self, event_id: str) -> str | None:
        """Return the token for the webhooks of an event, or None if its share has expired or was deleted."""
        return self._valid_token(event_id)

    def token_of_rule(self, clip_id: str) -> str | None:
        """Return the token of the share that a rule has made of its clip, or None if there is none."""
        return self._valid_token(clip_id)

    def tokens_of_rule(self, clip_ids: Sequence[str]) -> dict[str, str]:
        """Return the tokens of the shares that a rule has made, by clip."""
        ids = [_id_for(each) for each in clip_ids]
        rows = self._database.rows(ShareRow.select().where(ShareRow.share_id.in_(ids))) if ids else ()
        valid = [row for row in rows if not _share(row).expired]
        tokens = {row["clip_id"]: (self._token_of(row["share_id"]), row["sha256"]) for row in valid}
        return {id: token for id, (token, digest) in tokens.items() if _digest(token) == digest}

    def _valid_token(self, id: str) -> str | None:
        token = self._token_of(_id_for(id))
        return None if self.find(token) is None else token

    def get(self, clip_id: str, share_id: str) -> tuple[Share, str | None]:
        """Return a share of the clip and its token, or None if another key has made it. Raises ShareNotFound."""
        this = (ShareRow.share_id == share_id, ShareRow.clip_id == clip_id)
        row = self._database.row(ShareRow.select().where(*this))
        if row is None:
            raise _not_found(share_id)
        token = self._token_of(share_id)
        return _share(row), token if _digest(token) == row["sha256"] else None

    def _token_of(self, share_id: str) -> str:
        return base64.urlsafe_b64encode(self._vault.derive(f"share {share_id}")).rstrip(b"=").decode()

    def list(self, clip_id: str, *, limit: int, cursor: str | None = None) -> Page[Share]:
        """Return a page of the shares of a clip, newest first, including expired ones."""
        return read_page(
            self._database,
            ShareRow.select().where(ShareRow.clip_id == clip_id),
            of=f"shares/{clip_id}",
            created_at=ShareRow.created_at,
            ident=ShareRow.share_id,
            limit=limit,
            cursor=cursor,
            make=_share,
        )

    def list_all(self, *, without_end: bool, limit: int, cursor: str | None = None) -> Page[tuple[Share, str]]:
        """Return a page of the shares of all clips, newest first, each with the label of its clip."""
        query = ShareRow.select(ShareRow, ClipRow.label).join(ClipRow, on=ShareRow.clip_id == ClipRow.clip_id)
        return read_page(
            self._database,
            query.where(ShareRow.expires_at.is_null()) if without_end else query,
            of="shares without end" if without_end else "shares",
            created_at=ShareRow.created_at,
            ident=ShareRow.share_id,
            limit=limit,
            cursor=cursor,
            make=lambda row: (_share(row), row["label"]),
        )

    def delete(self, clip_id: str, share_id: str, *, permit: Permit = by_engine) -> None:
        """Delete a share of the clip, so that its link no longer works. Raises ShareNotFound."""
        this = (ShareRow.share_id == share_id, ShareRow.clip_id == clip_id)
        with self._database.transaction(ordered=False):
            row = self._database.row(self._database.locked(ShareRow.select().where(*this)))
            if row is None:
                raise _not_found(share_id)
            permit(lambda: row["created_by"])
            self._database.change(ShareRow.delete().where(*this))

    def find(self, token: str) -> Share | None:
        """Return the share of a token, or None if it is unknown, expired or malformed."""
        if not _TOKEN.match(token):
            return None
        row = self._database.row(_FIND, sha256=_digest(token))
        share = None if row is None else _share(row)
        return None if share is None or share.expired else share

    def count_view(self, share_id: str) -> None:
        """Count a view. A failure is logged only, because the viewer can be answered nevertheless."""
        try:
            with self._database.transaction(durable=False, ordered=False):
                self._database.change(_COUNT, share_id=share_id, last_viewed_at=now_ms())
        except StorageError as error:
            logger.warning("a view of %s was not counted: %s", share_id, error.message)


def _id_for(id: str) -> str:
    """Return the id of the share that belongs to an event, or to a clip of a rule."""
    return f"shr_{id.partition('_')[2]}"


def _not_found(share_id: str) -> ShareNotFound:
    return ShareNotFound(f"the clip has no share {share_id}")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _share(row: Row) -> Share:
    return Share(**{name: row[name] for name in Share.__dataclass_fields__})
