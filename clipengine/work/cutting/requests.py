"""Requests for clips of recordings in the ledger: how they are resolved, and how their clips are queued."""

from __future__ import annotations

from dataclasses import replace

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest, check_expiry
from clipengine.clips.resolve import ClipSource, ResolvedClip, check_recordings, resolve_clip
from clipengine.clips.waiting import waiting_request
from clipengine.errors import NotRecordedYet, located
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.texts.transcripts import MAX_TRANSCRIPTS
from clipengine.outbound.webhook_addresses import check_address
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import Settings

_SOON_HINT = "Its playlist is being read: ask again in a second, or give the range."


class ClipRequests:
    """Requests of the API and of rules."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings

    def resolve(self, request: ClipRequest, recording: Recording, *, seeks: bool = False) -> ResolvedClip:
        """Return the clip of a request; with `seeks`, its sources have their seek indexes.

        Raises the first fault that the ledger or the settings decide.
        """
        recording_id, settings = recording.recording_id, self._settings
        check_recordings(request.parts)
        if request.last_seconds is not None and not self._ledger.live.is_known(recording_id):
            raise NotRecordedYet("the end of the recording is not known since the engine has started", hint=_SOON_HINT)
        sources = {recording_id: self._source(recording, request, seeks)}
        for number, part in enumerate(request.parts):
            if part.recording_id not in sources:
                with located(pointer=f"/parts/{number}/recording_id"):
                    other = self._ledger.recordings.get(part.recording_id)
                sources[part.recording_id] = self._source(other, request, seeks)
        clip = resolve_clip(recording_id, request, sources, settings.clip_rules)
        if request.webhook_url is not None:
            check_address(request.webhook_url, settings, pointer="/webhook_url", look_up=False)
        check_expiry(request.expires_at)
        return replace(clip, request=waiting_request(clip.request, clip.lacking_seconds, now_ms()))

    def create(self, clip: ResolvedClip, *, yields: bool = False) -> Clip:
        """Queue a resolved clip, see `Clips.create`."""
        made = self._ledger.clips.create(
            clip.recording,
            clip.request,
            extension=clip.profile.container,
            template=self._settings.storage.clip_key,
            yields=yields,
        )
        if clip.lacking_seconds:
            for source in clip.sources:
                self._ledger.live.want(source.recording.recording_id, at_once=True)
        return made

    def _source(self, recording: Recording, request: ClipRequest, seeks: bool) -> ClipSource:
        ledger, id = self._ledger, recording.recording_id
        found = ledger.transcripts.list(id, limit=MAX_TRANSCRIPTS).data if request.needs_transcripts else ()
        seek_index = ledger.recordings.seek_index(id) if seeks else None
        return ClipSource(recording, tuple(each.language for each in found), seek_index)
