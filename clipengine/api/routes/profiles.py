"""Profiles: what a clip can be encoded as, as the settings say. Read only."""

from __future__ import annotations

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, page_response
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.objects.profile import ProfileObject


def list_profiles(call: Call[NoQuery, NoBody]) -> Response:
    profiles = sorted(call.engine.settings.profiles.items(), key=lambda item: item[0] != "default")
    shown = [ProfileObject.of(profile, name=name, output=profile.output.to_object()) for name, profile in profiles]
    return page_response(call, shown, None)


OPERATIONS = [
    Operation(
        "GET",
        "/v1/profiles",
        "read",
        list_profiles,
        "List profiles",
        [Answer(200, "Every profile, `default` first.", ProfileObject, page=True)],
    )
]
