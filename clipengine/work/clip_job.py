"""Context of a job on one clip, bound where the job begins: the fields of its log lines."""

from __future__ import annotations

from contextlib import AbstractContextManager

from clipengine.clips.clip import Clip
from clipengine.log_fields import bind


def clip_job(clip: Clip, *, engine: str) -> AbstractContextManager[None]:
    """Return the context in which the engine cuts or uploads the clip."""
    ids = {"clip_id": clip.clip_id, "recording_id": clip.recording_id, "request_id": clip.request_id}
    return bind(**ids, attempt=clip.attempt, engine=engine)
