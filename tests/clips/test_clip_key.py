"""Keys of clips: templates, their values, and later attempts."""

from __future__ import annotations

import pytest

from clipengine.basis.ids import new_id
from clipengine.clips.clip_key import CLIP_KEY, check_clip_key, clip_key, next_clip_key
from clipengine.clips.request import ClipRequest
from clipengine.recordings.discovery import is_recording
from clipengine.recordings.recording import Recording

DAY = 1743850800000  # 2025-04-05T11:00:00Z


def key(template: str, bucket_path: str = "a/b/rec.mp4", name: str | None = "../Board Meeting") -> str:
    recording = Recording("rec_1", "complete", bucket_path, "e", 1, 1, name=name)
    return clip_key(template, recording, ClipRequest("../One/two", 120.5, 130), "clip_1", DAY, "mp4")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CLIP_KEY, "a/b/clips/one-two-clip_1.mp4"),
        ("clips/$date/$name/$clip_id-$start", "clips/2025-04-05/board-meeting/clip_1-120.500.mp4"),
        ("${recording_id}_$clip_id", "rec_1_clip_1.mp4"),
        ("$folder/$clip_id/$label", "a/b/clip_1/one-two.mp4"),
    ],
)
def test_template_is_filled_in(template: str, expected: str) -> None:
    assert key(check_clip_key(template)) == expected


def test_recording_without_folder_or_name_has_valid_keys() -> None:
    assert key(CLIP_KEY, "rec.mp4") == "clips/one-two-clip_1.mp4"
    assert key("$folder/$name-$clip_id", "Talk 1.mp4", None) == "talk-1-clip_1.mp4"


@pytest.mark.parametrize(
    "template",
    [
        *["", "$folder/$label", "/$clip_id", "../$clip_id", "a/../$clip_id", "a//$clip_id", "$clip_id/", "./$clip_id"],
        *[".hidden/$clip_id", "a\\$clip_id", "$clip_id\n", "$clip_id-$etag", "$clip_id-$", "$clip_id" + "x" * 300],
    ],
)
def test_template_of_invalid_keys_is_rejected(template: str) -> None:
    with pytest.raises(ValueError, match=r"template|clip_id|characters|part"):
        check_clip_key(template)


def test_later_attempts_have_their_own_keys() -> None:
    second = next_clip_key("a/goal-clip_1.mp4", "clip_1", 2)
    assert second == "a/goal-clip_1-2.mp4"
    assert next_clip_key(second, "clip_1", 3) == "a/goal-clip_1-3.mp4"
    assert next_clip_key("a/clip_1/goal.mp4", "clip_1", 2) == "a/clip_1-2/goal.mp4"
    assert next_clip_key("a/clip_1-2/goal.mp4", "clip_1", 3) == "a/clip_1-3/goal.mp4"


@pytest.mark.parametrize("template", [CLIP_KEY, "cut/$clip_id/$label", "cut/$date-$clip_id-$start"])
def test_clips_of_any_template_are_not_recordings(template: str) -> None:
    recording = Recording("rec_1", "complete", "a/rec.mp4", "e", 1, 1)
    made = clip_key(template, recording, ClipRequest("goal", 1, 2), new_id("clip"), DAY, "mp4")
    assert not is_recording(made)
    assert is_recording("a/clip_1.mp4")
