"""Messages of a hostile child. Each ends the child, fails one attempt of its job, and uses little memory of the engine.

The children are real processes. Each script runs after the child has received its job.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipengine.errors import ClipEngineError, DecoderCrashed, Internal, StorageUnavailable, Timeout
from clipengine.media.worker.ipc import InvalidMessage, parse_object
from clipengine.settings.settings import Encoding
from clipengine.stores.base import StoredObject
from clipengine.work.children.jobs import Job, probe_job
from clipengine.work.children.messages import parse_message
from tests.support.hostile_child import HostileChild

pytestmark = pytest.mark.programs

# A valid result needs more: several copies of 2 MiB of JSON, two of 17 MiB of data. An invalid one is not parsed.
_MOST_GROWTH = 24 << 20
_FACTS = '"facts": {"container": "mp4", "origin": "0", "duration": "60"}, "seek_index": null'


class _Remote:
    """An object of a store without descriptors, whose bytes the child must request."""

    def __init__(self, *, reachable: bool = True) -> None:
        self.info = StoredObject("recording", 1 << 20, "etag", 0)
        self._reachable = reachable
        self.bytes_read = 0

    def read_at(self, offset: int, length: int) -> bytes:
        if not self._reachable:
            raise StorageUnavailable("the store is down")
        self.bytes_read += length
        return bytes(min(length, self.info.size - offset))

    def fileno(self) -> int | None:
        return None

    def close(self) -> None:
        pass


def _job(**limits: Any) -> Job:
    return replace(probe_job(Encoding()), **limits)


def _run(script: str, *, job: Job | None = None, remote: _Remote | None = None) -> tuple[str, HostileChild]:
    """Run the script as a child with a job. Return the error code or "complete", and the child."""
    child = HostileChild(script)
    try:
        child.run(job or _job(), remote or _Remote(), watch=lambda message: None)
    except ClipEngineError as error:
        return error.code, child
    return "complete", child


def _memory(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) << 10


INVALID = {
    "66 MB of lists": """send(b'{"type": "result", "facts": [' + b"[]," * 22_000_000 + b"[]]}")""",
    "2 MiB of lists": """send(b'{"type": "result", "facts": [' + b"[]," * 690_000 + b"[]]}")""",
    "2 MiB of objects": """send(b'{"type": "result", "facts": [' + b'{"":0},' * 290_000 + b"{}]}")""",
    "2 MiB of brackets": """send(b"[" * (2 << 20))""",
    "progress of 100 KB": """send(b'{"type": "progress", "step": "encoding", "part": 0.5' + b" " * 100_000 + b"}")""",
    "progress with data": """send({"type": "progress", "step": "encoding", "part": 0.5}, b"data")""",
    "progress of an unknown step": """send({"type": "progress", "step": "mining", "part": 0.5})""",
    "progress that is no number": """send(b'{"type": "progress", "step": "encoding", "part": NaN}')""",
    "progress with more fields": """send({"type": "progress", "step": "encoding", "part": 0.5, "more": 1})""",
    "ready twice": """send(ready)""",
    "ready with a name of 60 MB": """send({**ready, "layers": [{**ready["layers"][0], "name": "x" * 60_000_000}]})""",
    "ready with a name of 60 kB": """send({**ready, "layers": [{**ready["layers"][0], "name": "x" * 60_000}]})""",
    "a result with 40 MB of data": """send({"type": "result"}, b"x" * 40_000_000)""",
    "an unknown message": """send({"type": "shutdown"})""",
    "a message without a type": """send({"facts": {}})""",
    "a type that is a list": """send({"type": ["result"]})""",
    "an empty message": """send(b"")""",
    "a list": """send([{"type": "alive"}])""",
    "no UTF-8": """send(b'{"type": "\\xff"}')""",
    "a lone surrogate": """send({"type": "error", "error": {"code": "internal", "message": "\\ud800", "hint": "",
        "retryable": False}})""",
    "a NUL": """send({"type": "result", "facts": {"container": "\\0"}})""",
    "a NUL in a name": """send({"type": "result", "\\0": 1})""",
    "an integer of 65 bits": """send({"type": "result", "facts": 1 << 64})""",
    "an integer of a million digits": """send(b'{"type": "result", "facts": 1' + b"0" * 1_000_000 + b"}")""",
    "an infinite number": """send(b'{"type": "result", "facts": 1e999}')""",
    "an error of the store": """send({"type": "error", "error": {"code": "storage_unavailable", "message": "",
        "hint": None, "retryable": True}})""",
    "an error without fields": """send({"type": "error", "error": {}})""",
    "an error with a trace of 60 kB": """send({"type": "error", "trace": "x" * 60_000, "error": {"code": "internal",
        "message": "", "hint": None, "retryable": False}})""",
    "messages without end": """while True: send({"type": "alive"})""",
    "a range of 64 MiB": """ask({"source": 0, "offset": 0, "length": 64 << 20, "keep": False})""",
    "an empty range": """ask({"source": 0, "offset": 0, "length": 0, "keep": False})""",
    "a negative range": """ask({"source": 0, "offset": -1, "length": 100, "keep": False})""",
    "a range beyond the end": """ask({"source": 0, "offset": 1 << 40, "length": 100, "keep": False})""",
    "a range without a length": """ask({"offset": 0})""",
    "a range of another type": """ask({"source": 0, "offset": "0", "length": "100", "keep": "no"})""",
    "a range request of 60 kB": """ask(b'{"source": 0, "offset": 0, "length": 9' + b" " * 60_000 + b"}")""",
    "a range request with data": """ask({"source": 0, "offset": 0, "length": 100, "keep": False}, b"data")""",
}


@pytest.mark.parametrize("script", INVALID.values(), ids=INVALID)
@pytest.mark.typical(2)
def test_invalid_message_ends_the_child_and_uses_no_memory_of_the_engine(script: str) -> None:
    Path("/proc/self/clear_refs").write_text("5")  # reset VmHWM
    before = _memory("VmRSS")
    lost: list[str] = []
    child = HostileChild(script)
    child.on_loss = lost.append
    with pytest.raises(DecoderCrashed, match="invalid message"):
        child.run(_job(), _Remote(), watch=lambda message: None)
    assert not child.alive
    assert lost == ["crashed"]
    assert _memory("VmHWM") - before < _MOST_GROWTH


def test_valid_messages_are_still_accepted() -> None:
    """The scripts above are rejected because of their contents, not because of the way they send."""
    script = """
send({"type": "alive"})
send({"type": "progress", "step": "reading", "part": 0.0})
ask({"source": 0, "offset": 0, "length": 1 << 20, "keep": False})
send(b'{"type": "result", %s}' + b" " * 1_000_000, b"x" * (17 << 20))
""".replace("%s", _FACTS)
    assert _run(script)[0] == "complete"


def test_message_sent_byte_by_byte_ends_at_the_deadline() -> None:
    script = 'control.sendall(struct.pack(">II", 60_000, 0))\nwhile True: control.sendall(b" "); time.sleep(0.01)'
    began = time.monotonic()
    assert _run(script, job=_job(wall_seconds=1.0))[0] == "timeout"
    assert time.monotonic() - began < 60


@pytest.mark.exhaustive
def test_child_that_floods_stderr_ends_at_the_deadline() -> None:
    script = """
while True:
    try:
        os.write(2, b"x" * 65536)
    except BlockingIOError:
        pass
"""
    assert _run(script, job=_job(wall_seconds=1.0))[0] == "timeout"


def test_child_that_reads_a_recording_repeatedly_is_killed() -> None:
    script = """
def take(size):
    while size:
        size -= len(ranges.recv(min(size, 1 << 20)))
while True:
    ask({"source": 0, "offset": 0, "length": 32 << 20, "keep": False})
    text, data = struct.unpack(">II", ranges.recv(8, socket.MSG_WAITALL))
    take(text + data)
"""
    remote = _Remote()
    assert _run(script, remote=remote)[0] == "decoder_crashed"
    assert remote.bytes_read < 1 << 30


def test_error_of_the_store_during_a_range_request_fails_the_job() -> None:
    script = """
ask({"source": 0, "offset": 0, "length": 100, "keep": False})
ranges.recv(1 << 20)
send({"type": "error", "error": {"code": "storage_unavailable", "message": "", "hint": None, "retryable": True}})
"""
    assert _run(script, remote=_Remote(reachable=False))[0] == "storage_unavailable"
    assert _run(script, remote=_Remote())[0] == "decoder_crashed"


def test_internal_error_of_a_job_is_no_error_of_the_start() -> None:
    error = {"code": "internal", "message": "the model is damaged", "hint": None, "retryable": True}
    child = HostileChild.that_reports({"type": "error", "error": error})
    with pytest.raises(Internal) as raised:
        child.run(_job(), _Remote(), watch=lambda message: None)
    assert raised.type is Internal


def test_silent_child_times_out_at_the_deadline() -> None:
    with pytest.raises(Timeout):
        HostileChild("").run(_job(wall_seconds=0.5), _Remote(), watch=lambda message: None)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "\\\\ud800"}',
        '{"a": "\\ud83d\\ude00"}',
        '{"a": "\U0001f600"}',
        '{"a": 9223372036854775807}',
        '{"a": 1e300}',
    ],
)
def test_values_that_can_be_stored_are_parsed(text: str) -> None:
    assert list(parse_object(text.encode())) == ["a"]


@pytest.mark.parametrize(
    "text",
    ['{"a": "\\ud800"}', '{"\\ud800": 1}', '{"a": [["\\u0000"]]}', '{"a": 9223372036854775808}', '{"a": -Infinity}'],
)
def test_values_that_cannot_be_stored_are_rejected(text: str) -> None:
    with pytest.raises(InvalidMessage):
        parse_object(text.encode())


def test_name_of_an_unknown_field_is_shortened_in_the_error() -> None:
    with pytest.raises(InvalidMessage) as refused:
        parse_message({"type": "alive", "x" * 60_000: 1}, b"")
    assert len(str(refused.value)) < 200
