"""The tools for agents: calls of the Python client, with arguments that a model can fill in."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from clipengine.api.http.access import Object
from clipengine.client import AsyncClient, ClientError
from clipengine.clips.edit import MAX_PARTS
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.without import MAX_REMOVED, KeptRange, Removable
from clipengine.clips.spec import OnTimeout
from clipengine.clips.suggested import MAX_SUGGESTIONS, Source
from clipengine.mcp.rule_tools import RULE_TOOLS
from clipengine.mcp.tool import Arguments, Id, ListArguments, Tool, as_json
from clipengine.objects.base import RecordingStatus, Status

_MAX_WAIT = 600
_MAX_CUES = 500

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_TIME = "By the recording's clock, if it has one (`started_at`): 2025-04-05T11:00:00+02:00."


class ListRecordings(ListArguments):
    status: RecordingStatus | None = None
    name: str | None = Field(default=None, max_length=200, description="Exact name.")


class ListClips(ListArguments):
    status: Status | None = None
    recording_id: Id | None = None
    label: str | None = Field(default=None, max_length=200, description="Exact label.")
    variant_of: Id | None = Field(default=None, description="Only variants of this clip.")
    q: str | None = Field(
        default=None, min_length=1, max_length=200, description="Words of its label, tags or metadata, or said in it."
    )


class GetRecording(Arguments):
    recording_id: Id


class SearchTranscripts(Arguments):
    query: str = Field(min_length=1, max_length=200, description='Words; "two words" as a phrase, bud* as a beginning.')
    recording_id: Id | None = Field(default=None, description="Only this recording; needs language.")
    language: str | None = Field(default=None, description="BCP 47 tag of the transcript, such as en.")
    limit: int = Field(default=20, ge=1, le=100)


class GetTranscript(Arguments):
    recording_id: Id
    language: str | None = Field(default=None, description="Omit to list the languages.")
    start_seconds: Seconds = 0
    end_seconds: Seconds | None = None


class SuggestMoments(Arguments):
    recording_id: Id
    language: str | None = Field(default=None, description="BCP 47 tag of the transcript. Default: the first one.")
    limit: int = Field(default=10, ge=1, le=MAX_SUGGESTIONS)
    source: Source = Field(default="local", description="`url`: the language model of the server's settings.")


class GetFrame(Arguments):
    recording_id: Id
    at_seconds: Seconds
    width: int = Field(default=640, ge=16, le=1920)


class Part(Arguments):
    start_seconds: Seconds
    end_seconds: Seconds
    recording_id: Id | None = Field(default=None, description="Default: the recording of the clip.")


class Subtitles(Arguments):
    mode: Literal["keep", "burn", "none"] = "keep"
    language: str | None = Field(default=None, description="BCP 47 tag of one transcript.")
    style: CaptionStyle | None = Field(default=None, description="How `burn` draws them: `word` marks spoken words.")


class PlanClip(Arguments):
    recording_id: Id
    start_seconds: Seconds | None = None
    end_seconds: Seconds | None = Field(default=None, description="End of the clip, exclusive.")
    start_time: str | None = Field(default=None, description=f"{_TIME} Instead of start_seconds.")
    end_time: str | None = Field(default=None, description="The same, instead of end_seconds.")
    parts: list[Part] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_PARTS,
        description="Ranges that are played one after the other, instead of start_seconds and end_seconds.",
    )
    snap: Snap | None = Field(default=None, description="Move the cuts to moments near them.")
    without: list[Removable] | None = Field(
        default=None, max_length=2, description="Remove long pauses (`silence`) and words such as um (`fillers`)."
    )
    keep_ranges: list[KeptRange] | None = Field(
        default=None, max_length=MAX_REMOVED, description="Some of the `removed` of a plan, which then stay."
    )
    output: Output | None = Field(default=None, description="Changes of the picture and the audio.")
    subtitles: Subtitles | None = Field(default=None, description="Default: all transcripts as text tracks.")
    render: Render | None = Field(default=None, description="`smart` copies what it can, which is faster.")
    profile: str | None = Field(default=None, description="Name of a profile; `default` always exists.")

    def values(self) -> dict[str, Any]:
        """Return the arguments of the client's call, without arguments that are not given."""
        return self.model_dump(exclude={"wait_seconds"}, exclude_none=True)


_OnTimeout = Annotated[
    OnTimeout | None,
    Field(description="`clamp`: cut what is recorded, if a range in the future is not recorded in time."),
]


class CreateClip(PlanClip):
    label: str = Field(min_length=1, max_length=200, description="Title of the clip.")
    last_seconds: Seconds | None = Field(
        default=None, description="Instead of a range: so many seconds up to the end, or up to what is recorded now."
    )
    on_timeout: _OnTimeout = None
    wait_seconds: int = Field(default=120, ge=0, le=_MAX_WAIT, description="Return after this time at the latest.")


class CreateClipsByTime(Arguments):
    series: list[str] = Field(min_length=1, max_length=20, description="Cameras or programmes: one clip of each.")
    start_time: str = Field(description="2025-04-05T11:00:00+02:00")
    end_time: str
    label: str = Field(min_length=1, max_length=200, description="Title of the clips.")
    on_timeout: _OnTimeout = None


class WaitForClip(Arguments):
    clip_id: Id
    wait_seconds: int = Field(default=120, ge=0, le=_MAX_WAIT)


class ShareClip(Arguments):
    clip_id: Id
    expires_at: str | None = Field(default=None, description="RFC 3339 time, such as 2030-01-31T12:00:00Z.")


class MakeVariants(Arguments):
    clip_ids: list[Id] = Field(min_length=1, max_length=100, description="Complete clips.")
    output: Output | None = Field(default=None, description="Changes, merged with the options of each clip.")
    subtitles: Subtitles | None = None
    profile: str | None = Field(default=None, description="Name of a profile; `default` always exists.")
    dry_run: bool = Field(default=True, description="Only say what would be made. Give false to make it.")


class Transcribe(Arguments):
    recording_id: Id
    language: str | None = Field(default=None, description="BCP 47 tag of the spoken language. Default: detected.")
    wait_seconds: int = Field(default=120, ge=0, le=_MAX_WAIT, description="Return after this time at the latest.")


class WaitForTranscript(Arguments):
    transcript_id: Id
    wait_seconds: int = Field(default=120, ge=0, le=_MAX_WAIT)


async def _list_recordings(client: AsyncClient, given: ListRecordings) -> Any:
    page = await client.recordings.list(**given.model_dump())
    return {"data": [each.raw for each in page.data], "next_cursor": page.next_cursor}


async def _get(client: AsyncClient, given: GetRecording) -> Any:
    return (await client.recordings.get(given.recording_id)).raw


async def _list_clips(client: AsyncClient, given: ListClips) -> Any:
    page = await client.clips.list(**given.model_dump())
    return {"data": [each.raw for each in page.data], "next_cursor": page.next_cursor}


async def _search(client: AsyncClient, given: SearchTranscripts) -> Any:
    if (given.recording_id is None) != (given.language is None):
        raise ClientError("give recording_id and language together, or neither")
    return [each.raw for each in (await client.transcripts.search(**given.model_dump())).data]


async def _transcript(client: AsyncClient, given: GetTranscript) -> Any:
    transcripts = client.transcripts
    if given.language is None:
        return [each.raw for each in (await transcripts.list(given.recording_id)).data]
    cues = [
        asdict(each)
        for each in await transcripts.get(given.recording_id, given.language)
        if each.end_seconds > given.start_seconds
        and (given.end_seconds is None or each.start_seconds < given.end_seconds)
    ]
    more = f"{len(cues) - _MAX_CUES} later cues are left out: set start_seconds" if len(cues) > _MAX_CUES else None
    return {"cues": cues[:_MAX_CUES], "more": more}


async def _suggest(client: AsyncClient, given: SuggestMoments) -> Any:
    return (await client.recordings.suggestions(**given.model_dump())).data


async def _transcribe(client: AsyncClient, given: Transcribe) -> Any:
    made = await client.transcripts.transcribe(given.recording_id, language=given.language)
    waited = WaitForTranscript(transcript_id=made.transcript_id, wait_seconds=given.wait_seconds)
    return await _wait_for_transcript(client, waited)


async def _wait_for_transcript(client: AsyncClient, given: WaitForTranscript) -> Any:
    try:
        return (await client.transcripts.wait(given.transcript_id, timeout=given.wait_seconds)).raw
    except ClientError as error:
        if error.code != "wait_timeout":
            raise
        return (await client.transcripts.transcription(given.transcript_id)).raw


async def _frame(client: AsyncClient, given: GetFrame) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frame.jpg"
        await client.recordings.frame(given.recording_id, file, given.at_seconds, width=given.width)
        return file.read_bytes()


async def _plan(client: AsyncClient, given: PlanClip) -> Any:
    return asdict(await client.clips.plan(**given.values()))


async def _create(client: AsyncClient, given: CreateClip) -> Any:
    clip = await client.clips.create(**given.values())
    return await _wait(client, WaitForClip(clip_id=clip.clip_id, wait_seconds=given.wait_seconds))


async def _by_time(client: AsyncClient, given: CreateClipsByTime) -> Any:
    values = given.model_dump(exclude={"on_timeout"})
    options = given.model_dump(include={"on_timeout"}, exclude_none=True)
    return [each.raw for each in await client.clips.by_time(**values, options=options)]


async def _wait(client: AsyncClient, given: WaitForClip) -> Any:
    try:
        return (await client.clips.wait(given.clip_id, timeout=given.wait_seconds)).raw
    except ClientError as error:
        if error.code != "wait_timeout":
            raise
        return (await client.clips.get(given.clip_id)).raw


async def _share(client: AsyncClient, given: ShareClip) -> Any:
    return (await client.clips.share(given.clip_id, expires_at=given.expires_at)).raw


async def _variants(client: AsyncClient, given: MakeVariants) -> Any:
    changes = given.model_dump(exclude={"clip_ids", "dry_run"}, exclude_none=True)
    if given.dry_run:
        return (await client.clips.try_variants(changes, clip_ids=given.clip_ids)).raw
    return (await client.clips.variants(changes, clip_ids=given.clip_ids)).raw


_RECORDINGS, _CLIPS = Object("recordings"), Object("clips")

TOOLS = (
    Tool("list_recordings", "List recordings, newest first.", ListRecordings, as_json(_list_recordings), _RECORDINGS),
    Tool("get_recording", "Get a recording: length, tracks, status.", GetRecording, as_json(_get), _RECORDINGS),
    Tool("search_transcripts", "Find what was said, with its times.", SearchTranscripts, as_json(_search), _RECORDINGS),
    Tool("get_transcript", "Get the text of a recording with times.", GetTranscript, as_json(_transcript), _RECORDINGS),
    Tool(
        "suggest_moments",
        "Find ranges of 15 to 90 s that may be worth a clip, with a reason each, in the transcript of a recording.",
        SuggestMoments,
        as_json(_suggest),
        _RECORDINGS,
    ),
    Tool(
        "transcribe_recording",
        "Make the transcript of a recording that has none.",
        Transcribe,
        as_json(_transcribe),
        _RECORDINGS,
        "write",
    ),
    Tool(
        "wait_for_transcript",
        "Get the state of a transcription, when it has ended or after a time.",
        WaitForTranscript,
        as_json(_wait_for_transcript),
        Object("transcriptions"),
    ),
    Tool("get_frame", "See the picture of a recording at a time.", GetFrame, _frame, _RECORDINGS),
    Tool(
        "plan_clip",
        "Say what a clip would be, without making it: its exact range, size and time.",
        PlanClip,
        as_json(_plan),
        _RECORDINGS,
    ),
    Tool("list_clips", "List clips, newest first.", ListClips, as_json(_list_clips), _CLIPS),
    Tool("wait_for_clip", "Get a clip, when it is ready or after a time.", WaitForClip, as_json(_wait), _CLIPS),
    Tool("create_clip", "Cut an exact clip out of a recording.", CreateClip, as_json(_create), _RECORDINGS, "write"),
    Tool(
        "create_clips_by_time",
        "Cut the same range of the time of day out of the recordings of several cameras.",
        CreateClipsByTime,
        as_json(_by_time),
        _RECORDINGS,
        "write",
    ),
    Tool(
        "make_variants",
        "Make a variant of each of several clips, such as a vertical one. Tells what it would make unless dry_run is "
        "false.",
        MakeVariants,
        as_json(_variants),
        _CLIPS,
        "write",
    ),
    Tool(
        "share_clip",
        "Create a link that shows a finished clip to anyone who has it.",
        ShareClip,
        as_json(_share),
        _CLIPS,
        "write",
    ),
    *RULE_TOOLS,
)
