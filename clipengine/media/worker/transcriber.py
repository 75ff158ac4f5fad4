"""Transcriber child: runs a Whisper model on the samples of a passage. Needs `clipengine[transcribe]`.

Started as `python -I -m clipengine.media.worker.transcriber CONTROL RANGES PARENT cell`; see `media.worker.process`.
It gets samples that another child has decoded, and the files of the model, as descriptors. Unlike other children it may
make memory executable, because the library compiles its convolutions for the processor.
"""

from __future__ import annotations

import ctypes
import json
import os
from typing import Any

# The telemetry of ONNX Runtime would send facts about the machine, and would go on in threads without the sandbox, with
# descriptors that are closed. OpenBLAS would start threads, too; the model does not use it.
os.environ |= {"HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"}
os.environ.setdefault("CT2_USE_MKL", "1")

# numpy imports its parts lazily, which the sandbox would prevent.
import numpy as np
import numpy.fft
import numpy.ma
from faster_whisper import WhisperModel
from faster_whisper.vad import get_vad_model

from clipengine.clips.transcription import SAMPLE_RATE
from clipengine.errors import Internal
from clipengine.media.memory import log_library_errors
from clipengine.media.worker.ipc import Channel
from clipengine.media.worker.process import JobSource, Result, main

_READ_BYTES = 1 << 20
# Options of mallopt(3).
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
_TRIM_THRESHOLD_BYTES = 1 << 30


def do_job(job: dict[str, Any], sources: list[JobSource], descriptors: list[int], control: Channel) -> Result:
    """Transcribe the samples of the only source, and return the answer in the shape `verbose_json` of OpenAI's API."""
    model = _model(job, descriptors)
    audio = _samples(sources[0])
    language = job["language"]
    if language is not None and language not in model.supported_languages:
        raise Internal(f"the model does not know the language {language}")
    segments, info = model.transcribe(
        audio, language=language, vad_filter=True, word_timestamps=True, condition_on_previous_text=False
    )
    found = []
    for segment in segments:
        found.append(_segment(segment))
        part = min(1.0, segment.end * SAMPLE_RATE / max(1, len(audio)))
        control.send({"type": "progress", "step": "reading", "part": round(part, 4)})
    answer = {"language": info.language, "segments": found}
    return {"type": "result"}, json.dumps(answer, ensure_ascii=False).encode()


def keep_freed_memory() -> None:
    """Keep freed blocks for the next blocks of the model: all come from one heap, which does not shrink.

    By default, glibc returns each of its large buffers to the kernel, which must clear their pages again: that took
    half of the CPU time. Other C libraries lack this function.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)


def _model(job: dict[str, Any], descriptors: list[int]) -> WhisperModel:
    files: dict[str, Any] = {}
    for name, descriptor in zip(job["model"], descriptors, strict=True):
        file = open(descriptor, "rb")  # noqa: SIM115 - the library reads the weights while it needs them
        files[name] = file if name == "model.bin" else file.read()
    try:
        return WhisperModel("model", device="cpu", compute_type="int8", cpu_threads=job["threads"], files=files)
    except (RuntimeError, ValueError) as error:
        raise Internal(f"the model cannot be loaded: {str(error)[:300]}") from error


def _samples(source: JobSource) -> Any:
    data = b"".join(source.read_at(first, _READ_BYTES) for first in range(0, source.size, _READ_BYTES))
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def _segment(segment: Any) -> dict[str, Any]:
    words = [{"start": float(each.start), "end": float(each.end), "word": each.word} for each in segment.words or ()]
    return {"start": float(segment.start), "end": float(segment.end), "text": segment.text, "words": words}


if __name__ == "__main__":
    keep_freed_memory()
    get_vad_model()  # before the sandbox denies its file
    main(do_job, compiles=True, when_locked=log_library_errors)
