"""Descriptions of properties that mean the same in every object, or whose types cannot have one."""

from __future__ import annotations

from typing import Any

_EVERYWHERE = {
    "actual_start_seconds": "Where it begins on the recording's timeline: the time of its first frame.",
    "actual_end_seconds": "Where it ends on the recording's timeline.",
    "attempt": "Number of the attempt, from 1.",
    "attempts": "The attempts so far, oldest first.",
    "bucket_path": "Key of the object, relative to the store's prefix.",
    "checks": "The checks of `/readyz`.",
    "clip_id": "Id of the clip.",
    "clip_ids": "Ids of the clips.",
    "clips_failed": "Number of clips that failed.",
    "clips_ready": "Number of clips that became complete.",
    "code": "Stable name of the error.",
    "codec": "Name of the codec as FFmpeg writes it, such as `h264` or `aac`.",
    "completed_at": "When it became `complete` or `failed`; null until then.",
    "container": "Name of the container, such as `mp4`.",
    "created_at": "When it was created.",
    "created_by": "Id of the user, the key or the rule; null for the engine, and for what is older.",
    "data": "The objects of this response.",
    "delivery_id": "Id of the delivery.",
    "disabled_reason": "Why the engine has disabled the endpoint; null if it has not.",
    "download": "The page of the link offers the file for download.",
    "duration_seconds": "Length in seconds.",
    "embed": "Other sites may show the player of the link.",
    "enabled": "Events are sent to this endpoint.",
    "end_seconds": "Where it ends on the recording's timeline, exclusive.",
    "engine_id": "Id of the engine's process.",
    "error": "Why it failed; null if it has not.",
    "event": "Name of the event.",
    "event_id": "Id of the event, the same for each endpoint.",
    "events": "Names of the events that are sent to this endpoint.",
    "expires_at": "When it is deleted or stops working; null for never.",
    "failing_since": "When deliveries began to fail; null if the last one was delivered.",
    "format": "`json`, or the message of an incoming webhook of Slack or Discord.",
    "frames": "Number of frames.",
    "free_bytes": "Free bytes of the disk; null if unknown.",
    "has_more": "There is another page.",
    "height": "Height of the picture in pixels; null without video.",
    "hint": "What to do.",
    "key_id": "Id of the key.",
    "language": "Language of it as a BCP 47 tag; null if unknown or not given.",
    "last_error": "Why the last attempt failed; null if none has.",
    "last_status_code": "HTTP status of the last attempt; null if there was no response.",
    "last_used_at": "When the key was last used, to the minute; null for never.",
    "last_viewed_at": "When the link was last opened; null for never.",
    "metadata": "A flat map of strings, returned unchanged.",
    "name": "Its name.",
    "next_at": "When the next attempt is due; null if none is.",
    "ok": "The check has passed.",
    "organisation_id": "`server.organisation_id` of the settings.",
    "origin": "`api` if it was created by a request, `settings` if it is in the settings file.",
    "priority": "Queued clips with a higher priority are cut first.",
    "profile": "Name of the profile of the settings.",
    "recording_id": "Id of the recording.",
    "render": "`smart` copies whole GOPs where that is possible, `encode` encodes all frames.",
    "retryable": "The same request may succeed later.",
    "revoked_at": "When the key was revoked; null if it is valid.",
    "scopes": "What the key may do.",
    "session_id": "Id of the session.",
    "share_id": "Id of the share.",
    "speaker": "Name of the speaker; null if unknown.",
    "start_seconds": "Where it begins on the recording's timeline.",
    "subject": "Label or name of the object that the event is about.",
    "tags": "Words to find it by.",
    "test": "It was sent by a test of the endpoint.",
    "text": "The text of the cue.",
    "timestamp": "When the event happened.",
    "title": "Its title.",
    "total_bytes": "Size of the disk; null if unknown.",
    "transcript_id": "Id of the transcription, and of the transcript that it makes.",
    "url": "The address.",
    "user_id": "Id of the user.",
    "version": "Version of clipengine.",
    "views": "Number of times that the page or the player was opened.",
    "warnings": "What is not as requested, or not carried over, each with its code.",
    "webhook_id": "Id of the endpoint.",
    "width": "Width of the picture in pixels; null without video.",
    "x": "From the left, as a part of the width, 0 to 1.",
    "y": "From the top, as a part of the height, 0 to 1.",
}
_OF_OBJECT = {
    "BlurBox": {
        "from_seconds": "In seconds of the clip, after `speed`. Default: the start of the clip.",
        "height": "As a part of the height, 0 to 1.",
        "width": "As a part of the width, 0 to 1.",
    },
    "BoxAt": {
        "at_seconds": "In seconds of the clip, after `speed`.",
        "height": "As a part of the height, 0 to 1.",
        "width": "As a part of the width, 0 to 1.",
    },
    "BoxInRecording": {
        "recording_seconds": "In seconds of the recording of which a part of the clip is.",
        "height": "As a part of the height, 0 to 1.",
        "width": "As a part of the width, 0 to 1.",
    },
    "FocusAt": {"at_seconds": "In seconds of the clip, after `speed`."},
    "FocusInRecording": {"recording_seconds": "In seconds of the recording of which a part of the clip is."},
    "MovingBox": {"from_seconds": "In seconds of the clip, after `speed`. Default: the start of the clip."},
    "ClipResult": {
        "audio_codec": "Codec of the audio; null without audio.",
        "bytes_read": "Bytes of the recordings that were read.",
        "encode_seconds": "Seconds that the encoder took.",
        "poster_path": "Key of the poster; null without one.",
        "sha256": "SHA-256 of the file, in hex.",
        "size_bytes": "Size of the file.",
        "video_codec": "Codec of the video; null without video.",
    },
    "ClipSubtitles": {
        "path": "Key of the WebVTT file in the store.",
    },
    "CreateClips": {
        "clips": "The clips, each as in the request for one.",
    },
    "CreateKey": {
        "name": "Name to know the key by.",
    },
    "CreateWebhook": {
        "events": "Events to send. Default: `clip.ready` and `clip.failed`.",
    },
    "DeliveryPayloadObject": {"attempt": "Number of attempts so far.", "status": "State of the delivery."},
    "ExactSize": {
        "height": "Even number of pixels.",
        "width": "Even number of pixels.",
    },
    "ResultPart": {
        "offset_seconds": "Where the part begins in the clip.",
    },
    "SnappedCut": {
        "asked_seconds": "The requested time.",
        "cut": "`start` or `end` of the part.",
        "part": "Number of the part, from 0.",
        "snapped_seconds": "The time of the moment that was found.",
    },
}


def describe_properties(name: str, schema: dict[str, Any]) -> None:
    """Add descriptions to the properties of the schema `name` that have none."""
    own = _OF_OBJECT.get(name, {})
    for key, each in schema.get("properties", {}).items():
        if text := own.get(key, _EVERYWHERE.get(key)):
            each.setdefault("description", text)
