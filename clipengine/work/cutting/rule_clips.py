"""Clips of rules: what a rule makes of a recording. The dry run and the engine use the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest
from clipengine.clips.resolve import ResolvedClip, range_limits
from clipengine.clips.transcript_searches import Search
from clipengine.errors import InvalidRequest, RequestError, located, located_below
from clipengine.ledger.database.database import compact_json
from clipengine.ledger.ledger import Ledger
from clipengine.outbound.webhook_addresses import check_address
from clipengine.recordings.recording import Recording
from clipengine.rules.expansion import DAY_MS, Expansion, expand, without_range
from clipengine.rules.ranges import Material, search_of
from clipengine.rules.rule import MAX_OPTION_BYTES, OF_TRANSCRIPTS, RuleSpec
from clipengine.settings.settings import Settings
from clipengine.work.cutting.requests import ClipRequests

_EXAMPLE = {"label": "clip", "start_seconds": 0.0, "end_seconds": 1.0}


class ClipBodies(Protocol):
    """The bodies of requests for clips, which the API declares."""

    def check(self, clip: Mapping[str, Any]) -> dict[str, Any]:
        """Return the `clip` of a rule as it is stored. Raises InvalidRequest."""

    def request(self, body: Mapping[str, Any], recording_id: str, *, request_id: str | None) -> ClipRequest:
        """Return the request of a body of `POST /v1/recordings/{recording_id}/clips`. Raises InvalidRequest."""


class RuleClips:
    def __init__(self, ledger: Ledger, settings: Settings, bodies: ClipBodies) -> None:
        self._ledger = ledger
        self._requests = ClipRequests(ledger, settings)
        self._settings = settings
        self._bodies = bodies

    def checked(self, spec: RuleSpec) -> RuleSpec:
        """Return the rule as it is stored. Raises InvalidRequest or UnknownProfile with the place in the rule."""
        if spec.misfit is not None:
            fault, hint = spec.misfit
            with located(pointer="/ranges/kind"):
                raise InvalidRequest(fault, hint=hint)
        if spec.max_clips * len(compact_json(spec.clip)) > MAX_OPTION_BYTES:
            with located(pointer="/max_clips"):
                raise InvalidRequest(
                    f"The options of {spec.max_clips} clips have together more than {MAX_OPTION_BYTES >> 20} MiB",
                    hint="Lower max_clips, or give boxes fewer places.",
                )
        if "share" in spec.clip and not self._settings.shares.enabled:
            with located(pointer="/clip/share"):
                raise InvalidRequest("Shares are disabled", hint="The operator can enable them with `shares.enabled`.")
        with located_below("/clip"):
            stored = spec.model_copy(update={"clip": self._bodies.check(spec.clip)})
            self._limits(self._example(stored))
        return stored

    def expand(self, spec: RuleSpec, material: Material) -> Expansion:
        """Return the requests for clips of a recording. Raises RequestError if the rule is invalid now."""
        shortest, longest = self._limits(self._example(spec))
        return expand(spec, material, shortest=shortest, longest=longest)

    def material(
        self, spec: RuleSpec, recording: Recording, *, marker: str | None = None
    ) -> tuple[Material, Search[Any] | None]:
        """Return the input of `expand`, of all markers or of one, and the search that finds its `found`, if any."""
        if spec.ranges.kind == "markers":
            found_markers = self._ledger.markers.list(recording.recording_id)
            return Material(recording, markers=[each for each in found_markers if marker in (None, each.key)]), None
        if spec.ranges.kind not in OF_TRANSCRIPTS:
            return Material(recording), None
        transcripts, language = self._ledger.transcripts, spec.when.language
        found = transcripts.preferred(recording.recording_id, language)
        if found is None or language not in (None, found.language):
            return Material(recording), None
        keywords = self._settings.suggestions.keywords
        search = search_of(spec.ranges, recording, found.language, transcripts.cues(found), keywords)
        return Material(recording, found.language), search

    def resolve(self, body: Mapping[str, Any], recording: Recording, *, request_id: str | None = None) -> ResolvedClip:
        """Return the clip of a body. Raises the errors of `ClipRequests.resolve`."""
        request = self._bodies.request(body, recording.recording_id, request_id=request_id)
        return self._requests.resolve(request, recording)

    def is_allowed(self, body: Mapping[str, Any]) -> bool:
        """Return True if the settings still allow the options of a body: another fault is one of the recording."""
        try:
            self._limits(self._bodies.request(body, "", request_id=None))
        except RequestError:
            return False
        return True

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise the errors of options that the settings do not allow for any recording."""
        self._limits(self._bodies.request({**options, **_EXAMPLE}, "", request_id=None))

    def create(self, clip: ResolvedClip, share: Mapping[str, Any] | None = None) -> Clip:
        """Queue a clip and share it, unless half of the queue is taken: clips that people request come first."""
        made = self._requests.create(clip, yields=True)
        if share is not None and self._settings.shares.enabled:
            days = share.get("expires_in_days")
            keep_ms = self._settings.shares.keep_ms if days is None else round(days * DAY_MS)
            download, embed = share.get("download", True), share.get("embed", True)
            self._ledger.shares.create_for_rule(
                made.clip_id, keep_ms=keep_ms, download=download, embed=embed, created_by=made.created_by
            )
        return made

    def _limits(self, request: ClipRequest) -> tuple[float, float]:
        """Return the least and the most seconds of a range. Raises the errors of options that no recording allows."""
        if request.webhook_url is not None:
            check_address(request.webhook_url, self._settings, pointer="/webhook_url", look_up=False)
        return range_limits(request, self._settings.clip_rules)

    def _example(self, spec: RuleSpec) -> ClipRequest:
        return self._bodies.request({**without_range(spec), **_EXAMPLE}, "", request_id=None)
