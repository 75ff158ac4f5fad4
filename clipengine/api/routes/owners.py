"""Owners of the objects that a request deletes or cancels, by the parameters of its path. `access` decides by them."""

from __future__ import annotations

from collections.abc import Mapping

from clipengine.clips.texts.language_tags import parse_language
from clipengine.ledger.ledger import Ledger

Ids = Mapping[str, str]


def of_clip(ledger: Ledger, ids: Ids) -> str | None:
    return ledger.clips.get(ids["clip_id"]).created_by


def of_recording(ledger: Ledger, ids: Ids) -> str | None:
    """Return the owner of a recording, or None if others have made clips, transcripts or segments of it."""
    recording = ledger.recordings.get(ids["recording_id"])
    owner = recording.created_by
    return None if owner and ledger.recordings.has_works_of_others(recording.recording_id, owner) else owner


def of_share(ledger: Ledger, ids: Ids) -> str | None:
    return ledger.shares.get(ids["clip_id"], ids["share_id"])[0].created_by


def of_transcript(ledger: Ledger, ids: Ids) -> str | None:
    return ledger.transcripts.get(ids["recording_id"], parse_language(ids["language"])).created_by


def of_batch(ledger: Ledger, ids: Ids) -> str | None:
    return ledger.requested_batches.get(ids["batch_id"]).created_by


def of_transcription(ledger: Ledger, ids: Ids) -> str | None:
    return ledger.transcriptions.get(ids["transcript_id"]).created_by


def of_session(ledger: Ledger, ids: Ids) -> str | None:
    return ledger.user_sessions.get(ids["session_id"]).user_id
