"""Child that parses one document from outside, such as a playlist, with limits of memory and time.

Started as `python -I -m clipengine.api.parser …`; see `media.worker.process`. It needs no media library.
"""

from __future__ import annotations

from typing import Any

import langcodes  # noqa: F401 - languages of answers are looked up late, which the sandbox would prevent

from clipengine.api.http.json_cues import JSON_CUES
from clipengine.basis.documents import Document
from clipengine.clips.ranges.range_documents import RANGE_FILE, RANGE_LIST
from clipengine.clips.texts.text_documents import SEGMENTED_TEXT, SPOKEN, TRANSCRIPT
from clipengine.clips.transcript_searches import SENTENCES, SUGGESTIONS
from clipengine.errors import RequestError
from clipengine.media.worker.ipc import Channel
from clipengine.media.worker.process import JobSource, Result, main
from clipengine.recordings.packed_playlist import PLAYLIST

_FILES: list[Document[Any]] = [PLAYLIST, RANGE_FILE, RANGE_LIST]
_TEXTS: list[Document[Any]] = [TRANSCRIPT, JSON_CUES, SEGMENTED_TEXT, SPOKEN, SUGGESTIONS, SENTENCES]
DOCUMENTS = {document.name: document for document in _FILES + _TEXTS}


def do_job(job: dict[str, Any], sources: list[JobSource], descriptors: list[int], control: Channel) -> Result:
    """Parse the document and return what was read, or the faults of a request that it was sent with."""
    document, source = DOCUMENTS[job["document"]], sources[0]
    try:
        found = document.parse(source.read_at(0, source.size), **job["values"])
    except RequestError as error:
        refusal = {**error.to_object(), "errors": error.errors, "omitted": error.omitted}
        return {"type": "result", "refusal": refusal}, b""
    return {"type": "result", "refusal": None}, document.pack(found)


if __name__ == "__main__":
    main(do_job)
