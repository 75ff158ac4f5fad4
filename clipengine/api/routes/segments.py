"""The list of segments of a recording, which several people may change: If-Match keeps them from undoing each other."""

from __future__ import annotations

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response, written
from clipengine.api.http.ranges import if_match, if_match_schema, matches
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.api.http.requests.ranges import PutSegments
from clipengine.errors import PreconditionMissing, RecordingNotFound, SegmentsChanged
from clipengine.ledger.texts.segment_lists import SegmentList
from clipengine.objects.clip import SubtitlesObject
from clipengine.objects.segments import LookObject, SegmentsObject


def get_segments(call: Call[NoQuery, NoBody]) -> Response:
    return _response(call.ledger.segment_lists.get(call.path("recording_id")))


def put_segments(call: Call[NoQuery, PutSegments]) -> Response:
    given = if_match(call.request)
    values = call.body.model_dump(mode="json")
    values["look"] = {name: value for name, value in values["look"].items() if value not in (None, [])}

    def check(stored: SegmentList) -> None:
        if given is None and stored.version:
            raise PreconditionMissing("If-Match is missing, and the recording has a list of segments")
        if given is not None and not matches(given, _etag(stored)):
            raise SegmentsChanged(f"The list of segments is now version {stored.version}, not {given}")

    def work() -> Response:
        lists, id = call.ledger.segment_lists, call.path("recording_id")
        return _response(lists.put(id, **values, created_by=call.caller.id, check=check))

    return written(call, work)


def _response(stored: SegmentList) -> Response:
    subtitles: SubtitlesObject | None = stored.look.get("subtitles")
    if subtitles is not None:
        subtitles.setdefault("style", None)  # lists of earlier versions have none
    look = LookObject(
        output=stored.look.get("output"),
        subtitles=subtitles,
        without=stored.look.get("without", []),
        keep_ranges=stored.look.get("keep_ranges", []),
    )
    return json_response(SegmentsObject.of(stored, look=look).to_object(), headers={"ETag": _etag(stored)})


def _etag(stored: SegmentList) -> str:
    return f'"{stored.version}"'


_PATH = "/v1/recordings/{recording_id}/segments"
_IF_MATCH = if_match_schema(
    "The `ETag` of the list that this one replaces, or `*` for whatever is stored. It may be missing only while the "
    "recording has no list.",
    "3",
)
_ANSWER = Answer(200, "The list, and its version as `ETag`.", SegmentsObject)

OPERATIONS = [
    Operation(
        "GET",
        _PATH,
        "read",
        get_segments,
        "Get the list of segments of a recording",
        [_ANSWER],
        (RecordingNotFound,),
    ),
    Operation(
        "PUT",
        _PATH,
        "write",
        put_segments,
        "Replace the list of segments of a recording",
        [_ANSWER],
        (RecordingNotFound, SegmentsChanged, PreconditionMissing),
        body=PutSegments,
        headers={"If-Match": _IF_MATCH},
        audit="segments.update",
    ),
]
