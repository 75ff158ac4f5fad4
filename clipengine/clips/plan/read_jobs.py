"""Read jobs: short jobs of a child process that read a part of a recording, such as a frame or a waveform.

A new one is a row here and the function that the row names.
"""

from __future__ import annotations

from typing import Literal, NamedTuple


class ReadJob(NamedTuple):
    """One kind of read job. `lanes` of them run at the same time, each for at most `deadline_seconds`.

    `function` is `module:name` in `clipengine.media`. The child imports it before it locks itself in, and calls it with
    a `ReadRequest`. Only the children of the `program` have it.
    """

    name: str
    deadline_seconds: int
    lanes: int
    function: str
    program: Literal["maker", "burner"] = "maker"
    nice: int = 0  # added to the nice value of previews


# Frames, times, plans, moments near cuts and jumps do not share lanes with the other kinds: they are short, and a user
# who steps through a recording waits for each of them. The other kinds leave them the CPU.
_LONG = 4
FRAME = ReadJob("frame", 60, 2, "previews.frame:read_frame")
TIMES = ReadJob("times", 120, 1, "previews.frame_times:read_times")
FILMSTRIP = ReadJob("filmstrip", 300, 2, "previews.frame:read_filmstrip", nice=_LONG)
WAVEFORM = ReadJob("waveform", 900, 2, "previews.waveform:read_waveform", nice=_LONG)
PLAN = ReadJob("plan", 120, 1, "previews.clip_plan:read_plan")
MOMENTS = ReadJob("moments", 120, 1, "snap:read_moments")
SILENCES = ReadJob("silences", 900, 1, "snap:read_silences", nice=_LONG)
JUMP = ReadJob("jump", 300, 2, "snap:read_jump")
PROXY = ReadJob("proxy", 120, 2, "previews.proxy:read_segment", nice=_LONG)
SPEECH = ReadJob("speech", 3600, 1, "audio.speech:read_speech")  # of transcriptions, which have their own queue
CAPTIONS = ReadJob("captions", 120, 1, "previews.captions:read_captions", "burner")
READ_JOBS = (FRAME, TIMES, FILMSTRIP, WAVEFORM, PLAN, MOMENTS, SILENCES, JUMP, PROXY, SPEECH, CAPTIONS)
