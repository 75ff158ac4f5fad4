"""The tools of `clipengine mcp`: calls of the Python client, with arguments that a model can fill in."""

from __future__ import annotations

import base64
import functools
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from clipengine.cli.mcp_protocol import Content, Tool, ToolError, text
from clipengine.client import ApiError, Client, ClientError

_MAX_WAIT = 600
_MAX_CUES = 500

Id = Annotated[str, Field(min_length=1, max_length=200)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Status = Literal["processing", "complete", "failed"]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListRecordings(_Arguments):
    status: Status | None = None
    name: str | None = Field(default=None, max_length=200, description="Exact name.")
    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, description="`next_cursor` of the previous page.")


class ListClips(ListRecordings):
    recording_id: Id | None = None
    name: None = None
    label: str | None = Field(default=None, max_length=200, description="Exact label.")


class GetRecording(_Arguments):
    recording_id: Id


class SearchTranscripts(_Arguments):
    query: str = Field(min_length=1, max_length=200, description='Words; "two words" as a phrase, bud* as a beginning.')
    recording_id: Id | None = Field(default=None, description="Only this recording; needs language.")
    language: str | None = Field(default=None, description="BCP 47 tag of the transcript, such as en.")
    limit: int = Field(default=20, ge=1, le=100)


class GetTranscript(_Arguments):
    recording_id: Id
    language: str | None = Field(default=None, description="Omit to list the languages.")
    start_seconds: Seconds = 0
    end_seconds: Seconds | None = None


class GetFrame(_Arguments):
    recording_id: Id
    at_seconds: Seconds
    width: int = Field(default=640, ge=16, le=1920)


class PlanClip(_Arguments):
    recording_id: Id
    start_seconds: Seconds
    end_seconds: Seconds = Field(description="End of the clip, exclusive.")
    profile: str | None = Field(default=None, description="Name of a profile; `default` always exists.")


class CreateClip(PlanClip):
    label: str = Field(min_length=1, max_length=200, description="Title of the clip.")
    wait_seconds: int = Field(default=120, ge=0, le=_MAX_WAIT, description="Return after this time at the latest.")


class WaitForClip(_Arguments):
    clip_id: Id
    wait_seconds: int = Field(default=120, ge=0, le=_MAX_WAIT)


class ShareClip(_Arguments):
    clip_id: Id
    expires_at: str | None = Field(default=None, description="RFC 3339 time, such as 2030-01-31T12:00:00Z.")


class Tools:
    """The tools on one server. Those that write are not allowed with `read_only`, or if the key lacks the scope."""

    def __init__(self, client: Client, *, read_only: bool) -> None:
        self._client = client
        self._read_only = read_only
        clips = client.clips
        self.all: Sequence[Tool] = [
            _tool("list_recordings", "List recordings, newest first.", ListRecordings, self._list_recordings),
            _tool("get_recording", "Get a recording: length, tracks, status.", GetRecording, self._get_recording),
            _tool("search_transcripts", "Find what was said, with its times.", SearchTranscripts, self._search),
            _tool("get_transcript", "Get the text of a recording with times.", GetTranscript, self._transcript),
            Tool("get_frame", "See the picture of a recording at a time.", GetFrame, _guarded(self._frame)),
            _tool(
                "plan_clip",
                "Say what a clip would be, without making it: its exact range, size and time.",
                PlanClip,
                lambda given: asdict(clips.plan(**given.model_dump())),
            ),
            _tool("list_clips", "List clips, newest first.", ListClips, self._list_clips),
            _tool("wait_for_clip", "Get a clip, when it is ready or after a time.", WaitForClip, self._wait),
            _tool("create_clip", "Cut an exact clip out of a recording.", CreateClip, self._create, writes=True),
            _tool(
                "share_clip",
                "Create a link that shows a finished clip to anyone who has it.",
                ShareClip,
                lambda given: clips.share(given.clip_id, expires_at=given.expires_at).raw,
                writes=True,
            ),
        ]

    def may_write(self) -> bool:
        """Return True if the key has the scope `write`: an empty request is refused for its scope first."""
        if self._read_only:
            return False
        try:
            self._client.request("POST", "/v1/clips/delete", json={})
        except ApiError as error:
            return error.status == 422
        except ClientError:
            return False
        return False

    def _list_recordings(self, given: ListRecordings) -> Any:
        page = self._client.recordings.list(**given.model_dump())
        return {"data": [each.raw for each in page.data], "next_cursor": page.next_cursor}

    def _get_recording(self, given: GetRecording) -> Any:
        return self._client.recordings.get(given.recording_id).raw

    def _list_clips(self, given: ListClips) -> Any:
        page = self._client.clips.list(**given.model_dump(exclude={"name"}))
        return {"data": [each.raw for each in page.data], "next_cursor": page.next_cursor}

    def _search(self, given: SearchTranscripts) -> Any:
        if (given.recording_id is None) != (given.language is None):
            raise ToolError("give recording_id and language together, or neither")
        return [asdict(each) for each in self._client.transcripts.search(**given.model_dump()).data]

    def _transcript(self, given: GetTranscript) -> Any:
        transcripts = self._client.transcripts
        if given.language is None:
            return [each.raw for each in transcripts.list(given.recording_id).data]
        cues = [
            asdict(each)
            for each in transcripts.get(given.recording_id, given.language)
            if each.end_seconds > given.start_seconds
            and (given.end_seconds is None or each.start_seconds < given.end_seconds)
        ]
        more = f"{len(cues) - _MAX_CUES} later cues are left out: set start_seconds" if len(cues) > _MAX_CUES else None
        return {"cues": cues[:_MAX_CUES], "more": more}

    def _frame(self, given: GetFrame) -> Sequence[Content]:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "frame.jpg"
            self._client.recordings.frame(given.recording_id, file, given.at_seconds, width=given.width)
            return [{"type": "image", "data": base64.b64encode(file.read_bytes()).decode(), "mimeType": "image/jpeg"}]

    def _create(self, given: CreateClip) -> Any:
        clip = self._client.clips.create(**given.model_dump(exclude={"wait_seconds"}))
        return self._wait(WaitForClip(clip_id=clip.clip_id, wait_seconds=given.wait_seconds))

    def _wait(self, given: WaitForClip) -> Any:
        try:
            return self._client.clips.wait(given.clip_id, timeout=given.wait_seconds).raw
        except ClientError as error:
            if error.code != "wait_timeout":
                raise
            return self._client.clips.get(given.clip_id).raw


def _tool(
    name: str, description: str, arguments: type[BaseModel], call: Callable[[Any], Any], *, writes: bool = False
) -> Tool:
    """Return a tool whose result is JSON."""

    def run(given: Any) -> Sequence[Content]:
        return [text(json.dumps(call(given), ensure_ascii=False))]

    return Tool(name, description, arguments, _guarded(run), writes)


def _guarded(run: Callable[[Any], Sequence[Content]]) -> Callable[[Any], Sequence[Content]]:
    """Turn errors of the client into those of a tool, with the hint for the model."""

    @functools.wraps(run)
    def guarded(given: Any) -> Sequence[Content]:
        try:
            return run(given)
        except ClientError as error:
            said = str(error)
            raise ToolError(said if error.hint in said else f"{said}. {error.hint}") from None

    return guarded
