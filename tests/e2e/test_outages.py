"""An unreachable store delays clips and loses none: each is cut once, and uploaded later or failed in time."""

from __future__ import annotations

import re
import signal
import sqlite3
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.support.outage import SECONDS, Outage, kill
from tests.support.s3 import deletions
from tests.support.s3_faults import Held, cut_after_commit, refuse, swallow
from tests.support.server import RunningServer, running_server
from tests.support.waiting import until

pytestmark = [pytest.mark.outage, pytest.mark.proof]

CLIP_ALONE = {"CLIPENGINE_STORAGE__MANIFESTS": "false"}  # one object for each clip


def cuts(server: RunningServer) -> int:
    """Return how often cutting of a clip was started, over all starts of the engine."""
    return len(re.findall(r"clip \S+: attempt", server.log.read_text()))


def test_clips_are_cut_once_and_uploaded_after_the_outage(outage: Outage, film: Path) -> None:
    with running_server(outage.data, env=outage.env()) as server, server.client() as api:
        recording = outage.recording(api, film)
        outage.break_off(refuse(503, "SlowDown"))
        clips = {
            label: api.clips.create(recording, label=label, start_seconds=1.0, end_seconds=2.0).clip_id
            for label in ("kept", "too", "cancelled", "deleted")
        }
        # All are cut although none is uploaded: waiting uploads occupy no encoder.
        until(lambda: {api.clips.get(each).step for each in clips.values()} == {"uploading"})
        assert {api.clips.get(each).status for each in clips.values()} == {"processing"}
        until(lambda: "upload of clip" in server.log.read_text())
        kill(server)
    assert len(outage.scratch()) == 4
    assert {clip.state for clip in outage.check(settled=False).values()} == {"uploading"}
    (outage.data / "scratch" / f"{clips['kept']}-7").mkdir()

    with running_server(outage.data, env=outage.env()) as server, server.client() as api:
        assert len(outage.scratch()) == 4
        assert not (outage.data / "scratch" / f"{clips['kept']}-7").exists()
        api.clips.cancel(clips["cancelled"])
        api.clips.delete(clips["deleted"])
        until(lambda: len(outage.scratch()) == 2)
        outage.proxy.clear()
        for label in ("kept", "too"):
            clip = api.clips.wait(clips[label], timeout=SECONDS)
            assert (clip.status, clip.attempt) == ("complete", 1), clip.error
        assert cuts(server) == 4
        server.stop()
    assert {label: clip.state for label, clip in outage.check().items()} == {
        "kept": "complete",
        "too": "complete",
        "cancelled": "failed",
    }


@pytest.mark.parametrize("fault", ["uploaded:kill9", ""], ids=["killed", "answer lost"])
def test_existing_object_is_not_uploaded_again(outage: Outage, film: Path, fault: str) -> None:
    """Also if the engine died before it recorded the upload, or got no response and then lost its file."""
    with running_server(outage.data, env={**outage.env(fault), **CLIP_ALONE}) as server, server.client() as api:
        recording = outage.recording(api, film)
        if not fault:
            outage.break_off(cut_after_commit)
        clip_id = api.clips.create(recording, label="a", start_seconds=1.0, end_seconds=2.0, poster=False).clip_id
        if fault:
            assert server.process.wait(SECONDS) == -signal.SIGKILL
        else:
            until(lambda: list(outage.s3.client.list_objects(outage.bucket, prefix="h_01/clips/")))
            kill(server)
            outage.scratch()[0].unlink()
    outage.proxy.clear()
    sent = outage.proxy.count("PUT")
    with running_server(outage.data, env={**outage.env(), **CLIP_ALONE}) as server, server.client() as api:
        clip = api.clips.wait(clip_id, timeout=SECONDS)
        assert (clip.status, clip.attempt) == ("complete", 1), clip.error
        assert outage.proxy.count("PUT") == sent
        server.stop()
    outage.check()


def test_late_upload_of_a_cancelled_clip_is_removed(outage: Outage, film: Path) -> None:
    """The engine was killed before the response; it cannot know that the object will appear."""
    held = Held()
    with running_server(outage.data, env=outage.env()) as server, server.client() as api:
        recording = outage.recording(api, film)
        outage.proxy.fail(held, method="PUT")
        outage.break_off(refuse(503, "SlowDown"))
        sent = outage.proxy.count("PUT")
        clip_id = api.clips.create(recording, label="a", start_seconds=1.0, end_seconds=2.0, poster=False).clip_id
        until(lambda: outage.proxy.count("PUT") > sent)
        kill(server)
    with running_server(outage.data, env=outage.env()) as server, server.client() as api:
        api.clips.cancel(clip_id)
        late = [each.path for each in outage.proxy.seen if each.method == "PUT"][sent]
        until(lambda: unquote(late.split("/", 2)[2]) in deletions(outage.proxy))
        held.release()
        assert held.answer().status == 200
        until(lambda: not list(outage.s3.client.list_objects(outage.bucket, prefix="h_01/clips/")))
        server.stop()
    outage.check()


def test_upload_is_repeated_until_the_store_has_the_object(outage: Outage, film: Path) -> None:
    """The store reports success twice without storing; the clip completes only after its object was checked."""
    with running_server(outage.data, env={**outage.env(), **CLIP_ALONE}) as server, server.client() as api:
        recording = outage.recording(api, film)
        outage.proxy.fail(swallow, method="PUT", times=2)
        clip_id = api.clips.create(recording, label="a", start_seconds=1.0, end_seconds=2.0, poster=False).clip_id
        until(lambda: "upload of clip" in server.log.read_text())
        assert api.clips.get(clip_id).status == "processing"
        clip = api.clips.wait(clip_id, timeout=SECONDS)
        assert (clip.status, clip.attempt) == ("complete", 1), clip.error
        said = re.findall(r"confirmed the upload of \S+, but does not have it", server.log.read_text())
        assert len(said) == 2
        assert outage.proxy.count("PUT") == 3
        server.stop()
    outage.check()


def test_lost_or_damaged_file_is_cut_again(outage: Outage, film: Path) -> None:
    with running_server(outage.data, env=outage.env()) as server, server.client() as api:
        recording = outage.recording(api, film)
        outage.break_off(refuse(503, "SlowDown"))
        clips = [
            api.clips.create(recording, label=label, start_seconds=1.0, end_seconds=2.0).clip_id for label in "abcd"
        ]
        until(lambda: all(api.clips.get(each).step == "uploading" for each in clips))
        kill(server)
    lost, short, garbled, poster = (outage.data / "scratch" / f"{each}-1" for each in clips)
    (lost / "clip.mp4").unlink()
    (short / "clip.mp4").write_bytes((short / "clip.mp4").read_bytes()[:-1])
    (garbled / "clip.mp4").write_bytes((garbled / "clip.mp4").read_bytes()[:-1] + b"\xa5")
    (poster / "poster.jpg").write_bytes(b"")
    outage.proxy.clear()
    with running_server(outage.data, env=outage.env()) as server, server.client() as api:
        for each in clips:
            clip = api.clips.wait(each, timeout=SECONDS)
            assert (clip.status, clip.attempt) == ("complete", 2), clip.error
        server.stop()
    outage.check()


def test_permanent_store_error_fails_soon_and_is_named(outage: Outage, film: Path) -> None:
    with running_server(outage.data, env=outage.env(pace=100)) as server, server.client() as api:
        recording = outage.recording(api, film)
        for code, status, words in (
            ("AccessDenied", 403, "has no permission to do this"),
            ("NoSuchBucket", 404, f"bucket {outage.bucket} does not exist"),
            ("RequestTimeTooSkewed", 403, "clock differs too much"),
        ):
            outage.break_off(refuse(status, code))
            clip_id = api.clips.create(recording, label=code, start_seconds=1.0, end_seconds=1.5).clip_id
            clip = api.clips.wait(clip_id, timeout=SECONDS)
            assert clip.error is not None
            assert (clip.status, clip.error.code, clip.error.retryable) == ("failed", "storage_denied", False)
            assert words in clip.error.message
            outage.proxy.clear()
        tries = len(re.findall(r"upload of clip \S+: .*retrying in", server.log.read_text()))
        assert tries >= 6  # allows for rotation of the access key: half a minute, here compressed to 0.3 s
        retried = api.clips.retry(clip_id)
        assert api.clips.wait(retried.clip_id, timeout=SECONDS).status == "complete"
        server.stop()
    outage.check()


def test_clip_fails_after_a_day_of_outage(outage: Outage, film: Path) -> None:
    """The row is set to one second less than a day: the time counts across restarts."""
    with running_server(outage.data, env=outage.env()) as server, server.client() as api:
        recording = outage.recording(api, film)
        outage.break_off(refuse(503, "SlowDown"))
        clip_id = api.clips.create(recording, label="a", start_seconds=1.0, end_seconds=2.0).clip_id
        until(lambda: "upload of clip" in server.log.read_text())
        kill(server)
    with sqlite3.connect(outage.data / "ledger.db") as connection:
        connection.execute("UPDATE clips SET outage_ms = 86399000")
    connection.close()
    with running_server(outage.data, env=outage.env()) as server, server.client() as api:
        clip = api.clips.wait(clip_id, timeout=SECONDS)
        assert clip.error is not None
        assert (clip.error.code, clip.error.retryable, clip.attempt) == ("storage_unavailable", True, 1)
        outage.proxy.clear()
        until(lambda: not outage.scratch())
        server.stop()
    outage.check()


def test_unreadable_recording_is_retried(outage: Outage, film: Path) -> None:
    with running_server(outage.data, env=outage.env(pace=100)) as server, server.client() as api:
        recording = outage.recording(api, film)
        outage.break_off(refuse(503, "SlowDown"), "HEAD")
        clip_id = api.clips.create(recording, label="a", start_seconds=1.0, end_seconds=2.0).clip_id
        until(lambda: len(re.findall("retrying in", server.log.read_text())) >= 2)
        clip = api.clips.get(clip_id)
        assert clip.status == "processing"
        outage.proxy.clear()
        assert api.clips.wait(clip_id, timeout=SECONDS).status == "complete"
        server.stop()
    outage.check()
