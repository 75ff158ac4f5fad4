"""Owners of the objects that a request deletes, by the parameters of its path. `access` decides by them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from clipengine.clips.texts.language_tags import parse_language
from clipengine.ledger.ledger import Ledger

Ids = Mapping[str, str]
_Owners = Collection[str | None]


def of_clip(ledger: Ledger, ids: Ids) -> _Owners:
    return [ledger.clips.get(ids["clip_id"]).created_by]


def of_recording(ledger: Ledger, ids: Ids) -> _Owners:
    """Return the owners of a recording and of its clips, which are deleted with it."""
    recording = ledger.recordings.get(ids["recording_id"])
    return [recording.created_by, *ledger.clips.creators(recording.recording_id)]


def of_share(ledger: Ledger, ids: Ids) -> _Owners:
    return [ledger.shares.get(ids["clip_id"], ids["share_id"])[0].created_by]


def of_transcript(ledger: Ledger, ids: Ids) -> _Owners:
    return [ledger.transcripts.get(ids["recording_id"], parse_language(ids["language"])).created_by]


def of_session(ledger: Ledger, ids: Ids) -> _Owners:
    return [ledger.user_sessions.get(ids["session_id"]).user_id]
